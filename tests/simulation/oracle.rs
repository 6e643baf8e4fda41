//! One judge per promise of the engine; each has noticed a mutant (`mutants.py`).
//!
//! Who asked what, and whether the answer is true, is judged in `questions`.

mod bytes;
mod files;
mod flaky;
mod git;
mod looks;
mod mutexes;
mod queued;
mod restarts;
mod runs;
mod standings;

use crate::fixture::{
    Content, HOMES, SETTLE_MAX, Setting, config, digest, index, own_pipeline, passes, task,
};
use crate::outside::{Place, fails_for_time};
use crate::questions::Questions;
use git::Git;
use orch::engine::ask::{Ask, Patience, Reply};
use orch::engine::news::News;
use orch::engine::{Effect, Engine, Input, ProjectId, Record, Watch};
use orch::model::digest::{InputDigest, StageKey};
use orch::model::id::{CaptureId, PipelineId, RequestId, RunId, Seq, StageId, WorkspaceId};
use orch::model::run::{Cause, RunReport, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a stage holds while it runs.
struct Held {
    workspace: WorkspaceId,
    mutex: Option<String>,
}

/// A run that has begun and not ended.
struct Begun {
    project: ProjectId,
    child: bool,
}

/// Content that need not be run by itself; by keys where a run of it was ended.
struct LetBe {
    input: InputDigest,
    keys: Option<Vec<StageKey>>,
    /// Whether it must not be run by itself; else it is only not known better.
    surely: bool,
}

#[derive(Default)]
pub(crate) struct Oracle {
    seq: Seq,
    written: files::Written,
    failed: flaky::Failed,
    bytes: bytes::Bytes,
    restarts: restarts::Restarts,
    mutexes: mutexes::Mutexes,
    contents: BTreeMap<InputDigest, Content>,
    /// The contents that passed, by place.
    passed: BTreeMap<usize, BTreeSet<InputDigest>>,
    questions: Questions,
    recorded: BTreeSet<(RunId, bool)>,
    begun: BTreeMap<RunId, Begun>,
    ending: BTreeSet<RunId>,
    named: queued::Named,
    queued: BTreeSet<(ProjectId, PipelineId)>,
    /// Runs that were told to be wanted, and have not begun.
    announced: BTreeSet<(ProjectId, PipelineId, Cause)>,
    /// Of these, those that were perhaps found to be no longer needed.
    needless: BTreeSet<(ProjectId, PipelineId)>,
    running: BTreeMap<(RunId, usize), Held>,
    /// The last look that began before anything of a run, and the last one that was told, by project and pipeline.
    before: BTreeMap<RunId, CaptureId>,
    looked: BTreeMap<(usize, PipelineId), CaptureId>,
    captures: CaptureId,
    /// What the last look has seen of a project's pipeline, and what the last look of a run has.
    seen: BTreeMap<(usize, PipelineId), InputDigest>,
    closing: BTreeMap<RunId, InputDigest>,
    /// What the stages of a run have read.
    read: BTreeMap<RunId, BTreeMap<StageId, BTreeSet<InputDigest>>>,
    /// Runs that succeeded after a stage of them, or of a child, had failed.
    retried: BTreeSet<RunId>,
    /// Roots that have ended, as they were told.
    ended: BTreeMap<RunId, RunReport>,
    /// What they were told to prove; a run that is taken up again may say something else later.
    said: BTreeSet<(RunId, Verdict)>,
    /// By project and stage keys.
    proven: BTreeMap<(usize, Vec<StageKey>), RunId>,
    /// Of which a run is only known to have been an error.
    errors: BTreeSet<(usize, Vec<StageKey>)>,
    /// Runs that were red when somebody asked who has that run again.
    doubted: BTreeSet<RunId>,
    /// The same by content: of what a resume kept, the keys are others.
    vague: BTreeSet<(usize, InputDigest)>,
    settings: BTreeMap<usize, Setting>,
    /// How often one was taken, and how often when a look began.
    taken: BTreeMap<usize, u32>,
    under: BTreeMap<CaptureId, u32>,
    /// Projects that were told to wait at the start, and whose content was not seen since.
    waiting: BTreeSet<usize>,
    /// Content that need not be run by itself.
    let_be: BTreeMap<usize, LetBe>,
    /// Made ready, and not begun.
    prepared: BTreeMap<RunId, RunReport>,
    /// Touched, and not looked at since.
    stale: BTreeSet<usize>,
    /// Touched then, and since no look has begun, nor was one told that covers it.
    owed: BTreeMap<usize, Duration>,
    /// Until then a look that failed is not repeated, so that what fails at once does not spin.
    paused: Duration,
    git: BTreeMap<usize, Git>,
    now: Duration,
    stopping: bool,
    exited: bool,
}

/// What a look tells of what the stages of a run depend on.
pub(crate) fn keys(report: &RunReport) -> Vec<StageKey> {
    let stages = report.stages.iter();
    stages.filter_map(|stage| stage.content_key).collect()
}

/// What begins at once is told apart from what may wait, and may then begin for another cause than it was told with.
fn announced(cause: Cause) -> Cause {
    match cause {
        Cause::Resume | Cause::Parent => cause,
        Cause::Start | Cause::Change | Cause::Manual | Cause::Gate => Cause::Change,
    }
}

fn is_own(report: &RunReport) -> bool {
    report.cause != Cause::Parent && report.pipeline.as_str() == own_pipeline(index(&report.task))
}

impl Oracle {
    pub(crate) fn new(files: &[Content]) -> Self {
        Self {
            contents: files
                .iter()
                .map(|content| (digest(content), content.clone()))
                .collect(),
            ..Self::default()
        }
    }

    pub(crate) fn saved(&mut self, project: usize, content: &Content) {
        self.contents.insert(digest(content), content.clone());
        self.questions.saved(project, digest(content));
    }

    pub(crate) fn asked(
        &mut self,
        request: RequestId,
        ask: &Ask,
        deadline: Option<Duration>,
        there: (&[Content], &[Place]),
    ) {
        if let Ask::Verdict { scope, patience } = ask
            && *patience == Patience::Doubt
        {
            let tasks = &scope.tasks;
            let about = |place: usize| tasks.is_empty() || tasks.contains(&task(place));
            let proven = self.proven.iter().filter(|((place, _), _)| about(*place));
            let is_red = |run: &&RunId| self.said.contains(&((*run).clone(), Verdict::Fail));
            let reds = proven.map(|(_, run)| run).filter(is_red);
            self.doubted.extend(reds.cloned());
        }
        self.questions
            .asked(request, ask, deadline, there, &self.said);
    }

    /// The question that was asked last has to be answered with something that is known.
    pub(crate) fn must_know(&mut self) {
        self.questions.must_know();
    }

    pub(crate) fn configured(&mut self, home: usize, setting: Setting) {
        self.settings.insert(home, setting);
        if setting == Setting::Broken {
            return;
        }
        *self.taken.entry(home).or_default() += 1;
        // What a new configuration does not have is not wanted any more.
        let there = config(home, setting);
        self.queued.retain(|(project, pipeline)| {
            let named = there.project(&project.task).and(there.pipeline(pipeline));
            HOMES[index(&project.task)] != home || named.is_some()
        });
        for project in (0..HOMES.len()).filter(|project| HOMES[*project] == home) {
            self.let_be.remove(&project);
            self.waiting.remove(&project);
            self.forget_for_time(project);
            self.failed.configured(project);
            if setting == Setting::Waiting {
                self.waiting.insert(project);
            }
        }
    }

    /// A stage of a run has read this content.
    pub(crate) fn read(&mut self, run: &RunId, stage: &StageId, content: &Content) {
        let stages = self.read.entry(run.clone()).or_default();
        let read = stages.entry(stage.clone()).or_default();
        read.insert(digest(content));
    }

    pub(crate) fn exited(&self) -> bool {
        self.exited
    }

    pub(crate) fn stopping(&mut self) {
        self.stopping = true;
    }

    /// The daemon was killed: what is on disk is all that a new one knows.
    pub(crate) fn restarted(&mut self, disk: &[RunReport]) {
        *self = Self {
            contents: std::mem::take(&mut self.contents),
            proven: std::mem::take(&mut self.proven),
            passed: std::mem::take(&mut self.passed),
            read: std::mem::take(&mut self.read),
            failed: std::mem::take(&mut self.failed),
            bytes: std::mem::take(&mut self.bytes).restarted(),
            ..Self::default()
        };
        let counts = |run: &RunId| {
            let mut reports = disk.iter().filter(|report| report.run == *run);
            reports.any(|report| !fails_for_time(report))
        };
        self.proven.retain(|_, run| counts(run));
        self.failed.restarted(disk);
        for report in disk {
            self.recorded.insert((report.run.clone(), false));
            self.recorded.insert((report.run.clone(), true));
            self.said.insert((report.run.clone(), report.verdict));
            self.ended.insert(report.run.clone(), report.clone());
        }
    }

    pub(crate) fn tell(&mut self, input: &Input, now: Duration) {
        self.now = now;
        match input {
            Input::Held { by, .. } => {
                for (task, signs) in by {
                    self.git.entry(index(task)).or_default().tell(signs, now);
                }
            }
            Input::Recorded {
                run,
                record,
                failure: None,
            } => {
                self.recorded.insert((run.clone(), *record == Record::End));
            }
            Input::StageEnded { run, stage, .. } => {
                let before = self.running.remove(&(run.clone(), *stage));
                assert!(before.is_some(), "a stage that was not started has ended");
                self.before.insert(run.clone(), self.captures);
            }
            Input::MutexTaken { mutex } => self.mutexes.taken(mutex),
            Input::Opened { workspace, .. } => {
                self.questions.watched(*workspace, false);
            }
            Input::Watched { workspace, watch } => {
                let sees = matches!(watch, Watch::Watching);
                self.questions.watched(*workspace, sees);
            }
            Input::Withdrawn { request } => self.questions.withdrawn(*request),
            Input::Touched { projects, .. } => {
                for project in projects.keys().map(index) {
                    self.stale.insert(project);
                    let since = now.max(self.paused);
                    self.owed.entry(project).or_insert(since);
                }
            }
            Input::Captured {
                capture,
                workspace,
                views,
            } => self.captured(*capture, *workspace, views.as_deref(), now),
            _ => {}
        }
    }

    pub(crate) fn hear(&mut self, effects: &[Effect]) {
        for effect in effects {
            assert!(!self.exited, "something is done after the exit: {effect:?}");
            match effect {
                Effect::Capture {
                    capture, subjects, ..
                } => {
                    self.captures = *capture;
                    self.questions.looks(*capture);
                    for subject in subjects {
                        let project = index(&subject.task);
                        if let Some(taken) = self.taken.get(&HOMES[project]) {
                            self.under.insert(*capture, *taken);
                        }
                        if subject.pipeline.as_str() == own_pipeline(project) {
                            self.owed.remove(&project);
                        }
                    }
                }
                Effect::Foresee { report } => {
                    let begun = self.begun.contains_key(&report.run);
                    assert!(!begun, "a run is made ready that has begun");
                    self.prepared.insert(report.run.clone(), (**report).clone());
                }
                Effect::Begin { report, .. } => {
                    if let Some(prepared) = self.prepared.remove(&report.run) {
                        assert_eq!(prepared, **report, "another run begins than was made ready");
                    }
                    self.begin(report);
                }
                Effect::End { report, standing } => {
                    self.end(report, standing.as_ref());
                    standing.iter().for_each(|it| self.written.write(it));
                    self.bytes.judge(report);
                }
                Effect::StartStage {
                    run,
                    stage,
                    report,
                    config,
                } => {
                    self.bytes.start(run, *stage, report);
                    self.start_stage(run, *stage, report, config);
                }
                Effect::TakeMutex { mutex } => self.mutexes.wants(mutex),
                Effect::LeaveMutex { mutex } => self.left(mutex),
                Effect::Reply { request, reply } => {
                    self.replied(*request, reply);
                }
                Effect::Release { request } => self.questions.released(*request),
                Effect::Publish { seq, news, .. } => self.told(*seq, news),
                Effect::Forget { workspace } => {
                    let mut left = self.begun.values();
                    let left = left.any(|begun| begun.project.workspace == *workspace);
                    assert!(
                        !left,
                        "a workspace is forgotten while a run of it is active"
                    );
                }
                Effect::Exit => self.exited = true,
                Effect::State { standing, .. } => {
                    if standing.fresh {
                        self.restarts.judged(index(&standing.project.task));
                    }
                    self.written.write(standing);
                }
                Effect::Record { .. } | Effect::StopStage { .. } | Effect::Weigh { .. } => {}
            }
        }
    }

    fn replied(&mut self, request: RequestId, reply: &Reply) {
        if self.questions.is_forced(request)
            && let Reply::Run(report) = reply
        {
            self.bytes.force(report);
        }
        if self.questions.is_patient(request)
            && let Reply::Verdicts(answers) = reply
        {
            answers.iter().for_each(|it| self.judge_unstable(it));
        }
        // What a run has said by now, whatever has failed since.
        let said = self.said.iter().flat_map(|(run, verdict)| {
            let told = self.failed.tells(run, *verdict).into_iter();
            told.map(|verdict| (run.clone(), verdict))
        });
        let said = said.collect();
        let evidence = (&said, &self.recorded);
        let (contents, stale) = (&self.contents, &self.stale);
        self.questions
            .answered(request, reply, contents, evidence, stale);
    }

    /// Evidence before news, under gapless numbers.
    fn told(&mut self, seq: Seq, news: &News) {
        assert_eq!(seq, self.seq.next(), "the numbers have a gap");
        self.seq = seq;
        match news {
            News::RunQueued {
                project,
                pipeline,
                cause,
                run,
            } => self.run_queued((project, pipeline), *cause, run.as_ref()),
            News::RunDropped { run, why, .. } => self.named.dropped(run, why, &self.questions),
            News::RunStarted { report } => {
                let recorded = self.recorded.contains(&(report.run.clone(), false));
                assert!(recorded, "news of a run before its evidence");
            }
            News::StageEnded(told) => {
                let recorded = |run: &RunId| self.recorded.contains(&(run.clone(), true));
                self.bytes.ended(told, recorded);
            }
            News::RunEnded { report } => self.run_ended(report),
            News::Verdict {
                verdict,
                input,
                run,
                ..
            } if *verdict != Verdict::Unknown => {
                let run = run.as_ref().expect("a verdict names its run");
                let recorded = self.recorded.contains(&(run.clone(), true));
                assert!(
                    recorded || *verdict == Verdict::Error,
                    "news of a verdict before its evidence"
                );
                if matches!(verdict, Verdict::Pass | Verdict::Flaky) {
                    let content = &self.contents[&input.expect("a green verdict is about content")];
                    assert!(passes(content), "green is told of {content:?}");
                }
            }
            _ => {}
        }
    }

    /// What `status` says after every step is true, and nothing that is due is late.
    pub(crate) fn look(&mut self, engine: &Engine, places: &[Place], now: Duration) {
        let mut standings = BTreeMap::new();
        for workspace in engine.workspaces() {
            let place = places.iter().find(|place| place.id == workspace.id);
            let serves = place.is_some_and(|place| !place.refuses() && place.sees());
            for project in workspace.projects {
                let standing = project.standing;
                assert!(
                    serves || !standing.fresh,
                    "fresh although the workspace does not serve: {standing:?}"
                );
                self.judge(&standing);
                // Who waits is refused, and what was wanted is dropped.
                if !serves && place.is_none_or(Place::refuses) {
                    self.queued.retain(|(of, _)| *of != standing.project);
                }
                standings.insert(index(&standing.project.task), standing);
            }
        }
        let there = standings.values().map(|it| it.project.clone());
        self.written.look(&there.collect());
        self.owed
            .retain(|project, _| standings.contains_key(project));
        if !self.stopping {
            for (project, since) in &self.owed {
                let place = &places[HOMES[*project]];
                let sees = place.open && place.sees() && !place.looks();
                let git = self.git.get(project);
                let since = git.map_or(*since, |git| git.lets(*since));
                let due = sees && since + SETTLE_MAX <= now;
                assert!(!due, "a touch at {since:?} was not looked at by {now:?}");
            }
        }
        let active = self.begun.values().filter(|begun| !begun.child);
        let active = active.map(|begun| begun.project.clone()).collect();
        self.questions.look((places, &active), now, self.stopping);
        self.questions.look_at_told(&standings);
        self.questions.all_released(|run| self.named.waits(run));
        if !self.stopping {
            self.questions.all_wait_for_something(places, &standings);
        }
    }

    pub(crate) fn all_answered(&self) {
        self.questions.all_answered();
    }

    pub(crate) fn stopped(&self, engine: &Engine) {
        let left: Vec<&RunReport> = engine.runs().collect();
        assert!(
            self.exited,
            "the engine was told to stop and did not: {left:#?}"
        );
        assert_eq!(engine.runs().count(), 0, "a run outlives the daemon");
        let left: Vec<&RunId> = self.begun.keys().collect();
        assert!(left.is_empty(), "these never ended: {left:?}");
        self.questions.all_answered();
        self.named.none_left();
        self.no_mutex_is_kept();
    }
}
