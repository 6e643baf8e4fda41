//! Holding: while git changes files, changes gather, and nothing starts by itself.
//!
//! What lies there in the middle of a checkout or a rebase is nobody's work, so a run on it is waste. But git may stop
//! (a conflict), hang, or die and leave its lock behind: a sign that has held for `HOLD_WAITS_MAX` longest waits for
//! quiet is *stale*, and does not hold again until it has gone or moved on. A question is answered for what is there.

use crate::engine::ProjectId;
use crate::engine::news::News;
use crate::engine::pending::Pending;
use crate::engine::settling::Settle;
use crate::engine::state::Engine;
use crate::limits::HOLD_WAITS_MAX;
use crate::model::id::{PipelineId, TaskId, WorkspaceId};
use crate::model::time::Tick;
use crate::model::view::Sign;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What puts off the runs of one project.
#[derive(Debug, Default)]
pub(super) struct Hold {
    signs: BTreeSet<Sign>,
    stale: BTreeSet<Sign>,
    since: Tick,
}

/// What `status` says of git in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held<'a> {
    /// Runs wait until this is gone.
    Waiting(&'a Sign),
    /// This was waited for long enough.
    GivenUp(&'a Sign),
}

impl Hold {
    /// Takes over what is there now.
    fn see(&mut self, there: &BTreeSet<Sign>, now: Tick, longest: Duration) {
        if self.since.after(longest) <= now {
            self.stale.append(&mut self.signs);
        }
        self.stale.retain(|sign| there.contains(sign));
        let fresh = there.difference(&self.stale).cloned().collect();
        if self.signs.is_empty() {
            self.since = now;
        }
        self.signs = fresh;
    }

    fn until(&self, now: Tick, longest: Duration) -> Option<Tick> {
        let end = self.since.after(longest);
        (!self.signs.is_empty() && now < end).then_some(end)
    }
}

impl Engine {
    /// Takes over what is there of git's signs, by project.
    pub(super) fn hold(&mut self, id: WorkspaceId, by: &BTreeMap<TaskId, BTreeSet<Sign>>) {
        let (now, none) = (self.now.tick, BTreeSet::new());
        for project in self.projects_of(id) {
            let Some(longest) = self.longest_hold(&project) else {
                continue;
            };
            let there = by.get(&project.task).unwrap_or(&none);
            let Some(state) = self.projects.get_mut(&project) else {
                continue;
            };
            let before = state.hold.until(now, longest);
            state.hold.see(there, now, longest);
            let goes_on = before.is_some() && state.hold.until(now, longest).is_none();
            if let Some(settle) = self.settles.get_mut(&project).filter(|_| goes_on) {
                // The end of it is a change like any other: what follows at once belongs to the same set.
                *settle = Settle::new(now, now);
                state.restless = Some(now);
            }
        }
    }

    fn longest_hold(&self, id: &ProjectId) -> Option<Duration> {
        Some(self.settings(id)?.settle_max.saturating_mul(HOLD_WAITS_MAX))
    }

    /// Until when nothing of a project starts by itself, if git goes on for so long.
    pub(super) fn held_until(&self, id: &ProjectId) -> Option<Tick> {
        let hold = &self.projects.get(id)?.hold;
        hold.until(self.now.tick, self.longest_hold(id)?)
    }

    /// Puts off what would start by itself now, if git is at work and nobody waits for the verdict.
    pub(super) fn put_off(&mut self, id: &ProjectId) -> bool {
        let held = !self.stopping && self.held_until(id).is_some() && !self.is_awaited(id);
        if held {
            let settle = Settle::new(self.now.tick, self.now.tick);
            self.settles.entry(id.clone()).or_insert(settle);
            self.mark(id);
        }
        held
    }

    /// Puts off a pending run that would begin now and that nobody asked for, if git is at work.
    pub(super) fn put_off_pending(&mut self, id: &ProjectId, pipeline: &PipelineId) -> bool {
        let free = self.projects.get(id).filter(|p| p.active.is_none());
        let pending = free.and_then(|project| project.pending.get(pipeline));
        pending.is_some_and(Pending::is_by_itself) && self.put_off(id)
    }

    /// The workspaces of which something waits for git.
    fn holding(&self) -> BTreeSet<WorkspaceId> {
        let held = self
            .settles
            .keys()
            .filter(|id| self.held_until(id).is_some());
        held.map(|id| id.workspace).collect()
    }

    /// Whether something of a workspace waits for git.
    #[must_use]
    pub fn is_holding(&self, id: WorkspaceId) -> bool {
        self.told_holding.contains(&id)
    }

    /// Tells where waiting for git has begun or ended.
    pub(super) fn tell_holding(&mut self) {
        let now = self.holding();
        let before = std::mem::replace(&mut self.told_holding, now);
        let differ: Vec<WorkspaceId> = before
            .symmetric_difference(&self.told_holding)
            .filter(|id| self.workspaces.contains_key(id))
            .copied()
            .collect();
        for workspace in differ {
            self.publish(News::Workspace { workspace });
        }
    }

    /// What holds, or has held for too long, in a workspace.
    pub(super) fn held(&self, id: WorkspaceId) -> Option<Held<'_>> {
        let projects = || self.projects.iter().filter(|(p, _)| p.workspace == id);
        let waiting = projects().find_map(|(project, state)| {
            let waits = self.settles.contains_key(project) && self.held_until(project).is_some();
            state.hold.signs.first().filter(|_| waits)
        });
        let given_up = || {
            projects().find_map(|(project, state)| {
                let over = self.held_until(project).is_none();
                let lapsed = state.hold.signs.first().filter(|_| over);
                lapsed.or(state.hold.stale.first())
            })
        };
        waiting
            .map(Held::Waiting)
            .or_else(|| given_up().map(Held::GivenUp))
    }
}
