//! Why a command did not do what was asked: the thing, the reason, the remedy.
//!
//! One enum for the whole client, because all of it ends in the same two places: [`super::exit`] and the words on
//! stderr. What the daemon refuses passes through unchanged.

use crate::client::output::OutputError;
use crate::client::place::PlaceError;
use crate::documents::failure::PaperError;
use crate::documents::flipping::FlipError;
use crate::documents::rewrite::RewriteError;
use crate::documents::shelf::ShelfError;
use crate::documents::task_index::TaskIndexError;
use crate::git::GitError;
use crate::git::revision::RevisionError;
use crate::model::id::{IdError, RunId, TaskId};
use crate::model::judged::Judged;
use crate::model::path::{PathError, plain};
use crate::model::places::PlacesError;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing could be printed.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// No directory to speak of.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A directory is no root.
    #[error(transparent)]
    Root(#[from] PathError),
    /// `MCP_RUNNER_TASK_ID` is no task id.
    #[error("MCP_RUNNER_TASK_ID is no task id")]
    Task(#[from] IdError),
    /// No socket to speak to.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// Nobody answers.
    #[error("no daemon answers at `{}`", socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It answered, and then no more.
    #[error("the daemon at `{}` went away", socket.display())]
    Lost {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection is good, but no answer comes.
    #[error("the daemon at `{}` has not answered within {} s", socket.display(), waited.as_secs())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// How long it was given.
        waited: Duration,
    },
    /// No answer came in the time that was named.
    #[error("the daemon at `{}` has not answered in time", socket.display())]
    Late {
        /// The socket.
        socket: PathBuf,
    },
    /// What answers does not speak our protocol.
    #[error("what answers at `{}` does not speak this protocol", socket.display())]
    Gibberish {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        #[source]
        source: GibberishError,
    },
    /// The daemon could not be started.
    #[error("`{} --detach` could not be started", program.display())]
    Spawn {
        /// The daemon's program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon was started and gave up; it said why itself.
    #[error("`{} --detach` gave up", program.display())]
    GaveUp {
        /// The daemon's program.
        program: PathBuf,
    },
    /// The daemon could not be hosted in this process.
    #[error("a daemon could not be hosted in this process")]
    Host(#[source] io::Error),
    /// What is to be judged is not known.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// What is to be judged could not be checked out.
    #[error("{judged} could not be checked out")]
    Checkout {
        /// What was to be judged.
        judged: Judged,
        /// Why.
        source: io::Error,
    },
    /// What git says of a push is something else.
    #[error("`{}` is no line of git's pre-push hook", line.escape_debug())]
    Push {
        /// The line.
        line: String,
    },
    /// The daemon refuses.
    #[error("{0}")]
    Refused(Refusal),
    /// No workspace is around, and the command needs one.
    #[error("`{}` lies in no workspace", plain(cwd.as_os_str()))]
    NoWorkspace {
        /// The current directory.
        cwd: PathBuf,
    },
    /// No registered workspace has the project.
    #[error("no watched workspace has a project with the task id `{task}`")]
    NoProject {
        /// The task id.
        task: TaskId,
    },
    /// More than one registered workspace has the project.
    #[error("more than one workspace has a project with the task id `{task}`: {}", roots.join(", "))]
    TwoProjects {
        /// The task id.
        task: TaskId,
        /// The workspaces.
        roots: Vec<String>,
    },
    /// There is no run yet.
    #[error("there is no run yet")]
    NoRun,
    /// The run has no such stage, or nothing that was logged.
    #[error("run {run} has no log of a stage `{stage}`")]
    NoLog {
        /// The run.
        run: RunId,
        /// The stage.
        stage: String,
    },
    /// The command runs in a stage of the run that it would wait for.
    #[error(
        "run {run} of `{task}` is the one that this command runs in, and it would wait for itself for ever"
    )]
    OwnRun {
        /// The run.
        run: RunId,
        /// Its project.
        task: TaskId,
    },
    /// Commands are not allowed, and nobody can be asked.
    #[error("the commands of `{}` are not allowed", plain(root.as_os_str()))]
    NotAllowed {
        /// The workspace.
        root: PathBuf,
    },
    /// `init` found a configuration.
    #[error("`{}` exists, and init never overwrites", plain(path.as_os_str()))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// `init` found the other configuration, which its own would hide.
    #[error("`{}` is a configuration already, and a new orchd.toml would hide its pipelines", plain(path.as_os_str()))]
    Configured {
        /// The file.
        path: PathBuf,
    },
    /// What tells how the project is built is broken.
    #[error("`{}` cannot be parsed: {said}", plain(path.as_os_str()))]
    Broken {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the place.
        said: String,
    },
    /// A file of the user could not be read or written.
    #[error("could not {act} `{}`", plain(path.as_os_str()))]
    File {
        /// `read` or `write`.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A log holds something that is no log.
    #[error("the log of run {run} is damaged")]
    Log {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        source: crate::model::log::LogLineError,
    },
    /// A path that was named lies outside of the workspace.
    #[error("`{}` lies outside of `{}`", plain(path.as_os_str()), plain(root.as_os_str()))]
    Outside {
        /// The path.
        path: PathBuf,
        /// The workspace.
        root: PathBuf,
    },
    /// Nothing in the workspace is of the task.
    #[error("the workspace has no task `{task}`")]
    NoTask {
        /// The task id.
        task: TaskId,
    },
    /// The paper side did not do it.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// ^C came before the answer.
    #[error("interrupted before the answer was there")]
    Interrupted,
    /// The system refuses what waiting needs.
    #[error("cannot wait for input")]
    Wait(#[source] io::Error),
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum GibberishError {
    /// It is no line of text.
    #[error(transparent)]
    Frame(#[from] crate::wire::frame::FrameError),
    /// It is no message of the protocol.
    #[error(transparent)]
    Message(#[from] crate::wire::message::OutboundError),
    /// It is JSON of another shape.
    #[error("an answer has another shape")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    /// Whether the daemon knows no such workspace.
    #[must_use]
    pub fn is_unknown_workspace(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.kind == ErrorKind::UnknownWorkspace)
    }

    /// The same, where the workspace that nobody knows would be at `path`, and nothing is there.
    #[must_use]
    pub fn of_missing(self, path: &Path) -> Self {
        if self.is_unknown_workspace()
            && !path.exists()
            && let Self::Refused(refusal) = self
        {
            let hint = "there is no such directory: `orchctl list` shows the registered ones";
            return Self::Refused(refusal.hint(hint));
        }
        self
    }

    /// The word that programs tell it by, as in the daemon's own refusals.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Output(_) => "output",
            Self::Place(_)
            | Self::Root(_)
            | Self::File { .. }
            | Self::Exists { .. }
            | Self::Broken { .. }
            | Self::Configured { .. } => "file",
            Self::Places(_) | Self::Task(_) => "invalid_config",
            Self::Revision(_) | Self::Checkout { .. } => "revision",
            Self::Push { .. } => "usage",
            Self::NoDaemon { .. }
            | Self::Lost { .. }
            | Self::Spawn { .. }
            | Self::GaveUp { .. }
            | Self::Silent { .. } => "no_daemon",
            Self::Late { .. } => "unsynced",
            Self::Gibberish { .. } => "unsupported",
            Self::Host(_) | Self::Log { .. } | Self::Wait(_) => "internal",
            Self::Interrupted => "interrupted",
            Self::Refused(refusal) => kind_word(refusal.kind),
            Self::NoWorkspace { .. } => "unknown_workspace",
            Self::NoProject { .. } | Self::TwoProjects { .. } | Self::NoTask { .. } => {
                "unknown_project"
            }
            Self::Outside { .. } => "file",
            Self::Paper(_) => "paper",
            Self::NoRun | Self::NoLog { .. } => "unknown_run",
            Self::OwnRun { .. } => "busy",
            Self::NotAllowed { .. } => "untrusted",
        }
    }

    /// The whole story in one sentence: the failure and what caused it.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoDaemon { .. } | Self::Lost { .. } => START,
            Self::Silent { .. } => {
                "try again; if it stays silent, `orchctl doctor` and its log tell more"
            }
            Self::Late { .. } => {
                "give it more time with --timeout; if it stays silent, `orchctl doctor` and its log tell more"
            }
            Self::Gibberish { .. } => {
                "check --socket and ORCHD_SOCKET, and that orchd and orchctl have one version"
            }
            Self::Spawn { .. } => "put orchd beside orchctl or on PATH, or start it yourself",
            Self::Refused(refusal) => return refusal.hint.clone(),
            Self::NoWorkspace { .. } => {
                "go into one, name one with --workspace DIR, or add this one with `orchctl watch`"
            }
            Self::NoProject { .. } => "see them with `orchctl status`",
            Self::NoTask { .. } => "see them with `orchctl project list`",
            Self::Outside { .. } => "name one below it, or another workspace with --workspace DIR",
            Self::Paper(error) => return error.hint().map(str::to_owned),
            Self::TwoProjects { .. } => "name one with --workspace DIR",
            Self::Revision(error) => return hint_for(error).map(str::to_owned),
            Self::Push { .. } => {
                "write `<local ref> <local oid> <remote ref> <remote oid>` to stdin, as git does, or name a commit"
            }
            Self::NoRun => "start one with `orchctl run`",
            Self::NoLog { .. } => "see its stages with `orchctl show RUN`",
            Self::OwnRun { .. } => {
                "name another project with --task, ask with `orchctl gate --no-wait`, or take the command out of the stage"
            }
            Self::NotAllowed { .. } => "read them, then `orchctl allow DIR`, or give --yes",
            Self::Configured { .. } => {
                "it is read as it is: `orchctl watch`; write an orchd.toml by hand to add to it"
            }
            Self::Exists { .. } => "edit it, or move it away first",
            Self::Broken { .. } => "correct it: what it offers to run is not known",
            Self::Output(_)
            | Self::Place(_)
            | Self::Root(_)
            | Self::Places(_)
            | Self::Task(_)
            | Self::Interrupted
            | Self::GaveUp { .. }
            | Self::Host(_)
            | Self::Checkout { .. }
            | Self::File { .. }
            | Self::Log { .. }
            | Self::Wait(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the reader of our output has gone, which is no failure at all.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.0.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// How to get a daemon.
const START: &str =
    "start one with `orchctl watch`, `orchd --detach` or `systemctl --user start orchd`";

/// What to do where nothing can be judged.
fn hint_for(error: &RevisionError) -> Option<&'static str> {
    match error {
        RevisionError::NoRepository { .. } => Some(
            "go into a clone with files, or ask for what lies in the workspace with `orchctl gate`",
        ),
        RevisionError::Unknown { .. } | RevisionError::NoCommit { .. } => {
            Some("`git log` shows what there is")
        }
        RevisionError::NoIndex { .. } => Some(
            "unset it, or have it name an index; a relative one is below the top of the repository",
        ),
        RevisionError::Obstructed { .. } => {
            Some("a workspace is judged where its files are: name that one with --workspace DIR")
        }
        RevisionError::Absent { .. } => Some("name the workspace with --workspace DIR"),
        RevisionError::Conflicts { .. } => Some("resolve them and `git add` the files"),
        RevisionError::Submodules { .. } => {
            Some("ask for what lies in the workspace with `orchctl gate`")
        }
        RevisionError::Git(GitError::Spawn(_)) => {
            Some("install git 2.35 or newer, or put the directory that it is in on PATH")
        }
        RevisionError::Copy { .. } | RevisionError::Git(_) => None,
    }
}

fn kind_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnknownWorkspace => "unknown_workspace",
        ErrorKind::UnknownProject => "unknown_project",
        ErrorKind::UnknownRun => "unknown_run",
        ErrorKind::Untrusted => "untrusted",
        ErrorKind::InvalidConfig => "invalid_config",
        ErrorKind::Busy => "busy",
        ErrorKind::Unsynced => "unsynced",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::ShuttingDown => "shutting_down",
        ErrorKind::Internal => "internal",
    }
}

impl From<ShelfError> for Failure {
    fn from(error: ShelfError) -> Self {
        Self::Paper(error.into())
    }
}

impl From<TaskIndexError> for Failure {
    fn from(error: TaskIndexError) -> Self {
        Self::Paper(error.into())
    }
}

impl From<RewriteError> for Failure {
    fn from(error: RewriteError) -> Self {
        Self::Paper(error.into())
    }
}

impl From<FlipError> for Failure {
    fn from(error: FlipError) -> Self {
        Self::Paper(error.into())
    }
}
