//! Runs as they happen: a line when a run begins, one when a stage ends, the verdict at the end.
//!
//! It only remembers what it needs to say things once: which runs it follows and which verdict each project had.

use crate::client::output::Look;
use crate::client::render::mark::{self, short};
use crate::client::render::status::{excerpt, fit, is_of_its_end, stage_name};
use crate::client::render::text::{BOLD, DIM, add, clean, columns, count, pad, styled, took};
use crate::model::evidence::numbered;
use crate::model::id::{RunId, StageId, TaskId};
use crate::model::path::RootPath;
use crate::model::report::event::{Event, Happening, RunDone, RunNamed, StageDone, VerdictTold};
use crate::model::report::runs::{ChangedPaths, RunDetail};
use crate::model::report::status::Status;
use crate::model::run::{Cause, Outcome, RunStatus, StageStatus, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Columns that a stage's id is filled up to.
const STAGE_COLUMNS: usize = 12;
/// Columns of the longest one that the others are moved for.
const STAGE_COLUMNS_MAX: usize = 32;
/// Changed paths that are named in the line of a run.
const PATHS_SHOWN_MAX: usize = 3;

/// Which runs are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Focus {
    /// Those of one workspace.
    Workspace(RootPath),
    /// One run and its child runs.
    Run(RunId),
}

/// The runs that are under way, as they are told.
#[derive(Debug)]
pub struct Live {
    focus: Focus,
    /// More than one project is shown, so that a stage's line has to say whose it is.
    many: bool,
    running: BTreeMap<RunId, Running>,
    verdicts: BTreeMap<TaskId, Verdict>,
    /// Whose verdict each project was last said to have.
    said: BTreeMap<TaskId, RunId>,
    /// Runs whose beginning was said before the last snapshot.
    begun: BTreeSet<RunId>,
}

#[derive(Debug)]
struct Running {
    task: TaskId,
    stage: Option<String>,
    parent: Option<RunId>,
    /// Its stages, in declared order, as far as they are known.
    stages: Vec<StageId>,
    /// Its beginning was said.
    is_said: bool,
}

impl Running {
    /// What the stage at this place, from 1, is called: its id, or where others have that too, the name of its log.
    fn name(&self, stage: &StageId, index: usize) -> String {
        let same = self.stages.iter().filter(|other| *other == stage);
        clean(&match same.count() {
            // A daemon of before says no place.
            2.. if index > 0 => numbered(index, stage),
            _ => stage.to_string(),
        })
    }

    /// Columns of its stages' names, the very long ones excepted.
    fn columns(&self) -> usize {
        let stages = self.stages.iter().enumerate();
        let names = stages.map(|(at, stage)| columns(&self.name(stage, at.saturating_add(1))));
        let fitting = names.filter(|columns| *columns <= STAGE_COLUMNS_MAX);
        fitting.max().unwrap_or(0).max(STAGE_COLUMNS)
    }
}

impl Live {
    /// Follows `focus`; nothing is known yet.
    #[must_use]
    pub fn new(focus: Focus) -> Self {
        Self {
            focus,
            many: false,
            running: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            said: BTreeMap::new(),
            begun: BTreeSet::new(),
        }
    }

    /// Takes the truth of a snapshot: what was followed and has ended meanwhile is forgotten. Says which runs are under
    /// way: whoever has what there is of one gives it to [`Live::join`].
    pub fn reset(&mut self, status: &Status) -> Vec<RunId> {
        let Focus::Workspace(root) = &self.focus else {
            return Vec::new();
        };
        let projects = status.workspaces.iter().filter(|w| &w.root == root);
        let projects: Vec<_> = projects.flat_map(|workspace| &workspace.projects).collect();
        self.many = projects.len() > 1;
        let before = std::mem::take(&mut self.running).into_iter();
        self.begun = before
            .filter(|(_, run)| run.is_said)
            .map(|(run, _)| run)
            .collect();
        self.verdicts.clear();
        self.said.clear();
        for project in projects {
            self.verdicts
                .insert(project.task_id.clone(), project.verdict);
            if let Some(last) = &project.last_run {
                self.said
                    .insert(project.task_id.clone(), last.run_id.clone());
            }
            if let Some(running) = &project.running {
                let known = Running {
                    task: project.task_id.clone(),
                    stage: running.stage.as_ref().map(|stage| clean(stage.as_str())),
                    parent: None,
                    stages: Vec::new(),
                    is_said: self.begun.contains(&running.run_id),
                };
                self.running.insert(running.run_id.clone(), known);
            }
        }
        self.running.keys().cloned().collect()
    }

    /// What the spinner says: the stages that run, or none when nothing does.
    #[must_use]
    pub fn activity(&self) -> Option<String> {
        let stages: Vec<String> = self
            .running
            .values()
            .map(|run| {
                let task = clean(run.task.as_str());
                match &run.stage {
                    Some(stage) => format!("{task} {stage}"),
                    None => task,
                }
            })
            .collect();
        (!stages.is_empty()).then(|| stages.join(", "))
    }

    /// Renders what is to be said of an event; empty for what is beside the focus.
    pub fn event(&mut self, event: &Event, look: &Look) -> String {
        match &event.what {
            Happening::RunStarted(run) => self.started(run, look),
            Happening::StageStarted(stage) => {
                if let Some(running) = self.running.get_mut(&stage.run_id) {
                    running.stage = Some(running.name(&stage.stage, stage.index));
                }
                String::new()
            }
            Happening::StageEnded(stage) => self.stage_ended(stage, look),
            Happening::RunEnded(run) => self.ended(run, look),
            Happening::Verdict(told) => self.verdict(told, look),
            Happening::Workspace(told) if self.is_focus(&told.workspace) => {
                let state = told
                    .state
                    .map_or("removed".to_owned(), |s| mark::workspace(s).cell(0));
                let detail = told.detail.as_deref().map(|d| format!("  {}", clean(d)));
                format!(
                    "{state}  {}{}\n",
                    told.workspace,
                    detail.unwrap_or_default()
                )
            }
            Happening::Config(told) if self.is_focus(&told.workspace) => match &told.detail {
                Some(detail) => format!("! invalid  configuration: {}\n", clean(detail)),
                None => "+ ok  configuration read again\n".to_owned(),
            },
            Happening::Snapshot { .. }
            | Happening::Resync
            | Happening::Change(_)
            | Happening::Settled(_)
            | Happening::RunQueued(_)
            | Happening::RunDropped(_)
            | Happening::Workspace(_)
            | Happening::Config(_) => String::new(),
        }
    }

    fn is_focus(&self, workspace: &RootPath) -> bool {
        matches!(&self.focus, Focus::Workspace(root) if root == workspace)
    }

    /// Takes up a run that had begun before its events were heard.
    pub fn join(&mut self, run: &RunDetail, look: &Look) -> String {
        let unknown = ChangedPaths {
            count: None,
            paths: Vec::new(),
        };
        let text = self.started(
            &RunNamed {
                workspace: run.workspace.clone(),
                task_id: run.record.task_id.clone(),
                run_id: run.record.run_id.clone(),
                pipeline_id: run.record.pipeline_id.clone(),
                parent_run_id: run.parent_run_id.clone(),
                cause: run.record.cause.unwrap_or(Cause::Manual),
                input_digest: None,
                manifest: run.record.manifest.clone(),
                stages: run.stages.iter().map(|stage| stage.id.clone()).collect(),
                changed: run.changed.clone().unwrap_or(unknown),
            },
            look,
        );
        let mut stages = run.stages.iter().enumerate();
        let under_way = stages.find(|(_, stage)| stage.status == StageStatus::Running);
        if let Some(running) = self.running.get_mut(&run.record.run_id) {
            running.stage = under_way.map(|stage| clean(run.name_of(stage).as_str()));
        }
        text
    }

    fn started(&mut self, run: &RunNamed, look: &Look) -> String {
        let followed = match &self.focus {
            Focus::Workspace(root) => root == &run.workspace,
            Focus::Run(id) => {
                let child = run.parent_run_id.as_ref();
                id == &run.run_id || child.is_some_and(|parent| self.running.contains_key(parent))
            }
        };
        // One that was joined may tell of its beginning a moment later.
        let known = self.running.get(&run.run_id);
        if !followed || known.is_some_and(|known| known.is_said && !known.stages.is_empty()) {
            return String::new();
        }
        let is_said = self.begun.remove(&run.run_id) || known.is_some_and(|known| known.is_said);
        let running = Running {
            task: run.task_id.clone(),
            stage: None,
            parent: run.parent_run_id.clone(),
            stages: run.stages.clone(),
            is_said: true,
        };
        self.running.insert(run.run_id.clone(), running);
        if is_said {
            return String::new();
        }
        let task = styled(BOLD, &clean(run.task_id.as_str()));
        let pipeline = clean(run.pipeline_id.as_str());
        let why = why(run.cause, &run.changed);
        let head = format!("{pipeline}  {}", short(&run.run_id));
        let indent = self.indent(&run.run_id);
        if look.is_narrow() {
            let why = styled(DIM, &fit(&why, look, indent.len() + 2));
            return format!("{indent}{task}  {head}\n{indent}  {why}\n");
        }
        let used = run.task_id.as_str().chars().count() + head.chars().count() + 4;
        let why = styled(DIM, &fit(&why, look, indent.len() + used));
        format!("{indent}{task}  {head}  {why}\n")
    }

    fn stage_ended(&mut self, stage: &StageDone, look: &Look) -> String {
        let Some(running) = self.running.get_mut(&stage.run_id) else {
            return String::new();
        };
        running.stage = None;
        let name = running.name(&stage.stage, stage.index);
        let name = pad(&name, running.columns());
        let indent = self.indent(&stage.run_id);
        let mut text = format!("{indent}{}", stage_line(stage, &name));
        if self.many {
            text.push_str(&styled(
                DIM,
                &format!("  {}", clean(stage.task_id.as_str())),
            ));
        }
        text.push('\n');
        if stage.status == StageStatus::Skipped
            && let Some(summary) = &stage.summary
        {
            add(
                &mut text,
                format_args!("{indent}    | {}\n", fit(&clean(summary), look, 6)),
            );
        }
        text
    }

    fn ended(&mut self, run: &RunDone, look: &Look) -> String {
        if self.running.remove(&run.run_id).is_none() {
            return String::new();
        }
        let is_child = run
            .parent_run_id
            .as_ref()
            .is_some_and(|p| self.running.contains_key(p));
        if is_child {
            return String::new();
        }
        self.said.insert(run.task_id.clone(), run.run_id.clone());
        run_ended(run, look)
    }

    fn verdict(&mut self, told: &VerdictTold, look: &Look) -> String {
        if !self.is_focus(&told.workspace) {
            return String::new();
        }
        let before = self.verdicts.insert(told.task_id.clone(), told.verdict);
        if let Some(run) = told.run_id.as_ref()
            && told.verdict != Verdict::Unknown
            && self.said.insert(told.task_id.clone(), run.clone()).as_ref() != Some(run)
        {
            let verdict = mark::verdict(told.verdict).cell(0);
            let (task, id) = (clean(told.task_id.as_str()), short(run));
            return format!("{verdict}  {task}  proven before, by run {id}\n");
        }
        let Some(before) = before.filter(|before| *before != told.verdict) else {
            return String::new();
        };
        // A change makes the verdict unknown until the run that it starts has ended: that is no news.
        if told.verdict == Verdict::Unknown || before == Verdict::Unknown {
            return String::new();
        }
        let (was, is) = (mark::verdict(before).word, mark::verdict(told.verdict).word);
        let line = format!("{}: {was} -> {is}", clean(told.task_id.as_str()));
        format!("{}\n", styled(DIM, &fit(&line, look, 0)))
    }

    fn indent(&self, run: &RunId) -> &'static str {
        let parent = self.running.get(run).and_then(|run| run.parent.as_ref());
        if parent.is_some_and(|parent| self.running.contains_key(parent)) {
            "  "
        } else {
            ""
        }
    }
}

fn stage_line(stage: &StageDone, name: &str) -> String {
    let mark = mark::stage(stage.status, Some(stage.outcome));
    let symbol = styled(mark.style, &mark.symbol.to_string());
    let mut parts = vec![format!("  {symbol} {name}")];
    parts.push(pad(&took(Duration::from_millis(stage.duration_ms)), 6));
    match (stage.status, stage.exit_code) {
        (StageStatus::Succeeded, _) if stage.outcome == Outcome::Flaky => {
            parts.push(match stage.attempts {
                0 | 1 => "flaky: has failed before on the same content".to_owned(),
                attempts => format!("flaky: passed at attempt {attempts}"),
            });
        }
        (StageStatus::Succeeded, _) => parts.push(mark.word.to_owned()),
        (_, Some(_)) if stage.outcome == Outcome::Cancelled => parts.push(mark.word.to_owned()),
        (_, Some(code)) => parts.push(format!("{}, exit {code}", mark.word)),
        (_, None) => parts.push(mark.word.to_owned()),
    }
    if let Some(from) = &stage.reused_from {
        parts.push(format!("proven by {}", short(from)));
    }
    parts.join(" ")
}

/// Renders the end of a run: its verdict, what failed, and where to read on.
#[must_use]
pub fn run_ended(run: &RunDone, look: &Look) -> String {
    let mut text = String::new();
    let failure = run.failure.as_ref();
    let failure = failure.filter(|failure| !is_of_its_end(failure, run.status));
    if let Some(failure) = failure {
        text.push_str(&excerpt(failure, 4, look));
    }
    let is_cancelled = run.status == RunStatus::Cancelled && failure.is_none();
    let verdict = match is_cancelled {
        true => mark::run(run.status).cell(0),
        false => mark::verdict(run.verdict).cell(0),
    };
    let task = clean(run.task_id.as_str());
    let span = took(Duration::from_millis(run.duration_ms));
    add(&mut text, format_args!("{verdict}  {task}  {span}"));
    let gap = if look.is_narrow() { "\n  " } else { "  " };
    if let Some(unproven) = run.unproven {
        let void = if run.void { "void: " } else { "" };
        let why = mark::unproven(unproven);
        add(&mut text, format_args!("{gap}{void}{why}"));
    } else if run.void {
        add(
            &mut text,
            format_args!("{gap}void: content changed while it ran"),
        );
    } else if let Some(failure) = failure {
        // Of a child run, whose first failing stage this is.
        let see = match &failure.run_id {
            Some(child) => short(child).to_owned(),
            None => format!("{} {}", short(&run.run_id), clean(stage_name(failure))),
        };
        add(&mut text, format_args!("{gap}see: orchctl logs {see}"));
    } else if run.green == Some(false) {
        add(&mut text, format_args!("{gap}{}", mark::FLAKY_IS_RED));
    } else if run.verdict != Verdict::Pass
        && let Some(detail) = &run.status_detail
    {
        add(&mut text, format_args!("{gap}{}", clean(detail)));
    }
    text.push('\n');
    text
}

fn why(cause: Cause, changed: &ChangedPaths) -> String {
    let word = match cause {
        Cause::Start => "not proven yet",
        Cause::Change => return changed_paths(changed),
        Cause::Manual => "asked for",
        Cause::Resume => "resumed",
        Cause::Parent => "part of another run",
        Cause::Gate => "for a gate",
    };
    word.to_owned()
}

/// `2 paths changed: src/a.ts, src/b.ts`.
#[must_use]
pub fn changed_paths(changed: &ChangedPaths) -> String {
    let number = match (changed.count, changed.paths.len()) {
        (None, 0) => return "everything may have changed".to_owned(),
        (Some(0), _) => return "no path changed".to_owned(),
        (Some(number), _) => usize::try_from(number).unwrap_or(usize::MAX),
        (None, named) => named,
    };
    let least = if changed.count.is_none() {
        "at least "
    } else {
        ""
    };
    let named = changed.paths.iter().take(PATHS_SHOWN_MAX);
    let named: Vec<String> = named.map(|path| clean(&path.to_string())).collect();
    let more = if number > named.len() { ", …" } else { "" };
    format!(
        "{least}{} changed: {}{more}",
        count(number, "path"),
        named.join(", ")
    )
}
