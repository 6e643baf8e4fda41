//! The judge of looks: what has been seen of which content, and what is then no longer owed.

use crate::fixture::{HOMES, SETTLE_MAX, index, own_pipeline};
use crate::oracle::{LetBe, Oracle};
use orch::engine::ProjectId;
use orch::model::id::{CaptureId, PipelineId, WorkspaceId};
use orch::model::view::View;
use std::time::Duration;

impl Oracle {
    pub(super) fn captured(
        &mut self,
        capture: CaptureId,
        workspace: WorkspaceId,
        views: Option<&[View]>,
        now: Duration,
    ) {
        match views {
            Some(_) => self.questions.looked(workspace, capture),
            None => {
                self.paused = now + SETTLE_MAX;
                let owed = self.owed.values_mut();
                owed.for_each(|since| *since = self.paused);
            }
        }
        let all = views.into_iter().flatten();
        all.for_each(|view| self.failed.seen(view));
        let under = self.under.remove(&capture);
        let told = |view: &&View| {
            let home = HOMES[index(&view.subject.task)];
            under.as_ref() == self.taken.get(&home)
        };
        let told: Vec<&View> = views.into_iter().flatten().filter(told).collect();
        for view in told {
            let id = ProjectId {
                workspace,
                task: view.subject.task.clone(),
            };
            self.maybe_dropped(id, &view.subject.pipeline);
            let project = index(&view.subject.task);
            let pipeline = view.subject.pipeline.clone();
            self.seen.insert((project, pipeline.clone()), view.input);
            self.looked.insert((project, pipeline), capture);
            if view.subject.pipeline.as_str() == own_pipeline(project) {
                self.stale.remove(&project);
                // What was touched before it is told is in it.
                self.owed.remove(&project);
                if self.waiting.remove(&project) {
                    let let_be = LetBe {
                        input: view.input,
                        keys: None,
                        surely: true,
                    };
                    self.let_be.insert(project, let_be);
                }
            }
        }
    }

    /// With a look at its content a pending run begins, or is dropped because what is there is proven.
    fn maybe_dropped(&mut self, project: ProjectId, pipeline: &PipelineId) {
        let mut runs = self.begun.values();
        let active = runs.any(|run| run.project == project && !run.child);
        let pending = (project, pipeline.clone());
        if !active && self.queued.contains(&pending) {
            self.needless.insert(pending);
        }
    }
}
