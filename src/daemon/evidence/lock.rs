//! `.runs/<task>.lock`: the published orchestrator's lock around a task's snapshot.
//!
//! It is held for milliseconds. One whose owner is dead, or that nobody can read and that is old, is taken over. One
//! that stays held is not waited for: our own write is a rename, so the worst is that the other's entry is added back
//! later.

use crate::daemon::process;
use crate::disk::durable::{Dir, DurableError, Former};
use crate::limits::{LOCK_PAUSE, LOCK_STALE, LOCK_TRIES_MAX};
use crate::model::id::TaskId;
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::Path;

const PAYLOAD_BYTES_MAX: u64 = 4096;

/// A lock that is held, until it is given back.
#[derive(Debug)]
pub(super) struct Held {
    name: OsString,
    token: String,
}

/// What the published orchestrator writes into a lock.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    schema_version: u64,
    kind: String,
    token: String,
    task_id: String,
    pid: u32,
    host: String,
    acquired_at: Timestamp,
    stale_ms: Option<u64>,
}

/// Takes the lock of a task; `None` when somebody keeps it.
pub(super) fn take(
    runs: &Dir,
    task: &TaskId,
    token: &str,
    now: Timestamp,
) -> Result<Option<Held>, DurableError> {
    let name = OsString::from(format!("{task}.lock"));
    let payload = Payload {
        schema_version: 1,
        kind: "codex-lock-owner".to_owned(),
        token: token.to_owned(),
        task_id: task.to_string(),
        pid: std::process::id(),
        host: host(),
        acquired_at: now,
        stale_ms: None,
    };
    let mut line = serde_json::to_string(&payload).unwrap_or_default();
    line.push('\n');
    for _ in 0..LOCK_TRIES_MAX {
        if runs.create_new(&name, line.as_bytes())? {
            let token = token.to_owned();
            return Ok(Some(Held { name, token }));
        }
        if is_abandoned(runs, &name, now) {
            tracing::info!(lock = ?name, "taking over a lock that its owner left behind");
            runs.remove(&name)?;
        } else {
            std::thread::sleep(LOCK_PAUSE);
        }
    }
    Ok(None)
}

impl Held {
    /// Gives the lock back, unless somebody took it over meanwhile; what is left of it may go later.
    pub(super) fn release(self, runs: &Dir) -> Result<Former, DurableError> {
        match read(runs, &self.name) {
            Some(payload) if payload.token == self.token => runs.take_away(&self.name),
            Some(_) | None => Ok(Former::default()),
        }
    }
}

fn read(runs: &Dir, name: &OsString) -> Option<Payload> {
    let bytes = runs.read(name, PAYLOAD_BYTES_MAX).ok()??;
    serde_json::from_slice(&bytes).ok()
}

fn is_abandoned(runs: &Dir, name: &OsString, now: Timestamp) -> bool {
    if let Some(payload) = read(runs, name) {
        return payload.host == host() && process::exists(payload.pid) == Some(false);
    }
    let Some(stamp) = runs.stamp(Path::new(name)) else {
        return false;
    };
    now.since(stamp.modified()) > LOCK_STALE
}

#[cfg(unix)]
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}
