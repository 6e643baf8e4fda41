//! The history of one workspace's runs in memory, with a copy on disk that makes a start quick.
//!
//! The run directories are the truth. The index only remembers what they said, and the stamp of the manifest that said
//! it: a directory that changed is listed again, a manifest with another stamp is read again. The copy in the daemon's
//! state directory is therefore a cache: deleted, torn or of another version, it is made again.

mod flaky;
mod said;
mod store;

use crate::daemon::evidence::{
    LOCAL_POINTERS, MANIFEST, SIDECAR, read_manifest, read_sidecar, run_path,
};
use crate::disk::durable::{Dir, DurableError, Kind, Stamp};
use crate::limits::{FAILED_RUNS_MAX, LISTING_SETTLE, PROOFS_MAX};
use crate::model::evidence::{Layout, Manifest, RunRecord, Sidecar};
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::run::Verdict;
use crate::model::time::Timestamp;
use said::Said;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use store::Store;

/// A run by its task and id.
pub(crate) type Key = (TaskId, RunId);

/// What the index remembers of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What the history shows.
    pub(crate) record: RunRecord,
    /// The manifest that said so.
    pub(crate) stamp: Stamp,
    /// The sidecar that did, where there was one.
    #[serde(default)]
    pub(crate) beside: Option<Stamp>,
    /// Whether nothing is left to be written for it.
    pub(crate) complete: bool,
    /// Whether it has a sidecar: it is ours.
    pub(crate) ours: bool,
    /// Whether its sidecar proves something of some content.
    pub(crate) proves: bool,
    /// How many stages of it have a pass that stands, whatever the run itself proves.
    #[serde(default)]
    pub(crate) passes: usize,
    /// The runs that it has taken stages over from.
    #[serde(default)]
    pub(crate) reused: BTreeSet<RunId>,
    /// What its stages say of their keys; nothing in a row that an older version has written, which is read again.
    #[serde(default)]
    pub(crate) said: Option<Vec<Said>>,
}

/// The history of one workspace's runs.
#[derive(Debug)]
pub(crate) struct Index {
    layout: Layout,
    rows: BTreeMap<Key, Row>,
    by_time: BTreeSet<(Timestamp, RunId, TaskId)>,
    listings: BTreeMap<TaskId, Stamp>,
    unread: BTreeSet<Key>,
    store: Store,
}

impl Row {
    /// What the index remembers of a run, from its files.
    pub(crate) fn of(
        manifest: &Manifest,
        sidecar: Option<&Sidecar>,
        layout: &Layout,
        (stamp, beside): (Stamp, Option<Stamp>),
    ) -> Self {
        let written = manifest.metrics_recorded && manifest.run_summary_path.is_some();
        Self {
            record: RunRecord::of(manifest, sidecar, layout),
            stamp,
            beside,
            complete: manifest.status.is_terminal() && written,
            ours: sidecar.is_some(),
            proves: sidecar.is_some_and(Sidecar::proves),
            passes: sidecar.map_or(0, |it| it.stages.iter().filter(|it| it.proven).count()),
            reused: sidecar.map(Sidecar::reused).unwrap_or_default(),
            said: Some(sidecar.map_or_else(Vec::new, |it| said::by(it, manifest))),
        }
    }
}

impl Index {
    /// Opens the index of the runs directory at `runs`; nothing is read yet but the copy on disk.
    pub(crate) fn open(layout: Layout, runs: &Path, dir: Option<PathBuf>) -> Self {
        let (store, rows) = Store::open(runs, dir);
        let mut index = Self {
            layout,
            rows: BTreeMap::new(),
            by_time: BTreeSet::new(),
            listings: BTreeMap::new(),
            unread: BTreeSet::new(),
            store,
        };
        for row in rows {
            let key = (row.record.task_id.clone(), row.record.run_id.clone());
            index.put(key, row);
        }
        index
    }

    /// Notices runs that came or went since the last look.
    pub(crate) fn refresh(&mut self, runs: &Dir, now: Timestamp) -> Result<(), DurableError> {
        let mut seen = BTreeSet::new();
        for name in runs.list()? {
            let Some(task) = name.to_str().and_then(|name| TaskId::parse(name).ok()) else {
                continue;
            };
            if task.as_str() == LOCAL_POINTERS {
                continue;
            }
            let cli = Path::new(task.as_str()).join("cli");
            let Some(stamp) = runs
                .stamp(&cli)
                .filter(|stamp| stamp.kind == Kind::Directory)
            else {
                continue;
            };
            seen.insert(task.clone());
            if self.listings.get(&task) != Some(&stamp) {
                self.list(runs, &task, &cli)?;
                // Two changes within the clock's grain leave one stamp: a young listing is not believed twice.
                if is_settled(stamp, now) {
                    self.listings.insert(task, stamp);
                }
            }
        }
        let gone: Vec<Key> = self
            .rows
            .keys()
            .filter(|key| !seen.contains(&key.0))
            .cloned()
            .collect();
        gone.iter().for_each(|key| self.forget(key));
        self.listings.retain(|task, _| seen.contains(task));
        for key in self.unread.clone() {
            self.read(runs, &key);
        }
        self.store.settle(&self.rows);
        Ok(())
    }

    /// Reads again what changed, of all runs.
    pub(crate) fn check_all(&mut self, runs: &Dir) {
        let keys: Vec<Key> = self.rows.keys().cloned().collect();
        for key in &keys {
            self.check(runs, key);
        }
        self.store.settle(&self.rows);
    }

    /// The row of a run, read again if its manifest or its sidecar changed; `None` when it is gone or cannot be read.
    pub(crate) fn check(&mut self, runs: &Dir, key: &Key) -> Option<&Row> {
        let path = run_path(&key.0, &key.1);
        let stamp = runs.stamp(&path.join(MANIFEST));
        let beside = runs.stamp(&path.join(SIDECAR));
        let known = self.rows.get(key).filter(|row| row.said.is_some());
        let known = known.map(|row| (row.stamp, row.beside));
        match stamp {
            Some(stamp) if known == Some((stamp, beside)) => {}
            // Without its manifest, what is left of a run is still there to be healed.
            Some(_) | None => self.read(runs, key),
        }
        self.rows.get(key)
    }

    /// The newest runs, of one task or of all: at most `limit`.
    pub(crate) fn newest(
        &mut self,
        runs: &Dir,
        task: Option<&TaskId>,
        limit: usize,
    ) -> Vec<RunRecord> {
        let of_task = |key: &&(Timestamp, RunId, TaskId)| task.is_none_or(|task| &key.2 == task);
        let newest = self.by_time.iter().rev().filter(of_task).take(limit);
        let keys: Vec<Key> = newest
            .map(|(_, run, task)| (task.clone(), run.clone()))
            .collect();
        let checked = keys.iter().filter_map(|key| self.check(runs, key).cloned());
        checked.map(|row| row.record).collect()
    }

    /// The runs whose id is `part` or contains it.
    pub(crate) fn matching(&self, part: &str) -> Vec<Key> {
        let exact = self.rows.keys().filter(|(_, run)| run.as_str() == part);
        let exact: Vec<Key> = exact.cloned().collect();
        if !exact.is_empty() || part.is_empty() {
            return exact;
        }
        let partly = self
            .rows
            .keys()
            .filter(|(_, run)| run.as_str().contains(part));
        partly.cloned().collect()
    }

    /// All rows, newest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        let keys = self.by_time.iter().rev();
        keys.filter_map(|(_, run, task)| self.rows.get(&(task.clone(), run.clone())))
    }

    /// The runs of each task and pipeline that prove something, newest first: at most [`PROOFS_MAX`] of each.
    pub(crate) fn proofs(&self) -> BTreeMap<(TaskId, PipelineId), Vec<RunId>> {
        // A run that another tool has resumed since has a verdict no longer.
        self.newest_of_each(|row| row.proves && row.record.verdict != Verdict::Unknown)
    }

    /// The runs whose stages have passed on keys for which that stands: of each task and pipeline as many.
    pub(crate) fn passes(&self) -> Vec<Key> {
        let passes = self.newest_of_each(|row| row.passes > 0 && row.record.status.is_terminal());
        let keys = passes.into_iter().flat_map(|((task, _), runs)| {
            let runs = runs.into_iter();
            runs.map(move |run| (task.clone(), run))
        });
        keys.collect()
    }

    /// The runs that say of a key that it has failed: of each task as many as the engine remembers.
    pub(crate) fn failures(&self) -> Vec<Key> {
        let mut of_task: BTreeMap<&TaskId, usize> = BTreeMap::new();
        let mut failures = Vec::new();
        for row in self.rows() {
            let mut said = row.said.iter().flatten();
            if !row.record.status.is_terminal() || !said.any(Said::tells_of_failure) {
                continue;
            }
            let count = of_task.entry(&row.record.task_id).or_default();
            *count = count.saturating_add(1);
            if *count <= FAILED_RUNS_MAX {
                failures.push((row.record.task_id.clone(), row.record.run_id.clone()));
            }
        }
        failures
    }

    fn newest_of_each(
        &self,
        is_one: impl Fn(&Row) -> bool,
    ) -> BTreeMap<(TaskId, PipelineId), Vec<RunId>> {
        let mut proofs: BTreeMap<_, Vec<RunId>> = BTreeMap::new();
        for row in self.rows().filter(|row| is_one(row)) {
            let record = &row.record;
            let subject = (record.task_id.clone(), record.pipeline_id.clone());
            let runs = proofs.entry(subject).or_default();
            if runs.len() < PROOFS_MAX {
                runs.push(record.run_id.clone());
            }
        }
        proofs
    }

    /// Runs whose directory is there and whose manifest could not be read.
    pub(crate) fn unread(&self) -> impl Iterator<Item = &Key> {
        self.unread.iter()
    }

    /// Takes in what is known of a run that was just written.
    pub(crate) fn note(&mut self, runs: &Dir, manifest: &Manifest, sidecar: Option<&Sidecar>) {
        let key = (manifest.task_id.clone(), manifest.run_id.clone());
        let path = run_path(&key.0, &key.1);
        if let Some(stamp) = runs.stamp(&path.join(MANIFEST)) {
            let stamps = (stamp, runs.stamp(&path.join(SIDECAR)));
            let row = Row::of(manifest, sidecar, &self.layout, stamps);
            self.store.append(&row);
            self.put(key, row);
        }
    }

    /// Removes the copy on disk for good.
    pub(crate) fn retire(&mut self) {
        self.store.retire();
    }

    /// Takes a run out.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.unread.remove(key);
        if let Some(old) = self.rows.remove(key) {
            let time = (old.record.started_at, key.1.clone(), key.0.clone());
            self.by_time.remove(&time);
            self.store.note_garbage();
        }
    }

    fn list(&mut self, runs: &Dir, task: &TaskId, cli: &Path) -> Result<(), DurableError> {
        let Some(dir) = runs.descend(cli)? else {
            return Ok(());
        };
        let named = |name: &OsString| name.to_str().and_then(|name| RunId::parse(name).ok());
        let present: BTreeSet<RunId> = dir.list()?.iter().filter_map(named).collect();
        let known = self.rows.keys().filter(|key| &key.0 == task);
        let gone: Vec<Key> = known
            .filter(|key| !present.contains(&key.1))
            .cloned()
            .collect();
        gone.iter().for_each(|key| self.forget(key));
        for run in present {
            let key = (task.clone(), run);
            if !self.rows.contains_key(&key) {
                self.read(runs, &key);
            }
        }
        Ok(())
    }

    fn read(&mut self, runs: &Dir, key: &Key) {
        let path = run_path(&key.0, &key.1);
        let Ok(Some(dir)) = runs.descend(&path) else {
            return self.forget(key);
        };
        // The stamp is taken first: a manifest that is replaced between the two is read again next time.
        let stamp = dir.stamp(Path::new(MANIFEST));
        let beside = dir.stamp(Path::new(SIDECAR));
        let manifest = read_manifest(&dir).ok();
        // A manifest that speaks of another run was copied here: its row would stand for that one.
        let manifest = manifest.filter(|m| (&m.task_id, &m.run_id) == (&key.0, &key.1));
        match (manifest, stamp) {
            (Some(manifest), Some(stamp)) => {
                let sidecar = read_sidecar(&dir).ok();
                let row = Row::of(&manifest, sidecar.as_ref(), &self.layout, (stamp, beside));
                self.store.append(&row);
                self.put(key.clone(), row);
                self.unread.remove(key);
            }
            (None | Some(_), _) => {
                self.forget(key);
                self.unread.insert(key.clone());
            }
        }
    }

    fn put(&mut self, key: Key, row: Row) {
        let time = (row.record.started_at, key.1.clone(), key.0.clone());
        if let Some(old) = self.rows.insert(key, row) {
            let old = (old.record.started_at, time.1.clone(), time.2.clone());
            self.by_time.remove(&old);
        }
        self.by_time.insert(time);
    }
}

/// Removes the copies in `dir` of runs directories that are not among `known`.
pub(crate) fn sweep(dir: &Path, known: impl Iterator<Item = PathBuf>) {
    let known: BTreeSet<OsString> = known.map(|runs| store::name_of(&runs)).collect();
    let listed = Dir::open(dir).and_then(|dir| Ok((dir.list()?, dir)));
    let Ok((names, dir)) = listed else { return };
    for name in names {
        if store::is_name(&name) && !known.contains(&name) {
            // It is a cache: what cannot be removed is no worse than before.
            drop(dir.remove(&name));
        }
    }
}

fn is_settled(stamp: Stamp, now: Timestamp) -> bool {
    let age = i128::from(now.unix_ms()) * 1_000_000 - stamp.modified_ns;
    u128::try_from(age).is_ok_and(|age| age > LISTING_SETTLE.as_nanos())
}

#[cfg(test)]
mod tests;
