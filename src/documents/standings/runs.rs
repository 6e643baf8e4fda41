//! What the runs of one task say of its project: the newest, the newest green one, and what was approved.
//!
//! A manifest that cannot be read, or names another task, says nothing; `project check` and `docs check` tell of it.

use super::{Approved, Standing, Told, tame};
use crate::documents::shelf::{self, Shelf, ShelfError};
use crate::limits::documents::TASK_RUNS_READ_MAX;
use crate::model::config::Project;
use crate::model::evidence::{Manifest, Sidecar};
use crate::model::id::RunId;
use crate::model::run::{RunStatus, Verdict};
use serde_json::Value;
use std::path::Path;

/// Reads what the runs of a project say; nothing where there is nothing of its task here.
///
/// # Errors
/// When the runs cannot be listed.
pub fn read(shelf: &Shelf, project: &Project) -> Result<Option<Standing>, ShelfError> {
    let place = shelf.places().runs.join(project.task.as_str());
    if !place.is_dir() {
        return Ok(None);
    }
    let place = place.join("cli");
    let mut manifests = Vec::new();
    for run in ids(&place)?.into_iter().rev().take(TASK_RUNS_READ_MAX) {
        let bytes = shelf::read(&place.join(run.as_str()).join("manifest.json"));
        let Some(manifest) = bytes.ok().flatten().and_then(|bytes| parse(&bytes)) else {
            continue;
        };
        if manifest.task_id == project.task && manifest.run_id == run {
            manifests.push(manifest);
        }
    }
    manifests.sort_by(|a, b| (b.started_at, &b.run_id).cmp(&(a.started_at, &a.run_id)));
    let whole = || manifests.iter().filter(|run| run.parent_run_id.is_none());
    let mut own = whole().filter(|run| run.pipeline_id == project.pipeline);
    Ok(Some(Standing {
        latest: whole().next().map(told),
        green: own.find(|run| is_green(&place, run)).map(told),
        approvals: manifests.iter().flat_map(approvals).collect(),
    }))
}

fn parse(bytes: &[u8]) -> Option<Manifest> {
    Manifest::parse(bytes).ok()
}

/// The runs in a directory, sorted.
fn ids(place: &Path) -> Result<Vec<RunId>, ShelfError> {
    let failed = |source| ShelfError::Read {
        path: place.to_path_buf(),
        source,
    };
    let entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if shelf::is_nothing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        runs.extend(name.to_str().and_then(|name| RunId::parse(name).ok()));
    }
    runs.sort();
    Ok(runs)
}

fn told(manifest: &Manifest) -> Told {
    Told {
        run: manifest.run_id.clone(),
        status: manifest.status,
        at: manifest.completed_at.unwrap_or(manifest.started_at),
    }
}

/// Whether a run succeeded, and its content was the same all along. What another tool ran has no word on the latter.
fn is_green(place: &Path, manifest: &Manifest) -> bool {
    let sidecar = place.join(manifest.run_id.as_str()).join("orchd.json");
    let sidecar = shelf::read(&sidecar).ok().flatten();
    let sidecar = sidecar.and_then(|bytes| Sidecar::parse(&bytes).ok());
    let holds = sidecar.is_none_or(|sidecar| {
        sidecar.void.is_none() && matches!(sidecar.verdict, Verdict::Pass | Verdict::Flaky)
    });
    manifest.status == RunStatus::Succeeded && holds
}

fn approvals(manifest: &Manifest) -> impl Iterator<Item = Approved> {
    manifest.approvals.iter().rev().map(|approval| {
        let text = |key: &str| approval.get(key).and_then(Value::as_str).map(tame);
        let actor = text("actor").unwrap_or_else(|| "somebody".to_owned());
        let at = text("timestamp")
            .map(|at| format!(", {at}"))
            .unwrap_or_default();
        let reason = text("reason").map(|reason| format!(": {reason}"));
        Approved {
            run: manifest.run_id.clone(),
            words: format!("{actor}{at}{}", reason.unwrap_or_default()),
        }
    })
}
