//! Pages of a run's logs.
//!
//! Where a log stands follows from the run and the stage, never from what a manifest says of it: anybody may have
//! written a manifest. No link is followed below the runs directory, and only a regular file is read.

use crate::daemon::chain::chain;
use crate::daemon::evidence::{Desk, Shown};
use crate::daemon::log::read::{LogSlice, ReadLogError, read_log};
use crate::daemon::lookup::internal;
use crate::daemon::message::{Done, What};
use crate::daemon::shell::Shell;
use crate::disk::durable::{Dir, DurableError};
use crate::limits::LOG_READ_BYTES_MAX;
use crate::model::evidence::Layout;
use crate::model::id::{RequestId, RunId, StageId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::runs::{LogsAnswer, RunDetail, StageRecord};
use crate::model::run::StageStatus;
use crate::model::time::Timestamp;
use crate::wire::call::LogsWanted;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::ffi::OsStr;
use std::path::Path;

impl Shell {
    pub(super) fn read_logs(
        &mut self,
        id: WorkspaceId,
        run: RunId,
        request: RequestId,
        wanted: LogsWanted,
    ) {
        let clock = self.clock;
        let under_way = self.engine.run(&run).is_some();
        let Some((root, desk)) = self.desk_for(id, request) else {
            return;
        };
        desk.push(move |desk| {
            let shown = desk.show(&run, clock.wall());
            let shown = shown.map_err(|error| internal(&error));
            let answer = shown.and_then(|shown| {
                let stage = wanted.stage.as_ref();
                let executed = stage
                    .map(|stage| executed(desk, &root, &shown, stage, clock.wall()))
                    .transpose()?;
                page(&root, &shown, wanted, (under_way, executed.flatten()))
            });
            let answer = Box::new(answer.map(Into::into));
            Some(Done {
                workspace: id,
                what: What::Answered { request, answer },
            })
        });
    }
}

/// A stage of another run, by its place there, from 1.
type Executed = (Shown, usize, StageId);

/// Where a stage was executed that its run has taken over; nothing where it was executed in that run itself.
fn executed(
    desk: &mut Desk,
    root: &RootPath,
    shown: &Shown,
    stage: &StageId,
    now: Timestamp,
) -> Result<Option<Executed>, Refusal> {
    let detail = crate::daemon::detail::detail(root, shown)?;
    let (_, stage) = place_of(&detail, stage)?;
    let Some(from) = &stage.reused_from else {
        return Ok(None);
    };
    let gone = || {
        let (run, id) = (&detail.record.run_id, &stage.id);
        let said = format!("run {run} has taken stage `{id}` over from run {from}");
        Refusal::new(
            ErrorKind::UnknownRun,
            format!("{said}, which is not there any more"),
        )
        .hint("`orchctl run --force` executes it again")
    };
    let other = desk.show(from, now).map_err(|_| gone())?;
    let executed = crate::daemon::detail::detail(root, &other)?;
    let mut stages = executed.stages.iter().zip(1..);
    let is_it = |it: &StageRecord| it.key == stage.key && it.reused_from.is_none();
    let found = stages.find(|(it, _)| stage.key.is_some() && is_it(it));
    let (found, place) = found.ok_or_else(gone)?;
    let id = found.id.clone();
    Ok(Some((other, place, id)))
}

/// A page of the log of a run, or of one of its stages, wherever that was executed.
fn page(
    root: &RootPath,
    shown: &Shown,
    wanted: LogsWanted,
    (under_way, executed): (bool, Option<Executed>),
) -> Result<LogsAnswer, Refusal> {
    let detail = crate::daemon::detail::detail(root, shown)?;
    let stage = wanted.stage.as_ref();
    let stage = stage.map(|stage| place_of(&detail, stage)).transpose()?;
    let bytes = wanted.max.unwrap_or(LOG_READ_BYTES_MAX);
    let bytes = usize::try_from(bytes.min(LOG_READ_BYTES_MAX)).unwrap_or(usize::MAX);
    let below = stage.map(|(index, stage)| (index, &stage.id));
    let found = executed.as_ref();
    let (shown, below) = match found {
        Some((other, place, id)) => (other, Some((*place, id))),
        None => (shown, below),
    };
    let slice = read(root, shown, below, (wanted.offset, bytes))
        .map_err(|error| Refusal::new(ErrorKind::Internal, chain(&error)))?;
    let over = stage.is_some_and(|(_, stage)| {
        !matches!(stage.status, StageStatus::Pending | StageStatus::Running)
    });
    Ok(LogsAnswer {
        run_id: detail.record.run_id.clone(),
        offset: wanted.offset,
        next_offset: slice.next_offset.max(wanted.offset),
        size: slice.size,
        ended: over || !under_way,
        lines: slice.lines,
        stage: wanted.stage,
    })
}

/// The stage and its place, from 1.
fn place_of<'a>(
    detail: &'a RunDetail,
    stage: &StageId,
) -> Result<(usize, &'a StageRecord), Refusal> {
    detail
        .named(stage)
        .map(|(index, known)| (index.saturating_add(1), known))
        .ok_or_else(|| {
            let known: Vec<String> = detail
                .stages
                .iter()
                .map(|s| format!("`{}`", s.id))
                .collect();
            let run = &detail.record.run_id;
            Refusal::new(
                ErrorKind::UnknownRun,
                format!("run {run} has no stage `{stage}`"),
            )
            .hint(format!("its stages are {}", known.join(", ")))
        })
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
enum PageError {
    /// The way to the log is not what it has to be.
    #[error(transparent)]
    Way(#[from] DurableError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadLogError),
}

fn read(
    root: &RootPath,
    shown: &Shown,
    stage: Option<(usize, &StageId)>,
    (offset, bytes): (u64, usize),
) -> Result<LogSlice, PageError> {
    let (task, run) = (&shown.record.task_id, &shown.record.run_id);
    let layout = Layout::default();
    let log = match stage {
        Some((index, stage)) => layout.stage_log(task, run, index, stage),
        None => layout.runner_log(task, run),
    };
    let home = layout.artifact_root(task, run);
    let below = Path::new(&log).strip_prefix(&home).unwrap_or(Path::new(""));
    let directory = below.parent().unwrap_or(Path::new(""));
    // The run's own directory has been found by the desk, on the same terms.
    let run = &shown.paths.artifact_root;
    let (anchor, way) = match run.strip_prefix(root.as_path()) {
        Ok(way) => (root.as_path(), way),
        Err(_) => (run.as_path(), Path::new("")),
    };
    let opened = Dir::open(anchor)?.descend(&way.join(directory))?;
    let name = below.file_name().unwrap_or(OsStr::new(""));
    let slice = opened.map(|dir| read_log(&dir, name, offset, bytes));
    Ok(slice.transpose()?.unwrap_or_default())
}
