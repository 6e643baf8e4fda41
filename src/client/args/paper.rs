//! What the paper side takes: commands about projects, checklists and evidence that need no daemon.
//!
//! Only what was typed; what is read and judged is in `documents`.

pub mod approving;
pub mod evidence;
pub mod guarding;
pub mod reporting;
pub mod review;

use crate::documents::onboarding::Slug;
use crate::model::id::{IdError, PipelineId, TaskId};
use clap::{Subcommand, ValueHint};
use std::path::PathBuf;

/// Commands that need no daemon.
#[derive(Debug, Subcommand)]
pub enum Paper {
    /// Keep checklists true: ticked only with a run that proves it
    ///
    /// And alike wherever they are repeated.
    #[command(after_help = "Example:\n  orchctl checklist check")]
    Checklist(Checklist),
    /// Say how guardrails stand, and in how many runs all succeeded
    ///
    /// The guardrails are those that the project requires, else build, lint, test and spec-guard as far as it has them.
    #[command(after_help = "Example:\n  orchctl coverage --window 7d --fail-under 90")]
    Coverage(guarding::Coverage),
    /// Hold pipelines against a template or another project's
    ///
    /// Speaks of those of all projects, and exits 1 on findings.
    /// A difference that a [[project.waiver]] accepts is no finding until its day is over.
    #[command(after_help = "Example:\n  orchctl drift --against 0101-web --task 0102-api")]
    Drift(guarding::Drift),
    /// Look whether code changed without a spec, or reviews are old
    ///
    /// Exits 1 on findings.
    /// What changed is told by git, of the whole workspace: commits, index, working tree, untracked files.
    #[command(after_help = "Example:\n  orchctl spec-guard --dry-run --base origin/main")]
    SpecGuard(guarding::SpecGuard),
    /// Hold runs against what was recorded, and export them
    #[command(after_help = "Example:\n  orchctl evidence verify")]
    Evidence(evidence::Evidence),
    /// Take projects in, list them, and hold them against their runs
    #[command(
        after_help = "Example:\n  orchctl project add packages/web --task 0101-web --slug web"
    )]
    Project(Project),
    /// Show how projects stand by their runs: one HTML page, or Markdown for a pull request
    ///
    /// Made of what is on disk alone: the same evidence makes the same bytes, whenever and wherever it is made. The verdict
    /// of a project is that of its newest run, and so of the content that this run had; `orchctl gate` asks for that of the
    /// present content. The page needs no script and no network.
    #[command(
        after_help = "Examples:\n  orchctl report --out report.html\n  orchctl report --md >> \"$GITHUB_STEP_SUMMARY\""
    )]
    Report(reporting::Report),
    /// Keep the pages of a workspace true: links, manifests, projects
    #[command(after_help = "Example:\n  orchctl docs check")]
    Docs(Docs),
    /// Accept what a run has failed at: gates pass on that content
    ///
    /// Only on that content, for those stages, until that day: an edit makes gates red again, and so does another failure.
    /// The verdict stays what it is: only gates honour approvals, and say so.
    #[command(
        after_help = "Example:\n  orchctl approve 3d0103be --scope stage=audit --until 2026-12-01 --reason 'no fix upstream yet'"
    )]
    Approve(approving::Approve),
    /// List what was approved
    #[command(after_help = "Example:\n  orchctl approvals list")]
    Approvals(approving::Approvals),
    /// Say whether all is ready for a review, and what is not
    #[command(after_help = "Example:\n  orchctl review ready")]
    Review(review::Review),
}

/// What to do with checklists.
#[derive(Debug, clap::Args)]
pub struct Checklist {
    /// What to do.
    #[command(subcommand)]
    pub act: ChecklistAct,
}

/// What to do with checklists.
#[derive(Debug, Subcommand)]
pub enum ChecklistAct {
    /// Show the items of all checklists
    #[command(after_help = "Example:\n  orchctl checklist show --task 0101-web")]
    Show(Narrow),
    /// Hold every ticked item against its evidence, and every mirror against its source; exit 1 on findings
    ///
    /// Where there are no runs of a task, as in a fresh clone, its evidence is told as unverifiable, which is no finding
    /// that fails.
    #[command(after_help = "Example:\n  orchctl checklist check --github")]
    Check(Check),
    /// Have the mirrors in .agent/task/ and docs/TASKS.md say what their sources in tasks/ do
    #[command(after_help = "Example:\n  orchctl checklist sync --dry-run")]
    Sync(Sync),
    /// Tick an item by a run that succeeded, in its source and in all mirrors
    #[command(after_help = "Example:\n  orchctl checklist flip 'Engine' --run 3d0103be")]
    Flip(Flip),
    /// Open an item again, in its source and in all mirrors
    #[command(after_help = "Example:\n  orchctl checklist unflip 'Engine'")]
    Unflip(Named),
}

/// Which checklists.
#[derive(Debug, clap::Args)]
pub struct Narrow {
    /// Only those of this task
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Option<TaskId>,
    /// Only these files or directories
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// Flags of `checklist check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Which checklists.
    #[command(flatten)]
    pub narrow: Narrow,
    /// Print each finding as an annotation for GitHub Actions
    #[arg(long, conflicts_with = "json")]
    pub github: bool,
}

/// Flags of `checklist sync`.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// Which checklists.
    #[command(flatten)]
    pub narrow: Narrow,
    /// Only say what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// An item.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The item: its key, its title or a part of that, or FILE:LINE
    #[arg(value_name = "ITEM")]
    pub item: String,
    /// Only among the items of this task
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Option<TaskId>,
}

/// Flags of `checklist flip`.
#[derive(Debug, clap::Args)]
pub struct Flip {
    /// The item.
    #[command(flatten)]
    pub named: Named,
    /// The run that proves it: any part of its id that names no other
    #[arg(long, value_name = "RUN", required_unless_present = "latest")]
    pub run: Option<String>,
    /// The task's newest run
    #[arg(long, conflicts_with = "run")]
    pub latest: bool,
}

/// What to do with projects.
#[derive(Debug, clap::Args)]
pub struct Project {
    /// What to do.
    #[command(subcommand)]
    pub act: ProjectAct,
}

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum ProjectAct {
    /// Take a directory in as a project: in orchd.toml, in tasks/index.json, with its documents
    ///
    /// Documents are made of .agent/task/templates/ where there are templates. What is there is never overwritten: called
    /// again it changes nothing. Either all files are written or none.
    #[command(
        after_help = "Example:\n  orchctl project add packages/web --task 0101-web --slug web --title 'Web shop'"
    )]
    Add(ProjectAdd),
    /// List the projects of the workspace
    List,
    /// Hold the projects against their directories and their runs; exit 1 on findings
    Check,
}

/// Flags of `project add`.
#[derive(Debug, clap::Args)]
pub struct ProjectAdd {
    /// The project's directory
    #[arg(value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub path: PathBuf,
    /// The task id that its evidence lives under
    #[arg(long, value_name = "ID", value_parser = super::task)]
    pub task: TaskId,
    /// What its documents are called
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    pub slug: Slug,
    /// What it is called; the slug unless it is given
    #[arg(long, value_name = "T")]
    pub title: Option<String>,
    /// The pipeline that a change runs; else one that fits what is found there, or a new one of that
    #[arg(long, value_name = "PIPELINE", value_parser = pipeline)]
    pub pipeline: Option<PipelineId>,
    /// Only say what would be written
    #[arg(long)]
    pub dry_run: bool,
}

fn pipeline(text: &str) -> Result<PipelineId, IdError> {
    PipelineId::parse(text)
}

/// What to do with pages.
#[derive(Debug, clap::Args)]
pub struct Docs {
    /// What to do.
    #[command(subcommand)]
    pub act: DocsAct,
}

/// What to do with pages.
#[derive(Debug, Subcommand)]
pub enum DocsAct {
    /// Hold the pages against what they name: links, manifests, projects, templates; exit 1 on findings
    #[command(after_help = "Example:\n  orchctl docs check --github")]
    Check(DocsCheck),
    /// Make the blocks about projects again: latest run, latest green run, metrics, state, approvals
    #[command(after_help = "Example:\n  orchctl docs sync --dry-run")]
    Sync(DocsSync),
}

/// Flags of `docs check`.
#[derive(Debug, clap::Args)]
pub struct DocsCheck {
    /// Print each finding as an annotation for GitHub Actions
    #[arg(long, conflicts_with = "json")]
    pub github: bool,
}

/// Flags of `docs sync`.
#[derive(Debug, clap::Args)]
pub struct DocsSync {
    /// Only say what would be written
    #[arg(long)]
    pub dry_run: bool,
}
