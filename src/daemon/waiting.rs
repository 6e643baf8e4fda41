//! Those who wait for an answer, and what becomes of it once it is there.
//!
//! What the engine answers in its own words is put into the protocol's here.

use crate::daemon::planning::Read;
use crate::daemon::server::{Asked, Hold};
use crate::daemon::shell::Shell;
use crate::engine::Input;
use crate::engine::ask::{Answer as Found, Denied, NOT_IN_TIME, Reply};
use crate::engine::failure;
use crate::limits::{ASKERS_PAUSE, QUEUED_RUNS_MAX};
use crate::model::evidence::RunRecord;
use crate::model::id::{RequestId, RunId, TaskId, WorkspaceId};
use crate::model::report::runs::{ListedRun, RunAnswer};
use crate::model::report::why::WhyProject;
use crate::model::report::{
    GateAnswer, GateProject, ReloadedWorkspace, SyncAnswer, SyncedWorkspace,
};
use crate::model::run::{RunReport, Verdict};
use crate::model::time::Tick;
use crate::wire::answer::Answer;
use crate::wire::call::{LogsWanted, RunResume};
use crate::wire::refusal::{ErrorKind, Refusal};
use std::collections::BTreeSet;
use tokio::sync::oneshot;

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) answer: oneshot::Sender<Result<Answer, Refusal>>,
    pub(super) purpose: Purpose,
    /// The one workspace whose tree or desk is to answer; when it goes, that is the answer.
    pub(super) at: Option<WorkspaceId>,
    hold: Option<Hold>,
}

/// What somebody waits for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The engine's answer, or one piece of work.
    Plain,
    /// A sync of these workspaces.
    Sync(Option<WorkspaceId>),
    /// A look, for a question that is answered from what has been read.
    Look(Box<Read>),
    /// The verdicts, for a gate: what is red may pass by approvals.
    Gate,
    /// A look, for a question why stages are proven or not.
    Reasons,
    /// What the trees of several workspaces know of it.
    Why {
        left: BTreeSet<WorkspaceId>,
        projects: Vec<WhyProject>,
    },
    /// The history of several workspaces.
    Runs {
        left: BTreeSet<WorkspaceId>,
        task: Option<TaskId>,
        limit: usize,
        rows: Vec<(WorkspaceId, ListedRun)>,
    },
    /// A run, wherever it is.
    Find {
        left: BTreeSet<WorkspaceId>,
        part: String,
        scope: Option<WorkspaceId>,
        /// Those that waited for their turn when it was asked.
        queued: Vec<(WorkspaceId, RunId)>,
        found: Vec<(WorkspaceId, RunRecord)>,
        many: Vec<String>,
        more: usize,
        /// Why one of the workspaces could not be asked: told only where the others have no such run.
        failed: Option<Box<Refusal>>,
        then: Lookup,
    },
    /// A run that is being opened again.
    Resume(Box<RunResume>),
    /// Configurations that are read again.
    Reload {
        left: BTreeSet<WorkspaceId>,
        done: Vec<ReloadedWorkspace>,
    },
    /// A workspace that is being added; allowed as it is found, if so asked.
    Add { allow: bool },
    /// A workspace that is being removed.
    Remove,
}

/// What is wanted of a run once it is found.
#[derive(Debug)]
pub(super) enum Lookup {
    Show,
    Logs(LogsWanted),
    Cancel,
    Resume(RunResume),
}

impl Shell {
    /// Notes that somebody waits.
    pub(super) fn wait_for(&mut self, asked: Asked, purpose: Purpose) -> RequestId {
        let Asked {
            request,
            answer,
            hold,
            ..
        } = asked;
        let waiting = Waiting {
            answer,
            purpose,
            at: None,
            hold,
        };
        self.waiting.insert(request, waiting);
        let sweep = self.clock.tick().after(ASKERS_PAUSE);
        self.sweep_at.get_or_insert(sweep);
        request
    }

    /// Notes that the tree or the desk of this workspace is to answer.
    pub(super) fn answers_at(&mut self, request: RequestId, id: WorkspaceId) {
        if let Some(waiting) = self.waiting.get_mut(&request) {
            waiting.at = Some(id);
        }
    }

    /// Answers those who wait for something of a workspace that is gone, or goes on without it.
    pub(super) fn answer_without(&mut self, id: WorkspaceId) {
        let waiting = self.waiting.iter();
        let lone = waiting
            .clone()
            .filter(|(_, waiting)| waiting.at == Some(id));
        let lone: Vec<RequestId> = lone.map(|(request, _)| *request).collect();
        for request in lone {
            self.answer(request, Err(removed_meanwhile()));
        }
        let mut found = Vec::new();
        for (request, waiting) in &mut self.waiting {
            let (Purpose::Runs { left, .. }
            | Purpose::Find { left, .. }
            | Purpose::Why { left, .. }
            | Purpose::Reload { left, .. }) = &mut waiting.purpose
            else {
                continue;
            };
            if left.remove(&id) && left.is_empty() {
                found.push(*request);
            }
        }
        for request in found {
            self.complete(request);
        }
    }

    /// Everybody who was asked for this has said what there is.
    pub(super) fn complete(&mut self, request: RequestId) {
        match self.waiting.get(&request).map(|waiting| &waiting.purpose) {
            Some(Purpose::Runs { .. }) => self.listed_all(request),
            Some(Purpose::Find { .. }) => self.found_all(request),
            Some(Purpose::Reload { .. }) => self.reloaded_all(request),
            Some(Purpose::Why { .. }) => self.told_why(request),
            Some(
                Purpose::Plain
                | Purpose::Gate
                | Purpose::Reasons
                | Purpose::Sync(_)
                | Purpose::Look(_)
                | Purpose::Resume(_)
                | Purpose::Add { .. }
                | Purpose::Remove,
            )
            | None => {}
        }
    }

    /// Answers, if anybody still waits.
    pub(super) fn answer(&mut self, request: RequestId, result: Result<Answer, Refusal>) {
        if let Some(waiting) = self.waiting.remove(&request) {
            let stays = result.is_ok() && self.engine.is_attended(request);
            if let Some(hold) = waiting.hold.filter(|_| stays) {
                self.attended.insert(request, hold);
            }
            self.has_answered = true;
            // Whoever has gone away needs no answer.
            drop(waiting.answer.send(result));
        }
    }

    pub(super) fn forget_request(&mut self, request: RequestId) {
        self.waiting.remove(&request);
        self.attended.remove(&request);
        self.forget_parked(request);
        self.inputs.push_back(Input::Withdrawn { request });
    }

    /// Looks now and then whether those who wait are still there: that one has gone is not told while the queue is full.
    pub(super) fn sweep(&mut self, now: Tick) {
        if self.sweep_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let gone = self.waiting.iter();
        let gone = gone.filter(|(_, waiting)| waiting.answer.is_closed());
        let left = self.attended.iter().filter(|(_, hold)| hold.is_closed());
        let gone = gone.map(|(request, _)| *request);
        let gone: Vec<RequestId> = gone.chain(left.map(|(request, _)| *request)).collect();
        gone.into_iter().for_each(|it| self.forget_request(it));
        self.sweep_at = self.has_askers().then(|| now.after(ASKERS_PAUSE));
    }

    /// Whether somebody waits for an answer, or was answered and has to stay.
    pub(super) fn has_askers(&self) -> bool {
        !self.waiting.is_empty() || !self.attended.is_empty()
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        let purpose = self.waiting.get_mut(&request).map(|it| &mut it.purpose);
        if let Some(purpose @ Purpose::Look(_)) = purpose
            && let Purpose::Look(read) = std::mem::replace(purpose, Purpose::Plain)
        {
            return self.looked_first(request, *read, reply);
        }
        let purpose = self.waiting.get(&request).map(|it| &it.purpose);
        if let (Some(Purpose::Reasons), Reply::Verdicts(found)) = (purpose, &reply) {
            return self.tell_why(request, found);
        }
        if let (Some(Purpose::Gate), Reply::Verdicts(found)) = (purpose, &reply) {
            return self.tell_gate(request, found);
        }
        let result = match reply {
            Reply::Denied(denied) => Err(refusal(denied)),
            Reply::Synced => Ok(self.synced(request).into()),
            Reply::Verdicts(found) => Ok(self.gate_answer(&found).into()),
            Reply::Run(report) => match self.run_answer(&report) {
                Some(answer) => Ok(answer.into()),
                None => Err(removed_meanwhile()),
            },
            Reply::Cancelled(report) => match self.run_answer(&report) {
                Some(answer) => Ok(answer.into()),
                None => Err(removed_meanwhile()),
            },
        };
        self.answer(request, result);
    }

    fn synced(&self, request: RequestId) -> SyncAnswer {
        let scope = match self.waiting.get(&request).map(|waiting| &waiting.purpose) {
            Some(Purpose::Sync(scope)) => *scope,
            _ => None,
        };
        let sites = self
            .sites
            .iter()
            .filter(|(id, _)| scope.is_none_or(|wanted| **id == wanted));
        SyncAnswer {
            synced: true,
            seq: self.engine.seq(),
            workspaces: sites
                .map(|(_, site)| SyncedWorkspace {
                    root: site.root.clone(),
                    synced: true,
                    detail: None,
                })
                .collect(),
        }
    }

    pub(super) fn gate_answer(&self, found: &[Found]) -> GateAnswer {
        let workspaces: BTreeSet<WorkspaceId> = found
            .iter()
            .map(|answer| answer.project.workspace)
            .collect();
        let projects = found.iter().map(|answer| {
            let site = self.sites.get(&answer.project.workspace);
            let manifest = site.zip(answer.run.as_ref());
            GateProject {
                task_id: answer.project.task.clone(),
                workspace: site
                    .filter(|_| workspaces.len() > 1)
                    .map(|site| site.root.clone()),
                verdict: answer.verdict,
                input_digest: answer.input,
                run_id: answer.run.clone(),
                manifest: manifest
                    .map(|(site, run)| site.layout.manifest(&answer.project.task, run)),
                reused: answer.reused,
                green: (answer.verdict == Verdict::Flaky).then_some(answer.green),
                detail: answer.detail.clone(),
                approved: Vec::new(),
                judged: None,
            }
        });
        GateAnswer::of(projects.collect())
    }

    pub(super) fn run_answer(&self, report: &RunReport) -> Option<RunAnswer> {
        let site = self.sites.get(&report.workspace)?;
        let layout = &site.layout;
        let flaky = site.config.as_ref().map(|config| config.settings.flaky);
        let verdict = report.verdict.of_present(report.void.is_some());
        let green = flaky.and_then(|flaky| verdict.green(flaky));
        Some(RunAnswer {
            run_id: report.run.clone(),
            status: report.status,
            artifact_root: layout.artifact_root(&report.task, &report.run),
            manifest: layout.manifest(&report.task, &report.run),
            log_path: layout.runner_log(&report.task, &report.run),
            verdict,
            green,
            status_detail: report.status_detail.clone(),
            failure: failure(report, layout),
            unproven: report.unproven(),
        })
    }
}

/// What is said to whoever waits for a workspace that was removed.
pub(super) fn removed_meanwhile() -> Refusal {
    Refusal::new(
        ErrorKind::UnknownWorkspace,
        "the workspace was removed meanwhile",
    )
    .hint("`orchctl list` shows the registered ones, `orchctl add DIR` registers one")
}

/// What the engine refuses, in the protocol's words.
pub(super) fn refusal(denied: Denied) -> Refusal {
    use ErrorKind as Kind;
    match denied {
        Denied::UnknownWorkspace => {
            Refusal::new(Kind::UnknownWorkspace, "no such workspace is registered")
                .hint("`orchctl list` shows the registered ones, `orchctl add DIR` registers one")
        }
        Denied::UnknownProject(task) => Refusal::new(
            Kind::UnknownProject,
            format!("no project has the task id `{task}`"),
        )
        .hint("`orchctl status` lists the projects"),
        Denied::AmbiguousProject(task, roots) => {
            let roots: Vec<String> = roots.iter().map(|root| format!("`{root}`")).collect();
            let message = format!("the task id `{task}` is found in {}", roots.join(" and "));
            Refusal::new(Kind::UnknownProject, message).hint("name one with --workspace DIR")
        }
        Denied::UnknownPipeline(pipeline, known) => {
            let known: Vec<String> = known.iter().map(|id| format!("`{id}`")).collect();
            Refusal::new(
                Kind::InvalidConfig,
                format!("there is no pipeline `{pipeline}`"),
            )
            .hint(format!("the configuration defines {}", known.join(", ")))
        }
        Denied::UnknownRun(run) => {
            // The engine is asked only for runs that were under way a moment ago.
            Refusal::new(Kind::Unsupported, format!("run {run} has ended already"))
                .hint(format!("`orchctl show {run}` shows how"))
        }
        Denied::Untrusted(detail) => Refusal::new(Kind::Untrusted, detail)
            .hint("`orchctl allow` shows the commands and allows them"),
        Denied::Misconfigured(detail) => Refusal::new(Kind::InvalidConfig, detail)
            .hint("correct the file; it is read again when it is saved"),
        Denied::Busy(run) => Refusal::new(
            Kind::Busy,
            format!("run {run} of this project is under way"),
        )
        .hint(format!("wait for it, or `orchctl cancel {run}`")),
        Denied::QueueFull => Refusal::new(
            Kind::Busy,
            format!("{QUEUED_RUNS_MAX} runs of this project wait for their turn already"),
        )
        .hint("ask again when some of them have begun, or cancel some"),
        Denied::Unsynced(detail) => Refusal::new(Kind::Unsynced, detail),
        Denied::Unavailable(detail) => Refusal::new(Kind::Unsynced, detail)
            .hint("`orchctl status` tells when the workspace is watched again"),
        Denied::TooLate => Refusal::new(Kind::Unsynced, NOT_IN_TIME)
            .hint("ask again, with a longer --timeout where the runs take longer"),
        Denied::ShuttingDown => Refusal::new(Kind::ShuttingDown, "the daemon is ending"),
    }
}
