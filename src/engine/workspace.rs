//! A workspace: its configuration, how well it is watched, and the looks at its content.
//!
//! At most one look is under way. A question that needs a look which begins after it waits for the next one; all that
//! wait share it.

use crate::engine::news::News;
use crate::engine::project::Project;
use crate::engine::run::DENIED;
use crate::engine::state::Engine;
use crate::engine::{Effect, Known, ProjectId, Setup, Trust, Watch};
use crate::model::config::{Config, OnStart};
use crate::model::evidence::Layout;
use crate::model::id::{CaptureId, RequestId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::run::Changed;
use crate::model::time::Tick;
use crate::model::view::Subject;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the engine knows of a workspace.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) root: RootPath,
    pub(super) layout: Layout,
    pub(super) watch: Watch,
    config: Option<Arc<Config>>,
    pub(super) trust: Trust,
    pub(super) refused: Option<String>,
    pub(super) look: Option<Look>,
    pub(super) wanted: Option<Look>,
    pub(super) closing: bool,
}

/// A look at the content, under way or wanted.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) capture: CaptureId,
    pub(super) subjects: BTreeSet<Subject>,
    pub(super) requests: BTreeSet<RequestId>,
    /// The configuration that it is taken under: what a stage reads is no longer told by another one.
    pub(super) config: Option<Arc<Config>>,
}

impl Look {
    /// Wants what another one wanted too.
    fn join(&mut self, other: Self) {
        self.subjects.extend(other.subjects);
        self.requests.extend(other.requests);
    }
}

impl Workspace {
    /// Whether the configuration has changed since this look began; what it was for is then looked at again.
    pub(super) fn is_overtaken(&self, look: &Look) -> bool {
        // The same text may have been taken twice, with another one in between: that is another one too.
        let present = self.config.as_ref().map(Arc::as_ptr);
        look.config.as_ref().map(Arc::as_ptr) != present
    }

    pub(super) fn want_again(&mut self, look: Look) {
        self.wanted.get_or_insert_default().join(look);
    }

    pub(super) fn config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// Why nothing of it is run or proven now; nothing when it serves.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        if self.closing {
            return Some(Obstacle::Gone("the workspace is being removed".to_owned()));
        }
        if let Watch::Missing { detail } = &self.watch {
            return Some(Obstacle::Gone(detail.clone()));
        }
        if let Some(detail) = &self.refused {
            return Some(Obstacle::Misconfigured(detail.clone()));
        }
        if self.config.is_none() {
            return Some(Obstacle::Rescanning(
                "its configuration has not been read yet".to_owned(),
            ));
        }
        if let Some(detail) = self.trust.refusal() {
            return Some(Obstacle::Untrusted(detail.to_owned()));
        }
        match &self.watch {
            Watch::Watching | Watch::Polling { .. } | Watch::Missing { .. } => None,
            Watch::Rescanning { detail } => Some(Obstacle::Rescanning(detail.clone())),
        }
    }

    pub(super) fn serves(&self) -> bool {
        self.obstacle().is_none()
    }

    /// Whether a look at its content can succeed.
    pub(super) fn can_look(&self) -> bool {
        matches!(self.watch, Watch::Watching | Watch::Polling { .. })
    }
}

/// Why nothing of a workspace is run or proven now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    Misconfigured(String),
    Untrusted(String),
    Rescanning(String),
    Gone(String),
}

impl Obstacle {
    /// Whether it goes by itself: its files are being read.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Rescanning(_))
    }

    /// Whether an edit of its files takes it away.
    pub(super) fn may_be_mended(&self) -> bool {
        matches!(self, Self::Misconfigured(_) | Self::Untrusted(_))
    }
}

impl Engine {
    /// Why nothing of a workspace is run or proven now; nothing when it serves.
    pub(super) fn obstacle(&self, id: WorkspaceId) -> Option<Obstacle> {
        self.workspaces.get(&id)?.obstacle()
    }

    pub(super) fn open(&mut self, id: WorkspaceId, root: RootPath, layout: Layout) {
        let workspace = Workspace {
            root,
            layout,
            watch: Watch::Rescanning {
                detail: "its first scan is under way".to_owned(),
            },
            config: None,
            trust: Trust::Untrusted {
                detail: "its configuration has not been read yet".to_owned(),
            },
            refused: None,
            look: None,
            wanted: None,
            closing: false,
        };
        self.workspaces.insert(id, workspace);
        self.publish(News::Workspace { workspace: id });
    }

    pub(super) fn configure(&mut self, id: WorkspaceId, setup: Setup) {
        // What is being removed has no projects any more but those whose run has not ended.
        let workspace = self.workspaces.get_mut(&id);
        let Some(workspace) = workspace.filter(|workspace| !workspace.closing) else {
            return;
        };
        let config = Arc::clone(&setup.config);
        let same = workspace.config.as_ref() == Some(&config);
        workspace.config = Some(setup.config);
        workspace.trust = setup.trust;
        workspace.refused = None;
        self.replace_projects(id, &config, setup.known);
        self.publish(News::Config {
            workspace: id,
            refused: None,
        });
        self.publish(News::Workspace { workspace: id });
        // All of them first: who is answered by the one is not told what was known of another.
        for project in self.projects_of(id) {
            if let Some(state) = self.projects.get_mut(&project) {
                state.renew(config.settings.on_start == OnStart::Wait);
                if !same {
                    state.proofs.retain(|proof| !proof.timed_out);
                    state.history.forget_for_time();
                }
            }
        }
        for project in self.projects_of(id) {
            self.deny_vanished(&project, &config);
            self.want_present(&project);
            self.seek_again(&project);
            self.mark(&project);
        }
        self.answer_refused(id);
        self.end_denied(id);
    }

    /// Ends what runs of a workspace of which nothing is allowed any more.
    fn end_denied(&mut self, id: WorkspaceId) {
        let workspace = self.workspaces.get(&id);
        if workspace.is_some_and(|it| matches!(it.trust, Trust::Denied { .. })) {
            self.end_runs(id, DENIED);
        }
    }

    /// Ends what runs of a workspace.
    pub(super) fn end_runs(&mut self, id: WorkspaceId, why: &'static str) {
        for project in self.projects_of(id) {
            let active = self.projects.get(&project).and_then(|it| it.active.clone());
            if let Some(run) = active {
                self.cancel(&run, why);
            }
        }
    }

    fn replace_projects(
        &mut self,
        id: WorkspaceId,
        config: &Config,
        known: BTreeMap<TaskId, Known>,
    ) {
        let mut known = known;
        for project in &config.projects {
            let key = ProjectId {
                workspace: id,
                task: project.task.clone(),
            };
            let known = known.remove(&project.task).unwrap_or_default();
            let state = self
                .projects
                .entry(key)
                .or_insert_with(|| Project::new(known));
            state.place = project.path.clone();
            state.gone = false;
        }
        self.ask_anew(id, config);
        for project in self.projects_of(id) {
            if config.project(&project.task).is_none() {
                self.drop_project(&project);
            }
        }
    }

    pub(super) fn misconfigure(&mut self, id: WorkspaceId, detail: String) {
        let Some(workspace) = self.workspaces.get_mut(&id) else {
            return;
        };
        workspace.refused = Some(detail.clone());
        self.publish(News::Config {
            workspace: id,
            refused: Some(detail),
        });
        self.publish(News::Workspace { workspace: id });
        self.projects_of(id)
            .iter()
            .for_each(|project| self.mark(project));
        self.answer_refused(id);
    }

    pub(super) fn watch(&mut self, id: WorkspaceId, watch: Watch) {
        let Some(workspace) = self.workspaces.get_mut(&id) else {
            return;
        };
        if workspace.watch == watch {
            return;
        }
        workspace.watch = watch;
        let can_look = workspace.can_look();
        self.publish(News::Workspace { workspace: id });
        for project in self.projects_of(id) {
            if let Some(state) = self.projects.get_mut(&project) {
                state.doubt();
            }
            if can_look {
                self.want_all(&project);
            }
            self.mark(&project);
        }
        if !can_look {
            self.abandon_checks(id);
            self.abandon_children(id);
            self.answer_refused(id);
        }
    }

    pub(super) fn touch(
        &mut self,
        id: WorkspaceId,
        projects: &BTreeMap<TaskId, Changed>,
        at: Tick,
    ) {
        for (task, changed) in projects {
            let project = ProjectId {
                workspace: id,
                task: task.clone(),
            };
            if self.projects.contains_key(&project) {
                self.touch_project(&project, changed, at);
            }
        }
    }

    pub(super) fn close(&mut self, id: WorkspaceId) {
        let Some(workspace) = self.workspaces.get_mut(&id) else {
            return;
        };
        workspace.closing = true;
        // Before its projects go: with the last of them it is forgotten.
        self.answer_refused(id);
        for project in self.projects_of(id) {
            self.drop_project(&project);
        }
        self.forget_if_done(id);
    }

    /// Forgets a closing workspace once nothing of it is under way.
    pub(super) fn forget_if_done(&mut self, id: WorkspaceId) {
        let closing = self
            .workspaces
            .get(&id)
            .is_some_and(|workspace| workspace.closing);
        if closing && self.projects_of(id).is_empty() {
            self.workspaces.remove(&id);
            self.effects.push(Effect::Forget { workspace: id });
            self.publish(News::Workspace { workspace: id });
        }
    }

    pub(super) fn projects_of(&self, id: WorkspaceId) -> Vec<ProjectId> {
        let ids = self
            .projects
            .keys()
            .filter(|project| project.workspace == id);
        ids.cloned().collect()
    }
}

#[cfg(test)]
mod tests;
