//! The judge of what is green: every stage of it was executed, and has passed, on the very bytes that it has now, which
//! lay still meanwhile, with what the stages had left that it waits for.
//!
//! Where a run takes a stage over, another one has to have executed it so, and its evidence has to be there.

use crate::fixture::{Content, LEAVING, given_to, index, part, reads};
use crate::oracle::Oracle;
use orch::engine::news::StageTold;
use orch::model::id::{RunId, StageId};
use orch::model::run::{RunReport, StageReport, StageStatus, StageWork, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What a stage has left; nothing where nothing is there.
type Lying = Option<String>;

/// An attempt that has passed.
struct Execution {
    stage: StageId,
    command: String,
    read: Content,
    given: Vec<Lying>,
    /// What it was found to have left, as soon as anybody looked.
    left: Option<Lying>,
    /// Whether what it reads was not touched while it ran.
    still: bool,
}

/// A stage that runs: what it executes, and how often each file had been touched when it started.
struct Started {
    command: String,
    touched: BTreeMap<u8, u32>,
}

#[derive(Default)]
pub(super) struct Bytes {
    touched: BTreeMap<usize, BTreeMap<u8, u32>>,
    running: BTreeMap<(RunId, usize), Started>,
    done: BTreeMap<(RunId, usize), Execution>,
    /// The stages of which the evidence of their run says that their pass stands.
    proven: BTreeSet<(RunId, usize)>,
    /// What was found of what a stage has left, by project; nothing where that could not be said.
    weighed: BTreeMap<(usize, &'static str), Option<Lying>>,
    /// The content that runs under way began on.
    began: BTreeMap<RunId, Content>,
    /// Runs that execute everything, because somebody asked for that.
    forced: BTreeSet<RunId>,
}

fn command(stage: &StageReport) -> Option<String> {
    match &stage.work {
        StageWork::Command(line) => Some(line.text()),
        StageWork::Subpipeline { .. } => None,
    }
}

impl Bytes {
    pub(super) fn restarted(mut self) -> Self {
        self.running.clear();
        self.weighed.clear();
        self.began.clear();
        self
    }

    fn touched(&self, project: usize, stage: &StageId) -> BTreeMap<u8, u32> {
        let files = self.touched.get(&project).into_iter().flatten();
        let read = files.filter(|(file, _)| reads(stage.as_str(), **file));
        read.map(|(file, times)| (*file, *times)).collect()
    }

    pub(super) fn start(&mut self, run: &RunId, place: usize, report: &RunReport) {
        let stage = &report.stages[place];
        let started = Started {
            command: command(stage).unwrap(),
            touched: self.touched(index(&report.task), &stage.id),
        };
        self.running.insert((run.clone(), place), started);
        self.done.remove(&(run.clone(), place));
    }

    pub(super) fn begin(&mut self, report: &RunReport, content: &Content) {
        self.began.insert(report.run.clone(), content.clone());
        let below = report.parent.as_ref();
        if below.is_some_and(|parent| self.forced.contains(parent)) {
            self.forced.insert(report.run.clone());
        }
    }

    /// Somebody who wants everything executed is told of this run.
    pub(super) fn force(&mut self, report: &RunReport) {
        let mut stages = report.stages.iter();
        let taken = stages.find(|stage| stage.reused_from.is_some());
        assert!(taken.is_none(), "a forced run takes over {taken:?}");
        self.forced.insert(report.run.clone());
    }

    /// What the stages were found to have left that this one waits for.
    fn given(&self, project: usize, stage: &StageId) -> Vec<Option<&Lying>> {
        let given = given_to(stage).iter();
        let given = given.map(|of| self.weighed.get(&(project, *of)));
        given.map(|found| found.and_then(Option::as_ref)).collect()
    }

    /// A stage has ended; if it was taken over, it is what another run has executed.
    pub(super) fn ended(&self, told: &StageTold, is_recorded: impl Fn(&RunId) -> bool) {
        let stage = &told.stage;
        let Some(from) = &stage.reused_from else {
            return;
        };
        let (run, project) = (&told.run, index(&told.project.task));
        assert!(
            !self.forced.contains(run),
            "a forced run takes over {stage:?}"
        );
        assert!(
            is_recorded(from),
            "taken over without its evidence: {stage:?}"
        );
        let (place, _) = stage.reused_as.as_ref().unwrap();
        assert!(
            self.proven.contains(&(from.clone(), *place)),
            "taken over, and its evidence does not say that it is proven: {stage:?}"
        );
        let Some(done) = self.done.get(&(from.clone(), *place)) else {
            panic!("taken over from a run that has not executed it: {stage:?}");
        };
        assert_eq!(done.stage, stage.id, "taken over from another stage");
        assert_eq!(Some(&done.command), command(stage).as_ref());
        let now = part(&stage.id, &self.began[run]);
        assert_eq!(done.read, now, "taken over of other bytes: {stage:?}");
        assert!(
            done.still,
            "taken over of what did not lie still: {stage:?}"
        );
        let given: Vec<Option<&Lying>> = done.given.iter().map(Some).collect();
        let now = self.given(project, &stage.id);
        assert_eq!(given, now, "taken over with other outputs: {stage:?}");
        if let Some(own) = LEAVING.into_iter().find(|of| *of == stage.id.as_str()) {
            let lies = self.weighed.get(&(project, own));
            assert_eq!(
                lies,
                Some(&done.left),
                "taken over, and what it left is not there: {stage:?}"
            );
        }
    }

    /// What a run says of its stages when it has ended.
    pub(super) fn judge(&mut self, report: &RunReport) {
        let (run, project) = (&report.run, index(&report.task));
        let Some(began) = self.began.remove(run) else {
            return;
        };
        if self.forced.contains(run) {
            self.force(report);
        }
        let green = matches!(report.verdict, Verdict::Pass | Verdict::Flaky);
        for (place, stage) in report.stages.iter().enumerate() {
            let own = command(stage).is_some() && stage.reused_from.is_none();
            match own && stage.proven {
                true => self.proven.insert((run.clone(), place)),
                false => self.proven.remove(&(run.clone(), place)),
            };
            let passed = green && stage.status == StageStatus::Succeeded;
            if !own || !(passed || stage.proven) {
                continue;
            }
            let Some(done) = self.done.get(&(run.clone(), place)) else {
                panic!("green, and never executed: {stage:?}");
            };
            assert_eq!(
                done.read,
                part(&stage.id, &began),
                "green for other bytes: {stage:?}"
            );
            assert!(done.still, "green for what did not lie still: {stage:?}");
            // What nobody could weigh is in no key.
            if stage.key.is_some() {
                let given: Vec<Option<&Lying>> = done.given.iter().map(Some).collect();
                let found = self.given(project, &stage.id);
                assert_eq!(
                    given, found,
                    "proven with other outputs, or green: {stage:?}"
                );
            }
        }
    }
}

impl Oracle {
    /// A file of a project is another one.
    pub(crate) fn touched(&mut self, project: usize, file: u8) {
        let files = self.bytes.touched.entry(project).or_default();
        *files.entry(file).or_default() += 1;
    }

    /// An attempt of a stage has ended, which found this of what others have left.
    pub(crate) fn executed(
        &mut self,
        (project, key): (usize, &(RunId, usize)),
        (stage, content): (&StageId, &Content),
        given: Vec<Lying>,
        passed: bool,
    ) {
        let touched = self.bytes.touched(project, stage);
        let Some(started) = self.bytes.running.remove(key).filter(|_| passed) else {
            return;
        };
        let execution = Execution {
            stage: stage.clone(),
            command: started.command,
            read: part(stage, content),
            given,
            left: None,
            still: started.touched == touched,
        };
        self.bytes.done.insert(key.clone(), execution);
    }

    /// It was found what a stage has left, or that it cannot be said.
    pub(crate) fn weighed(
        &mut self,
        of: (usize, &'static str),
        stage: &(RunId, usize),
        found: Option<Lying>,
    ) {
        if let Some(done) = self.bytes.done.get_mut(stage) {
            done.left.clone_from(&found);
        }
        self.bytes.weighed.insert(of, found);
    }
}
