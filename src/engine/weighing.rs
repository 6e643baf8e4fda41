//! What stages leave of the outputs that they declare, for those that wait for them.
//!
//! Outputs are no content: nobody looks at them, and nothing starts when they change. So they are *weighed* where they
//! matter: when a stage that declares some has ended, before anything that waits for it starts; once more when one that
//! waited for it is about to begin, because it may have waited long, and when it has ended, because its result is about
//! what was there all along; and before a stage is taken over that is to have left them. What a stage finds other than
//! what it had waited for makes its run void; what it declares to write itself is no such thing once it has begun. Stages may
//! declare the same outputs, as all do that call one build tool: who waits for several of them waits for what lay there when
//! the last of them had ended. What cannot be weighed is not known: whatever depends on it has no key, and is executed.
//!
//! A weighing has a number of its own, so that one whose stage was ended meanwhile says nothing of a later one.

use crate::engine::Effect;
use crate::engine::run::{Live, Run};
use crate::engine::state::Engine;
use crate::limits::SUBPIPELINE_DEPTH_MAX;
use crate::model::config::{Action, Config, Pipeline, Stage};
use crate::model::digest::OutputsDigest;
use crate::model::id::{RunId, WeighId};
use crate::model::path::RelPath;
use crate::model::run::{Changed, StageStatus};
use std::collections::BTreeSet;
use std::ffi::OsStr;

/// What is to be weighed: what these patterns match, and others do not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sought {
    /// In gitignore syntax.
    pub patterns: Vec<String>,
    /// What is left out of it, in the same syntax.
    pub without: Vec<String>,
}

impl Sought {
    /// All that these patterns match.
    #[must_use]
    pub fn all(patterns: Vec<String>) -> Self {
        Self {
            patterns,
            without: Vec::new(),
        }
    }
}

/// What stages have left, as one that waits for them depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// What each stage that declares outputs has left, in their order.
    pub(super) digests: Vec<OutputsDigest>,
    /// The same by command: what it declares, and what it has left of that.
    commands: Vec<(Vec<String>, OutputsDigest)>,
}

impl Left {
    /// What a command has left of what it declares.
    pub(super) fn of_command(patterns: &[String], digest: OutputsDigest) -> Self {
        Self {
            digests: vec![digest],
            commands: vec![(patterns.to_vec(), digest)],
        }
    }

    /// What the stages of a run have left, as one of whoever waits for the stage that it is.
    fn together(self) -> Self {
        let digests = match self.digests.as_slice() {
            [] => Vec::new(),
            left => vec![OutputsDigest::together(left)],
        };
        Self {
            digests,
            commands: self.commands,
        }
    }

    fn join(&mut self, other: &Self) {
        self.digests.extend(&other.digests);
        self.commands.extend(other.commands.iter().cloned());
    }
}

/// What the stages of a pipeline have left before any of them has ended: nothing where none is declared, else not known.
pub(super) fn nothing_left(config: &Config, pipeline: &Pipeline) -> Vec<Option<Left>> {
    let stages = pipeline.stages.iter();
    let leaves = stages.map(|stage| leaves_any(config, stage, SUBPIPELINE_DEPTH_MAX));
    leaves.map(|leaves| (!leaves).then(Left::default)).collect()
}

/// Whether a stage, or one below it, declares outputs.
fn leaves_any(config: &Config, stage: &Stage, depth: usize) -> bool {
    match &stage.action {
        Action::Command(command) => !command.outputs.is_empty(),
        Action::Subpipeline(sub) => {
            let child = config.pipeline(&sub.pipeline).filter(|_| depth > 0);
            let mut stages = child.into_iter().flat_map(|child| &child.stages);
            stages.any(|stage| leaves_any(config, stage, depth.saturating_sub(1)))
        }
    }
}

impl Run {
    /// What the stages have left that this one waits for; nothing if that is not known of one of them.
    pub(super) fn left_to(&self, stage: usize) -> Option<Left> {
        let mut left = self.inherited.clone()?;
        let before = self.graph.before(stage);
        for place in &before {
            left.join(self.left.get(*place)?.as_ref()?);
        }
        for (patterns, digest) in &mut left.commands {
            if let Some((lying, by)) = self.lying.get(patterns)
                && before.contains(by)
            {
                *digest = *lying;
            }
        }
        Some(left)
    }

    /// What its stages have left, all together; nothing if that is not known of one of them.
    pub(super) fn left_behind(&self) -> Option<Left> {
        let mut left = Left::default();
        for stage in &self.left {
            left.join(stage.as_ref()?);
        }
        Some(left.together())
    }

    /// The patterns of the outputs that a stage declares; none for a pipeline.
    pub(super) fn outputs_of(&self, stage: usize) -> &[String] {
        let command = self.definition(stage).and_then(|stage| stage.command());
        command.map_or(&[], |command| &command.outputs)
    }

    /// Notes what a stage has left.
    pub(super) fn note_left(&mut self, stage: usize, left: Option<Left>) {
        let outputs = left.as_ref().and_then(|left| left.digests.first());
        let outputs = outputs.copied();
        if let (Some(place), Some(report)) =
            (self.left.get_mut(stage), self.report.stages.get_mut(stage))
        {
            *place = left;
            report.outputs = outputs;
        }
    }

    /// Takes over what the stages have left that its parent's stage waits for.
    pub(super) fn inherit(&mut self, inherited: Option<Left>) {
        self.inherited = inherited;
        for stage in &mut self.report.stages {
            stage.key = None;
        }
        self.fix_keys();
    }

    /// Gives the stages their keys that depend on nothing that is not known yet.
    pub(super) fn fix_keys(&mut self) {
        for stage in 0..self.report.stages.len() {
            self.fix_key(stage);
        }
    }

    /// Gives a stage that has not begun its key, if what it waits for is known by now.
    pub(super) fn fix_key(&mut self, stage: usize) {
        let left = self.left_to(stage);
        let stages = &mut self.report.stages;
        if let Some(report) = stages.get_mut(stage)
            && report.key.is_none()
            && report.status == StageStatus::Pending
        {
            let known = report.content_key.zip(left);
            report.key = known.map(|(key, left)| key.with_outputs(&left.digests));
        }
    }

    /// What is weighed when a stage has ended: what it declares itself, if it does, then what it has met, then all of what it
    /// may have written into of others.
    fn to_weigh(&self, stage: usize) -> Vec<Sought> {
        let own = Some(self.outputs_of(stage).to_vec()).filter(|own| !own.is_empty());
        let shared = self.to_share(stage).into_iter().map(Sought::all);
        let own = own.map(Sought::all).into_iter();
        own.chain(self.to_meet(stage)).chain(shared).collect()
    }

    /// What others declare that a stage has waited for, where it may have written into it: it declares something else.
    fn to_share(&self, stage: usize) -> Vec<Vec<String>> {
        let own = self.outputs_of(stage);
        let given = self.left_to(stage).unwrap_or_default().commands;
        let given = given.into_iter().map(|(patterns, _)| patterns);
        let given: BTreeSet<_> = given.filter(|patterns| patterns != own).collect();
        given.into_iter().filter(|_| !own.is_empty()).collect()
    }

    /// Notes what lies there of outputs, of what the stage declares and of what it shares, now that it has ended. Where it
    /// found something else than it waited for, what it shares is not of its making alone, and is in no key.
    fn note_lying(
        &mut self,
        stage: usize,
        own: Option<OutputsDigest>,
        shared: &[Option<OutputsDigest>],
    ) {
        let declared = std::iter::once(self.outputs_of(stage).to_vec()).chain(self.to_share(stage));
        let shared = shared
            .iter()
            .copied()
            .filter(|_| !self.shaken.contains(&stage));
        let found = std::iter::once(own).chain(shared);
        let known = declared.zip(found);
        let known: Vec<_> = known
            .filter_map(|(patterns, found)| Some((patterns, (found?, stage))))
            .collect();
        self.lying.extend(known);
    }

    /// What those have left that a stage has waited for, but for what it declares to write itself.
    fn to_meet(&self, stage: usize) -> Vec<Sought> {
        let given = self.left_to(stage).unwrap_or_default().commands;
        let given = given.into_iter().map(|(patterns, _)| Sought {
            patterns,
            without: self.outputs_of(stage).to_vec(),
        });
        given.collect()
    }

    /// What is weighed before a command is started: what those have left that it has waited for, then the same as it is
    /// weighed at its end, if that is less.
    fn to_enter(&self, stage: usize) -> Vec<Sought> {
        let met = self.to_meet(stage);
        let all = met.iter().map(|met| Sought::all(met.patterns.clone()));
        let all: Vec<Sought> = all.collect();
        match self.outputs_of(stage).is_empty() {
            true => all,
            false => all.into_iter().chain(met).collect(),
        }
    }

    /// Notes what a stage finds as it begins: all of what it waited for, then that of it which is held against its end.
    fn meet(&mut self, stage: usize, found: &[Option<OutputsDigest>]) {
        let expected = self.left_to(stage).unwrap_or_default().commands;
        let expected = expected.iter().map(|(_, digest)| Some(*digest));
        let expected: Vec<Option<OutputsDigest>> = expected.collect();
        let (all, met) = found.split_at(expected.len().min(found.len()));
        self.hold_against(stage, &expected, all);
        let met = match met {
            [] => expected,
            met => met.to_vec(),
        };
        self.met.insert(stage, met);
    }

    /// Holds what a stage waited for against what it found of it.
    fn hold_against(
        &mut self,
        stage: usize,
        expected: &[Option<OutputsDigest>],
        found: &[Option<OutputsDigest>],
    ) {
        let given = self.to_meet(stage).into_iter().enumerate();
        let differs = |place: usize| {
            let found = found.get(place).copied().flatten();
            found.is_none() || expected.get(place).copied().flatten() != found
        };
        let differing = given.filter(|(place, _)| differs(*place));
        let differing: Vec<Sought> = differing.map(|(_, sought)| sought).collect();
        if !differing.is_empty() {
            self.shake(stage, &differing);
        }
    }

    /// Notes that a stage found something else than what its key says, and where that lies.
    fn shake(&mut self, stage: usize, differing: &[Sought]) {
        self.shaken.insert(stage);
        let base = &self.report.project;
        let patterns = differing.iter().flat_map(|sought| &sought.patterns);
        let places: BTreeSet<RelPath> = patterns.map(|pattern| named(base, pattern)).collect();
        self.stray(stage, &Changed::Paths(places.into_iter().collect()));
    }

    /// Notes where outputs lie that a stage, or one below it, found other than it should.
    pub(super) fn stray(&mut self, stage: usize, places: &Changed) {
        self.strayed.merge(places);
        if let Changed::Paths(places) = places {
            let blamed = places.iter().map(|place| (place.clone(), stage));
            self.culprits.extend(blamed);
        }
    }

    /// What makes it void: content that changed while it was under way, and outputs that were not what they should be.
    pub(super) fn voided_by(&self) -> Changed {
        let mut all = self.changes.clone();
        all.merge(&self.strayed.changed());
        all.changed()
    }
}

/// The path that all lies at or below which a pattern of a project's stage matches.
fn named(base: &RelPath, pattern: &str) -> RelPath {
    let pattern = pattern.trim_start_matches('/');
    let names = pattern.split('/').filter(|name| !name.is_empty());
    let names = names.take_while(|name| !name.contains(['*', '?', '[', '\\', '!']));
    names.fold(base.clone(), |at, name| at.child(OsStr::new(name)))
}

impl Engine {
    /// A stage has ended so: it is told at once, or when what matters of outputs is known.
    pub(super) fn leave_stage(&mut self, id: &RunId, index: usize, status: StageStatus) {
        let goes_on = matches!(status, StageStatus::Succeeded | StageStatus::Skipped);
        let run = self.runs.get(id).filter(|_| goes_on);
        let lists = run.map(|run| run.to_weigh(index)).unwrap_or_default();
        if lists.is_empty() {
            return self.end_stage(id, index, status);
        }
        let weigh = self.weigh(id, index, lists);
        if let Some(live) = self
            .runs
            .get_mut(id)
            .and_then(|it| it.stages.get_mut(index))
        {
            *live = Live::Leaving { weigh, status };
        }
        // Its place is free.
        self.advance_in_turn(Some(id));
    }

    /// Has what a stage is to have left weighed, before it is taken over.
    pub(super) fn weigh_before(&mut self, id: &RunId, index: usize) {
        let run = self.runs.get(id);
        let lists = run.map(|run| vec![Sought::all(run.outputs_of(index).to_vec())]);
        let weigh = self.weigh(id, index, lists.unwrap_or_default());
        if let Some(live) = self
            .runs
            .get_mut(id)
            .and_then(|it| it.stages.get_mut(index))
        {
            *live = Live::Weighing(weigh);
        }
    }

    /// Has what a command has waited for weighed once more, and starts it then; at once where it waited for no outputs.
    pub(super) fn enter_stage(&mut self, id: &RunId, index: usize) {
        let run = self.runs.get(id);
        let run = run.filter(|run| {
            run.definition(index)
                .is_some_and(|it| it.command().is_some())
        });
        let lists = run.map(|run| run.to_enter(index)).unwrap_or_default();
        if lists.is_empty() {
            return self.start_stage(id, index);
        }
        let weigh = self.weigh(id, index, lists);
        if let Some(live) = self
            .runs
            .get_mut(id)
            .and_then(|it| it.stages.get_mut(index))
        {
            *live = Live::Entering(weigh);
        }
    }

    fn weigh(&mut self, id: &RunId, stage: usize, lists: Vec<Sought>) -> WeighId {
        self.weighs = self.weighs.next();
        if let Some(run) = self.runs.get(id) {
            self.effects.push(Effect::Weigh {
                weigh: self.weighs,
                workspace: run.project.workspace,
                run: id.clone(),
                stage,
                base: run.report.project.clone(),
                lists,
            });
        }
        self.weighs
    }

    /// What matters of outputs is known now, or that it cannot be.
    pub(super) fn end_weighing(
        &mut self,
        weigh: WeighId,
        (id, index): (&RunId, usize),
        found: &[Option<OutputsDigest>],
    ) {
        let run = self.runs.get_mut(id);
        let live = run.and_then(|run| run.stages.get_mut(index));
        match live.as_deref() {
            Some(Live::Weighing(of)) if *of == weigh => {
                if let Some(live) = live {
                    *live = Live::Idle;
                }
                let found = found.first().copied().flatten();
                self.take_over_if_left(id, index, found);
                self.advance(id);
            }
            Some(Live::Entering(of)) if *of == weigh => {
                if let Some(run) = self.runs.get_mut(id) {
                    run.meet(index, found);
                }
                self.start_stage(id, index);
            }
            Some(Live::Leaving { weigh: of, status }) if *of == weigh => {
                let status = *status;
                self.end_left(id, (index, status), found);
            }
            // It was ended meanwhile.
            Some(_) | None => {}
        }
    }

    /// Ends a stage of which is known now, or never will be, what it has left and whether it found what it waited for.
    pub(super) fn end_left(
        &mut self,
        id: &RunId,
        (index, status): (usize, StageStatus),
        found: &[Option<OutputsDigest>],
    ) {
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        let own = run.outputs_of(index).to_vec();
        let (mine, others) = found.split_at(usize::from(!own.is_empty()).min(found.len()));
        let (given, shared) = others.split_at(run.to_meet(index).len().min(others.len()));
        let met = run.met.remove(&index).unwrap_or_default();
        run.hold_against(index, &met, given);
        if !own.is_empty() {
            let mine = mine.first().copied().flatten();
            run.note_lying(index, mine, shared);
            run.note_left(index, mine.map(|mine| Left::of_command(&own, mine)));
        }
        self.end_stage(id, index, status);
    }
}
