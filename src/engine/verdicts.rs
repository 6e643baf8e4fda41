//! What a run proves, and how its end is told: evidence first, then news, then answers.
//!
//! A run whose content changed while it ran proves nothing of either content, and says which paths changed.

use crate::engine::history::{admit_failures, passed_on};
use crate::engine::keys::{Proof, Seen};
use crate::engine::news::News;
use crate::engine::run::{Phase, Run};
use crate::engine::state::Engine;
use crate::engine::{Effect, Latest};
use crate::limits::REWRITTEN_PATHS_SHOWN_MAX;
use crate::model::evidence::{Layout, numbered};
use crate::model::id::{RequestId, RunId, Seq};
use crate::model::report::status::{Failure, LastRun};
use crate::model::run::{
    BY_HAND, Changed, FailedBelow, Outcome, RunReport, RunStatus, StageReport, StageStatus,
    StageWork, UNRECORDED, Verdict, Void,
};
use crate::model::time::Tick;
use std::collections::BTreeSet;

impl Engine {
    /// Decides what a run proves, now that the content was looked at again, and has its evidence recorded.
    ///
    /// Without a look everything may have changed.
    pub(super) fn conclude(&mut self, id: &RunId, now_seen: Option<&Seen>) {
        let now_seen = now_seen.filter(|_| !self.has_other_time(id));
        let passing = self.judge_passing(id);
        let Some(run) = self
            .runs
            .get_mut(id)
            .filter(|run| matches!(run.phase, Phase::Checking(_)))
        else {
            return;
        };
        let same = now_seen.is_some_and(|seen| seen.keys == run.seen.keys);
        // An edit that was undone leaves the same content, but a stage may have read what was there in between.
        // So does what came and went, and what a stage found other than what it had waited for.
        let binds = same && run.is_undisturbed();
        if binds {
            admit_failures(&mut run.report.stages, self.projects.get(&run.project));
        }
        let mut verdict = of_run(run);
        let mut rewritten = None;
        if !binds {
            let changed = match now_seen {
                Some(_) => run.voided_by(),
                None => Changed::Everything,
            };
            if matches!(verdict, Verdict::Pass | Verdict::Fail | Verdict::Flaky) {
                verdict = Verdict::Unknown;
            }
            rewritten = Some(run.still_changed(&changed));
            run.report.void = Some(Void {
                changed,
                rewritten: Vec::new(),
            });
        }
        let root = run.parent_stage.is_none();
        let own_work = rewritten.filter(|_| root && run.cancelled.is_none());
        let project = run.project.clone();
        // A child run says nothing of what its parent's stages rewrite again.
        let ours = self.projects.get_mut(&project).filter(|_| root);
        let before = ours.and_then(|project| project.culprits.take());
        self.end_restarts(id);
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        if let Some(culprits) = own_work {
            let again = before.iter();
            let again = again.flat_map(|before| before.intersection(&culprits).cloned());
            let again: Vec<_> = again.chain(passing).collect();
            if !again.is_empty() && verdict == Verdict::Unknown && now_seen.is_some() {
                verdict = Verdict::Unstable;
                if let Some(void) = &mut run.report.void {
                    void.rewritten = again;
                }
            }
            if let Some(project) = self.projects.get_mut(&project) {
                project.culprits = Some(culprits);
            }
        }
        run.report.verdict = verdict;
        run.admit_proven(now_seen);
        run.admit_failed(now_seen);
        run.closing = now_seen.cloned();
        run.phase = Phase::Ending;
        let report = Box::new(run.report.clone());
        let standing = if root {
            self.standing_after(&project, &report, now_seen)
        } else {
            None
        };
        self.effects.push(Effect::End { report, standing });
    }

    /// Whether a run failed for time, and is given other time by what is configured now.
    fn has_other_time(&self, id: &RunId) -> bool {
        let late = self.runs.get(id).filter(|run| run.report.is_timed_out());
        late.is_some_and(|run| {
            let workspace = self.workspaces.get(&run.project.workspace);
            workspace.and_then(|workspace| workspace.config()) != Some(&run.config)
        })
    }

    /// The evidence is on disk: tells it.
    pub(super) fn tell_ended(&mut self, id: &RunId) {
        let Some(run) = self.runs.remove(id) else {
            return;
        };
        let project_id = run.project.clone();
        self.mark(&project_id);
        let report = Box::new(run.report.clone());
        self.note_history(&project_id, &run);
        self.note_proven(&project_id, &run);
        self.publish(News::RunEnded {
            report: report.clone(),
        });
        if let Some((parent, stage)) = &run.parent_stage {
            let said = of_child(&run.report);
            if let Some(parent) = self.runs.get_mut(parent) {
                parent.broken |= run.broken;
            }
            self.end_child(parent, *stage, &run, &said);
            self.tell_run(run.requests, &report);
            return;
        }
        let own = self
            .default_pipeline(&project_id)
            .is_some_and(|own| own.id == run.report.pipeline);
        let (latest, now) = (self.latest(&run), (self.now.tick, self.seq));
        if let Some(project) = self.projects.get_mut(&project_id) {
            project.active = None;
            if own {
                project.last = Some(latest);
                project.conclude_proof(&run, now);
            }
        }
        self.tell_run(run.requests, &report);
        self.answer_after(&project_id, &run.report);
        self.go_on(&project_id);
    }

    /// An ended run as `status` shows it.
    fn latest(&self, run: &Run) -> Latest {
        let report = &run.report;
        let layout = self
            .workspaces
            .get(&run.project.workspace)
            .map(|w| &w.layout);
        let manifest = layout.map(|layout| layout.manifest(&report.task, &report.run));
        let failure = layout.and_then(|layout| failure(report, layout));
        Latest {
            run: LastRun {
                run_id: report.run.clone(),
                status: report.status,
                status_detail: report.status_detail.clone(),
                started_at: report.started_at,
                completed_at: report.completed_at,
                // As the history has it, which knows no other clock than the manifest's.
                duration_ms: report
                    .completed_at
                    .and_then(|end| u64::try_from(end.since(report.started_at).as_millis()).ok()),
                manifest: manifest.unwrap_or_default(),
                cause: Some(report.cause),
            },
            failure,
        }
    }

    /// The evidence could not be put on disk: the run proves nothing, and says so.
    pub(super) fn give_up(&mut self, id: &RunId, failure: &str) {
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        run.report.verdict = Verdict::Error;
        run.report.status_detail = Some(format!("{UNRECORDED}{failure}"));
        run.broken = true;
        run.phase = Phase::Ending;
        self.tell_ended(id);
    }

    pub(super) fn tell_begun(&mut self, id: &RunId) {
        let Some(run) = self.runs.get(id) else { return };
        let report = run.report.clone();
        let requests: Vec<RequestId> = run.requests.iter().copied().collect();
        let told: BTreeSet<RequestId> = requests
            .into_iter()
            .filter(|request| self.answer_begun(*request, &report))
            .collect();
        if let Some(run) = self.runs.get_mut(id) {
            run.requests.retain(|request| !told.contains(request));
        }
    }
}

impl super::project::Project {
    /// Takes over what an ended run of the project's own pipeline proves, or lets its content alone.
    fn conclude_proof(&mut self, run: &Run, (now, told): (Tick, Seq)) {
        let proof = |seen: &Seen, verdict| Proof {
            keys: seen.keys.clone(),
            verdict,
            on: passed_on(&run.report.stages),
            run: run.report.run.clone(),
            timed_out: verdict == Verdict::Fail && run.report.is_timed_out(),
            confirmed: false,
            told,
        };
        let once_more = self.recheck.take(&run.seen.keys);
        match run.report.verdict {
            Verdict::Pass | Verdict::Fail | Verdict::Flaky | Verdict::Error => {
                self.remember(proof(&run.seen, run.report.verdict));
            }
            // It is told of what the stage left behind: that is what would be rewritten again. What somebody saved
            // since was never run; nor was this, if it was somebody's save.
            Verdict::Unstable => {
                if let Some(seen) = &run.closing {
                    self.remember(Proof {
                        confirmed: once_more,
                        ..proof(seen, Verdict::Unstable)
                    });
                    if !once_more {
                        self.recheck.want(now);
                    }
                }
            }
            // What somebody ended is left alone; what was ended to make way is not.
            Verdict::Unknown if run.cancelled == Some(BY_HAND) => {
                self.left_alone = Some(run.seen.keys.clone());
            }
            Verdict::Unknown if run.cancelled.is_none() && run.report.void.is_none() => {
                self.left_alone = Some(run.seen.keys.clone());
            }
            Verdict::Unknown => {}
        }
    }
}

/// What the stages of a run amount to, before anybody asks whether the content is still the same.
fn of_run(run: &Run) -> Verdict {
    let stages = &run.report.stages;
    let failed_by = |outcome| {
        stages
            .iter()
            .any(|s| s.status == StageStatus::Failed && s.outcome == outcome)
    };
    match run.report.status {
        _ if run.broken => Verdict::Error,
        RunStatus::Failed if stages.is_empty() => Verdict::Error,
        RunStatus::Failed if failed_by(Outcome::Unspawnable) => Verdict::Error,
        // A child run was cancelled: that says nothing of the content.
        RunStatus::Failed if failed_by(Outcome::Cancelled) => Verdict::Unknown,
        // A stage that was kept from before a resume tells only of the content that it ran on, and the others may have
        // used what it left.
        _ if kept_from_elsewhere(run) => Verdict::Unknown,
        RunStatus::Failed => Verdict::Fail,
        RunStatus::Cancelled | RunStatus::Queued | RunStatus::InProgress => Verdict::Unknown,
        RunStatus::Succeeded if run.report.is_flaky() => Verdict::Flaky,
        RunStatus::Succeeded => Verdict::Pass,
    }
}

/// Whether a stage has another key than the content that the run began on gives it.
pub(super) fn kept_from_elsewhere(run: &Run) -> bool {
    let mut stages = run.report.stages.iter().zip(&run.seen.keys);
    stages.any(|(stage, key)| stage.content_key != Some(*key))
}

/// Why a run failed, in the published orchestrator's words.
pub(super) fn detail(stage: &StageReport) -> String {
    match (&stage.work, stage.outcome) {
        (StageWork::Subpipeline { pipeline, .. }, Outcome::Unspawnable) => {
            format!("subpipeline:{pipeline}:error")
        }
        (StageWork::Subpipeline { pipeline, .. }, _) => format!("subpipeline:{pipeline}:failed"),
        (StageWork::Command(_), Outcome::Unspawnable) => format!("stage:{}:error", stage.id),
        (StageWork::Command(_), _) => format!("stage:{}:failed", stage.id),
    }
}

/// One line on a child run, for the stage that it is.
fn of_child(report: &RunReport) -> String {
    let failed = report
        .stages
        .iter()
        .find(|stage| stage.status == StageStatus::Failed);
    let status = match report.status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Cancelled => "was cancelled",
        RunStatus::Failed | RunStatus::Queued | RunStatus::InProgress => "failed",
    };
    match failed {
        Some(stage) => {
            let why = stage.summary.as_deref().unwrap_or_default();
            format!(
                "Sub-pipeline '{}' {status} at stage '{}': {why}",
                report.pipeline, stage.title
            )
        }
        None => format!("Sub-pipeline '{}' {status}.", report.pipeline),
    }
}

fn failed_first(report: &RunReport) -> Option<(usize, &StageReport)> {
    let failed = report.stages.iter().enumerate();
    let failed = failed.filter(|(_, stage)| stage.status == StageStatus::Failed);
    failed.min_by_key(|(_, stage)| stage.completed_at)
}

/// The command that a run failed at first; of a stage that is a pipeline, the one that its child run failed at.
pub(super) fn failed_below(report: &RunReport) -> Option<FailedBelow> {
    let (index, stage) = failed_first(report)?;
    match &stage.work {
        StageWork::Subpipeline { child, .. } => {
            let mut children = report.children.iter();
            let child = children.find(|it| Some(&it.run) == child.as_ref())?;
            child.failed.clone()
        }
        StageWork::Command(_) => Some(FailedBelow {
            run: report.run.clone(),
            stage: stage.id.clone(),
            place: index.saturating_add(1),
            exit_code: stage.exit_code,
            said: said_by(stage),
        }),
    }
}

fn said_by(stage: &StageReport) -> String {
    let said = stage.excerpt.clone().or_else(|| stage.summary.clone());
    said.unwrap_or_default()
}

/// The stage that failed first, as `status` and the events show it, with what the command below it said; of an unstable
/// run, the one that makes it so.
#[must_use]
pub fn failure(report: &RunReport, layout: &Layout) -> Option<Failure> {
    if report.verdict == Verdict::Unstable {
        return unstable(report, layout);
    }
    let (index, stage) = failed_first(report)?;
    let failure = failure_of((index, stage), said_by(stage), report, layout);
    let below = failed_below(report).filter(|below| below.run != report.run);
    Some(match below {
        None => failure,
        Some(below) => Failure {
            exit_code: below.exit_code,
            excerpt: below.said,
            log_path: Some(layout.stage_log(&report.task, &below.run, below.place, &below.stage)),
            run_id: Some(below.run),
            ..failure
        },
    })
}

/// The first stage that ran while its run's own content was rewritten, and what was.
fn unstable(report: &RunReport, layout: &Layout) -> Option<Failure> {
    let rewritten = &report.void.as_ref()?.rewritten;
    let index = rewritten.iter().map(|(_, stage)| *stage).min()?;
    let stage = report.stages.get(index)?;
    let paths = rewritten.iter().filter(|(_, place)| *place == index);
    let paths: Vec<String> = paths.map(|(path, _)| format!("`{path}`")).collect();
    let named: Vec<&str> = paths
        .iter()
        .take(REWRITTEN_PATHS_SHOWN_MAX)
        .map(String::as_str)
        .collect();
    let more = match paths.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let said = format!(
        "rewritten while it ran, in two runs: {}{more}\nignore them, or declare them as `outputs` of the stage that writes them",
        named.join(", ")
    );
    Some(failure_of((index, stage), said, report, layout))
}

fn failure_of(
    (index, stage): (usize, &StageReport),
    excerpt: String,
    report: &RunReport,
    layout: &Layout,
) -> Failure {
    let place = index.saturating_add(1);
    let log = layout.stage_log(&report.task, &report.run, place, &stage.id);
    let twins = report.stages.iter().filter(|other| other.id == stage.id);
    Failure {
        stage: stage.id.clone(),
        name: (twins.count() > 1).then(|| numbered(place, &stage.id)),
        exit_code: stage.exit_code,
        excerpt,
        log_path: matches!(stage.work, StageWork::Command(_)).then_some(log),
        run_id: None,
    }
}
