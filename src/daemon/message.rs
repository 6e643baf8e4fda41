//! What blocking work and children tell the loop.
//!
//! Everything that happens outside the loop comes in as one of these, through one bounded queue.

use crate::daemon::auditing::Part;
use crate::daemon::errands::Tried;
use crate::daemon::evidence::{Desk, Found, Inspected, Known, Recovery, Reopened};
use crate::daemon::mutexes::MutexLook;
use crate::daemon::outputs::Outputs;
use crate::daemon::server::Asked;
use crate::daemon::site::{Facts, Prepared};
use crate::daemon::toolchain::Toolchains;
use crate::daemon::tree::{Signs, Tree, TreeError};
use crate::daemon::watcher::WatchError;
use crate::disk::configuration::{ConfigurationError, Loaded};
use crate::engine::Record;
use crate::model::digest::OutputsDigest;
use crate::model::id::{CaptureId, RequestId, RunId, TaskId, WeighId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::runs::ListedRun;
use crate::model::report::why::WhyProject;
use crate::model::run::Ending;
use crate::model::view::{Touches, View};
use crate::wire::answer::Answer;
use crate::wire::call::WorkspaceAllow;
use crate::wire::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// Something that was done for a workspace.
#[derive(Debug)]
pub(super) struct Done {
    /// The workspace.
    pub(super) workspace: WorkspaceId,
    /// What.
    pub(super) what: What,
}

/// What was done.
#[derive(Debug)]
pub(super) enum What {
    /// It was read for the first time, or again after its root was missing.
    Prepared(Box<Prepared>),
    /// It was looked whether its root is there, because it was missing.
    Rooted(bool),
    /// Its tree is free again.
    TreeBack(Box<Tree>),
    /// Its desk is free again.
    DeskBack(Box<Desk>),
    /// What is known of its outputs is free again.
    OutputsBack(Box<Outputs>),
    /// What lies on disk of outputs was digested, as far as that was possible.
    Weighed {
        /// The weighing.
        weigh: WeighId,
        /// The run that asked for it.
        run: RunId,
        /// The stage's place, from 0.
        stage: usize,
        /// What is there of each list.
        outputs: Vec<Option<OutputsDigest>>,
    },
    /// Its files were looked at.
    Looked(Box<Looked>),
    /// It was not watched, and is from now on, unless that has failed: runs wait for it.
    Watched(Box<Looked>),
    /// A part of it was compared with its disk.
    Audited(Box<Part>),
    /// A part of what its tree knows was written down; whether there is more.
    Kept(bool),
    /// It was looked whether git still changes files.
    Git(Signs),
    /// Evidence of a run is on disk, or not.
    Recorded {
        /// The run.
        run: RunId,
        /// Which.
        record: Record,
        /// Why not.
        failure: Option<String>,
        /// The runs whose passes it could have taken over, and whose evidence does not tell of them any more.
        gone: BTreeSet<RunId>,
    },
    /// An attempt of a stage has ended.
    StageEnded {
        /// The run.
        run: RunId,
        /// The stage's place, from 0.
        stage: usize,
        /// How.
        ending: Box<Ending>,
    },
    /// It was looked whether a mutex is free.
    Mutex(MutexLook),
    /// Its configuration was read again.
    Loaded {
        /// What it says.
        loaded: Box<Result<Loaded, ConfigurationError>>,
        /// What the evidence says of its tasks.
        known: BTreeMap<TaskId, Known>,
        /// What to do then.
        then: Then,
    },
    /// Old runs of a task were removed.
    Removed {
        /// The task.
        task: TaskId,
        /// Which, or why they could not be.
        gone: Result<BTreeSet<RunId>, String>,
    },
    /// Runs of other owners were looked at again.
    Rechecked(Recovery),
    /// The newest runs of it, for somebody who asks for those of several.
    Runs {
        /// Who asks.
        request: RequestId,
        /// The rows, or why there are none.
        rows: Result<Vec<ListedRun>, Refusal>,
        /// Whether there are runs of what is asked about at all.
        known: bool,
    },
    /// Its runs that a part of an id names, for somebody who looks everywhere.
    Found {
        /// Who asks.
        request: RequestId,
        /// What was found.
        found: Result<Found, Refusal>,
    },
    /// A run was opened to be taken up again.
    Reopened {
        /// Who asks.
        request: RequestId,
        /// The run.
        run: RunId,
        /// What its files say.
        reopened: Box<Result<Reopened, Refusal>>,
    },
    /// Another watcher was started in place of one that has ended, or could not be.
    Revived(Result<(), WatchError>),
    /// What is registered or allowed was changed, or could not be.
    Tried(Box<Tried>),
    /// The path that a question names was looked up.
    Resolved {
        /// The question.
        asked: Box<Asked>,
        /// What the path leads to, or why it is none to speak of.
        real: Result<RootPath, Refusal>,
    },
    /// The evidence that an answer would name was looked at.
    Inspected {
        /// Who asks for what.
        asked: Box<Asked>,
        /// What became of it, by workspace.
        found: Vec<(WorkspaceId, Inspected)>,
    },
    /// It was chosen what its stages read of what has changed, for somebody who asks why they are proven or not.
    Reasoned {
        /// Who asks.
        request: RequestId,
        /// What is said of its projects.
        projects: Vec<WhyProject>,
    },
    /// A question was answered.
    Answered {
        /// Who asked.
        request: RequestId,
        /// The answer.
        answer: Box<Result<Answer, Refusal>>,
    },
}

/// A look at a workspace's files.
#[derive(Debug)]
pub(super) struct Looked {
    /// What was touched; an error when they cannot be looked at.
    pub(super) touches: Result<Touches, TreeError>,
    /// The look that was asked for, and what it saw.
    pub(super) capture: Option<(CaptureId, Option<Vec<View>>)>,
    /// What became of the evidence that the look's answer may rest on.
    pub(super) inspected: Inspected,
    /// How the watching stands.
    pub(super) facts: Facts,
    /// Its number, if it has settled whatever was in doubt when it was asked for.
    pub(super) settles: Option<u64>,
    /// It is the examination that was on its way.
    pub(super) examined: bool,
    /// What is known of the tools that stages run with, if it was lent.
    pub(super) toolchains: Option<Toolchains>,
}

impl Looked {
    /// What a look touched that nobody had asked for, and that settles nothing.
    pub(super) fn by_itself(touches: Result<Touches, TreeError>, facts: Facts) -> Self {
        Self {
            touches,
            capture: None,
            inspected: Inspected::default(),
            facts,
            settles: None,
            examined: false,
            toolchains: None,
        }
    }
}

/// What to do once a configuration was read again.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing more.
    Rest,
    /// Its files had changed: what waits for that is lifted.
    Lift,
    /// Somebody asked for the reload.
    Reload(RequestId),
    /// Somebody wants its commands allowed, or shown.
    Allow(RequestId, Box<WorkspaceAllow>),
}
