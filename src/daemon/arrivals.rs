//! What blocking work brings back: taken home, told to the engine, answered.
//!
//! The order is kept: what a tree reports becomes inputs in the order in which it was seen, because the engine takes a
//! `Captured` to cover every `Touched` before it.

use crate::daemon::chain::chain;
use crate::daemon::evidence::{Desk, Inspected, Recovery};
use crate::daemon::lend::Lent;
use crate::daemon::message::{Done, Looked, Then, What};
use crate::daemon::shell::Shell;
use crate::daemon::site::{Prepared, Readiness};
use crate::daemon::tree::{Tree, TreeError};
use crate::engine::{Input, Record, Watch};
use crate::limits::{
    HEARTBEAT_STALE, HOLD_PAUSE, LOOK_SHORT, POLL_INTERVAL_DEFAULT, ROOT_LOOK_PAUSE, WATCH_AGAIN,
    WRITING_MAX,
};
use crate::model::id::WorkspaceId;
use crate::model::time::Tick;

impl Done {
    pub(super) fn tree_back(workspace: WorkspaceId, tree: Box<Tree>) -> Self {
        Self {
            workspace,
            what: What::TreeBack(tree),
        }
    }

    pub(super) fn desk_back(workspace: WorkspaceId, desk: Box<Desk>) -> Self {
        Self {
            workspace,
            what: What::DeskBack(desk),
        }
    }
}

impl Shell {
    pub(super) fn take(&mut self, done: Done) {
        let Done {
            workspace: id,
            what,
        } = done;
        match what {
            What::Prepared(prepared) => self.take_prepared(id, *prepared),
            What::Rooted(is_there) => self.take_root(id, is_there),
            What::TreeBack(tree) => self.take_tree(id, tree),
            What::DeskBack(desk) => self.take_desk(id, desk),
            What::Audited(part) => self.take_part(id, *part),
            What::Looked(looked) => self.take_look(id, *looked),
            What::Git(signs) => {
                if let Some(site) = self.sites.get_mut(&id) {
                    site.facts.signs = signs;
                    self.note_git(id);
                }
            }
            What::Recorded {
                run,
                record,
                failure,
            } => {
                if record == Record::End
                    && let Some(task) = self.engine.run(&run).map(|report| report.task.clone())
                {
                    self.retain(id, task);
                }
                if failure.is_some() {
                    self.judge_later(id);
                }
                self.inputs.push_back(Input::Recorded {
                    run,
                    record,
                    failure,
                });
            }
            What::StageEnded { run, stage, ending } => {
                self.stoppers.remove(&(run.clone(), stage));
                self.inputs.push_back(Input::StageEnded {
                    run,
                    stage,
                    ending: *ending,
                });
            }
            What::Loaded {
                loaded,
                known,
                then,
            } => self.take_loaded(id, *loaded, &known, then),
            What::Removed { task, gone } => self.take_removed(id, task, gone),
            What::Rechecked(recovery) => self.note_recovery(id, &recovery),
            What::Runs { request, rows } => self.take_rows(id, request, rows),
            What::Found { request, found } => self.take_found(id, request, found),
            What::Reopened {
                request,
                run,
                reopened,
            } => {
                self.take_reopened(id, request, &run, *reopened);
            }
            What::Revived(revived) => self.take_revived(revived),
            What::Tried(tried) => self.take_tried(*tried),
            What::Resolved { asked, real } => self.take_resolved(*asked, real),
            What::Inspected { asked, found } => self.take_inspected_for(*asked, found),
            What::Answered { request, answer } => self.answer(request, *answer),
        }
    }

    fn take_tree(&mut self, id: WorkspaceId, tree: Box<Tree>) {
        match self.sites.get_mut(&id).and_then(|site| site.tree.as_mut()) {
            Some(lent) => {
                lent.bring_back(tree);
                // What was marked while it was away has woken nobody.
                self.examine_doubts();
            }
            // Removed while it was away.
            None => tree.close(),
        }
    }

    fn take_desk(&mut self, id: WorkspaceId, mut desk: Box<Desk>) {
        match self.sites.get_mut(&id).and_then(|site| site.desk.as_mut()) {
            Some(lent) => {
                lent.bring_back(desk);
                self.forget_left(id);
            }
            // Removed while it was away.
            None => desk.retire(),
        }
    }

    /// Forgets a workspace that the engine has forgotten while its last standings were being written.
    fn forget_left(&mut self, id: WorkspaceId) {
        let closing = self.sites.get(&id).is_some_and(|site| site.closing);
        if closing && self.engine.workspace(id).is_none() {
            self.forget(id);
        }
    }

    fn take_prepared(&mut self, id: WorkspaceId, prepared: Prepared) {
        let Prepared {
            desk,
            recovery,
            loaded,
            outdated,
            evidenced,
            tree,
            facts,
        } = prepared;
        let Some(site) = self.sites.get_mut(&id).filter(|site| !site.closing) else {
            if let Ok(tree) = tree {
                tree.close();
            }
            return;
        };
        site.preparing = false;
        match site.desk.as_mut() {
            None => site.desk = Some(Lent::new(desk)),
            // The one from before its root was missing is behind the times; what waits for it comes first.
            Some(lent) => lent.push(move |held| {
                *held = *desk;
                None
            }),
        }
        site.facts = facts;
        site.evidenced.extend(evidenced);
        match tree {
            Ok(tree) => {
                site.tree = Some(Lent::new(tree));
                site.look_at = None;
                site.rereads += u32::from(outdated);
                site.was_missing = false;
                site.audit_from = self.clock.tick();
                self.note_recovery(id, &recovery);
                self.take_configuration(id, loaded, &recovery.known);
                self.note_git(id);
                self.note_watch(id);
                if outdated {
                    self.reload(id, Then::Lift);
                }
                // What was marked before there was anybody to look has woken nobody who could.
                self.examine_doubts();
            }
            Err(error) => self.note_missing(id, &error),
        }
        self.answer_added(id);
        let parked = self
            .sites
            .get_mut(&id)
            .map(|site| std::mem::take(&mut site.parked));
        self.hear_parked(parked.unwrap_or_default());
    }

    /// The files cannot be looked at: they are looked for until they are back.
    fn note_missing(&mut self, id: WorkspaceId, error: &TreeError) {
        let at = self.clock.tick().after(ROOT_LOOK_PAUSE);
        if let Some(site) = self.sites.get_mut(&id) {
            site.look_at = Some(at);
            site.was_missing = true;
        }
        let watch = Watch::Missing {
            detail: chain(error),
        };
        self.inputs.push_back(Input::Watched {
            workspace: id,
            watch,
        });
        // What it waited for is not written any more.
        self.forget_left(id);
    }

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

    /// What is on disk of a run that could not be recorded is closed once the disk may have recovered.
    fn judge_later(&mut self, id: WorkspaceId) {
        let again = self.clock.tick().after(HEARTBEAT_STALE);
        if let Some(site) = self.sites.get_mut(&id) {
            site.recheck_at.get_or_insert(again);
        }
    }

    fn note_recovery(&mut self, id: WorkspaceId, recovery: &Recovery) {
        for run in &recovery.interrupted {
            tracing::warn!(%run, "a run was interrupted when its daemon was lost; it is cancelled now");
        }
        let again = self.clock.tick().after(HEARTBEAT_STALE);
        if let Some(site) = self.sites.get_mut(&id) {
            site.recheck_at = (!recovery.alive.is_empty()).then_some(again);
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

    pub(super) fn take_look(&mut self, id: WorkspaceId, looked: Looked) {
        let Looked {
            touches,
            capture,
            inspected,
            facts,
            settles,
        } = looked;
        self.note_losses();
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        site.facts = facts;
        site.lost_after.take_if(|last| settles > Some(*last));
        if capture.is_none() {
            site.examining = false;
        }
        // Before what was touched: what git changes is put off from its first file on.
        self.note_git(id);
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let (mut reload, mut unsettled) = (false, false);
        match touches {
            Ok(touches) => {
                unsettled = site.lost_after.is_some();
                reload = touches.configuration | std::mem::take(&mut site.was_missing);
                site.rereads += u32::from(reload);
                self.note_watch(id);
                if !touches.projects.is_empty() {
                    self.want_readiness(id);
                    self.inputs.push_back(Input::Touched {
                        workspace: id,
                        projects: touches.projects,
                        at: touches.at.unwrap_or_else(|| self.clock.tick()),
                    });
                }
            }
            // The next watcher puts everything in doubt.
            Err(TreeError::Unwatched) => self.note_watch(id),
            Err(error) => self.note_missing(id, &error),
        }
        self.take_inspected(id, inspected);
        if let Some((capture, views)) = capture {
            self.inputs.push_back(Input::Captured {
                capture,
                workspace: id,
                views,
            });
        }
        if reload {
            self.reload(id, Then::Lift);
        }
        if unsettled {
            self.examine(id);
        }
    }

    fn want_readiness(&mut self, id: WorkspaceId) {
        if let Some(site) = self.sites.get_mut(&id)
            && site.readiness == Readiness::None
        {
            site.readiness = Readiness::Wanted;
        }
    }

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

    /// Where events were lost there is no verdict before a look that was asked for after that.
    fn note_losses(&mut self) {
        for id in self.watcher.take_lost() {
            let Some(site) = self.sites.get_mut(&id).filter(|site| site.tree.is_some()) else {
                continue;
            };
            site.lost_after = Some(site.looks);
            self.note_watch(id);
            self.examine(id);
        }
    }

    fn examine(&mut self, id: WorkspaceId) {
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
            // Its events came before it began. One that takes long meets what came since.
            if clock.tick().since(tick) <= LOOK_SHORT
                && let Ok(touches) = &mut touches
            {
                touches.at = Some(tick);
            }
            let settles = touches.is_ok().then_some(look);
            let facts = crate::daemon::site::Facts::of(tree);
            let looked = Box::new(Looked {
                touches,
                capture: None,
                inspected: Inspected::default(),
                facts,
                settles,
            });
            Some(Done {
                workspace: id,
                what: What::Looked(looked),
            })
        });
    }

    /// Tells the engine whether git changes files, and looks again soon if it does.
    fn note_git(&mut self, id: WorkspaceId) {
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
            let (root, out) = (site.root.clone(), self.out.clone());
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

    fn take_root(&mut self, id: WorkspaceId, is_there: bool) {
        if is_there {
            self.prepare(id);
        } else if let Some(site) = self.sites.get_mut(&id) {
            site.look_at = Some(self.clock.tick().after(ROOT_LOOK_PAUSE));
        }
    }
}
