//! The world around the engine: files, a tree that sees them late, a disk that may fail, stages that read what is there.
//!
//! Nothing arrives at once: every effect becomes something outstanding, and a seeded scheduler picks what arrives next.
//! What a tree reports keeps its order, as the real one's does.

use crate::oracle::Oracle;
use crate::script::Op;
use orch::engine::ask::{Ask, KeptStage, Patience, ResumeAsk, RunAsk, Scope, Stop, Until};
use orch::engine::{Effect, Engine, Input, ProjectId, Record, Setup, Trust, Watch};
use orch::model::config::{
    Action, Command, CommandLine, Config, Cwd, OnBusy, Order, Pipeline, PipelineSource, Project,
    Settings, Stage, Subpipeline,
};
use orch::model::digest::{Digest, InputDigest};
use orch::model::evidence::Layout;
use orch::model::id::{CaptureId, PipelineId, RequestId, RunId, StageId, TaskId, WorkspaceId};
use orch::model::path::{RelPath, RootPath};
use orch::model::run::{Changed, Ending, Exit, RunReport, StageReport, StageWork};
use orch::model::time::{Now, Tick, Timestamp};
use orch::model::view::{Subject, View};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const WORKSPACE: WorkspaceId = WorkspaceId(1);
/// A file with this content is rewritten by the first stage of its project whenever that runs.
const REWRITTEN: u32 = 4;
/// With this content the first stage hangs until it is told to end.
const HANGS: u32 = 5;
/// Results that may be delivered before a world that nobody touches must have come to rest.
const REST_STEPS_MAX: usize = 20_000;

pub(crate) type Content = BTreeMap<u8, u32>;

/// Something that the tree has to do or to tell, in order.
enum Tree {
    Hint(usize, u8),
    Look(CaptureId, Vec<Subject>),
    Seen(CaptureId, Option<Vec<View>>),
}

pub(crate) struct World {
    engine: Engine,
    now: Duration,
    chance: u64,
    config: Arc<Config>,
    files: Vec<Content>,
    /// Per subject: the content of its last view, and the files that were saved since.
    views: BTreeMap<Subject, (Content, BTreeSet<u8>)>,
    tree: VecDeque<Tree>,
    records: VecDeque<(RunId, Record)>,
    stages: BTreeMap<(RunId, usize), (Box<RunReport>, Option<Stop>)>,
    ended: Vec<RunReport>,
    requests: u64,
    disk_fails: bool,
    look_fails: bool,
    generation: u32,
    oracle: Oracle,
}

pub(crate) fn task(project: usize) -> TaskId {
    TaskId::parse(["a", "b"][project]).unwrap()
}

fn path(project: usize, file: u8) -> RelPath {
    RelPath::parse(&format!("{}/f{file}", ["a", "b"][project])).unwrap()
}

fn pipeline_id(text: &str) -> PipelineId {
    PipelineId::parse(text).unwrap()
}

/// What the stages of a pipeline say of a content: the same content, the same answer.
pub(crate) fn passes(content: &Content) -> bool {
    content.values().sum::<u32>() % 3 != 0
}

pub(crate) fn digest(content: &Content) -> InputDigest {
    InputDigest(Digest::of(format!("{content:?}").as_bytes()))
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let engine = Engine::new(seed, NonZeroU32::new(2).unwrap());
        let mut world = Self {
            engine,
            now: Duration::ZERO,
            chance: seed,
            config: Arc::new(config()),
            files: vec![Content::from([(0, 1)]), Content::from([(0, 1)])],
            views: BTreeMap::new(),
            tree: VecDeque::new(),
            records: VecDeque::new(),
            stages: BTreeMap::new(),
            ended: Vec::new(),
            requests: 0,
            disk_fails: false,
            look_fails: false,
            generation: 100,
            oracle: Oracle::default(),
        };
        let root = RootPath::new(Path::new("/w")).unwrap();
        let layout = Layout::new(".runs");
        world.step(Input::Opened {
            workspace: WORKSPACE,
            root,
            layout,
        });
        world.configure(true, true);
        world.step(Input::Watched {
            workspace: WORKSPACE,
            watch: Watch::Watching,
        });
        world
    }

    fn chance(&mut self, below: usize) -> usize {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.chance >> 33).unwrap() % below
    }

    fn moment(&self) -> Now {
        let ms = i64::try_from(self.now.as_millis()).unwrap();
        Now {
            tick: Tick::new(self.now),
            wall: Timestamp::from_unix_ms(1_700_000_000_000 + ms),
        }
    }

    fn step(&mut self, input: Input) {
        self.oracle.tell(&input);
        let effects = self.engine.step(self.moment(), input);
        self.oracle.hear(&effects, &self.files);
        effects
            .into_iter()
            .for_each(|effect| self.carry_out(effect));
        self.oracle.look(&self.engine);
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Capture {
                capture, subjects, ..
            } => {
                self.tree.push_back(Tree::Look(capture, subjects));
            }
            Effect::Begin { report, .. } => self.records.push_back((report.run, Record::Begin)),
            Effect::End { report, .. } => {
                self.ended.push((*report).clone());
                self.records.push_back((report.run, Record::End));
            }
            Effect::StartStage {
                run, report, stage, ..
            } => {
                self.stages.insert((run, stage), (report, None));
            }
            Effect::StopStage { run, stage, stop } => {
                if let Some((_, told)) = self.stages.get_mut(&(run, stage)) {
                    *told = Some(stop);
                }
            }
            Effect::Record { .. }
            | Effect::State { .. }
            | Effect::Reply { .. }
            | Effect::Publish { .. }
            | Effect::Forget { .. }
            | Effect::Exit => {}
        }
    }

    pub(crate) fn act(&mut self, op: &Op) {
        match op {
            Op::Save {
                project,
                file,
                content,
            } => self.save(*project, *file, u32::from(*content)),
            Op::Wait { ms } => self.wait(Duration::from_millis(u64::from(*ms))),
            Op::Deliver { count } => (0..*count).for_each(|_| self.deliver()),
            Op::Gate {
                project,
                patient,
                deadline_ms,
            } => {
                let tasks = if *project < 2 {
                    vec![task(*project)]
                } else {
                    Vec::new()
                };
                let scope = Scope {
                    workspace: Some(WORKSPACE),
                    tasks,
                };
                let patience = if *patient {
                    Patience::Run
                } else {
                    Patience::Answer
                };
                let deadline = deadline_ms.map(|ms| Duration::from_millis(u64::from(ms)));
                self.ask(Ask::Verdict { scope, patience }, deadline);
            }
            Op::Run {
                project,
                other,
                force,
                until_begun,
            } => {
                let ask = RunAsk {
                    project: ProjectId {
                        workspace: WORKSPACE,
                        task: task(*project),
                    },
                    pipeline: other.then(|| pipeline_id("other")),
                    parent: None,
                    approval_policy: None,
                    force: *force,
                    until: if *until_begun {
                        Until::Begun
                    } else {
                        Until::Ended
                    },
                };
                self.ask(Ask::Run(ask), None);
            }
            Op::Sync => self.ask(Ask::Sync { workspace: None }, None),
            Op::Withdraw => {
                let request = RequestId(self.requests);
                self.step(Input::Withdrawn { request });
            }
            Op::Cancel => {
                let run = self.engine.runs().next().map(|report| report.run.clone());
                if let Some(run) = run {
                    self.ask(Ask::Cancel { run }, None);
                }
            }
            Op::Configuration { valid, trusted } => self.configure(*valid, *trusted),
            Op::Blind { missing } => self.blind(*missing),
            Op::Sighted => self.sight(),
            Op::DiskFails => self.disk_fails = true,
            Op::LookFails => self.look_fails = true,
            Op::Rewrite { project, file } => {
                self.generation += 1;
                self.save(*project, *file, self.generation);
            }
            Op::Resume => self.resume(),
        }
    }

    fn save(&mut self, project: usize, file: u8, content: u32) {
        if self.files[project].insert(file, content) != Some(content) {
            let views = self
                .views
                .iter_mut()
                .filter(|(subject, _)| subject.task == task(project));
            views.for_each(|(_, (_, saved))| {
                saved.insert(file);
            });
        }
        self.oracle.saved(project, &self.files[project]);
        self.tree.push_back(Tree::Hint(project, file));
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self
            .engine
            .next_wake()
            .map(Tick::since_start)
            .filter(|at| *at <= end)
        {
            self.now = self.now.max(wake);
            self.step(Input::Woke);
        }
        self.now = end;
        self.step(Input::Woke);
    }

    fn ask(&mut self, ask: Ask, deadline: Option<Duration>) {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.oracle.asked(request, &ask, &self.files);
        let deadline = deadline.map(|wait| Tick::new(self.now + wait));
        self.step(Input::Asked {
            request,
            ask,
            deadline,
        });
    }

    fn configure(&mut self, valid: bool, trusted: bool) {
        if !valid {
            let detail = "line 3: unknown key".to_owned();
            self.step(Input::Misconfigured {
                workspace: WORKSPACE,
                detail,
            });
            return;
        }
        let trust = match trusted {
            true => Trust::Allowed,
            false => Trust::Untrusted {
                detail: "never allowed".to_owned(),
            },
        };
        let setup = Setup {
            config: Arc::clone(&self.config),
            trust,
            known: BTreeMap::new(),
        };
        self.step(Input::Configured {
            workspace: WORKSPACE,
            setup,
        });
    }

    fn blind(&mut self, missing: bool) {
        let detail = "events were lost".to_owned();
        let watch = if missing {
            Watch::Missing { detail }
        } else {
            Watch::Rescanning { detail }
        };
        // A tree that cannot see tells no hints, and ends the looks that were asked of it.
        let looks: Vec<CaptureId> = self
            .tree
            .drain(..)
            .filter_map(|job| match job {
                Tree::Look(capture, _) | Tree::Seen(capture, _) => Some(capture),
                Tree::Hint(..) => None,
            })
            .collect();
        self.step(Input::Watched {
            workspace: WORKSPACE,
            watch,
        });
        looks
            .into_iter()
            .for_each(|capture| self.tree.push_back(Tree::Seen(capture, None)));
    }

    fn sight(&mut self) {
        self.step(Input::Watched {
            workspace: WORKSPACE,
            watch: Watch::Watching,
        });
    }

    fn resume(&mut self) {
        let Some(report) = self
            .ended
            .iter()
            .rev()
            .find(|report| report.parent.is_none())
            .cloned()
        else {
            return;
        };
        let ask = ResumeAsk {
            project: ProjectId {
                workspace: WORKSPACE,
                task: report.task.clone(),
            },
            run: report.run,
            pipeline: report.pipeline,
            parent: None,
            approval_policy: None,
            started_at: report.started_at,
            stages: report.stages.into_iter().map(kept).collect(),
            children: report.children,
            actor: "cli".to_owned(),
            reason: "manual-resume".to_owned(),
            until: Until::Ended,
        };
        self.ask(Ask::Resume(Box::new(ask)), None);
    }

    /// One outstanding thing happens, whichever chance picks.
    fn deliver(&mut self) {
        let choices = usize::from(!self.tree.is_empty())
            + usize::from(!self.records.is_empty())
            + self.stages.len();
        if choices == 0 {
            return;
        }
        let mut choice = self.chance(choices);
        if !self.tree.is_empty() {
            if choice == 0 {
                return self.deliver_tree();
            }
            choice -= 1;
        }
        if !self.records.is_empty() {
            if choice == 0 {
                let (run, record) = self.records.pop_front().unwrap();
                let failure = std::mem::take(&mut self.disk_fails).then(|| "disk full".to_owned());
                return self.step(Input::Recorded {
                    run,
                    record,
                    failure,
                });
            }
            choice -= 1;
        }
        let key = self.stages.keys().nth(choice).cloned().unwrap();
        self.deliver_stage(key);
    }

    fn deliver_tree(&mut self) {
        match self.tree.pop_front().unwrap() {
            Tree::Hint(project, file) => self.hint(project, file),
            Tree::Look(capture, subjects) => self.look(capture, &subjects),
            Tree::Seen(capture, views) => {
                self.step(Input::Captured {
                    capture,
                    workspace: WORKSPACE,
                    views,
                });
            }
        }
    }

    fn hint(&mut self, project: usize, file: u8) {
        let changed = Changed::Paths(vec![path(project, file)]);
        let projects = BTreeMap::from([(task(project), changed)]);
        self.step(Input::Touched {
            workspace: WORKSPACE,
            projects,
        });
    }

    /// Sees everything that was saved before, tells the hints of it first, and is told later.
    fn look(&mut self, capture: CaptureId, subjects: &[Subject]) {
        if std::mem::take(&mut self.look_fails) {
            self.tree.push_front(Tree::Seen(capture, None));
            return;
        }
        let views = subjects.iter().map(|subject| self.view(subject)).collect();
        let hints: Vec<Tree> = self.tree.drain(..).collect();
        for job in hints {
            match job {
                Tree::Hint(project, file) => self.hint(project, file),
                Tree::Look(..) | Tree::Seen(..) => self.tree.push_back(job),
            }
        }
        self.tree.push_front(Tree::Seen(capture, Some(views)));
    }

    fn view(&mut self, subject: &Subject) -> View {
        let project = usize::from(subject.task == task(1));
        let content = self.files[project].clone();
        let seen = (content.clone(), BTreeSet::new());
        let before = self.views.insert(subject.clone(), seen);
        let first = before.is_none();
        let (before, saved) = before.unwrap_or_default();
        let undone = saved
            .into_iter()
            .filter(|name| content.get(name) == before.get(name));
        let undone = undone.map(|name| path(project, name)).collect();
        let names: BTreeSet<u8> = content.keys().chain(before.keys()).copied().collect();
        let differing = names
            .into_iter()
            .filter(|name| content.get(name) != before.get(name));
        let differing = differing.map(|name| path(project, name)).collect();
        let changed = if first {
            Changed::Everything
        } else {
            Changed::Paths(differing)
        };
        View {
            subject: subject.clone(),
            input: digest(&content),
            stages: BTreeMap::new(),
            changed,
            undone,
        }
    }

    fn deliver_stage(&mut self, key: (RunId, usize)) {
        let (report, told) = self.stages.get(&key).unwrap();
        let (told, project) = (*told, usize::from(report.task == task(1)));
        let own = matches!(report.pipeline.as_str(), "line" | "diamond");
        let first = key.1 == 0 && own;
        let content = self.files[project].clone();
        let hangs = first && project == 1 && content.get(&0) == Some(&HANGS);
        let exit = match told {
            Some(Stop::Kill) => Exit::Signal(9),
            Some(Stop::Term) if !hangs => Exit::Signal(15),
            _ if hangs => return,
            _ if passes(&content) => Exit::Code(0),
            _ => Exit::Code(1),
        };
        if first && content.get(&1) == Some(&REWRITTEN) {
            self.generation += 1;
            self.save(project, 2, self.generation);
        }
        self.stages.remove(&key);
        let ending = Ending {
            exit,
            duration: Duration::from_millis(1),
            stdout: String::new(),
            stderr: String::new(),
            log_bytes: 0,
            truncated: false,
            excerpt: None,
            unrecorded: None,
        };
        self.step(Input::StageEnded {
            run: key.0,
            stage: key.1,
            ending,
        });
    }

    /// Faults end, nobody saves any more, everything outstanding arrives: now every promise must be kept.
    pub(crate) fn come_to_rest(&mut self) {
        (self.disk_fails, self.look_fails) = (false, false);
        self.configure(true, true);
        self.sight();
        self.settle_down();
        self.oracle.at_rest(&self.engine, &self.files);
        for project in 0..2 {
            let scope = Scope {
                workspace: Some(WORKSPACE),
                tasks: vec![task(project)],
            };
            self.ask(
                Ask::Verdict {
                    scope,
                    patience: Patience::Run,
                },
                None,
            );
        }
        self.settle_down();
        self.oracle.all_answered();
        self.step(Input::Stopping);
        self.settle_down();
        self.oracle.stopped(&self.engine);
    }

    fn settle_down(&mut self) {
        for _ in 0..REST_STEPS_MAX {
            let idle = self.tree.is_empty() && self.records.is_empty();
            if idle && self.stages.is_empty() && self.engine.next_wake().is_none() {
                return;
            }
            self.deliver();
            if let Some(wake) = self.engine.next_wake().map(Tick::since_start) {
                self.now = self.now.max(wake);
                self.step(Input::Woke);
            }
        }
        panic!("the world never comes to rest");
    }
}

fn config() -> Config {
    let stage = |id: &str, needs: &[&str], action: Action| Stage {
        id: StageId::parse(id).unwrap(),
        title: id.to_owned(),
        needs: needs.iter().map(|id| StageId::parse(id).unwrap()).collect(),
        action,
    };
    let pipeline = |id: &str, order: Order, stages: Vec<Stage>| Pipeline {
        id: pipeline_id(id),
        title: id.to_owned(),
        description: None,
        source: PipelineSource::User,
        stages,
        order,
        guardrails_required: None,
    };
    let sub = |id: &str, optional| {
        Action::Subpipeline(Subpipeline {
            pipeline: pipeline_id(id),
            optional,
        })
    };
    let line = pipeline(
        "line",
        Order::Sequence,
        vec![
            stage("format", &[], command(0, None)),
            stage("test", &[], command(1, Some("machine"))),
            stage("below", &[], sub("below", false)),
        ],
    );
    let diamond = pipeline(
        "diamond",
        Order::Graph,
        vec![
            stage("build", &[], timed()),
            stage("left", &["build"], command(0, Some("machine"))),
            stage("right", &["build"], command(0, None)),
            stage("both", &["left", "right"], sub("below", true)),
        ],
    );
    let below = pipeline(
        "below",
        Order::Sequence,
        vec![stage("deep", &[], command(0, None))],
    );
    let other = pipeline(
        "other",
        Order::Sequence,
        vec![stage("only", &[], command(0, None))],
    );
    let project = |index: usize, pipeline: &str, on_busy| Project {
        task: task(index),
        path: RelPath::parse(["a", "b"][index]).unwrap(),
        pipeline: pipeline_id(pipeline),
        on_busy,
        required: Vec::new(),
        sla: None,
    };
    Config {
        settings: Settings::default(),
        projects: vec![
            project(0, "line", OnBusy::Queue),
            project(1, "diamond", OnBusy::Restart),
        ],
        pipelines: vec![line, diamond, below, other],
        warnings: Vec::new(),
    }
}

fn timed() -> Action {
    let Action::Command(command) = command(0, None) else {
        unreachable!()
    };
    Action::Command(Command {
        timeout: Some(Duration::from_millis(50)),
        ..command
    })
}

fn command(retries: u32, mutex: Option<&str>) -> Action {
    Action::Command(Command {
        line: CommandLine::Shell("true".to_owned()),
        cwd: Cwd::Project(RelPath::root()),
        env: BTreeMap::new(),
        inputs: None,
        outputs: Vec::new(),
        timeout: None,
        grace: Duration::from_millis(20),
        retries,
        allow_failure: false,
        mutex: mutex.map(str::to_owned),
        summary_hint: None,
    })
}

fn kept(stage: StageReport) -> KeptStage {
    let child = match stage.work {
        StageWork::Subpipeline { child, .. } => child,
        StageWork::Command(_) => None,
    };
    KeptStage {
        id: stage.id,
        child,
        status: stage.status,
        started_at: stage.started_at,
        completed_at: stage.completed_at,
        exit_code: stage.exit_code,
        summary: stage.summary,
        outcome: stage.outcome,
        key: stage.key,
        input: stage.input,
        reused_from: stage.reused_from,
        attempts: stage.attempts,
        duration: stage.duration,
        log_bytes: stage.log_bytes,
        truncated: stage.truncated,
    }
}
