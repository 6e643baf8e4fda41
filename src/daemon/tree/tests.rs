//! Real files, real events, real git: what the tree says against what is there.
//!
//! The tree is asked as the shell asks it, and compared with a fresh look at the disk.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write files and run git, tar and cp, as a user would"
)]

mod at_work;
mod audits;
mod changes;
mod declared;
mod gits;
mod glances;
mod ignoring;
mod moved;
mod moving;
mod nested;
mod random;
mod reading;
mod remembered;
mod ripgrep;
mod rooted;
mod storms;
mod tracked;

use super::*;
use crate::daemon::watcher::Watcher;
use crate::model::config::{
    Action, Command, CommandLine, Config, Cwd, OnBusy, Order, Pipeline, PipelineSource, Project,
    Settings, Stage,
};
use crate::model::digest::InputDigest;
use crate::model::id::{PipelineId, StageId, TaskId, WorkspaceId};
use crate::model::view::View;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A workspace in a directory of its own, with a watcher of its own.
struct Fixture {
    above: TempDir,
    state: TempDir,
    watcher: Watcher,
    tree: Tree,
    root: RootPath,
    subject: Subject,
}

/// A stage that reads what `inputs` say.
fn stage(id: &str, inputs: Option<&[&str]>, outputs: &[&str]) -> Stage {
    let all = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
    Stage {
        plan: crate::model::config::PlanHints::default(),
        id: StageId::parse(id).unwrap(),
        title: id.to_owned(),
        needs: Vec::new(),
        action: Action::Command(Command {
            line: CommandLine::Shell("true".to_owned()),
            cwd: Cwd::Project(RelPath::root()),
            env: BTreeMap::new(),
            inputs: inputs.map(all),
            outputs: all(outputs),
            toolchain: Vec::new(),
            timeout: None,
            grace: Duration::from_secs(1),
            retries: 0,
            allow_failure: false,
            mutex: None,
            summary_hint: None,
        }),
    }
}

fn pipeline(id: &str, stages: Vec<Stage>) -> Pipeline {
    Pipeline {
        id: PipelineId::parse(id).unwrap(),
        title: id.to_owned(),
        description: None,
        source: PipelineSource::User,
        stages,
        order: Order::Sequence,
        fail_fast: false,
        guardrails_required: None,
    }
}

fn project(task: &str, path: &str, pipeline: &str) -> Project {
    Project {
        task: TaskId::parse(task).unwrap(),
        path: RelPath::parse(path).unwrap(),
        pipeline: PipelineId::parse(pipeline).unwrap(),
        on_busy: OnBusy::Queue,
        required: Vec::new(),
        sla: None,
        waivers: Vec::new(),
    }
}

fn config(projects: Vec<Project>, pipelines: Vec<Pipeline>) -> Config {
    Config {
        settings: Settings::default(),
        projects,
        pipelines,
        templates: Vec::new(),
        warnings: Vec::new(),
    }
}

/// One project at the root, one stage that reads everything.
fn plain() -> Config {
    let stages = vec![stage("all", None, &[])];
    config(
        vec![project("0101", ".", "diagnostics")],
        vec![pipeline("diagnostics", stages)],
    )
}

impl Fixture {
    fn new() -> Self {
        Self::with(&plain(), |_| {})
    }

    /// Prepares the root, then opens and scans it.
    fn with(config: &Config, prepare: impl FnOnce(&Path)) -> Self {
        Self::made(Home::default(), config, prepare)
    }

    /// The same for a user whose settings of git are in this directory.
    fn at_home(config: &Config, home: &Path, prepare: impl FnOnce(&Path)) -> Self {
        Self::made(Home::at(Some(home.to_path_buf()), None), config, prepare)
    }

    fn made(home: Home, config: &Config, prepare: impl FnOnce(&Path)) -> Self {
        let state = TempDir::new().unwrap();
        let cookies = state.path().join("cookies");
        let watcher = Watcher::start(&cookies, Arc::new(Notify::new())).unwrap();
        let above = TempDir::new().unwrap();
        let path = above.path().canonicalize().unwrap().join("root");
        fs::create_dir(&path).unwrap();
        prepare(&path);
        Self::of(
            home,
            config,
            &path,
            (above, state),
            (watcher, WorkspaceId(1)),
        )
    }

    /// Opens and scans a root that is there.
    fn of(
        home: Home,
        config: &Config,
        path: &Path,
        (above, state): (TempDir, TempDir),
        (watcher, id): (Watcher, WorkspaceId),
    ) -> Self {
        let root = RootPath::new(path).unwrap();
        let eye = watcher.eye(id, &root);
        let scopes = Scopes::compile(config, &root, &Places::default()).unwrap();
        let mut tree = Tree::open_for(home, root.clone(), eye, scopes).unwrap();
        tree.scan().unwrap();
        let first = config.projects.first().unwrap();
        Self {
            above,
            state,
            watcher,
            tree,
            root,
            subject: Subject {
                task: first.task.clone(),
                pipeline: first.pipeline.clone(),
            },
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.as_path().join(below)
    }

    fn write(&self, below: &str, text: &str) {
        write(&self.path(below), text);
    }

    fn view(&mut self) -> View {
        self.capture().1
    }

    fn capture(&mut self) -> (Touches, View) {
        let subjects = [self.subject.clone()];
        let (touches, mut views) = self.tree.capture(&subjects, TIMEOUT).unwrap();
        (touches, views.remove(0))
    }

    /// Takes the kernel's watch of a directory away, and lets the tree believe that it is there.
    fn blind(&self, below: &str) {
        let id = self.tree.snapshot.find(below.as_bytes()).unwrap();
        let inode = self.tree.snapshot.dir(id).node.inode();
        self.tree.eye.unwatch(&self.path(below), inode);
    }

    /// What is touched once everything done before is known.
    fn touched(&mut self) -> Touches {
        self.tree.eye.sync(TIMEOUT).unwrap();
        self.tree.examine().unwrap()
    }

    /// The view, after it was found to be what is really there.
    fn true_view(&mut self) -> View {
        let view = self.view();
        assert_eq!(view.input, oracle(self.root.as_path()));
        view
    }
}

/// The paths that the first project is told of.
fn paths(touches: &Touches) -> Vec<String> {
    touches
        .projects
        .values()
        .next()
        .map(shown)
        .unwrap_or_default()
}

fn shown(changed: &Changed) -> Vec<String> {
    match changed {
        Changed::Everything => vec!["everything".to_owned()],
        Changed::Paths(paths) => paths.iter().map(RelPath::to_text).collect(),
    }
}

fn write(path: &Path, text: &str) {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).unwrap();
    }
    fs::write(path, text).unwrap();
}

/// A program in a directory. A git hook that runs these tests has GIT_DIR, GIT_INDEX_FILE and others set, and a git that
/// inherited them would work on the repository of whoever commits.
fn program(directory: &Path, program: &str, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.args(args).current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

fn run(directory: &Path, name: &str, args: &[&str]) -> Vec<u8> {
    let output = program(directory, name, args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name} {args:?}: {said}");
    output.stdout
}

/// The digest of a whole tree, by other means: `std` alone, and messages put together by hand.
fn oracle(root: &Path) -> InputDigest {
    InputDigest(Digest::of(&message(root).unwrap_or_default()))
}

fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    all.extend(varint(bytes.len()));
    all.extend_from_slice(bytes);
    all
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while number > 0x7f {
        all.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    all.push(u8::try_from(number).unwrap());
    all
}

fn address(content: &[u8]) -> Vec<u8> {
    let mut all = field(0x0a, Digest::of(content).to_string().as_bytes());
    if !content.is_empty() {
        all.push(0x10);
        all.extend(varint(content.len()));
    }
    field(0x12, &all)
}

fn utf8(name: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in name.utf8_chunks() {
        all.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            all.extend_from_slice(format!("\0{byte:02x}").as_bytes());
        }
    }
    all
}

fn message(directory: &Path) -> Option<Vec<u8>> {
    let (mut files, mut directories, mut links) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), utf8(entry.file_name().as_bytes()));
        let kind = entry.file_type().unwrap();
        if name == b".git" || name == b".runs" {
            continue;
        }
        let mut node = field(0x0a, &name);
        if kind.is_dir() {
            if let Some(below) = message(&path) {
                node.extend(address(&below));
                directories.insert(name, field(0x12, &node));
            }
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            node.extend(field(0x12, &utf8(target.as_os_str().as_bytes())));
            links.insert(name, field(0x1a, &node));
        } else if kind.is_file() {
            node.extend(address(&fs::read(&path).unwrap()));
            if entry.metadata().unwrap().permissions().mode() & 0o100 != 0 {
                node.extend([0x20, 1]);
            }
            files.insert(name, field(0x0a, &node));
        }
    }
    let all: Vec<u8> = [files, directories, links]
        .into_iter()
        .flat_map(BTreeMap::into_values)
        .flatten()
        .collect();
    (!all.is_empty()).then_some(all)
}

/// The files that the tree shows.
fn files(tree: &Tree) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for id in tree.snapshot.all(DirId::ROOT) {
        let dir = tree.snapshot.dir(id);
        for entry in dir.entries() {
            let path = tree.snapshot.path_of(id, dir.name_of(entry));
            all.insert(names::rel(&path).to_text());
        }
    }
    all
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
