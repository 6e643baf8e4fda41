//! What the simulated world is made of: two workspaces, three projects, their pipelines, and what a stage says of content.

use orch::model::config::{
    Action, Command, CommandLine, Config, Cwd, OnBusy, OnStart, Order, Pipeline, PipelineSource,
    PlanHints, Project, Settings, Stage, Subpipeline,
};
use orch::model::digest::{Digest, InputDigest};
use orch::model::id::{PipelineId, StageId, TaskId};
use orch::model::path::RelPath;
use std::collections::BTreeMap;
use std::time::Duration;

/// Names of the projects; the first two share a workspace.
pub(crate) const PROJECTS: [&str; 3] = ["a", "b", "c"];
/// The place of each project's workspace.
pub(crate) const HOMES: [usize; 3] = [0, 0, 1];
pub(crate) const SETTLE_MAX: Duration = Duration::from_millis(100);
/// Commands that run at once in one workspace.
pub(crate) const JOBS: usize = 2;
/// In file 1: the first stage of a project's pipeline rewrites file 2 whenever it runs.
pub(crate) const REWRITTEN: u32 = 4;
/// By so much, so that the stages say of it what they said before.
pub(crate) const REWRITTEN_ALIKE: u32 = 600;
/// In file 0: the stage `build` hangs until it is killed.
pub(crate) const HANGS: u32 = 5;
/// In any file: the first attempt of the stage `test` fails.
pub(crate) const FLAKY: u32 = 7;
/// In file 2: the first attempt of the stage `deep` fails, below another one.
pub(crate) const FLAKY_BELOW: u32 = 6;
/// In any file: a stage that would pass fails now and then, as chance has it.
pub(crate) const FITFUL: u32 = 9;
/// In file 1: the first stage of a project's pipeline puts it right, once.
pub(crate) const ILL_FORMATTED: u32 = 8;
pub(crate) const WELL_FORMATTED: u32 = 1;

/// The mutex that some stages name, and another process.
pub(crate) const MACHINE: &str = "machine";

/// The command of a configuration that was not allowed.
pub(crate) const NEVER_ALLOWED: &str = "true --never-allowed";

/// Files by number, each with a number as its text.
pub(crate) type Content = BTreeMap<u8, u32>;

/// What a workspace's configuration says, beyond its projects and pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Usual,
    /// `on_start = false`.
    Waiting,
    /// The second project is no longer configured.
    Narrow,
    /// Every command is another one, and there are fewer stages and pipelines.
    Edited,
    /// As usual, and not allowed.
    Untrusted,
    /// As usual, and no longer allowed.
    Denied,
    /// It cannot be read.
    Broken,
}

impl Setting {
    /// Whether nothing of it may begin.
    pub(crate) fn refuses(self) -> bool {
        matches!(self, Self::Broken | Self::Untrusted | Self::Denied)
    }
}

pub(crate) fn task(project: usize) -> TaskId {
    TaskId::parse(PROJECTS[project]).unwrap()
}

pub(crate) fn index(task: &TaskId) -> usize {
    let found = PROJECTS.iter().position(|name| *name == task.as_str());
    found.expect("there is no other project")
}

pub(crate) fn path(project: usize, file: u8) -> RelPath {
    RelPath::parse(&format!("{}/f{file}", PROJECTS[project])).unwrap()
}

pub(crate) fn pipeline_id(text: &str) -> PipelineId {
    PipelineId::parse(text).unwrap()
}

/// The pipeline that a change of a project runs.
pub(crate) fn own_pipeline(project: usize) -> &'static str {
    ["line", "diamond", "line"][project]
}

pub(crate) fn digest(content: &Content) -> InputDigest {
    InputDigest(Digest::of(format!("{content:?}").as_bytes()))
}

/// The content that the stage `test` reads: other files under a configuration that was edited.
pub(crate) fn read_by_test(content: &Content, setting: Setting) -> InputDigest {
    let edited = setting == Setting::Edited;
    InputDigest(Digest::of(format!("{content:?} {edited}").as_bytes()))
}

/// Whether a stage reads a file.
pub(crate) fn reads(stage: &str, file: u8) -> bool {
    match stage {
        "format" => file != 0,
        "build" => file != 2,
        "lint" => file == 0,
        "right" | "wish" => file == 2,
        _ => true,
    }
}

/// What a stage reads of a content.
pub(crate) fn part(stage: &StageId, content: &Content) -> Content {
    let files = content.iter().map(|(file, text)| (*file, *text));
    files
        .filter(|(file, _)| reads(stage.as_str(), *file))
        .collect()
}

/// The content that a stage reads, as a view tells it.
pub(crate) fn read_by(stage: &StageId, content: &Content, setting: Setting) -> InputDigest {
    match stage.as_str() {
        "test" => read_by_test(content, setting),
        _ => digest(&part(stage, content)),
    }
}

/// The stages that declare outputs.
pub(crate) const LEAVING: [&str; 3] = ["format", "lint", "build"];

/// The stages whose outputs a stage may use, in their order.
pub(crate) fn given_to(stage: &StageId) -> &'static [&'static str] {
    match stage.as_str() {
        "lint" => &["format"],
        "test" | "deep" => &["format", "lint"],
        "left" | "right" => &["build"],
        _ => &[],
    }
}

/// What the stages that count say of a content: the same content, the same answer.
pub(crate) fn passes(content: &Content) -> bool {
    content.values().sum::<u32>() % 3 != 0
}

pub(crate) fn is_fitful(content: &Content) -> bool {
    content.values().any(|text| *text == FITFUL)
}

/// How an attempt of a stage exits on a content, unless that is fitful.
pub(crate) fn exit_code(stage: &StageId, content: &Content, attempt: u32) -> i32 {
    let odd = part(stage, content).values().sum::<u32>() % 2 == 1;
    let fine = match stage.as_str() {
        "lint" | "wish" => odd,
        // What is no content of theirs they cannot judge.
        "format" | "build" | "right" => true,
        "deep" => passes(content) && (attempt > 1 || content.get(&2) != Some(&FLAKY_BELOW)),
        "test" => passes(content) && (attempt > 1 || !content.values().any(|text| *text == FLAKY)),
        _ => passes(content),
    };
    i32::from(!fine)
}

pub(crate) fn configured(setting: Setting, project: usize) -> bool {
    setting != Setting::Narrow || project != 1
}

pub(crate) fn config(home: usize, setting: Setting) -> Config {
    let line = match setting {
        Setting::Edited => "true --strict",
        Setting::Untrusted => NEVER_ALLOWED,
        _ => "true",
    };
    let on_start = match setting {
        Setting::Waiting => OnStart::Wait,
        _ => OnStart::Run,
    };
    let ours = (0..PROJECTS.len())
        .filter(|project| HOMES[*project] == home && configured(setting, *project));
    Config {
        settings: Settings {
            settle_max: SETTLE_MAX,
            on_start,
            ..Settings::default()
        },
        projects: ours.map(project).collect(),
        pipelines: match setting {
            Setting::Edited => brief(pipelines(line)),
            _ => pipelines(line),
        },
        warnings: Vec::new(),
    }
}

fn project(index: usize) -> Project {
    Project {
        task: task(index),
        path: RelPath::parse(PROJECTS[index]).unwrap(),
        pipeline: pipeline_id(own_pipeline(index)),
        on_busy: [OnBusy::Queue, OnBusy::Restart, OnBusy::Queue][index],
        required: Vec::new(),
        sla: None,
    }
}

fn pipelines(line: &str) -> Vec<Pipeline> {
    let plain = || command(line);
    let machine = || Command {
        mutex: Some(MACHINE.to_owned()),
        ..command(line)
    };
    let timed = Command {
        timeout: Some(Duration::from_millis(50)),
        ..command(line)
    };
    let allowed = Command {
        allow_failure: true,
        ..command(line)
    };
    let retried = |command| Command {
        retries: 1,
        ..command
    };
    let pipelines = vec![
        sequence(
            "line",
            vec![
                stage("format", &[], Action::Command(plain())),
                stage("lint", &[], Action::Command(allowed)),
                stage("test", &[], Action::Command(retried(machine()))),
                stage("below", &[], sub("below", false)),
            ],
        ),
        Pipeline {
            order: Order::Graph,
            ..sequence(
                "diamond",
                vec![
                    stage("build", &[], Action::Command(timed)),
                    stage("left", &["build"], Action::Command(machine())),
                    stage("right", &["build"], Action::Command(plain())),
                    stage("extra", &["left", "right"], sub("extra", true)),
                    stage("again", &["left", "right"], sub("extra", true)),
                ],
            )
        },
        sequence(
            "below",
            vec![stage("deep", &[], Action::Command(retried(plain())))],
        ),
        sequence("extra", vec![stage("wish", &[], Action::Command(plain()))]),
        sequence("other", vec![stage("only", &[], Action::Command(plain()))]),
    ];
    pipelines.into_iter().map(leaving).collect()
}

/// With the outputs that some of its stages declare, each under its own name.
fn leaving(mut pipeline: Pipeline) -> Pipeline {
    for stage in &mut pipeline.stages {
        if let Action::Command(command) = &mut stage.action
            && LEAVING.contains(&stage.id.as_str())
        {
            command.outputs = vec![stage.id.to_string()];
        }
    }
    pipeline
}

/// Without the child pipelines and the stages that they are.
fn brief(mut pipelines: Vec<Pipeline>) -> Vec<Pipeline> {
    pipelines.retain(|pipeline| ["line", "diamond"].contains(&pipeline.id.as_str()));
    for pipeline in &mut pipelines {
        pipeline.stages.retain(|stage| stage.command().is_some());
    }
    pipelines
}

pub(crate) fn sequence(id: &str, stages: Vec<Stage>) -> Pipeline {
    Pipeline {
        id: pipeline_id(id),
        title: id.to_owned(),
        description: None,
        source: PipelineSource::User,
        stages,
        order: Order::Sequence,
        fail_fast: false,
        guardrails_required: None,
    }
}

/// A stage whose key no other stage has: here it is the stage that decides how the same command ends.
pub(crate) fn stage(id: &str, needs: &[&str], mut action: Action) -> Stage {
    if let Action::Command(command) = &mut action {
        command.env.insert("STAGE".to_owned(), id.to_owned());
    }
    Stage {
        id: StageId::parse(id).unwrap(),
        title: id.to_owned(),
        needs: needs.iter().map(|id| StageId::parse(id).unwrap()).collect(),
        action,
        plan: PlanHints::default(),
    }
}

pub(crate) fn sub(id: &str, optional: bool) -> Action {
    Action::Subpipeline(Subpipeline {
        pipeline: pipeline_id(id),
        optional,
    })
}

pub(crate) fn command(line: &str) -> Command {
    Command {
        line: CommandLine::Shell(line.to_owned()),
        cwd: Cwd::Project(RelPath::root()),
        env: BTreeMap::new(),
        inputs: None,
        outputs: Vec::new(),
        toolchain: Vec::new(),
        timeout: None,
        grace: Duration::from_millis(20),
        retries: 0,
        allow_failure: false,
        mutex: None,
        summary_hint: None,
    }
}
