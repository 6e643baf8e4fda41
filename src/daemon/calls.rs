//! What clients ask for: one line per method, and those that take a few words to answer.
//!
//! What needs the engine becomes an `Asked`; what needs the disk becomes work for a desk or a tree; the rest is answered
//! from what the shell has at hand.

use crate::daemon::message::Then;
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::waiting::{Lookup, Purpose};
use crate::engine::ask::{Ask, Patience, RunAsk, Scope, Until};
use crate::engine::{Input, ProjectId};
use crate::model::id::{RunId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::event::{Event, Happening};
use crate::model::report::{ShutdownAnswer, SubscribeAnswer};
use crate::wire::answer::Answer;
use crate::wire::call::{self, Call};
use crate::wire::refusal::{ErrorKind, Refusal};
use std::time::Duration;

impl Shell {
    pub(super) fn hear(&mut self, asked: Asked) {
        if self.must_wait(&asked.call) {
            self.park(asked);
            return;
        }
        match asked.call.clone() {
            Call::Status(scope) => self.inspect_first(asked, scope.workspace.as_ref()),
            Call::WorkspaceAdd(add) => self.add(asked, &add),
            Call::WorkspaceRemove(named) => self.remove(asked, &named.path),
            Call::WorkspaceList(_) => self.answer_now(asked, |shell| Ok(shell.list().into())),
            Call::WorkspaceAllow(allow) => {
                self.with_site(asked, &allow.path, |shell, id, asked| {
                    shell.reload(id, Then::Allow(Box::new(asked)));
                });
            }
            Call::WorkspaceDeny(named) => self.deny(asked, &named.path),
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
            Call::Plan(wanted) => self.answer_now(asked, |shell| shell.plan(&wanted)),
            Call::Sync(wanted) => self.sync(asked, &wanted),
            Call::Wait(wanted) => {
                let tasks = wanted.task.into_iter().collect();
                let timeout = wanted.timeout_ms.map(Duration::from_millis);
                self.verdicts(
                    asked,
                    wanted.workspace.as_ref(),
                    tasks,
                    Patience::Run,
                    timeout,
                );
            }
            Call::Gate(wanted) => {
                let patience = if wanted.wait {
                    Patience::Run
                } else {
                    Patience::Answer
                };
                self.verdicts(
                    asked,
                    wanted.workspace.as_ref(),
                    wanted.tasks,
                    patience,
                    None,
                );
            }
            Call::EventsSubscribe(_) => self.inspect_first(asked, None),
            Call::Explain(named) => self.explain(asked, &named),
            Call::Doctor(_) => self.answer_now(asked, |shell| Ok(shell.doctor().into())),
            Call::Reload(scope) => self.reload_asked(asked, &scope),
            Call::Shutdown(_) => self.shutdown(asked),
            // Answered by the connection; the sender that is dropped here answers `internal`.
            Call::Ping(_) | Call::EventsUnsubscribe(_) => drop(asked),
        }
    }

    /// Whether a question is about a workspace that is still being read.
    fn must_wait(&self, call: &Call) -> bool {
        let scope = match call {
            Call::RunStart(start) => start.workspace.as_ref(),
            Call::RunCancel(named) | Call::RunGet(named) => named.workspace.as_ref(),
            Call::RunResume(resume) => resume.workspace.as_ref(),
            Call::LogsRead(wanted) => wanted.workspace.as_ref(),
            Call::RunList(wanted) => wanted.workspace.as_ref(),
            Call::Plan(wanted) => wanted.workspace.as_ref(),
            Call::Sync(wanted) => wanted.workspace.as_ref(),
            Call::Wait(wanted) => wanted.workspace.as_ref(),
            Call::Gate(wanted) => wanted.workspace.as_ref(),
            Call::Explain(named) => named.workspace.as_ref(),
            Call::Status(scope) if scope.task.is_some() => scope.workspace.as_ref(),
            Call::Reload(scope) => scope.workspace.as_ref(),
            Call::WorkspaceAllow(allow) => Some(&allow.path),
            Call::WorkspaceDeny(named) => Some(&named.path),
            Call::Ping(_)
            | Call::Status(_)
            | Call::WorkspaceAdd(_)
            | Call::WorkspaceRemove(_)
            | Call::WorkspaceList(_)
            | Call::EventsSubscribe(_)
            | Call::EventsUnsubscribe(_)
            | Call::Doctor(_)
            | Call::Shutdown(_) => return false,
        };
        let mut sites = self.sites.values();
        sites.any(|site| site.preparing && scope.is_none_or(|root| *root == site.root))
    }

    /// Keeps a question until the first workspace that it waits for has been read; then it is heard again.
    fn park(&mut self, asked: Asked) {
        let site = self.sites.values_mut().find(|site| site.preparing);
        match site {
            Some(site) => site.parked.push(asked),
            None => drop(asked),
        }
    }

    pub(super) fn answer_now(
        &mut self,
        asked: Asked,
        answer: impl FnOnce(&mut Self) -> Result<Answer, Refusal>,
    ) {
        let result = answer(self);
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

    /// The workspace with this root, or around this directory.
    pub(super) fn site_at(&self, root: &RootPath) -> Result<WorkspaceId, Refusal> {
        let real = std::fs::canonicalize(root.as_path()).ok();
        let path = real.as_deref().unwrap_or_else(|| root.as_path());
        let exact =
            |site: &crate::daemon::site::Site| site.root == *root || site.root.as_path() == path;
        let mut sites = self.sites.iter().filter(|(_, site)| !site.closing);
        let around = sites
            .clone()
            .find(|(_, site)| path.starts_with(site.root.as_path()));
        let found = sites.find(|(_, site)| exact(site)).or(around);
        found.map(|(id, _)| *id).ok_or_else(|| {
            Refusal::new(
                ErrorKind::UnknownWorkspace,
                format!("`{root}` is not a registered workspace"),
            )
            .hint(format!(
                "`orchctl add {root}` registers it, `orchctl list` shows the registered ones"
            ))
        })
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
        patience: Patience,
        timeout: Option<Duration>,
    ) {
        match self.scope_of(root) {
            Ok(workspace) => {
                let ask = Ask::Verdict {
                    scope: Scope { workspace, tasks },
                    patience,
                };
                self.ask(asked, Purpose::Plain, ask, timeout);
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
                Until::Begun
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
