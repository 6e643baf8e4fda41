//! Plays a scene: one input a line, and below it, indented, exactly what the engine does about it.
//!
//! One workspace, one project `p`; runs are called `r1`, `r2` and questions `q1`, `q2` in the order in which they come.
//! A line `20ms` lets the clock jump there, and `20ms unsure` while events wait to be looked at; everything else happens at the moment that was reached.

mod told;

use crate::fixture::pipeline_id;
use crate::outside::{command_stages, ending, taken_up};
use orch::engine::ask::{Ask, Patience, RunAsk, Scope, Until, Wanted};
use orch::engine::{Engine, Input, ProjectId, Record, Setup, Trust, Watch};
use orch::model::config::{Action, CommandLine, Config, OnStart, Order};
use orch::model::digest::{Digest, InputDigest, OutputsDigest};
use orch::model::evidence::Layout;
use orch::model::id::{
    CaptureId, PipelineId, RequestId, RunId, StageId, TaskId, WeighId, WorkspaceId,
};
use orch::model::path::{RelPath, RootPath};
use orch::model::run::{Changed, Exit, RunReport};
use orch::model::time::{Now, Tick, Timestamp};
use orch::model::view::{Fleeting, Sign, Subject, View};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const WORKSPACE: WorkspaceId = WorkspaceId(1);

struct Bench {
    engine: Engine,
    config: Arc<Config>,
    now: Duration,
    looks: VecDeque<(CaptureId, Vec<Subject>)>,
    content: String,
    /// What stages read where that is not all of it.
    parts: BTreeMap<String, String>,
    parts_seen: BTreeMap<String, String>,
    weighs: VecDeque<(WeighId, RunId, usize)>,
    runs: Vec<RunId>,
    reports: BTreeMap<RunId, RunReport>,
    questions: u64,
}

/// Plays the inputs of a scene and gives back the scene as it went.
pub(crate) fn play(config: Config, scene: &str) -> String {
    let mut bench = Bench {
        engine: Engine::new(7, NonZeroU32::new(2).unwrap()),
        config: Arc::new(config),
        now: Duration::ZERO,
        looks: VecDeque::new(),
        content: String::new(),
        parts: BTreeMap::new(),
        parts_seen: BTreeMap::new(),
        weighs: VecDeque::new(),
        runs: Vec::new(),
        reports: BTreeMap::new(),
        questions: 0,
    };
    let mut went = String::new();
    for line in scene.lines().filter(|line| !line.starts_with(' ')) {
        went.push_str(line);
        went.push('\n');
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        for effect in bench.act(&words) {
            went.push_str("    ");
            went.push_str(&effect);
            went.push('\n');
        }
    }
    went
}

pub(crate) fn project() -> ProjectId {
    ProjectId {
        workspace: WORKSPACE,
        task: TaskId::parse("p").unwrap(),
    }
}

/// What git has left at a place; `place@2` is there since its second step.
fn sign(text: &&str) -> Sign {
    let (place, step) = text.split_once('@').unwrap_or((text, "1"));
    Sign {
        place: place.to_owned(),
        stamp: (1, step.parse().unwrap()),
    }
}

fn word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

impl Bench {
    fn act(&mut self, words: &[&str]) -> Vec<String> {
        let detail = "line 3: unknown key".to_owned();
        match words {
            ["open"] => self.open(),
            ["touch", file] => {
                let changed = Changed::Paths(vec![RelPath::parse(file).unwrap()]);
                self.step(Input::Touched {
                    workspace: WORKSPACE,
                    projects: BTreeMap::from([(project().task, changed)]),
                    at: Tick::new(self.now),
                })
            }
            ["git", signs @ ..] => self.step(Input::Held {
                workspace: WORKSPACE,
                by: BTreeMap::from([(project().task, signs.iter().map(sign).collect())]),
            }),
            ["watched", "by", "scanning"] => self.step(Input::Watched {
                workspace: WORKSPACE,
                watch: Watch::Polling { detail },
            }),
            ["see", content] => self.see(content, (&[], &[])),
            ["see", content, "undone", stages @ ..] => self.see(content, (stages, &[])),
            // Every stage reads them.
            ["see", content, "passed", files @ ..] => self.see(content, (&[], files)),
            // From now on a stage reads this and no more.
            ["part", stage, content] => {
                self.parts
                    .insert((*stage).to_owned(), (*content).to_owned());
                Vec::new()
            }
            ["weighed", found @ ..] => self.weighed(found),
            ["lost"] => {
                let (capture, _) = self.looks.pop_front().expect("a look is under way");
                self.looked(capture, None)
            }
            ["begun", run] => self.recorded(run, Record::Begin),
            ["recorded", run] => self.recorded(run, Record::End),
            ["gone", run] => self.step(Input::Discarded {
                workspace: WORKSPACE,
                runs: BTreeSet::from([self.run_id(run)]),
            }),
            ["exit", run, stage, code] => {
                let code = code.parse().unwrap();
                self.stage_ended(run, stage, Exit::Code(code))
            }
            ["signal", run, stage, number] => {
                let number = number.parse().unwrap();
                self.stage_ended(run, stage, Exit::Signal(number))
            }
            ["unspawnable", run, stage] => {
                let why = "no such file".to_owned();
                self.stage_ended(run, stage, Exit::Unspawnable(why))
            }
            ["refuse"] => self.step(Input::Misconfigured {
                workspace: WORKSPACE,
                detail,
            }),
            ["distrust"] => self.configure(Trust::Untrusted { detail }),
            ["deny"] => self.configure(Trust::Denied { detail }),
            ["allow"] => self.configure(Trust::Allowed),
            ["reread"] => self.watch(Watch::Rescanning { detail }),
            ["missing"] => self.watch(Watch::Missing { detail }),
            ["watching"] => self.watch(Watch::Watching),
            ["stop"] => self.step(Input::Stopping),
            [ms, unsure @ ..] if ms.ends_with("ms") => {
                self.now = Duration::from_millis(ms.trim_end_matches("ms").parse().unwrap());
                let unsure = unsure.iter().map(|_| WORKSPACE).collect();
                self.step(Input::Woke { unsure })
            }
            words => self.ask_something(words),
        }
    }

    /// Somebody asks, or goes away; another process has a mutex, or has it no more.
    fn ask_something(&mut self, words: &[&str]) -> Vec<String> {
        match words {
            [question @ ("gate" | "all" | "doubt" | "ask" | "run")] => self.question(question),
            ["force"] => self.ask_for_run((None, None), Until::Ended, true),
            ["force", pipeline, "as", policy] => {
                let named = (Some(pipeline_id(pipeline)), Some((*policy).to_owned()));
                self.ask_for_run(named, Until::Ended, true)
            }
            ["cancel", run] => {
                let run = self.run_id(run);
                self.ask(Ask::Cancel { run })
            }
            ["resume", run] => self.resume(run),
            ["run", pipeline] => self.run(Some(pipeline_id(pipeline)), None, Until::Ended),
            ["detach", pipeline] => self.run(Some(pipeline_id(pipeline)), None, Until::Named),
            ["leave", question] => {
                let request = question.trim_start_matches('q').parse().unwrap();
                self.step(Input::Withdrawn {
                    request: RequestId(request),
                })
            }
            ["run", pipeline, "as", policy] => {
                let policy = Some((*policy).to_owned());
                self.run(Some(pipeline_id(pipeline)), policy, Until::Ended)
            }
            ["taken", mutex] => {
                let mutex = (*mutex).to_owned();
                self.step(Input::MutexTaken { mutex })
            }
            ["busy", mutex] => {
                let (mutex, holder) = ((*mutex).to_owned(), "process 7".to_owned());
                self.step(Input::MutexBusy { mutex, holder })
            }
            words => self.act_on_configuration(words),
        }
    }

    /// The configuration is another one.
    fn act_on_configuration(&mut self, words: &[&str]) -> Vec<String> {
        match words {
            ["edit", stage, line] => self.edit(stage, line),
            ["wait"] => {
                let mut config = Config::clone(&self.config);
                config.settings.on_start = OnStart::Wait;
                self.config = Arc::new(config);
                self.configure(Trust::Allowed)
            }
            ["rename"] => {
                let mut config = Config::clone(&self.config);
                config.projects[0].task = TaskId::parse("other").unwrap();
                self.config = Arc::new(config);
                self.configure(Trust::Allowed)
            }
            ["narrow"] => {
                let mut config = Config::clone(&self.config);
                if let Action::Command(command) = &mut config.pipelines[0].stages[0].action {
                    command.inputs = Some(vec!["src/**".to_owned()]);
                }
                self.config = Arc::new(config);
                self.configure(Trust::Allowed)
            }
            ["give", ms] => {
                let mut config = Config::clone(&self.config);
                if let Action::Command(command) = &mut config.pipelines[0].stages[0].action {
                    command.timeout = Some(Duration::from_millis(ms.parse().unwrap()));
                }
                self.config = Arc::new(config);
                self.configure(Trust::Allowed)
            }
            ["needs", needs @ ..] => {
                let mut config = Config::clone(&self.config);
                let pipeline = &mut config.pipelines[0];
                pipeline.order = Order::Graph;
                let needs = needs.iter().map(|id| StageId::parse(id).unwrap());
                pipeline.stages[1].needs = needs.collect();
                self.config = Arc::new(config);
                self.configure(Trust::Allowed)
            }
            ["repipe", pipeline] => {
                let mut config = Config::clone(&self.config);
                config.projects[0].pipeline = pipeline_id(pipeline);
                self.config = Arc::new(config);
                self.configure(Trust::Allowed)
            }
            other => panic!("no such input: {other:?}"),
        }
    }

    fn question(&mut self, question: &str) -> Vec<String> {
        let mut scope = Scope {
            workspace: None,
            tasks: vec![project().task],
        };
        if question == "all" {
            scope.tasks.clear();
        }
        let verdict = |patience| Ask::Verdict { scope, patience };
        match question {
            "gate" | "all" => self.ask(verdict(Patience::Run)),
            "doubt" => self.ask(verdict(Patience::Doubt)),
            "ask" => self.ask(verdict(Patience::Answer)),
            "run" => self.run(None, None, Until::Ended),
            other => panic!("no such question: {other}"),
        }
    }

    fn run(
        &mut self,
        pipeline: Option<PipelineId>,
        policy: Option<String>,
        until: Until,
    ) -> Vec<String> {
        self.ask_for_run((pipeline, policy), until, false)
    }

    fn ask_for_run(
        &mut self,
        (pipeline, policy): (Option<PipelineId>, Option<String>),
        until: Until,
        force: bool,
    ) -> Vec<String> {
        self.ask(Ask::Run(RunAsk {
            project: project(),
            pipeline,
            parent: None,
            approval_policy: policy,
            force,
            until,
            wanted: match until {
                Until::Named => Wanted::Detached,
                Until::Ended => Wanted::Attended,
            },
        }))
    }

    fn ask(&mut self, ask: Ask) -> Vec<String> {
        self.questions += 1;
        self.step(Input::Asked {
            request: RequestId(self.questions),
            ask,
            deadline: None,
        })
    }

    fn resume(&mut self, run: &str) -> Vec<String> {
        let report = self.reports[&self.run_id(run)].clone();
        let ask = taken_up(report, project());
        self.ask(Ask::Resume(Box::new(ask)))
    }

    fn open(&mut self) -> Vec<String> {
        let opened = self.step(Input::Opened {
            workspace: WORKSPACE,
            root: RootPath::new(Path::new("/w")).unwrap(),
            layout: Layout::new(".runs"),
        });
        let configured = self.configure(Trust::Allowed);
        let watched = self.watch(Watch::Watching);
        [opened, configured, watched].concat()
    }

    fn watch(&mut self, watch: Watch) -> Vec<String> {
        self.step(Input::Watched {
            workspace: WORKSPACE,
            watch,
        })
    }

    fn configure(&mut self, trust: Trust) -> Vec<String> {
        let setup = Setup {
            config: Arc::clone(&self.config),
            trust,
            known: BTreeMap::new(),
        };
        self.step(Input::Configured {
            workspace: WORKSPACE,
            setup,
        })
    }

    /// The oldest look sees this content; `f` differs if it is another than before.
    ///
    /// What stages read that have a part of it is told apart; `undone` names those that read something in between.
    fn see(&mut self, content: &str, (undone, passed): (&[&str], &[&str])) -> Vec<String> {
        let (capture, subjects) = self.looks.pop_front().expect("a look is under way");
        let before = std::mem::replace(&mut self.content, content.to_owned());
        let parts_before = std::mem::replace(&mut self.parts_seen, self.parts.clone());
        let file = |is_there: bool| is_there.then(|| RelPath::parse("f").unwrap());
        let views = subjects.into_iter().map(|subject| {
            let stages = command_stages(&self.config, &subject.pipeline);
            let read = |stage: &StageId| self.parts.get(stage.as_str());
            let is_affected = |(_, stage): &&(PipelineId, StageId)| {
                let part_before = parts_before.get(stage.as_str());
                let is_other = match (read(stage), part_before) {
                    (None, None) => before != content,
                    (part, before) => part != before,
                };
                is_other || undone.contains(&stage.as_str())
            };
            View {
                subject,
                input: InputDigest(Digest::of(content.as_bytes())),
                affected: stages.iter().filter(is_affected).cloned().collect(),
                stages: stages
                    .iter()
                    .map(|stage| {
                        let part = read(&stage.1).map_or(content, String::as_str);
                        (stage.clone(), InputDigest(Digest::of(part.as_bytes())))
                    })
                    .collect(),
                changed: Changed::Paths(file(before != content).into_iter().collect()),
                tools: BTreeMap::new(),
                undone: file(!undone.is_empty()).into_iter().collect(),
                fleeting: Fleeting {
                    passed: passed
                        .iter()
                        .map(|file| RelPath::parse(file).unwrap())
                        .collect(),
                    readers: stages
                        .iter()
                        .filter(|_| !passed.is_empty())
                        .cloned()
                        .collect(),
                    ..Fleeting::default()
                },
            }
        });
        let views = views.collect();
        self.looked(capture, Some(views))
    }

    /// What was asked to be weighed first is found to be this; `?` cannot be said.
    fn weighed(&mut self, found: &[&str]) -> Vec<String> {
        let (weigh, run, stage) = self.weighs.pop_front().expect("something is weighed");
        let found = found.iter().map(|found| {
            let digest = Digest::of(found.as_bytes());
            (*found != "?").then_some(OutputsDigest(digest))
        });
        self.step(Input::Weighed {
            weigh,
            run,
            stage,
            outputs: found.collect(),
        })
    }

    /// The command of a stage is another one.
    fn edit(&mut self, stage: &str, line: &str) -> Vec<String> {
        let mut config = Config::clone(&self.config);
        for found in &mut config.pipelines[0].stages {
            if let Action::Command(command) = &mut found.action
                && found.id.as_str() == stage
            {
                command.line = CommandLine::Shell(line.to_owned());
            }
        }
        self.config = Arc::new(config);
        self.configure(Trust::Allowed)
    }

    fn looked(&mut self, capture: CaptureId, views: Option<Vec<View>>) -> Vec<String> {
        self.step(Input::Captured {
            capture,
            workspace: WORKSPACE,
            views,
        })
    }

    fn recorded(&mut self, run: &str, record: Record) -> Vec<String> {
        let run = self.run_id(run);
        self.step(Input::Recorded {
            run,
            record,
            failure: None,
        })
    }

    fn stage_ended(&mut self, run: &str, stage: &str, exit: Exit) -> Vec<String> {
        let run = self.run_id(run);
        let stages = &self.reports[&run].stages;
        let stage = stages.iter().position(|other| other.id.as_str() == stage);
        self.step(Input::StageEnded {
            run,
            stage: stage.expect("the run has the stage"),
            ending: ending(exit),
        })
    }

    fn step(&mut self, input: Input) -> Vec<String> {
        let ms = i64::try_from(self.now.as_millis()).unwrap();
        let now = Now {
            tick: Tick::new(self.now),
            wall: Timestamp::from_unix_ms(1_700_000_000_000 + ms),
        };
        let effects = self.engine.step(now, input);
        effects
            .into_iter()
            .map(|effect| self.told(effect))
            .collect()
    }

    fn run_id(&self, name: &str) -> RunId {
        let number: usize = name.trim_start_matches('r').parse().unwrap();
        self.runs[number - 1].clone()
    }

    fn name(&mut self, run: &RunId) -> String {
        let place = self.runs.iter().position(|other| other == run);
        let place = place.unwrap_or_else(|| {
            self.runs.push(run.clone());
            self.runs.len() - 1
        });
        format!("r{}", place + 1)
    }
}
