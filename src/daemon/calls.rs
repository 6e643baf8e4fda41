//! What clients ask for: one line per method, and those that take a few words to answer.
//!
//! What needs the engine becomes an `Asked`; what needs the disk becomes work for a desk or a tree; the rest is answered
//! from what the shell has at hand.

use crate::daemon::errands::Errand;
use crate::daemon::message::{Done, Then, What};
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::site::Site;
use crate::daemon::waiting::{Lookup, Purpose};
use crate::engine::ask::{Ask, Patience, RunAsk, Scope, Until, Wanted};
use crate::engine::{Input, ProjectId};
use crate::model::id::{RunId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::event::{Event, Happening};
use crate::model::report::{ShutdownAnswer, SubscribeAnswer};
use crate::wire::answer::Answer;
use crate::wire::call::{self, Call};
use crate::wire::refusal::{ErrorKind, Refusal};
use std::path::Path;
use std::time::Duration;

impl Shell {
    /// Hears a question; a path that it names is looked up first, where that may take the disk.
    pub(super) fn hear(&mut self, mut asked: Asked) {
        let known = |root: &RootPath| self.sites.values().any(|site| site.root == *root);
        match named(&mut asked.call) {
            Some((root, Naming::New)) => {
                let root = root.clone();
                self.resolve(asked, move || crate::daemon::sites::real_directory(&root));
            }
            Some((root, Naming::Known)) if !known(root) => {
                let root = root.clone();
                self.resolve(asked, move || {
                    let real = std::fs::canonicalize(root.as_path()).ok();
                    // What is not there is told by the name that was asked for.
                    let real = real.and_then(|real| RootPath::new(&real).ok());
                    Ok(real.unwrap_or(root))
                });
            }
            Some((_, Naming::Known)) | None => self.hear_resolved(asked),
        }
    }

    /// Looks up a path in the background: one on a disk that hangs holds up nobody but who asked for it.
    fn resolve(
        &self,
        asked: Asked,
        real: impl FnOnce() -> Result<RootPath, Refusal> + Send + 'static,
    ) {
        let out = self.out.clone();
        // It is about no workspace before it is heard.
        let workspace = self.next_site;
        // The loop that does not hear it has ended.
        drop(tokio::task::spawn_blocking(move || {
            let real = real();
            let asked = Box::new(asked);
            drop(out.blocking_send(Done {
                workspace,
                what: What::Resolved { asked, real },
            }));
        }));
    }

    /// Hears a question whose path has been looked up.
    pub(super) fn take_resolved(&mut self, mut asked: Asked, real: Result<RootPath, Refusal>) {
        if asked.answer.is_closed() {
            return;
        }
        match real {
            Ok(real) => {
                if let Some((root, _)) = named(&mut asked.call) {
                    *root = real;
                }
                self.hear_resolved(asked);
            }
            Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
        }
    }

    /// Does what is asked, with what has been read by now.
    pub(super) fn hear_now(&mut self, asked: Asked) {
        match asked.call.clone() {
            Call::Status(scope) => self.inspect_first(asked, scope.workspace.as_ref()),
            Call::WorkspaceAdd(add) => self.send_on(Errand::Add { asked, add }),
            Call::WorkspaceRemove(named) => {
                let root = named.path;
                self.send_on(Errand::Remove { asked, root });
            }
            Call::WorkspaceList(_) => self.answer_now(asked, |shell| Ok(shell.list().into())),
            Call::WorkspaceAllow(allow) => self.read_to_allow(asked, allow),
            Call::WorkspaceDeny(named) => {
                let root = named.path;
                self.send_on(Errand::Deny { asked, root });
            }
            Call::RunStart(start) => self.start_run(asked, start),
            Call::RunCancel(named) => self.find_run(
                asked,
                named.run_id,
                named.workspace.as_ref(),
                Lookup::Cancel,
            ),
            Call::RunGet(named) => {
                self.find_run(asked, named.run_id, named.workspace.as_ref(), Lookup::Show);
            }
            Call::RunResume(resume) => {
                let (part, workspace) = (resume.run_id.clone(), resume.workspace.clone());
                self.find_run(asked, part, workspace.as_ref(), Lookup::Resume(resume));
            }
            Call::LogsRead(wanted) => {
                let (part, workspace) = (wanted.run_id.clone(), wanted.workspace.clone());
                self.find_run(asked, part, workspace.as_ref(), Lookup::Logs(wanted));
            }
            Call::RunList(wanted) => self.list_runs(asked, &wanted),
            Call::Plan(wanted) => self.plan_present(asked, wanted),
            Call::Sync(wanted) => self.sync(asked, &wanted),
            Call::Wait(wanted) => {
                let tasks = wanted.task.into_iter().collect();
                let timeout = wanted.timeout_ms.map(Duration::from_millis);
                self.verdicts(
                    asked,
                    wanted.workspace.as_ref(),
                    tasks,
                    (Patience::Run, timeout),
                    Purpose::Plain,
                );
            }
            Call::Gate(wanted) => {
                let patience = if wanted.wait {
                    Patience::Doubt
                } else {
                    Patience::Answer
                };
                self.verdicts(
                    asked,
                    wanted.workspace.as_ref(),
                    wanted.tasks,
                    (patience, None),
                    Purpose::Gate,
                );
            }
            Call::EventsSubscribe(_) => self.inspect_first(asked, None),
            Call::Explain(named) => self.explain_present(asked, named),
            Call::Why(scope) => self.why_present(asked, &scope),
            Call::Doctor(_) => self.answer_now(asked, |shell| Ok(shell.doctor().into())),
            Call::Reload(scope) => self.reload_asked(asked, &scope),
            Call::Shutdown(_) => self.shutdown(asked),
            // Answered by the connection; the sender that is dropped here answers `internal`.
            Call::Ping(_) | Call::EventsUnsubscribe(_) => drop(asked),
        }
    }

    /// Reads a workspace's commands again, then allows or shows them.
    fn read_to_allow(&mut self, asked: Asked, wanted: call::WorkspaceAllow) {
        let path = wanted.path.clone();
        self.with_site(asked, &path, |shell, id, asked| {
            let request = shell.wait_for(asked, Purpose::Plain);
            shell.answers_at(request, id);
            shell.reload(id, Then::Allow(request, Box::new(wanted)));
        });
    }

    pub(super) fn answer_now(
        &mut self,
        asked: Asked,
        answer: impl FnOnce(&mut Self) -> Result<Answer, Refusal>,
    ) {
        let result = answer(self);
        self.has_answered = true;
        // Whoever has gone away needs no answer.
        drop(asked.answer.send(result));
    }

    pub(super) fn with_site(
        &mut self,
        asked: Asked,
        root: &RootPath,
        act: impl FnOnce(&mut Self, WorkspaceId, Asked),
    ) {
        match self.site_at(root) {
            Ok(id) => act(self, id, asked),
            Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
        }
    }

    /// The workspace with this root, by name, without a look at the disk. One around it is another one: what is named
    /// means itself.
    pub(super) fn site_at(&self, root: &RootPath) -> Result<WorkspaceId, Refusal> {
        let mut sites = self.sites.iter().filter(|(_, site)| !site.closing);
        let found = sites.find(|(_, site)| site.root == *root);
        found.map(|(id, _)| *id).ok_or_else(|| {
            let said = format!("`{root}` is not a registered workspace");
            let hint = match self.site_around(root.as_path()) {
                Some((_, outer)) => {
                    format!("it lies in the workspace `{}`: name that one", outer.root)
                }
                None => format!(
                    "`orchctl add {}` registers it, `orchctl list` shows the registered ones",
                    root.quoted()
                ),
            };
            Refusal::new(ErrorKind::UnknownWorkspace, said).hint(hint)
        })
    }

    /// The workspace that a path is in.
    pub(super) fn site_around(&self, path: &Path) -> Option<(WorkspaceId, &Site)> {
        let mut sites = self.sites.iter().filter(|(_, site)| !site.closing);
        let around = sites.find(|(_, site)| path.starts_with(site.root.as_path()));
        around.map(|(id, site)| (*id, site))
    }

    /// The workspace that a question names; nothing if it names none.
    pub(super) fn scope_of(&self, root: Option<&RootPath>) -> Result<Option<WorkspaceId>, Refusal> {
        root.map(|root| self.site_at(root)).transpose()
    }

    pub(super) fn ask(
        &mut self,
        asked: Asked,
        purpose: Purpose,
        ask: Ask,
        timeout: Option<Duration>,
    ) {
        let deadline = timeout.map(|timeout| self.clock.tick().after(timeout));
        let request = self.wait_for(asked, purpose);
        self.inputs.push_back(Input::Asked {
            request,
            ask,
            deadline,
        });
    }

    fn sync(&mut self, asked: Asked, wanted: &call::SyncWanted) {
        let timeout = wanted.timeout_ms.map(Duration::from_millis);
        match self.scope_of(wanted.workspace.as_ref()) {
            Ok(workspace) => {
                self.ask(
                    asked,
                    Purpose::Sync(workspace),
                    Ask::Sync { workspace },
                    timeout,
                );
            }
            Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
        }
    }

    fn verdicts(
        &mut self,
        asked: Asked,
        root: Option<&RootPath>,
        tasks: Vec<TaskId>,
        (patience, timeout): (Patience, Option<Duration>),
        purpose: Purpose,
    ) {
        match self.scope_of(root) {
            Ok(workspace) => {
                let ask = Ask::Verdict {
                    scope: Scope { workspace, tasks },
                    patience,
                };
                self.ask(asked, purpose, ask, timeout);
            }
            Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
        }
    }

    fn start_run(&mut self, asked: Asked, start: call::RunStart) {
        let project = self.project_of(start.workspace.as_ref(), start.task.as_ref());
        let parent = start.parent_run.as_deref().map(RunId::parse).transpose();
        let (project, parent) = match (project, parent) {
            (Ok(project), Ok(parent)) => (project, parent),
            (Err(refusal), _) => return self.answer_now(asked, |_| Err(refusal)),
            (_, Err(error)) => {
                let refusal = Refusal::new(ErrorKind::UnknownRun, error.to_string());
                return self.answer_now(asked, |_| Err(refusal));
            }
        };
        let ask = Ask::Run(RunAsk {
            project,
            pipeline: start.pipeline,
            parent,
            approval_policy: start.approval_policy,
            force: start.force,
            until: if start.wait {
                Until::Ended
            } else {
                Until::Named
            },
            wanted: if start.detach.unwrap_or(!start.wait) {
                Wanted::Detached
            } else {
                Wanted::Attended
            },
        });
        self.ask(asked, Purpose::Plain, ask, None);
    }

    /// The one project that a question is about.
    pub(super) fn project_of(
        &self,
        root: Option<&RootPath>,
        task: Option<&TaskId>,
    ) -> Result<ProjectId, Refusal> {
        let scope = self.scope_of(root)?;
        let sites = self
            .sites
            .iter()
            .filter(|(id, _)| scope.is_none_or(|wanted| **id == wanted));
        let mut found = Vec::new();
        let mut obstacle = None;
        for (id, site) in sites {
            let Some(config) = &site.config else {
                obstacle = site.refused.clone().or(obstacle);
                continue;
            };
            let projects = config.projects.iter();
            let matching = projects.filter(|project| task.is_none_or(|task| project.task == *task));
            found.extend(matching.map(|project| {
                (
                    ProjectId {
                        workspace: *id,
                        task: project.task.clone(),
                    },
                    &site.root,
                )
            }));
        }
        match (found.as_slice(), task) {
            ([(project, _)], _) => Ok(project.clone()),
            ([], _) if obstacle.is_some() => Err(Refusal::new(
                ErrorKind::InvalidConfig,
                obstacle.unwrap_or_default(),
            )
            .hint("correct the file; it is read again when it is saved")),
            ([], Some(task)) => Err(Refusal::new(
                ErrorKind::UnknownProject,
                format!("no project has the task id `{task}`"),
            )
            .hint("`orchctl status` lists the projects")),
            ([], None) => Err(
                Refusal::new(ErrorKind::UnknownProject, "there is no project")
                    .hint("`orchctl add DIR` registers a workspace"),
            ),
            (several, Some(task)) => {
                let roots: Vec<String> = several
                    .iter()
                    .map(|(_, root)| format!("`{root}`"))
                    .collect();
                let message = format!("the task id `{task}` is found in {}", roots.join(" and "));
                Err(Refusal::new(ErrorKind::UnknownProject, message)
                    .hint("name one with --workspace DIR"))
            }
            (several, None) => {
                let tasks: Vec<String> = several
                    .iter()
                    .take(20)
                    .map(|(id, _)| format!("`{}`", id.task))
                    .collect();
                let message = format!("there are {} projects: {}", several.len(), tasks.join(", "));
                Err(Refusal::new(ErrorKind::UnknownProject, message)
                    .hint("name one with --task TASK"))
            }
        }
    }

    pub(super) fn subscribe(&mut self, asked: Asked) {
        let Asked {
            answer, subscriber, ..
        } = asked;
        let seq = self.engine.seq();
        if let Some(subscriber) = subscriber {
            let status = Box::new(self.status(&call::Scope::default()));
            let at = self.clock.wall();
            let snapshot = || Event {
                seq,
                at,
                what: Happening::Snapshot { status },
            };
            self.feed.subscribe(subscriber, seq, snapshot);
        }
        // Whoever has gone away needs no answer.
        drop(
            answer.send(Ok(SubscribeAnswer {
                subscribed: true,
                seq,
            }
            .into())),
        );
    }

    fn shutdown(&mut self, asked: Asked) {
        let runs = self
            .engine
            .runs()
            .map(|report| report.run.clone())
            .collect();
        let pid = self.about.pid;
        self.answer_now(asked, |_| Ok(ShutdownAnswer { pid, runs }.into()));
        self.stop(false);
    }
}

/// What the path that a question names has to be.
enum Naming {
    /// A workspace.
    Known,
    /// A directory that is to be one.
    New,
}

/// The path by which a question names a workspace.
fn named(call: &mut Call) -> Option<(&mut RootPath, Naming)> {
    let root = match call {
        Call::WorkspaceAdd(add) => return Some((&mut add.path, Naming::New)),
        Call::WorkspaceRemove(named) | Call::WorkspaceDeny(named) => Some(&mut named.path),
        Call::WorkspaceAllow(allow) => Some(&mut allow.path),
        Call::RunStart(start) => start.workspace.as_mut(),
        Call::RunCancel(named) | Call::RunGet(named) => named.workspace.as_mut(),
        Call::RunResume(resume) => resume.workspace.as_mut(),
        Call::LogsRead(wanted) => wanted.workspace.as_mut(),
        Call::RunList(wanted) => wanted.workspace.as_mut(),
        Call::Plan(wanted) => wanted.workspace.as_mut(),
        Call::Sync(wanted) => wanted.workspace.as_mut(),
        Call::Wait(wanted) => wanted.workspace.as_mut(),
        Call::Gate(wanted) => wanted.workspace.as_mut(),
        Call::Explain(named) => named.workspace.as_mut(),
        Call::Status(scope) | Call::Why(scope) | Call::Reload(scope) => scope.workspace.as_mut(),
        Call::Ping(_)
        | Call::WorkspaceList(_)
        | Call::EventsSubscribe(_)
        | Call::EventsUnsubscribe(_)
        | Call::Doctor(_)
        | Call::Shutdown(_) => None,
    };
    root.map(|root| (root, Naming::Known))
}
