//! `checklist`: shows, checks and syncs items, ticks one, and opens it again.
//!
//! What is found and what is to be written is made in `documents`; here it is carried out and printed. A check ends red if
//! something is wrong, and not if it is only unknown here.

use super::{below, shelf};
use crate::client::args::paper::{Check, ChecklistAct, Flip, Named, Narrow, Sync};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::render::checklist as render;
use crate::client::session::Session;
use crate::documents::book::Book;
use crate::documents::checklists::{self, Aligned, Narrowed, ShownItem};
use crate::documents::flipping::{self, Flipped, Proof};
use crate::documents::rewrite::Rewrite;
use crate::documents::shelf::Shelf;
use crate::documents::task_index;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Shown {
    items: Vec<ShownItem>,
}

#[derive(Debug, Serialize)]
struct Synced {
    written: bool,
    files: Vec<String>,
    items: Vec<Aligned>,
}

pub(super) fn checklist(session: &mut Session<'_>, act: ChecklistAct) -> Result<Exit, Failure> {
    match act {
        ChecklistAct::Show(args) => show(session, args),
        ChecklistAct::Check(args) => check(session, args),
        ChecklistAct::Sync(args) => sync(session, args),
        ChecklistAct::Flip(args) => flip(session, args),
        ChecklistAct::Unflip(args) => unflip(session, args),
    }
}

fn open(session: &Session<'_>) -> Result<(Shelf, Book), Failure> {
    let shelf = shelf(session)?;
    let book = Book::read(&shelf, task_index::read(&shelf)?)?;
    Ok((shelf, book))
}

fn narrowed(shelf: &Shelf, book: &Book, args: Narrow) -> Result<Narrowed, Failure> {
    if let Some(task) = args
        .task
        .as_ref()
        .filter(|task| !book.tasks().contains(task))
    {
        return Err(Failure::NoTask { task: task.clone() });
    }
    Ok(Narrowed {
        paths: below(shelf, &args.paths)?,
        task: args.task,
    })
}

fn show(session: &mut Session<'_>, args: Narrow) -> Result<Exit, Failure> {
    let (shelf, book) = open(session)?;
    let narrowed = narrowed(&shelf, &book, args)?;
    let items = checklists::show(&book, &narrowed);
    super::super::print(session, &Shown { items }, |shown, look| {
        render::items(&shown.items, look)
    })?;
    Ok(Exit::Done)
}

fn check(session: &mut Session<'_>, args: Check) -> Result<Exit, Failure> {
    let (shelf, book) = open(session)?;
    let narrowed = narrowed(&shelf, &book, args.narrow)?;
    let checked = checklists::check(&shelf, &book, &narrowed);
    let is_red = checked
        .findings
        .iter()
        .any(|finding| finding.kind.is_fault());
    if args.github {
        session.output.text(&render::annotations(&checked))?;
    } else {
        super::super::print(session, &checked, render::checked)?;
    }
    Ok(if is_red { Exit::Red } else { Exit::Done })
}

fn sync(session: &mut Session<'_>, args: Sync) -> Result<Exit, Failure> {
    let (shelf, book) = open(session)?;
    let narrowed = narrowed(&shelf, &book, args.narrow)?;
    let (rewrite, items) = checklists::sync(&book, &narrowed);
    if !args.dry_run {
        rewrite.carry_out(shelf.root())?;
    }
    let synced = Synced {
        written: !args.dry_run && !rewrite.is_empty(),
        files: rewrite.paths().map(ToString::to_string).collect(),
        items,
    };
    super::super::print(session, &synced, |synced, look| {
        render::synced(&synced.items, args.dry_run, look)
    })?;
    Ok(Exit::Done)
}

fn flip(session: &mut Session<'_>, args: Flip) -> Result<Exit, Failure> {
    let (shelf, book) = open(session)?;
    let narrow = Narrow {
        task: args.named.task,
        paths: Vec::new(),
    };
    let narrowed = narrowed(&shelf, &book, narrow)?;
    let proof = args.run.map_or(Proof::Latest, Proof::Run);
    let ticked = flipping::tick(&shelf, &book, &narrowed, &args.named.item, &proof)?;
    end(session, &shelf, ticked)
}

fn unflip(session: &mut Session<'_>, args: Named) -> Result<Exit, Failure> {
    let (shelf, book) = open(session)?;
    let narrow = Narrow {
        task: args.task,
        paths: Vec::new(),
    };
    let narrowed = narrowed(&shelf, &book, narrow)?;
    let opened = flipping::untick(&book, &narrowed, &args.item)?;
    end(session, &shelf, opened)
}

fn end(
    session: &mut Session<'_>,
    shelf: &Shelf,
    (rewrite, flipped): (Rewrite, Flipped),
) -> Result<Exit, Failure> {
    rewrite.carry_out(shelf.root())?;
    let changed = !rewrite.is_empty();
    super::super::print(session, &flipped, |flipped, look| {
        render::flipped(flipped, changed, look)
    })?;
    Ok(Exit::Done)
}
