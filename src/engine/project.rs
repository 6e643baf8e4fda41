//! A project: what is known of its present content, what was proven, what is wanted.
//!
//! ```text
//! Stirred ──look──▶ Known(keys) ──no proof of keys──▶ run begins on this very view
//!    ▲                  │
//!    └──────touch───────┘
//! ```

use crate::engine::ask::Denied;
use crate::engine::change::ChangeSet;
use crate::engine::history::History;
use crate::engine::hold::Hold;
use crate::engine::keys::{Proof, Seen};
use crate::engine::passing::Habits;
use crate::engine::pending::Pending;
use crate::engine::proven::Proven;
use crate::engine::restarts::Restarts;
use crate::engine::rewritten::Recheck;
use crate::engine::run::{Culprits, Run};
use crate::engine::settling::Settle;
use crate::engine::state::Engine;
use crate::engine::status::Standing;
use crate::engine::{Known, Latest, ProjectId};
use crate::limits::PROOFS_MAX;
use crate::model::config::{OnBusy, Settings};
use crate::model::digest::StageKey;
use crate::model::id::{PipelineId, RunId};
use crate::model::path::RelPath;
use crate::model::run::{Cause, Changed, Verdict};
use crate::model::time::Tick;
use std::collections::{BTreeMap, VecDeque};

/// What the engine knows of a project.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) place: RelPath,
    pub(super) present: Present,
    /// What changed since the start of the last run of its own pipeline.
    pub(super) changes: ChangeSet,
    /// What the last run was begun with that has changed since content that passed.
    pub(super) unproven: ChangeSet,
    pub(super) proofs: VecDeque<Proof>,
    pub(super) history: History,
    pub(super) proven: Proven,
    pub(super) active: Option<RunId>,
    pub(super) pending: BTreeMap<PipelineId, Pending>,
    /// The cause of the next run that starts by itself.
    pub(super) auto: Cause,
    /// Content that is not run by itself although nothing is proven of it.
    pub(super) left_alone: Option<Vec<StageKey>>,
    /// The next content is left alone whatever it is: `on_start = false`.
    pub(super) leave_next: bool,
    /// What the void run before rewrote, while nothing has changed outside a run since.
    pub(super) culprits: Option<Culprits>,
    /// The runs that made way for other content, since one was let end.
    pub(super) restarts: Option<Restarts>,
    pub(super) habits: Habits,
    pub(super) recheck: Recheck,
    pub(super) last: Option<Latest>,
    pub(super) told: Option<Standing>,
    /// The first change that nothing has been done about; it outlives the looks that find further ones.
    pub(super) restless: Option<Tick>,
    /// What differs, as it was told, since things were quiet.
    pub(super) unsettled: ChangeSet,
    /// The run that will begin once it is quiet, if nothing changes.
    pub(super) poised: Option<Box<Run>>,
    /// What puts off its runs.
    pub(super) hold: Hold,
    /// It is no longer configured, and goes when its run has ended.
    pub(super) gone: bool,
}

/// What is known of a project's content, as its own pipeline depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// It may differ from what was seen.
    Stirred,
    /// It is this.
    Known(Seen),
}

impl Project {
    pub(super) fn new(known: Known) -> Self {
        Self {
            place: RelPath::root(),
            present: Present::Stirred,
            changes: ChangeSet::everything(),
            unproven: ChangeSet::everything(),
            proofs: known.proofs.into(),
            history: known.history,
            proven: known.proven,
            active: None,
            pending: BTreeMap::new(),
            auto: Cause::Start,
            left_alone: None,
            leave_next: false,
            culprits: None,
            restarts: None,
            habits: Habits::default(),
            recheck: Recheck::default(),
            last: known.last,
            told: None,
            restless: None,
            unsettled: ChangeSet::default(),
            poised: None,
            hold: Hold::default(),
            gone: false,
        }
    }

    /// A new configuration: its keys may be others, and unproven content is run as at a start.
    pub(super) fn renew(&mut self, wait: bool) {
        self.doubt();
        self.unproven = ChangeSet::everything();
        self.auto = Cause::Start;
        self.left_alone = None;
        self.leave_next = wait;
    }

    pub(super) fn doubt(&mut self) {
        self.present = Present::Stirred;
        self.poised = None;
    }

    /// What begins next of what is pending: what was asked for by name first, else what its content calls for.
    pub(super) fn next_pending(&self) -> Option<(&PipelineId, &Pending)> {
        let asked = self.pending.iter();
        let asked = asked.filter(|(_, pending)| !pending.is_by_itself());
        let asked = asked.min_by_key(|(_, pending)| pending.place());
        asked.or_else(|| self.pending.iter().next())
    }

    /// Takes over what a look has seen of its own pipeline's content.
    pub(super) fn see(&mut self, seen: Seen) {
        if std::mem::take(&mut self.leave_next) {
            self.left_alone = Some(seen.keys.clone());
            self.auto = Cause::Change;
        }
        self.present = Present::Known(seen);
    }

    /// Takes over what differs from the view before.
    pub(super) fn note_change(&mut self, changed: &Changed) {
        self.changes.merge(changed);
        self.unsettled.merge(changed);
    }

    /// What has changed since the run before began, and since content that passed.
    pub(super) fn differs(&self) -> (Changed, ChangeSet) {
        let changed = self.changes.changed();
        let mut unproven = self.unproven.clone();
        unproven.merge(&changed);
        (changed, unproven)
    }

    pub(super) fn known(&self) -> Option<&Seen> {
        match &self.present {
            Present::Known(seen) => Some(seen),
            Present::Stirred => None,
        }
    }

    /// The newest proof for these keys.
    pub(super) fn proof(&self, keys: &[StageKey]) -> Option<&Proof> {
        self.proofs.iter().rev().find(|proof| proof.keys == keys)
    }

    /// What a proof says by now: a pass on what has failed, too, is flaky, whenever and in whichever run that was.
    pub(super) fn verdict_of(&self, proof: &Proof) -> Verdict {
        let mut on = proof.on.iter();
        if proof.verdict == Verdict::Pass && on.any(|key| self.history.has_failed(*key)) {
            return Verdict::Flaky;
        }
        proof.verdict
    }

    /// The newest proof of its present content.
    pub(super) fn present_proof(&self) -> Option<&Proof> {
        self.proof(&self.known()?.keys)
    }

    /// The proof that a question may be answered with: an error is told, but proves nothing.
    pub(super) fn answer(&self) -> Option<&Proof> {
        self.present_proof().filter(|proof| proof.answers())
    }

    /// Whether its present content is unstable as far as one run shows it, which may be for what somebody saved.
    pub(super) fn is_unsure(&self) -> bool {
        self.present_proof()
            .is_some_and(|proof| proof.verdict == Verdict::Unstable && !proof.confirmed)
    }

    pub(super) fn remember(&mut self, proof: Proof) {
        self.note_green(proof.verdict);
        self.proofs.retain(|other| other.keys != proof.keys);
        self.proofs.push_back(proof);
        while self.proofs.len() > PROOFS_MAX {
            self.proofs.pop_front();
        }
    }

    /// What differs is counted from the present content on, if it passed.
    fn note_green(&mut self, verdict: Verdict) {
        if matches!(verdict, Verdict::Pass | Verdict::Flaky) {
            self.unproven = ChangeSet::default();
        }
    }
}

impl Engine {
    pub(super) fn touch_project(&mut self, id: &ProjectId, changed: &Changed, at: Tick) {
        let tick = at.min(self.now.tick);
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let first = *project.restless.get_or_insert(tick);
        let settle = self
            .settles
            .entry(id.clone())
            .or_insert(Settle::new(first, tick));
        settle.prolong(tick);
        project.doubt();
        match &project.active {
            Some(_) => self.blame(id, changed),
            // A change while nothing runs is somebody's edit: the next rewrite is a first one again.
            None => {
                project.culprits = None;
                project.habits.outside();
            }
        }
        self.mark(id);
    }

    pub(super) fn settings(&self, id: &ProjectId) -> Option<&Settings> {
        Some(&self.workspaces.get(&id.workspace)?.config()?.settings)
    }

    fn on_busy(&self, id: &ProjectId) -> Option<OnBusy> {
        Some(
            self.workspaces
                .get(&id.workspace)?
                .config()?
                .project(&id.task)?
                .on_busy,
        )
    }

    /// Starts, queues or lets be what its present content calls for by itself.
    pub(super) fn consider(&mut self, id: &ProjectId) {
        let serves = self
            .workspaces
            .get(&id.workspace)
            .is_some_and(super::workspace::Workspace::serves);
        if !serves || self.stopping || self.settles.contains_key(id) {
            return;
        }
        let Some(project) = self.projects.get_mut(id).filter(|project| !project.gone) else {
            return;
        };
        let Some(seen) = project.known().cloned() else {
            return;
        };
        let proof = project.proof(&seen.keys).map(|proof| proof.verdict);
        let proven = proof.is_some();
        if let Some(verdict) = proof {
            project.note_green(verdict);
        }
        if proven || project.left_alone.as_ref() == Some(&seen.keys) {
            if proven {
                project.auto = Cause::Change;
                project.restarts = None;
            }
            if project.is_unsure() {
                project.recheck.want(self.now.tick);
            }
            return;
        }
        let pipeline = self.default_pipeline(id);
        let Some(pipeline) = pipeline.map(|pipeline| pipeline.id.clone()) else {
            return;
        };
        if self.put_off(id) {
            return;
        }
        let cause = self.cause_now(id);
        match self.active_root(id) {
            None => {
                self.pend(id, &pipeline, cause);
                let next = self.projects.get(id).and_then(Project::next_pending);
                match next.map(|(next, _)| next.clone()) {
                    Some(next) if next != pipeline => self.want(id, &next, None),
                    _ => self.begin_pending(id, &pipeline, seen),
                }
            }
            Some(run) if run.seen.keys == seen.keys && run.report.pipeline == pipeline => {}
            Some(run) => {
                let (run, own) = (run.report.run.clone(), run.report.pipeline == pipeline);
                self.pend(id, &pipeline, cause);
                if own && self.on_busy(id) == Some(OnBusy::Restart) {
                    self.restart(id, &run);
                }
            }
        }
    }

    /// Why a run of the present content would begin now: a question is the cause only where nothing begins by itself.
    pub(super) fn cause_now(&self, id: &ProjectId) -> Cause {
        let Some(project) = self.projects.get(id) else {
            return Cause::Gate;
        };
        let at_rest = project.known().is_some_and(|seen| {
            project.proof(&seen.keys).is_some() || project.left_alone.as_ref() == Some(&seen.keys)
        });
        if at_rest { Cause::Gate } else { project.auto }
    }

    /// Goes on once a project's run has ended: what is wanted first, then what its content calls for.
    pub(super) fn go_on(&mut self, id: &ProjectId) {
        let Some(project) = self.projects.get(id) else {
            return;
        };
        if project.gone {
            self.drop_project(id);
            return;
        }
        let next = project.next_pending().map(|(pipeline, _)| pipeline.clone());
        let stirred = project.known().is_none();
        match next {
            Some(pipeline) => self.want(id, &pipeline, None),
            None if stirred && !self.settles.contains_key(id) => self.want_present(id),
            None => self.consider(id),
        }
    }

    /// Forgets a project that is no longer configured, once its run has ended.
    pub(super) fn drop_project(&mut self, id: &ProjectId) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        project.gone = true;
        let active = project.active.clone();
        let gone = Denied::UnknownProject(id.task.clone());
        let requests = self.refuse_all_pending(id, &gone);
        self.deny_gone(id, requests);
        self.settles.remove(id);
        self.take_leave(id);
        match active {
            Some(run) => self.cancel(&run, "project-removed"),
            None => {
                self.projects.remove(id);
                self.marked.remove(id);
                self.forget_if_done(id.workspace);
            }
        }
    }
}
