//! The copy of an index on disk: a first line that says what it is, then one row a line; the last row of a run counts.
//!
//! Rows are appended without a sync. A line that does not parse ends what is believed, and the file is written anew.
//! No failure here is anybody's: without the copy a start takes longer, and that is all.

use super::{Key, Row};
use crate::disk::durable::{self, Dir, DurableError, PRIVATE};
use crate::limits::{EVIDENCE_BYTES_MAX, INDEX_GARBAGE_MIN};
use crate::model::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

const SCHEMA: u64 = 1;
const ENDING: &str = ".jsonl";

/// Where the rows of one index are kept.
#[derive(Debug)]
pub(super) struct Store {
    file: Option<(PathBuf, OsString)>,
    runs: String,
    lines: usize,
    garbage: usize,
    stale: bool,
    pending: Vec<u8>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    orchd_index: u64,
    runs: String,
}

impl Store {
    /// Opens the rows of the runs directory at `runs`, and reads those that can be believed.
    pub(super) fn open(runs: &Path, dir: Option<PathBuf>) -> (Self, Vec<Row>) {
        let mut store = Self {
            file: dir.map(|dir| (dir, name_of(runs))),
            runs: crate::model::path::to_text(runs.as_os_str()),
            lines: 0,
            garbage: 0,
            stale: true,
            pending: Vec::new(),
        };
        let rows = store.load().unwrap_or_default();
        (store, rows)
    }

    /// Adds a row.
    pub(super) fn append(&mut self, row: &Row) {
        if self.file.is_none() {
            return;
        }
        if serde_json::to_writer(&mut self.pending, row).is_ok() {
            self.pending.push(b'\n');
            self.lines = self.lines.saturating_add(1);
        }
    }

    /// Notes that a row that was added stands for nothing any more.
    pub(super) fn note_garbage(&mut self) {
        self.garbage = self.garbage.saturating_add(1);
        self.stale |= self.garbage > INDEX_GARBAGE_MIN;
    }

    /// Brings the copy in step with `rows`: by appending, or anew where too much of it stands for nothing.
    pub(super) fn settle(&mut self, rows: &BTreeMap<Key, Row>) {
        let excess = self.lines.saturating_sub(rows.len());
        let anew = self.stale || excess > rows.len().saturating_add(INDEX_GARBAGE_MIN);
        if self.pending.is_empty() && !anew {
            return;
        }
        let Some((dir, name)) = &self.file else {
            return;
        };
        let pending = std::mem::take(&mut self.pending);
        let kept = if anew {
            (self.lines, self.garbage) = (rows.len(), 0);
            write_anew(dir, name, &self.runs, rows)
        } else {
            Dir::open(dir).and_then(|dir| dir.append_unsynced(name, &pending))
        };
        self.stale = kept.is_err();
        if let Err(error) = kept {
            tracing::debug!(%error, source = %error.source, "the index is not kept on disk");
        }
    }

    /// Removes the copy, and keeps none from now on.
    pub(super) fn retire(&mut self) {
        if let Some((dir, name)) = self.file.take() {
            // It is a cache: what cannot be removed is swept at the next start.
            drop(Dir::open(&dir).and_then(|dir| dir.remove(&name)));
        }
    }

    fn load(&mut self) -> Option<Vec<Row>> {
        let (dir, name) = self.file.as_ref()?;
        let bytes = Dir::open(dir).ok()?.read(name, EVIDENCE_BYTES_MAX).ok()??;
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let header: Header = serde_json::from_slice(lines.next()?).ok()?;
        let expected = Header {
            orchd_index: SCHEMA,
            runs: self.runs.clone(),
        };
        if header != expected {
            return None;
        }
        self.stale = false;
        let mut rows = Vec::new();
        for line in lines {
            match serde_json::from_slice(line) {
                Ok(row) if line.ends_with(b"\n") => rows.push(row),
                Ok(_) | Err(_) => {
                    self.stale = true;
                    break;
                }
            }
        }
        self.lines = rows.len();
        Some(rows)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What was noted since the last look; a missing line costs the next start one manifest to read.
        if let (Some((dir, name)), false, false) = (&self.file, self.pending.is_empty(), self.stale)
        {
            let kept = Dir::open(dir).and_then(|dir| dir.append_unsynced(name, &self.pending));
            drop(kept);
        }
    }
}

/// How the copy for a runs directory is called.
pub(super) fn name_of(runs: &Path) -> OsString {
    let runs = crate::model::path::to_text(runs.as_os_str());
    OsString::from(format!("{}{ENDING}", Digest::of(runs.as_bytes())))
}

/// Whether a file is called like a copy.
pub(super) fn is_name(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(ENDING))
}

fn write_anew(
    dir: &Path,
    name: &OsStr,
    runs: &str,
    rows: &BTreeMap<Key, Row>,
) -> Result<(), DurableError> {
    let header = Header {
        orchd_index: SCHEMA,
        runs: runs.to_owned(),
    };
    let mut bytes = serde_json::to_vec(&header).unwrap_or_default();
    bytes.push(b'\n');
    for row in rows.values() {
        bytes.extend(serde_json::to_vec(row).unwrap_or_default());
        bytes.push(b'\n');
    }
    durable::create_dir_all(dir)?;
    durable::write(&dir.join(name), &bytes, PRIVATE)
}
