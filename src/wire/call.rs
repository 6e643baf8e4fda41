//! What can be asked: one variant per method, with its parameters as types.
//!
//! The names are those of the command line and of `--json`; a parameter that ends in `_id` there is known under both
//! names. Unknown parameters are refused, because one that is silently ignored (`forse`) does the wrong thing. The table
//! below is the only place where a method's name and its parameters meet.

use crate::model::digest::CommandSet;
use crate::model::id::{PipelineId, Seq, StageId, TaskId};
use crate::model::path::RootPath;
use crate::wire::refusal::{Code, ErrorKind, Refusal};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($params:ty) = $method:literal [$($key:literal)*];)*) => {
        /// A question to the daemon.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Call {
            $($(#[$doc])* $name($params),)*
        }

        impl Call {
            /// Every method, and the names that its parameters go by.
            const METHODS: &'static [(&'static str, &'static [&'static str])] =
                &[$(($method, &[$($key),*]),)*];

            /// The method's name.
            #[must_use]
            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $method,)*
                }
            }

            fn typed(method: &str, params: &str) -> Option<Result<Self, serde_json::Error>> {
                match method {
                    $($method => Some(serde_json::from_str::<$params>(params).map(Self::$name)),)*
                    _ => None,
                }
            }
        }
    };
}

calls! {
    /// Whether the daemon is there.
    Ping(Nothing) = "ping" [];
    /// Everything as it stands.
    Status(Scope) = "status" ["workspace" "task" "task_id"];
    /// Registers a workspace and begins to watch it.
    WorkspaceAdd(WorkspaceAdd) = "workspace.add" ["path" "allow" "task_id" "task"];
    /// Forgets a workspace; its evidence stays.
    WorkspaceRemove(WorkspaceNamed) = "workspace.remove" ["path"];
    /// The registered workspaces.
    WorkspaceList(Nothing) = "workspace.list" [];
    /// Allows the commands of a workspace.
    WorkspaceAllow(WorkspaceAllow) = "workspace.allow" ["path" "digest" "dry_run"];
    /// Takes the permission back.
    WorkspaceDeny(WorkspaceNamed) = "workspace.deny" ["path"];
    /// Starts a run.
    RunStart(RunStart) = "run.start" ["workspace" "task" "task_id" "pipeline" "pipeline_id" "force" "wait" "detach" "parent_run" "parent_run_id" "approval_policy"];
    /// Ends a run.
    RunCancel(RunNamed) = "run.cancel" ["run_id" "run" "workspace"];
    /// Takes a run up again.
    RunResume(RunResume) = "run.resume" ["run_id" "run" "workspace" "token" "actor" "reason" "wait"];
    /// One run in full.
    RunGet(RunNamed) = "run.get" ["run_id" "run" "workspace"];
    /// The history.
    RunList(RunsWanted) = "run.list" ["workspace" "task" "task_id" "limit" "flaky"];
    /// What a run of a pipeline would do.
    Plan(PlanWanted) = "plan" ["workspace" "task" "task_id" "pipeline" "pipeline_id"];
    /// Waits until every change made before the question has been seen.
    Sync(SyncWanted) = "sync" ["workspace" "timeout_ms"];
    /// Waits until the present content has a verdict.
    Wait(WaitWanted) = "wait" ["workspace" "task" "task_id" "timeout_ms"];
    /// The verdict for the present content.
    Gate(GateWanted) = "gate" ["workspace" "tasks" "task" "task_id" "task_ids" "wait"];
    /// A piece of a log.
    LogsRead(LogsWanted) = "logs.read" ["run_id" "run" "workspace" "stage" "offset" "max"];
    /// Begins to send events.
    EventsSubscribe(EventsWanted) = "events.subscribe" ["since"];
    /// Ends it.
    EventsUnsubscribe(Nothing) = "events.unsubscribe" [];
    /// What a change of a path triggers.
    Explain(PathNamed) = "explain" ["path" "workspace"];
    /// By what each stage is proven, or why it is not.
    Why(Scope) = "why" ["workspace" "task" "task_id"];
    /// How the daemon itself is.
    Doctor(Nothing) = "doctor" [];
    /// Reads configurations again.
    Reload(Scope) = "reload" ["workspace"];
    /// Ends the daemon.
    Shutdown(Nothing) = "shutdown" [];
}

/// No parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// Which workspace and which of its projects; all where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// The workspace's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// The project.
    #[serde(alias = "task_id", skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// A workspace to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceAdd {
    /// Its root.
    pub path: RootPath,
    /// Whether its commands are allowed as they are.
    #[serde(default)]
    pub allow: bool,
    /// The task id of its only project, where its files name none.
    #[serde(default, alias = "task", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

/// A workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceNamed {
    /// Its root.
    pub path: RootPath,
}

/// A workspace whose commands are to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceAllow {
    /// Its root.
    pub path: RootPath,
    /// The command set that was shown to whoever allows it; refused when it is another one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<CommandSet>,
    /// Only tells what would be allowed.
    #[serde(default)]
    pub dry_run: bool,
}

/// A run to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunStart {
    /// The workspace's root; may be left out where the task id is unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// The project; may be left out where the workspace has only one.
    #[serde(alias = "task_id", skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The pipeline; the project's own where none is named.
    #[serde(alias = "pipeline_id", skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineId>,
    /// Whether a run of its own begins where one of the same content is under way; else that one is joined.
    pub force: bool,
    /// Whether the answer waits for the end.
    pub wait: bool,
    /// Whether it is run even if whoever asked has gone before it began; the contrary of `wait` where that is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detach: Option<bool>,
    /// The run that it is a child of.
    #[serde(alias = "parent_run_id", skip_serializing_if = "Option::is_none")]
    pub parent_run: Option<String>,
    /// The approval policy that the manifest records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_policy: Option<String>,
}

impl Default for RunStart {
    fn default() -> Self {
        Self {
            workspace: None,
            task: None,
            pipeline: None,
            force: false,
            wait: true,
            detach: None,
            parent_run: None,
            approval_policy: None,
        }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNamed {
    /// Any unique part of its id.
    #[serde(alias = "run")]
    pub run_id: String,
    /// The workspace's root, to narrow the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
}

/// A run to take up again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResume {
    /// Any unique part of its id.
    #[serde(alias = "run")]
    pub run_id: String,
    /// The workspace's root, to narrow the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// Its resume token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the answer waits for the end.
    #[serde(default = "yes")]
    pub wait: bool,
}

/// A part of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunsWanted {
    /// The workspace's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// The project.
    #[serde(alias = "task_id", skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// How many at most; `RUN_LIST_MAX` is the most there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only runs with a flaky stage, and of each stage its history.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flaky: bool,
}

/// A pipeline to be planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanWanted {
    /// The workspace's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// The project.
    #[serde(alias = "task_id", skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The pipeline; the project's own where none is named.
    #[serde(alias = "pipeline_id", skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineId>,
}

/// Workspaces that are to have seen everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncWanted {
    /// The workspace's root; all where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// How long to wait at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Projects whose verdict is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitWanted {
    /// The workspace's root; all where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// The project; all where none is named.
    #[serde(alias = "task_id", skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// How long to wait at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Projects whose verdict is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GateWanted {
    /// The workspace's root; all where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// The projects; all where none is named.
    #[serde(
        alias = "task",
        alias = "task_id",
        alias = "task_ids",
        deserialize_with = "one_or_many"
    )]
    pub tasks: Vec<TaskId>,
    /// Whether a run is started or joined where nothing is proven.
    pub wait: bool,
}

impl Default for GateWanted {
    fn default() -> Self {
        Self {
            workspace: None,
            tasks: Vec::new(),
            wait: true,
        }
    }
}

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsWanted {
    /// Any unique part of the run's id.
    #[serde(alias = "run")]
    pub run_id: String,
    /// The workspace's root, to narrow the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// The stage; the run's own log where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageId>,
    /// Where to begin, in bytes of the log file.
    #[serde(default)]
    pub offset: u64,
    /// How many bytes at most; `LOG_READ_BYTES_MAX` is the most there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// Events to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsWanted {
    /// The last event that the caller has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Seq>,
}

/// A path to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathNamed {
    /// The path: absolute, or relative to the workspace.
    pub path: String,
    /// The workspace's root; the registered one that holds the path where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
}

fn yes() -> bool {
    true
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TaskId>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tasks {
        One(TaskId),
        Many(Vec<TaskId>),
    }
    Ok(match Option::<Tasks>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Tasks::One(task)) => vec![task],
        Some(Tasks::Many(tasks)) => tasks,
    })
}

impl Call {
    /// Reads a call and the deadline that its caller set.
    ///
    /// # Errors
    /// When there is no such method, or the parameters are not its own.
    pub fn decode(
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<(Self, Option<Duration>), Refusal> {
        let known = Self::METHODS.iter().find(|(name, _)| *name == method);
        let Some((_, keys)) = known else {
            let names = Self::METHODS.iter().map(|(name, _)| *name);
            return Err(Refusal::coded(
                Code::METHOD,
                ErrorKind::Unsupported,
                format!("there is no method `{method}`"),
            )
            .hint(nearest(method, names)));
        };
        let text = params.map_or("{}", RawValue::get);
        let deadline = check_keys(method, text, keys)?;
        let wrong = |error: &dyn std::fmt::Display| {
            refuse_params(format!("the parameters of `{method}` are wrong: {error}"))
        };
        match Self::typed(method, text) {
            Some(Ok(call)) => Ok((call, deadline)),
            Some(Err(error)) => Err(wrong(&error)),
            None => Err(wrong(&"unknown method")),
        }
    }

    /// Whether what was asked for may be given up when the connection ends, although it was answered.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        matches!(self, Self::RunStart(start) if !start.wait && start.detach == Some(false))
    }

    /// Whether the answer may take as long as a run does.
    #[must_use]
    pub fn waits(&self) -> bool {
        match self {
            Self::Sync(_) | Self::Wait(_) => true,
            Self::Gate(gate) => gate.wait,
            Self::RunStart(start) => start.wait,
            Self::RunResume(resume) => resume.wait,
            Self::Ping(_)
            | Self::Status(_)
            | Self::WorkspaceAdd(_)
            | Self::WorkspaceRemove(_)
            | Self::WorkspaceList(_)
            | Self::WorkspaceAllow(_)
            | Self::WorkspaceDeny(_)
            | Self::RunCancel(_)
            | Self::RunGet(_)
            | Self::RunList(_)
            | Self::Plan(_)
            | Self::LogsRead(_)
            | Self::EventsSubscribe(_)
            | Self::EventsUnsubscribe(_)
            | Self::Explain(_)
            | Self::Why(_)
            | Self::Doctor(_)
            | Self::Reload(_)
            | Self::Shutdown(_) => false,
        }
    }
}

/// Refuses names that the method does not know, and reads the one that every method has.
fn check_keys(method: &str, params: &str, keys: &[&str]) -> Result<Option<Duration>, Refusal> {
    const DEADLINE: &str = "deadline_ms";
    let given: BTreeMap<String, &RawValue> = serde_json::from_str(params)
        .map_err(|_| refuse_params(format!("the parameters of `{method}` are no object")))?;
    if let Some(odd) = given
        .keys()
        .find(|key| key.as_str() != DEADLINE && !keys.contains(&key.as_str()))
    {
        let names = keys.iter().copied().chain([DEADLINE]);
        return Err(
            refuse_params(format!("`{method}` has no parameter `{odd}`")).hint(nearest(odd, names)),
        );
    }
    match given
        .get(DEADLINE)
        .map(|value| serde_json::from_str(value.get()))
    {
        None | Some(Ok(None)) => Ok(None),
        Some(Ok(Some(milliseconds))) => Ok(Some(Duration::from_millis(milliseconds))),
        Some(Err(error)) => Err(refuse_params(format!("`{DEADLINE}` is wrong: {error}"))),
    }
}

fn refuse_params(message: String) -> Refusal {
    Refusal::coded(Code::PARAMS, ErrorKind::Unsupported, message)
}

fn nearest<'a>(odd: &str, names: impl Iterator<Item = &'a str>) -> String {
    let ranked = names.map(|name| (strsim::jaro_winkler(odd, name), name));
    match ranked.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, name)) if likeness > 0.7 => format!("did you mean `{name}`?"),
        _ => "docs/protocol.md lists the methods and their parameters".to_owned(),
    }
}

#[cfg(test)]
mod tests;
