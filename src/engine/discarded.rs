//! Evidence that is gone: what it proved is forgotten, and present content that nothing proves any more is run again.
//!
//! Nobody hears of a verdict whose evidence is not on disk; that it is gone is found out outside, and told before the
//! look is told that a question waits for.

use crate::engine::ProjectId;
use crate::engine::keys::Proof;
use crate::engine::state::Engine;
use crate::model::config::OnStart;
use crate::model::id::{RunId, TaskId, WorkspaceId};
use crate::model::run::Cause;
use std::collections::BTreeSet;

impl Engine {
    /// What has been proven of a task's contents.
    pub fn proofs(&self, workspace: WorkspaceId, task: &TaskId) -> impl Iterator<Item = &Proof> {
        let id = ProjectId {
            workspace,
            task: task.clone(),
        };
        let project = self.projects.get(&id).into_iter();
        project.flat_map(|project| &project.proofs)
    }

    /// What is told of the present contents of a workspace's projects.
    pub fn present_proofs(
        &self,
        workspace: WorkspaceId,
    ) -> impl Iterator<Item = (&TaskId, &Proof)> {
        let ours = self.projects.iter();
        let ours = ours.filter(move |(id, _)| id.workspace == workspace);
        ours.filter_map(|(id, project)| Some((&id.task, project.present_proof()?)))
    }

    /// Forgets what these runs have proven: their evidence is gone.
    pub(super) fn discard(&mut self, workspace: WorkspaceId, runs: &BTreeSet<RunId>) {
        for id in self.projects_of(workspace) {
            let waits = self
                .settings(&id)
                .is_some_and(|settings| settings.on_start == OnStart::Wait);
            let Some(project) = self.projects.get_mut(&id) else {
                continue;
            };
            let was_proven = project.present_proof().is_some();
            project.proofs.retain(|proof| !runs.contains(&proof.run));
            project.history.forget(runs);
            project.proven.forget(runs);
            project.last.take_if(|last| runs.contains(&last.run.run_id));
            if was_proven && project.present_proof().is_none() {
                if waits {
                    project.left_alone = project.known().map(|seen| seen.keys.clone());
                } else {
                    project.auto = Cause::Start;
                    self.want_present(&id);
                }
            }
            self.mark(&id);
        }
    }
}
