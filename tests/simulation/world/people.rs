//! What people do beside saving: they ask, start, cancel and resume runs, and remove evidence.

use super::World;
use crate::fixture::{HOMES, PROJECTS, index, pipeline_id, task};
use crate::outside::taken_up;
use orch::engine::Input;
use orch::engine::ask::{Ask, Patience, RunAsk, Scope, Until, Wanted};
use orch::model::id::{RequestId, RunId};
use orch::model::time::Tick;
use std::collections::BTreeSet;
use std::time::Duration;

/// From one edit of somebody who keeps saving to the next: longer than it takes to settle.
const PAUSE: Duration = Duration::from_millis(30);

impl World {
    pub(super) fn gate(&mut self, project: usize, patient: bool, wait: Option<Duration>) {
        let scope = match PROJECTS.get(project) {
            Some(_) => Scope {
                workspace: Some(self.places[HOMES[project]].id),
                tasks: vec![task(project)],
            },
            None => Scope::default(),
        };
        let patience = match (patient, self.chance(2)) {
            (false, _) => Patience::Answer,
            (true, 0) => Patience::Doubt,
            (true, _) => Patience::Run,
        };
        self.ask(Ask::Verdict { scope, patience }, wait);
    }

    pub(super) fn run(
        &mut self,
        (project, other): (usize, bool),
        force: bool,
        (until, wanted): (Until, Wanted),
        approval_policy: Option<String>,
    ) {
        let ask = RunAsk {
            project: self.project(project),
            pipeline: other.then(|| pipeline_id("other")),
            parent: None,
            approval_policy,
            force,
            until,
            wanted,
        };
        self.ask(Ask::Run(ask), None);
    }

    pub(super) fn cancel(&mut self) {
        let active = self.engine.runs().map(|report| report.run.clone());
        let queued = self.engine.queued().map(|queued| queued.run.clone());
        let runs: Vec<RunId> = active.chain(queued).collect();
        if !runs.is_empty() {
            let run = runs[self.chance(runs.len())].clone();
            self.ask(Ask::Cancel { run }, None);
        }
    }

    pub(super) fn ask(&mut self, ask: Ask, wait: Option<Duration>) {
        self.requests += 1;
        let request = RequestId(self.requests);
        let deadline = wait.map(|wait| self.now + wait);
        let there = (self.files.as_slice(), self.places.as_slice());
        self.oracle.asked(request, &ask, deadline, there);
        self.step(Input::Asked {
            request,
            ask,
            deadline: deadline.map(Tick::new),
        });
    }

    pub(super) fn resume(&mut self) {
        let Some(report) = self.disk.newest_root().cloned() else {
            return;
        };
        let project = self.project(index(&report.task));
        let ask = taken_up(report, project);
        self.ask(Ask::Resume(Box::new(ask)), None);
    }

    /// Somebody removes what a stage has left, or makes of it what no stage leaves.
    pub(super) fn spoil(&mut self, project: usize, stage: &'static str, removed: bool) {
        self.generation += 1;
        let left = (!removed).then(|| format!("spoiled {}", self.generation));
        self.outputs.insert((project, stage), left);
    }

    /// Somebody removes the evidence of a run; that it is gone is found out at once.
    pub(super) fn vanish(&mut self) {
        let ended = self.disk.reports().len();
        if ended == 0 {
            return;
        }
        let which = self.chance(ended);
        let report = self.disk.reports()[which].clone();
        let project = index(&report.task);
        let id = self.project(project);
        if self.engine.run(&report.run).is_some() || !self.places[HOMES[project]].open {
            return;
        }
        self.disk.lose(&report.run);
        self.oracle.vanished(&self.engine, &id, &report.run);
        self.step(Input::Discarded {
            workspace: id.workspace,
            runs: BTreeSet::from([report.run]),
        });
    }

    /// Somebody makes a file what it never was.
    pub(super) fn rewrite(&mut self, project: usize, file: u8) {
        self.generation += 1;
        self.save(project, file, self.generation);
    }

    /// Somebody edits while a run is under way, which sees it before a stage ends; then one or another thing happens.
    pub(crate) fn edit_on(&mut self, project: usize, file: u8) {
        self.rewrite(project, file);
        self.hold_stages(HOMES[project]);
        self.wait(PAUSE);
        self.hold_stages(HOMES[project]);
        (0..4).for_each(|_| self.deliver());
    }
}
