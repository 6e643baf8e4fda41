//! `docs`: holds the pages of a workspace against what they name, and makes the blocks about projects again.
//!
//! Only projects that `orchd.toml` has are asked for in pages: a workspace that is one by itself has nobody onboarded.

use super::shelf;
use crate::client::args::paper::{DocsAct, DocsCheck, DocsSync};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::render::docs as render;
use crate::client::session::Session;
use crate::documents::declared;
use crate::documents::projects::ProjectsError;
use crate::documents::standings::{self, Synced};
use crate::documents::{failure::PaperError, task_index, upkeep};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Written {
    written: bool,
    files: Vec<String>,
    blocks: Vec<Synced>,
}

pub(super) fn docs(session: &mut Session<'_>, act: &DocsAct) -> Result<Exit, Failure> {
    match act {
        DocsAct::Check(args) => check(session, args),
        DocsAct::Sync(args) => sync(session, args),
    }
}

fn check(session: &mut Session<'_>, args: &DocsCheck) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    let entries = task_index::read(&shelf)?;
    // The configuration is in force, so that what is declared is declared once.
    let declared = declared::read(shelf.root(), None);
    let declared = declared.map_err(|error| PaperError::from(ProjectsError::from(error)))?;
    let own = declared.projects.into_iter();
    let own = own.filter(|_| !declared.is_implied);
    let projects: Vec<_> = own.map(|project| project.task).collect();
    let checked = upkeep::check(&shelf, &entries, &projects)?;
    let mut findings = checked.findings.iter();
    let is_red = findings.any(|finding| finding.kind.is_fault());
    if args.github {
        session.output.text(&render::annotations(&checked))?;
    } else {
        super::super::print(session, &checked, render::checked)?;
    }
    Ok(if is_red { Exit::Red } else { Exit::Done })
}

fn sync(session: &mut Session<'_>, args: &DocsSync) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    let (rewrite, blocks) = standings::sync(&shelf)?;
    if !args.dry_run {
        rewrite.carry_out(shelf.root())?;
    }
    let written = Written {
        written: !args.dry_run && !rewrite.is_empty(),
        files: rewrite.paths().map(ToString::to_string).collect(),
        blocks,
    };
    super::super::print(session, &written, |written, look| {
        render::synced(&written.blocks, args.dry_run, look)
    })?;
    Ok(Exit::Done)
}
