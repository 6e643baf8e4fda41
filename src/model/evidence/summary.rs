//! `run-summary.json`: the published orchestrator's report of a run (plan, build, test, review), in its own words.
//!
//! Made from the manifest alone, so that it can be made again when it is lost.

use super::guardrail::Guardrails;
use super::manifest::{Command, Manifest, StageKind};
use crate::model::id::{PipelineId, RunId, StageId, TaskId};
use crate::model::run::{RunStatus, StageStatus};
use crate::model::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The report of one run; an entry of `state.json` and `runs.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    mode: &'static str,
    plan: Plan,
    build: Build,
    test: Test,
    review: Review,
    cloud_execution: Value,
    /// When the run ended.
    pub timestamp: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    items: Vec<Item>,
    target_id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the published orchestrator's shape"
)]
struct Item {
    id: String,
    description: String,
    requires_cloud: bool,
    #[serde(rename = "requiresCloud")]
    requires_cloud_too: bool,
    runnable: bool,
    metadata: ItemStage,
    selected: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemStage {
    pipeline_id: PipelineId,
    stage_id: StageId,
    stage_kind: StageKind,
    index: usize,
    requires_cloud: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    subtask_id: String,
    artifacts: Vec<Artifact>,
    mode: &'static str,
    run_id: RunId,
    success: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    notes: String,
    failure_stage: Option<StageId>,
    failure_artifact_path: Option<String>,
    cloud_execution: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Artifact {
    path: String,
    description: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    subtask_id: String,
    success: bool,
    reports: Vec<Report>,
    run_id: RunId,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Report {
    name: &'static str,
    status: &'static str,
    details: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Review {
    summary: String,
    decision: Decision,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Decision {
    approved: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    feedback: String,
}

impl RunSummary {
    /// The report of a run that ended; `manifest_path` is where its manifest stands.
    #[must_use]
    pub fn of(manifest: &Manifest, manifest_path: &str) -> Self {
        let success = manifest.status == RunStatus::Succeeded;
        let stages = &manifest.commands;
        let failed = stages
            .iter()
            .find(|stage| stage.status == StageStatus::Failed);
        let target = stages.first().map_or_else(
            || manifest.pipeline_id.to_string(),
            |stage| item_id(manifest, stage),
        );
        let notes = notes(stages);
        let guardrails = Guardrails::of(manifest);
        let line = manifest.guardrail_line().map(str::to_owned);
        let tested = success && guardrails.present();
        Self {
            task_id: manifest.task_id.clone(),
            run_id: manifest.run_id.clone(),
            mode: "mcp",
            plan: Plan {
                items: stages
                    .iter()
                    .enumerate()
                    .map(|(place, s)| item(manifest, place, s))
                    .collect(),
                target_id: target.clone(),
            },
            build: Build {
                subtask_id: target.clone(),
                artifacts: artifacts(manifest, manifest_path, failed),
                mode: "mcp",
                run_id: manifest.run_id.clone(),
                success,
                notes: notes.clone(),
                failure_stage: failed.map(|stage| stage.id.clone()),
                failure_artifact_path: failed.and_then(|stage| stage.error_file.clone()),
                cloud_execution: Value::Null,
            },
            test: Test {
                subtask_id: target,
                success: tested,
                reports: vec![test_report(success, guardrails, line)],
                run_id: manifest.run_id.clone(),
            },
            review: review(manifest, manifest_path, tested.then_some(notes), failed),
            cloud_execution: Value::Null,
            timestamp: manifest.completed_at.unwrap_or(manifest.updated_at),
        }
    }
}

fn item_id(manifest: &Manifest, stage: &Command) -> String {
    format!("{}:{}", manifest.pipeline_id, stage.id)
}

fn item(manifest: &Manifest, place: usize, stage: &Command) -> Item {
    Item {
        id: item_id(manifest, stage),
        description: stage.title.clone(),
        requires_cloud: false,
        requires_cloud_too: false,
        runnable: true,
        metadata: ItemStage {
            pipeline_id: manifest.pipeline_id.clone(),
            stage_id: stage.id.clone(),
            stage_kind: stage.kind,
            index: place,
            requires_cloud: false,
        },
        selected: place == 0,
    }
}

/// What each stage that was begun says of itself.
fn notes(stages: &[Command]) -> String {
    let begun = stages
        .iter()
        .filter(|stage| stage.status != StageStatus::Pending);
    let lines = begun.map(|stage| {
        let status = match stage.status {
            StageStatus::Pending => "pending",
            StageStatus::Running => "running",
            StageStatus::Succeeded => "succeeded",
            StageStatus::Failed => "failed",
            StageStatus::Skipped => "skipped",
        };
        // A subpipeline's summary is its child's, which speaks for itself elsewhere.
        let said = match stage.kind {
            StageKind::Command => stage.summary.as_deref().unwrap_or(status),
            StageKind::Subpipeline => status,
        };
        format!("{}: {said}", stage.title)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn artifacts(manifest: &Manifest, manifest_path: &str, failed: Option<&Command>) -> Vec<Artifact> {
    let artifact = |path: &str, description: &str| Artifact {
        path: path.to_owned(),
        description: description.to_owned(),
    };
    let mut artifacts = vec![
        artifact(manifest_path, "CLI run manifest"),
        artifact(&manifest.log_path, "Runner log (ndjson)"),
    ];
    if let Some((stage, path)) = failed.and_then(|s| s.error_file.as_ref().map(|path| (s, path))) {
        let description = format!("Command error artifact ({})", stage.id);
        artifacts.push(artifact(path, &description));
    }
    artifacts
}

fn test_report(success: bool, guardrails: Guardrails, line: Option<String>) -> Report {
    if success {
        Report {
            name: "guardrails",
            status: if guardrails.present() {
                "passed"
            } else {
                "failed"
            },
            details: line.unwrap_or_else(|| guardrails.words(false)),
        }
    } else {
        Report {
            name: "tests",
            status: "failed",
            details: "Skipped because the build stage failed.".to_owned(),
        }
    }
}

fn review(
    manifest: &Manifest,
    manifest_path: &str,
    tested: Option<String>,
    failed: Option<&Command>,
) -> Review {
    let log = &manifest.log_path;
    let (summary, approved, feedback) = match (tested, manifest.status, failed) {
        (Some(notes), _, _) => {
            let title = &manifest.pipeline_title;
            let lines = format!(
                "{title} pipeline succeeded.\nManifest: {manifest_path}\nRunner log: {log}"
            );
            (lines, true, notes)
        }
        (None, RunStatus::Succeeded, _) => {
            let said = "Review skipped: tests failed.".to_owned();
            (said, false, "Tests failed; review skipped.".to_owned())
        }
        (None, _, Some(stage)) => {
            let id = &stage.id;
            let said = format!("Review skipped: prerequisite stage `{id}` failed.");
            let mut feedback = format!("Prerequisite stage `{id}` failed; review skipped.");
            if let Some(path) = &stage.error_file {
                feedback.push_str(" Error artifact: ");
                feedback.push_str(path);
                feedback.push('.');
            }
            (said, false, feedback)
        }
        (None, _, None) => {
            let said = "Review skipped: build stage failed.".to_owned();
            (
                said,
                false,
                "Build stage failed; review skipped.".to_owned(),
            )
        }
    };
    Review {
        summary,
        decision: Decision { approved, feedback },
    }
}
