//! What the engine holds, and what it promises of it after every step.
//!
//! One owner and no lock; whatever a step breaks of it stops the program rather than proving something wrong.

use crate::engine::mutexes::{Claim, MutexWait};
use crate::engine::news::{Dropped, News};
use crate::engine::pending::Pending;
use crate::engine::project::Project;
use crate::engine::run::Run;
use crate::engine::settling::Settle;
use crate::engine::waiters::Waiters;
use crate::engine::workspace::Workspace;
use crate::engine::{Effect, ProjectId};
use crate::model::config::Pipeline;
use crate::model::id::{CaptureId, PipelineId, RequestId, RunId, Seq, WeighId, WorkspaceId};
use crate::model::time::{Now, Tick, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;

/// The state machine; see the module above for what it takes and gives.
#[derive(Debug)]
pub struct Engine {
    pub(super) now: Now,
    pub(super) seq: Seq,
    pub(super) captures: CaptureId,
    pub(super) weighs: WeighId,
    pub(super) cores: NonZeroU32,
    salt: u64,
    pub(super) workspaces: BTreeMap<WorkspaceId, Workspace>,
    pub(super) projects: BTreeMap<ProjectId, Project>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) waiters: Waiters,
    /// Projects that wait for quiet; apart from them, so that a step does not cost a walk over all projects.
    pub(super) settles: BTreeMap<ProjectId, Settle>,
    /// Projects of which something visible may have changed in this step.
    pub(super) marked: BTreeSet<ProjectId>,
    /// Workspaces of which something waits for git, as it was told.
    pub(super) told_holding: BTreeSet<WorkspaceId>,
    /// What stages name that run, or that may start as soon as no other process has it.
    pub(super) mutexes: BTreeMap<String, Claim>,
    /// Projects of which a stage waits for another process, as it was told.
    pub(super) told_waits: BTreeMap<ProjectId, MutexWait>,
    /// Those who asked for a run in this step and were not answered yet.
    pub(super) answers_due: Vec<RequestId>,
    /// Where the run waits that somebody has asked for by name and is still there for: exactly those whom the queued
    /// runs have as their askers, so that one who goes away does not cost a walk over all of them.
    pub(super) askers: BTreeMap<RequestId, (ProjectId, PipelineId)>,
    /// The last runs that were queued and never began.
    pub(super) dropped: VecDeque<(WorkspaceId, RunId, Dropped)>,
    pub(super) stopping: bool,
    pub(super) exited: bool,
    pub(super) effects: Vec<Effect>,
}

impl Engine {
    /// An engine that knows nothing yet; `seed` makes its run ids, `cores` is how many stages run at once by default.
    #[must_use]
    pub fn new(seed: u64, cores: NonZeroU32) -> Self {
        Self {
            now: Now {
                tick: Tick::default(),
                wall: Timestamp::from_unix_ms(0),
            },
            seq: Seq::default(),
            captures: CaptureId::default(),
            weighs: WeighId::default(),
            cores,
            salt: seed,
            workspaces: BTreeMap::new(),
            projects: BTreeMap::new(),
            runs: BTreeMap::new(),
            waiters: Waiters::default(),
            settles: BTreeMap::new(),
            marked: BTreeSet::new(),
            told_holding: BTreeSet::new(),
            mutexes: BTreeMap::new(),
            told_waits: BTreeMap::new(),
            answers_due: Vec::new(),
            askers: BTreeMap::new(),
            dropped: VecDeque::new(),
            stopping: false,
            exited: false,
            effects: Vec::new(),
        }
    }

    /// The number of the last visible change.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// When `Woke` is due, unless something else happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Tick> {
        let settles = self
            .settles
            .iter()
            .filter_map(|(id, settle)| self.wait_due(id, *settle));
        let stages = self.runs.values().filter_map(Run::next_deadline);
        let waiters = self.waiters.next_deadline().into_iter();
        let rechecks = self.projects.values();
        let rechecks = rechecks.filter_map(|project| project.recheck.due());
        settles.chain(stages).chain(waiters).chain(rechecks).min()
    }

    pub(super) fn publish(&mut self, news: News) {
        self.seq = self.seq.next();
        self.effects.push(Effect::Publish {
            seq: self.seq,
            at: self.now.wall,
            news,
        });
    }

    pub(super) fn mark(&mut self, project: &ProjectId) {
        self.marked.insert(project.clone());
    }

    /// A run id that no run of this daemon's life has; splitmix64, so that a seed makes a simulation repeatable.
    pub(super) fn new_run(&mut self) -> RunId {
        self.salt = self.salt.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.salt;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let salt = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default();
        RunId::new(self.now.wall, salt)
    }

    /// The pipeline that a change of this project runs, if its workspace has a configuration.
    pub(super) fn default_pipeline(&self, id: &ProjectId) -> Option<&Pipeline> {
        let config = self.workspaces.get(&id.workspace)?.config()?;
        config.pipeline(&config.project(&id.task)?.pipeline)
    }

    /// What must hold after every step, whatever came in.
    pub(super) fn check(&self) {
        let pending = self.projects.values().flat_map(|it| it.pending.values());
        debug_assert_eq!(
            self.askers.len(),
            pending.map(Pending::askers).sum::<usize>(),
            "who asks for a queued run is known, and nobody else"
        );
        for (id, run) in &self.runs {
            let project = self.projects.get(&run.project);
            let active = project.and_then(|project| project.active.as_ref());
            match &run.parent_stage {
                None => assert_eq!(
                    active,
                    Some(id),
                    "a run without a parent is its project's only one"
                ),
                Some((parent, _)) => {
                    assert!(
                        self.runs.contains_key(parent),
                        "a child run never outlives its parent"
                    );
                }
            }
        }
    }
}
