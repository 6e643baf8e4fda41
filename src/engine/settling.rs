//! Settling: the wait for quiet after a change, and the look shortly before its end.
//!
//! One save is mostly followed by others, so nothing begins by itself before it has been quiet for `settle_ms`, or
//! restless for `settle_max_ms`. The content is looked at shortly before that, so that a run begins at the end without
//! another look: whatever changes after the first one is told, and then there is another. Only where events tell of
//! changes, and nothing else is under way or pending, is anything foreseen.

use crate::engine::ask::Origin;
use crate::engine::keys::Seen;
use crate::engine::news::News;
use crate::engine::run::Run;
use crate::engine::state::Engine;
use crate::engine::{Effect, ProjectId, Watch};
use crate::limits::{FORESIGHT_MAX, FORESIGHT_PART};
use crate::model::id::{PipelineId, WorkspaceId};
use crate::model::time::Tick;
use crate::model::view::Subject;
use std::collections::BTreeSet;

/// A wait for quiet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settle {
    pub(super) first: Tick,
    pub(super) last: Tick,
    /// The look before its end has been asked for, and nothing has changed since.
    foreseen: bool,
}

impl Settle {
    pub(super) fn new(first: Tick, last: Tick) -> Self {
        Self {
            first,
            last,
            foreseen: false,
        }
    }

    /// Something has changed: what was told before may have come later than what this is about.
    pub(super) fn prolong(&mut self, last: Tick) {
        self.last = self.last.max(last);
        self.foreseen = false;
    }
}

impl Engine {
    /// When something is to be done about a wait for quiet.
    pub(super) fn wait_due(&self, id: &ProjectId, settle: Settle) -> Option<Tick> {
        let due = self.settle_due(id, settle)?;
        let foresight = self.foresight_due(id, settle);
        Some(foresight.map_or(due, |before| before.min(due)))
    }

    fn settle_due(&self, id: &ProjectId, settle: Settle) -> Option<Tick> {
        let settings = self.settings(id)?;
        let quiet = settle.last.after(settings.settle);
        let due = quiet.min(settle.first.after(settings.settle_max));
        Some(self.held_until(id).map_or(due, |until| until.max(due)))
    }

    /// When the look before the end is due, where it is of use and has not been asked for.
    fn foresight_due(&self, id: &ProjectId, settle: Settle) -> Option<Tick> {
        let wait = self.settings(id)?.settle;
        let lead = (wait / FORESIGHT_PART).min(FORESIGHT_MAX);
        let useful = !lead.is_zero() && self.is_at_rest(id) && self.held_until(id).is_none();
        let due = settle.last.after(wait.saturating_sub(lead));
        (useful && !settle.foreseen).then_some(due)
    }

    /// Whether nothing of a project is under way or pending, and whatever changes of it is told.
    fn is_at_rest(&self, id: &ProjectId) -> bool {
        let workspace = self.workspaces.get(&id.workspace);
        let is_watched = workspace.is_some_and(|it| it.watch == Watch::Watching);
        let project = self.projects.get(id).filter(|_| is_watched);
        project.is_some_and(|project| project.active.is_none() && project.pending.is_empty())
    }

    /// Whether a look at a project has been asked for that may be all that is needed once it is quiet.
    pub(super) fn is_foreseen(&self, id: &ProjectId) -> bool {
        self.settles.get(id).is_some_and(|settle| settle.foreseen)
    }

    /// Looks at what will be quiet soon, and goes on with what is. What was foreseen is gone on with only where it is told
    /// that nothing else is in doubt; where that is not told at all, it soon will be.
    pub(super) fn end_waits(&mut self, unsure: Option<&BTreeSet<WorkspaceId>>) {
        let now = self.now.tick;
        let waits: Vec<(ProjectId, Settle)> = self
            .settles
            .iter()
            .map(|(id, settle)| (id.clone(), *settle))
            .collect();
        for (id, settle) in waits {
            if self.settle_due(&id, settle).is_none_or(|due| due <= now) {
                match unsure {
                    None if settle.foreseen => {}
                    None => self.end_quiet(&id, false),
                    Some(unsure) => {
                        let is_sure = !unsure.contains(&id.workspace);
                        self.end_quiet(&id, settle.foreseen && is_sure);
                    }
                }
            } else if self
                .foresight_due(&id, settle)
                .is_some_and(|due| due <= now)
            {
                self.foresee(&id);
            }
        }
    }

    fn foresee(&mut self, id: &ProjectId) {
        if let Some(settle) = self.settles.get_mut(id) {
            settle.foreseen = true;
        }
        let known = self.projects.get(id).map(|it| it.known().is_some());
        match known {
            Some(false) => self.want_present(id),
            // A question has had it looked at, or what has changed was told before a look that was under way.
            Some(true) => self.poise(id),
            None => {}
        }
    }

    /// Has the run made ready that will begin once it is quiet, on what a look has just seen.
    pub(super) fn poise(&mut self, id: &ProjectId) {
        let serves = self.obstacle(id.workspace).is_none() && !self.stopping;
        if !serves || !self.is_foreseen(id) || !self.is_at_rest(id) {
            return;
        }
        let project = self.projects.get(id).filter(|project| {
            let known = project.known().filter(|_| !project.gone);
            known.is_some_and(|seen| {
                let is_let_be = project.left_alone.as_ref() == Some(&seen.keys);
                !is_let_be && project.proof(&seen.keys).is_none()
            })
        });
        let seen = project.and_then(|project| project.known().cloned());
        let pipeline = self.default_pipeline(id).map(|own| own.id.clone());
        let Some((seen, pipeline)) = seen.zip(pipeline) else {
            return;
        };
        let origin = Origin::from(self.cause_now(id));
        let run = self.new_root(id, &pipeline, &origin, seen);
        let Some((mut run, project)) = run.zip(self.projects.get_mut(id)) else {
            return;
        };
        let (changed, unproven) = project.differs();
        (run.report.changed, run.report.unproven) = (changed, unproven.changed());
        let report = Box::new(run.report.clone());
        project.poised = Some(Box::new(run));
        self.effects.push(Effect::Foresee { report });
    }

    /// The run that was made ready, if it is what is to begin.
    pub(super) fn take_poised(
        &mut self,
        id: &ProjectId,
        pipeline: &PipelineId,
        origin: &Origin,
        seen: &Seen,
    ) -> Option<Run> {
        let poised = self.projects.get_mut(id)?.poised.take()?;
        let is_it = poised.report.pipeline == *pipeline
            && poised.seen == *seen
            && poised.report.cause == origin.cause
            && Origin::from(origin.cause).serves(origin);
        is_it.then_some(*poised)
    }

    /// A wait is over: what was foreseen begins, anything else is looked at.
    fn end_quiet(&mut self, id: &ProjectId, is_foreseen: bool) {
        self.settles.remove(id);
        self.mark(id);
        if !is_foreseen || !self.is_at_rest(id) {
            return self.want_all(id);
        }
        let project = self.projects.get(id);
        if project.is_some_and(|project| project.known().is_some()) {
            self.be_quiet(id);
            self.tell_settled(id);
            self.consider(id);
        } else if !self.is_being_seen(id) {
            self.want_all(id);
        }
    }

    /// Whether a look is under way, or wanted, that tells of a project's own content.
    fn is_being_seen(&self, id: &ProjectId) -> bool {
        let pipeline = self.default_pipeline(id).map(|own| own.id.clone());
        let Some((workspace, pipeline)) = self.workspaces.get(&id.workspace).zip(pipeline) else {
            return false;
        };
        let task = id.task.clone();
        let own = Subject { task, pipeline };
        let mut looks = workspace.look.iter().chain(&workspace.wanted);
        looks.any(|look| look.subjects.contains(&own))
    }

    /// Ends the wait for quiet with what a look has just seen, unless the look has found that it is not quiet yet.
    ///
    /// Past the longest wait that is no reason: a look covers the changes that it has found itself, and where changes
    /// are found by looking, each look of a busy tree finds some.
    pub(super) fn end_wait(&mut self, id: &ProjectId) -> bool {
        let now = self.now.tick;
        let longest = self.settings(id).map(|settings| settings.settle_max);
        let waits = self
            .settles
            .get(id)
            .is_some_and(|settle| longest.is_some_and(|longest| settle.first.after(longest) > now));
        if waits || self.held_until(id).is_some() {
            return false;
        }
        self.settles.remove(id);
        self.be_quiet(id);
        true
    }

    fn be_quiet(&mut self, id: &ProjectId) {
        if let Some(project) = self.projects.get_mut(id) {
            project.restless = None;
        }
    }

    /// Tells what has changed since things were quiet before.
    pub(super) fn tell_settled(&mut self, id: &ProjectId) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let unsettled = std::mem::take(&mut project.unsettled);
        if !unsettled.is_empty() {
            self.publish(News::Settled {
                project: id.clone(),
                changed: unsettled.changed(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
