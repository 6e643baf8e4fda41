//! A run whose manifest is damaged or gone: its manifest is made again of what else is there.
//!
//! The run summary, the resume token, the sidecar and the directory's own name are asked, in this order of worth. What
//! nobody knows any more is left out; the run is `cancelled` unless its summary says how it ended. A start looks for such
//! runs, and so does every question about the history: what another tool tears meanwhile is not hidden until then.

use super::files::{Files, HEARTBEAT, MANIFEST, OWNER, SUMMARY, TOKEN, random_token, set_aside};
use super::owner::{Life, Owner};
use super::recover::Recovery;
use super::spare::is_unwritten;
use super::{Desk, EvidenceError, ReadError};
use crate::daemon::index::Key;
use crate::daemon::process;
use crate::disk::durable::{Dir, temp_owner};
use crate::limits::{EVIDENCE_BYTES_MAX, TORN_SETTLE, UNBORN_RUN};
use crate::model::evidence::{
    Command, DAEMON_LOST, Layout, Manifest, RecordedApproval, Sidecar, StageKind, Unreadable,
};
use crate::model::id::{PipelineId, RunId, StageId, TaskId};
use crate::model::run::{Outcome, RunStatus, StageStatus};
use crate::model::time::Timestamp;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What a run directory without a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Birth {
    /// The rest of a run that never began.
    Failed,
    /// Somebody may be writing its first manifest right now.
    UnderWay,
    /// A run that had a manifest once.
    Past,
}

impl Desk {
    /// Makes manifests again that somebody has torn since the start. Trouble with one run costs only that run.
    pub(super) fn mend(&mut self, runs: &Dir, now: Timestamp) {
        let unread = self.index.unread();
        let torn = unread.filter(|key| self.is_torn(runs, key, now));
        let torn: Vec<Key> = torn.cloned().collect();
        for key in &torn {
            // What is under way is told by a start only.
            let healed = self.heal(runs, key, now, &mut Recovery::default());
            if let Err(error) = healed {
                tracing::warn!(run = %key.1, error = &error as &dyn std::error::Error, "a run cannot be made again");
            }
        }
    }

    /// Whether a run's manifest is damaged, at rest, and nobody's who will write it again.
    fn is_torn(&self, runs: &Dir, (task, run): &Key, now: Timestamp) -> bool {
        let Some(files) = Files::open(runs, task, run).ok().flatten() else {
            return false;
        };
        let damaged = match files.read_manifest() {
            Err(ReadError::Unreadable(unreadable)) => can_be_made_again(&files, &unreadable),
            Err(ReadError::Missing | ReadError::Disk(_)) | Ok(_) => false,
        };
        let owner = files.read_owner();
        let owned = owner.is_some_and(|it| it != self.owner && it.life() != Life::Dead);
        damaged && !owned && !self.open.contains_key(run) && rests(&files, now)
    }

    /// Why a run whose id contains `part` is there and cannot be shown.
    pub(super) fn unshown(&self, runs: &Dir, part: &str) -> Option<EvidenceError> {
        let mut unread = self.index.unread();
        let (task, run) = unread.find(|(_, run)| run.as_str().contains(part))?;
        let files = Files::open(runs, task, run).ok()??;
        match files.read_manifest() {
            Err(ReadError::Unreadable(source)) => {
                let path = files.run.path().join(MANIFEST);
                Some(EvidenceError::Unreadable { path, source })
            }
            Err(ReadError::Disk(error)) => Some(error.into()),
            Ok(_) | Err(ReadError::Missing) => None,
        }
    }
}

/// Whether a manifest that cannot be read is no more than damage. What is whole and says something else may be that of a
/// program that we do not know; not beside a sidecar of ours.
pub(super) fn can_be_made_again(files: &Files, unreadable: &Unreadable) -> bool {
    match unreadable {
        Unreadable::Damaged(_) => true,
        Unreadable::Newer { .. } => false,
        Unreadable::Foreign(_) => files.read_sidecar().is_ok(),
    }
}

fn rests(files: &Files, now: Timestamp) -> bool {
    let stamp = files.run.stamp(Path::new(MANIFEST));
    stamp.is_some_and(|stamp| now.since(stamp.modified()) > TORN_SETTLE)
}

/// Judges a run directory without a manifest by what is in it, and by who wrote that and when.
pub(super) fn birth(files: &Files, own: &Owner, now: Timestamp) -> Birth {
    let Ok(names) = files.run.list() else {
        return Birth::UnderWay;
    };
    let owner = files.read_owner();
    // A power cut may have taken the manifest's name along after somebody was told of the run; a kill takes nothing.
    // It may also have emptied the file that says whose the run is, which is never synced.
    let is_told = match &owner {
        Some(owner) => owner.is_of_an_earlier_start(),
        None => files
            .run
            .stamp(Path::new(OWNER))
            .is_some_and(|stamp| stamp.size == 0),
    };
    let early = |name: &OsString| {
        name == OWNER
            || (name == HEARTBEAT && !is_told)
            || temp_owner(name).is_some()
            || is_unwritten(&files.run, name)
    };
    if !names.iter().all(early) {
        return Birth::Past;
    }
    let stamp = files.run.stamp(Path::new(""));
    let old = stamp.is_none_or(|stamp| now.since(stamp.modified()) > UNBORN_RUN);
    let mut writers = names.iter().filter_map(|name| temp_owner(name)).peekable();
    let abandoned = match owner {
        // Ours, and not in our hands: an earlier desk of this daemon's.
        Some(owner) => owner == *own || owner.life() == Life::Dead,
        None => {
            let gone = |pid| pid == own.pid || process::exists(pid) == Some(false);
            writers.peek().is_some() && writers.all(gone)
        }
    };
    if old || abandoned {
        Birth::Failed
    } else {
        Birth::UnderWay
    }
}

/// Makes the manifest of a run again and puts the damaged one aside; it is written by whoever finishes the run.
pub(super) fn rebuild(
    files: &Files,
    task: &TaskId,
    run: &RunId,
    layout: &Layout,
    now: Timestamp,
) -> Result<Manifest, EvidenceError> {
    let summary = files
        .run
        .read(OsStr::new(SUMMARY), EVIDENCE_BYTES_MAX)
        .ok()
        .flatten();
    let summary: Option<Value> = summary.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let sidecar = files.read_sidecar().ok();
    let token = files
        .run
        .read(OsStr::new(TOKEN), EVIDENCE_BYTES_MAX)
        .ok()
        .flatten();
    let token = token.and_then(|bytes| String::from_utf8(bytes).ok());
    let token = token
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    let token = match token {
        Some(token) => token,
        None => random_token()?,
    };
    let success = summary
        .as_ref()
        .and_then(|s| s.pointer("/build/success")?.as_bool());
    let ended = summary
        .as_ref()
        .and_then(|s| Timestamp::parse(s.get("timestamp")?.as_str()?).ok());
    let commands = commands(summary.as_ref(), sidecar.as_ref(), success == Some(true));
    let pipeline = summary.as_ref().and_then(pipeline_of);
    let unknown = PipelineId::parse("unknown").ok();
    let Some(pipeline_id) = pipeline.or(unknown) else {
        return Err(EvidenceError::UnknownRun { run: run.clone() });
    };
    set_aside(&files.run, MANIFEST, now)?;
    let began = started(run).or(ended).unwrap_or(now);
    let mut manifest = Manifest::blank((task, run), &pipeline_id, began, layout);
    manifest.status = match success {
        Some(true) => RunStatus::Succeeded,
        Some(false) => RunStatus::Failed,
        None => RunStatus::Cancelled,
    };
    manifest.status_detail = success.is_none().then(|| DAEMON_LOST.to_owned());
    manifest.completed_at = Some(ended.unwrap_or(now));
    manifest.summary =
        Some("The manifest was damaged; this is what was left of the run.".to_owned());
    manifest.resume_token = token;
    manifest.commands = commands;
    let approvals = sidecar.iter().flat_map(|sidecar| &sidecar.approvals);
    manifest.approvals = approvals.map(RecordedApproval::brief).collect();
    manifest.beat(now);
    Ok(manifest)
}

fn pipeline_of(summary: &Value) -> Option<PipelineId> {
    let named = summary
        .pointer("/plan/items/0/metadata/pipelineId")
        .and_then(Value::as_str);
    let target = summary.pointer("/build/subtaskId").and_then(Value::as_str);
    let target = target.map(|id| id.split(':').next().unwrap_or(id));
    PipelineId::parse(named.or(target)?).ok()
}

/// The stages that the summary's plan names, else those that the sidecar names.
fn commands(summary: Option<&Value>, sidecar: Option<&Sidecar>, success: bool) -> Vec<Command> {
    let outcome = |place: u64, id: &StageId| {
        let place = usize::try_from(place).ok()?.checked_sub(1)?;
        let stage = sidecar?.stages.get(place)?;
        (stage.id == *id).then_some(stage.outcome)
    };
    let planned = summary.and_then(|s| s.pointer("/plan/items")?.as_array());
    let planned = planned.into_iter().flatten().filter_map(|item| {
        let id = StageId::parse(item.pointer("/metadata/stageId")?.as_str()?).ok()?;
        let sub =
            item.pointer("/metadata/stageKind").and_then(Value::as_str) == Some("subpipeline");
        let title = item
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or(id.as_str());
        Some((id.clone(), title.to_owned(), sub))
    });
    let mut stages: Vec<(StageId, String, bool)> = planned.collect();
    if stages.is_empty() {
        let known = sidecar.into_iter().flat_map(|sidecar| &sidecar.stages);
        stages = known
            .map(|stage| (stage.id.clone(), stage.id.to_string(), false))
            .collect();
    }
    let command = |(index, (id, title, sub)): (u64, (StageId, String, bool))| {
        let status = match outcome(index, &id) {
            Some(Outcome::Passed | Outcome::Flaky) => StageStatus::Succeeded,
            Some(Outcome::None) | None if success => StageStatus::Succeeded,
            Some(Outcome::None) | None => StageStatus::Pending,
            Some(
                Outcome::Failed
                | Outcome::TimedOut
                | Outcome::Signalled
                | Outcome::Unspawnable
                | Outcome::Cancelled,
            ) => StageStatus::Failed,
        };
        let kind = if sub {
            StageKind::Subpipeline
        } else {
            StageKind::Command
        };
        Command {
            index,
            title,
            command: (kind == StageKind::Command).then(|| id.to_string()),
            id,
            kind,
            status,
            started_at: None,
            completed_at: None,
            exit_code: None,
            summary: None,
            log_path: None,
            error_file: None,
            sub_run_id: None,
        }
    };
    (1..).zip(stages).map(command).collect()
}

/// When a run was made, as its id says it.
fn started(run: &RunId) -> Option<Timestamp> {
    let time = run.as_str().get(.."2026-11-22T10-09-50-592Z".len())?;
    let (date, clock) = time.split_once('T')?;
    let mut parts = clock.strip_suffix('Z')?.split('-');
    let (hour, minute, second, milli) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Timestamp::parse(&format!("{date}T{hour}:{minute}:{second}.{milli}Z")).ok()
}
