//! What the engine asks of the world, and what arrives of it: looks, evidence on disk, stages that read what is there.
//!
//! Nothing arrives at once: every effect becomes something outstanding, and a seeded scheduler picks what arrives next.
//! What one tree reports keeps its order, as the real one's does; so does what the disk takes.

mod disk;
mod machine;
mod outputs;

use crate::fixture::{
    HANGS, HOMES, ILL_FORMATTED, REWRITTEN, REWRITTEN_ALIKE, Setting, WELL_FORMATTED, config,
    digest, exit_code, index, is_fitful, own_pipeline, path, read_by, reads, task,
};
use crate::world::World;
use orch::engine::ask::{KeptStage, ResumeAsk, Stop, Until};
use orch::engine::{Effect, Input, Latest, ProjectId, Record, Watch};
use orch::model::config::{Action, Config};
use orch::model::id::{CaptureId, PipelineId, RunId, StageId, WorkspaceId};
use orch::model::report::status::LastRun;
use orch::model::run::{Changed, Ending, Exit, RunReport, StageReport, StageWork};
use orch::model::time::Tick;
use orch::model::view::{Fleeting, Subject, View};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(crate) use disk::{Disk, fails_for_time, proves};
pub(crate) use machine::Machine;
pub(crate) use outputs::{Outputs, Weighing};

/// A stage of fitful content fails once in so many times.
const FITS: usize = 3;

/// Something that a tree has to do or to tell, in order.
pub(crate) enum Tree {
    Hint(usize, u8),
    Look(CaptureId, Vec<Subject>),
    Seen(CaptureId, Option<Vec<View>>),
}

/// A workspace as it is outside of the engine.
pub(crate) struct Place {
    pub(crate) id: WorkspaceId,
    pub(crate) open: bool,
    pub(crate) forgotten: bool,
    pub(crate) setting: Setting,
    /// The last one that could be read.
    pub(crate) readable: Setting,
    /// Nothing until its first scan.
    pub(crate) watch: Option<Watch>,
    pub(crate) tree: VecDeque<Tree>,
    pub(crate) look_fails: bool,
    /// The step that git is at, while it changes files.
    pub(crate) git: Option<u8>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            id: WorkspaceId(0),
            open: false,
            forgotten: true,
            setting: Setting::Usual,
            readable: Setting::Usual,
            watch: None,
            tree: VecDeque::new(),
            look_fails: false,
            git: None,
        }
    }
}

impl Place {
    pub(crate) fn sees(&self) -> bool {
        self.watch == Some(Watch::Watching)
    }

    /// Whether nothing of it is run or answered until somebody does something about it.
    pub(crate) fn refuses(&self) -> bool {
        self.is_gone() || self.setting.refuses()
    }

    pub(crate) fn is_gone(&self) -> bool {
        !self.open || matches!(self.watch, Some(Watch::Missing { .. }))
    }

    pub(crate) fn hints(&self) -> bool {
        self.tree.iter().any(|job| matches!(job, Tree::Hint(..)))
    }

    pub(crate) fn looks(&self) -> bool {
        self.tree.iter().any(|job| !matches!(job, Tree::Hint(..)))
    }
}

impl World {
    pub(crate) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Capture {
                capture,
                workspace,
                subjects,
            } => {
                let place = self.places.iter_mut().find(|place| place.id == workspace);
                let place = place.expect("the workspace is there");
                assert!(!place.forgotten, "a look at a workspace that was forgotten");
                place.tree.push_back(Tree::Look(capture, subjects));
            }
            Effect::Foresee { .. } => {}
            Effect::Begin { report, .. } => self.records.push_back((*report, Record::Begin)),
            Effect::End { report, .. } => self.records.push_back((*report, Record::End)),
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
            Effect::Weigh {
                weigh,
                run,
                stage,
                base,
                lists,
                ..
            } => self.weighs.push_back(Weighing {
                weigh,
                stage: (run, stage),
                base,
                lists,
            }),
            Effect::TakeMutex { mutex } => self.machine.want(mutex),
            Effect::LeaveMutex { mutex } => self.leave_mutex(&mutex),
            Effect::Forget { workspace } => {
                for place in &mut self.places {
                    place.forgotten |= place.id == workspace;
                    if place.forgotten {
                        place.tree.clear();
                    }
                }
            }
            Effect::Record { .. }
            | Effect::State { .. }
            | Effect::Reply { .. }
            | Effect::Release { .. }
            | Effect::Publish { .. }
            | Effect::Exit => {}
        }
    }

    /// One outstanding thing happens, whichever chance picks.
    pub(crate) fn deliver(&mut self) {
        let trees: Vec<usize> = (0..2)
            .filter(|home| !self.places[*home].tree.is_empty())
            .collect();
        let records = usize::from(!self.records.is_empty());
        let weighs = usize::from(!self.weighs.is_empty());
        let stages = self.stages.len();
        let choices = trees.len() + records + weighs + stages + self.machine.looks();
        if choices == 0 {
            return;
        }
        let choice = self.chance(choices);
        if let Some(home) = trees.get(choice) {
            self.deliver_tree(*home);
        } else if choice < trees.len() + records {
            self.deliver_record();
        } else if choice < trees.len() + records + weighs {
            self.deliver_weighing();
        } else {
            let stage = choice - trees.len() - records - weighs;
            match self.stages.keys().nth(stage).cloned() {
                Some(key) => self.deliver_stage(key),
                None => self.deliver_mutex(stage - stages),
            }
        }
    }

    pub(crate) fn deliver_record(&mut self) {
        let (report, record) = self.records.pop_front().unwrap();
        let failure = std::mem::take(&mut self.disk_fails).then(|| "disk full".to_owned());
        let run = report.run.clone();
        if failure.is_none() {
            self.disk.take(report, record);
        }
        self.step(Input::Recorded {
            run,
            record,
            failure,
        });
    }

    pub(crate) fn deliver_tree(&mut self, home: usize) {
        match self.places[home].tree.pop_front().unwrap() {
            Tree::Hint(project, file) => self.hint(project, file),
            Tree::Look(capture, subjects) => self.look(home, capture, &subjects),
            Tree::Seen(capture, views) => {
                let workspace = self.places[home].id;
                self.step(Input::Captured {
                    capture,
                    workspace,
                    views,
                });
            }
        }
    }

    fn hint(&mut self, project: usize, file: u8) {
        let changed = Changed::Paths(vec![path(project, file)]);
        let projects = BTreeMap::from([(task(project), changed)]);
        let workspace = self.places[HOMES[project]].id;
        // It was touched before it is told.
        let lag = Duration::from_millis(u64::from(file % 4));
        self.step(Input::Touched {
            workspace,
            projects,
            at: Tick::new(self.now.saturating_sub(lag)),
        });
    }

    /// Sees everything that was saved before, tells the hints of it first, and is told later.
    fn look(&mut self, home: usize, capture: CaptureId, subjects: &[Subject]) {
        if std::mem::take(&mut self.places[home].look_fails) {
            let failed = Tree::Seen(capture, None);
            self.places[home].tree.push_front(failed);
            return;
        }
        let views = self.views(home, subjects);
        let is_hint = |job: &Tree| matches!(job, Tree::Hint(..));
        let before = std::mem::take(&mut self.places[home].tree);
        let (hints, mut rest): (VecDeque<Tree>, VecDeque<Tree>) =
            before.into_iter().partition(is_hint);
        rest.push_front(Tree::Seen(capture, Some(views)));
        self.places[home].tree = rest;
        for job in hints {
            if let Tree::Hint(project, file) = job {
                self.hint(project, file);
            }
        }
    }

    fn views(&mut self, home: usize, subjects: &[Subject]) -> Vec<View> {
        let config = config(home, self.places[home].readable);
        // A tree knows only what is configured now.
        let subjects = subjects.iter().filter(|subject| {
            config.project(&subject.task).is_some() && config.pipeline(&subject.pipeline).is_some()
        });
        let subjects: Vec<&Subject> = subjects.collect();
        subjects
            .into_iter()
            .map(|subject| self.view(subject))
            .collect()
    }

    /// What differs is told per subject, since its view before.
    fn view(&mut self, subject: &Subject) -> View {
        let project = index(&subject.task);
        let now = self.files[project].clone();
        let seen = (now.clone(), BTreeSet::new());
        let before = self.views.insert(subject.clone(), seen);
        let first = before.is_none();
        let (before, saved) = before.unwrap_or_default();
        let names: BTreeSet<u8> = now.keys().chain(before.keys()).copied().collect();
        let same = |name: &u8| now.get(name) == before.get(name);
        let undone: BTreeSet<u8> = saved.into_iter().filter(same).collect();
        let differing: BTreeSet<u8> = names.into_iter().filter(|name| !same(name)).collect();
        let touched: BTreeSet<u8> = undone.union(&differing).copied().collect();
        let setting = self.places[HOMES[project]].readable;
        let config = config(HOMES[project], setting);
        let stages = command_stages(&config, &subject.pipeline);
        let reads_some =
            |stage: &StageId| first || touched.iter().any(|file| reads(stage.as_str(), *file));
        let affected = stages.iter().filter(|(_, stage)| reads_some(stage));
        let paths = |files: &BTreeSet<u8>| files.iter().map(|name| path(project, *name)).collect();
        View {
            subject: subject.clone(),
            input: digest(&now),
            affected: affected.cloned().collect(),
            tools: BTreeMap::new(),
            changed: match first {
                true => Changed::Everything,
                false => Changed::Paths(paths(&differing)),
            },
            undone: paths(&undone),
            fleeting: Fleeting::default(),
            stages: stages
                .into_iter()
                .map(|(pipeline, stage)| {
                    let read = read_by(&stage, &now, setting);
                    ((pipeline, stage), read)
                })
                .collect(),
        }
    }

    fn deliver_stage(&mut self, key: (RunId, usize)) {
        let (report, told) = self.stages.get(&key).unwrap();
        let (told, project) = (*told, index(&report.task));
        let (stage, first) = (report.stages[key.1].clone(), key.1 == 0);
        let own = report.pipeline.as_str() == own_pipeline(project);
        let content = self.files[project].clone();
        let fails = is_fitful(&content) && self.chance(FITS) == 0;
        let hangs = stage.id.as_str() == "build" && content.get(&0) == Some(&HANGS);
        let exit = match told {
            Some(Stop::Kill) => Exit::Signal(9),
            Some(Stop::Term) if !hangs => Exit::Signal(15),
            _ if hangs => return,
            _ if fails => Exit::Code(1),
            _ => Exit::Code(exit_code(&stage.id, &content, stage.attempts)),
        };
        match content.get(&1) {
            Some(&REWRITTEN) if first && own => {
                let before = content.get(&2).copied().unwrap_or_default();
                self.save(project, 2, before + REWRITTEN_ALIKE);
            }
            Some(&ILL_FORMATTED) if first && own => self.save(project, 1, WELL_FORMATTED),
            _ => {}
        }
        self.stages.remove(&key);
        self.oracle.read(&key.0, &stage.id, &content);
        self.execute(project, &key, &stage.id, &content, &exit);
        self.step(Input::StageEnded {
            run: key.0,
            stage: key.1,
            ending: ending(exit),
        });
    }
}

/// The command stages of a pipeline and of those below it.
pub(crate) fn command_stages(config: &Config, pipeline: &PipelineId) -> Vec<(PipelineId, StageId)> {
    let stages = config.pipeline(pipeline).into_iter();
    let stages = stages.flat_map(|pipeline| &pipeline.stages);
    let stages = stages.flat_map(|stage| match &stage.action {
        Action::Command(_) => vec![(pipeline.clone(), stage.id.clone())],
        Action::Subpipeline(sub) => command_stages(config, &sub.pipeline),
    });
    stages.collect()
}

pub(crate) fn ending(exit: Exit) -> Ending {
    Ending {
        duration: Duration::from_millis(1),
        ..Ending::silent(exit)
    }
}

/// The newest run as `status` shows it after a restart.
pub(crate) fn latest(report: &RunReport) -> Latest {
    Latest {
        run: LastRun {
            run_id: report.run.clone(),
            status: report.status,
            status_detail: report.status_detail.clone(),
            started_at: report.started_at,
            completed_at: report.completed_at,
            duration_ms: None,
            manifest: String::new(),
            cause: Some(report.cause),
        },
        failure: None,
    }
}

/// A run of the evidence, asked to be taken up again.
pub(crate) fn taken_up(report: RunReport, project: ProjectId) -> ResumeAsk {
    let stages = kept_stages(&report);
    ResumeAsk {
        project,
        run: report.run,
        pipeline: report.pipeline,
        parent: None,
        approval_policy: None,
        started_at: report.started_at,
        stages,
        children: report.children,
        actor: "cli".to_owned(),
        reason: "manual-resume".to_owned(),
        until: Until::Ended,
    }
}

/// The stages as the evidence of their run has them; what those of a void run have read is not known.
fn kept_stages(report: &RunReport) -> Vec<KeptStage> {
    let stages = report.stages.iter().cloned().map(kept);
    let known = |stage: KeptStage| KeptStage {
        content_key: stage.content_key.filter(|_| report.void.is_none()),
        key: stage.key.filter(|_| report.void.is_none()),
        below: match report.void {
            None => stage.below,
            Some(_) => BTreeSet::new(),
        },
        ..stage
    };
    stages.map(known).collect()
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
        content_key: stage.content_key,
        key: stage.key,
        below: stage.below,
        input: stage.input,
        reused_from: stage.reused_from,
        attempts: stage.attempts,
        duration: stage.duration,
        log_bytes: stage.log_bytes,
        truncated: stage.truncated,
    }
}
