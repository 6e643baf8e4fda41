//! Why a stage is proven or not: its present key held against those that were proven, part by part.
//!
//! It decides nothing. Which part of a key differs is derived: a key made of the old inputs and tools and of the present
//! definition is the old key only if the definition is the same. Which paths a stage reads is not known here: change sets
//! are handed out whole, for the tree to choose from.

use crate::engine::ProjectId;
use crate::engine::change::ChangeSet;
use crate::engine::graph::Graph;
use crate::engine::keys::Seen;
use crate::engine::project::Project;
use crate::engine::proven::StageProof;
use crate::engine::run::Run;
use crate::engine::state::Engine;
use crate::limits::SUBPIPELINE_DEPTH_MAX;
use crate::model::config::{Action, Command, Config, Pipeline, Stage};
use crate::model::digest::{OutputsDigest, StageKey};
use crate::model::id::PipelineId;
use crate::model::report::why::{Because, StageProven, WhyStage};
use crate::model::run::Changed;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be said of a stage, and the change sets from which its own paths are still to be chosen.
#[derive(Clone, Debug)]
pub struct StageWhy {
    /// What is said of it; without paths.
    pub told: WhyStage,
    /// What has changed in its project since its last proof, or since longer ago; told only where its inputs differ.
    pub changed: Option<Arc<Changed>>,
    /// What has changed in its project while its run is under way, if that makes the run void for it.
    pub void: Option<Arc<Changed>>,
}

/// A stage at its place in its pipeline, from 0.
type About<'a> = (&'a Pipeline, usize, &'a Stage);

/// What a walk over a project's stages goes by.
struct Inquiry<'a> {
    engine: &'a Engine,
    id: &'a ProjectId,
    project: &'a Project,
    config: &'a Config,
    seen: &'a Seen,
    /// What has changed since the last run of the project's own pipeline began that has ended, and since content that
    /// passed.
    since: (Arc<Changed>, Arc<Changed>),
    told: Vec<StageWhy>,
}

impl Engine {
    /// Why each stage of a project's own pipeline is proven or not; nothing where its present content is not known.
    #[must_use]
    pub fn why(&self, id: &ProjectId) -> Option<Vec<StageWhy>> {
        let project = self.projects.get(id)?;
        let config = self.workspaces.get(&id.workspace)?.config()?;
        let pipeline = self.default_pipeline(id)?;
        let mut inquiry = Inquiry {
            engine: self,
            id,
            project,
            config,
            seen: project.known()?,
            since: self.since(project, &pipeline.id),
            told: Vec::new(),
        };
        inquiry.walk(pipeline, Some(&[]), SUBPIPELINE_DEPTH_MAX);
        Some(inquiry.told)
    }

    /// What has changed since the project's last run began that has ended, and since content that passed.
    fn since(&self, project: &Project, own: &PipelineId) -> (Arc<Changed>, Arc<Changed>) {
        let mut last = ChangeSet::default();
        last.merge(&project.changes.changed());
        let active = project.active.as_ref().and_then(|run| self.runs.get(run));
        if let Some(run) = active.filter(|run| run.report.pipeline == *own) {
            last.merge(&run.report.changed);
        }
        let (_, green) = project.differs();
        (Arc::new(last.changed()), Arc::new(green.changed()))
    }
}

impl Inquiry<'_> {
    /// Asks about every stage of a pipeline; says what they leave of outputs, as far as their proofs tell it.
    fn walk(
        &mut self,
        pipeline: &Pipeline,
        inherited: Option<&[OutputsDigest]>,
        depth: usize,
    ) -> Option<Vec<OutputsDigest>> {
        let keys = self.seen.under(self.config, pipeline).keys;
        let graph = Graph::of(pipeline);
        let mut left: Vec<Option<Vec<OutputsDigest>>> = Vec::new();
        for (place, stage) in pipeline.stages.iter().enumerate() {
            let mut given = inherited.map(<[_]>::to_vec);
            for before in graph.before(place) {
                let of_one = left.get(before).cloned().flatten();
                given = given.zip(of_one).map(|(all, one)| [all, one].concat());
            }
            let leaves = match &stage.action {
                Action::Command(command) => {
                    let content = keys.get(place).copied()?;
                    let about = (pipeline, place, stage);
                    self.ask(about, command, content, given.as_deref())
                }
                Action::Subpipeline(sub) => {
                    let child = self.config.pipeline(&sub.pipeline).filter(|_| depth > 0)?;
                    let below = self.walk(child, given.as_deref(), depth.saturating_sub(1));
                    below.map(|below| match below.as_slice() {
                        [] => Vec::new(),
                        below => vec![OutputsDigest::together(below)],
                    })
                }
            };
            left.push(leaves);
        }
        left.into_iter()
            .collect::<Option<Vec<_>>>()
            .map(|left| left.concat())
    }

    /// Asks about one stage; says what it leaves.
    fn ask(
        &mut self,
        about: About<'_>,
        command: &Command,
        content: StageKey,
        given: Option<&[OutputsDigest]>,
    ) -> Option<Vec<OutputsDigest>> {
        let (pipeline, _, stage) = about;
        let key = given.map(|given| content.with_outputs(given));
        let proof = key.and_then(|key| self.project.proven.of(key));
        let failure = key.and_then(|key| self.project.history.newest_failure(key));
        let mut told = WhyStage {
            pipeline_id: pipeline.id.clone(),
            stage: stage.id.clone(),
            state: StageProven::Unproven,
            run_id: None,
            why: Vec::new(),
            changed: None,
            may_fail: command.allow_failure,
            running: None,
            void: None,
        };
        let (mut changed, mut void) = (None, None);
        match (proof, failure) {
            (Some(proof), None) => {
                told.state = StageProven::Proven;
                told.run_id = Some(proof.run.clone());
            }
            (proof, Some((run, is_flaky))) => {
                told.state = match proof.is_some() || is_flaky {
                    true => StageProven::Flaky,
                    false => StageProven::Failed,
                };
                told.run_id = Some(run.clone());
            }
            (None, None) => match self.last_proof(about) {
                None => told.why.push(Because::Never),
                Some(last) => {
                    told.why = self.differs(about, content, given, last);
                    told.run_id = Some(last.run.clone());
                    let inputs = told.why.contains(&Because::Inputs);
                    changed = inputs.then(|| self.since(last));
                }
            },
        }
        let running = self.run_of(about).filter(|_| proof.is_none());
        if let Some(run) = running {
            told.running = Some(run.report.run.clone());
            void = self.void(run, about, content);
        }
        let leaves = match command.outputs.is_empty() {
            true => Some(Vec::new()),
            false => proof.and_then(|proof| proof.outputs).map(|it| vec![it]),
        };
        let stage = StageWhy {
            told,
            changed,
            void,
        };
        self.told.push(stage);
        leaves
    }

    /// The newest pass of a stage, whatever its key was.
    fn last_proof(&self, (pipeline, place, stage): About<'_>) -> Option<&StageProof> {
        let mut same = pipeline.stages.iter().filter(|it| it.id == stage.id);
        let has_twin = same.nth(1).is_some();
        let proofs: Vec<_> = self.project.proven.iter().collect();
        let mut newest = proofs.into_iter().rev().map(|(_, proof)| proof);
        newest.find(|proof| {
            let of = proof.basis.pipeline.as_ref();
            proof.stage == stage.id
                && of.is_none_or(|of| *of == pipeline.id)
                && (!has_twin || proof.place == place)
        })
    }

    /// Which parts of a stage's key are not what they were when it passed.
    fn differs(
        &self,
        (pipeline, place, stage): About<'_>,
        content: StageKey,
        given: Option<&[OutputsDigest]>,
        last: &StageProof,
    ) -> Vec<Because> {
        if last.content == content {
            return vec![match given {
                Some(_) => Because::Outputs,
                None => Because::Waits,
            }];
        }
        let name = (pipeline.id.clone(), stage.id.clone());
        let present = self.seen.inputs.get(&name).copied();
        let present = present.unwrap_or(self.seen.input);
        let input = last.basis.input.unwrap_or(present);
        let tools = last.basis.tools;
        let old = Seen {
            input,
            keys: Vec::new(),
            inputs: BTreeMap::from([(name.clone(), input)]),
            tools: tools
                .map(|tools| (name.clone(), tools))
                .into_iter()
                .collect(),
        };
        let same = old.under(self.config, pipeline).keys.get(place) == Some(&last.content);
        let parts = [
            (Because::Inputs, input != present),
            (Because::Definition, !same),
            (
                Because::Toolchain,
                self.seen.tools.get(&name).copied() != tools,
            ),
        ];
        let parts = parts.into_iter().filter(|(_, differs)| *differs);
        parts.map(|(part, _)| part).collect()
    }

    /// What has changed since a pass: exactly, where the last run has it; else since content that passed, which was before.
    fn since(&self, last: &StageProof) -> Arc<Changed> {
        let run = self.project.last.as_ref().map(|last| &last.run.run_id);
        let (since_last, since_green) = &self.since;
        Arc::clone(match run == Some(&last.run) {
            true => since_last,
            false => since_green,
        })
    }

    /// The run under way that has a stage of this pipeline.
    fn run_of(&self, (pipeline, place, _): About<'_>) -> Option<&Run> {
        let mut runs = self.engine.runs.values();
        runs.find(|run| {
            run.project == *self.id
                && run.report.pipeline == pipeline.id
                && run.report.stages.get(place).is_some()
        })
    }

    /// What changed while a run is under way, if it will prove nothing of this stage for that.
    fn void(
        &self,
        run: &Run,
        (pipeline, place, stage): About<'_>,
        content: StageKey,
    ) -> Option<Arc<Changed>> {
        let name = (pipeline.id.clone(), stage.id.clone());
        let other = run.seen.keys.get(place) != Some(&content);
        let is_void = run.affected.contains(&name) || (other && !run.is_undisturbed());
        is_void.then(|| Arc::new(run.changed()))
    }
}

#[cfg(test)]
mod tests;
