//! What is answered: one variant per type of `model::report` that a method answers with.
//!
//! Only the daemon makes an `Answer`; the client knows what it has asked for and reads that report from the text.

use crate::model::report::plan::PlanAnswer;
use crate::model::report::runs::{LogsAnswer, RunAnswer, RunDetail, RunList};
use crate::model::report::status::Status;
use crate::model::report::why::WhyAnswer;
use crate::model::report::{
    AllowAnswer, DoctorAnswer, ExplainAnswer, GateAnswer, PingAnswer, ReloadAnswer, ShutdownAnswer,
    SubscribeAnswer, SyncAnswer, WorkspaceChange, WorkspaceEntry, WorkspaceList,
};
use serde::Serialize;

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident($report:ty);)*) => {
        /// The answer to a [`Call`](crate::wire::call::Call); a client reads the report itself.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Answer {
            $($(#[$doc])* $name(Box<$report>),)*
        }

        $(impl From<$report> for Answer {
            fn from(report: $report) -> Self {
                Self::$name(Box::new(report))
            }
        })*
    };
}

answers! {
    /// To `ping`.
    Ping(PingAnswer);
    /// To `status`.
    Status(Status);
    /// To `workspace.add`.
    Workspace(WorkspaceEntry);
    /// To `workspace.list`.
    Workspaces(WorkspaceList);
    /// To `workspace.remove` and `workspace.deny`.
    Changed(WorkspaceChange);
    /// To `workspace.allow`.
    Allow(AllowAnswer);
    /// To `run.start`, `run.resume` and `run.cancel`.
    Run(RunAnswer);
    /// To `run.get`.
    Detail(RunDetail);
    /// To `run.list`.
    Runs(RunList);
    /// To `plan`.
    Plan(PlanAnswer);
    /// To `sync`.
    Sync(SyncAnswer);
    /// To `gate` and `wait`.
    Gate(GateAnswer);
    /// To `logs.read`.
    Logs(LogsAnswer);
    /// To `events.subscribe` and `events.unsubscribe`.
    Subscribe(SubscribeAnswer);
    /// To `explain`.
    Explain(ExplainAnswer);
    /// To `why`.
    Why(WhyAnswer);
    /// To `doctor`.
    Doctor(DoctorAnswer);
    /// To `reload`.
    Reload(ReloadAnswer);
    /// To `shutdown`.
    Shutdown(ShutdownAnswer);
}
