//! Runs by a part of their id, wherever they are: shown, read, ended, taken up again; and the history.
//!
//! Every desk that may hold the run is asked; the answer is put together once all have said what they have.

use crate::daemon::evidence::{EvidenceError, Found, Reopened, ReopenedStage};
use crate::daemon::lifecycle::chain;
use crate::daemon::log::read::read_log;
use crate::daemon::message::{Done, What};
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::waiting::{Lookup, Purpose};
use crate::engine::ask::{Ask, KeptStage, ResumeAsk, Until};
use crate::engine::{Input, ProjectId};
use crate::limits::{LOG_READ_BYTES_MAX, RUN_LIST_DEFAULT, RUN_LIST_MAX};
use crate::model::evidence::{RunRecord, Unreadable};
use crate::model::id::{RequestId, RunId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::runs::{LogsAnswer, RunList};
use crate::model::run::{ChildReport, Outcome, RunStatus, StageStatus};
use crate::wire::call;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::time::Duration;

impl Shell {
    pub(super) fn list_runs(&mut self, asked: Asked, wanted: &call::RunsWanted) {
        let scope = match self.scope_of(wanted.workspace.as_ref()) {
            Ok(scope) => scope,
            Err(refusal) => return self.answer_now(asked, |_| Err(refusal)),
        };
        let limit = wanted.limit.map_or(RUN_LIST_DEFAULT, |limit| {
            usize::try_from(limit.min(RUN_LIST_MAX)).unwrap_or(RUN_LIST_DEFAULT)
        });
        let (task, clock, request) = (wanted.task.clone(), self.clock, asked.request);
        let mut left = 0;
        for (id, desk) in self.desks(scope) {
            let task = task.clone();
            left += 1;
            desk.push(move |desk| {
                let rows = desk
                    .runs(task.as_ref(), limit, clock.wall())
                    .map_err(|error| internal(&error));
                Some(Done {
                    workspace: id,
                    what: What::Runs { request, rows },
                })
            });
        }
        let request = self.wait_for(
            asked,
            Purpose::Runs {
                left,
                limit,
                rows: Vec::new(),
            },
        );
        if left == 0 {
            self.answer(request, Ok(RunList { runs: Vec::new() }.into()));
        }
    }

    fn desks(
        &mut self,
        scope: Option<WorkspaceId>,
    ) -> impl Iterator<
        Item = (
            WorkspaceId,
            &mut crate::daemon::lend::Lent<crate::daemon::evidence::Desk, Done>,
        ),
    > {
        let sites = self
            .sites
            .iter_mut()
            .filter(move |(id, _)| scope.is_none_or(|wanted| **id == wanted));
        sites.filter_map(|(id, site)| Some((*id, site.desk.as_mut()?)))
    }

    pub(super) fn take_rows(&mut self, request: RequestId, more: Result<Vec<RunRecord>, Refusal>) {
        let more = match more {
            Ok(more) => more,
            Err(refusal) => return self.answer(request, Err(refusal)),
        };
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        let Purpose::Runs { left, limit, rows } = &mut waiting.purpose else {
            return;
        };
        rows.extend(more);
        *left = left.saturating_sub(1);
        if *left > 0 {
            return;
        }
        let mut rows = std::mem::take(rows);
        let limit = *limit;
        rows.sort_by(|a, b| (b.started_at, &b.run_id).cmp(&(a.started_at, &a.run_id)));
        rows.truncate(limit);
        self.answer(request, Ok(RunList { runs: rows }.into()));
    }

    /// Looks for a run by a part of its id, then does what is wanted of it.
    pub(super) fn find_run(
        &mut self,
        asked: Asked,
        part: String,
        workspace: Option<&RootPath>,
        then: Lookup,
    ) {
        let scope = match self.scope_of(workspace) {
            Ok(scope) => scope,
            Err(refusal) => return self.answer_now(asked, |_| Err(refusal)),
        };
        let (clock, request) = (self.clock, asked.request);
        let mut left = 0;
        for (id, desk) in self.desks(scope) {
            let part = part.clone();
            left += 1;
            desk.push(move |desk| {
                let found = desk
                    .find(&part, clock.wall())
                    .map_err(|error| internal(&error));
                Some(Done {
                    workspace: id,
                    what: What::Found { request, found },
                })
            });
        }
        let (found, many) = (Vec::new(), Vec::new());
        self.wait_for(
            asked,
            Purpose::Find {
                left,
                part,
                found,
                many,
                failed: None,
                then,
            },
        );
        if left == 0 {
            self.found_all(request);
        }
    }

    pub(super) fn take_found(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        result: Result<Found, Refusal>,
    ) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        let Purpose::Find {
            left,
            found,
            many,
            failed,
            ..
        } = &mut waiting.purpose
        else {
            return;
        };
        *left = left.saturating_sub(1);
        let all = *left == 0;
        match result {
            Ok(Found::One(record)) => found.push((id, record)),
            Ok(Found::Many(ids)) => many.extend(ids.iter().map(ToString::to_string)),
            Ok(Found::None) => {}
            Err(refusal) => *failed = Some(Box::new(refusal)),
        }
        if all {
            self.found_all(request);
        }
    }

    fn found_all(&mut self, request: RequestId) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        let purpose = std::mem::replace(&mut waiting.purpose, Purpose::Plain);
        let Purpose::Find {
            part,
            found,
            mut many,
            failed,
            then,
            ..
        } = purpose
        else {
            return;
        };
        many.extend(found.iter().map(|(_, record)| record.run_id.to_string()));
        match (found.as_slice(), many.len()) {
            ([(id, record)], 1) => self.act_on(*id, record, request, then),
            (_, 0) => {
                let unknown = || {
                    let said = format!("no run's id contains `{part}`");
                    Refusal::new(ErrorKind::UnknownRun, said).hint("`orchctl runs` lists the runs")
                };
                self.answer(request, Err(failed.map_or_else(unknown, |failed| *failed)));
            }
            _ => {
                let refusal = Refusal::new(
                    ErrorKind::UnknownRun,
                    format!("`{part}` is part of several run ids: {}", many.join(", ")),
                )
                .hint("name a longer part");
                self.answer(request, Err(refusal));
            }
        }
    }

    fn act_on(&mut self, id: WorkspaceId, record: &RunRecord, request: RequestId, then: Lookup) {
        let run = record.run_id.clone();
        match then {
            Lookup::Cancel if self.engine.run(&run).is_some() => {
                let ask = Ask::Cancel { run };
                self.inputs.push_back(Input::Asked {
                    request,
                    ask,
                    deadline: None,
                });
            }
            Lookup::Cancel => self.answer(request, Err(not_cancelled(record))),
            Lookup::Show => self.show(id, run, request),
            Lookup::Logs(wanted) => self.read_logs(id, run, request, wanted),
            Lookup::Resume(resume) => self.reopen(id, run, request, resume),
        }
    }

    fn show(&mut self, id: WorkspaceId, run: RunId, request: RequestId) {
        let clock = self.clock;
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let (root, Some(desk)) = (site.root.clone(), site.desk.as_mut()) else {
            return;
        };
        desk.push(move |desk| {
            let shown = desk
                .show(&run, clock.wall())
                .map_err(|error| internal(&error));
            let answer = shown.and_then(|shown| crate::daemon::detail::detail(&root, &shown));
            let answer = Box::new(answer.map(Into::into));
            Some(Done {
                workspace: id,
                what: What::Answered { request, answer },
            })
        });
    }

    fn read_logs(
        &mut self,
        id: WorkspaceId,
        run: RunId,
        request: RequestId,
        wanted: call::LogsWanted,
    ) {
        let clock = self.clock;
        let under_way = self.engine.run(&run).is_some();
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let (root, Some(desk)) = (site.root.clone(), site.desk.as_mut()) else {
            return;
        };
        desk.push(move |desk| {
            let shown = desk
                .show(&run, clock.wall())
                .map_err(|error| internal(&error));
            let answer = shown.and_then(|shown| {
                let detail = crate::daemon::detail::detail(&root, &shown)?;
                let stage = wanted.stage.as_ref().map(|stage| {
                    detail
                        .stages
                        .iter()
                        .find(|known| known.id == *stage)
                        .ok_or_else(|| {
                            let known: Vec<String> = detail
                                .stages
                                .iter()
                                .map(|s| format!("`{}`", s.id))
                                .collect();
                            Refusal::new(
                                ErrorKind::UnknownRun,
                                format!("run {run} has no stage `{stage}`"),
                            )
                            .hint(format!("its stages are {}", known.join(", ")))
                        })
                });
                let stage = stage.transpose()?;
                let path = match stage {
                    None => Some(detail.log_path.clone()),
                    Some(stage) => stage.log_path.clone(),
                };
                let bytes = wanted
                    .max
                    .unwrap_or(LOG_READ_BYTES_MAX)
                    .min(LOG_READ_BYTES_MAX);
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                let slice =
                    path.map(|path| read_log(&root.as_path().join(path), wanted.offset, bytes));
                let slice = slice
                    .transpose()
                    .map_err(|error| Refusal::new(ErrorKind::Internal, chain(&error)))?;
                let slice = slice.unwrap_or_default();
                let over = stage.is_some_and(|stage| {
                    !matches!(stage.status, StageStatus::Pending | StageStatus::Running)
                });
                Ok(LogsAnswer {
                    run_id: run.clone(),
                    stage: wanted.stage.clone(),
                    offset: wanted.offset,
                    next_offset: slice.next_offset.max(wanted.offset),
                    size: slice.size,
                    ended: over || !under_way,
                    lines: slice.lines,
                })
            });
            let answer = Box::new(answer.map(Into::into));
            Some(Done {
                workspace: id,
                what: What::Answered { request, answer },
            })
        });
    }

    fn reopen(&mut self, id: WorkspaceId, run: RunId, request: RequestId, resume: call::RunResume) {
        if self.engine.run(&run).is_some() {
            let refusal = Refusal::new(ErrorKind::Busy, format!("run {run} is under way"))
                .hint(format!("wait for it, or `orchctl cancel {run}`"));
            return self.answer(request, Err(refusal));
        }
        let clock = self.clock;
        if let Some(waiting) = self.waiting.get_mut(&request) {
            waiting.purpose = Purpose::Resume(Box::new(resume));
        }
        let Some(desk) = self.sites.get_mut(&id).and_then(|site| site.desk.as_mut()) else {
            return;
        };
        desk.push(move |desk| {
            let reopened = desk
                .reopen(&run, clock.wall())
                .map_err(|error| internal(&error));
            let reopened = Box::new(reopened);
            Some(Done {
                workspace: id,
                what: What::Reopened {
                    request,
                    run,
                    reopened,
                },
            })
        });
    }

    pub(super) fn take_reopened(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        run: &RunId,
        reopened: Result<Reopened, Refusal>,
    ) {
        let purpose = self
            .waiting
            .get_mut(&request)
            .map(|waiting| std::mem::replace(&mut waiting.purpose, Purpose::Plain));
        let Some(Purpose::Resume(resume)) = purpose else {
            return;
        };
        let ask = reopened.and_then(|reopened| resume_ask(id, run, reopened, *resume));
        match ask {
            Ok(ask) => {
                let ask = Ask::Resume(Box::new(ask));
                self.inputs.push_back(Input::Asked {
                    request,
                    ask,
                    deadline: None,
                });
            }
            Err(refusal) => self.answer(request, Err(refusal)),
        }
    }
}

fn resume_ask(
    workspace: WorkspaceId,
    run: &RunId,
    reopened: Reopened,
    resume: call::RunResume,
) -> Result<ResumeAsk, Refusal> {
    if resume
        .token
        .as_ref()
        .is_some_and(|token| token.trim() != reopened.resume_token)
    {
        return Err(
            Refusal::new(ErrorKind::Untrusted, "Resume token mismatch.").hint(format!(
                "the token of run {run} stands in its `.resume-token`"
            )),
        );
    }
    if reopened.owned {
        return Err(Refusal::new(
            ErrorKind::Busy,
            format!("run {run} is under way in another process"),
        ));
    }
    Ok(ResumeAsk {
        project: ProjectId {
            workspace,
            task: reopened.task,
        },
        run: run.clone(),
        pipeline: reopened.pipeline,
        parent: reopened.parent,
        approval_policy: reopened.approval_policy,
        started_at: reopened.started_at,
        stages: reopened.stages.into_iter().map(kept_stage).collect(),
        children: reopened
            .children
            .into_iter()
            .map(|child| ChildReport {
                run: child.run_id,
                pipeline: child.pipeline_id,
                status: child.status,
            })
            .collect(),
        actor: resume.actor.unwrap_or_else(|| "cli".to_owned()),
        reason: resume.reason.unwrap_or_else(|| "manual-resume".to_owned()),
        until: if resume.wait {
            Until::Ended
        } else {
            Until::Begun
        },
    })
}

/// A stage as its run's files have it.
fn kept_stage(stage: ReopenedStage) -> KeptStage {
    KeptStage {
        id: stage.id,
        child: stage.child,
        status: stage.status,
        started_at: stage.started_at,
        completed_at: stage.completed_at,
        exit_code: stage.exit_code.and_then(|code| i32::try_from(code).ok()),
        summary: stage.summary,
        outcome: stage.outcome.unwrap_or(Outcome::None),
        key: stage.key,
        input: stage.input,
        reused_from: stage.reused_from,
        attempts: stage.attempts,
        duration: Duration::from_millis(stage.duration_ms),
        log_bytes: stage.log_bytes,
        truncated: stage.truncated,
    }
}

/// Why a run that is known cannot be cancelled.
fn not_cancelled(record: &RunRecord) -> Refusal {
    let (run, status) = (&record.run_id, status_word(record));
    let (why, hint) = match record.status {
        RunStatus::Queued | RunStatus::InProgress => (
            format!("run {run} is `{status}`, but not in this daemon"),
            "cancel it in the program that runs it, with ^C for instance".to_owned(),
        ),
        RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => (
            format!("run {run} has ended already: its status is `{status}`"),
            format!("`orchctl show {run}` shows how, `orchctl status` what runs now"),
        ),
    };
    Refusal::new(ErrorKind::Unsupported, why).hint(hint)
}

fn status_word(record: &RunRecord) -> String {
    serde_json::to_value(record.status)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn internal(error: &EvidenceError) -> Refusal {
    let refuse = |kind| Refusal::new(kind, chain(error));
    match error {
        EvidenceError::UnknownRun { .. } => refuse(ErrorKind::UnknownRun),
        EvidenceError::Disk(_) | EvidenceError::Random(_) | EvidenceError::Unanchored { .. } => refuse(ErrorKind::Internal),
        EvidenceError::Unreadable {
            source: Unreadable::Damaged(_),
            ..
        } => refuse(ErrorKind::Busy)
            .hint("ask again in a moment: it is made again of the run's other files once nobody writes it"),
        EvidenceError::Unreadable { .. } => refuse(ErrorKind::Unsupported)
            .hint("read it with the program that wrote it"),
    }
}
