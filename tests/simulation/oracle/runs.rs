//! The judge of runs: how one begins, what its stages may do, how it ends, and what it then proves.

use crate::fixture::{
    HOMES, JOBS, NEVER_ALLOWED, Setting, index, part, passes, path, read_by_test,
};
use crate::oracle::{Begun, Held, LetBe, Oracle, announced, is_own, keys};
use crate::outside::{fails_for_time, proves};
use orch::engine::{Engine, ProjectId, Standing};
use orch::model::config::{Command, Config};
use orch::model::digest::InputDigest;
use orch::model::id::{RunId, StageId};
use orch::model::run::{
    Cause, Changed, Outcome, RunReport, RunStatus, StageStatus, StageWork, Verdict,
};
use std::collections::BTreeMap;

impl Oracle {
    /// One active run per project, one beginning per run, and none for what is proven already.
    pub(super) fn begin(&mut self, report: &RunReport) {
        assert!(!self.stopping, "a run begins while the daemon ends");
        let project = ProjectId {
            workspace: report.workspace,
            task: report.task.clone(),
        };
        let place = index(&report.task);
        let setting = self.settings[&HOMES[place]];
        let child = report.cause == Cause::Parent;
        if !child {
            let mut others = self.begun.values();
            let other = others.any(|begun| begun.project == project && !begun.child);
            assert!(!other, "two runs of {project:?} are active");
            assert!(
                !setting.refuses(),
                "a run begins although the configuration is refused"
            );
            let blind = self.questions.is_blind(report.workspace);
            assert!(!blind, "a run begins while the view is being rebuilt");
        }
        if matches!(report.cause, Cause::Start | Cause::Change) {
            let git = self.git.get(&place);
            let held = git.is_some_and(|git| git.holds(self.now));
            let awaited = self.questions.is_awaited(&project);
            assert!(
                !held || awaited,
                "a run begins by itself while git is at work"
            );
        }
        self.failed.begin(report);
        self.begin_on_view(report, setting);
        self.take_announced(report, &project);
        if is_own(report) {
            self.begin_own(report, (place, setting));
        }
        if report.cause == Cause::Resume {
            self.forget_proof(&report.run);
            self.questions.taken_up(&report.run);
            self.failed.forget(&report.run);
            self.ended.remove(&report.run);
        } else {
            let pending = (project.clone(), report.pipeline.clone());
            self.queued.remove(&pending);
            self.needless.remove(&pending);
        }
        self.recorded.remove(&(report.run.clone(), false));
        self.recorded.remove(&(report.run.clone(), true));
        self.ending.remove(&report.run);
        // A stage that a resume keeps has read what it read then.
        let kept = |id: &StageId| {
            let mut stages = report.stages.iter();
            stages.any(|stage| stage.id == *id && stage.status != StageStatus::Pending)
        };
        let now = report.input.unwrap();
        let content = &self.contents[&now];
        if let Some(read) = self.read.get_mut(&report.run) {
            read.retain(|stage, _| kept(stage));
            // What it does not read may be other by now.
            for (stage, read) in read.iter_mut() {
                let same =
                    |then: &InputDigest| part(stage, &self.contents[then]) == part(stage, content);
                *read = read
                    .iter()
                    .map(|then| if same(then) { now } else { *then })
                    .collect();
            }
        }
        self.before.insert(report.run.clone(), self.captures);
        self.bytes.begin(report, content);
        let begun = Begun { project, child };
        let before = self.begun.insert(report.run.clone(), begun);
        assert!(before.is_none(), "{} begins twice", report.run);
    }

    /// No run begins before somebody was told that it is queued.
    fn take_announced(&mut self, report: &RunReport, project: &ProjectId) {
        let kind = announced(report.cause);
        let wanted = (project.clone(), report.pipeline.clone(), kind);
        let told = match report.cause {
            Cause::Manual => self.named.begin(report, &self.questions),
            Cause::Start | Cause::Change | Cause::Gate => {
                self.named.first(&report.run, project);
                self.announced.remove(&wanted)
            }
            Cause::Resume | Cause::Parent => self.announced.remove(&wanted),
        };
        assert!(
            told,
            "{} begins, and nobody was told that it is queued",
            report.run
        );
    }

    /// The evidence of a run is gone: from now on nobody may hear of what it proved.
    pub(crate) fn vanished(&mut self, engine: &Engine, id: &ProjectId, run: &RunId) {
        self.forget_proof(run);
        self.failed.forget(run);
        self.recorded.remove(&(run.clone(), true));
        self.said.retain(|(other, _)| other != run);
        self.ended.remove(run);
        let place = index(&id.task);
        let present = engine.standing(id);
        let present = present.filter(|standing| standing.proof.as_ref() == Some(run));
        let input = present.and_then(|standing| standing.input);
        if let Some(input) = input
            && self.settings[&HOMES[place]] == Setting::Waiting
        {
            self.let_be.insert(
                place,
                LetBe {
                    input,
                    keys: None,
                    surely: false,
                },
            );
        }
    }

    fn begin_on_view(&self, report: &RunReport, setting: Setting) {
        if report.pipeline.as_str() != "line" {
            return;
        }
        let content = &self.contents[&report.input.unwrap()];
        let mut stages = report.stages.iter();
        let test = stages.find(|stage| stage.id.as_str() == "test").unwrap();
        // A stage that a resume keeps read what it read then.
        let read = test.attempts > 0
            || test.reused_from.is_some()
            || test.input == Some(read_by_test(content, setting));
        assert!(
            read,
            "{} begins on a view of another configuration",
            report.run
        );
    }

    /// A run of the project's own pipeline begins for what its content calls for.
    fn begin_own(&mut self, report: &RunReport, (place, setting): (usize, Setting)) {
        let asked = !matches!(report.cause, Cause::Start | Cause::Change | Cause::Gate);
        let known = (place, keys(report));
        let red = self.proven.get(&known);
        if red.is_some_and(|run| self.doubted.contains(run)) {
            self.proven.remove(&known);
        }
        let proven = self.proven.contains_key(&known);
        assert!(
            asked || !proven,
            "what is proven runs again: {:?}",
            report.cause
        );
        assert!(
            report.cause != Cause::Start || setting != Setting::Waiting,
            "a run starts although it has to wait for a change"
        );
        let by_itself = matches!(report.cause, Cause::Start | Cause::Change);
        let let_be = self.let_be.remove(&place);
        let surely = let_be.as_ref().is_some_and(|content| content.surely);
        let same = let_be.is_some_and(|content| {
            Some(content.input) == report.input
                && content.keys.is_none_or(|old| old == keys(report))
        });
        assert!(
            !by_itself || !same || !surely,
            "what was to be left alone runs by itself"
        );
        self.begin_knowing(report, place);
        let vague = self.vague.contains(&(place, report.input.unwrap()));
        let error = vague || self.errors.contains(&(place, keys(report)));
        assert!(
            report.cause != Cause::Gate || same || error,
            "a question is called the cause of a run that a change is the cause of"
        );
    }

    /// What the stages are told of changes is all that makes the content another than one that passed.
    fn begin_knowing(&self, report: &RunReport, place: usize) {
        let Changed::Paths(told) = &report.unproven else {
            return;
        };
        let content = &self.contents[&report.input.unwrap()];
        let passed = self.passed.get(&place).into_iter().flatten();
        let complete = passed.map(|input| &self.contents[input]).any(|passed| {
            let files = content.keys().chain(passed.keys());
            files
                .filter(|file| content.get(file) != passed.get(file))
                .all(|file| told.contains(&path(place, *file)))
        });
        assert!(
            complete,
            "{} is not told of all that no run has passed: {told:?}",
            report.run
        );
    }

    /// Another configuration may give a stage more time.
    pub(super) fn forget_for_time(&mut self, place: usize) {
        self.failed.forget_for_time(place);
        let ended = &self.ended;
        let late = |run: &RunId| ended.get(run).is_some_and(fails_for_time);
        self.proven
            .retain(|(of, _), run| *of != place || !late(run));
    }

    /// What the stages of a run have read, and those of the child runs that some of them are.
    fn read_by<'a>(&'a self, report: &'a RunReport) -> impl Iterator<Item = &'a InputDigest> {
        let children = report.stages.iter().filter_map(|stage| match &stage.work {
            StageWork::Subpipeline { child, .. } => child.as_ref(),
            StageWork::Command(_) => None,
        });
        let runs = children.chain([&report.run]);
        let read = runs.filter_map(|run| self.read.get(run));
        read.flat_map(BTreeMap::values).flatten()
    }

    pub(super) fn forget_proof(&mut self, run: &RunId) {
        self.proven.retain(|_, other| other != run);
    }

    /// Every run ends in exactly one terminal status, with none of its stages left running, and proves only what it read.
    pub(super) fn end(&mut self, report: &RunReport, standing: Option<&Standing>) {
        let run = &report.run;
        let status = report.status;
        assert!(status.is_terminal(), "{run} ends as {status:?}");
        assert!(self.ending.insert(run.clone()), "{run} ends twice");
        let live = self.running.keys().any(|(other, _)| other == run);
        assert!(!live, "a stage outlives its run");
        let retried = report.stages.iter().any(|stage| {
            stage.outcome == Outcome::Flaky
                || (stage.attempts > 1 && stage.outcome == Outcome::Passed)
                || matches!(&stage.work, StageWork::Subpipeline { child: Some(child), .. } if self.retried.contains(child))
        });
        if retried && status == RunStatus::Succeeded {
            self.retried.insert(run.clone());
        }
        assert!(
            !matches!(report.verdict, Verdict::Pass) || !retried,
            "a pass after a failure is told as a pass"
        );
        self.failed.judge(report);
        if proves(report) {
            let place = (index(&report.task), report.pipeline.clone());
            let looked = self.looked.get(&place) > self.before.get(run);
            assert!(looked, "{run} proves without a look after its last stage");
            let mut read = self.read_by(report);
            let same = read.all(|content| Some(*content) == report.input);
            drop(read);
            assert!(same, "{run} proves what its stages did not read");
        }
        if matches!(report.verdict, Verdict::Pass | Verdict::Flaky) {
            assert_eq!(status, RunStatus::Succeeded, "green although {status:?}");
            let content = &self.contents[&report.input.unwrap()];
            let counts = report.pipeline.as_str() != "extra";
            assert!(
                !counts || passes(content),
                "{run} proves {content:?}, which fails"
            );
            if is_own(report) {
                let passed = self.passed.entry(index(&report.task)).or_default();
                passed.insert(report.input.unwrap());
            }
        }
        if report.verdict == Verdict::Unstable {
            let place = (index(&report.task), report.pipeline.clone());
            self.closing.insert(run.clone(), self.seen[&place]);
        }
        if let Some(standing) = standing.filter(|standing| standing.proof.as_ref() == Some(run)) {
            assert_eq!(
                standing.verdict, report.verdict,
                "evidence and state differ"
            );
        }
    }

    /// Evidence first; then room, mutexes and no more attempts than were asked for.
    pub(super) fn start_stage(
        &mut self,
        run: &RunId,
        stage: usize,
        report: &RunReport,
        config: &Config,
    ) {
        let begun = self.recorded.contains(&(run.clone(), false));
        assert!(begun, "a stage starts before the manifest is on disk");
        assert!(
            !self.ending.contains(run),
            "a stage starts after its run has ended"
        );
        let pipeline = config.pipeline(&report.pipeline).unwrap();
        let command: &Command = pipeline.stages[stage].command().unwrap();
        let line = command.line.text();
        assert_ne!(line, NEVER_ALLOWED, "a command runs that was not allowed");
        let setting = self.settings[&HOMES[index(&report.task)]];
        assert_ne!(
            setting,
            Setting::Denied,
            "a stage starts after it was denied"
        );
        let attempts = report.stages[stage].attempts;
        assert!(
            attempts <= command.retries + 1,
            "attempt {attempts} of a stage with {} retries",
            command.retries
        );
        let mutex = command.mutex.clone();
        let held = mutex.is_some() && self.running.values().any(|other| other.mutex == mutex);
        assert!(!held, "two stages hold the mutex {mutex:?}");
        mutex.iter().for_each(|mutex| self.mutexes.starts(mutex));
        let workspace = report.workspace;
        let before = self
            .running
            .insert((run.clone(), stage), Held { workspace, mutex });
        assert!(
            before.is_none(),
            "stage {stage} of {run} runs twice at once"
        );
        let ours = self.running.values();
        let ours = ours.filter(|held| held.workspace == workspace).count();
        assert!(ours <= JOBS, "more stages than jobs");
    }

    pub(super) fn run_ended(&mut self, report: &RunReport) {
        let recorded = self.recorded.contains(&(report.run.clone(), true));
        assert!(
            recorded || report.verdict == Verdict::Error,
            "news of an end before its evidence"
        );
        self.failed.told(report);
        let begun = self.begun.remove(&report.run);
        let begun = begun.expect("an ended run has begun");
        if begun.child {
            return;
        }
        self.said.insert((report.run.clone(), report.verdict));
        self.ended.insert(report.run.clone(), report.clone());
        if !is_own(report) {
            return;
        }
        let place = index(&report.task);
        self.restarts.ended(place, report);
        let key = (place, keys(report));
        if proves(report) {
            self.proven.insert(key, report.run.clone());
        } else if report.verdict == Verdict::Error {
            self.proven.remove(&key);
            self.errors.insert(key);
        }
        // What somebody ended is left alone; what the daemon ended by itself is not.
        let by_hand = report.status_detail.as_deref() == Some("run-canceled");
        let unsaid = report.verdict == Verdict::Unknown && report.void.is_none();
        let ended = by_hand && report.verdict == Verdict::Unknown;
        let resumed = report.cause == Cause::Resume;
        if resumed && report.verdict == Verdict::Error {
            self.vague.insert((place, report.input.unwrap()));
        }
        if ended || (unsaid && report.status != RunStatus::Cancelled) {
            let input = report.input.unwrap();
            // Of a run that was taken up again some are those of what it kept.
            let surely = !resumed;
            let keys = Some(keys(report)).filter(|_| surely);
            let let_be = LetBe {
                input,
                keys,
                surely,
            };
            self.let_be.insert(place, let_be);
        }
    }
}
