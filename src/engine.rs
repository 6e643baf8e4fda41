//! The pure state machine that decides everything: what to look at, what to run, what is proven, what is told.
//!
//! `step(now, Input) -> Vec<Effect>` takes one fact at a time and returns what to do about it. It never does I/O, reads
//! a clock or logs. Invariants, each with an oracle in `tests/simulation`:
//!
//! - a change is never lost: it is in a view that a run began on, or that a standing proof covers;
//! - a project has at most one active run (with its children), and per pipeline at most one pending by itself;
//! - a run that waits under an id begins under it, or is told once to be dropped;
//! - a run ends in exactly one terminal status, and nobody hears of it before its evidence is recorded;
//! - a verdict is looked up by stage keys, never by time.
//!
//! The order of inputs carries meaning: what a tree reports arrives in the order in which it was seen, so that a
//! `Captured` covers every `Touched` before it.

pub mod ask;
pub mod change;
mod discarded;
pub mod graph;
pub mod history;
mod hold;
pub mod keys;
mod looks;
mod mutexes;
pub mod news;
mod passing;
mod pending;
mod project;
pub mod proven;
mod queued;
mod requests;
mod restarts;
mod rewritten;
mod run;
mod runs;
mod seek;
mod settling;
mod stages;
mod state;
mod status;
#[cfg(test)]
mod trial;
mod turns;
mod verdicts;
mod waiters;
pub mod weighing;
pub mod why;
mod workspace;

use crate::model::config::Config;
use crate::model::digest::OutputsDigest;
use crate::model::evidence::Layout;
use crate::model::id::{CaptureId, RequestId, RunId, Seq, TaskId, WeighId, WorkspaceId};
use crate::model::path::{RelPath, RootPath};
use crate::model::report::status::{Failure, LastRun};
use crate::model::run::{Changed, Ending, RunReport};
use crate::model::time::{Now, Tick, Timestamp};
use crate::model::view::{Sign, Subject, View};
use ask::{Ask, Reply, Stop};
use history::History;
use keys::Proof;
use news::News;
use proven::Proven;
use run::MISSING;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weighing::Sought;

pub use hold::Held;
pub use mutexes::MutexWait;
pub use queued::QueuedRun;
pub use state::Engine;
pub use status::{ProjectStanding, Running, Standing, WorkspaceStanding};
pub use verdicts::failure;

/// A project within one daemon's life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectId {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its task.
    pub task: TaskId,
}

/// A fact that the engine is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A workspace is there; nothing is known of it yet.
    Opened {
        /// Its name from now on.
        workspace: WorkspaceId,
        /// Where it lies.
        root: RootPath,
        /// How the files of its runs are called.
        layout: Layout,
    },
    /// Its configuration was read.
    Configured {
        /// The workspace.
        workspace: WorkspaceId,
        /// What its files say.
        setup: Setup,
    },
    /// Its configuration was read and is refused; the last good one stays.
    Misconfigured {
        /// The workspace.
        workspace: WorkspaceId,
        /// What is wrong with it.
        detail: String,
    },
    /// How well it is watched has changed.
    Watched {
        /// The workspace.
        workspace: WorkspaceId,
        /// How well.
        watch: Watch,
    },
    /// Another directory has taken the place of its root.
    Replaced {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// Content may differ.
    Touched {
        /// The workspace.
        workspace: WorkspaceId,
        /// The projects that read it, and what may differ for each.
        projects: BTreeMap<TaskId, Changed>,
        /// When it was touched at the latest: quiet is counted from there. Never later than it is told.
        at: Tick,
    },
    /// Git changes files, or does so no longer.
    Held {
        /// The workspace.
        workspace: WorkspaceId,
        /// What tells of it, for the projects that it is about; none of the others.
        by: BTreeMap<TaskId, BTreeSet<Sign>>,
    },
    /// A look at the content has ended.
    Captured {
        /// The look.
        capture: CaptureId,
        /// The workspace.
        workspace: WorkspaceId,
        /// What was seen; nothing when the look failed.
        views: Option<Vec<View>>,
    },
    /// It is to be forgotten.
    Closed {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// Evidence of a run is in its place, or could not be put there; [`Record`] says what of it survives a power cut.
    Recorded {
        /// The run.
        run: RunId,
        /// Which evidence.
        record: Record,
        /// Why it is not on disk.
        failure: Option<String>,
    },
    /// An attempt of a stage has ended.
    StageEnded {
        /// The run.
        run: RunId,
        /// The stage's place in its pipeline, from 0.
        stage: usize,
        /// How.
        ending: Ending,
    },
    /// A mutex that was asked for is this process's, or cannot be anybody's: then a stage that names it cannot start.
    MutexTaken {
        /// Its name.
        mutex: String,
    },
    /// A mutex that was asked for is another process's.
    MutexBusy {
        /// Its name.
        mutex: String,
        /// Who holds it, in words.
        holder: String,
    },
    /// What lies on disk of outputs was digested, as far as that was possible.
    Weighed {
        /// The weighing.
        weigh: WeighId,
        /// The run that asked for it.
        run: RunId,
        /// The stage's place in its pipeline, from 0.
        stage: usize,
        /// What is there of each list, in their order.
        outputs: Vec<Option<OutputsDigest>>,
    },
    /// Evidence that was on disk is gone, or says something else now.
    Discarded {
        /// The workspace.
        workspace: WorkspaceId,
        /// The runs that it was of.
        runs: BTreeSet<RunId>,
    },
    /// Somebody asks something.
    Asked {
        /// The question's name.
        request: RequestId,
        /// The question.
        ask: Ask,
        /// When an answer is too late.
        deadline: Option<Tick>,
    },
    /// Nobody waits for this answer any more.
    Withdrawn {
        /// The question's name.
        request: RequestId,
    },
    /// The daemon is to end.
    Stopping,
    /// Time has passed.
    Woke {
        /// Where content may differ of which nothing has been told yet.
        unsure: BTreeSet<WorkspaceId>,
    },
}

/// What a workspace's files say, and whether it may be done.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Arc<Config>,
    /// Whether its commands may run.
    pub trust: Trust,
    /// What the evidence on disk says of each task.
    pub known: BTreeMap<TaskId, Known>,
}

/// Whether the commands of a configuration may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They were allowed as they are.
    Allowed,
    /// They are others than were allowed: nothing of them begins, and what was begun of those before may end.
    Untrusted {
        /// What is missing, or what has changed.
        detail: String,
    },
    /// None are allowed, or no longer: what runs of them is ended.
    Denied {
        /// What is missing.
        detail: String,
    },
}

impl Trust {
    /// Why nothing may begin.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Allowed => None,
            Self::Untrusted { detail } | Self::Denied { detail } => Some(detail),
        }
    }
}

/// What the evidence on disk says of a task.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its newest run.
    pub last: Option<Latest>,
    /// What its runs have proven, oldest first.
    pub proofs: Vec<Proof>,
    /// What its runs, those of its other pipelines and child runs too, have said against stage keys.
    pub history: History,
    /// What the stages of these runs have proven, the oldest first.
    pub proven: Proven,
}

/// The newest run of a project, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// The run.
    pub run: LastRun,
    /// The stage that failed in it first.
    pub failure: Option<Failure>,
}

/// How well a workspace is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Every change is told.
    Watching,
    /// Changes are found by scanning; why.
    Polling {
        /// Why, and what lifts it.
        detail: String,
    },
    /// Its view is being rebuilt; no verdict meanwhile.
    Rescanning {
        /// Why.
        detail: String,
    },
    /// Its root is not there; no verdict meanwhile.
    Missing {
        /// What became of it.
        detail: String,
    },
}

/// Which evidence was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The run's directory with its first manifest: the files are synced and under their names. The directories are
    /// synced while the first stage runs.
    Begin,
    /// Everything of a run that has ended, files and directories synced.
    End,
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Look at the content of these projects, with every change made before seen; tell `Captured`.
    Capture {
        /// The look's name.
        capture: CaptureId,
        /// The workspace.
        workspace: WorkspaceId,
        /// What to look at; empty: only see every change made before.
        subjects: Vec<Subject>,
    },
    /// A run will begin soon, unless something changes: what of its first evidence can be made ready is, where nobody
    /// finds it.
    Foresee {
        /// The run, as it will begin.
        report: Box<RunReport>,
    },
    /// Write a run's directory and first manifest, where readers find them; tell `Recorded`.
    Begin {
        /// The run.
        report: Box<RunReport>,
        /// Whether its directory is there already: a resume.
        resumed: bool,
    },
    /// Put a run's progress on disk; a later one may overtake it.
    Record {
        /// The run.
        report: Box<RunReport>,
    },
    /// Put a run's final evidence on disk, durably and in its order; tell `Recorded`.
    End {
        /// The run.
        report: Box<RunReport>,
        /// What is known of its project once it is told; nothing for a child run.
        standing: Option<Standing>,
    },
    /// Put what is known of a project on disk; a later one may overtake it.
    State {
        /// The workspace.
        workspace: WorkspaceId,
        /// What is known.
        standing: Standing,
    },
    /// Execute an attempt of a stage; tell `StageEnded`.
    StartStage {
        /// The run.
        run: RunId,
        /// The configuration that it runs under.
        config: Arc<Config>,
        /// The run as it stands.
        report: Box<RunReport>,
        /// The stage's place in its pipeline, from 0.
        stage: usize,
    },
    /// Take a mutex against every other process, however long that lasts; tell `MutexTaken`, and `MutexBusy` meanwhile.
    TakeMutex {
        /// Its name.
        mutex: String,
    },
    /// Let go of a mutex, or take it no more.
    LeaveMutex {
        /// Its name.
        mutex: String,
    },
    /// Signal the process group of a stage.
    StopStage {
        /// The run.
        run: RunId,
        /// The stage's place in its pipeline, from 0.
        stage: usize,
        /// How hard.
        stop: Stop,
    },
    /// Digest what lies on disk of declared outputs, ignored or not; tell `Weighed`.
    Weigh {
        /// The weighing.
        weigh: WeighId,
        /// The workspace.
        workspace: WorkspaceId,
        /// The run that asks for it.
        run: RunId,
        /// The stage's place in its pipeline, from 0.
        stage: usize,
        /// The directory that the patterns are relative to.
        base: RelPath,
        /// What matches each is digested by itself.
        lists: Vec<Sought>,
    },
    /// Answer a question.
    Reply {
        /// The question's name.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// The queued run that an answered question is about has begun or is dropped: nobody has to stay for it any more.
    Release {
        /// The question's name.
        request: RequestId,
    },
    /// Tell every subscriber.
    Publish {
        /// Its number.
        seq: Seq,
        /// When.
        at: Timestamp,
        /// What.
        news: News,
    },
    /// Nothing of this workspace is under way any more; forget it.
    Forget {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// Everything has been recorded and told: end the daemon.
    Exit,
}

impl Engine {
    /// Takes one fact at `now` and returns what to do about it.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.now = now;
        let mut unsure = None;
        match input {
            Input::Opened {
                workspace,
                root,
                layout,
            } => self.open(workspace, root, layout),
            Input::Configured { workspace, setup } => self.configure(workspace, setup),
            Input::Misconfigured { workspace, detail } => self.misconfigure(workspace, detail),
            Input::Watched { workspace, watch } => self.watch(workspace, watch),
            Input::Replaced { workspace } => self.end_runs(workspace, MISSING),
            Input::Touched {
                workspace,
                projects,
                at,
            } => self.touch(workspace, &projects, at),
            Input::Held { workspace, by } => self.hold(workspace, &by),
            Input::Captured {
                capture,
                workspace,
                views,
            } => self.see(capture, workspace, views),
            Input::Closed { workspace } => self.close(workspace),
            Input::Recorded {
                run,
                record,
                failure,
            } => self.note_record(&run, record, failure),
            Input::StageEnded { run, stage, ending } => self.end_attempt(&run, stage, &ending),
            Input::Weighed {
                weigh,
                run,
                stage,
                outputs,
            } => self.end_weighing(weigh, (&run, stage), &outputs),
            Input::MutexTaken { mutex } => self.take_mutex(&mutex),
            Input::MutexBusy { mutex, holder } => self.note_holder(&mutex, holder),
            Input::Discarded { workspace, runs } => self.discard(workspace, &runs),
            Input::Asked {
                request,
                ask,
                deadline,
            } => self.ask(request, ask, deadline),
            Input::Withdrawn { request } => self.withdraw(request),
            Input::Stopping => self.stop(),
            Input::Woke { unsure: told } => unsure = Some(told),
        }
        self.pass_time(unsure.as_ref());
        self.start_looks();
        self.tell_queued();
        self.tell_standings();
        self.tell_holding();
        self.tidy_mutexes();
        self.exit_if_done();
        self.check();
        std::mem::take(&mut self.effects)
    }
}
