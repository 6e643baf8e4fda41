//! Stage keys: what a result depends on, and what has been proven of it.
//!
//! A verdict stands for exactly the keys that it was found on. Two contents with the same keys are the same content as
//! far as the pipeline can see; that is why a branch switched away and back is proven at once.

use crate::limits::SUBPIPELINE_DEPTH_MAX;
use crate::model::config::{Action, Config, Pipeline, Stage};
use crate::model::digest::{Digest, InputDigest, StageKey, ToolsDigest};
use crate::model::id::{PipelineId, RunId, Seq, StageId};
use crate::model::run::Verdict;
use crate::model::view::View;
use std::collections::{BTreeMap, BTreeSet};

/// What a run proved of some content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The keys of its stages, in declared order.
    pub keys: Vec<StageKey>,
    /// What the run said; a pass is flaky where one of the keys that it stands on has failed.
    pub verdict: Verdict,
    /// The keys on which its stages have passed, and those below them.
    pub on: BTreeSet<StageKey>,
    /// The run.
    pub run: RunId,
    /// Whether it failed for time: how much a stage is given is in no key, and another configuration may give it more.
    pub timed_out: bool,
    /// Whether a run on what an unstable run had left was unstable again: somebody's save is not.
    pub confirmed: bool,
    /// The visible change that told it; the first of all for what an earlier daemon has told.
    pub told: Seq,
}

impl Proof {
    /// Whether it answers a question: an error is told, but proves nothing.
    #[must_use]
    pub fn answers(&self) -> bool {
        !matches!(self.verdict, Verdict::Error | Verdict::Unknown)
    }
}

/// The content of a project as one pipeline depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The content that any stage reads.
    pub input: InputDigest,
    /// The key of each stage, in declared order.
    pub keys: Vec<StageKey>,
    /// The content that each command stage reads, those of subpipelines included.
    pub inputs: BTreeMap<(PipelineId, StageId), InputDigest>,
    /// With what those of them run that declare a `toolchain`.
    pub tools: BTreeMap<(PipelineId, StageId), ToolsDigest>,
}

impl Seen {
    /// Derives the keys of a pipeline's stages from what a look has seen.
    #[must_use]
    pub fn of(config: &Config, pipeline: &Pipeline, view: &View) -> Self {
        let seen = Self {
            input: view.input,
            keys: Vec::new(),
            inputs: view.stages.clone(),
            tools: view.tools.clone(),
        };
        seen.under(config, pipeline)
    }

    /// The same content as this pipeline of this configuration depends on it.
    #[must_use]
    pub fn under(&self, config: &Config, pipeline: &Pipeline) -> Self {
        Self {
            input: self.input,
            keys: self.keys_of(config, pipeline, SUBPIPELINE_DEPTH_MAX),
            inputs: self.inputs.clone(),
            tools: self.tools.clone(),
        }
    }

    fn keys_of(&self, config: &Config, pipeline: &Pipeline, depth: usize) -> Vec<StageKey> {
        let stages = pipeline.stages.iter();
        stages
            .map(|stage| self.key_of(config, pipeline, stage, depth))
            .collect()
    }

    fn key_of(
        &self,
        config: &Config,
        pipeline: &Pipeline,
        stage: &Stage,
        depth: usize,
    ) -> StageKey {
        let key = match &stage.action {
            Action::Command(command) => {
                let place = (pipeline.id.clone(), stage.id.clone());
                let input = self.inputs.get(&place).copied().unwrap_or(self.input);
                command.stage_key(input, self.tools.get(&place).copied())
            }
            Action::Subpipeline(sub) => {
                let child = config.pipeline(&sub.pipeline).filter(|_| depth > 0);
                let below = child.map(|child| self.keys_of(config, child, depth.saturating_sub(1)));
                let kind = if sub.optional { "optional" } else { "required" };
                let below = below.unwrap_or_default();
                let below: String = below.iter().map(|key| format!(" {key}")).collect();
                StageKey(Digest::of(format!("subpipeline {kind}{below}").as_bytes()))
            }
        };
        pipeline.key_in_place(stage, key)
    }
}
