//! What is told of runs: one that was asked for, the history, a single one in full, and what it wrote.
//!
//! Runs of other tools are told as well: what only our sidecar knows of a run is optional here.

use crate::model::digest::{InputDigest, StageKey};
use crate::model::evidence::{RunRecord, numbered};
use crate::model::id::{RunId, StageId};
use crate::model::judged::Judged;
use crate::model::path::{RelPath, RootPath};
use crate::model::report::status::Failure;
use crate::model::run::{Changed, Outcome, RunStatus, StageStatus, Unproven, Verdict};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer to `run.start`, `run.resume` and `run.cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAnswer {
    /// The run.
    pub run_id: RunId,
    /// Where it stands: terminal, unless the caller did not wait.
    pub status: RunStatus,
    /// Its directory, relative to the workspace.
    pub artifact_root: String,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
    /// Its log, relative to the workspace.
    pub log_path: String,
    /// What it proves; `unknown` until it has ended.
    pub verdict: Verdict,
    /// Whether it counts as green; told only where the verdict leaves it open, which is when it is flaky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<bool>,
    /// Why it stands where it stands, once it has ended and there is something to say; on the socket only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_detail: Option<String>,
    /// The stage that failed first, once it has ended; on the socket only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why it says nothing of what is there now, once it has ended by itself; on the socket only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<Unproven>,
}

impl RunAnswer {
    /// What `--json` prints of it: without what is said to people in words.
    #[must_use]
    pub fn without_words(&self) -> Self {
        Self {
            status_detail: None,
            failure: None,
            unproven: None,
            ..self.clone()
        }
    }
}

/// The answer to `run.list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    /// The runs, newest first.
    pub runs: Vec<ListedRun>,
}

/// A run of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRun {
    /// What the history has of it.
    #[serde(flatten)]
    pub record: RunRecord,
    /// Its workspace; told only where runs of more than one are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// Its flaky stages, where the runs are asked for that have some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaky: Option<Vec<FlakyStage>>,
}

/// A stage that has passed on a key that has failed, too, before or since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlakyStage {
    /// The stage.
    pub stage: StageId,
    /// What its result depends on.
    pub key: StageKey,
    /// The runs of the task in which it has failed on this key: the newest, newest first, at most
    /// `FLAKY_RUNS_NAMED_MAX`. None where their evidence is gone.
    pub failed_in: Vec<RunId>,
    /// Those in which it has passed on it, as many.
    pub passed_in: Vec<RunId>,
    /// The child run of a subpipeline, which says itself what of it is flaky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_run_id: Option<RunId>,
}

/// The answer to `run.get`: one run in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetail {
    /// What the history has of it.
    #[serde(flatten)]
    pub record: RunRecord,
    /// Whether it counts as green now; told only where the verdict leaves it open, which is when it is flaky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<bool>,
    /// The workspace.
    pub workspace: RootPath,
    /// The run that it is a child of.
    pub parent_run_id: Option<RunId>,
    /// Why it stands where it stands.
    pub status_detail: Option<String>,
    /// What the manifest says of it in words.
    pub summary: Option<String>,
    /// Its directory, relative to the workspace.
    pub artifact_root: String,
    /// Its log, relative to the workspace.
    pub log_path: String,
    /// What changed since the project's run before it; none when nothing is known.
    pub changed: Option<ChangedPaths>,
    /// What changed while it ran, so that it proves nothing of what is there now.
    pub void: Option<ChangedPaths>,
    /// What it ran on, as `commit` or `index`, where that was not what lay in the workspace.
    #[serde(flatten)]
    pub judged: Option<Judged>,
    /// Its stages, in declared order.
    pub stages: Vec<StageRecord>,
}

impl RunDetail {
    /// Why it says nothing of what is there now, where it came to its end by itself; none of a run of another tool.
    #[must_use]
    pub fn unproven(&self) -> Option<Unproven> {
        let void = self.void.as_ref().map(|void| match void.count {
            None if void.paths.is_empty() => Unproven::MayHaveChanged,
            _ => Unproven::Changed,
        });
        let stages = self.stages.iter();
        let stages = stages.filter_map(|stage| Some((stage.status, stage.outcome?)));
        let run = (self.record.status, self.record.verdict, self.record.cause?);
        Unproven::of(run, void, stages)
    }

    /// The stage that is meant by a name, and its place from 0: the one of this id, and of several the first that
    /// failed, else the first; or the one whose log is named so (`02-lint`), which no other is.
    #[must_use]
    pub fn named(&self, name: &StageId) -> Option<(usize, &StageRecord)> {
        let stages = || self.stages.iter().enumerate();
        let of_id = || stages().filter(|(_, stage)| stage.id == *name);
        let mut failed = of_id().filter(|(_, stage)| stage.status == StageStatus::Failed);
        let logged = |(place, stage): &(usize, &StageRecord)| {
            numbered(place.saturating_add(1), &stage.id) == name.as_str()
        };
        failed
            .next()
            .or_else(|| of_id().next())
            .or_else(|| stages().find(logged))
    }

    /// A name that means this stage and no other: its id, or where others have that too, the name of its log.
    #[must_use]
    pub fn name_of(&self, (place, stage): (usize, &StageRecord)) -> StageId {
        let same = self.stages.iter().filter(|other| other.id == stage.id);
        let whole = StageId::parse(&numbered(place.saturating_add(1), &stage.id)).ok();
        whole
            .filter(|_| same.count() > 1)
            .unwrap_or_else(|| stage.id.clone())
    }
}

/// One stage of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its id.
    pub id: StageId,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: StageStatus,
    /// How it ended, beyond its status; none for a run of another tool.
    pub outcome: Option<Outcome>,
    /// Its command as one line; none for a subpipeline.
    pub command: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// One line on how it went.
    pub summary: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How long its command ran.
    pub duration_ms: Option<u64>,
    /// What its result depends on.
    pub key: Option<StageKey>,
    /// The content that it read.
    pub input_digest: Option<InputDigest>,
    /// The run whose proof was taken instead of running it.
    pub reused_from: Option<RunId>,
    /// How often it was tried.
    pub attempts: u32,
    /// Its log, relative to the workspace.
    pub log_path: Option<String>,
    /// Its error file, relative to the workspace.
    pub error_file: Option<String>,
    /// The child run of a subpipeline.
    pub sub_run_id: Option<RunId>,
}

/// Changed paths, the first of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPaths {
    /// How many there are; none when everything may have changed.
    pub count: Option<u64>,
    /// The first of them, relative to the workspace; at most `CHANGED_PATHS_SHOWN_MAX`.
    pub paths: Vec<RelPath>,
}

impl ChangedPaths {
    /// Shows a change set, cut to `CHANGED_PATHS_SHOWN_MAX` paths.
    #[must_use]
    pub fn of(changed: &Changed) -> Self {
        match changed {
            Changed::Everything => Self::default(),
            Changed::Paths(paths) => Self {
                count: u64::try_from(paths.len()).ok(),
                paths: paths
                    .iter()
                    .take(crate::limits::CHANGED_PATHS_SHOWN_MAX)
                    .cloned()
                    .collect(),
            },
        }
    }
}

/// The answer to `logs.read`: a piece of one stage's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsAnswer {
    /// The run.
    pub run_id: RunId,
    /// The stage; none for the run's own log.
    pub stage: Option<StageId>,
    /// Where this piece begins, in bytes of the log file.
    pub offset: u64,
    /// Where to go on: always at the beginning of a line.
    pub next_offset: u64,
    /// How many bytes the log file has by now.
    pub size: u64,
    /// Whether it has ended: nothing is added after `size`.
    pub ended: bool,
    /// Its lines, each the text of one JSON document as the file has it.
    pub lines: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CHANGED_PATHS_SHOWN_MAX;

    #[test]
    fn a_long_change_set_is_counted_in_full_and_shown_in_part() {
        let paths: Vec<_> = (0..150)
            .map(|n| RelPath::parse(&format!("src/{n:03}.rs")).unwrap())
            .collect();
        let shown = ChangedPaths::of(&Changed::Paths(paths));
        assert_eq!(shown.count, Some(150));
        assert_eq!(shown.paths.len(), CHANGED_PATHS_SHOWN_MAX);
        let everything = serde_json::to_string(&ChangedPaths::of(&Changed::Everything)).unwrap();
        assert_eq!(everything, r#"{"count":null,"paths":[]}"#);
    }
}
