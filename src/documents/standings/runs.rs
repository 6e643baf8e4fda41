//! What the runs of one task say of its project: the newest, the newest green one, and what was approved.
//!
//! A manifest that cannot be read, or names another task, says nothing; `project check` and `docs check` tell of it.

use super::{Approved, Standing, Told, tame};
use crate::documents::records;
use crate::documents::shelf::{Shelf, ShelfError};
use crate::model::config::Project;
use crate::model::evidence::{Manifest, Sidecar};
use crate::model::run::{RunStatus, Verdict};
use serde_json::Value;

/// Reads what the runs of a project say; nothing where there is nothing of its task here.
///
/// # Errors
/// When the runs cannot be listed.
pub fn read(shelf: &Shelf, project: &Project) -> Result<Option<Standing>, ShelfError> {
    let place = shelf.places().runs.join(project.task.as_str());
    if !place.is_dir() {
        return Ok(None);
    }
    let records = records::of_task(shelf, &project.task)?;
    let runs = records.iter();
    let mut runs: Vec<_> = runs
        .filter_map(|it| Some((it.manifest()?, it.sidecar())))
        .collect();
    runs.sort_by(|(a, _), (b, _)| (b.started_at, &b.run_id).cmp(&(a.started_at, &a.run_id)));
    let whole = || runs.iter().filter(|(run, _)| run.parent_run_id.is_none());
    let mut own = whole().filter(|(run, _)| run.pipeline_id == project.pipeline);
    Ok(Some(Standing {
        latest: whole().next().map(|(run, _)| told(run)),
        green: own
            .find(|(run, sidecar)| is_green(run, *sidecar))
            .map(|(run, _)| told(run)),
        approvals: runs.iter().flat_map(|(run, _)| approvals(run)).collect(),
    }))
}

fn told(manifest: &Manifest) -> Told {
    Told {
        run: manifest.run_id.clone(),
        status: manifest.status,
        at: manifest.completed_at.unwrap_or(manifest.started_at),
    }
}

/// Whether a run succeeded, and its content was the same all along. What another tool ran has no word on the latter.
fn is_green(manifest: &Manifest, sidecar: Option<&Sidecar>) -> bool {
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
