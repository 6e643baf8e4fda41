//! One run in full, from its manifest and its sidecar; or, as long as it waits for its turn, from what is known of it.
//!
//! A field that the files do not hold is `None`; nothing is guessed from other runs.

use crate::daemon::evidence::Shown;
use crate::limits::CHANGED_PATHS_SHOWN_MAX;
use crate::model::evidence::{Layout, Manifest, RunRecord, Sidecar, SidecarStage};
use crate::model::id::RunId;
use crate::model::path::{RelPath, RootPath};
use crate::model::report::runs::{ChangedPaths, RunDetail, StageRecord};
use crate::model::run::{Cause, RunReport, StageWork};
use crate::wire::refusal::{ErrorKind, Refusal};

/// Puts together what `run.get` answers.
///
/// # Errors
/// When the manifest cannot be read.
pub(super) fn detail(root: &RootPath, shown: &Shown) -> Result<RunDetail, Refusal> {
    let bytes = serde_json::to_vec(&shown.content).unwrap_or_default();
    let manifest = Manifest::parse(&bytes).map_err(|error| {
        let path = shown.paths.manifest.display();
        Refusal::new(ErrorKind::Internal, format!("`{path}`: {error}"))
            .hint("repair or remove the run's directory")
    })?;
    let sidecar = shown
        .sidecar
        .as_ref()
        .and_then(|sidecar| Sidecar::parse(&serde_json::to_vec(sidecar).unwrap_or_default()).ok());
    let told = |index: usize| {
        sidecar
            .as_ref()
            .and_then(|sidecar| sidecar.stages.get(index))
    };
    let stages = manifest.commands.iter().enumerate();
    let stages = stages.map(|(index, command)| {
        let told = told(index).filter(|told| told.id == command.id);
        StageRecord {
            id: command.id.clone(),
            title: command.title.clone(),
            status: command.status,
            outcome: told.map(|told| told.outcome),
            command: command.command.clone(),
            exit_code: command.exit_code.and_then(|code| i32::try_from(code).ok()),
            summary: command.summary.clone(),
            started_at: command.started_at,
            completed_at: command.completed_at,
            duration_ms: told
                .map(|told| told.duration_ms)
                .filter(|_| command.completed_at.is_some()),
            key: told.and_then(|told| told.key),
            input_digest: told.and_then(|told| told.input_digest),
            reused_from: told.and_then(|told| told.reused_from.clone()),
            attempts: told.map_or(
                u32::from(command.completed_at.is_some()),
                |told: &SidecarStage| told.attempts,
            ),
            log_path: command.log_path.clone(),
            error_file: command.error_file.clone(),
            sub_run_id: command.sub_run_id.clone(),
        }
    });
    Ok(RunDetail {
        record: shown.record.clone(),
        green: None,
        workspace: root.clone(),
        parent_run_id: manifest.parent_run_id.clone(),
        status_detail: manifest.status_detail.clone(),
        summary: manifest.summary.clone(),
        artifact_root: manifest.artifact_root.clone(),
        log_path: manifest.log_path.clone(),
        changed: sidecar.as_ref().map(|sidecar| {
            let count = u64::try_from(sidecar.changed.count).ok();
            let told = count.filter(|count| *count > 0 || may_be_nothing(sidecar.cause));
            changed(told, &sidecar.changed.paths)
        }),
        void: sidecar
            .as_ref()
            .and_then(|sidecar| sidecar.void.as_ref())
            .map(|void| changed(counted(&void.paths), &void.paths)),
        judged: sidecar.as_ref().and_then(|sidecar| sidecar.judged.clone()),
        stages: stages.collect(),
    })
}

/// What there is to tell of a run that waits for its turn, behind `before`: where its evidence will stand.
pub(super) fn queued(
    root: &RootPath,
    layout: &Layout,
    report: &RunReport,
    before: Option<&RunId>,
) -> RunDetail {
    let waits = before.map(|before| format!("waits for run {before} to end; "));
    let waits = waits.unwrap_or_default();
    let stages = report.stages.iter().map(|stage| {
        let (command, pipeline) = match &stage.work {
            StageWork::Command(line) => (Some(line.text()), None),
            StageWork::Subpipeline { child, .. } => (None, child.clone()),
        };
        StageRecord {
            id: stage.id.clone(),
            title: stage.title.clone(),
            status: stage.status,
            outcome: Some(stage.outcome),
            command,
            exit_code: None,
            summary: None,
            started_at: None,
            completed_at: None,
            duration_ms: None,
            key: None,
            input_digest: None,
            reused_from: None,
            attempts: 0,
            log_path: None,
            error_file: None,
            sub_run_id: pipeline,
        }
    });
    RunDetail {
        record: RunRecord {
            run_id: report.run.clone(),
            task_id: report.task.clone(),
            pipeline_id: report.pipeline.clone(),
            status: report.status,
            verdict: report.verdict,
            cause: Some(report.cause),
            started_at: report.started_at,
            completed_at: None,
            duration_ms: None,
            manifest: layout.manifest(&report.task, &report.run),
        },
        green: None,
        workspace: root.clone(),
        parent_run_id: report.parent.clone(),
        status_detail: Some(format!("{waits}nothing of it is on disk yet")),
        summary: None,
        artifact_root: layout.artifact_root(&report.task, &report.run),
        log_path: layout.runner_log(&report.task, &report.run),
        changed: None,
        void: None,
        judged: None,
        stages: stages.collect(),
    }
}

fn changed(count: Option<u64>, paths: &[String]) -> ChangedPaths {
    let paths: Vec<RelPath> = paths
        .iter()
        .filter_map(|path| RelPath::try_from(path.clone()).ok())
        .collect();
    ChangedPaths { count, paths }
}

/// Whether such a run may have begun with nothing changed; of the others the sidecar has no path where all may have.
fn may_be_nothing(cause: Cause) -> bool {
    match cause {
        Cause::Manual | Cause::Parent | Cause::Gate => true,
        Cause::Start | Cause::Change | Cause::Resume => false,
    }
}

/// How many paths there are, where these are all of them.
fn counted(paths: &[String]) -> Option<u64> {
    let whole = (1..CHANGED_PATHS_SHOWN_MAX).contains(&paths.len());
    u64::try_from(paths.len()).ok().filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_a_void_run_are_counted_where_these_are_all() {
        let paths = |count: usize| vec!["a".to_owned(); count];
        assert_eq!(counted(&paths(0)), None, "everything may have changed");
        assert_eq!(counted(&paths(3)), Some(3));
        assert_eq!(
            counted(&paths(CHANGED_PATHS_SHOWN_MAX)),
            None,
            "there may be more"
        );
    }
}
