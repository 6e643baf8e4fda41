//! Everybody who waits, and by what he is found: his time is over, a project is proven, a run has ended.
//!
//! What somebody waits for changes nowhere else, so that he is always found by it, and nothing that happens costs a walk
//! over all who wait but what is about all of them.

use crate::engine::ProjectId;
use crate::engine::waiters::{Need, Sought, Waiter};
use crate::model::id::{RequestId, RunId, WorkspaceId};
use crate::model::time::Tick;
use std::collections::{BTreeMap, BTreeSet};

/// What somebody is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Until when he waits; before all others, so that the first of these is the first of all.
    Time(Tick),
    /// A project whose verdict a run is to tell him.
    Verdict(ProjectId),
    /// A run whose end he has asked for.
    End(RunId),
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(in crate::engine) struct Waiters {
    all: BTreeMap<RequestId, Waiter>,
    index: BTreeSet<(Key, RequestId)>,
}

/// Counts those who are looked at in a walk over all: in the tests only.
fn walked() {
    #[cfg(test)]
    super::tests::WALKED.set(super::tests::WALKED.get().saturating_add(1));
}

/// What a waiter is found by.
fn keys(waiter: &Waiter) -> Vec<Key> {
    let time = waiter.deadline.iter().map(|at| Key::Time(*at));
    let mut keys: Vec<Key> = time.collect();
    match &waiter.need {
        Need::Verdicts { projects, .. } => {
            let sought = projects.iter();
            let sought = sought.filter(|(_, sought)| matches!(sought, Sought::Run));
            keys.extend(sought.map(|(id, _)| Key::Verdict(id.clone())));
        }
        Need::Cancelled(run) => keys.push(Key::End(run.clone())),
        Need::Sync(_) | Need::Glance(..) | Need::Run { .. } | Need::Resume { .. } => {}
    }
    keys
}

impl Waiters {
    pub(in crate::engine) fn insert(&mut self, request: RequestId, waiter: Waiter) {
        self.remove(request);
        let keys = keys(&waiter).into_iter();
        self.index.extend(keys.map(|key| (key, request)));
        self.all.insert(request, waiter);
    }

    pub(in crate::engine) fn remove(&mut self, request: RequestId) -> Option<Waiter> {
        let waiter = self.all.remove(&request)?;
        for key in keys(&waiter) {
            self.index.remove(&(key, request));
        }
        Some(waiter)
    }

    pub(in crate::engine) fn get(&self, request: RequestId) -> Option<&Waiter> {
        self.all.get(&request)
    }

    pub(in crate::engine) fn has(&self, request: RequestId) -> bool {
        self.all.contains_key(&request)
    }

    /// Everybody, for what is about all of them.
    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (RequestId, &Waiter)> {
        let all = self.all.iter().inspect(|_| walked());
        all.map(|(request, waiter)| (*request, waiter))
    }

    /// The same without what they wait for.
    pub(in crate::engine) fn requests(&self) -> Vec<RequestId> {
        self.iter().map(|(request, _)| request).collect()
    }

    /// Changes what somebody waits for, whatever that was.
    pub(in crate::engine) fn change(
        &mut self,
        request: RequestId,
        change: impl FnOnce(&mut Waiter),
    ) {
        if let Some(mut waiter) = self.remove(request) {
            change(&mut waiter);
            self.insert(request, waiter);
        }
    }

    /// Notes how far the search for a project's verdict has come; nothing for who does not ask for verdicts.
    pub(in crate::engine) fn note(&mut self, request: RequestId, id: &ProjectId, sought: Sought) {
        if let Some(Waiter {
            need: Need::Verdicts { projects, .. },
            ..
        }) = self.all.get_mut(&request)
        {
            let key = (Key::Verdict(id.clone()), request);
            if matches!(sought, Sought::Run) {
                self.index.insert(key);
            } else {
                self.index.remove(&key);
            }
            projects.insert(id.clone(), sought);
        }
    }

    /// Notes that a project's unstable content is run once more for this question.
    pub(in crate::engine) fn note_recheck(&mut self, request: RequestId, id: &ProjectId) {
        if let Some(waiter) = self.all.get_mut(&request) {
            waiter.rechecked.insert(id.clone());
        }
    }

    /// A look in a workspace is over that somebody waits for; whether it was the last one.
    pub(in crate::engine) fn tick_off(&mut self, request: RequestId, id: WorkspaceId) -> bool {
        let waiter = self.all.get_mut(&request);
        let Some(Need::Sync(left) | Need::Glance(left, _)) = waiter.map(|it| &mut it.need) else {
            return false;
        };
        left.remove(&id);
        left.is_empty()
    }

    fn found_by(&self, key: Key) -> impl Iterator<Item = RequestId> {
        let first = (key.clone(), RequestId(u64::MIN));
        let found = self.index.range(first..=(key, RequestId(u64::MAX)));
        found.map(|(_, request)| *request)
    }

    /// Who waits for a run to tell a project's verdict.
    pub(in crate::engine) fn awaiting(&self, id: &ProjectId) -> impl Iterator<Item = RequestId> {
        self.found_by(Key::Verdict(id.clone()))
    }

    /// Who has asked for the end of a run.
    pub(in crate::engine) fn enders(&self, run: &RunId) -> impl Iterator<Item = RequestId> {
        self.found_by(Key::End(run.clone()))
    }

    /// Whose time is over.
    pub(in crate::engine) fn late(&self, now: Tick) -> Vec<RequestId> {
        let until = (Key::Time(now), RequestId(u64::MAX));
        let late = self.index.range(..=until);
        late.map(|(_, request)| *request).collect()
    }

    /// When the next one's time is over.
    pub(in crate::engine) fn next_deadline(&self) -> Option<Tick> {
        match self.index.first()? {
            (Key::Time(at), _) => Some(*at),
            (Key::Verdict(_) | Key::End(_), _) => None,
        }
    }
}
