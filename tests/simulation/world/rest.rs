//! How a script ends: everything outstanding arrives, and every promise must be kept; then the daemon ends.

use crate::fixture::{HOMES, PROJECTS, Setting, configured};
use crate::outside::Place;
use crate::world::World;
use orch::engine::Input;
use orch::model::time::Tick;

/// Results that may be delivered before a world that nobody touches must have come to rest.
const REST_STEPS_MAX: usize = 20_000;

impl World {
    /// Faults end, nobody saves any more, everything outstanding arrives: now every promise must be kept.
    ///
    /// Nothing is looked at again merely because it is the end: what serves is left as it is.
    pub(crate) fn come_to_rest(&mut self) {
        if self.chance(3) > 0 {
            self.rest();
        }
        self.oracle.stopping();
        self.step(Input::Stopping);
        self.settle_down();
        self.oracle.stopped(&self.engine);
    }

    fn rest(&mut self) {
        self.disk_fails = false;
        for home in 0..2 {
            self.places[home].look_fails = false;
            if self.places[home].setting.refuses() {
                self.configure(home, Setting::Usual);
            }
            if !self.places[home].sees() {
                self.sight(home);
            }
        }
        self.settle_down();
        let here: Vec<usize> = (0..PROJECTS.len())
            .filter(|project| {
                let place = &self.places[HOMES[*project]];
                place.open && configured(place.setting, *project)
            })
            .collect();
        let closed = |place: &Place| !place.open && !place.forgotten;
        assert!(
            !self.places.iter().any(closed),
            "a workspace is never forgotten"
        );
        for project in &here {
            let id = self.project(*project);
            self.oracle
                .at_rest(&self.engine, &id, &self.files[*project]);
        }
        self.oracle.all_answered();
        self.oracle.no_mutex_is_kept();
        for project in &here {
            self.gate(*project, true, None);
            self.oracle.must_know();
            self.settle_down();
        }
        self.oracle.all_answered();
    }

    fn settle_down(&mut self) {
        for _ in 0..REST_STEPS_MAX {
            let quiet = self.places.iter().all(|place| place.tree.is_empty());
            let busy = self.records.len() + self.stages.len() + self.weighs.len();
            let busy = busy + self.machine.looks();
            let idle = quiet && busy == 0;
            let exited = self.oracle.exited();
            if exited || (idle && self.engine.next_wake().is_none()) {
                return;
            }
            self.deliver();
            if self.oracle.exited() {
                return;
            }
            if let Some(wake) = self.engine.next_wake().map(Tick::since_start) {
                self.now = self.now.max(wake);
                self.wake();
            }
        }
        panic!("the world never comes to rest");
    }
}
