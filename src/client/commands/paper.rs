//! The commands of the paper side: they read and write the workspace's own files, and ask no daemon.
//!
//! Each opens the workspace, has `documents` judge, and prints. Which workspace is meant is found out as for any other
//! command, but that nobody can say which are registered.

mod approving;
mod checklist;
mod docs;
mod evidence;
mod guarding;
mod project;
mod report;
mod review;

use crate::client::args::paper::Paper;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::place;
use crate::client::session::Session;
use crate::documents::shelf::Shelf;
use crate::model::id::TaskId;
use crate::model::path::{RelPath, RootPath};
use std::path::{Path, PathBuf};

pub(super) fn run(session: &mut Session<'_>, command: Paper) -> Result<Exit, Failure> {
    match command {
        Paper::Checklist(args) => checklist::checklist(session, args.act),
        Paper::Coverage(args) => guarding::coverage(session, &args),
        Paper::Drift(args) => guarding::drift(session, &args),
        Paper::SpecGuard(args) => guarding::spec_guard(session, &args),
        Paper::Evidence(args) => evidence::evidence(session, &args.act),
        Paper::Project(args) => project::project(session, args.act),
        Paper::Report(args) => report::report(session, &args),
        Paper::Docs(args) => docs::docs(session, &args.act),
        Paper::Approve(args) => approving::approve(session, args),
        Paper::Approvals(args) => approving::approvals(session, args.act),
        Paper::Review(args) => review::review(session, &args.act),
    }
}

/// The workspace that is meant, as the paper side reads it.
fn shelf(session: &Session<'_>) -> Result<Shelf, Failure> {
    let root = root(session)?;
    let task = session.task_of_surroundings()?;
    Ok(Shelf::open(&root, task.as_ref())?)
}

/// The workspace that is meant, whatever its configuration says.
fn root(session: &Session<'_>) -> Result<RootPath, Failure> {
    if let Some(root) = session.workspace_here()? {
        return Ok(root);
    }
    let cwd = place::current_dir()?;
    Err(Failure::NoWorkspace { cwd })
}

/// A task that is named has to be one of the workspace's.
fn known(shelf: &Shelf, task: Option<&TaskId>) -> Result<(), Failure> {
    match task {
        Some(task) if shelf.config().project(task).is_none() => {
            Err(Failure::NoTask { task: task.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

/// `MCP_RUNNER_TASK_ID`, where it is set.
fn environment() -> Option<String> {
    let task = std::env::var("MCP_RUNNER_TASK_ID").ok();
    task.filter(|task| !task.is_empty())
}

/// Paths that somebody named, from the workspace.
fn below(shelf: &Shelf, paths: &[PathBuf]) -> Result<Vec<RelPath>, Failure> {
    let each = paths.iter().map(|path| {
        let whole = place::absolute(path)?;
        let outside = |path: &Path| Failure::Outside {
            path: path.to_path_buf(),
            root: shelf.root().as_path().to_path_buf(),
        };
        shelf.root().relative(&whole).ok_or_else(|| outside(path))
    });
    each.collect()
}
