//! What blocking work brings back: taken home, told to the engine, answered.
//!
//! The order is kept: what a tree reports becomes inputs in the order in which it was seen, because the engine takes a
//! `Captured` to cover every `Touched` before it.

use crate::daemon::chain::chain;
use crate::daemon::evidence::{Desk, Recovery};
use crate::daemon::lend::Lent;
use crate::daemon::message::{Done, Looked, Then, What};
use crate::daemon::shell::Shell;
use crate::daemon::site::{Prepared, Readiness};
use crate::daemon::tree::{Signs, Tree, TreeError};
use crate::engine::{Input, Record, Watch};
use crate::limits::{FAILED_LOOK_AGAIN, HEARTBEAT_STALE, ROOT_LOOK_PAUSE};
use crate::model::id::{RunId, WorkspaceId};
use crate::model::run::Ending;
use crate::model::view::Touches;

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
            What::OutputsBack(outputs) => self.take_outputs(id, outputs),
            What::Weighed {
                weigh,
                run,
                stage,
                outputs,
            } => self.inputs.push_back(Input::Weighed {
                weigh,
                run,
                stage,
                outputs,
            }),
            What::Audited(part) => self.take_part(id, *part),
            What::Kept(more) => self.take_kept(id, more),
            What::Looked(looked) => self.take_look(id, *looked),
            What::Watched(looked) => self.take_watched(id, *looked),
            What::Git(signs) => self.take_signs(id, signs),
            What::Recorded {
                run,
                record,
                failure,
                gone,
            } => {
                self.take_gone(id, gone);
                self.take_recorded(id, run, record, failure);
            }
            What::StageEnded { run, stage, ending } => self.take_end(run, stage, *ending),
            What::Mutex(look) => self.take_mutex(look),
            What::Loaded {
                loaded,
                known,
                then,
            } => self.take_loaded(id, *loaded, &known, then),
            What::Removed { task, gone } => self.take_removed(id, task, gone),
            What::Rechecked(recovery) => self.note_recovery(id, &recovery),
            What::Runs {
                request,
                rows,
                known,
            } => self.take_rows(id, request, (rows, known)),
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
            What::Reasoned { request, projects } => self.take_reasoned(id, request, projects),
            What::Answered { request, answer } => self.answer(request, *answer),
        }
    }

    fn take_end(&mut self, run: RunId, stage: usize, ending: Ending) {
        self.stoppers.remove(&(run.clone(), stage));
        self.inputs
            .push_back(Input::StageEnded { run, stage, ending });
    }

    fn take_signs(&mut self, id: WorkspaceId, signs: Signs) {
        if let Some(site) = self.sites.get_mut(&id) {
            site.facts.signs = signs;
            self.note_git(id);
        }
    }

    fn take_recorded(
        &mut self,
        id: WorkspaceId,
        run: RunId,
        record: Record,
        failure: Option<String>,
    ) {
        if record == Record::End && failure.is_none() {
            self.tick_by(id, &run);
        }
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

    fn take_tree(&mut self, id: WorkspaceId, tree: Box<Tree>) {
        match self.sites.get_mut(&id).and_then(|site| site.tree.as_mut()) {
            Some(lent) => {
                lent.bring_back(tree);
                // What was marked while it was away has woken nobody.
                self.examine_doubts();
            }
            // Removed while it was away.
            None => close(tree),
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
                close(tree);
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
                let mut tree = Lent::new(tree);
                // Nobody may want a view before something changes; by then there is little left to do for one.
                tree.push(|tree| {
                    tree.digest_ahead();
                    None
                });
                site.tree = Some(tree);
                site.look_at = None;
                site.rereads += u32::from(outdated);
                site.was_missing = false;
                site.failing_since = None;
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
        let now = self.clock.tick();
        if let Some(site) = self.sites.get_mut(&id) {
            // Whether there is a root costs one call; past that, each look reads as much as it can.
            site.failing_since = match error {
                TreeError::Watch { .. } | TreeError::Directory { .. } | TreeError::File { .. } => {
                    site.failing_since.or(Some(now))
                }
                TreeError::Missing { .. }
                | TreeError::Unmounted { .. }
                | TreeError::Replaced { .. }
                | TreeError::Root { .. }
                | TreeError::Unwatched => None,
            };
            let (first, longest) = FAILED_LOOK_AGAIN;
            let since = site.failing_since.map(|since| now.since(since));
            let pause = since.map_or(ROOT_LOOK_PAUSE, |since| since.clamp(first, longest));
            site.look_at = Some(now.after(pause));
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

    pub(super) fn take_look(&mut self, id: WorkspaceId, looked: Looked) {
        let Looked {
            touches,
            capture,
            inspected,
            facts,
            settles,
            examined,
            toolchains,
        } = looked;
        self.note_losses();
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        if let Some(toolchains) = toolchains {
            site.toolchains = toolchains;
        }
        let before = std::mem::replace(&mut site.facts, facts);
        if before.root.is_some() && before.root != site.facts.root {
            self.inputs.push_back(Input::Replaced { workspace: id });
        }
        site.lost_after.take_if(|last| settles > Some(*last));
        site.examining &= !examined;
        // Before what was touched: what git changes is put off from its first file on.
        let is_idle = examined && touches.as_ref().is_ok_and(Touches::is_empty);
        self.note_git_after(id, is_idle);
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let mut reload = false;
        let unsettled = match touches {
            Ok(touches) => {
                site.failing_since = None;
                let unsettled = site.lost_after.is_some();
                let was_missing = std::mem::take(&mut site.was_missing);
                if was_missing {
                    site.hold_root();
                }
                reload = touches.configuration | was_missing;
                site.rereads += u32::from(reload);
                self.note_watch(id);
                self.tell_touched(id, touches);
                unsettled
            }
            Err(TreeError::Unwatched) => {
                // The next watcher puts everything in doubt; unless it has begun meanwhile, and this look took that along.
                self.note_watch(id);
                !self.watcher.has_ended()
            }
            Err(error) => {
                // There is something to look at already.
                self.note_missing(id, &error);
                matches!(error, TreeError::Replaced { .. })
            }
        };
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

    fn tell_touched(&mut self, workspace: WorkspaceId, touches: Touches) {
        if touches.projects.is_empty() {
            return;
        }
        // Where files go, somebody may be about to remove it all: what came meanwhile would be in his way.
        if touches.saved
            && let Some(site) = self.sites.get_mut(&workspace)
            && site.readiness == Readiness::None
        {
            site.readiness = Readiness::Wanted;
        }
        self.inputs.push_back(Input::Touched {
            workspace,
            projects: touches.projects,
            at: touches.at.unwrap_or_else(|| self.clock.tick()),
        });
    }

    fn take_root(&mut self, id: WorkspaceId, is_there: bool) {
        if is_there {
            self.prepare(id);
        } else if let Some(site) = self.sites.get_mut(&id) {
            site.look_at = Some(self.clock.tick().after(ROOT_LOOK_PAUSE));
        }
    }
}

/// Takes the watches of a tree that nobody wants any more away, one by one: no thread of the loop.
pub(super) fn close(tree: Box<Tree>) {
    drop(tokio::task::spawn_blocking(move || tree.retire()));
}
