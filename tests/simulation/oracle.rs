//! One judge per promise of the engine; each has noticed a mutant (`mutants.py`).

use crate::world::{Content, WORKSPACE, digest, passes, task};
use orch::engine::ask::{Ask, Reply};
use orch::engine::news::News;
use orch::engine::{Effect, Engine, Input, ProjectId, Record};
use orch::model::digest::InputDigest;
use orch::model::id::{PipelineId, RequestId, RunId, Seq};
use orch::model::run::{Cause, Outcome, RunReport, RunStatus, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// A question, and what its answer may be about: every content from the question on.
struct Question {
    verdict: bool,
    contents: Vec<BTreeSet<InputDigest>>,
}

#[derive(Default)]
pub(crate) struct Oracle {
    seq: Seq,
    contents: BTreeMap<InputDigest, Content>,
    questions: BTreeMap<RequestId, Question>,
    recorded: BTreeSet<(RunId, bool)>,
    begun: BTreeMap<RunId, (ProjectId, bool)>,
    ending: BTreeSet<RunId>,
    queued: BTreeSet<(ProjectId, PipelineId)>,
    last: BTreeMap<ProjectId, RunReport>,
    ended: BTreeMap<RunId, RunReport>,
    running: BTreeMap<(RunId, usize), Option<String>>,
    exited: bool,
}

impl Oracle {
    pub(crate) fn saved(&mut self, project: usize, content: &Content) {
        self.contents.insert(digest(content), content.clone());
        for question in self.questions.values_mut() {
            question.contents[project].insert(digest(content));
        }
    }

    pub(crate) fn asked(&mut self, request: RequestId, ask: &Ask, files: &[Content]) {
        let contents = files
            .iter()
            .map(|content| BTreeSet::from([digest(content)]))
            .collect();
        let verdict = matches!(ask, Ask::Verdict { .. });
        self.questions
            .insert(request, Question { verdict, contents });
    }

    pub(crate) fn tell(&mut self, input: &Input) {
        match input {
            Input::Recorded {
                run,
                record,
                failure: _,
            } => {
                self.recorded.insert((run.clone(), *record == Record::End));
            }
            Input::StageEnded { run, stage, .. } => {
                let was_running = self.running.remove(&(run.clone(), *stage));
                assert!(
                    was_running.is_some(),
                    "a stage that was not started has ended"
                );
            }
            Input::Withdrawn { request } => {
                self.questions.remove(request);
            }
            _ => {}
        }
    }

    pub(crate) fn hear(&mut self, effects: &[Effect], files: &[Content]) {
        for content in files {
            self.contents.insert(digest(content), content.clone());
        }
        for effect in effects {
            assert!(!self.exited, "something is done after the exit: {effect:?}");
            match effect {
                Effect::Begin { report, .. } => self.begin(report),
                Effect::End { report, .. } => self.end(report),
                Effect::StartStage {
                    run,
                    stage,
                    report,
                    config,
                } => {
                    let pipeline = config.pipeline(&report.pipeline).unwrap();
                    let mutex = pipeline.stages[*stage].command().unwrap().mutex.clone();
                    self.start_stage(run, *stage, mutex);
                }
                Effect::Reply { request, reply } => self.answered(*request, reply),
                Effect::Publish { seq, news, .. } => self.told(*seq, news),
                Effect::Exit => self.exited = true,
                _ => {}
            }
        }
    }

    /// One active run per project, and one beginning per run.
    fn begin(&mut self, report: &RunReport) {
        let project = ProjectId {
            workspace: report.workspace,
            task: report.task.clone(),
        };
        let child = report.cause == Cause::Parent;
        if !child {
            let other = self
                .begun
                .values()
                .any(|(of, child)| *of == project && !child);
            assert!(!other, "two runs of {project:?} are active");
        }
        if report.cause != Cause::Resume {
            self.queued
                .remove(&(project.clone(), report.pipeline.clone()));
        }
        self.recorded.remove(&(report.run.clone(), false));
        self.recorded.remove(&(report.run.clone(), true));
        self.ending.remove(&report.run);
        let before = self.begun.insert(report.run.clone(), (project, child));
        assert!(before.is_none(), "{} begins twice", report.run);
    }

    /// Every run ends in exactly one terminal status, with none of its stages left running.
    fn end(&mut self, report: &RunReport) {
        assert!(
            report.status.is_terminal(),
            "{} ends as {:?}",
            report.run,
            report.status
        );
        assert!(
            self.ending.insert(report.run.clone()),
            "{} ends twice",
            report.run
        );
        assert!(
            !self.running.keys().any(|(run, _)| *run == report.run),
            "a stage outlives its run"
        );
        let green = matches!(report.verdict, Verdict::Pass | Verdict::Flaky);
        assert!(
            !green || report.status == RunStatus::Succeeded,
            "green although {:?}",
            report.status
        );
        if green {
            let content = &self.contents[&report.input.unwrap()];
            assert!(
                passes(content),
                "{} proves {content:?}, which fails",
                report.run
            );
        }
    }

    fn start_stage(&mut self, run: &RunId, stage: usize, mutex: Option<String>) {
        assert!(
            self.recorded.contains(&(run.clone(), false)),
            "a stage starts before the manifest is on disk"
        );
        assert!(
            !self.ending.contains(run),
            "a stage starts after its run has ended"
        );
        let held = mutex.is_some() && self.running.values().any(|other| *other == mutex);
        assert!(!held, "two stages hold the mutex {mutex:?}");
        let before = self.running.insert((run.clone(), stage), mutex);
        assert!(
            before.is_none(),
            "stage {stage} of {run} runs twice at once"
        );
        assert!(self.running.len() <= 2, "more stages than jobs");
    }

    /// One answer per question, never older than the question, and never green for what fails.
    fn answered(&mut self, request: RequestId, reply: &Reply) {
        let Some(question) = self.questions.remove(&request) else {
            panic!("{request} is answered twice, or after it was withdrawn");
        };
        let Reply::Verdicts(answers) = reply else {
            assert!(
                !question.verdict || matches!(reply, Reply::Denied(_)),
                "no verdicts: {reply:?}"
            );
            return;
        };
        for answer in answers {
            if answer.verdict == Verdict::Unknown {
                continue;
            }
            let input = answer.input.unwrap();
            let project = usize::from(answer.project.task == task(1));
            assert!(
                question.contents[project].contains(&input),
                "the answer is older than the question"
            );
            if answer.green {
                assert!(
                    passes(&self.contents[&input]),
                    "green for {:?}",
                    self.contents[&input]
                );
            }
        }
    }

    /// Evidence before news, under gapless numbers.
    fn told(&mut self, seq: Seq, news: &News) {
        assert_eq!(seq, self.seq.next(), "the numbers have a gap");
        self.seq = seq;
        match news {
            News::RunQueued {
                project, pipeline, ..
            } => {
                let first = self.queued.insert((project.clone(), pipeline.clone()));
                assert!(first, "two runs of {pipeline} are pending for {project:?}");
            }
            News::RunStarted { report } => {
                assert!(
                    self.recorded.contains(&(report.run.clone(), false)),
                    "news before evidence"
                );
            }
            News::RunEnded { report } => {
                let unrecorded = report.verdict == Verdict::Error;
                let recorded = self.recorded.contains(&(report.run.clone(), true));
                self.ended.insert(report.run.clone(), (**report).clone());
                assert!(recorded || unrecorded, "news before evidence");
                let (project, child) = self
                    .begun
                    .remove(&report.run)
                    .expect("an ended run has begun");
                if !child && report.pipeline.as_str() != "other" {
                    self.last.insert(project, (**report).clone());
                }
            }
            News::Verdict {
                verdict,
                input,
                run,
                ..
            } => {
                if *verdict != Verdict::Unknown {
                    let run = run.as_ref().expect("a verdict names its run");
                    assert!(
                        self.recorded.contains(&(run.clone(), true)) || *verdict == Verdict::Error
                    );
                }
                if matches!(verdict, Verdict::Pass | Verdict::Flaky) {
                    let content = &self.contents[&input.expect("a green verdict is about content")];
                    assert!(passes(content), "green is told of {content:?}");
                }
            }
            _ => {}
        }
    }

    /// What `status` says is true of the content that it names.
    pub(crate) fn look(&mut self, engine: &Engine) {
        for workspace in engine.workspaces() {
            for project in &workspace.projects {
                let pending = |pipeline: &PipelineId| {
                    self.queued
                        .contains(&(project.standing.project.clone(), pipeline.clone()))
                };
                let standing = &project.standing;
                assert_eq!(standing.fresh, standing.proof.is_some());
                if standing.phase == orch::model::report::status::Phase::Queued {
                    assert!(
                        ["line", "diamond", "other"]
                            .iter()
                            .any(|p| pending(&PipelineId::parse(p).unwrap()))
                    );
                }
            }
            for project in &workspace.projects {
                let id = &project.standing.project;
                // What is no longer wanted is no longer pending.
                if project.standing.phase == orch::model::report::status::Phase::Idle {
                    self.queued.retain(|(of, _)| of != id);
                }
            }
        }
    }

    /// No change is lost: what is on disk now has a verdict, and it is the right one.
    pub(crate) fn at_rest(&self, engine: &Engine, files: &[Content]) {
        for (index, content) in files.iter().enumerate() {
            let id = ProjectId {
                workspace: WORKSPACE,
                task: task(index),
            };
            let standing = engine.standing(&id).expect("the project is configured");
            let ended = self.last.get(&id);
            let let_be = ended.is_some_and(|last| {
                last.status == RunStatus::Cancelled || last.verdict == Verdict::Unknown
            });
            if let_be && !standing.fresh {
                continue;
            }
            assert!(
                standing.fresh,
                "{id:?} with {content:?} was never proven: {standing:?}"
            );
            assert_eq!(
                standing.input,
                Some(digest(content)),
                "the content of {id:?} was never seen"
            );
            match standing.verdict {
                Verdict::Pass | Verdict::Flaky => assert!(passes(content), "green for {content:?}"),
                Verdict::Fail => {
                    let proof = standing.proof.as_ref().map(|run| &self.ended[run]);
                    let mut stages = proof.iter().flat_map(|report| &report.stages);
                    let late = stages.any(|stage| stage.outcome == Outcome::TimedOut);
                    assert!(!passes(content) || late, "red for {content:?}");
                }
                Verdict::Unstable | Verdict::Error => {}
                Verdict::Unknown => panic!("a fresh verdict is known"),
            }
        }
    }

    pub(crate) fn all_answered(&self) {
        let open: Vec<&RequestId> = self.questions.keys().collect();
        assert!(open.is_empty(), "nobody answered {open:?}");
    }

    pub(crate) fn stopped(&self, engine: &Engine) {
        assert!(self.exited, "the engine was told to stop and did not");
        assert_eq!(engine.runs().count(), 0, "a run outlives the daemon");
        assert!(
            self.begun.is_empty(),
            "these never ended: {:?}",
            self.begun.keys()
        );
        for workspace in engine.workspaces() {
            assert!(
                workspace
                    .projects
                    .iter()
                    .all(|project| !project.standing.fresh)
            );
        }
    }
}
