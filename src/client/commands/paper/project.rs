//! `project`: takes projects in, lists them, and holds them against their directories and runs.
//!
//! `check` works where the configuration is refused because something stands there twice; the others need one in force.

use super::{environment, root, shelf};
use crate::client::args::paper::{ProjectAct, ProjectAdd};
use crate::client::clock;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::place;
use crate::client::render::project as render;
use crate::client::session::Session;
use crate::documents::failure::PaperError;
use crate::documents::onboarding::{self, Onboarded, Wanted};
use crate::documents::projects::{self, ListedProject, ProjectFinding};
use crate::documents::task_index;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Listed {
    projects: Vec<ListedProject>,
}

#[derive(Debug, Serialize)]
struct Checked {
    findings: Vec<ProjectFinding>,
}

#[derive(Debug, Serialize)]
struct Added {
    written: bool,
    #[serde(flatten)]
    project: Onboarded,
}

pub(super) fn project(session: &mut Session<'_>, act: ProjectAct) -> Result<Exit, Failure> {
    match act {
        ProjectAct::Add(args) => add(session, args),
        ProjectAct::List => list(session),
        ProjectAct::Check => check(session),
    }
}

fn add(session: &mut Session<'_>, args: ProjectAdd) -> Result<Exit, Failure> {
    let root = root(session)?;
    let path = place::directory(&args.path)?;
    let below = root.relative(&path).ok_or_else(|| Failure::Outside {
        path: args.path.clone(),
        root: root.as_path().to_path_buf(),
    })?;
    let now = clock::now().to_string();
    let wanted = Wanted {
        path: below,
        task: args.task,
        slug: args.slug,
        title: args.title,
        pipeline: args.pipeline,
        day: now.split('T').next().unwrap_or_default().to_owned(),
        surroundings: session.task_of_surroundings()?,
    };
    let (rewrite, project) = onboarding::onboard(&root, &wanted).map_err(PaperError::from)?;
    if !args.dry_run {
        rewrite.carry_out(&root)?;
    }
    let added = Added {
        written: !args.dry_run && !rewrite.is_empty(),
        project,
    };
    super::super::print(session, &added, |added, look| {
        render::added(&added.project, args.dry_run, look)
    })?;
    Ok(Exit::Done)
}

fn list(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    let projects = projects::list(&shelf, &task_index::read(&shelf)?);
    super::super::print(session, &Listed { projects }, |listed, look| {
        render::listed(&listed.projects, look)
    })?;
    Ok(Exit::Done)
}

fn check(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let root = root(session)?;
    let known = projects::read(&root, environment()).map_err(PaperError::from)?;
    let findings = projects::judge(&known);
    let is_red = !findings.is_empty();
    super::super::print(session, &Checked { findings }, |checked, look| {
        render::checked(&checked.findings, look)
    })?;
    Ok(if is_red { Exit::Red } else { Exit::Done })
}
