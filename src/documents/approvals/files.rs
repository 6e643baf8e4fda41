//! The two files of a run that an approval stands in, reached by name only, as they stood when they were read.
//!
//! Both sides of an approval read here: who gives it and who honours it.

use crate::disk::durable::{Dir, DurableError, Stamp};
use crate::limits::EVIDENCE_BYTES_MAX;
use crate::model::evidence::{Manifest, Sidecar, Unreadable};
use crate::model::id::{RunId, TaskId};
use std::ffi::OsStr;
use std::path::Path;

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SIDECAR: &str = "orchd.json";

/// Why a file of a run tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum UnreadError {
    /// There is none.
    #[error("it is not there")]
    Missing,
    /// The disk says no.
    #[error(transparent)]
    Disk(#[from] DurableError),
    /// It is damaged, of a newer version, or something else.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is of another run than its directory.
    #[error("it is of another run")]
    Other,
}

/// One file, and what stood under its name when it was read.
#[derive(Debug)]
pub(super) struct Text<T> {
    pub(super) bytes: Vec<u8>,
    pub(super) value: T,
    pub(super) stamp: Option<Stamp>,
}

/// The directory of a run.
#[derive(Debug)]
pub(super) struct RunFiles {
    pub(super) dir: Dir,
    task: TaskId,
    run: RunId,
}

impl RunFiles {
    /// Opens it below the directory of all runs; nothing where it has none.
    pub(super) fn open(
        runs: &Dir,
        task: &TaskId,
        run: &RunId,
    ) -> Result<Option<Self>, DurableError> {
        let below = Path::new(task.as_str()).join("cli").join(run.as_str());
        let dir = runs.descend(&below)?;
        Ok(dir.map(|dir| Self {
            dir,
            task: task.clone(),
            run: run.clone(),
        }))
    }

    pub(super) fn manifest(&self) -> Result<Text<Manifest>, UnreadError> {
        let (bytes, stamp) = self.read(MANIFEST)?;
        let value = Manifest::parse(&bytes)?;
        if (&value.task_id, &value.run_id) != (&self.task, &self.run) {
            return Err(UnreadError::Other);
        }
        Ok(Text {
            bytes,
            value,
            stamp,
        })
    }

    pub(super) fn sidecar(&self) -> Result<Text<Sidecar>, UnreadError> {
        let (bytes, stamp) = self.read(SIDECAR)?;
        let value = Sidecar::parse(&bytes)?;
        Ok(Text {
            bytes,
            value,
            stamp,
        })
    }

    /// The sidecar, if anything was approved in it: of most runs nothing was, and those are not parsed.
    pub(super) fn approved(&self) -> Option<Sidecar> {
        let (bytes, _) = self.read(SIDECAR).ok()?;
        let word = b"\"approvals\"";
        let has_any = bytes.windows(word.len()).any(|part| part == word);
        Sidecar::parse(&bytes).ok().filter(|_| has_any)
    }

    pub(super) fn stamp(&self, name: &str) -> Option<Stamp> {
        self.dir.stamp(Path::new(name))
    }

    fn read(&self, name: &str) -> Result<(Vec<u8>, Option<Stamp>), UnreadError> {
        // The stamp comes first: a file that is replaced between the two is found to be another one.
        let stamp = self.stamp(name);
        let bytes = self.dir.read(OsStr::new(name), EVIDENCE_BYTES_MAX)?;
        Ok((bytes.ok_or(UnreadError::Missing)?, stamp))
    }
}
