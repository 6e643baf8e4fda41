//! A site: one workspace as the shell holds it, its tree, its desk, its configuration, and what waits to be written.
//!
//! Progress and standings are written late and only in their latest state; the end of a run is written at once and takes
//! its progress with it.

use crate::daemon::auditing::Misses;
use crate::daemon::chain::chain;
use crate::daemon::clock::Clock;
use crate::daemon::effects::Begin;
use crate::daemon::evidence::{Desk, Owner, Recovery, Stamps};
use crate::daemon::keeping::Kept;
use crate::daemon::leftovers::end_all as end_leftovers;
use crate::daemon::lend::Lent;
use crate::daemon::message::Done;
use crate::daemon::outputs::Outputs;
use crate::daemon::pace::Pace;
use crate::daemon::parking::Parked;
use crate::daemon::spots::Spots;
use crate::daemon::toolchain::Toolchains;
use crate::daemon::tree::{Scopes, Signs, Tree, TreeError};
use crate::daemon::watcher::Watcher;
use crate::disk::configuration::{ConfigurationError, Loaded};
use crate::disk::identity::Identity;
use crate::disk::places;
use crate::engine::Watch;
use crate::model::config::Config;
use crate::model::evidence::{Layout, TaskState};
use crate::model::id::{RequestId, RunId, TaskId, WorkspaceId};
use crate::model::path::{RelPath, RootPath};
use crate::model::run::{RunReport, Verdict};
use crate::model::time::Tick;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One workspace as the shell holds it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about work that is under way, and all can be true at once"
)]
#[derive(Debug)]
pub(super) struct Site {
    pub(super) root: RootPath,
    /// Its task where its files name none.
    pub(super) task: Option<TaskId>,
    pub(super) spots: Spots,
    pub(super) layout: Layout,
    /// None until it has been prepared.
    pub(super) desk: Option<Lent<Desk, Done>>,
    /// None while its root is missing.
    pub(super) tree: Option<Lent<Tree, Done>>,
    pub(super) outputs: Lent<Outputs, Done>,
    pub(super) loaded: Option<Arc<Loaded>>,
    pub(super) config: Option<Arc<Config>>,
    /// Tasks that have evidence here: what stands in their directory of `out` is nobody's content.
    pub(super) evidenced: BTreeSet<TaskId>,
    /// What is wrong with its files as they are now.
    pub(super) refused: Option<String>,
    pub(super) facts: Facts,
    /// An examination is on its way; another would find nothing new.
    pub(super) examining: bool,
    /// How soon its events are looked at.
    pub(super) pace: Pace,
    /// Whether its next run has been prepared for.
    pub(super) readiness: Readiness,
    /// Whether what its tree knows is being written down, and from when on it may be again.
    pub(super) kept: Kept,
    /// How many looks were asked for.
    pub(super) looks: u64,
    /// The last one that was asked for before events were lost; a later one settles what they would have told.
    pub(super) lost_after: Option<u64>,
    pub(super) progress: BTreeMap<RunId, Box<RunReport>>,
    pub(super) states: BTreeMap<TaskId, TaskState>,
    /// The verdicts that files of tasks call present, or will once they are written.
    pub(super) present: BTreeMap<TaskId, Verdict>,
    /// When progress and standings are written.
    pub(super) flush_at: Option<Tick>,
    /// When it is looked at although nothing was told: it is polled, its root is missing, or a file is being written.
    pub(super) look_at: Option<Tick>,
    /// Since when it is polled because watches were refused, and when they are asked for again.
    pub(super) refused_since: Option<Tick>,
    pub(super) ask_at: Option<Tick>,
    /// Since when its files could not be looked at although its root is there.
    pub(super) failing_since: Option<Tick>,
    /// Its root could not be looked at: what was read of its files then is read again when it is back.
    pub(super) was_missing: bool,
    /// Why the old runs of a task could not be removed.
    pub(super) unremoved: BTreeMap<TaskId, String>,
    /// When runs of other owners are looked at again.
    pub(super) recheck_at: Option<Tick>,
    /// When it is looked whether git still changes files, and since when it has.
    pub(super) git_at: Option<Tick>,
    pub(super) git_since: Option<Tick>,
    /// Since when it waits for its next self-audit, and what those before have found.
    pub(super) audit_from: Tick,
    pub(super) misses: Misses,
    /// Being prepared; questions wait.
    pub(super) preparing: bool,
    /// How often its configuration has changed and is still to be read again: no verdict, and no run of the old one on
    /// the new content. One that was read before the last change lifts nothing.
    pub(super) rereads: u32,
    /// The files of runs that prove something, as they stood when they were read last.
    pub(super) exhibited: BTreeMap<(TaskId, RunId), Stamps>,
    /// What is known of the tools that its stages run with; empty while a look has it.
    pub(super) toolchains: Toolchains,
    pub(super) parked: Vec<Parked>,
    /// Runs that begin once it is watched.
    pub(super) unbegun: Vec<Begin>,
    pub(super) closing: bool,
    /// Those who added it and wait until it has been read.
    pub(super) adding: Vec<RequestId>,
    /// Those who removed it and wait until nothing of it is under way.
    pub(super) removing: Vec<RequestId>,
}

/// How far the desk has prepared for the next run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Not at all.
    #[default]
    None,
    /// It is to, because something was touched.
    Wanted,
    /// It has, or tries to.
    Ready,
}

/// What the last look told of the watching itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Which directory is its root; `None` before the first look.
    pub(super) root: Option<Identity>,
    pub(super) watches: usize,
    /// It has none because none was needed yet.
    pub(super) unwatched: bool,
    pub(super) files: usize,
    pub(super) directories: usize,
    /// Files have been left alone because they are being written.
    pub(super) written: bool,
    /// Why it is polled, if it is.
    pub(super) polled: Option<String>,
    /// Whether the kernel has refused to watch it.
    pub(super) refused: bool,
    /// The command that lifts the limit which it met.
    pub(super) remedy: Option<String>,
    pub(super) unreadable: Vec<String>,
    /// Directories that are polled although it is watched, because changes were missed there.
    polled_directories: Vec<String>,
    /// What tells that git changes files.
    pub(super) signs: Signs,
}

/// What a workspace is made of once it has been read.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) desk: Box<Desk>,
    pub(super) recovery: Recovery,
    pub(super) loaded: Result<Loaded, ConfigurationError>,
    /// Its configuration's files have changed since they were read.
    pub(super) outdated: bool,
    pub(super) evidenced: BTreeSet<TaskId>,
    pub(super) tree: Result<Box<Tree>, TreeError>,
    pub(super) facts: Facts,
}

impl Facts {
    pub(super) fn of(tree: &Tree) -> Self {
        let seeing = tree.seeing();
        Self {
            root: Some(tree.identity()),
            watches: tree.watches(),
            unwatched: tree.is_unwatched(),
            files: tree.files(),
            written: tree.is_written(),
            directories: tree.directories(),
            polled: seeing.detail(),
            refused: matches!(seeing, crate::daemon::tree::Seeing::Refused(_)),
            remedy: seeing.remedy(),
            signs: tree.signs(),
            polled_directories: tree
                .polled_directories()
                .map(|path| path.to_string())
                .collect(),
            unreadable: tree
                .unreadable()
                .map(|(path, kind)| format!("{path}: {kind}"))
                .collect(),
        }
    }

    /// Which directories are polled although it is watched, if any are.
    pub(super) fn polled_too(&self) -> Option<String> {
        let first = self.polled_directories.first()?;
        Some(match self.polled_directories.len() {
            1 => format!("`{first}` is polled, too: changes in it are told by no event"),
            count => format!(
                "{count} directories are polled, too, the first is `{first}`: changes in them are told by no event"
            ),
        })
    }

    /// How well a workspace is watched whose last look went well.
    pub(super) fn watch(&self) -> Watch {
        match &self.polled {
            None => Watch::Watching,
            Some(detail) => Watch::Polling {
                detail: detail.clone(),
            },
        }
    }
}

/// The paths that a configuration may come from, where none could be read.
fn usual_files() -> Vec<RelPath> {
    let names = ["orchd.toml", "codex.orchestrator.json"];
    let files = names.iter().filter_map(|name| RelPath::parse(name).ok());
    files.collect()
}

/// The scopes of what was loaded; without projects where that failed, so that the files are watched all the same.
pub(super) fn scopes(
    spots: &Spots,
    evidenced: &BTreeSet<TaskId>,
    loaded: Option<&Loaded>,
) -> Scopes {
    let root = &spots.ground.root;
    let files = loaded.map_or_else(usual_files, |loaded| loaded.depends_on.clone());
    let places = spots.tree(&files, evidenced);
    let compiled = loaded.map(|loaded| Scopes::compile(&loaded.config, root, &places));
    match compiled {
        Some(Ok(scopes)) => scopes,
        // Patterns are checked when the configuration is parsed; what is wrong with them is told there.
        Some(Err(_)) | None => Scopes::bare(root, &places),
    }
}

/// What it takes to prepare a workspace.
#[derive(Clone, Debug)]
pub(super) struct Preparation {
    pub(super) id: WorkspaceId,
    pub(super) root: RootPath,
    pub(super) task: Option<TaskId>,
    pub(super) spots: Spots,
    pub(super) owner: Owner,
    pub(super) watcher: Watcher,
    pub(super) clock: Clock,
    /// By whoever began this process: nothing is watched before something runs.
    pub(super) asked_once: bool,
}

impl Preparation {
    /// Reads a workspace: its configuration, its evidence (brought in order), its files. Blocks.
    pub(super) fn prepare(self) -> Prepared {
        let ground = self.spots.ground.root.clone();
        let loaded = crate::disk::configuration::load(&ground, self.task.as_ref());
        let tasks: Vec<TaskId> = loaded
            .iter()
            .flat_map(|loaded| tasks(&loaded.config))
            .collect();
        let mut desk = Desk::open(self.root.clone(), self.spots.evidence(), self.owner.clone());
        desk.judge(self.spots.ground.judged.clone());
        let recovery = recover(&mut desk, &tasks, self.clock);
        let evidenced = self.spots.evidence().tasks(&self.root);
        let scopes = scopes(&self.spots, &evidenced, loaded.as_ref().ok());
        let eye = self.watcher.eye(self.id, &ground);
        let opened = Tree::open(ground.clone(), eye, scopes);
        let opened = opened.map(|tree| tree.kept_in(self.spots.stat_caches.clone()));
        let opened = opened.map(|tree| tree.for_one_question(self.asked_once));
        let tree = opened.and_then(|mut tree| match tree.scan() {
            Ok(_) => Ok(Box::new(tree)),
            Err(error) => {
                // Others can use the watches that it has by now.
                tree.close();
                Err(error)
            }
        });
        let facts = tree
            .as_ref()
            .map_or_else(|_| Facts::default(), |tree| Facts::of(tree));
        desk.hold(match self.spots.is_checkout() {
            true => Identity::at(self.root.as_path()),
            false => facts.root,
        });
        // The scan has taken the files as they were then for those that were read: nothing would tell of the difference.
        let again = crate::disk::configuration::load(&ground, self.task.as_ref());
        let outdated = match (&loaded, &again) {
            (Ok(loaded), Ok(again)) => loaded != again,
            (Err(error), Err(again)) => chain(error) != chain(again),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => true,
        };
        Prepared {
            desk: Box::new(desk),
            recovery,
            loaded,
            outdated,
            evidenced,
            tree,
            facts,
        }
    }
}

/// The task that the environment names, for a workspace whose files and whose `add` name none.
fn own_task(root: &RootPath) -> Option<TaskId> {
    let named = std::env::var("MCP_RUNNER_TASK_ID")
        .ok()
        .filter(|task| !task.is_empty() && !places::is_of_other_stage(root))?;
    match TaskId::parse(&named) {
        Ok(task) => Some(task),
        Err(error) => {
            tracing::warn!(%error, "MCP_RUNNER_TASK_ID is not taken");
            None
        }
    }
}

/// The tasks of a configuration.
pub(super) fn tasks(config: &Config) -> Vec<TaskId> {
    config
        .projects
        .iter()
        .map(|project| project.task.clone())
        .collect()
}

/// Ends what is left of interrupted runs and brings the evidence in order. Blocks.
///
/// The processes go first: once a manifest says `cancelled`, no later start would look for them.
pub(super) fn recover(desk: &mut Desk, tasks: &[TaskId], clock: Clock) -> Recovery {
    let lost = end_lost(desk, clock);
    let recovery = desk.recover(tasks, clock.wall()).unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "failed to read the evidence");
        Recovery::default()
    });
    let later = recovery
        .interrupted
        .iter()
        .filter(|run| !lost.contains(*run));
    end_leftovers(later.cloned().collect(), clock);
    recovery
}

/// Ends what is left of runs whose daemon was lost; says which those are. Blocks.
pub(super) fn end_lost(desk: &mut Desk, clock: Clock) -> BTreeSet<RunId> {
    let lost = desk.lost(clock.wall()).unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "failed to look for interrupted runs");
        BTreeSet::new()
    });
    end_leftovers(lost.clone(), clock);
    lost
}

impl Site {
    /// From now on evidence goes to the directory that is at the root by now. Beside a checkout that is nobody's to say.
    pub(super) fn hold_root(&mut self) {
        if self.spots.is_checkout() {
            return;
        }
        let root = self.facts.root;
        if let Some(desk) = self.desk.as_mut() {
            desk.push(move |desk| {
                desk.hold(root);
                None
            });
        }
    }

    pub(super) fn new(root: RootPath, task: Option<TaskId>, spots: Spots) -> Self {
        let below = spots
            .runs
            .strip_prefix(root.as_path())
            .unwrap_or(&spots.runs);
        let layout = Layout::new(&crate::model::path::to_text(below.as_os_str()));
        Self {
            task: task.or_else(|| own_task(&root)),
            outputs: Lent::new(Box::new(Outputs::new(spots.ground.root.clone()))),
            root,
            spots,
            layout,
            desk: None,
            tree: None,
            loaded: None,
            config: None,
            evidenced: BTreeSet::new(),
            refused: None,
            facts: Facts::default(),
            examining: false,
            pace: Pace::default(),
            readiness: Readiness::default(),
            kept: Kept::default(),
            looks: 0,
            lost_after: None,
            progress: BTreeMap::new(),
            states: BTreeMap::new(),
            present: BTreeMap::new(),
            flush_at: None,
            look_at: None,
            refused_since: None,
            ask_at: None,
            failing_since: None,
            was_missing: false,
            unremoved: BTreeMap::new(),
            recheck_at: None,
            git_at: None,
            git_since: None,
            audit_from: Tick::default(),
            misses: Misses::default(),
            preparing: true,
            rereads: 0,
            exhibited: BTreeMap::new(),
            toolchains: Toolchains::default(),
            parked: Vec::new(),
            unbegun: Vec::new(),
            closing: false,
            adding: Vec::new(),
            removing: Vec::new(),
        }
    }

    /// The number of a look that is asked for now.
    pub(super) fn next_look(&mut self) -> u64 {
        self.looks = self.looks.saturating_add(1);
        self.looks
    }

    /// Has the desk prepare for the next run, where that is wanted: while things settle there is time for it.
    pub(super) fn get_ready(&mut self) {
        if self.readiness == Readiness::Wanted
            && let Some(desk) = self.desk.as_mut()
        {
            self.readiness = Readiness::Ready;
            desk.push(|desk| {
                desk.prepare();
                None
            });
        }
    }

    /// Whether nothing is being done for it and nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        let desk = self.desk.as_ref().is_none_or(Lent::is_idle);
        desk && self.progress.is_empty() && self.states.is_empty()
    }
}
