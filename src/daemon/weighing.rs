//! Weighing: what lies on disk of the outputs of stages, looked at where the engine asks for it.
//!
//! The outputs of a workspace are lent as its tree is, beside it and with a queue of their own, so that no look waits for
//! them. Nobody else knows what lies there: what cannot be weighed is told as unknown, and the stage that it concerns is
//! executed.

use crate::daemon::chain::chain;
use crate::daemon::message::{Done, What};
use crate::daemon::outputs::Outputs;
use crate::daemon::shell::Shell;
use crate::daemon::site::tasks;
use crate::engine::Input;
use crate::engine::weighing::Sought;
use crate::model::id::{RunId, WeighId, WorkspaceId};
use crate::model::path::RelPath;

/// What is to be weighed, and for whom.
#[derive(Debug)]
pub(super) struct Weighing {
    pub(super) weigh: WeighId,
    pub(super) run: RunId,
    /// The stage's place, from 0.
    pub(super) stage: usize,
    pub(super) base: RelPath,
    pub(super) lists: Vec<Sought>,
}

impl Done {
    pub(super) fn outputs_back(workspace: WorkspaceId, outputs: Box<Outputs>) -> Self {
        Self {
            workspace,
            what: What::OutputsBack(outputs),
        }
    }
}

impl Shell {
    pub(super) fn weigh(&mut self, workspace: WorkspaceId, asked: Weighing) {
        let Weighing {
            weigh,
            run,
            stage,
            base,
            lists,
        } = asked;
        let Some(site) = self.sites.get_mut(&workspace) else {
            return self.inputs.push_back(Input::Weighed {
                weigh,
                run,
                stage,
                outputs: vec![None; lists.len()],
            });
        };
        let places = site.spots.tree(&[], &site.evidenced);
        let config = site.config.as_deref();
        let tasks = config.map(tasks).unwrap_or_default();
        site.outputs.push(move |outputs| {
            outputs.keep_out(&places, &tasks);
            let found = lists.iter().map(|list| {
                let found = outputs.weigh(&base, list);
                let told = found.inspect_err(|error| {
                    tracing::warn!(%run, error = %chain(error), "outputs cannot be compared: the stage is executed");
                });
                told.ok()
            });
            let outputs = found.collect();
            let what = What::Weighed {
                weigh,
                run: run.clone(),
                stage,
                outputs,
            };
            Some(Done { workspace, what })
        });
    }

    pub(super) fn take_outputs(&mut self, id: WorkspaceId, outputs: Box<Outputs>) {
        // Removed while they were away, they are nobody's.
        if let Some(site) = self.sites.get_mut(&id) {
            site.outputs.bring_back(outputs);
        }
    }
}
