//! The files of one run: their names, and reading and writing each of them.
//!
//! It knows names and modes, not their order; that is the desk's.

use super::owner::Owner;
use super::places::Grown;
use super::{EvidenceError, ReadError};
use crate::disk::durable::{Dir, DurableError, PRIVATE, SHARED, Staged, temp_owner};
use crate::limits::EVIDENCE_BYTES_MAX;
use crate::model::evidence::{ErrorFile, Manifest, RunSummary, Sidecar, document, pretty};
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use serde::Serialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const SIDECAR: &str = "orchd.json";
pub(super) const HEARTBEAT: &str = ".heartbeat";
pub(super) const TOKEN: &str = ".resume-token";
pub(crate) const OWNER: &str = ".orchd-owner.json";
pub(super) const SUMMARY: &str = "run-summary.json";
pub(super) const METRICS: &str = "metrics.json";
/// The log of all stages.
pub(super) const LOG: &str = "runner.ndjson";
/// The directory of pointers to all tasks' runs.
pub(crate) const LOCAL_POINTERS: &str = "local-mcp";

/// The directories of one run, open.
#[derive(Debug)]
pub(super) struct Files {
    /// `.runs`.
    pub(super) runs: Dir,
    /// `.runs/<task>`.
    pub(super) task: Dir,
    /// `.runs/<task>/cli/<run>`.
    pub(super) run: Dir,
}

/// Says where a run is.
#[derive(Serialize)]
struct Pointer<'a> {
    redirect_to: &'a str,
    manifest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
}

/// The directory of a run below the runs directory.
pub(crate) fn run_path(task: &TaskId, run: &RunId) -> PathBuf {
    Path::new(task.as_str()).join("cli").join(run.as_str())
}

/// The directory of the pointer to a run below the runs directory.
pub(crate) fn pointer_path(task: &TaskId, run: &RunId) -> PathBuf {
    Path::new(task.as_str()).join("mcp").join(run.as_str())
}

impl Files {
    /// Opens the directories of a run; `None` when it has none.
    pub(super) fn open(
        runs: &Dir,
        task: &TaskId,
        run: &RunId,
    ) -> Result<Option<Self>, DurableError> {
        let (Some(runs), Some(task)) = (
            runs.descend(Path::new(""))?,
            runs.descend(Path::new(task.as_str()))?,
        ) else {
            return Ok(None);
        };
        let below = Path::new("cli").join(run.as_str());
        let run = task.descend(&below)?;
        Ok(run.map(|run| Self { runs, task, run }))
    }

    /// Opens the directories of a run and makes what is missing. The published orchestrator resumes only a run that
    /// has `commands`.
    pub(super) fn create(
        runs: &Dir,
        task: &TaskId,
        run: &RunId,
        grown: &mut Grown,
    ) -> Result<Self, DurableError> {
        let runs = grown.create(runs, Path::new(""))?;
        let task = grown.create(&runs, Path::new(task.as_str()))?;
        let run = grown.create(&task, &Path::new("cli").join(run.as_str()))?;
        for name in ["commands", "errors"] {
            drop(grown.create(&run, Path::new(name))?);
        }
        Ok(Self { runs, task, run })
    }

    pub(super) fn has_manifest(&self) -> bool {
        self.run.stamp(Path::new(MANIFEST)).is_some()
    }

    pub(super) fn read_manifest(&self) -> Result<Manifest, ReadError> {
        read_manifest(&self.run)
    }

    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<(), DurableError> {
        self.run
            .write(OsStr::new(MANIFEST), &document(manifest), SHARED)
    }

    pub(super) fn read_sidecar(&self) -> Result<Sidecar, ReadError> {
        read_sidecar(&self.run)
    }

    pub(super) fn stage_manifest(&self, manifest: &Manifest) -> Result<Staged, DurableError> {
        self.run
            .stage(OsStr::new(MANIFEST), &document(manifest), SHARED)
    }

    pub(super) fn stage_sidecar(&self, sidecar: &Sidecar) -> Result<Staged, DurableError> {
        self.run
            .stage(OsStr::new(SIDECAR), &document(sidecar), SHARED)
    }

    pub(super) fn write_sidecar(&self, sidecar: &Sidecar) -> Result<(), DurableError> {
        self.run
            .write(OsStr::new(SIDECAR), &document(sidecar), SHARED)
    }

    pub(super) fn stage_token(&self, token: &str) -> Result<Staged, DurableError> {
        self.run
            .stage(OsStr::new(TOKEN), format!("{token}\n").as_bytes(), PRIVATE)
    }

    /// Says whose the run is. Not synced: after a power cut no owner is alive.
    pub(super) fn write_owner(&self, owner: &Owner) -> Result<(), DurableError> {
        self.run
            .write_unsynced(OsStr::new(OWNER), &document(owner), SHARED)
    }

    /// The log that the manifest names is there, also where nothing was executed.
    pub(super) fn lay_log(&self) -> Result<(), DurableError> {
        match self.run.stamp(Path::new(LOG)) {
            Some(_) => Ok(()),
            None => self.run.write_unsynced(OsStr::new(LOG), b"", SHARED),
        }
    }

    pub(super) fn stage_summary(&self, summary: &RunSummary) -> Result<Staged, DurableError> {
        self.run
            .stage(OsStr::new(SUMMARY), &document(summary), SHARED)
    }

    /// `.runs/<task>/<run>/manifest.json`, which the published orchestrator's uploader reads.
    pub(super) fn stage_legacy(
        &self,
        summary: &RunSummary,
        grown: &mut Grown,
    ) -> Result<Staged, DurableError> {
        let dir = grown.create(&self.task, Path::new(summary.run_id.as_str()))?;
        let staged = dir.stage(OsStr::new(MANIFEST), pretty(summary).as_bytes(), SHARED)?;
        grown.note(dir);
        Ok(staged)
    }

    pub(super) fn read_owner(&self) -> Option<Owner> {
        let bytes = self
            .run
            .read(OsStr::new(OWNER), EVIDENCE_BYTES_MAX)
            .ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) fn beat(&self, now: Timestamp) -> Result<(), DurableError> {
        self.run
            .overwrite(OsStr::new(HEARTBEAT), format!("{now}\n").as_bytes(), SHARED)
    }

    pub(super) fn write_error(
        &self,
        error: &ErrorFile,
        grown: &mut Grown,
    ) -> Result<(), DurableError> {
        let errors = grown.create(&self.run, Path::new("errors"))?;
        errors.write(OsStr::new(&error.name()), &document(error), SHARED)?;
        grown.note(errors);
        Ok(())
    }

    /// The pointer by which other tools find the run; `None` when it is there already.
    pub(super) fn stage_pointer(
        &self,
        manifest: &Manifest,
        grown: &mut Grown,
    ) -> Result<Option<Staged>, DurableError> {
        let dir = grown.create(
            &self.runs,
            &pointer_path(&manifest.task_id, &manifest.run_id),
        )?;
        if dir.stamp(Path::new(MANIFEST)).is_some() {
            return Ok(None);
        }
        let staged = dir.stage(OsStr::new(MANIFEST), &pointer(manifest), SHARED)?;
        grown.note(dir);
        Ok(Some(staged))
    }

    /// The link by which other tools find the run without its task.
    pub(super) fn link(&self, manifest: &Manifest, grown: &mut Grown) -> Result<(), DurableError> {
        let run = &manifest.run_id;
        let local = grown.create(&self.runs, &Path::new(LOCAL_POINTERS).join(run.as_str()))?;
        if let Err(error) = local.symlink(&link_target(manifest), OsStr::new(MANIFEST)) {
            tracing::debug!(%run, error = %error.source, "no link possible: writing a pointer instead");
            let pointer = Pointer {
                redirect_to: &manifest.artifact_root,
                manifest: format!("{}/{MANIFEST}", manifest.artifact_root),
                created_at: None,
                note: "",
            };
            local.write(OsStr::new(MANIFEST), &document(&pointer), SHARED)?;
        }
        grown.note(local);
        Ok(())
    }
}

/// What leads to a run from its task's pointers.
pub(super) fn pointer(manifest: &Manifest) -> Vec<u8> {
    document(&Pointer {
        redirect_to: &manifest.artifact_root,
        manifest: format!("{}/{MANIFEST}", manifest.artifact_root),
        created_at: Some(manifest.updated_at),
        note: "Written by orchd: the run stands under redirect_to.",
    })
}

/// What leads to a run from all tasks' pointers.
pub(super) fn link_target(manifest: &Manifest) -> PathBuf {
    let run = run_path(&manifest.task_id, &manifest.run_id);
    Path::new("../..").join(run).join(MANIFEST)
}

/// Reads the manifest in a run's directory.
pub(crate) fn read_manifest(run: &Dir) -> Result<Manifest, ReadError> {
    let bytes = run.read(OsStr::new(MANIFEST), EVIDENCE_BYTES_MAX)?;
    Ok(Manifest::parse(&bytes.ok_or(ReadError::Missing)?)?)
}

/// Reads the sidecar in a run's directory.
pub(crate) fn read_sidecar(run: &Dir) -> Result<Sidecar, ReadError> {
    let bytes = run.read(OsStr::new(SIDECAR), EVIDENCE_BYTES_MAX)?;
    Ok(Sidecar::parse(&bytes.ok_or(ReadError::Missing)?)?)
}

/// Puts a file that cannot be read out of the way, for somebody who wants to look at it.
pub(super) fn set_aside(dir: &Dir, name: &str, now: Timestamp) -> Result<(), DurableError> {
    if dir.stamp(Path::new(name)).is_none() {
        return Ok(());
    }
    let aside = dir.set_aside(OsStr::new(name), &now.unix_ms().to_string())?;
    tracing::warn!(file = %dir.path().join(name).display(), aside = %aside.display(), "a damaged file was set aside");
    Ok(())
}

/// Removes the temp files that a dead process left in `dir`.
pub(super) fn sweep(dir: &Dir) -> Result<(), DurableError> {
    for name in dir.list()? {
        let Some(pid) = temp_owner(&name) else {
            continue;
        };
        // Our own: whoever sweeps a directory is the only one of this process who writes there.
        let ours = pid == std::process::id();
        if ours || crate::daemon::process::exists(pid) == Some(false) {
            dir.remove(&name)?;
        }
    }
    Ok(())
}

/// A resume token: 32 random bytes in hexadecimal.
pub(super) fn random_token() -> Result<String, EvidenceError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(EvidenceError::Random)?;
    Ok(base16ct::lower::encode_string(&bytes))
}
