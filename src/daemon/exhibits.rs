//! What the engine would answer with, held against the disk before it does.
//!
//! With each look the proofs of its projects are inspected, and the engine hears what is gone before it hears what was
//! seen; so no `gate`, `wait` or `run`, and no change that was taken back, is answered by evidence that is not there.
//! `status` waits for no look: for it, the proofs that it would name are inspected at once.

use crate::daemon::evidence::{Exhibit, Exhibits, Inspected};
use crate::daemon::shell::Shell;
use crate::daemon::site::Site;
use crate::engine::Input;
use crate::engine::keys::Proof;
use crate::model::id::{RunId, TaskId, WorkspaceId};
use crate::wire::answer::Answer;
use crate::wire::call::Scope;
use crate::wire::refusal::Refusal;
use std::collections::BTreeSet;

impl Shell {
    /// Everything that has been proven of these tasks.
    pub(super) fn exhibits(
        &mut self,
        id: WorkspaceId,
        tasks: &BTreeSet<TaskId>,
    ) -> Option<Exhibits> {
        let site = self.sites.get_mut(&id)?;
        let of_task = |task| self.engine.proofs(id, task).map(move |proof| (task, proof));
        let proofs: Vec<(&TaskId, &Proof)> = tasks.iter().flat_map(of_task).collect();
        let held: BTreeSet<&RunId> = proofs.iter().map(|(_, proof)| &proof.run).collect();
        // What the engine has forgotten need not be remembered here.
        site.manifests
            .retain(|(task, run), _| !tasks.contains(task) || held.contains(run));
        Some(site.exhibits(&proofs))
    }

    /// Takes in what became of them: before anything that was seen at the same time.
    pub(super) fn take_inspected(&mut self, id: WorkspaceId, inspected: Inspected) {
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        for (task, run, stamp) in inspected.read {
            site.manifests.insert((task, run), stamp);
        }
        let runs = inspected.gone;
        if runs.is_empty() {
            return;
        }
        for run in &runs {
            tracing::warn!(root = %site.root, %run, "the evidence of a run is gone or damaged: it proves nothing any more");
        }
        // What can be mended of it is mended, as at a start.
        site.recheck_at = Some(self.clock.tick());
        self.discard(id, runs);
    }

    /// Tells the engine that the evidence of these runs is gone.
    pub(super) fn discard(&mut self, workspace: WorkspaceId, runs: BTreeSet<RunId>) {
        self.inputs.push_back(Input::Discarded { workspace, runs });
    }

    /// The status of what was inspected just now.
    pub(super) fn inspected(&mut self, scope: &Scope) -> Result<Answer, Refusal> {
        let about = self.scope_of(scope.workspace.as_ref()).ok().flatten();
        self.inspect_present(about);
        self.status_of(scope)
    }

    /// Inspects what a status would name, so that it names no verdict without evidence.
    pub(super) fn inspect_present(&mut self, about: Option<WorkspaceId>) {
        let ids: Vec<WorkspaceId> = match about {
            Some(id) => vec![id],
            None => self.sites.keys().copied().collect(),
        };
        for id in ids {
            let proofs: Vec<(&TaskId, &Proof)> = self.engine.present_proofs(id).collect();
            let exhibits = self.sites.get(&id).map(|site| site.exhibits(&proofs));
            if let Some(exhibits) = exhibits {
                self.take_inspected(id, exhibits.inspect());
            }
        }
        self.settle();
    }
}

impl Site {
    fn exhibits(&self, proofs: &[(&TaskId, &Proof)]) -> Exhibits {
        let exhibit = |(task, proof): &(&TaskId, &Proof)| {
            let (task, run) = ((*task).clone(), proof.run.clone());
            let key = (task, run);
            let stamp = self.manifests.get(&key).copied();
            Exhibit {
                task: key.0,
                run: key.1,
                verdict: proof.verdict,
                stamp,
            }
        };
        // An error proves nothing, and its evidence may be what could not be written.
        let answers = proofs.iter().filter(|(_, proof)| proof.answers());
        let all = answers.map(exhibit).collect();
        Exhibits::new(&self.root, &self.spots.evidence(), all)
    }
}
