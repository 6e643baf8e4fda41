//! What a gate may honour of a run that is red, as the evidence has it.
//!
//! Looked for only when somebody asks a gate and it is red, among the newest runs of the task, and no further than until all
//! that is red is covered. What cannot be read is honoured by nobody.

use super::files::RunFiles;
use super::red::Red;
use super::{Given, honoured};
use crate::disk::durable::Dir;
use crate::documents::records;
use crate::model::digest::InputDigest;
use crate::model::evidence::{Approval, counted};
use crate::model::id::{RunId, TaskId};
use crate::model::time::Day;
use std::path::Path;

/// A project whose gate is red.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedGate {
    /// Its task.
    pub task: TaskId,
    /// Its present content.
    pub input: InputDigest,
    /// The run that the gate answers by.
    pub run: RunId,
}

/// The approvals by which a red gate passes; none where it does not. Blocks as long as the reading takes.
#[must_use]
pub fn approved(runs: &Dir, gate: &RedGate, today: Day) -> Vec<Approval> {
    found(runs, gate, today).unwrap_or_default()
}

fn found(runs: &Dir, gate: &RedGate, today: Day) -> Option<Vec<Approval>> {
    let files = RunFiles::open(runs, &gate.task, &gate.run).ok()??;
    let manifest = files.manifest().ok()?.value;
    let sidecar = files.sidecar().ok()?.value;
    let red = Red::of(&manifest, Some(&sidecar)).ok()?;
    let own = counted(&manifest, &sidecar);
    let mut given: Vec<Given> = own.map(|it| (gate.run.clone(), it.clone())).collect();
    let mut others = others(runs, gate).into_iter();
    loop {
        if let Some(used) = honoured(gate.input, &red.stages, &given, today) {
            return Some(
                used.into_iter()
                    .map(|(run, it)| Approval::of(run, it))
                    .collect(),
            );
        }
        // The next run of which anything was approved.
        given.extend(others.find_map(|run| of_run(runs, &gate.task, &run))?);
    }
}

/// The other runs of the task, the newest first.
fn others(runs: &Dir, gate: &RedGate) -> Vec<RunId> {
    let below = Path::new(gate.task.as_str()).join("cli");
    let names = runs.descend(&below).ok().flatten();
    let names = names.and_then(|cli| cli.list().ok()).unwrap_or_default();
    let mut all = records::newest(names.iter().map(AsRef::as_ref));
    all.retain(|run| *run != gate.run);
    all
}

/// What was approved of a run, if anything.
fn of_run(runs: &Dir, task: &TaskId, run: &RunId) -> Option<Vec<Given>> {
    let files = RunFiles::open(runs, task, run).ok()??;
    let sidecar = files.approved().filter(|it| !it.approvals.is_empty())?;
    let manifest = files.manifest().ok()?.value;
    let all = counted(&manifest, &sidecar);
    let all: Vec<Given> = all.map(|it| (run.clone(), it.clone())).collect();
    (!all.is_empty()).then_some(all)
}
