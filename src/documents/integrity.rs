//! Whether what runs have left is what was recorded: each task's chain is read again, and the files of each run hashed
//! again.
//!
//! What is there is read here, a piece at a time; what it means is judged in [`judge`], of values alone. What runs do
//! meanwhile is no finding: where a chain has grown since it was read, what looked wrong is looked at once more.

mod chain;
mod finding;
mod judging;
pub mod statement;

pub use chain::{Break, Chain};
pub use finding::{EvidenceFinding, EvidenceKind, Head, Verified};
pub use judging::{Seen, SeenManifest, judge};

use crate::disk::chain::{self as disk, CHAIN, ChainError};
use crate::disk::durable::{Dir, DurableError};
use crate::documents::records::{self, Untold};
use crate::documents::shelf::{Shelf, ShelfError};
use crate::limits::documents::{CHAIN_LOOKS_MAX, REMOVAL_PAUSE};
use crate::model::evidence::Why;
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use std::collections::BTreeSet;
use std::path::Path;

/// The name that says whose a run is while it is under way.
const OWNER: &str = ".orchd-owner.json";
/// How the name of a chain begins that was set aside.
const ASIDE: &str = "chain.jsonl.corrupt-";

/// Why evidence could not be held against its chain, or not be taken as it is.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityError {
    /// Something of the workspace cannot be read.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The runs cannot be read.
    #[error(transparent)]
    Disk(#[from] DurableError),
    /// Nothing could be appended.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Holds the runs of a task, or of all tasks that have any, against their chains.
///
/// # Errors
/// When the runs directory or a task's cannot be listed.
pub fn verify(shelf: &Shelf, task: Option<&TaskId>) -> Result<Verified, IntegrityError> {
    let Some(runs) = open(shelf)? else {
        return Ok(Verified::default());
    };
    let mut all = Verified::default();
    for task in tasks(&runs, task)? {
        let of_task = of_task(shelf, &runs, &task)?;
        all.runs += of_task.runs;
        all.findings.extend(of_task.findings);
        all.heads.extend(of_task.heads);
    }
    Ok(all)
}

/// What is wrong with the files of one run; nothing where they are as its newest link says, or it is under way.
///
/// # Errors
/// When its task's runs or its chain cannot be read.
pub fn of_run(
    shelf: &Shelf,
    task: &TaskId,
    run: &RunId,
) -> Result<Vec<EvidenceFinding>, IntegrityError> {
    let Some(runs) = open(shelf)? else {
        return Ok(Vec::new());
    };
    let chain = read_chain(&runs, task)?;
    let seen = see(shelf, &runs, task, run, &chain);
    let found = judge(shelf.layout(), task, &chain, &[seen]);
    let of_run = |it: &EvidenceFinding| it.run_id.as_ref() == Some(run);
    Ok(found.into_iter().filter(of_run).collect())
}

/// Takes the runs of a task, or of all tasks, as they are now: somebody has looked at what was found. A chain that is
/// broken is set aside, and a link `adopted` says of each run what its files are. What no link can mend stays a finding.
/// Says of how many runs.
///
/// # Errors
/// When they cannot be read, or nothing can be appended.
pub fn adopt(
    shelf: &Shelf,
    task: Option<&TaskId>,
    now: Timestamp,
) -> Result<usize, IntegrityError> {
    let Some(runs) = open(shelf)? else {
        return Ok(0);
    };
    let mut adopted = 0;
    for task in tasks(&runs, task)? {
        let chain = read_chain(&runs, &task)?;
        if chain.broken.is_some() {
            disk::restart(&runs, &task, now)?;
        } else {
            disk::mend(&runs, &task, now)?;
        }
        let found = of_task(shelf, &runs, &task)?.findings;
        let found = found.into_iter().filter(|it| it.kind.is_adopted());
        let of_runs: BTreeSet<RunId> = found.filter_map(|it| it.run_id).collect();
        for run in of_runs {
            let there = runs.stamp(&directory(&task, &run)).is_some();
            let why = match there {
                true => Why::Adopted,
                false => Why::Removed,
            };
            disk::append(&runs, &task, &run, why, now)?;
            adopted += 1;
        }
    }
    Ok(adopted)
}

fn open(shelf: &Shelf) -> Result<Option<Dir>, IntegrityError> {
    match Dir::open(&shelf.places().runs) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The tasks that have runs or a chain.
fn tasks(runs: &Dir, only: Option<&TaskId>) -> Result<Vec<TaskId>, IntegrityError> {
    if let Some(task) = only {
        return Ok(vec![task.clone()]);
    }
    let names = runs.list()?.into_iter();
    let named = names.filter_map(|name| TaskId::parse(name.to_str()?).ok());
    let has = |task: &TaskId, name: &str| {
        let path = Path::new(task.as_str()).join(name);
        runs.stamp(&path).is_some()
    };
    Ok(named
        .filter(|task| has(task, "cli") || has(task, CHAIN))
        .collect())
}

fn of_task(shelf: &Shelf, runs: &Dir, task: &TaskId) -> Result<Verified, IntegrityError> {
    let mut chain = read_chain(runs, task)?;
    let mut there: BTreeSet<RunId> = records::run_ids(shelf, task)?.into_iter().collect();
    there.extend(chain.newest.keys().cloned());
    let mut seen = Vec::with_capacity(there.len());
    for run in &there {
        seen.push(see(shelf, runs, task, run, &chain));
    }
    let mut found = judge(shelf.layout(), task, &chain, &seen);
    for _ in 0..CHAIN_LOOKS_MAX {
        let goes = |it: &EvidenceFinding| {
            let run = it.run_id.as_ref();
            run.is_some_and(|run| chain.removed.contains_key(run))
        };
        let goes = found.iter().any(goes);
        if goes {
            std::thread::sleep(REMOVAL_PAUSE);
        }
        let again = read_chain(runs, task)?;
        if !goes && again.head == chain.head && again.ends_torn == chain.ends_torn {
            break;
        }
        chain = again;
        let wrong: BTreeSet<RunId> = found.iter().filter_map(|it| it.run_id.clone()).collect();
        for one in seen.iter_mut().filter(|one| wrong.contains(&one.run)) {
            *one = see(shelf, runs, task, &one.run, &chain);
        }
        found = judge(shelf.layout(), task, &chain, &seen);
    }
    found.extend(set_aside(shelf, runs, task));
    Ok(Verified {
        runs: seen.iter().filter(|one| one.there).count(),
        findings: found,
        heads: chain.head.into_iter().collect(),
    })
}

/// Reads a task's chain; what cannot be read of it is told by what it is.
fn read_chain(runs: &Dir, task: &TaskId) -> Result<Chain, IntegrityError> {
    let mut chain = Chain::new(task);
    match disk::read(runs, task, |line| chain.add(line)) {
        Ok(_) => {}
        Err(error) => chain.unreadable = Some(error.source.to_string()),
    }
    chain.finish();
    Ok(chain)
}

/// What there is of a run.
fn see(shelf: &Shelf, runs: &Dir, task: &TaskId, run: &RunId, chain: &Chain) -> Seen {
    let path = directory(task, run);
    let mut seen = Seen {
        run: run.clone(),
        there: runs.stamp(&path).is_some(),
        owned: runs.stamp(&path.join(OWNER)).is_some(),
        manifest: SeenManifest::Missing,
        files: Ok(Vec::new()),
    };
    if !seen.there {
        return seen;
    }
    seen.manifest = match records::one(shelf, task, run.clone()).manifest {
        Ok(manifest) if manifest.status.is_terminal() => SeenManifest::Ended,
        Ok(_) => SeenManifest::UnderWay,
        Err(Untold::Missing) => SeenManifest::Missing,
        Err(Untold::Other { task, run }) => SeenManifest::Other { task, run },
        Err(Untold::Read(_) | Untold::Unreadable(_)) => SeenManifest::Unreadable,
    };
    // Nothing is hashed that is held against nothing.
    if chain.newest.contains_key(run) && !seen.is_under_way() {
        seen.files = runs.descend(&path).and_then(|dir| match dir {
            Some(dir) => disk::linked_files(&dir),
            None => Ok(Vec::new()),
        });
    }
    seen
}

/// Chains that were set aside and that nobody has looked at yet.
fn set_aside(shelf: &Shelf, runs: &Dir, task: &TaskId) -> Vec<EvidenceFinding> {
    let dir = runs.descend(Path::new(task.as_str())).ok().flatten();
    let names = dir.and_then(|dir| dir.list().ok()).unwrap_or_default();
    let names = names.iter().filter_map(|name| name.to_str());
    let names = names.filter(|name| name.starts_with(ASIDE));
    let found = names.map(|name| EvidenceFinding {
        run_id: None,
        kind: EvidenceKind::BrokenLink,
        path: shelf.layout().of_task(task, name),
        message: "a chain that was broken was set aside here: find out who damaged it, then move it away or delete it"
            .to_owned(),
    });
    found.collect()
}

fn directory(task: &TaskId, run: &RunId) -> std::path::PathBuf {
    Path::new(task.as_str()).join("cli").join(run.as_str())
}

#[cfg(test)]
mod tests;
