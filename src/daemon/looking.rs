//! Looking: when which workspace is looked at, and what is told of how well it is watched.
//!
//! A look is asked for where something is in doubt, where events were lost, where a workspace is polled, its root is
//! missing or a file in it is being written. One at a time: what comes in doubt meanwhile is the next one's.

use crate::daemon::message::{Done, Looked, What};
use crate::daemon::shell::Shell;
use crate::daemon::site::Site;
use crate::engine::{Input, Watch};
use crate::limits::{HOLD_PAUSE, LOOK_SHORT, POLL_INTERVAL_DEFAULT, WATCH_AGAIN, WRITING_MAX};
use crate::model::id::WorkspaceId;
use crate::model::time::Tick;
use std::collections::BTreeSet;

impl Shell {
    /// Looks at the workspaces that have doubts.
    pub(super) fn examine_doubts(&mut self) {
        self.mind_watcher();
        self.note_losses();
        let tick = self.clock.tick();
        for id in self.watcher.ready() {
            let site = self.sites.get_mut(&id).filter(|site| !site.examining);
            if site.is_some_and(|site| site.pace.admits(tick)) {
                self.examine(id);
            }
        }
    }

    /// The workspaces of which something is in doubt that the engine has not heard of.
    pub(super) fn unsure(&self) -> BTreeSet<WorkspaceId> {
        let unsure = |site: &Site| site.examining || site.facts.written;
        let sites = self.sites.iter().filter(|(_, site)| unsure(site));
        let sites = sites.map(|(id, _)| *id);
        sites.chain(self.watcher.ready()).collect()
    }

    /// Where events were lost there is no verdict before a look that was asked for after that.
    pub(super) fn note_losses(&mut self) {
        for id in self.watcher.take_lost() {
            let Some(site) = self.sites.get_mut(&id).filter(|site| site.tree.is_some()) else {
                continue;
            };
            site.lost_after = Some(site.looks);
            self.note_watch(id);
            self.examine(id);
        }
    }

    pub(super) fn examine(&mut self, id: WorkspaceId) {
        let tick = self.clock.tick();
        let Some(site) = self.sites.get_mut(&id).filter(|site| !site.examining) else {
            return;
        };
        let look = site.next_look();
        let Some(tree) = site.tree.as_mut() else {
            return;
        };
        site.examining = true;
        let due = site.ask_at.take_if(|at| *at <= tick).is_some();
        let clock = self.clock;
        tree.push(move |tree| {
            if due {
                tree.note_time_to_ask();
            }
            let mut touches = tree.examine_closed(tick);
            // Its events came before it began. One that takes long meets what came since, and then events tell of that.
            let is_short = clock.tick().since(tick) <= LOOK_SHORT;
            if (is_short || tree.is_quiet())
                && let Ok(touches) = &mut touches
            {
                touches.at = Some(tick);
            }
            let settles = touches.is_ok().then_some(look);
            let facts = crate::daemon::site::Facts::of(tree);
            let looked = Box::new(Looked {
                settles,
                examined: true,
                ..Looked::by_itself(touches, facts)
            });
            Some(Done {
                workspace: id,
                what: What::Looked(looked),
            })
        });
    }

    /// Tells the engine how well a workspace is watched, and plans its next look.
    pub(super) fn note_watch(&mut self, id: WorkspaceId) {
        let tick = self.clock.tick();
        let without_watcher = self.without_watcher();
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let without_watcher = without_watcher.filter(|_| site.facts.polled.is_none());
        let rescanning = |detail: &str| Watch::Rescanning {
            detail: detail.to_owned(),
        };
        let watch = if let Some(detail) = without_watcher {
            Watch::Rescanning { detail }
        } else if site.lost_after.is_some() {
            rescanning("events were lost; everything is looked at again")
        } else if site.rereads > 0 {
            rescanning("its configuration has changed and is being read again")
        } else {
            site.facts.watch()
        };
        site.refused_since = site
            .facts
            .refused
            .then(|| site.refused_since.unwrap_or(tick));
        let (first, longest) = WATCH_AGAIN;
        site.ask_at = site.refused_since.map(|since| {
            let pause = tick.since(since).clamp(first, longest);
            site.ask_at.unwrap_or_else(|| tick.after(pause))
        });
        let settings = site.config.as_ref().map(|config| &config.settings);
        let poll_interval = settings.map_or(POLL_INTERVAL_DEFAULT, |it| it.poll_interval);
        site.look_at = match &watch {
            Watch::Polling { .. } => Some(tick.after(poll_interval)),
            Watch::Missing { .. } => None,
            Watch::Watching | Watch::Rescanning { .. } if site.facts.written => {
                Some(tick.after(WRITING_MAX))
            }
            Watch::Watching if site.facts.polled_too().is_some() => Some(tick.after(poll_interval)),
            Watch::Watching | Watch::Rescanning { .. } => None,
        };
        self.inputs.push_back(Input::Watched {
            workspace: id,
            watch,
        });
    }

    /// As [`Shell::note_git`], after a look. One that has found nothing leaves it to the next look for git alone whether git
    /// has ended: what it puts its index into place for is mostly not its last step, and then its lock is gone for a moment.
    pub(super) fn note_git_after(&mut self, id: WorkspaceId, is_idle: bool) {
        let site = self.sites.get(&id);
        let is_due = site.is_some_and(|site| site.git_at.is_some());
        let seems_over = site.is_some_and(|site| site.facts.signs.is_empty());
        if !(is_idle && seems_over && is_due && self.engine.is_holding(id)) {
            self.note_git(id);
        }
    }

    /// Tells the engine whether git changes files, and looks again soon if it does.
    pub(super) fn note_git(&mut self, id: WorkspaceId) {
        let tick = self.clock.tick();
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let by = site.facts.signs.clone();
        if by.is_empty() && site.git_since.is_none() {
            return;
        }
        site.git_since = site.git_since.or(Some(tick)).filter(|_| !by.is_empty());
        site.git_at = site.git_since.map(|since| {
            let (first, longest) = HOLD_PAUSE;
            tick.after((tick.since(since) / 8).clamp(first, longest))
        });
        self.inputs.push_back(Input::Held { workspace: id, by });
    }

    /// Looks whether git still changes files, where something waits for its end.
    pub(super) fn look_for_git(&mut self, now: Tick) {
        for (id, site) in &mut self.sites {
            let workspace = *id;
            let due = site.git_at.take_if(|at| *at <= now).is_some();
            if due
                && self.engine.is_holding(workspace)
                && let Some(tree) = site.tree.as_mut()
            {
                tree.push(move |tree| {
                    let what = What::Git(tree.signs_now());
                    Some(Done { workspace, what })
                });
            }
        }
    }

    /// Looks at a workspace that is polled, whose root is missing, or of which a file is being written.
    pub(super) fn look_again(&mut self, id: WorkspaceId) {
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        site.look_at = None;
        if site.tree.is_some() {
            self.examine(id);
        } else {
            let (root, out) = (site.spots.ground.root.clone(), self.out.clone());
            // A root on a disk that hangs holds up nobody but its own workspace.
            drop(tokio::task::spawn_blocking(move || {
                let what = What::Rooted(root.as_path().is_dir());
                drop(out.blocking_send(Done {
                    workspace: id,
                    what,
                }));
            }));
        }
    }

    /// Looks again at runs that somebody else seemed to own.
    pub(super) fn recheck_due(&mut self, now: Tick) {
        let clock = self.clock;
        for (id, site) in &mut self.sites {
            let id = *id;
            let due = site.recheck_at.take_if(|at| *at <= now).is_some();
            if let Some(desk) = site.desk.as_mut().filter(|_| due) {
                desk.push(move |desk| {
                    let recovery = crate::daemon::site::recover(desk, &[], clock);
                    Some(Done {
                        workspace: id,
                        what: What::Rechecked(recovery),
                    })
                });
            }
        }
    }
}
