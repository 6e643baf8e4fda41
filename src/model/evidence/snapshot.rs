//! `out/<task>/runs.json` and `out/<task>/state.json`: the newest runs of a task, oldest first.
//!
//! `runs.json` is the published orchestrator's file too, so entries of others are kept as they are. `state.json` may
//! have been overwritten with that tool's own numbers; its keys stay behind ours. An entry is kept as rendered text,
//! because the whole file is written at each end of a run.

use super::{RunSummary, TaskState, pretty};
use crate::limits::SNAPSHOT_RUNS_MAX;
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

const SCHEMA: u64 = 1;

/// The newest runs of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    task: TaskId,
    entries: Vec<Entry>,
}

/// One run in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    at: Option<Timestamp>,
    stamp: String,
    run: String,
    text: String,
}

/// The `orchd` object with its version in front.
#[derive(Serialize)]
struct Versioned<'a> {
    schema: u64,
    #[serde(flatten)]
    state: &'a TaskState,
}

impl Entry {
    /// The entry of a run.
    #[must_use]
    pub fn of(summary: &RunSummary) -> Self {
        Self {
            at: Some(summary.timestamp),
            stamp: summary.timestamp.to_string(),
            run: summary.run_id.to_string(),
            text: indented(&pretty(summary), "    "),
        }
    }

    /// An entry as somebody wrote it; `None` when it is none.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let run = value.get("runId")?.as_str()?.to_owned();
        let stamp = value.get("timestamp")?.as_str()?.to_owned();
        Some(Self {
            at: Timestamp::parse(&stamp).ok(),
            stamp,
            run,
            text: indented(&pretty(value), "    "),
        })
    }
}

impl Snapshot {
    /// A snapshot without runs.
    #[must_use]
    pub fn empty(task: TaskId) -> Self {
        Self {
            task,
            entries: Vec::new(),
        }
    }

    /// Reads a snapshot of `task`; `None` when it is damaged, another task's or something else.
    #[must_use]
    pub fn parse(bytes: &[u8], task: &TaskId) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        if value.get("taskId")?.as_str()? != task.as_str() {
            return None;
        }
        let mut snapshot = Self::empty(task.clone());
        for entry in value
            .get("runs")?
            .as_array()?
            .iter()
            .filter_map(Entry::read)
        {
            snapshot.add(entry);
        }
        Some(snapshot)
    }

    /// The runs in it, oldest first.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.run.as_str())
    }

    /// Adds a run, in its place by time; an entry of the same run is replaced, the oldest beyond the bound fall away.
    pub fn add(&mut self, entry: Entry) {
        self.entries.retain(|old| old.run != entry.run);
        let later = |old: &Entry| (old.at, &old.run) <= (entry.at, &entry.run);
        let place = self.entries.partition_point(later);
        self.entries.insert(place, entry);
        let beyond = self.entries.len().saturating_sub(SNAPSHOT_RUNS_MAX);
        drop(self.entries.drain(..beyond));
    }

    /// Takes over the runs of another snapshot of the same task.
    pub fn take(&mut self, other: Self) {
        for entry in other.entries {
            self.add(entry);
        }
    }

    /// Takes a run out; whether it was there.
    pub fn forget(&mut self, run: &RunId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.run != run.as_str());
        self.entries.len() != before
    }

    /// The file `runs.json`.
    #[must_use]
    pub fn runs_file(&self) -> Vec<u8> {
        self.render(None, &Map::new()).into_bytes()
    }

    /// The file `state.json`: the same runs, what the daemon knows, and the keys that another tool put there.
    #[must_use]
    pub fn state_file(&self, state: Option<&TaskState>, others: &Map<String, Value>) -> Vec<u8> {
        self.render(state, others).into_bytes()
    }

    /// The keys of a `state.json` that are not ours.
    #[must_use]
    pub fn others(bytes: &[u8]) -> Map<String, Value> {
        let Ok(Value::Object(mut map)) = serde_json::from_slice(bytes) else {
            return Map::new();
        };
        map.retain(|key, _| !matches!(key.as_str(), "taskId" | "lastRunAt" | "runs" | "orchd"));
        map
    }

    /// What a `state.json` says that the daemon knew.
    #[must_use]
    pub fn state(bytes: &[u8]) -> Option<TaskState> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let state = value.get("orchd")?;
        let known = state.get("schema").and_then(Value::as_u64) == Some(SCHEMA);
        known
            .then(|| serde_json::from_value(state.clone()).ok())
            .flatten()
    }

    fn render(&self, state: Option<&TaskState>, others: &Map<String, Value>) -> String {
        let last = self.entries.last().map_or("", |entry| entry.stamp.as_str());
        let bytes: usize = self.entries.iter().map(|entry| entry.text.len()).sum();
        let mut text = String::with_capacity(bytes.saturating_add(4096));
        let mut field = |name: &str, value: &str| {
            text.push_str(if text.is_empty() { "{\n  " } else { ",\n  " });
            text.push_str(&pretty(&name));
            text.push_str(": ");
            text.push_str(value);
        };
        field("taskId", &pretty(&self.task));
        field("lastRunAt", &pretty(&last));
        field("runs", &self.render_runs());
        if let Some(state) = state {
            let versioned = Versioned {
                schema: SCHEMA,
                state,
            };
            field("orchd", &indented(&pretty(&versioned), "  "));
        }
        for (name, value) in others {
            field(name, &indented(&pretty(value), "  "));
        }
        text.push_str("\n}");
        text
    }

    fn render_runs(&self) -> String {
        if self.entries.is_empty() {
            return "[]".to_owned();
        }
        let texts: Vec<&str> = self
            .entries
            .iter()
            .map(|entry| entry.text.as_str())
            .collect();
        format!("[\n    {}\n  ]", texts.join(",\n    "))
    }
}

/// Text of JSON as part of a larger text; a line break in it is never inside of a string.
fn indented(text: &str, by: &str) -> String {
    text.replace('\n', &format!("\n{by}"))
}
