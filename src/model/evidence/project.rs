//! From a [`RunReport`] to its [`Manifest`]: what the manifest says at each moment of a run.
//!
//! A manifest that is there already, from before a resume or from the published orchestrator, keeps what the report
//! does not know: its token, resumes, approvals, earlier child runs and unknown keys.

use super::error_file::has_error_file;
use super::guardrail::Guardrails;
use super::layout::Layout;
use super::manifest::{ChildRun, Command, Manifest, ResumeEvent, StageKind};
use crate::limits::{HEARTBEAT, HEARTBEAT_STALE};
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::run::{Outcome, RunReport, RunStatus, StageReport, StageStatus, StageWork};
use crate::model::time::Timestamp;
use serde_json::{Map, Value};

/// Why a run stands where it stands whose daemon died in it.
pub const DAEMON_LOST: &str = "daemon-lost";

impl Manifest {
    /// The first manifest of a run.
    #[must_use]
    pub fn new(report: &RunReport, slug: &str, token: &str, layout: &Layout) -> Self {
        let key = (&report.task, &report.run);
        let mut manifest = Self::blank(key, &report.pipeline, report.started_at, layout);
        manifest.task_slug = Some(slug.to_owned());
        manifest.parent_run_id.clone_from(&report.parent);
        manifest.pipeline_title.clone_from(&report.title);
        manifest.approval_policy.clone_from(&report.approval_policy);
        token.clone_into(&mut manifest.resume_token);
        manifest.commands = manifest.commands_of(report, layout);
        manifest
    }

    /// A manifest that says no more than which run it is of; its resume token is still to be set.
    #[must_use]
    pub fn blank(
        (task, run): (&TaskId, &RunId),
        pipeline: &PipelineId,
        started_at: Timestamp,
        layout: &Layout,
    ) -> Self {
        Self {
            version: 1,
            task_id: task.clone(),
            task_slug: Some(task.to_string()),
            run_id: run.clone(),
            parent_run_id: None,
            pipeline_id: pipeline.clone(),
            pipeline_title: pipeline.to_string(),
            runner: "codex-cli".to_owned(),
            approval_policy: None,
            status: RunStatus::Queued,
            status_detail: None,
            started_at,
            completed_at: None,
            updated_at: started_at,
            heartbeat_at: Some(started_at),
            heartbeat_interval_seconds: HEARTBEAT.as_secs(),
            heartbeat_stale_after_seconds: HEARTBEAT_STALE.as_secs(),
            artifact_root: layout.artifact_root(task, run),
            compat_path: layout.compat(task, run),
            log_path: layout.runner_log(task, run),
            summary: None,
            metrics_recorded: false,
            resume_token: String::new(),
            resume_events: Vec::new(),
            approvals: Vec::new(),
            commands: Vec::new(),
            child_runs: Vec::new(),
            run_summary_path: None,
            plan_target_id: None,
            runtime_mode_requested: "cli".to_owned(),
            runtime_mode: "cli".to_owned(),
            runtime_provider: "CliRuntimeProvider".to_owned(),
            runtime_fallback: Value::Null,
            instructions_hash: None,
            instructions_sources: Vec::new(),
            rest: Map::new(),
        }
    }

    /// Brings the manifest to what the report says at `now`.
    pub fn note(&mut self, report: &RunReport, layout: &Layout, now: Timestamp) {
        self.status = report.status;
        self.status_detail.clone_from(&report.status_detail);
        self.completed_at = report.completed_at;
        self.beat(now);
        self.commands = self.commands_of(report, layout);
        for resume in &report.resumes {
            let event = ResumeEvent {
                timestamp: resume.timestamp,
                actor: resume.actor.clone(),
                reason: resume.reason.clone(),
                outcome: "accepted".to_owned(),
                detail: None,
            };
            if !self.resume_events.contains(&event) {
                self.resume_events.push(event);
            }
        }
        for child in &report.children {
            let entry = ChildRun {
                run_id: child.run.clone(),
                pipeline_id: child.pipeline.clone(),
                status: child.status,
                manifest: layout.manifest(&report.task, &child.run),
            };
            match self.child_runs.iter_mut().find(|c| c.run_id == child.run) {
                Some(old) => *old = entry,
                None => self.child_runs.push(entry),
            }
        }
        let mut lines = failure_lines(report);
        if report.status.is_terminal() {
            lines.extend(self.recommendation(report.guardrails_required));
        } else {
            // A run that goes on has no end to speak of; the published orchestrator clears the same on a resume.
            self.metrics_recorded = false;
            self.run_summary_path = None;
            drop(self.rest.shift_remove("guardrail_status"));
        }
        self.summary = (!lines.is_empty()).then(|| lines.join("\n"));
    }

    /// Notes that the run's owner lives at `now`.
    pub fn beat(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.heartbeat_at = Some(now);
    }

    /// Ends a run whose daemon was lost, at `now`: what ran has failed, what succeeded stays for a resume.
    pub fn lose(&mut self, now: Timestamp) {
        for stage in &mut self.commands {
            if stage.status == StageStatus::Running {
                stage.status = StageStatus::Failed;
                stage.summary = Some("daemon lost".to_owned());
                stage.completed_at = Some(now);
            }
        }
        let open = self
            .child_runs
            .iter_mut()
            .filter(|child| !child.status.is_terminal());
        open.for_each(|child| child.status = RunStatus::Cancelled);
        self.status = RunStatus::Cancelled;
        self.status_detail = Some(DAEMON_LOST.to_owned());
        self.completed_at = Some(now);
        self.updated_at = now;
        self.metrics_recorded = false;
        self.run_summary_path = None;
        self.summary = Some("The daemon was lost while the run was under way.".to_owned());
    }

    /// Notes that the metrics line is written, and closes the summary with the guardrails' line.
    pub fn note_metrics(&mut self, required: Option<bool>) {
        self.metrics_recorded = true;
        let guardrails = Guardrails::of(self);
        let line = guardrails.line(required.or_else(|| self.guardrails_required()));
        let kept = self.summary.iter().flat_map(|text| text.lines());
        let kept = kept.filter(|line| !is_guardrail_line(line));
        let lines: Vec<&str> = kept.chain(line.as_deref()).collect();
        self.summary = (!lines.is_empty()).then(|| lines.join("\n"));
    }

    /// Whether the pipeline requires a guardrail, as far as the manifest knows.
    #[must_use]
    pub fn guardrails_required(&self) -> Option<bool> {
        self.rest
            .get("guardrails_required")
            .and_then(Value::as_bool)
    }

    /// The guardrails' line of its summary.
    #[must_use]
    pub fn guardrail_line(&self) -> Option<&str> {
        let mut lines = self.summary.as_deref().unwrap_or_default().lines();
        lines.find(|line| is_guardrail_line(line))
    }

    fn recommendation(&self, required: Option<bool>) -> Option<String> {
        let (pipeline, task) = (&self.pipeline_id, &self.task_id);
        let guardrails = Guardrails::of(self);
        if guardrails.failed > 0 {
            Some(format!(
                "Guardrail command failed; re-run \"orchctl run {pipeline} --task {task} --force\" to gather failure \
                 artifacts."
            ))
        } else if guardrails.total == 0 && required == Some(true) {
            Some(format!(
                "Guardrail command missing; add a spec-guard stage to pipeline \"{pipeline}\"."
            ))
        } else {
            None
        }
    }

    fn commands_of(&self, report: &RunReport, layout: &Layout) -> Vec<Command> {
        let stages = report.stages.iter().enumerate();
        stages
            .map(|(place, stage)| {
                let index = place.saturating_add(1);
                let old = self.commands.get(place).filter(|old| old.id == stage.id);
                command_of(report, stage, index, old, layout)
            })
            .collect()
    }
}

fn command_of(
    report: &RunReport,
    stage: &StageReport,
    index: usize,
    old: Option<&Command>,
    layout: &Layout,
) -> Command {
    let (command, kind, child) = match &stage.work {
        StageWork::Command(line) => (Some(line.text()), StageKind::Command, None),
        StageWork::Subpipeline { child, .. } => (None, StageKind::Subpipeline, child.clone()),
    };
    let ran = kind == StageKind::Command && stage.status != StageStatus::Pending;
    let log = match (&stage.reused_from, &stage.reused_as) {
        (None, _) => Some(layout.stage_log(&report.task, &report.run, index, &stage.id)),
        (Some(run), Some((place, id))) => {
            Some(layout.stage_log(&report.task, run, place.saturating_add(1), id))
        }
        (Some(_), None) => None,
    };
    let kept_error = old.and_then(|old| old.error_file.clone());
    Command {
        index: index as u64,
        id: stage.id.clone(),
        title: stage.title.clone(),
        command,
        kind,
        status: stage.status,
        started_at: stage.started_at,
        completed_at: stage.completed_at,
        exit_code: stage.exit_code.map(i64::from),
        summary: stage.summary.clone(),
        log_path: old
            .filter(|_| ran)
            .and_then(|old| old.log_path.clone())
            .or(log.filter(|_| ran)),
        error_file: kept_error.filter(|_| has_error_file(stage)),
        sub_run_id: child,
    }
}

fn failure_lines(report: &RunReport) -> Vec<String> {
    let failed = report
        .stages
        .iter()
        .filter(|s| s.status == StageStatus::Failed);
    let mut lines: Vec<String> = failed.filter_map(failure_line).collect();
    if report.status == RunStatus::Cancelled {
        lines.push("Run cancelled.".to_owned());
    }
    lines
}

fn failure_line(stage: &StageReport) -> Option<String> {
    match (&stage.work, stage.outcome, stage.exit_code) {
        (_, Outcome::Cancelled, _) => None,
        (StageWork::Subpipeline { pipeline, .. }, _, _) => {
            Some(format!("Sub-pipeline '{pipeline}' failed."))
        }
        (StageWork::Command(_), Outcome::TimedOut, _) => {
            Some(format!("Stage '{}' timed out.", stage.title))
        }
        (StageWork::Command(_), _, Some(code)) => Some(format!(
            "Stage '{}' failed with exit code {code}.",
            stage.title
        )),
        (StageWork::Command(_), _, None) => {
            let said = stage
                .summary
                .as_deref()
                .unwrap_or("it could not be started");
            let said = said.strip_prefix("Execution error: ").unwrap_or(said);
            Some(format!("Execution error: {said}"))
        }
    }
}

fn is_guardrail_line(line: &str) -> bool {
    let prefix = line.trim_start().get(.."guardrails:".len());
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("guardrails:"))
}
