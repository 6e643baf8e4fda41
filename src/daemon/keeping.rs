//! Keeping what trees know: when their stat caches are written.
//!
//! After the first look, later once enough is new, and at the end. Only where the loop is awake anyway and nothing waits
//! for the workspace: nothing is timed, so that an idle daemon stays idle. A part at a time, so that a question which
//! comes meanwhile waits for one part at most. What is lost with a daemon that is killed is read again.

use crate::daemon::lend::Lent;
use crate::daemon::message::{Done, What};
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::tree::Tree;
use crate::limits::{KEEP_END_MAX, KEEP_PAUSE};
use crate::model::id::WorkspaceId;
use crate::model::report::status::Phase;
use crate::model::time::Tick;
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// How far what a tree knows is written down.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// A part is being written.
    underway: bool,
    /// When it may begin again.
    from: Tick,
}

/// Where below a state directory trees keep what they know of files.
pub(super) fn stat_caches(state: &Path) -> PathBuf {
    state.join("stat-cache")
}

impl Shell {
    /// Has trees write down what they know, where that pays and nobody waits for them.
    pub(super) fn keep_some(&mut self) {
        if self.tenancy == Tenancy::Hosted || self.exiting {
            return;
        }
        let tick = self.clock.tick();
        let due = self.sites.iter().filter(|(_, site)| {
            let tree = site.tree.as_ref().filter(|tree| tree.is_idle());
            let may = !site.kept.underway && !site.closing && site.kept.from <= tick;
            may && tree
                .and_then(Lent::at_home)
                .is_some_and(Tree::is_worth_keeping)
        });
        let due: Vec<WorkspaceId> = due.map(|(id, _)| *id).collect();
        for id in due {
            if self.is_at_rest(id) {
                self.keep_part(id);
            }
        }
    }

    /// Whether nothing of a workspace runs or is about to.
    fn is_at_rest(&self, id: WorkspaceId) -> bool {
        let projects = self.engine.workspace(id).map(|standing| standing.projects);
        let mut projects = projects.into_iter().flatten();
        projects.all(|project| project.standing.phase == Phase::Idle)
    }

    fn keep_part(&mut self, id: WorkspaceId) {
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let Some(tree) = site.tree.as_mut() else {
            return;
        };
        site.kept.underway = true;
        tree.push(move |tree| {
            let what = What::Kept(tree.keep());
            Some(Done {
                workspace: id,
                what,
            })
        });
    }

    pub(super) fn take_kept(&mut self, id: WorkspaceId, more: bool) {
        let again = self.clock.tick().after(KEEP_PAUSE);
        if let Some(site) = self.sites.get_mut(&id) {
            site.kept.underway = false;
            site.kept.from = again;
        }
        if more {
            self.keep_part(id);
        }
    }

    /// Has trees write down what is new before the loop ends. One that is away has a disk that is slow or hangs: nothing is
    /// waited for that can be read again.
    pub(super) async fn keep_at_end(&mut self) {
        let hosted = self.tenancy == Tenancy::Hosted;
        let pays = |tree: &Tree| match hosted {
            // The next one reads it again; whoever asks waits for this one's end.
            true => tree.is_worth_keeping(),
            false => tree.has_to_keep(),
        };
        let open = self.sites.values_mut().filter(|site| !site.closing);
        let trees = open.filter_map(|site| {
            let tree = site.tree.as_mut()?;
            tree.at_home().is_some_and(pays).then(|| tree.give_away())?
        });
        let mut writing = JoinSet::new();
        for mut tree in trees {
            writing.spawn_blocking(move || tree.keep_all());
        }
        let written = tokio::time::timeout(KEEP_END_MAX, writing.join_all()).await;
        if written.is_err() {
            tracing::debug!("the stat caches were not written in time");
        }
    }
}
