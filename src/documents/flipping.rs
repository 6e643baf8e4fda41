//! Ticking one item by a run that proves it, in its source and in all its mirrors; and taking that back.
//!
//! A run that does not prove the item ticks nothing: it is judged as the check would judge it afterwards.

use crate::documents::book::{Book, Page, Part};
use crate::documents::checklist::edit::{apply, flip, unflip};
use crate::documents::checklist::grammar::normalized;
use crate::documents::checklist::{Checklist, Item};
use crate::documents::checklists::{Aligned, Narrowed, expectations, follow};
use crate::documents::cited::{Cited, Found};
use crate::documents::judge::{Expected, manifest_faults};
use crate::documents::records;
use crate::documents::rewrite::Rewrite;
use crate::documents::shelf::{Shelf, ShelfError};
use crate::model::id::{PipelineId, RunId, TaskId};
use serde::Serialize;

/// How many items a refusal names.
const NAMED_MAX: usize = 5;

/// Which run is meant to prove an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The only one with this in its id.
    Run(String),
    /// The newest of the task.
    Latest,
}

/// Why an item was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum FlipError {
    /// There is none of that name.
    #[error("no item is called `{name}`")]
    NoItem {
        /// The name.
        name: String,
    },
    /// There are several.
    #[error("`{name}` may be any of {}", among.join(", "))]
    Items {
        /// The name.
        name: String,
        /// Where they stand.
        among: Vec<String>,
    },
    /// Nothing says whose it is, so that no run can be its.
    #[error("nothing tells which task `{place}` is of")]
    NoTask {
        /// Where it stands.
        place: String,
    },
    /// The task has no such run.
    #[error("task `{task}` has no run `{run}`")]
    NoRun {
        /// The task.
        task: TaskId,
        /// What was named.
        run: String,
    },
    /// The task has none.
    #[error("task `{task}` has no run yet")]
    NoRuns {
        /// The task.
        task: TaskId,
    },
    /// The task has several.
    #[error("`{run}` may be any of {}", among.join(", "))]
    Runs {
        /// What was named.
        run: String,
        /// The runs.
        among: Vec<String>,
    },
    /// The task's runs cannot be listed.
    #[error(transparent)]
    Read(#[from] ShelfError),
    /// The run does not prove it.
    #[error("`{manifest}` does not prove it: {reason}")]
    Unproven {
        /// The run's manifest.
        manifest: String,
        /// Why.
        reason: String,
    },
    /// It is ticked by something else.
    #[error("`{place}` is ticked already")]
    Ticked {
        /// Where it stands.
        place: String,
    },
}

/// What was done to an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flipped {
    /// The file that others repeat.
    pub file: String,
    /// The item's line, from 1.
    pub line: usize,
    /// What it is called.
    pub title: String,
    /// Whether it is ticked now.
    pub checked: bool,
    /// The run's manifest, where it is.
    pub evidence: Option<String>,
    /// The mirrors that follow.
    pub mirrors: Vec<Aligned>,
}

/// Ticks the item called `name`, in its source and its mirrors; what is to be written, and what that is.
///
/// # Errors
/// When it is not known which item or run is meant, or the run does not prove it.
pub fn tick(
    shelf: &Shelf,
    book: &Book,
    narrowed: &Narrowed,
    name: &str,
    proof: &Proof,
) -> Result<(Rewrite, Flipped), FlipError> {
    let (page, item) = find(book, narrowed, name)?;
    let place = || format!("{}:{}", page.file, item.line);
    let task = book
        .task_of(page, item)
        .ok_or_else(|| FlipError::NoTask { place: place() })?;
    let run = run(shelf, task, proof)?;
    let manifest = format!(".runs/{task}/cli/{run}/manifest.json");
    prove(shelf, task, &run, &manifest)?;
    let told = |checked: bool, mirrors: Vec<Aligned>| Flipped {
        file: page.file.clone(),
        line: item.line,
        title: item.title.clone(),
        checked,
        evidence: Some(manifest.clone()),
        mirrors,
    };
    if item.checked {
        let cites = item
            .evidence
            .iter()
            .any(|cited| cited.token.path == manifest);
        return if cites {
            Ok((Rewrite::default(), told(true, Vec::new())))
        } else {
            Err(FlipError::Ticked { place: place() })
        };
    }
    let after = apply(&page.bytes, flip(&page.bytes, item, &manifest));
    let (rewrite, mirrors) = follow(book, task, page, after);
    Ok((rewrite, told(true, mirrors)))
}

/// The items of a page that declare this pipeline, but those that are made again from elsewhere.
pub fn declaring<'a>(page: &'a Page, pipeline: &PipelineId) -> impl Iterator<Item = &'a Item> {
    let items = page.checklist.items.iter();
    items.filter(move |item| {
        item.block.is_none() && item.pipeline.as_deref() == Some(pipeline.as_str())
    })
}

/// Ticks every open item of a task's source that declares this pipeline, and its mirrors, by this run of it; what is to be
/// written, and what that is. Nothing where there is no such item, whatever the run says.
///
/// # Errors
/// When there is one, and the run does not prove it.
pub fn tick_declared(
    shelf: &Shelf,
    book: &Book,
    task: &TaskId,
    pipeline: &PipelineId,
    run: &RunId,
) -> Result<(Rewrite, Vec<Flipped>), FlipError> {
    let page = book.source(task);
    let open = page.into_iter().flat_map(|page| declaring(page, pipeline));
    let open: Vec<&Item> = open.filter(|item| !item.checked).collect();
    let (Some(page), false) = (page, open.is_empty()) else {
        return Ok((Rewrite::default(), Vec::new()));
    };
    let manifest = format!(".runs/{task}/cli/{run}/manifest.json");
    prove(shelf, task, run, &manifest)?;
    let each = open
        .iter()
        .flat_map(|item| flip(&page.bytes, item, &manifest));
    let after = apply(&page.bytes, each.collect());
    let (rewrite, mirrors) = follow(book, task, page, after);
    let mut mirrors = Some(mirrors);
    let ticked = open.into_iter().map(|item| Flipped {
        file: page.file.clone(),
        line: item.line,
        title: item.title.clone(),
        checked: true,
        evidence: Some(manifest.clone()),
        // They follow all of them together, and are told once.
        mirrors: mirrors.take().unwrap_or_default(),
    });
    Ok((rewrite, ticked.collect()))
}

/// Opens the item called `name` again, in its source and its mirrors.
///
/// # Errors
/// When it is not known which item is meant.
pub fn untick(
    book: &Book,
    narrowed: &Narrowed,
    name: &str,
) -> Result<(Rewrite, Flipped), FlipError> {
    let (page, item) = find(book, narrowed, name)?;
    let (rewrite, mirrors) = if item.checked {
        let after = apply(&page.bytes, unflip(&page.bytes, item));
        match book.task_of(page, item) {
            Some(task) => follow(book, task, page, after),
            None => alone(page, after),
        }
    } else {
        (Rewrite::default(), Vec::new())
    };
    let left = rewrite.after(&page.path).map(Checklist::parse);
    let left = left.and_then(|now| now.items.into_iter().find(|now| now.line == item.line));
    let left = left.and_then(|now| Some(now.evidence.first()?.token.path.clone()));
    Ok((
        rewrite,
        Flipped {
            file: page.file.clone(),
            line: item.line,
            title: item.title.clone(),
            checked: false,
            evidence: left,
            mirrors,
        },
    ))
}

fn alone(page: &Page, after: Vec<u8>) -> (Rewrite, Vec<Aligned>) {
    let mut rewrite = Rewrite::default();
    rewrite.change(&page.path, Some(&page.bytes), after);
    (rewrite, Vec::new())
}

/// The item with this name: `FILE:LINE`, its key, its title, or the only one with this in its title. Sources go before
/// mirrors, because what a mirror says follows.
fn find<'a>(
    book: &'a Book,
    narrowed: &Narrowed,
    name: &str,
) -> Result<(&'a Page, &'a Item), FlipError> {
    let mut all: Vec<(&Page, &Item)> = Vec::new();
    for page in &book.pages {
        let items = page
            .checklist
            .items
            .iter()
            .filter(|item| item.block.is_none());
        let own = items.filter(|item| {
            narrowed.task.is_none() || narrowed.task.as_ref() == book.task_of(page, item)
        });
        all.extend(own.map(|item| (page, item)));
    }
    if let Some((file, line)) = name.rsplit_once(':')
        && let Ok(line) = line.parse::<usize>()
        && let Some(found) = all
            .iter()
            .find(|(page, item)| page.file == file && item.line == line)
    {
        return Ok(*found);
    }
    let is_source = |page: &Page| {
        page.task.as_ref().is_some_and(|task| {
            book.source(task)
                .is_some_and(|source| source.path == page.path)
        })
    };
    let plain = normalized(name);
    let ways: [&dyn Fn(&Item) -> bool; 3] = [
        &|item| item.key.as_deref() == Some(name),
        &|item| normalized(&item.title) == plain,
        &|item| !plain.is_empty() && normalized(&item.title).contains(&plain),
    ];
    for way in ways {
        let found: Vec<_> = all.iter().filter(|(_, item)| way(item)).copied().collect();
        let sources: Vec<_> = found
            .iter()
            .filter(|(page, _)| is_source(page))
            .copied()
            .collect();
        let best: Vec<_> = if sources.is_empty() {
            found
                .into_iter()
                .filter(|(page, _)| page.part != Part::AllTasks || sources.is_empty())
                .collect()
        } else {
            sources
        };
        match &best[..] {
            [] => {}
            [only] => return Ok(*only),
            several => {
                let among = several.iter().take(NAMED_MAX);
                let among = among.map(|(page, item)| format!("{}:{}", page.file, item.line));
                return Err(FlipError::Items {
                    name: name.to_owned(),
                    among: among.collect(),
                });
            }
        }
    }
    Err(FlipError::NoItem {
        name: name.to_owned(),
    })
}

/// The run that is meant.
fn run(shelf: &Shelf, task: &TaskId, proof: &Proof) -> Result<RunId, FlipError> {
    let runs = records::run_ids(shelf, task)?;
    let none = |run: &str| FlipError::NoRun {
        task: task.clone(),
        run: run.to_owned(),
    };
    match proof {
        Proof::Latest => runs
            .into_iter()
            .next()
            .ok_or_else(|| FlipError::NoRuns { task: task.clone() }),
        Proof::Run(part) => {
            let part = part.strip_suffix("/manifest.json").unwrap_or(part);
            let part = part.rsplit('/').next().unwrap_or(part);
            let whole = runs.iter().find(|run| run.as_str() == part).cloned();
            let mut found: Vec<RunId> = match whole {
                Some(run) => vec![run],
                None => runs
                    .into_iter()
                    .filter(|run| run.as_str().contains(part))
                    .collect(),
            };
            match (found.pop(), found.is_empty()) {
                (Some(run), true) => Ok(run),
                (None, _) => Err(none(part)),
                (Some(last), false) => {
                    found.push(last);
                    let among = found.iter().take(NAMED_MAX).map(RunId::to_string).collect();
                    Err(FlipError::Runs {
                        run: part.to_owned(),
                        among,
                    })
                }
            }
        }
    }
}

fn prove(shelf: &Shelf, task: &TaskId, run: &RunId, manifest: &str) -> Result<(), FlipError> {
    let expected = expectations(shelf.config())
        .remove(task)
        .unwrap_or_else(|| Expected {
            task: Some(task.clone()),
            ..Expected::default()
        });
    let unproven = |reason: String| FlipError::Unproven {
        manifest: manifest.to_owned(),
        reason,
    };
    let found = Cited::new(shelf.root().as_path(), shelf.places()).at(manifest);
    match &*found {
        Found::Run {
            manifest: read,
            directory,
            ..
        } => {
            let faults = manifest_faults(read, directory, &expected);
            match faults.into_iter().next() {
                Some((_, reason)) => Err(unproven(reason)),
                None if read.run_id != *run => Err(unproven("it is of another run".to_owned())),
                None => Ok(()),
            }
        }
        Found::Unparsable { reason } => Err(unproven(reason.clone())),
        Found::NoTask | Found::Missing | Found::Other => {
            Err(unproven("it is not there".to_owned()))
        }
    }
}
