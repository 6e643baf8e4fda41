//! The mutexes of the machine: another process takes them and lets go as chance has it, also between two of our stages.

use crate::world::World;
use orch::engine::Input;
use std::collections::{BTreeMap, BTreeSet};

/// The other process lets go once in so many times that we look.
const PATIENCE: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Engine,
    Other,
}

/// Who holds what, and what the engine waits for.
#[derive(Default)]
pub(crate) struct Machine {
    holders: BTreeMap<String, Holder>,
    wanted: BTreeSet<String>,
}

impl Machine {
    /// How many mutexes are looked for.
    pub(crate) fn looks(&self) -> usize {
        self.wanted.len()
    }

    pub(crate) fn want(&mut self, mutex: String) {
        self.wanted.insert(mutex);
    }

    /// The daemon is killed: nobody holds for it any more.
    pub(crate) fn lose_engine(&mut self) {
        self.wanted.clear();
        self.holders.retain(|_, holder| *holder == Holder::Other);
    }

    /// The other process takes what is free.
    pub(crate) fn seize(&mut self, mutex: &str) {
        let holder = self.holders.entry(mutex.to_owned());
        holder.or_insert(Holder::Other);
    }
}

impl World {
    pub(crate) fn leave_mutex(&mut self, mutex: &str) {
        self.machine.wanted.remove(mutex);
        if self.machine.holders.get(mutex) == Some(&Holder::Engine) {
            self.machine.holders.remove(mutex);
        }
        if self.chance(PATIENCE) == 0 {
            self.machine.seize(mutex);
        }
    }

    /// It is looked whether a mutex is free.
    pub(crate) fn deliver_mutex(&mut self, place: usize) {
        let mutex = self.machine.wanted.iter().nth(place).cloned().unwrap();
        if self.chance(PATIENCE) == 0 {
            self.machine.holders.remove(&mutex);
        }
        if self.machine.holders.contains_key(&mutex) {
            let holder = "another process".to_owned();
            return self.step(Input::MutexBusy { mutex, holder });
        }
        self.machine.wanted.remove(&mutex);
        let holders = &mut self.machine.holders;
        holders.insert(mutex.clone(), Holder::Engine);
        self.step(Input::MutexTaken { mutex });
    }
}
