//! Runs by a part of their id, wherever they are: shown, read, ended; and the history.
//!
//! Every desk that may hold the run is asked; the answer is put together once all have said what they have.

mod logs;
mod queued;
mod resume;

use crate::daemon::chain::chain;
use crate::daemon::evidence::{Desk, EvidenceError, Found};
use crate::daemon::lend::Lent;
use crate::daemon::message::{Done, What};
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::waiting::{Lookup, Purpose, refusal, removed_meanwhile};
use crate::engine::Input;
use crate::engine::ask::{Ask, Denied};
use crate::limits::{RUN_LIST_DEFAULT, RUN_LIST_MAX, RUNS_NAMED_MAX};
use crate::model::evidence::{RunRecord, Unreadable};
use crate::model::id::{RequestId, RunId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::runs::{ListedRun, RunList};
use crate::model::run::RunStatus;
use crate::wire::call;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::collections::BTreeSet;

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
        let flaky = wanted.flaky;
        let mut left = BTreeSet::new();
        for (id, desk) in self.desks(scope) {
            let task = task.clone();
            left.insert(id);
            desk.push(move |desk| {
                let (task, now) = (task.as_ref(), clock.wall());
                let rows = match flaky {
                    true => desk.flaky_runs(task, limit, now),
                    false => desk.listed_runs(task, limit, now),
                };
                let known = rows.as_ref().is_ok_and(|rows| !rows.is_empty())
                    || (flaky && desk.runs(task, 1, now).is_ok_and(|runs| !runs.is_empty()));
                let rows = rows.map_err(|error| internal(&error));
                let what = What::Runs {
                    request,
                    rows,
                    known,
                };
                Some(Done {
                    workspace: id,
                    what,
                })
            });
        }
        let nobody = left.is_empty();
        let rows = Vec::new();
        let request = self.wait_for(
            asked,
            Purpose::Runs {
                left,
                task,
                limit,
                rows,
            },
        );
        if nobody {
            self.listed_all(request);
        }
    }

    fn desks(
        &mut self,
        scope: Option<WorkspaceId>,
    ) -> impl Iterator<Item = (WorkspaceId, &mut Lent<Desk, Done>)> {
        let sites = self
            .sites
            .iter_mut()
            .filter(move |(id, site)| !site.closing && scope.is_none_or(|wanted| **id == wanted));
        sites.filter_map(|(id, site)| Some((*id, site.desk.as_mut()?)))
    }

    pub(super) fn take_rows(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        (more, known): (Result<Vec<ListedRun>, Refusal>, bool),
    ) {
        let more = match more {
            Ok(more) => more,
            Err(refusal) => return self.answer(request, Err(refusal)),
        };
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        let Purpose::Runs {
            left, rows, task, ..
        } = &mut waiting.purpose
        else {
            return;
        };
        // One that was removed meanwhile is not waited for any more.
        if !left.remove(&id) {
            return;
        }
        // A project that is no longer configured has a history all the same.
        task.take_if(|_| known);
        rows.extend(more.into_iter().map(|row| (id, row)));
        if left.is_empty() {
            self.listed_all(request);
        }
    }

    /// Every desk has said which runs it has.
    pub(super) fn listed_all(&mut self, request: RequestId) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        let purpose = std::mem::replace(&mut waiting.purpose, Purpose::Plain);
        let Purpose::Runs {
            task,
            limit,
            mut rows,
            ..
        } = purpose
        else {
            return;
        };
        let configured = |task: &TaskId| {
            let mut configs = self.sites.values().filter_map(|site| site.config.as_ref());
            configs.any(|config| config.project(task).is_some())
        };
        if let Some(task) = task.filter(|task| !configured(task)) {
            let denied = Denied::UnknownProject(task);
            return self.answer(request, Err(refusal(denied)));
        }
        let age = |listed: &ListedRun| (listed.record.started_at, listed.record.run_id.clone());
        rows.sort_by_cached_key(|(_, listed)| std::cmp::Reverse(age(listed)));
        rows.truncate(limit);
        let several = rows.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len() > 1;
        let listed = |(id, run)| {
            let site = self.sites.get(&id).filter(|_| several);
            ListedRun {
                workspace: site.map(|site| site.root.clone()),
                ..run
            }
        };
        let runs = rows.into_iter().map(listed).collect();
        self.answer(request, Ok(RunList { runs }.into()));
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
        let unread = match scope {
            None => self.unread_in(None),
            Some(_) => None,
        };
        let mut left = BTreeSet::new();
        let queued = self.queued_like(&part, scope);
        for (id, desk) in self.desks(scope) {
            let part = part.clone();
            left.insert(id);
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
        let nobody = left.is_empty();
        let (found, many) = (Vec::new(), Vec::new());
        self.wait_for(
            asked,
            Purpose::Find {
                left,
                part,
                scope,
                queued,
                found,
                many,
                more: 0,
                failed: unread.map(Box::new),
                then,
            },
        );
        if nobody {
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
            more,
            failed,
            ..
        } = &mut waiting.purpose
        else {
            return;
        };
        if !left.remove(&id) {
            return;
        }
        let all = left.is_empty();
        match result {
            Ok(Found::One(record)) => found.push((id, record)),
            Ok(Found::Many {
                first,
                more: beside,
            }) => {
                many.extend(first.iter().map(ToString::to_string));
                *more = more.saturating_add(beside);
            }
            Ok(Found::None) => {}
            Err(refusal) => *failed = Some(Box::new(refusal)),
        }
        if all {
            self.found_all(request);
        }
    }

    /// Every desk has said which runs it knows by this part of an id.
    pub(super) fn found_all(&mut self, request: RequestId) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        let purpose = std::mem::replace(&mut waiting.purpose, Purpose::Plain);
        let Purpose::Find {
            part,
            scope,
            mut queued,
            found,
            mut many,
            more,
            failed,
            then,
            ..
        } = purpose
        else {
            return;
        };
        many.extend(found.iter().map(|(_, record)| record.run_id.to_string()));
        queued.retain(|(_, run)| many.iter().all(|other| other != run.as_str()));
        many.extend(queued.iter().map(|(_, run)| run.to_string()));
        match (found.as_slice(), queued.as_slice(), many.len()) {
            ([(id, record)], _, 1) => {
                self.act_on(*id, record.run_id.clone(), Some(record), (request, then));
            }
            // It may have been dropped while the desks were asked.
            ([], [(id, run)], 1) => match self.dropped_run(run) {
                Some(refusal) => self.answer(request, Err(refusal)),
                None => self.act_on(*id, run.clone(), None, (request, then)),
            },
            (_, _, 0) => {
                let unknown = || {
                    let said = format!("no run's id contains `{part}`");
                    Refusal::new(ErrorKind::UnknownRun, said).hint("`orchctl runs` lists the runs")
                };
                let dropped = self.dropped_like(&part, scope);
                let failed = failed.map(|failed| *failed);
                let refusal = dropped.or(failed).unwrap_or_else(unknown);
                self.answer(request, Err(refusal));
            }
            _ => {
                let refusal = Refusal::new(ErrorKind::UnknownRun, ambiguous(&part, &many, more));
                self.answer(request, Err(refusal.hint("name a longer part")));
            }
        }
    }

    /// Does what is wanted of a run; what the history has of it may be nothing yet.
    fn act_on(
        &mut self,
        id: WorkspaceId,
        run: RunId,
        record: Option<&RunRecord>,
        (request, then): (RequestId, Lookup),
    ) {
        let queued = self.engine.queued_run(&run);
        let is_there = queued.is_some() || self.engine.run(&run).is_some();
        match (then, queued) {
            (Lookup::Cancel, _) if is_there => {
                let ask = Ask::Cancel { run };
                self.inputs.push_back(Input::Asked {
                    request,
                    ask,
                    deadline: None,
                });
            }
            (Lookup::Cancel, _) => {
                let ended = || refusal(Denied::UnknownRun(run));
                self.answer(request, Err(record.map_or_else(ended, not_cancelled)));
            }
            (then, Some(report)) => self.answer_queued(request, &report, then),
            (Lookup::Show, None) => self.show(id, run, request),
            (Lookup::Logs(wanted), None) => self.read_logs(id, run, request, wanted),
            (Lookup::Resume(resume), None) => self.reopen(id, run, request, resume),
        }
    }

    /// The root and the desk of a workspace where a run was found; where it is gone meanwhile, that is the answer.
    fn desk_for(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
    ) -> Option<(RootPath, &mut Lent<Desk, Done>)> {
        let is_there = self.sites.get(&id).is_some_and(|site| site.desk.is_some());
        if !is_there {
            self.answer(request, Err(removed_meanwhile()));
        }
        self.answers_at(request, id);
        let site = self.sites.get_mut(&id)?;
        Some((site.root.clone(), site.desk.as_mut()?))
    }

    fn show(&mut self, id: WorkspaceId, run: RunId, request: RequestId) {
        let clock = self.clock;
        let config = self.sites.get(&id).and_then(|site| site.config.as_ref());
        let flaky = config.map(|config| config.settings.flaky);
        let Some((root, desk)) = self.desk_for(id, request) else {
            return;
        };
        desk.push(move |desk| {
            let shown = desk
                .show(&run, clock.wall())
                .map_err(|error| internal(&error));
            let answer = shown.and_then(|shown| {
                let mut detail = crate::daemon::detail::detail(&root, &shown)?;
                detail.green = flaky.and_then(|flaky| detail.record.verdict.green(flaky));
                Ok(detail)
            });
            let answer = Box::new(answer.map(Into::into));
            Some(Done {
                workspace: id,
                what: What::Answered { request, answer },
            })
        });
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

/// That a part of an id names several runs, and the first of them.
fn ambiguous(part: &str, ids: &[String], more: usize) -> String {
    let (shown, rest) = ids.split_at(ids.len().min(RUNS_NAMED_MAX));
    let shown = shown.join(", ");
    match rest.len().saturating_add(more) {
        0 => format!("`{part}` is part of several run ids: {shown}"),
        more => format!("`{part}` is part of several run ids: {shown}, and {more} more"),
    }
}

fn status_word(record: &RunRecord) -> String {
    serde_json::to_value(record.status)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

pub(super) fn internal(error: &EvidenceError) -> Refusal {
    let refuse = |kind| Refusal::new(kind, chain(error));
    match error {
        EvidenceError::UnknownRun { .. } => refuse(ErrorKind::UnknownRun),
        EvidenceError::Disk(_)
        | EvidenceError::Chain(_)
        | EvidenceError::Random(_)
        | EvidenceError::Unanchored { .. }
        | EvidenceError::Elsewhere { .. } => refuse(ErrorKind::Internal),
        EvidenceError::Unreadable {
            source: Unreadable::Damaged(_),
            ..
        } => refuse(ErrorKind::Busy)
            .hint("ask again in a moment: it is made again of the run's other files once nobody writes it"),
        EvidenceError::Unreadable { .. } => refuse(ErrorKind::Unsupported)
            .hint("read it with the program that wrote it"),
    }
}
