//! One run as a report shows it: its row, its stages on one scale of time, and how to have it once more.
//!
//! Pure: a record goes in. What its log says is added by whoever may read it.

use crate::documents::records::Record;
use crate::documents::reporting::excerpt::Excerpt;
use crate::limits::documents::{REPORT_PATHS_NAMED_MAX, REPORT_STAGES_MAX};
use crate::model::digest::InputDigest;
use crate::model::evidence::{Command, Layout, Manifest, RunRecord, Sidecar, SidecarStage};
use crate::model::id::{RunId, StageId};
use crate::model::judged::Judged;
use crate::model::run::{Outcome, RunStatus, StageStatus, Unproven, Verdict};
use crate::model::time::Timestamp;
use serde::Serialize;

/// One run, as a report shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportedRun {
    /// Its row in the history; the verdict in it is left to the next field.
    #[serde(flatten)]
    pub record: RunRecord,
    /// What it proves of the content that it had all along: `unknown` where that changed meanwhile.
    #[serde(rename = "proves")]
    pub verdict: Verdict,
    /// Why it proves nothing, where it came to its end by itself.
    pub unproven: Option<Unproven>,
    /// Why it stands where it stands.
    pub status_detail: Option<String>,
    /// The run that it is a part of.
    pub parent_run_id: Option<RunId>,
    /// What it ran on, as git names it, where that was not what lay in the workspace.
    pub judged: Option<String>,
    /// The content that any of its stages read.
    pub input_digest: Option<InputDigest>,
    /// What had changed when it began.
    pub changed: Option<Changes>,
    /// What changed while it ran; its count is of the paths that are known.
    pub void: Option<Changes>,
    /// The command that asks for the same once more.
    pub again: String,
    /// Its first stages.
    pub stages: Vec<ReportedStage>,
    /// How many more it has.
    pub stages_left_out: usize,
    /// What its first failing stages have said.
    pub excerpts: Vec<Excerpt>,
    /// How often it was taken up again.
    pub resumes: usize,
    /// How often it was approved.
    pub approvals: usize,
}

/// The paths of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// How many there are; nothing where everything may have changed.
    pub count: usize,
    /// The first of them.
    pub paths: Vec<String>,
}

/// One stage of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedStage {
    /// Its place, from 1.
    pub place: usize,
    /// Its id.
    pub id: StageId,
    /// Where it stands.
    pub status: StageStatus,
    /// How it ended, beyond that; nothing where another tool ran it.
    pub outcome: Option<Outcome>,
    /// When it began, from the beginning of the run; nothing where it did not, or was not executed.
    pub begin_ms: Option<u64>,
    /// How long it took, with all of its attempts.
    pub duration_ms: Option<u64>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// One line on how it went.
    pub summary: Option<String>,
    /// Its log, relative to the workspace.
    pub log: Option<String>,
    /// The content that it read.
    pub input_digest: Option<InputDigest>,
    /// The run whose pass was taken over.
    pub reused_from: Option<RunId>,
    /// The run that it is.
    pub sub_run_id: Option<RunId>,
    /// How often it was tried.
    pub attempts: u32,
}

impl ReportedRun {
    /// What tells which of two runs is the newer one.
    #[must_use]
    pub fn age(&self) -> (Timestamp, &RunId) {
        (self.record.started_at, &self.record.run_id)
    }

    /// The stage that failed first.
    #[must_use]
    pub fn failed(&self) -> Option<&ReportedStage> {
        let mut stages = self.stages.iter();
        stages.find(|stage| stage.status == StageStatus::Failed)
    }

    /// How long it is from its beginning to the end of its last stage, as far as that is known.
    #[must_use]
    pub fn span_ms(&self) -> u64 {
        let end = |stage: &ReportedStage| Some(stage.begin_ms? + stage.duration_ms.unwrap_or(0));
        let ends = self.stages.iter().filter_map(end);
        ends.chain(self.record.duration_ms).max().unwrap_or(0)
    }
}

/// What a record says; nothing where its manifest cannot be read.
#[must_use]
pub(super) fn of_record(record: &Record, layout: &Layout) -> Option<ReportedRun> {
    let manifest = record.manifest()?;
    let row = record.row(layout)?;
    let sidecar = record.sidecar();
    let void = sidecar.and_then(|it| it.void.as_ref());
    let stages: Vec<ReportedStage> = manifest
        .commands
        .iter()
        .enumerate()
        .map(|(at, command)| stage(at, command, manifest, sidecar))
        .collect();
    let ends = stages.iter();
    let ends = ends.map(|it| (it.status, it.outcome.unwrap_or(Outcome::None)));
    let unproven = row.cause.and_then(|cause| {
        let void = void.map(|_| Unproven::Changed);
        Unproven::of((row.status, row.verdict, cause), void, ends)
    });
    let judged = sidecar.and_then(|it| it.judged.as_ref());
    let recorded = sidecar.map_or(0, |it| it.approvals.len());
    Some(ReportedRun {
        verdict: row.verdict.of_present(void.is_some()),
        unproven,
        status_detail: manifest.status_detail.clone(),
        parent_run_id: manifest.parent_run_id.clone(),
        judged: judged.map(ToString::to_string),
        input_digest: sidecar.and_then(|it| it.input_digest),
        changed: sidecar.map(|it| changes(it.changed.count, &it.changed.paths)),
        void: void.map(|it| changes(it.paths.len(), &it.paths)),
        again: again(manifest, judged, &row),
        stages_left_out: stages.len().saturating_sub(REPORT_STAGES_MAX),
        stages: stages.into_iter().take(REPORT_STAGES_MAX).collect(),
        excerpts: Vec::new(),
        resumes: manifest.resume_events.len(),
        approvals: manifest.approvals.len().max(recorded),
        record: row,
    })
}

fn stage(
    at: usize,
    command: &Command,
    manifest: &Manifest,
    sidecar: Option<&Sidecar>,
) -> ReportedStage {
    let told = sidecar.and_then(|it| it.stages.get(at));
    let told: Option<&SidecarStage> = told.filter(|it| it.id == command.id);
    let reused = told.and_then(|it| it.reused_from.clone());
    let began = command.started_at.filter(|_| reused.is_none());
    let begin_ms = began.map(|began| whole_ms(began.since(manifest.started_at)));
    // The end of one that is under way is not known.
    let measured = || {
        let ended = command.completed_at?;
        Some(whole_ms(ended.since(command.started_at?)))
    };
    let timed = told.map(|it| it.duration_ms).filter(|ms| *ms > 0);
    ReportedStage {
        place: at + 1,
        id: command.id.clone(),
        status: command.status,
        outcome: told.map(|it| it.outcome),
        begin_ms,
        duration_ms: begin_ms.and_then(|_| timed.or_else(measured)),
        exit_code: command.exit_code,
        summary: command.summary.clone(),
        log: command.log_path.clone(),
        input_digest: told.and_then(|it| it.input_digest),
        reused_from: reused,
        sub_run_id: command.sub_run_id.clone(),
        attempts: told.map_or(0, |it| it.attempts),
    }
}

fn changes(count: usize, paths: &[String]) -> Changes {
    let named = paths.iter().take(REPORT_PATHS_NAMED_MAX);
    Changes {
        count,
        paths: named.cloned().collect(),
    }
}

/// The command that asks for the same once more: of a commit for that commit, else for what lies there now.
fn again(manifest: &Manifest, judged: Option<&Judged>, row: &RunRecord) -> String {
    let task = quoted(manifest.task_id.as_str());
    match judged {
        Some(Judged::Commit(oid)) => {
            format!("orchctl gate --commit {} --task {task}", oid.as_str())
        }
        Some(Judged::Index(_)) => format!("orchctl gate --index --task {task}"),
        None if matches!(row.status, RunStatus::Failed | RunStatus::Cancelled) => {
            format!("orchctl resume --run {}", quoted(row.run_id.as_str()))
        }
        None => {
            let pipeline = quoted(manifest.pipeline_id.as_str());
            format!("orchctl run {pipeline} --task {task} --force")
        }
    }
}

/// A word as a shell reads it back. An id holds no byte that no shell can be given.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

fn whole_ms(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
