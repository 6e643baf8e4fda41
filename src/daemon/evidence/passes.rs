//! What stages have proven, as the sidecars of the runs tell it that have executed them.
//!
//! Also of runs that are red, void or were cancelled: each stage says for itself whether its pass stands. What a run has
//! taken over is told by the run that executed it, as long as that is there.

use super::ReadError;
use super::exhibits::is_shortage;
use super::files::{Files, read_manifest, read_sidecar, run_path};
use super::places::{Base, Places};
use crate::disk::durable::Dir;
use crate::engine::proven::{Basis, Proven, StageProof};
use crate::limits::STAGE_PROOFS_MAX;
use crate::model::digest::StageKey;
use crate::model::evidence::Sidecar;
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::path::RootPath;
use std::collections::{BTreeMap, BTreeSet};

/// The passes of a workspace's stages that a run is about to take over.
#[derive(Clone, Debug)]
pub struct Passes {
    runs: Base,
    task: TaskId,
    /// By run: the keys that its stages have passed on.
    all: BTreeMap<RunId, BTreeSet<StageKey>>,
}

impl Passes {
    /// Passes of a task whose evidence stands below a workspace's places.
    #[must_use]
    pub fn new(
        root: &RootPath,
        places: &Places,
        task: &TaskId,
        proofs: Vec<(StageKey, StageProof)>,
    ) -> Self {
        let mut all: BTreeMap<RunId, BTreeSet<StageKey>> = BTreeMap::new();
        for (key, proof) in proofs {
            all.entry(proof.run).or_default().insert(key);
        }
        Self {
            runs: Base::new(root, &places.runs_dir),
            task: task.clone(),
            all,
        }
    }

    /// The runs whose evidence does not say any more that these stages have passed.
    #[must_use]
    pub fn gone(&self) -> BTreeSet<RunId> {
        if self.all.is_empty() {
            return BTreeSet::new();
        }
        let runs = self.runs.open().ok().flatten();
        let gone = self.all.iter().filter(|(run, keys)| {
            let stands = runs
                .as_ref()
                .map(|runs| stands(runs, &self.task, run, keys));
            match stands {
                Some(Ok(stands)) => !stands,
                // That the daemon lacks something says nothing of the evidence.
                Some(Err(ReadError::Disk(error))) => !is_shortage(&error),
                Some(Err(ReadError::Missing | ReadError::Unreadable(_))) | None => true,
            }
        });
        gone.map(|(run, _)| run.clone()).collect()
    }
}

/// Whether a run has ended, and its sidecar still says that its stages have passed on these keys.
fn stands(
    runs: &Dir,
    task: &TaskId,
    run: &RunId,
    keys: &BTreeSet<StageKey>,
) -> Result<bool, ReadError> {
    let dir = runs.descend(&run_path(task, run))?;
    let dir = dir.ok_or(ReadError::Missing)?;
    let manifest = read_manifest(&dir)?;
    let own = manifest.task_id == *task && manifest.run_id == *run;
    let told: BTreeSet<StageKey> = passes(&read_sidecar(&dir)?)
        .map(|(_, key, _)| key)
        .collect();
    Ok(own && manifest.status.is_terminal() && keys.is_subset(&told))
}

/// What a run says of its stages, if that can still be read.
pub(super) fn read(runs: &Dir, task: &TaskId, run: &RunId) -> Option<(RunId, Sidecar)> {
    let files = Files::open(runs, task, run).ok().flatten()?;
    Some((run.clone(), files.read_sidecar().ok()?))
}

/// What the stages of these runs have proven, and those of the runs that they have taken stages over from; `pipelines` are
/// those of the runs, as far as they are known.
pub(super) fn proven(
    runs: &Dir,
    task: &TaskId,
    mut told: BTreeMap<RunId, Sidecar>,
    pipelines: &BTreeMap<RunId, PipelineId>,
) -> Proven {
    let stages = told.values().flat_map(|sidecar| &sidecar.stages);
    let named = stages.filter_map(|stage| stage.reused_from.clone().filter(|_| stage.proven));
    let named: BTreeSet<RunId> = named.filter(|run| !told.contains_key(run)).collect();
    // The newest are of most use.
    let named = named.iter().rev().take(STAGE_PROOFS_MAX);
    told.extend(named.filter_map(|run| read(runs, task, run)));
    let mut proven = Proven::default();
    for (run, sidecar) in &told {
        for (place, key, content) in passes(sidecar) {
            let Some(stage) = sidecar.stages.get(place) else {
                continue;
            };
            let proof = StageProof {
                run: run.clone(),
                place,
                stage: stage.id.clone(),
                content,
                outputs: stage.outputs,
                basis: Basis {
                    pipeline: pipelines.get(run).cloned(),
                    input: stage.input_digest,
                    tools: stage.toolchain,
                },
            };
            proven.note(key, proof);
        }
    }
    proven
}

/// The stages that a run has executed and whose pass stands: their places, keys and content keys.
fn passes(sidecar: &Sidecar) -> impl Iterator<Item = (usize, StageKey, StageKey)> {
    let stages = sidecar.stages.iter().enumerate();
    let own = stages.filter(|(_, stage)| stage.proven && stage.reused_from.is_none());
    own.filter_map(|(place, stage)| Some((place, stage.key?, stage.content_key()?)))
}
