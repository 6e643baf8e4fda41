//! The stages of a run: which may start, how an attempt ends, when one is signalled.
//!
//! The runner only obeys: deadlines, grace and retries are decided here, on the monotonic clock.

use crate::engine::ask::Stop;
use crate::engine::history::passed_on;
use crate::engine::news::{News, StageTold};
use crate::engine::run::{Live, Run};
use crate::engine::state::Engine;
use crate::engine::verdicts::failed_below;
use crate::engine::{Effect, ProjectId};
use crate::limits::STAGES_RUNNING_MAX;
use crate::model::config::{Action, Command};
use crate::model::id::{PipelineId, RunId};
use crate::model::run::{Ending, Exit, Outcome, RunReport, RunStatus, StageStatus, Verdict};
use crate::model::summary;

impl Engine {
    /// Whether a stage that is ready may start: there is room, and nobody holds its mutex.
    pub(super) fn may_start(&self, id: &RunId, stage: usize) -> bool {
        let Some(run) = self.runs.get(id) else {
            return false;
        };
        let Some(definition) = run.definition(stage) else {
            return false;
        };
        let Action::Command(command) = &definition.action else {
            return true;
        };
        let workspace = run.project.workspace;
        let jobs = run.config.settings.jobs.unwrap_or(self.cores);
        let busy = self
            .running()
            .filter(|(other, _)| other.workspace == workspace)
            .count();
        let room = u32::try_from(busy).is_ok_and(|busy| busy < jobs.get());
        let held = command.mutex.is_some()
            && self
                .running()
                .any(|(_, other)| other.mutex == command.mutex);
        room && !held && self.running().count() < STAGES_RUNNING_MAX
    }

    /// The commands that run now, in any workspace.
    fn running(&self) -> impl Iterator<Item = (&ProjectId, &Command)> {
        self.runs.values().flat_map(|run| {
            let live = run.stages.iter().enumerate();
            let live =
                live.filter(|(_, live)| matches!(live, Live::Command { .. } | Live::Entering(_)));
            live.filter_map(|(index, _)| Some((&run.project, run.definition(index)?.command()?)))
        })
    }

    pub(super) fn start_stage(&mut self, id: &RunId, index: usize) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        let Some(action) = run.definition(index).map(|stage| stage.action.clone()) else {
            return;
        };
        let (Some(stage), Some(live)) =
            (run.report.stages.get_mut(index), run.stages.get_mut(index))
        else {
            return;
        };
        stage.status = StageStatus::Running;
        stage.started_at = stage.started_at.or(Some(now.wall));
        let (project, pipeline) = (
            run.project.clone(),
            match &action {
                Action::Subpipeline(sub) => Some(sub.pipeline.clone()),
                Action::Command(_) => None,
            },
        );
        match action {
            Action::Subpipeline(sub) => *live = Live::ChildExpected(sub.pipeline),
            Action::Command(command) => {
                stage.attempts = stage.attempts.saturating_add(1);
                let deadline = command.timeout.map(|timeout| now.tick.after(timeout));
                *live = Live::Command {
                    deadline,
                    kill_at: None,
                    timed_out: false,
                };
            }
        }
        let first = stage.attempts <= 1;
        let told = Box::new(StageTold {
            project: run.project.clone(),
            run: id.clone(),
            pipeline: run.report.pipeline.clone(),
            stage: stage.clone(),
            place: index,
        });
        let report = Box::new(run.report.clone());
        let config = run.config.clone();
        let run = id.clone();
        self.mark(&project);
        self.effects.push(Effect::Record {
            report: report.clone(),
        });
        match &pipeline {
            Some(pipeline) => self.want(&project, pipeline, None),
            None => self.effects.push(Effect::StartStage {
                run,
                config,
                report,
                stage: index,
            }),
        }
        if first {
            self.publish(News::StageStarted(told));
        }
    }

    /// The stages of runs that wait for a look at this pipeline to begin their children.
    pub(super) fn expecting_child(
        &self,
        id: &ProjectId,
        pipeline: &PipelineId,
    ) -> Vec<(RunId, usize)> {
        let expected = Live::ChildExpected(pipeline.clone());
        let runs = self.runs.values().filter(|run| run.project == *id);
        runs.flat_map(|run| {
            let stages = run.stages.iter().enumerate();
            let stages = stages.filter(|(_, live)| **live == expected);
            stages.map(|(stage, _)| (run.report.run.clone(), stage))
        })
        .collect()
    }

    pub(super) fn end_attempt(&mut self, id: &RunId, index: usize, ending: &Ending) {
        let failed_before = self.has_failed_before(id, index);
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        let Some(command) = run
            .definition(index)
            .and_then(|stage| stage.command())
            .cloned()
        else {
            return;
        };
        let Some(Live::Command { timed_out, .. }) = run.stages.get(index).cloned() else {
            return;
        };
        let Some(stage) = run.report.stages.get_mut(index) else {
            return;
        };
        let cancelled = run.cancelled.is_some();
        let failed_before = failed_before || stage.attempts > 1;
        let outcome = outcome(&ending.exit, timed_out, cancelled, failed_before);
        stage.outcome = outcome;
        stage.exit_code = ending.exit.code();
        stage.duration = stage.duration.saturating_add(ending.duration);
        stage.log_bytes = ending.log_bytes;
        stage.truncated = ending.truncated;
        stage.stderr.clone_from(&ending.stderr);
        run.broken |= ending.unrecorded.is_some();
        run.last_stage = Some(index);
        let passed = matches!(outcome, Outcome::Passed | Outcome::Flaky);
        let retry = !passed && !cancelled && outcome != Outcome::Unspawnable;
        if retry && stage.attempts <= command.retries {
            self.start_stage(id, index);
            return;
        }
        // What could not be run has not failed: that is nothing to be allowed.
        let allowed = command.allow_failure && !cancelled && outcome != Outcome::Unspawnable;
        let status = match (passed, allowed) {
            (true, _) => StageStatus::Succeeded,
            (false, true) => StageStatus::Skipped,
            (false, false) => StageStatus::Failed,
        };
        let timeout = command.timeout.filter(|_| outcome == Outcome::TimedOut);
        stage.summary = Some(summary::stage_summary(
            ending,
            timeout,
            command.summary_hint.as_deref(),
        ));
        stage.excerpt.clone_from(&ending.excerpt);
        self.leave_mutex(id, index);
        self.leave_stage(id, index, status);
    }

    /// A command has ended for good, and what matters of outputs is known.
    pub(super) fn end_stage(&mut self, id: &RunId, index: usize, status: StageStatus) {
        let now = self.now.wall;
        if let Some(run) = self.runs.get_mut(id)
            && let (Some(stage), Some(live)) =
                (run.report.stages.get_mut(index), run.stages.get_mut(index))
        {
            *live = Live::Idle;
            stage.status = status;
            stage.completed_at = Some(now);
        }
        self.tell_stage(id, index);
        self.advance_in_turn(Some(id));
    }

    /// A child run has ended: so has the stage that it is.
    pub(super) fn end_child(&mut self, parent: &RunId, index: usize, child: &Run, summary: &str) {
        let (report, left) = (&child.report, child.left_behind());
        let is_flaky = report.is_flaky() || self.has_failed_before(parent, index);
        let Some(run) = self.runs.get_mut(parent) else {
            return;
        };
        let optional = match run.definition(index).map(|stage| &stage.action) {
            Some(Action::Subpipeline(sub)) => sub.optional,
            Some(Action::Command(_)) | None => false,
        };
        let cancelled = run.cancelled.is_some();
        let (Some(stage), Some(live)) =
            (run.report.stages.get_mut(index), run.stages.get_mut(index))
        else {
            return;
        };
        if let Live::Child(child) = live
            && let Some(entry) = run
                .report
                .children
                .iter_mut()
                .find(|entry| entry.run == *child)
        {
            entry.status = report.status;
            entry.failed = failed_below(report);
        }
        *live = Live::Idle;
        run.last_stage = Some(index);
        (stage.status, stage.outcome) = match report.status {
            // Not by its verdict: that of a void child is unknown.
            RunStatus::Succeeded if is_flaky => (StageStatus::Succeeded, Outcome::Flaky),
            RunStatus::Succeeded => (StageStatus::Succeeded, Outcome::Passed),
            RunStatus::Cancelled => (StageStatus::Failed, Outcome::Cancelled),
            _ if cancelled => (StageStatus::Failed, Outcome::Cancelled),
            RunStatus::Failed | RunStatus::Queued | RunStatus::InProgress => {
                let status = match optional {
                    true => StageStatus::Skipped,
                    false => StageStatus::Failed,
                };
                (status, failure_of_child(report))
            }
        };
        stage.completed_at = Some(self.now.wall);
        let began = stage.started_at.unwrap_or(self.now.wall);
        stage.duration = self.now.wall.since(began);
        stage.summary = Some(summary.to_owned());
        stage.below = passed_on(&report.stages);
        run.note_left(index, left);
        let lying = child.lying.iter();
        let lying = lying.map(|(patterns, (digest, _))| (patterns.clone(), (*digest, index)));
        run.lying.extend(lying);
        run.stray(index, &child.strayed.changed());
        self.tell_stage(parent, index);
        self.advance_in_turn(Some(parent));
    }

    pub(super) fn tell_stage(&mut self, id: &RunId, index: usize) {
        let Some(run) = self.runs.get(id) else { return };
        let Some(stage) = run.report.stages.get(index) else {
            return;
        };
        let project = run.project.clone();
        let told = Box::new(StageTold {
            project: project.clone(),
            run: id.clone(),
            pipeline: run.report.pipeline.clone(),
            stage: stage.clone(),
            place: index,
        });
        self.effects.push(Effect::Record {
            report: Box::new(run.report.clone()),
        });
        self.mark(&project);
        self.publish(News::StageEnded(told));
    }

    /// Signals the stages whose time is over.
    pub(super) fn enforce_deadlines(&mut self) {
        let now = self.now.tick;
        let mut stops = Vec::new();
        for (id, run) in &mut self.runs {
            let pipeline = run.config.pipeline(&run.report.pipeline);
            for (index, live) in run.stages.iter_mut().enumerate() {
                let Live::Command {
                    deadline,
                    kill_at,
                    timed_out,
                } = live
                else {
                    continue;
                };
                if kill_at.is_some_and(|at| at <= now) {
                    // Sent again after another grace, should the first have met a group that was just being made.
                    *kill_at = Some(now.after(crate::limits::KILL_AGAIN));
                    stops.push((id.clone(), index, Stop::Kill));
                } else if kill_at.is_none() && deadline.is_some_and(|at| at <= now) {
                    let stage = pipeline.and_then(|pipeline| pipeline.stages.get(index));
                    let grace = stage
                        .and_then(|stage| stage.command())
                        .map(|command| command.grace);
                    *kill_at = Some(now.after(grace.unwrap_or_default()));
                    *timed_out = true;
                    stops.push((id.clone(), index, Stop::Term));
                }
            }
        }
        let stops = stops
            .into_iter()
            .map(|(run, stage, stop)| Effect::StopStage { run, stage, stop });
        self.effects.extend(stops);
    }
}

fn failure_of_child(report: &RunReport) -> Outcome {
    if report.verdict == Verdict::Error {
        Outcome::Unspawnable
    } else if report.is_timed_out() {
        Outcome::TimedOut
    } else {
        Outcome::Failed
    }
}

fn outcome(exit: &Exit, timed_out: bool, cancelled: bool, failed_before: bool) -> Outcome {
    match exit {
        _ if cancelled => Outcome::Cancelled,
        Exit::Unspawnable(_) => Outcome::Unspawnable,
        _ if timed_out => Outcome::TimedOut,
        Exit::Code(0) if failed_before => Outcome::Flaky,
        Exit::Code(0) => Outcome::Passed,
        Exit::Code(_) => Outcome::Failed,
        Exit::Signal(_) => Outcome::Signalled,
    }
}
