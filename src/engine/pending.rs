//! Runs that are wanted and cannot begin yet: per pipeline what was asked for by name, in order, and before or behind it
//! at most one that the content calls for by itself.
//!
//! Who asks for a run by name gets one with the parent and the policy that he names: he joins only who named the same.
//! Such a run has its id from here on, begins under it, and takes along what the content calls for; what becomes of one
//! that does not begin is in `queued`.

use crate::engine::ProjectId;
use crate::engine::ask::{Denied, Origin, Wanted};
use crate::engine::keys::Seen;
use crate::engine::news::News;
use crate::engine::state::Engine;
use crate::limits::QUEUED_RUNS_MAX;
use crate::model::id::{PipelineId, RequestId, RunId, Seq};
use crate::model::run::Cause;
use crate::model::time::Timestamp;
use std::collections::{BTreeSet, VecDeque};

/// What is wanted of one pipeline of a project.
#[derive(Debug)]
pub(super) struct Pending {
    by_itself: ByItself,
    /// What was asked for by name: one per origin, in the order in which they came.
    asked: VecDeque<Queued>,
}

/// Whether the content calls for a run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByItself {
    /// No.
    No,
    /// Yes, and that was told.
    Told,
    /// Yes, but what was asked for by name will do: told only if that does not begin.
    Covered,
}

/// A run that was asked for by name and has not begun.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) run: RunId,
    pub(super) origin: Origin,
    pub(super) since: Timestamp,
    pub(super) place: Seq,
    /// Those who asked for it and are still there, whether they were answered or not.
    pub(super) requests: BTreeSet<RequestId>,
    /// It is run even if nobody of them is.
    pub(super) wanted: Wanted,
}

/// Counts the queued runs that are looked at: in the tests only, which hold it against a bound.
fn walked() {
    #[cfg(test)]
    WALKED.set(WALKED.get().saturating_add(1));
}

#[cfg(test)]
thread_local! {
    /// How many queued runs were looked at in this thread.
    pub(crate) static WALKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Pending {
    /// Whether nobody has asked for it by name.
    pub(super) fn is_by_itself(&self) -> bool {
        self.asked.is_empty()
    }

    /// The place in the queue of what was asked for by name first.
    pub(super) fn place(&self) -> Option<Seq> {
        self.asked.front().map(|queued| queued.place)
    }

    pub(super) fn asked(&self) -> impl Iterator<Item = &Queued> {
        self.asked.iter().inspect(|_| walked())
    }

    /// How many have asked for a run of it by name and are still there.
    pub(super) fn askers(&self) -> usize {
        let askers = self.asked.iter().map(|queued| queued.requests.len());
        askers.sum()
    }

    /// Everything that was asked for by name.
    pub(super) fn into_asked(self) -> VecDeque<Queued> {
        self.asked
    }

    /// Takes out the first that was asked for by name of which this is true.
    pub(super) fn take(&mut self, is_it: impl Fn(&Queued) -> bool) -> Option<Queued> {
        let place = self.asked.iter().position(is_it)?;
        self.asked.remove(place)
    }

    /// Somebody who asked has gone; the run that nobody wants any more, if that leaves one.
    pub(super) fn leave(&mut self, request: RequestId) -> Option<Queued> {
        let ours = |queued: &&mut Queued| {
            walked();
            queued.requests.contains(&request)
        };
        let queued = self.asked.iter_mut().find(ours)?;
        queued.requests.remove(&request);
        let run = queued.run.clone();
        let is_forsaken = queued.requests.is_empty() && queued.wanted == Wanted::Attended;
        self.take(|queued| is_forsaken && queued.run == run)
    }
}

impl Engine {
    /// Notes that the content calls for a run of this pipeline once nothing else runs.
    pub(super) fn pend(&mut self, id: &ProjectId, pipeline: &PipelineId, cause: Cause) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let known = project.pending.contains_key(pipeline);
        let pending = project
            .pending
            .entry(pipeline.clone())
            .or_insert_with(|| Pending {
                by_itself: ByItself::Told,
                asked: VecDeque::new(),
            });
        if pending.by_itself == ByItself::No {
            pending.by_itself = ByItself::Covered;
        }
        if !known {
            self.tell_called_for(id, pipeline, cause);
        }
        self.mark(id);
    }

    /// Tells of a run that the content calls for, which has no id before it begins.
    fn tell_called_for(&mut self, id: &ProjectId, pipeline: &PipelineId, cause: Cause) {
        self.publish(News::RunQueued {
            project: id.clone(),
            pipeline: pipeline.clone(),
            cause,
            run: None,
        });
    }

    /// Somebody asks for a run by name: he joins who asked for the same, or it is queued under an id of its own.
    pub(super) fn queue(
        &mut self,
        id: &ProjectId,
        pipeline: &PipelineId,
        origin: Origin,
        (request, wanted): (RequestId, Wanted),
    ) {
        self.answers_due.push(request);
        let (run, since, place) = (self.new_run(), self.now.wall, self.seq);
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let asked = project.pending.values().map(|pending| pending.asked.len());
        let is_full = asked.sum::<usize>() >= QUEUED_RUNS_MAX;
        let pending = project.pending.get_mut(pipeline);
        let mut asked = pending.into_iter().flat_map(|pending| &mut pending.asked);
        if let Some(queued) = asked.find(|queued| queued.origin.serves(&origin)) {
            queued.requests.insert(request);
            queued.wanted = queued.wanted.max(wanted);
            self.askers.insert(request, (id.clone(), pipeline.clone()));
            return;
        }
        if is_full {
            self.deny(request, Denied::QueueFull);
            return;
        }
        let pending = project
            .pending
            .entry(pipeline.clone())
            .or_insert_with(|| Pending {
                by_itself: ByItself::No,
                asked: VecDeque::new(),
            });
        let cause = origin.cause;
        pending.asked.push_back(Queued {
            run: run.clone(),
            origin,
            since,
            place,
            requests: BTreeSet::from([request]),
            wanted,
        });
        self.askers.insert(request, (id.clone(), pipeline.clone()));
        self.publish(News::RunQueued {
            project: id.clone(),
            pipeline: pipeline.clone(),
            cause,
            run: Some(run),
        });
        self.mark(id);
    }

    /// Nothing is wanted of this pipeline any more: nobody asked, and what the content calls for is needless.
    pub(super) fn drop_pending(&mut self, id: &ProjectId, pipeline: &PipelineId) {
        if let Some(project) = self.projects.get_mut(id) {
            project.pending.remove(pipeline);
        }
        self.mark(id);
    }

    /// Begins the pending run of a pipeline on content that was just seen: what was asked for by name first.
    pub(super) fn begin_pending(&mut self, id: &ProjectId, pipeline: &PipelineId, seen: Seen) {
        let pending = self
            .projects
            .get(id)
            .and_then(|it| it.pending.get(pipeline));
        let Some(pending) = pending else {
            return;
        };
        let origin = pending.asked.front().map(|queued| queued.origin.clone());
        let origin = origin.unwrap_or_else(|| Origin::from(self.cause_now(id)));
        // Before anything is taken out: what cannot begin is not forgotten.
        let poised = self.take_poised(id, pipeline, &origin, &seen);
        let Some(mut run) = poised.or_else(|| self.new_root(id, pipeline, &origin, seen)) else {
            return self.deny_pending(id, pipeline);
        };
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let Some(pending) = project.pending.get_mut(pipeline) else {
            return;
        };
        let queued = pending.asked.pop_front();
        // It is run on what is there now: the content calls for nothing more.
        pending.by_itself = ByItself::No;
        if pending.is_by_itself() {
            project.pending.remove(pipeline);
        }
        if let Some(queued) = queued {
            self.release(&queued.requests);
            run.report.run = queued.run;
            run.requests = queued.requests;
        }
        self.begin(run);
    }

    /// What was asked for by name does not begin: what the content calls for may be next, or nothing. Whatever is next
    /// begins at the end of the run or of the look that this one waited for.
    pub(super) fn tidy_pending(&mut self, id: &ProjectId, pipeline: &PipelineId) {
        let cause = self.cause_now(id);
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let mut uncovered = false;
        if let Some(pending) = project.pending.get_mut(pipeline)
            && pending.is_by_itself()
        {
            match pending.by_itself {
                ByItself::No => drop(project.pending.remove(pipeline)),
                ByItself::Covered => {
                    pending.by_itself = ByItself::Told;
                    uncovered = true;
                }
                ByItself::Told => {}
            }
        }
        if uncovered {
            self.tell_called_for(id, pipeline, cause);
        }
        self.mark(id);
    }

    /// Drops what the content calls for of pipelines that the project does not run by itself any more.
    pub(super) fn keep_own(&mut self, id: &ProjectId, own: Option<&PipelineId>) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        project.pending.retain(|pipeline, pending| {
            if Some(pipeline) != own {
                pending.by_itself = ByItself::No;
            }
            pending.by_itself != ByItself::No || !pending.is_by_itself()
        });
    }
}
