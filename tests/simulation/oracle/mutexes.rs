//! The judge of mutexes: a stage runs only while no other process can, and nothing is kept that no stage needs.

use super::Oracle;
use std::collections::BTreeSet;

/// What the engine was told to hold, and what it asked for.
#[derive(Default)]
pub(super) struct Mutexes {
    ours: BTreeSet<String>,
    wanted: BTreeSet<String>,
}

impl Mutexes {
    pub(super) fn taken(&mut self, mutex: &str) {
        assert!(self.wanted.remove(mutex), "what nobody wants is taken");
        self.ours.insert(mutex.to_owned());
    }

    pub(super) fn wants(&mut self, mutex: &str) {
        let is_ours = self.ours.contains(mutex);
        let is_first = self.wanted.insert(mutex.to_owned());
        assert!(is_first && !is_ours, "a mutex is asked for twice");
    }

    /// A stage starts that names it.
    pub(super) fn starts(&self, mutex: &str) {
        let is_ours = self.ours.contains(mutex);
        assert!(is_ours, "a stage starts while others may have `{mutex}`");
    }
}

impl Oracle {
    pub(super) fn left(&mut self, mutex: &str) {
        let is_used = |held: &super::Held| held.mutex.as_deref() == Some(mutex);
        let is_used = self.running.values().any(is_used);
        assert!(!is_used, "`{mutex}` is left while a stage runs under it");
        let mutexes = &mut self.mutexes;
        let had = mutexes.ours.remove(mutex) | mutexes.wanted.remove(mutex);
        assert!(had, "what nobody has is left");
    }

    /// Nothing runs, and nothing is going to.
    pub(crate) fn no_mutex_is_kept(&self) {
        let mutexes = &self.mutexes;
        let is_free = mutexes.ours.is_empty() && mutexes.wanted.is_empty();
        assert!(is_free, "a mutex is kept that no stage needs");
    }
}
