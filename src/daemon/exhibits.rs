//! What the engine would answer with, held against the disk before it does.
//!
//! With each look the proofs of its projects are inspected, and the engine hears what is gone before it hears what was
//! seen; so no `gate`, `wait` or `run`, and no change that was taken back, is answered by evidence that is not there.
//! `status` and the snapshot of a subscription wait for no look: for them, the proofs that they would name are inspected
//! at once.

use crate::daemon::evidence::{Exhibit, Exhibits, Inspected, Passes};
use crate::daemon::message::{Done, What};
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::site::Site;
use crate::engine::Input;
use crate::engine::keys::Proof;
use crate::limits::TORN_SETTLE;
use crate::model::id::{RunId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::run::RunReport;
use crate::wire::call::Call;
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
        site.exhibited
            .retain(|(task, run), _| !tasks.contains(task) || held.contains(run));
        Some(site.exhibits(&proofs))
    }

    /// Takes in what became of them: before anything that was seen at the same time.
    pub(super) fn take_inspected(&mut self, id: WorkspaceId, inspected: Inspected) {
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        for (task, run, stamps) in inspected.read {
            site.exhibited.insert((task, run), stamps);
        }
        self.take_gone(id, inspected.gone);
    }

    /// The passes that a run which begins may take over; they are held against the disk before it does.
    pub(super) fn passes_for(&self, report: &RunReport) -> Option<Passes> {
        let site = self.sites.get(&report.workspace)?;
        let proofs = self.engine.candidates(&report.run);
        let places = site.spots.evidence();
        Some(Passes::new(&site.root, &places, &report.task, proofs))
    }

    /// The evidence of these runs is gone.
    pub(super) fn take_gone(&mut self, id: WorkspaceId, runs: BTreeSet<RunId>) {
        let Some(site) = self.sites.get_mut(&id).filter(|_| !runs.is_empty()) else {
            return;
        };
        for run in &runs {
            tracing::warn!(root = %site.root, %run, "the evidence of a run is gone or damaged: it proves nothing any more");
        }
        // What can be mended of it is mended, as at a start.
        site.recheck_at = Some(self.clock.tick().after(TORN_SETTLE));
        self.discard(id, runs);
    }

    /// Tells the engine that the evidence of these runs is gone.
    pub(super) fn discard(&mut self, workspace: WorkspaceId, runs: BTreeSet<RunId>) {
        self.inputs.push_back(Input::Discarded { workspace, runs });
    }

    /// Inspects what a status or a snapshot would name, so that it names no verdict without evidence; then it is given.
    pub(super) fn inspect_first(&mut self, asked: Asked, about: Option<&RootPath>) {
        let about = self.scope_of(about).ok().flatten();
        let sites = self.sites.iter();
        let sites = sites.filter(|(id, _)| about.is_none_or(|about| about == **id));
        let all = sites.map(|(id, site)| {
            let proofs: Vec<(&TaskId, &Proof)> = self.engine.present_proofs(*id).collect();
            (*id, site.exhibits(&proofs))
        });
        let all: Vec<(WorkspaceId, Exhibits)> = all.filter(|(_, them)| !them.is_empty()).collect();
        let Some((workspace, _)) = all.first() else {
            return self.hear_inspected(asked);
        };
        let (workspace, out) = (*workspace, self.out.clone());
        // A disk that hangs holds up nobody but who asked; the loop that does not hear it has ended.
        drop(tokio::task::spawn_blocking(move || {
            let found = all.iter().map(|(id, them)| (*id, them.inspect()));
            let found = found.collect();
            let asked = Box::new(asked);
            let what = What::Inspected { asked, found };
            drop(out.blocking_send(Done { workspace, what }));
        }));
    }

    /// Gives what was asked for, now that the engine knows what became of the evidence.
    pub(super) fn take_inspected_for(
        &mut self,
        asked: Asked,
        found: Vec<(WorkspaceId, Inspected)>,
    ) {
        for (id, inspected) in found {
            self.take_inspected(id, inspected);
        }
        self.settle();
        self.hear_inspected(asked);
    }

    fn hear_inspected(&mut self, asked: Asked) {
        if let Call::Status(scope) = asked.call.clone() {
            self.answer_now(asked, |shell| shell.status_of(&scope));
        } else {
            self.subscribe(asked);
        }
    }
}

impl Site {
    fn exhibits(&self, proofs: &[(&TaskId, &Proof)]) -> Exhibits {
        let exhibit = |(task, proof): &(&TaskId, &Proof)| {
            let (task, run) = ((*task).clone(), proof.run.clone());
            let key = (task, run);
            let stamps = self.exhibited.get(&key).copied();
            Exhibit {
                task: key.0,
                run: key.1,
                verdict: proof.verdict,
                stamps,
            }
        };
        // An error proves nothing, and its evidence may be what could not be written.
        let answers = proofs.iter().filter(|(_, proof)| proof.answers());
        let all = answers.map(exhibit).collect();
        Exhibits::new(&self.root, &self.spots.evidence(), all)
    }
}
