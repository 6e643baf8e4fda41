//! What every command needs: where the daemon is, how to get one, which workspace is meant, and where to print.
//!
//! It connects when a command asks for it and not before, so that what needs no daemon needs none.

use crate::client::args::Global;
use crate::client::connect::{Connection, Outstanding};
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::output::Output;
use crate::client::place::{self, Place, PlaceError};
use crate::client::render::waiting::Awaited;
use crate::git::revision::Revision;
use crate::limits::{ANSWER_TIME_MAX, SUBPIPELINE_DEPTH_MAX, WAITING_TOLD_AFTER};
use crate::model::around::{self, RUNS_AROUND, RunAround};
use crate::model::id::{RunId, TaskId};
use crate::model::path::RootPath;
use crate::model::places::{Places, Platform, Surroundings};
use crate::model::report::runs::RunDetail;
use crate::model::report::status::{Status, WorkspaceState};
use crate::model::report::{WorkspaceEntry, WorkspaceList};
use crate::wire::call::{Call, Nothing, RunNamed, Scope, SyncWanted};
use interprocess::local_socket::Stream;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// What the client may not know of itself: its program brings it.
#[derive(Clone, Copy, Debug)]
pub struct Seams {
    /// Hosts a daemon in this process for one workspace, and returns a stream that is connected to it.
    ///
    /// It answers as any daemon does, and ends on `shutdown` or when the stream is closed.
    pub host: fn(&Places, &Path) -> io::Result<Stream>,
    /// The same of one that judges a revision instead of what lies in the workspace; the last says that it waits for
    /// another that does. What was hosted before has to be hung up on.
    pub host_revision: fn(&Places, &Path, &Revision, &mut dyn FnMut()) -> io::Result<Stream>,
    /// Has the next ^C or TERM end the stages of a daemon in this process at once, and the one after that the process.
    pub urge: fn() -> io::Result<()>,
    /// The command line of `orchd`, for its manual page.
    pub orchd: fn() -> clap::Command,
}

/// What every command needs.
#[derive(Debug)]
pub struct Session<'a> {
    /// Where to print.
    pub output: &'a mut Output,
    /// Where the daemon and the client meet.
    pub places: Places,
    /// What the client may not know of itself.
    pub seams: Seams,
    /// `--workspace`.
    named: Option<PathBuf>,
    warned: bool,
}

impl<'a> Session<'a> {
    /// Finds out where the daemon is.
    ///
    /// # Errors
    /// When there is no such place.
    pub fn new(global: &Global, output: &'a mut Output, seams: Seams) -> Result<Self, Failure> {
        // Only relative places need a directory, and a current directory that is gone is told by whoever needs it.
        let directory = place::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let places = Places::resolve(&Surroundings {
            platform: Platform::here(),
            variable: &|name| std::env::var_os(name),
            directory: &directory,
            socket: global.socket.as_deref(),
        })?;
        Ok(Self {
            output,
            places,
            seams,
            named: global.workspace.clone(),
            warned: false,
        })
    }

    /// Connects to the daemon.
    ///
    /// # Errors
    /// When none answers.
    pub fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(&self.places.socket)
    }

    /// Connects to a daemon in this process, for the workspace at `root`.
    ///
    /// # Errors
    /// When it cannot be hosted.
    pub fn host(&self, root: &Path) -> Result<Connection, Failure> {
        let stream = (self.seams.host)(&self.places, root).map_err(Failure::Host)?;
        Ok(Connection::hosted(stream, &self.places.socket))
    }

    /// Connects to a daemon in this process that judges a revision in the workspace at `root`; says when it has to wait
    /// for another gate first.
    ///
    /// # Errors
    /// When it cannot be checked out, or not be hosted.
    pub fn host_revision(
        &mut self,
        root: &RootPath,
        revision: &Revision,
    ) -> Result<Connection, Failure> {
        let output = &mut *self.output;
        let mut waits = || {
            let text =
                format!("Waiting for another gate that judges a commit or an index of {root}.\n");
            // Where nobody can be told, it is waited for all the same.
            drop(output.words(&text));
        };
        let stream = (self.seams.host_revision)(&self.places, root.as_path(), revision, &mut waits);
        let stream = stream.map_err(|source| Failure::Checkout {
            judged: revision.judged.clone(),
            source,
        })?;
        Ok(Connection::hosted(stream, &self.places.socket))
    }

    /// Asks, and says once when the daemon is of another version.
    ///
    /// # Errors
    /// When the daemon refuses, is silent, or goes away.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        connection: &mut Connection,
        call: &Call,
    ) -> Result<T, Failure> {
        let answer = connection.ask(call);
        self.note_version(connection)?;
        answer
    }

    /// Asks what may take as long as a run does, or as the reading of a workspace, and waits for it until ^C; says
    /// what it waits for once that takes long.
    ///
    /// # Errors
    /// When the daemon refuses or goes away, answers nobody at all, or at ^C.
    pub fn ask_patiently<T: DeserializeOwned>(
        &mut self,
        connection: &mut Connection,
        call: &Call,
        awaited: &Awaited,
        interrupts: &Interrupts,
    ) -> Result<T, Failure> {
        let asked = connection.begin(call)?;
        self.wait_patiently(connection, asked, awaited, interrupts)
    }

    /// Waits as [`Session::ask_patiently`] does for what was asked before.
    ///
    /// # Errors
    /// As [`Session::ask_patiently`].
    pub fn wait_patiently<T: DeserializeOwned>(
        &mut self,
        connection: &mut Connection,
        asked: Outstanding,
        awaited: &Awaited,
        interrupts: &Interrupts,
    ) -> Result<T, Failure> {
        let answer = self.wait_and_tell(connection, asked, awaited, interrupts);
        self.note_version(connection)?;
        if matches!(answer, Err(Failure::Interrupted)) {
            connection.let_go(asked);
            if !connection.is_hosted() {
                self.output.words(&awaited.let_go())?;
            }
        }
        answer
    }

    fn wait_and_tell<T: DeserializeOwned>(
        &mut self,
        connection: &mut Connection,
        asked: Outstanding,
        awaited: &Awaited,
        interrupts: &Interrupts,
    ) -> Result<T, Failure> {
        if let Some(answer) = connection.look_for(asked, WAITING_TOLD_AFTER, interrupts)? {
            return Ok(answer);
        }
        let status = if connection.is_hosted() {
            None
        } else {
            // Asked beside it, so that a daemon that answers nobody is told from one that is busy.
            let call = Call::Status(Scope::default());
            let mut other = self.connect()?;
            Some(other.ask_within::<Status>(&call, ANSWER_TIME_MAX, Some(interrupts))?)
        };
        self.output.words(&awaited.waits(status.as_ref()))?;
        connection.wait_for(asked, interrupts)
    }

    /// Says once when the daemon is of another version.
    ///
    /// # Errors
    /// When it cannot be said.
    pub fn note_version(&mut self, connection: &Connection) -> Result<(), Failure> {
        let own = env!("CARGO_PKG_VERSION");
        let Some(welcome) = connection.welcome().filter(|_| !self.warned) else {
            return Ok(());
        };
        self.warned = true;
        let theirs = welcome.server.version.clone();
        if theirs != own {
            let text = format!(
                "warning: orchd is {theirs}, orchctl is {own}: restart it with `orchctl shutdown` and `orchd --detach`\n"
            );
            self.output.words(&text)?;
        }
        Ok(())
    }

    /// What `--workspace`, the environment and the directories around say.
    ///
    /// # Errors
    /// When the current directory cannot be read.
    pub fn place(&self) -> Result<Place, Failure> {
        Ok(Place::find(self.named.as_deref())?)
    }

    /// The workspace that was named with `--workspace`, to narrow a search.
    ///
    /// # Errors
    /// When it cannot be made absolute.
    pub fn named(&self) -> Result<Option<RootPath>, Failure> {
        let Some(dir) = &self.named else {
            return Ok(None);
        };
        Ok(Some(root(&place::workspace(dir)?)?))
    }

    /// A failure with what only this side sees of it: that nothing is where a workspace was named.
    #[must_use]
    pub fn explained(&self, failure: Failure) -> Failure {
        let named = self.named.as_deref().map(place::directory);
        match (failure, named) {
            (failure, Some(Err(PlaceError::Missing { path }))) => failure.of_missing(&path),
            (failure, _) => failure,
        }
    }

    /// The task id that the surroundings name for a workspace whose files name none.
    ///
    /// # Errors
    /// When it is no task id.
    pub fn task_of_surroundings(&self) -> Result<Option<TaskId>, Failure> {
        let task = std::env::var("MCP_RUNNER_TASK_ID").ok();
        let task = task.filter(|task| !task.is_empty());
        Ok(task.as_deref().map(TaskId::parse).transpose()?)
    }

    /// The directory that a command is about: the one that it names, else the workspace around.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn directory(&self, dir: Option<&Path>) -> Result<RootPath, Failure> {
        let dir = match dir {
            Some(dir) => place::directory(dir)?,
            None => place::directory(&self.place()?.directory())?,
        };
        root(&dir)
    }

    /// The workspace that is meant where no daemon can say which there are; none outside of any.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn workspace_here(&self) -> Result<Option<RootPath>, Failure> {
        match self.place()? {
            Place::Around { git: None, .. } => Ok(None),
            Place::Sure(_) | Place::Around { .. } => self.directory(None).map(Some),
        }
    }

    /// The directory that a command without one is about, where the daemon can say which workspaces are around.
    ///
    /// # Errors
    /// When there is no such directory, or the daemon does not say it.
    pub fn workspace_around(&mut self, connection: &mut Connection) -> Result<RootPath, Failure> {
        let place = self.place()?;
        let list: WorkspaceList = self.ask(connection, &Call::WorkspaceList(Nothing {}))?;
        let roots = list.workspaces.iter().map(|entry| entry.root.as_path());
        match place.among(roots) {
            Some(dir) => root(&place::directory(&dir)?),
            None => self.directory(None),
        }
    }

    /// Whether this command, which runs in a stage, would wait for the run of that stage; all projects are meant where
    /// none is named.
    ///
    /// # Errors
    /// When it would, or the daemon does not say what runs.
    pub fn refuse_own_run(
        &mut self,
        connection: &mut Connection,
        workspace: Option<&RootPath>,
        tasks: &[TaskId],
    ) -> Result<(), Failure> {
        let around = runs_around().into_iter().map(|run| run.run_id.to_string());
        let mut ids: Vec<String> = around.collect();
        // All that a stage of an older daemon knows.
        let own = std::env::var("ORCHD_RUN_ID").unwrap_or_default();
        if !own.is_empty() && !ids.contains(&own) {
            ids.push(own);
        }
        if ids.is_empty() {
            return Ok(());
        }
        let scope = Scope {
            workspace: workspace.cloned(),
            task: None,
        };
        let status: Status = self.ask(connection, &Call::Status(scope))?;
        let projects = status.workspaces.iter().flat_map(|site| &site.projects);
        let asked = |task: &TaskId| tasks.is_empty() || tasks.contains(task);
        let running = projects.filter(|project| asked(&project.task_id));
        let running: Vec<_> = running
            .filter_map(|project| Some((&project.task_id, &project.running.as_ref()?.run_id)))
            .collect();
        for run_id in ids {
            self.refuse_running(connection, workspace, &running, run_id)?;
        }
        Ok(())
    }

    /// Whether this run is one of those that are under way, or a child of one.
    fn refuse_running(
        &mut self,
        connection: &mut Connection,
        workspace: Option<&RootPath>,
        running: &[(&TaskId, &RunId)],
        mut run_id: String,
    ) -> Result<(), Failure> {
        // A stage of a subpipeline is in a child of the run that its project is busy with.
        for _ in 0..SUBPIPELINE_DEPTH_MAX {
            let busy = running.iter().find(|(_, run)| run.as_str() == run_id);
            if let Some((task, run)) = busy {
                let (run, task) = ((*run).clone(), (*task).clone());
                return Err(Failure::OwnRun { run, task });
            }
            if running.is_empty() {
                break;
            }
            let call = Call::RunGet(RunNamed {
                run_id,
                workspace: workspace.cloned(),
            });
            // A run of another daemon, or of none: nobody here waits for it.
            let Ok(RunDetail {
                parent_run_id: Some(parent),
                ..
            }) = self.ask(connection, &call)
            else {
                break;
            };
            run_id = parent.to_string();
        }
        Ok(())
    }

    /// Whether this command, which is to run the projects of `root` in this process, runs in a stage of one of them; all
    /// are meant where none is named.
    ///
    /// # Errors
    /// When it does: it would do the same again for ever.
    pub fn refuse_nested(root: &RootPath, tasks: &[TaskId]) -> Result<(), Failure> {
        let asked = |run: &RunAround| {
            run.workspace == *root && (tasks.is_empty() || tasks.contains(&run.task_id))
        };
        match runs_around().into_iter().rfind(asked) {
            Some(own) => Err(Failure::OwnRun {
                run: own.run_id,
                task: own.task_id,
            }),
            None => Ok(()),
        }
    }

    /// The workspace to speak of; none when all are meant. A task that is named finds its project among all.
    ///
    /// # Errors
    /// When none or more than one workspace has a project with one of `tasks`.
    pub fn scope(
        &mut self,
        connection: &mut Connection,
        tasks: &[TaskId],
    ) -> Result<Option<RootPath>, Failure> {
        let place = self.place()?;
        if let Place::Sure(dir) = &place {
            return Ok(Some(root(dir)?));
        }
        let mut list: WorkspaceList = self.ask(connection, &Call::WorkspaceList(Nothing {}))?;
        let held = |task: &TaskId| list.workspaces.iter().any(|it| it.tasks.contains(task));
        if !tasks.iter().all(held) && list.workspaces.iter().any(is_unread) {
            // A daemon that has just started: who has which task is known once all have been read. One that cannot be
            // read holds up nobody who asks about another.
            let all = SyncWanted {
                workspace: None,
                timeout_ms: None,
            };
            drop(self.ask::<Value>(connection, &Call::Sync(all)));
            list = self.ask(connection, &Call::WorkspaceList(Nothing {}))?;
        }
        let roots = list.workspaces.iter().map(|entry| entry.root.as_path());
        if let Some(dir) = place.among(roots) {
            return Ok(Some(root(&dir)?));
        }
        let mut found = Vec::new();
        for task in tasks {
            found.push(holder(&list.workspaces, task)?);
        }
        found.dedup();
        // Projects of several workspaces: each task id is unique, so that the daemon needs no workspace.
        Ok(match found.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        })
    }

    /// The workspace to speak of, for what can speak of one only.
    ///
    /// # Errors
    /// As [`Session::scope`], and when no workspace is around.
    pub fn workspace(
        &mut self,
        connection: &mut Connection,
        tasks: &[TaskId],
    ) -> Result<RootPath, Failure> {
        match self.scope(connection, tasks)? {
            Some(root) => Ok(root),
            None => Err(Failure::NoWorkspace {
                cwd: place::current_dir()?,
            }),
        }
    }
}

/// The runs that this command is in, as its stage was told.
fn runs_around() -> Vec<RunAround> {
    let text = std::env::var(RUNS_AROUND).unwrap_or_default();
    around::read(&text)
}

/// Whether nothing is known of a workspace yet.
fn is_unread(workspace: &WorkspaceEntry) -> bool {
    workspace.state == WorkspaceState::Rescanning && workspace.tasks.is_empty()
}

fn holder(workspaces: &[WorkspaceEntry], task: &TaskId) -> Result<RootPath, Failure> {
    let mut holders = workspaces.iter().filter(|w| w.tasks.contains(task));
    let Some(first) = holders.next() else {
        return Err(Failure::NoProject { task: task.clone() });
    };
    let mut roots = vec![first.root.to_string()];
    roots.extend(holders.map(|workspace| workspace.root.to_string()));
    if roots.len() > 1 {
        let task = task.clone();
        return Err(Failure::TwoProjects { task, roots });
    }
    Ok(first.root.clone())
}

/// `dir` as the root that the daemon knows it by.
///
/// # Errors
/// When it is not absolute.
pub fn root(dir: &Path) -> Result<RootPath, Failure> {
    Ok(RootPath::new(dir)?)
}
