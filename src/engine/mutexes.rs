//! Mutexes of the machine: a stage that names one starts once this engine holds it against every other process.
//!
//! ```text
//! nobody wants it ──a stage may start──▶ Wanted ──MutexTaken──▶ Held ──its stage has ended, or nobody wants it──▶ left
//!                                          └── MutexBusy: told who holds it
//! ```
//!
//! It is asked for by name and not for a stage: when it comes, whoever is first in turn by then takes it. Each use asks
//! anew, so that another process has its turn between two stages of this one. A stage has one mutex, and what it waits
//! for beside it is only room, which running stages give back by themselves: nobody waits in a circle.

use crate::engine::news::News;
use crate::engine::run::{Live, Phase, Run};
use crate::engine::state::Engine;
use crate::engine::{Effect, ProjectId};
use crate::model::id::{RunId, StageId, TaskId, WorkspaceId};
use std::collections::{BTreeMap, BTreeSet};

/// How far a mutex has come that stages of this engine name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It was asked for; who has it meanwhile, once that was told.
    Wanted { holder: Option<String> },
    /// No other process has it.
    Held,
}

/// A stage that waits for a mutex which another process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutexWait {
    /// Its project's task.
    pub task: TaskId,
    /// The stage.
    pub stage: StageId,
    /// The mutex.
    pub mutex: String,
    /// Who holds it, in words.
    pub holder: String,
}

impl Run {
    /// The mutex that a stage names.
    fn mutex(&self, stage: usize) -> Option<&String> {
        self.definition(stage)?.command()?.mutex.as_ref()
    }

    /// The stages that would start if they had room and their mutex, with the mutex.
    fn expectant(&self) -> impl Iterator<Item = (usize, &String)> {
        let may = self.phase == Phase::Running && self.cancelled.is_none();
        let ready = match may && !self.has_failed_fast() {
            true => self.graph.ready(&self.statuses()),
            false => Vec::new(),
        };
        let idle = |stage: &usize| self.stages.get(*stage) == Some(&Live::Idle);
        let ready = ready.into_iter().filter(idle);
        ready.filter_map(|stage| Some((stage, self.mutex(stage)?)))
    }

    fn uses(&self, mutex: &String) -> bool {
        let live = self.stages.iter().enumerate();
        // One whose outputs are looked at before it starts has its place already.
        let mut live =
            live.filter(|(_, live)| matches!(live, Live::Command { .. } | Live::Entering(_)));
        live.any(|(stage, _)| self.mutex(stage) == Some(mutex))
    }
}

impl Engine {
    /// Whether a stage for which there is room has its mutex, or names none; if not, it is asked for.
    pub(super) fn has_mutex(&mut self, id: &RunId, stage: usize) -> bool {
        let run = self.runs.get(id);
        let Some(mutex) = run.and_then(|run| run.mutex(stage)).cloned() else {
            return true;
        };
        match self.mutexes.get(&mutex) {
            Some(claim) => *claim == Claim::Held,
            None => {
                let claim = Claim::Wanted { holder: None };
                self.mutexes.insert(mutex.clone(), claim);
                self.effects.push(Effect::TakeMutex { mutex });
                false
            }
        }
    }

    /// A mutex was taken: whoever is first in turn starts.
    pub(super) fn take_mutex(&mut self, mutex: &str) {
        if let Some(claim) = self.mutexes.get_mut(mutex) {
            *claim = Claim::Held;
            self.advance_in_turn(None);
        }
    }

    /// Somebody else holds a mutex that was asked for.
    pub(super) fn note_holder(&mut self, mutex: &str, by: String) {
        if let Some(Claim::Wanted { holder }) = self.mutexes.get_mut(mutex) {
            *holder = Some(by);
        }
    }

    /// A stage has ended for good: others may have its mutex.
    pub(super) fn leave_mutex(&mut self, id: &RunId, stage: usize) {
        let run = self.runs.get(id);
        let Some(mutex) = run.and_then(|run| run.mutex(stage)).cloned() else {
            return;
        };
        if self.mutexes.remove(&mutex).is_some() {
            self.effects.push(Effect::LeaveMutex { mutex });
        }
    }

    /// Leaves the mutexes that no stage uses or waits for any more, and tells where it is waited for another process.
    pub(super) fn tidy_mutexes(&mut self) {
        if !self.mutexes.is_empty() {
            let needless = self.mutexes.keys().filter(|mutex| {
                let mut runs = self.runs.values();
                !runs.any(|run| run.uses(mutex) || run.expectant().any(|(_, it)| it == *mutex))
            });
            for mutex in needless.cloned().collect::<Vec<_>>() {
                self.mutexes.remove(&mutex);
                self.effects.push(Effect::LeaveMutex { mutex });
            }
        } else if self.told_waits.is_empty() {
            return;
        }
        let now = self.mutex_waits();
        let before = std::mem::replace(&mut self.told_waits, now);
        let ids = before.keys().chain(self.told_waits.keys());
        let differs = |id: &&ProjectId| before.get(id) != self.told_waits.get(id);
        let differ = ids.filter(differs).map(|id| id.workspace);
        for workspace in differ.collect::<BTreeSet<_>>() {
            if self.workspaces.contains_key(&workspace) {
                self.publish(News::Workspace { workspace });
            }
        }
    }

    /// Of each project the first stage that waits for what another process holds.
    fn mutex_waits(&self) -> BTreeMap<ProjectId, MutexWait> {
        let mut waits = BTreeMap::new();
        for run in self.runs.values() {
            for (stage, mutex) in run.expectant() {
                let Some(Claim::Wanted {
                    holder: Some(holder),
                }) = self.mutexes.get(mutex)
                else {
                    continue;
                };
                let Some(definition) = run.definition(stage) else {
                    continue;
                };
                let project = run.project.clone();
                waits.entry(project).or_insert_with(|| MutexWait {
                    task: run.project.task.clone(),
                    stage: definition.id.clone(),
                    mutex: mutex.clone(),
                    holder: holder.clone(),
                });
            }
        }
        waits
    }

    /// The first stage of a workspace that waits for what another process holds, as it was told.
    pub(super) fn mutex_wait(&self, id: WorkspaceId) -> Option<&MutexWait> {
        let mut waits = self.told_waits.iter();
        let first = waits.find(|(project, _)| project.workspace == id);
        first.map(|(_, wait)| wait)
    }
}
