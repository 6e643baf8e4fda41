//! Runs that are wanted and cannot begin yet: at most one per pipeline, and behind it those of other origins.
//!
//! Who asks for a run by name gets one with the parent and the policy that he names: he joins only who named the same.

use crate::engine::ProjectId;
use crate::engine::ask::Origin;
use crate::engine::keys::Seen;
use crate::engine::news::News;
use crate::engine::state::Engine;
use crate::model::id::{PipelineId, RequestId};
use std::collections::{BTreeSet, VecDeque};

/// A run that is wanted.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) origin: Origin,
    pub(super) requests: BTreeSet<RequestId>,
    /// Those who asked by name for one of another origin, in the order in which they came.
    behind: VecDeque<(Origin, BTreeSet<RequestId>)>,
}

impl Pending {
    fn new(origin: Origin, requests: BTreeSet<RequestId>) -> Self {
        Self {
            origin,
            requests,
            behind: VecDeque::new(),
        }
    }

    /// Whether nobody asks for it, be it that who did has gone away.
    pub(super) fn is_by_itself(&self) -> bool {
        self.requests.is_empty()
    }

    /// Everybody who asks for it, or behind it.
    pub(super) fn into_requests(self) -> BTreeSet<RequestId> {
        let behind = self.behind.into_iter().flat_map(|(_, requests)| requests);
        self.requests.into_iter().chain(behind).collect()
    }

    /// Lets somebody who asks by name join, or wait behind.
    fn join(&mut self, origin: Origin, request: RequestId) {
        // What somebody asked for by name says more than what the content calls for.
        if self.is_by_itself() {
            self.origin = origin;
            self.requests.insert(request);
            return;
        }
        if self.origin.is_like(&origin) {
            self.requests.insert(request);
            return;
        }
        let mut behind = self.behind.iter_mut();
        match behind.find(|(other, _)| other.is_like(&origin)) {
            Some((_, requests)) => {
                requests.insert(request);
            }
            None => self.behind.push_back((origin, BTreeSet::from([request]))),
        }
    }
}

impl Engine {
    /// Notes that a run of this pipeline is wanted once nothing else runs.
    pub(super) fn pend(
        &mut self,
        id: &ProjectId,
        pipeline: &PipelineId,
        origin: Origin,
        request: Option<RequestId>,
    ) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let cause = origin.cause;
        let known = project.pending.contains_key(pipeline);
        let pending = project
            .pending
            .entry(pipeline.clone())
            .or_insert_with(|| Pending::new(origin.clone(), BTreeSet::new()));
        if let Some(request) = request {
            pending.join(origin, request);
        }
        if !known {
            self.publish(News::RunQueued {
                project: id.clone(),
                pipeline: pipeline.clone(),
                cause,
            });
        }
        self.mark(id);
    }

    /// Nothing is wanted of this pipeline any more.
    pub(super) fn drop_pending(&mut self, id: &ProjectId, pipeline: &PipelineId) {
        if let Some(project) = self.projects.get_mut(id) {
            project.pending.remove(pipeline);
        }
        self.mark(id);
    }

    /// Begins the pending run of a pipeline on content that was just seen; who waits behind it is next.
    pub(super) fn begin_pending(&mut self, id: &ProjectId, pipeline: &PipelineId, seen: Seen) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let Some(mut pending) = project.pending.remove(pipeline) else {
            return;
        };
        let origin = match pending.is_by_itself() {
            true => Origin::from(self.cause_now(id)),
            false => pending.origin,
        };
        self.begin(id, pipeline, &origin, seen, pending.requests);
        let Some((origin, requests)) = pending.behind.pop_front() else {
            return;
        };
        let cause = origin.cause;
        let next = Pending {
            behind: pending.behind,
            ..Pending::new(origin, requests)
        };
        if let Some(project) = self.projects.get_mut(id) {
            project.pending.insert(pipeline.clone(), next);
        }
        self.publish(News::RunQueued {
            project: id.clone(),
            pipeline: pipeline.clone(),
            cause,
        });
    }
}
