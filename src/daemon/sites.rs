//! Workspaces come and go: added, allowed, denied, reloaded, removed, listed.
//!
//! What is registered outlives the daemon; what is watched ends with it. A workspace is forgotten only once nothing of it is
//! under way any more.

use crate::daemon::arrivals::close;
use crate::daemon::chain::chain;
use crate::daemon::errands::{Act, Errand, Underway};
use crate::daemon::message::{Done, Then, What};
use crate::daemon::permission::unstored;
use crate::daemon::registry::RegistryError;
use crate::daemon::server::Asked;
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::site::{Preparation, Site};
use crate::daemon::spots::Spots;
use crate::daemon::waiting::{Purpose, removed_meanwhile};
use crate::engine::Input;
use crate::model::id::{RequestId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::{
    ReloadAnswer, ReloadedWorkspace, WorkspaceChange, WorkspaceEntry, WorkspaceList,
};
use crate::wire::call;
use crate::wire::refusal::{ErrorKind, Refusal};

impl Shell {
    /// Begins to serve a workspace; it is read in the background.
    pub(super) fn open_site(&mut self, root: RootPath, task: Option<TaskId>) -> WorkspaceId {
        let spots = Spots::of(&root, &self.state);
        self.open_site_at(root, task, spots)
    }

    /// The same of a workspace whose files lie where the caller says.
    pub(super) fn open_site_at(
        &mut self,
        root: RootPath,
        task: Option<TaskId>,
        spots: Spots,
    ) -> WorkspaceId {
        let id = self.next_site;
        self.next_site = id.next();
        let site = Site::new(root.clone(), task, spots);
        let layout = site.layout.clone();
        self.sites.insert(id, site);
        self.names.insert(id, (root.clone(), layout.clone()));
        self.inputs.push_back(Input::Opened {
            workspace: id,
            root,
            layout,
        });
        self.prepare(id);
        id
    }

    /// Reads a workspace in the background.
    pub(super) fn prepare(&mut self, id: WorkspaceId) {
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        site.preparing = true;
        let preparation = Preparation {
            id,
            root: site.root.clone(),
            task: site.task.clone(),
            spots: site.spots.clone(),
            owner: self.owner.clone(),
            watcher: self.watcher.clone(),
            clock: self.clock,
            asked_once: self.tenancy == Tenancy::Hosted,
        };
        let out = self.out.clone();
        // The loop that does not hear it has ended.
        drop(tokio::task::spawn_blocking(move || {
            let what = What::Prepared(Box::new(preparation.prepare()));
            drop(out.blocking_send(Done {
                workspace: id,
                what,
            }));
        }));
    }

    /// Serves a directory that has been registered.
    pub(super) fn added_to_registry(&mut self, asked: Asked, add: &call::WorkspaceAdd) {
        let root = add.path.clone();
        let known = self
            .sites
            .iter()
            .find(|(_, site)| site.root == root && !site.closing);
        let known = known.map(|(id, site)| (*id, site.preparing));
        let purpose = Purpose::Add { allow: add.allow };
        match known {
            Some((id, false)) => {
                let request = self.wait_for(asked, purpose);
                self.added(id, request);
            }
            Some((id, true)) => {
                let request = self.wait_for(asked, purpose);
                if let Some(site) = self.sites.get_mut(&id) {
                    site.adding.push(request);
                }
            }
            None => {
                let mut known = self.registry.workspaces().iter();
                let known = known.find(|known| known.root == root);
                let task = known.map_or_else(|| add.task_id.clone(), |known| known.task.clone());
                let id = self.open_site(root, task);
                let request = self.wait_for(asked, purpose);
                if let Some(site) = self.sites.get_mut(&id) {
                    site.adding.push(request);
                }
            }
        }
    }

    /// A workspace has been read: answers those who added it.
    pub(super) fn answer_added(&mut self, id: WorkspaceId) {
        let adding = self
            .sites
            .get_mut(&id)
            .map(|site| std::mem::take(&mut site.adding));
        for request in adding.unwrap_or_default() {
            self.added(id, request);
        }
    }

    fn added(&mut self, id: WorkspaceId, request: RequestId) {
        let allow = self
            .waiting
            .get(&request)
            .is_some_and(|waiting| matches!(waiting.purpose, Purpose::Add { allow: true }));
        if allow {
            let shown = None;
            return self.send_on(Errand::Allow { id, request, shown });
        }
        self.answer_entry(id, request);
    }

    /// Tells how a workspace that was added stands.
    pub(super) fn answer_entry(&mut self, id: WorkspaceId, request: RequestId) {
        // What was decided has to be seen in the answer.
        self.settle();
        let result = self.entry(id).ok_or_else(removed_meanwhile);
        self.answer(request, result.map(Into::into));
    }

    pub(super) fn begin_remove(
        &mut self,
        asked: Asked,
        root: &RootPath,
    ) -> Option<(Underway, Act)> {
        // A directory inside a workspace is not the workspace.
        let found = self
            .site_at(root)
            .ok()
            .filter(|id| self.sites.get(id).is_some_and(|site| site.root == *root));
        let Some(id) = found else {
            // It is already as it was asked to be.
            let (root, changed) = (root.clone(), false);
            self.answer_now(asked, |_| Ok(WorkspaceChange { root, changed }.into()));
            return None;
        };
        let root = root.clone();
        let act: Act = Box::new(move |books, now| {
            let removed = books.registry.remove(&root, now);
            let removed = removed.map_err(|error| unstored(&error))?;
            let registered = books.registry.workspaces().iter().map(|known| &known.root);
            if let Err(error) = books.trust.forget_former(registered, now) {
                tracing::warn!(error = %chain(&error), "what was allowed long ago could not be forgotten");
            }
            Ok(removed)
        });
        Some((Underway::Removing(asked, id), act))
    }

    /// Ends what runs in a workspace that is registered no more, and then forgets it.
    pub(super) fn removed_from_registry(&mut self, asked: Asked, id: WorkspaceId) {
        let request = self.wait_for(asked, Purpose::Remove);
        let Some(site) = self.sites.get_mut(&id) else {
            return self.answer(request, Err(removed_meanwhile()));
        };
        site.closing = true;
        site.removing.push(request);
        self.inputs.push_back(Input::Closed { workspace: id });
    }

    /// Nothing of a workspace is under way any more; it goes once its last standings are on disk.
    pub(super) fn forget(&mut self, id: WorkspaceId) {
        // Of what is missing nothing is written, and no desk comes back that would tell.
        let unwritten =
            |site: &Site| site.desk.is_some() && !site.was_missing && !site.states.is_empty();
        if self.sites.get(&id).is_some_and(unwritten) {
            return;
        }
        let Some(mut site) = self.sites.remove(&id) else {
            return;
        };
        self.gone.push(id);
        self.auditing.forget(id);
        if let Some(tree) = site
            .tree
            .as_mut()
            .and_then(crate::daemon::lend::Lent::give_away)
        {
            close(tree);
        }
        if let Some(mut desk) = site
            .desk
            .as_mut()
            .and_then(crate::daemon::lend::Lent::give_away)
        {
            desk.retire();
        }
        for request in std::mem::take(&mut site.adding) {
            self.answer(request, Err(removed_meanwhile()));
        }
        let parked = std::mem::take(&mut site.parked);
        self.hear_parked(parked);
        self.answer_without(id);
        for request in site.removing {
            let change = WorkspaceChange {
                root: site.root.clone(),
                changed: true,
            };
            self.answer(request, Ok(change.into()));
        }
    }

    pub(super) fn list(&self) -> WorkspaceList {
        let ids: Vec<WorkspaceId> = self.sites.keys().copied().collect();
        WorkspaceList {
            workspaces: ids.into_iter().filter_map(|id| self.entry(id)).collect(),
        }
    }

    fn entry(&self, id: WorkspaceId) -> Option<WorkspaceEntry> {
        let site = self.sites.get(&id).filter(|site| !site.closing)?;
        let (state, detail) = self.standing_of(id)?;
        let tasks = site
            .config
            .iter()
            .flat_map(|config| crate::daemon::site::tasks(config));
        Some(WorkspaceEntry {
            root: site.root.clone(),
            state,
            detail,
            tasks: tasks.collect(),
        })
    }

    pub(super) fn reload_asked(&mut self, asked: Asked, scope: &call::Scope) {
        self.mend_stores();
        let ids: Vec<WorkspaceId> = match self.scope_of(scope.workspace.as_ref()) {
            Ok(Some(id)) => vec![id],
            Ok(None) => self
                .sites
                .iter()
                .filter(|(_, s)| s.desk.is_some() && !s.closing)
                .map(|(id, _)| *id)
                .collect(),
            Err(refusal) => return self.answer_now(asked, |_| Err(refusal)),
        };
        let (left, done) = (ids.iter().copied().collect(), Vec::new());
        let request = self.wait_for(asked, Purpose::Reload { left, done });
        if ids.is_empty() {
            self.reloaded_all(request);
        }
        for id in ids {
            self.reload(id, Then::Reload(request));
        }
    }

    pub(super) fn take_reloaded(&mut self, id: WorkspaceId, request: RequestId) {
        let row = self.sites.get(&id).map(|site| ReloadedWorkspace {
            root: site.root.clone(),
            ok: site.refused.is_none(),
            detail: site.refused.clone(),
        });
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        let Purpose::Reload { left, done } = &mut waiting.purpose else {
            return;
        };
        done.extend(row);
        if left.remove(&id) && left.is_empty() {
            self.reloaded_all(request);
        }
    }

    /// Every configuration that was asked for has been read again.
    pub(super) fn reloaded_all(&mut self, request: RequestId) {
        let Some(waiting) = self.waiting.get_mut(&request) else {
            return;
        };
        if let Purpose::Reload { done, .. } = &mut waiting.purpose {
            let workspaces = std::mem::take(done);
            self.answer(request, Ok(ReloadAnswer { workspaces }.into()));
        }
    }
}

/// Registers a directory whose real path has been looked up.
pub(super) fn begin_add(asked: Asked, add: call::WorkspaceAdd) -> (Underway, Act) {
    let (root, task) = (add.path.clone(), add.task_id.clone());
    let act: Act = Box::new(move |books, now| {
        let added = books.registry.add(&root, task, now);
        added.map(|()| true).map_err(|error| refuse_add(&error))
    });
    (Underway::Adding(asked, add), act)
}

/// The real path of a directory that is to be a workspace. Blocks as long as its disk does.
pub(super) fn real_directory(path: &RootPath) -> Result<RootPath, Refusal> {
    let refuse = |why: String, hint: &str| {
        Err(Refusal::new(ErrorKind::UnknownWorkspace, why).hint(hint.to_owned()))
    };
    let real = match std::fs::canonicalize(path.as_path()) {
        Ok(real) => real,
        Err(error) => {
            return refuse(
                format!("failed to open `{path}`: {error}"),
                "name a directory that is there",
            );
        }
    };
    match std::fs::read_dir(&real) {
        Ok(_) => {
            RootPath::new(&real).or_else(|error| refuse(error.to_string(), "name an absolute path"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => refuse(
            format!("`{path}` is a file"),
            "name the directory that holds it",
        ),
        Err(error) => refuse(
            format!("failed to read `{path}`: {error}"),
            "give the daemon's user the right to read it",
        ),
    }
}

fn refuse_add(error: &RegistryError) -> Refusal {
    let kind = match error {
        RegistryError::Inside { .. } | RegistryError::Contains { .. } => {
            ErrorKind::UnknownWorkspace
        }
        RegistryError::Full => ErrorKind::Busy,
        RegistryError::Store(error) => return unstored(error),
    };
    Refusal::new(kind, chain(error))
}
