//! The one configuration type, whatever file it came from: projects, pipelines, stages, and how to watch.
//!
//! A `Config` that exists is valid: ids are unique, every `needs` and every subpipeline names something that exists,
//! nothing goes in circles. `toml` and `codex` parse the two files into it, `detect` makes one of what a directory
//! holds; the rest of the program never asks which.

pub mod check;
pub mod codex;
pub mod commands;
pub mod detect;
pub mod draft;
pub mod duration;
pub mod fault;
mod graph;
pub mod proposal;
pub mod source;
pub mod toml;
mod value;

use crate::limits;
use crate::model::id::{PipelineId, StageId, TaskId};
use crate::model::path::RelPath;
use crate::model::time::Day;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

/// What one workspace's files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How the workspace is watched and how its runs are kept.
    pub settings: Settings,
    /// At least one project, in declared order; task ids and paths are unique.
    pub projects: Vec<Project>,
    /// At least one pipeline, in declared order; ids are unique.
    pub pipelines: Vec<Pipeline>,
    /// What pipelines are held against, in declared order; ids are unique among them. Never run.
    pub templates: Vec<Template>,
    /// What is odd but allowed, one sentence each.
    pub warnings: Vec<String>,
}

/// How a workspace is watched and how its runs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Quiet time after the last change before a run starts.
    pub settle: Duration,
    /// A writer that never stops still gets a run after this.
    pub settle_max: Duration,
    /// Ignore patterns in gitignore syntax, on top of the ignore files.
    pub ignore: Vec<String>,
    /// Stages at once; `None` is the number of cores.
    pub jobs: Option<NonZeroU32>,
    /// Whether changes are found by events or by scanning.
    pub poll: Poll,
    /// Time between two scans where changes are found by scanning.
    pub poll_interval: Duration,
    /// Time between two self-audits, which find what events do not tell; `None` for no audit.
    pub audit: Option<Duration>,
    /// Whether unproven content is run at start.
    pub on_start: OnStart,
    /// What a flaky verdict counts as.
    pub flaky: Flaky,
    /// Whether checklist items that declare a pipeline are ticked once it is green.
    pub flip: Flip,
    /// How long runs are kept.
    pub retain: Retention,
    /// What the spec guard looks at.
    pub spec_guard: SpecGuard,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            settle: limits::SETTLE_DEFAULT,
            settle_max: limits::SETTLE_MAX_DEFAULT,
            ignore: Vec::new(),
            jobs: None,
            poll: Poll::Auto,
            poll_interval: limits::POLL_INTERVAL_DEFAULT,
            audit: Some(limits::AUDIT_DEFAULT),
            on_start: OnStart::Run,
            flaky: Flaky::Pass,
            flip: Flip::Manual,
            retain: Retention {
                runs: limits::RETAIN_RUNS_DEFAULT,
                days: limits::RETAIN_DAYS_DEFAULT,
            },
            spec_guard: SpecGuard::default(),
        }
    }
}

/// What the spec guard looks at; patterns in gitignore syntax, relative to the workspace and to each project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecGuard {
    /// What may not change without a spec; of the last that match, a negated one takes a path out again.
    pub code: Vec<String>,
    /// What covers such a change.
    pub specs: Vec<String>,
    /// How long ago a spec's last review may lie; `None` where nobody asks.
    pub max_age: Option<Duration>,
}

impl Default for SpecGuard {
    /// The paths and the age that the family's own script has.
    fn default() -> Self {
        let own = |patterns: &[&str]| patterns.iter().map(|it| (*it).to_owned()).collect();
        Self {
            code: own(&[
                "/src/**",
                "/app/**",
                "/server/**",
                "/migrations/**",
                "/db/migrations/**",
                "/prisma/migrations/**",
            ]),
            specs: own(&["/tasks/specs/**", "/tasks/index.json"]),
            max_age: Some(limits::documents::SPEC_AGE_DEFAULT),
        }
    }
}

/// Whether changes are found by events or by scanning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// By events where the file system delivers them, else by scanning.
    Auto,
    /// By scanning.
    Always,
    /// By events or not at all.
    Never,
}

/// Whether content without a verdict gets a run after `allow`, a daemon start or a new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStart {
    /// It does.
    Run,
    /// It waits for a change or a question.
    Wait,
}

/// What a pass after a failure on the same content counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaky {
    /// It is told, and counts as green.
    Pass,
    /// It does not count as green.
    Fail,
}

/// Whether checklist items that declare a pipeline are ticked once it is green.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// They are, by whoever recorded the run.
    Auto,
    /// Somebody ticks them.
    Manual,
}

/// How many runs a project keeps, and for how many days; evidence cited by a checklist is kept beyond both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Newest runs kept.
    pub runs: u32,
    /// Days after its end that a run is kept.
    pub days: u32,
}

/// A directory with a task id: what is proven as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The id that its evidence lives under.
    pub task: TaskId,
    /// Its directory, relative to the workspace.
    pub path: RelPath,
    /// The pipeline that a change runs; none is called so where [`Config::is_unpiped`].
    pub pipeline: PipelineId,
    /// What a change does while a run is under way.
    pub on_busy: OnBusy,
    /// The guardrails that coverage counts.
    pub required: Vec<StageId>,
    /// How long a run may take to be in time.
    pub sla: Option<Duration>,
    /// Differences from a template that somebody has accepted, in declared order.
    pub waivers: Vec<Waiver>,
}

/// A difference from a template that somebody has accepted for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The stage that it is about; it need not exist, because its absence can be what is accepted.
    pub stage: StageId,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub by: String,
    /// The last day on which it holds, in UTC.
    pub until: Day,
}

/// A pipeline that is never run: what the pipelines of projects are held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The pipeline; the command of a stage that leaves it open is an empty line.
    pub pipeline: Pipeline,
    /// The stages that leave their command open: there has to be one of that name, whatever it runs.
    pub open: BTreeSet<StageId>,
}

/// What a change does while a run is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBusy {
    /// It waits; one run on the latest content follows.
    Queue,
    /// It cancels the run; one on the new content starts.
    Restart,
}

/// Stages under one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// Its title; the id where none was given.
    pub title: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who wrote it.
    pub source: PipelineSource,
    /// Its stages in declared order; ids are unique. May be empty.
    pub stages: Vec<Stage>,
    /// Whether any stage declares `needs`: then the stages run as a graph, else in order, one by one.
    pub order: Order,
    /// Whether nothing further begins once a stage has failed; else what does not depend on that one is run to its end.
    pub fail_fast: bool,
    /// Whether a missing guardrail is worth a line, as `guardrailsRequired` of `codex.orchestrator.json` says it.
    pub guardrails_required: Option<bool>,
}

/// Who wrote a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PipelineSource {
    /// This program, from what it found.
    Default,
    /// The user.
    User,
}

/// How the stages of a pipeline follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One by one, as declared.
    Sequence,
    /// Each once what it needs has succeeded.
    Graph,
}

/// One step of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its id, unique in its pipeline.
    pub id: StageId,
    /// Its title; the command line or the id where none was given, as the published orchestrator does it.
    pub title: String,
    /// The stages that have to succeed before; empty in a sequence.
    pub needs: Vec<StageId>,
    /// What it does.
    pub action: Action,
    /// What `plan` says of it beyond that.
    pub plan: PlanHints,
}

/// What `plan` repeats to the letter or takes as a hint; it decides nothing about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanHints {
    /// `cwd` as it is written.
    pub cwd: Option<String>,
    /// The names of `env` in the order in which they are written.
    pub env: Option<Vec<String>>,
    /// Whether the planner may pick it; `None` is yes (`plan.runnable` of `codex.orchestrator.json`).
    pub runnable: Option<bool>,
    /// Other names of it (`plan.aliases`).
    pub aliases: Vec<String>,
    /// Whether the planner picks it before others (`plan.defaultTarget`).
    pub default_target: bool,
}

/// What a stage does.
#[expect(
    clippy::large_enum_variant,
    reason = "there are a few hundred at most, and nearly all are commands"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It runs a command.
    Command(Command),
    /// It runs a pipeline as a child run.
    Subpipeline(Subpipeline),
}

/// A child run of another pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subpipeline {
    /// The pipeline to run.
    pub pipeline: PipelineId,
    /// A failed child is skipped instead of failing the run.
    pub optional: bool,
}

/// A command and everything that its result depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What is executed.
    pub line: CommandLine,
    /// Where it is executed.
    pub cwd: Cwd,
    /// Declared environment, on top of the daemon's.
    pub env: BTreeMap<String, String>,
    /// The files that it reads, in gitignore syntax relative to the project, ignored or not; `None` is every file
    /// that is not ignored.
    pub inputs: Option<Vec<String>>,
    /// The files that it writes, in gitignore syntax relative to the project.
    pub outputs: Vec<String>,
    /// Lines for `sh -c` whose output says with what it runs, such as `node --version`: a part of what its result depends
    /// on.
    pub toolchain: Vec<String>,
    /// From start to TERM; `None` is for ever.
    pub timeout: Option<Duration>,
    /// From TERM to KILL.
    pub grace: Duration,
    /// Further attempts after a failure.
    pub retries: u32,
    /// A failure is recorded as skipped and does not stop the run.
    pub allow_failure: bool,
    /// Stages that name the same mutex never overlap, in any workspace.
    pub mutex: Option<String>,
    /// The summary of a success, instead of its output.
    pub summary_hint: Option<String>,
}

/// What a command stage executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments, executed as they are; never empty.
    Argv(Vec<String>),
}

impl CommandLine {
    /// The command as one line of text: what the manifest and the terminal show.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Shell(line) => line.clone(),
            // Arguments that hold a NUL are refused at parse, so that quoting cannot fail.
            Self::Argv(argv) => {
                shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_else(|_| argv.join(" "))
            }
        }
    }
}

/// Where a command is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cwd {
    /// Relative to its project: `orchd.toml`.
    Project(RelPath),
    /// Relative to the workspace: `codex.orchestrator.json`.
    Workspace(RelPath),
}

impl Config {
    /// The pipeline with this id.
    #[must_use]
    pub fn pipeline(&self, id: &PipelineId) -> Option<&Pipeline> {
        self.pipelines.iter().find(|pipeline| &pipeline.id == id)
    }

    /// The template with this id.
    #[must_use]
    pub fn template(&self, id: &str) -> Option<&Template> {
        let mut templates = self.templates.iter();
        templates.find(|template| template.pipeline.id.as_str() == id)
    }

    /// The project with this task id.
    #[must_use]
    pub fn project(&self, task: &TaskId) -> Option<&Project> {
        self.projects.iter().find(|project| &project.task == task)
    }

    /// Whether no pipeline is the project's own: `codex.orchestrator.json` has some, and says of none that it is the
    /// default. They can be run by name, and nothing runs by itself.
    #[must_use]
    pub fn is_unpiped(&self, project: &Project) -> bool {
        self.pipeline(&project.pipeline).is_none()
    }

    /// Whether any project is.
    #[must_use]
    pub fn has_unpiped(&self) -> bool {
        let mut projects = self.projects.iter();
        projects.any(|project| self.is_unpiped(project))
    }

    /// The deepest project that contains `path` (relative to the workspace).
    #[must_use]
    pub fn owner(&self, path: &RelPath) -> Option<&Project> {
        let holders = self
            .projects
            .iter()
            .filter(|project| path.is_within(&project.path));
        holders.max_by_key(|project| project.path.names().count())
    }
}

impl Stage {
    /// Its command; `None` for a subpipeline.
    #[must_use]
    pub fn command(&self) -> Option<&Command> {
        match &self.action {
            Action::Command(command) => Some(command),
            Action::Subpipeline(_) => None,
        }
    }
}
