//! What one file says, before the two files are put together: the parts of a `Config` and where each name stands.
//!
//! `toml` and `codex` make drafts, `check` makes a `Config` of them. A draft holds only what could be read; whatever
//! could not is a fault in [`Faults`], so that one mistake does not hide the next.

use crate::limits::FAULTS_HELD_MAX;
use crate::model::config::fault::{Fault, Problems};
use crate::model::config::source::{Origin, Spot, Spotted};
use crate::model::config::{OnBusy, Pipeline, Settings, Waiver};
use crate::model::id::{PipelineId, StageId, TaskId};
use crate::model::path::RelPath;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// What one file says.
#[derive(Debug, Default)]
pub struct Draft {
    /// How the workspace is watched; `None` where the file does not say such things.
    pub settings: Option<Settings>,
    /// Whether it says what to ignore, be it nothing.
    pub ignore_declared: bool,
    /// The pipeline of projects that name none.
    pub default_pipeline: Option<Spotted<PipelineId>>,
    /// Its projects.
    pub projects: Vec<DraftProject>,
    /// Its pipelines.
    pub pipelines: Vec<DraftPipeline>,
    /// Its templates.
    pub templates: Vec<DraftPipeline>,
    /// What is odd but allowed.
    pub warnings: Vec<String>,
}

/// A project as it is written.
#[derive(Debug)]
pub struct DraftProject {
    /// Its task id.
    pub task: Spotted<TaskId>,
    /// Its directory.
    pub path: Spotted<RelPath>,
    /// Its pipeline, if it names one.
    pub pipeline: Option<Spotted<PipelineId>>,
    /// What a change does while a run is under way.
    pub on_busy: OnBusy,
    /// Its guardrails.
    pub required: Vec<StageId>,
    /// Its time limit.
    pub sla: Option<Duration>,
    /// Its waivers.
    pub waivers: Vec<Waiver>,
}

/// A pipeline as it is written.
#[derive(Debug)]
pub struct DraftPipeline {
    /// The pipeline; what its stages refer to is not checked yet.
    pub pipeline: Pipeline,
    /// Where its id stands.
    pub spot: Spot,
    /// Where the names in its stages stand, stage by stage.
    pub stages: Vec<StageSpots>,
    /// Stages that leave their command open; only those of a template may.
    pub open: BTreeSet<StageId>,
    /// Stages that are faulty otherwise: a `needs` that names one is no second mistake.
    pub broken: BTreeSet<StageId>,
    /// Whether something stands there as its stages, be it faulty.
    pub has_stages: bool,
}

/// Where the names in a stage stand.
#[derive(Clone, Debug)]
pub struct StageSpots {
    /// Its id.
    pub id: Spot,
    /// Its needs, one by one.
    pub needs: Vec<Spot>,
    /// The pipeline that it runs, or the stage itself.
    pub pipeline: Spot,
}

/// The faults found so far.
#[derive(Debug)]
pub struct Faults {
    origin: Origin,
    found: Vec<(Option<Spot>, Fault)>,
    /// Faults beyond `FAULTS_HELD_MAX`: counted, not held.
    beyond: usize,
}

impl Faults {
    /// None yet, in this file.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            found: Vec::new(),
            beyond: 0,
        }
    }

    /// The spot of a range of bytes of the file.
    #[must_use]
    pub fn spot(&self, bytes: Range<usize>) -> Spot {
        Spot::new(self.origin, bytes)
    }

    /// Notes a fault at a range of bytes of the file.
    pub fn add(&mut self, bytes: Range<usize>, fault: Fault) {
        self.add_at(Some(self.spot(bytes)), fault);
    }

    /// Notes a fault at a spot of either file, or at none.
    pub fn add_at(&mut self, spot: Option<Spot>, fault: Fault) {
        self.add_with(spot, || fault);
    }

    /// Notes a fault that is made only if it is held, because it lists names.
    pub fn add_with(&mut self, spot: Option<Spot>, fault: impl FnOnce() -> Fault) {
        if self.found.len() < FAULTS_HELD_MAX {
            self.found.push((spot, fault()));
        } else {
            self.beyond += 1;
        }
    }

    /// Takes a result's value; its error is noted.
    pub fn take<T>(
        &mut self,
        bytes: Range<usize>,
        result: Result<T, impl Into<Fault>>,
    ) -> Option<T> {
        result.map_err(|fault| self.add(bytes, fault.into())).ok()
    }

    /// Takes over what another collector found.
    pub fn merge(&mut self, other: Self) {
        self.found.extend(other.found);
        self.beyond += other.beyond;
    }

    /// Whether a file could not be read at all, so that nothing can be said about what it defines.
    #[must_use]
    pub fn hide_more(&self) -> bool {
        let unread = |fault: &Fault| matches!(fault, Fault::Syntax { .. } | Fault::TooMany { .. });
        self.found.iter().any(|(_, fault)| unread(fault))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems that they are; `text` gives the text of a spot's file.
    #[must_use]
    pub fn into_problems<'t>(self, text: impl Fn(Spot) -> &'t str) -> Problems {
        Problems::new(self.found, self.beyond, text)
    }
}
