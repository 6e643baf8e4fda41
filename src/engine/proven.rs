//! What stages have proven: whose pass stands for which key, so that a run executes only what is missing.
//!
//! A pass is taken in when the evidence of its run is on disk, whatever became of that run, but only if nothing that the
//! stage reads was touched from the run's beginning until the look that concluded it, and if what it waited for has lain
//! there all along. It names the run that executed the stage, never one that took it over, and goes with that run's
//! evidence. A key that has failed, too, is taken over from nowhere: what it is now only another attempt tells.

use crate::engine::ProjectId;
use crate::engine::keys::Seen;
use crate::engine::run::{Live, Run};
use crate::engine::state::Engine;
use crate::engine::weighing::Left;
use crate::limits::STAGE_PROOFS_MAX;
use crate::model::digest::{InputDigest, OutputsDigest, StageKey, ToolsDigest};
use crate::model::id::{PipelineId, RunId, StageId};
use crate::model::run::{Outcome, StageReport, StageStatus, StageWork, Verdict};
use crate::model::summary;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// A stage that was executed and has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageProof {
    /// The run that executed it.
    pub run: RunId,
    /// Its place there, from 0.
    pub place: usize,
    /// Its id there.
    pub stage: StageId,
    /// Its key as far as a look tells it.
    pub content: StageKey,
    /// What it has left of the outputs that it declared.
    pub outputs: Option<OutputsDigest>,
    /// What that is made of.
    pub basis: Basis,
}

/// What the key of a stage was made of when it passed, as far as that is told: nothing is taken over by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The pipeline that it is a stage of.
    pub pipeline: Option<PipelineId>,
    /// The content that it read.
    pub input: Option<InputDigest>,
    /// With what it ran, if it declared a `toolchain`.
    pub tools: Option<ToolsDigest>,
}

/// What the stages of a project have proven, by key: the [`STAGE_PROOFS_MAX`] that were proven or taken over last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    proofs: VecDeque<(StageKey, StageProof)>,
}

impl Proven {
    /// Takes in that a stage has passed on this key; an older proof of it is forgotten.
    pub fn note(&mut self, key: StageKey, proof: StageProof) {
        self.proofs.retain(|(other, _)| *other != key);
        self.proofs.push_back((key, proof));
        while self.proofs.len() > STAGE_PROOFS_MAX {
            self.proofs.pop_front();
        }
    }

    /// The pass that stands for this key.
    #[must_use]
    pub fn of(&self, key: StageKey) -> Option<&StageProof> {
        let mut proofs = self.proofs.iter().rev();
        proofs
            .find(|(other, _)| *other == key)
            .map(|(_, proof)| proof)
    }

    /// All of it, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &(StageKey, StageProof)> {
        self.proofs.iter()
    }

    /// Forgets what these runs have proven: their evidence is gone, or about to say something else.
    pub(super) fn forget(&mut self, runs: &BTreeSet<RunId>) {
        self.proofs.retain(|(_, proof)| !runs.contains(&proof.run));
    }
}

/// How a stage that may start is gone about.
enum Course {
    /// It is executed.
    Execute,
    /// It is taken over, if what it has left is this.
    Weigh,
    /// It is taken over.
    TakeOver(Box<StageProof>),
}

impl Engine {
    /// What these stages of a run under way could be taken over from, as far as a look tells their keys.
    pub fn candidates(&self, run: &RunId) -> Vec<(StageKey, StageProof)> {
        let run = self.runs.get(run).filter(|run| !run.force);
        let Some((run, project)) =
            run.and_then(|run| Some((run, self.projects.get(&run.project)?)))
        else {
            return Vec::new();
        };
        let pending = run.report.stages.iter();
        let pending = pending.filter(|stage| stage.status == StageStatus::Pending);
        let contents: BTreeSet<StageKey> = pending.filter_map(|stage| stage.content_key).collect();
        let proofs = project.proven.iter();
        let fit = proofs.filter(|(_, proof)| contents.contains(&proof.content));
        fit.cloned().collect()
    }

    /// Takes a stage over that may start, or executes it once there is room; whether it was taken over.
    pub(super) fn set_about(&mut self, id: &RunId, stage: usize) -> bool {
        if let Some(run) = self.runs.get_mut(id) {
            run.fix_key(stage);
        }
        match self.course(id, stage) {
            None => {}
            Some(Course::TakeOver(proof)) => {
                self.take_over(id, stage, &proof);
                return true;
            }
            Some(Course::Weigh) => self.weigh_before(id, stage),
            Some(Course::Execute) => {
                let starts = self.may_start(id, stage) && self.has_mutex(id, stage);
                if let Some(run) = self.runs.get_mut(id) {
                    let since = run.waits_since.unwrap_or(self.now.tick);
                    run.waits_since = (!starts).then_some(since);
                }
                if starts {
                    self.enter_stage(id, stage);
                }
            }
        }
        false
    }

    /// How a stage that may start is gone about; nothing while that is being found out.
    fn course(&self, id: &RunId, stage: usize) -> Option<Course> {
        let run = self.runs.get(id)?;
        if *run.stages.get(stage)? != Live::Idle {
            return None;
        }
        let proof = self.proof_of_stage(run, stage);
        Some(match proof.filter(|_| !run.executes.contains(&stage)) {
            None => Course::Execute,
            Some(_) if !run.outputs_of(stage).is_empty() => Course::Weigh,
            Some(proof) => Course::TakeOver(Box::new(proof.clone())),
        })
    }

    /// The pass that a stage of a run may be taken over from.
    fn proof_of_stage(&self, run: &Run, stage: usize) -> Option<&StageProof> {
        let report = run.report.stages.get(stage)?;
        let is_command = matches!(report.work, StageWork::Command(_));
        let key = report.key.filter(|_| is_command && !run.force)?;
        let project = self.projects.get(&run.project)?;
        let proof = project.proven.of(key);
        proof.filter(|_| !project.history.has_failed(key))
    }

    /// Takes a stage over if what lies there is what the run left that executed it; else it is executed.
    pub(super) fn take_over_if_left(
        &mut self,
        id: &RunId,
        stage: usize,
        found: Option<OutputsDigest>,
    ) {
        let run = self.runs.get(id);
        let proof = run.and_then(|run| self.proof_of_stage(run, stage));
        let proof = proof.filter(|proof| found.is_some() && proof.outputs == found);
        match proof.cloned() {
            Some(proof) => self.take_over(id, stage, &proof),
            None => {
                if let Some(run) = self.runs.get_mut(id) {
                    run.executes.insert(stage);
                }
            }
        }
    }

    fn take_over(&mut self, id: &RunId, index: usize, proof: &StageProof) {
        let now = self.now.wall;
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        let outputs = run.outputs_of(index).to_vec();
        if let Some(left) = proof.outputs.filter(|_| !outputs.is_empty()) {
            run.note_left(index, Some(Left::of_command(&outputs, left)));
        }
        let Some(stage) = run.report.stages.get_mut(index) else {
            return;
        };
        stage.status = StageStatus::Succeeded;
        (stage.started_at, stage.completed_at) = (Some(now), Some(now));
        stage.exit_code = Some(0);
        stage.outcome = Outcome::Passed;
        stage.duration = Duration::ZERO;
        stage.summary = Some(summary::reused(&proof.run));
        stage.reused_from = Some(proof.run.clone());
        stage.reused_as = Some((proof.place, proof.stage.clone()));
        let project = run.project.clone();
        if let Some(key) = stage.key
            && let Some(project) = self.projects.get_mut(&project)
        {
            // What is of use is kept longest.
            project.proven.note(key, proof.clone());
        }
        self.tell_stage(id, index);
    }

    /// Takes in what the stages have proven that a run has executed, now that its evidence is on disk.
    pub(super) fn note_proven(&mut self, id: &ProjectId, run: &Run) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        if run.broken {
            return;
        }
        for (place, stage) in run.report.stages.iter().enumerate() {
            let own = stage.proven && stage.reused_from.is_none();
            if let Some((key, content)) = stage.key.zip(stage.content_key).filter(|_| own) {
                let proof = StageProof {
                    run: run.report.run.clone(),
                    place,
                    stage: stage.id.clone(),
                    content,
                    outputs: stage.outputs,
                    basis: Basis {
                        pipeline: Some(run.report.pipeline.clone()),
                        input: stage.input.or(run.report.input),
                        tools: stage.tools,
                    },
                };
                project.proven.note(key, proof);
            }
        }
    }
}

impl Run {
    /// Says of each stage whether its pass stands for its key, by what the look has seen that concludes the run.
    pub(super) fn admit_proven(&mut self, now_seen: Option<&Seen>) {
        let is_sound = !self.broken && self.report.verdict != Verdict::Error;
        let seen = now_seen.filter(|_| is_sound);
        let proven: Vec<bool> = (0..self.report.stages.len())
            .map(|place| seen.is_some_and(|seen| self.has_proven(place, seen)))
            .collect();
        for (stage, proven) in self.report.stages.iter_mut().zip(proven) {
            stage.proven = proven;
        }
    }

    fn has_proven(&self, place: usize, now_seen: &Seen) -> bool {
        let Some(stage) = self.report.stages.get(place) else {
            return false;
        };
        let is_known = self.outputs_of(place).is_empty() || stage.outputs.is_some();
        matches!(stage.work, StageWork::Command(_))
            && (stage.status, stage.outcome) == (StageStatus::Succeeded, Outcome::Passed)
            && self.has_stood_still(place, now_seen)
            && is_known
            && stage.key.is_some()
    }

    /// Whether a stage was executed by this run on content, and with outputs of others, that lay still all along.
    pub(super) fn has_stood_still(&self, place: usize, now_seen: &Seen) -> bool {
        let began_on = self.seen.keys.get(place);
        let stage = self.report.stages.get(place);
        began_on.is_some()
            && began_on == now_seen.keys.get(place)
            && stage.is_some_and(|stage| !self.is_affected(stage))
            && !self.shaken.contains(&place)
            && !self.kept.contains(&place)
    }

    /// Whether content that a stage reads was touched since the run began; of one that is a pipeline, any of the project's.
    fn is_affected(&self, stage: &StageReport) -> bool {
        let pipeline = self.report.pipeline.clone();
        match stage.work {
            StageWork::Command(_) => self.affected.contains(&(pipeline, stage.id.clone())),
            StageWork::Subpipeline { .. } => !self.affected.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests;
