//! What can be asked of a workspace's checklists: what they say, whether that holds, and that mirrors follow their source.
//!
//! Checks read and return findings; what changes files returns a `Rewrite` that the caller carries out, or shows.

use crate::documents::book::{Book, Page, Part};
use crate::documents::checklist::edit::{self, Splice};
use crate::documents::checklist::{Block, Item};
use crate::documents::cited::Cited;
use crate::documents::finding::{ItemFinding, ItemKind};
use crate::documents::judge::{Expected, judge};
use crate::documents::latest;
use crate::documents::mirrors::{self, Source, aligned, is_in_sync};
use crate::documents::rewrite::Rewrite;
use crate::documents::shelf::Shelf;
use crate::model::config::Config;
use crate::model::id::{PipelineId, TaskId};
use crate::model::path::RelPath;
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Which part of a workspace's checklists is meant.
#[derive(Clone, Debug, Default)]
pub struct Narrowed {
    /// Only of this task.
    pub task: Option<TaskId>,
    /// Only in these files or directories; all where none is named.
    pub paths: Vec<RelPath>,
}

impl Narrowed {
    fn has_page(&self, page: &Page) -> bool {
        self.paths.is_empty()
            || self
                .paths
                .iter()
                .any(|path| page.path.is_within(path) || page.path == *path)
    }

    fn has_task(&self, task: Option<&TaskId>) -> bool {
        self.task.is_none() || self.task.as_ref() == task
    }
}

/// What a check says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// How many files hold items.
    pub files: usize,
    /// How many items there are.
    pub items: usize,
    /// What is wrong, by file and line.
    pub findings: Vec<ItemFinding>,
}

/// One item, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownItem {
    /// Its file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Whose it is.
    pub task_id: Option<TaskId>,
    /// The heading that it stands under.
    pub section: Option<String>,
    /// The entry or section that it is a part of.
    pub group: Option<String>,
    /// What is to be done.
    pub title: String,
    /// The name that its comment gives it.
    pub key: Option<String>,
    /// Whether it is ticked.
    pub checked: bool,
    /// What would be accepted.
    pub acceptance: Option<String>,
    /// The paths that it names.
    pub evidence: Vec<String>,
}

/// An item whose file says, or is to say, what its source does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Aligned {
    /// The mirror.
    pub file: String,
    /// The line of the item, or of the block that holds it.
    pub line: usize,
    /// What it is called; of a block the task.
    pub title: String,
    /// Whether it is ticked now; nothing for a block, which repeats all items of its task.
    pub checked: Option<bool>,
}

/// What each task's project requires of a run that is cited.
#[must_use]
pub fn expectations(config: &Config) -> BTreeMap<TaskId, Expected> {
    let projects = config.projects.iter();
    let each = projects.map(|project| {
        let own = config
            .pipelines
            .iter()
            .find(|pipeline| pipeline.id == project.pipeline);
        let stages = own.into_iter().flat_map(|pipeline| &pipeline.stages);
        let expected = Expected {
            task: Some(project.task.clone()),
            required: project.required.clone(),
            usual: stages.map(|stage| stage.id.clone()).collect(),
        };
        (project.task.clone(), expected)
    });
    each.collect()
}

/// The items, in the order of files and lines.
#[must_use]
pub fn show(book: &Book, narrowed: &Narrowed) -> Vec<ShownItem> {
    let mut shown = Vec::new();
    for page in book.pages.iter().filter(|page| narrowed.has_page(page)) {
        for item in &page.checklist.items {
            let task = book.task_of(page, item);
            if narrowed.has_task(task) {
                shown.push(ShownItem {
                    file: page.file.clone(),
                    line: item.line,
                    task_id: task.cloned(),
                    section: item.section.clone(),
                    group: item.group.clone(),
                    title: item.title.clone(),
                    key: item.key.clone(),
                    checked: item.checked,
                    acceptance: item.acceptance.clone(),
                    evidence: item
                        .evidence
                        .iter()
                        .map(|cited| cited.token.path.clone())
                        .collect(),
                });
            }
        }
    }
    shown
}

/// Whether what is ticked is proven, and whether mirrors say what their sources do.
#[must_use]
pub fn check(shelf: &Shelf, book: &Book, narrowed: &Narrowed) -> Checked {
    let expected = expectations(shelf.config());
    let mut cited = Cited::new(shelf.root().as_path(), shelf.places());
    let mut checked = Checked::default();
    for page in book.pages.iter().filter(|page| narrowed.has_page(page)) {
        let mut items = 0;
        for item in &page.checklist.items {
            let task = book.task_of(page, item);
            if !narrowed.has_task(task) {
                continue;
            }
            items += 1;
            let unknown = Expected {
                task: task.cloned(),
                ..Expected::default()
            };
            let expected = task.and_then(|task| expected.get(task)).unwrap_or(&unknown);
            checked
                .findings
                .extend(judge(&page.file, item, expected, &mut |path| {
                    cited.at(path)
                }));
        }
        checked.items += items;
        checked.files += usize::from(items > 0);
    }
    for task in book
        .tasks()
        .iter()
        .filter(|task| narrowed.has_task(Some(task)))
    {
        checked.findings.extend(out_of_sync(book, task, narrowed));
        checked
            .findings
            .extend(contradicted(shelf, book, task, narrowed));
    }
    checked
        .findings
        .sort_by(|a, b| (&a.file, a.line, a.kind).cmp(&(&b.file, b.line, b.kind)));
    checked
}

/// The ticked items of a source that declare a pipeline whose newest run that says something is red.
fn contradicted(
    shelf: &Shelf,
    book: &Book,
    task: &TaskId,
    narrowed: &Narrowed,
) -> Vec<ItemFinding> {
    let page = book.source(task).filter(|page| narrowed.has_page(page));
    let mut known: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut findings = Vec::new();
    for (page, item) in page
        .into_iter()
        .flat_map(|page| page.checklist.items.iter().map(move |item| (page, item)))
    {
        let declared = item.pipeline.as_deref();
        let Some(pipeline) = declared.filter(|_| item.checked && item.block.is_none()) else {
            continue;
        };
        let red = known.entry(pipeline);
        let red = red.or_insert_with(|| red_since(shelf, task, pipeline));
        findings.extend(red.as_ref().map(|manifest| ItemFinding {
            file: page.file.clone(),
            line: item.line,
            kind: ItemKind::Contradicted,
            title: item.title.clone(),
            evidence: Some(manifest.clone()),
            message: format!(
                "the newest run of `{pipeline}` is red: make it green, or open the item with `orchctl checklist unflip`"
            ),
        }));
    }
    findings
}

/// The manifest of the newest run of a pipeline, where it is red. Runs that cannot be listed say nothing.
fn red_since(shelf: &Shelf, task: &TaskId, pipeline: &str) -> Option<String> {
    let pipeline = PipelineId::parse(pipeline).ok()?;
    let newest = latest::newest(shelf, task, &pipeline).ok()??;
    let is_green = latest::is_green(&newest, shelf.config().settings.flaky);
    (!is_green).then_some(newest.path)
}

fn out_of_sync(book: &Book, task: &TaskId, narrowed: &Narrowed) -> Vec<ItemFinding> {
    let Some(page) = book.source(task) else {
        return Vec::new();
    };
    let source = Source::of(&page.checklist);
    let mut findings = Vec::new();
    for (mirror, items) in book
        .mirrors(task)
        .filter(|(mirror, _)| narrowed.has_page(mirror))
    {
        let finding = |line: usize, title: &str, message: String| ItemFinding {
            file: mirror.file.clone(),
            line,
            kind: ItemKind::OutOfSync,
            title: title.to_owned(),
            evidence: None,
            message,
        };
        let own = outside_blocks(&items);
        for (item, wanted) in own.iter().zip(source.wanted(&own)) {
            if let Some(wanted) = wanted.filter(|wanted| !is_in_sync(item, wanted)) {
                let said = if wanted.checked != item.checked {
                    if wanted.checked { "ticked" } else { "open" }
                } else {
                    "proven by another run"
                };
                let message = format!(
                    "it is {said} in {}:{}: `orchctl checklist sync` has it follow",
                    page.file, wanted.line
                );
                findings.push(finding(item.line, &item.title, message));
            }
        }
        for (block, body) in blocks(book, mirror, task, page) {
            let is_same = block
                .body
                .clone()
                .is_some_and(|span| mirror.bytes.get(span) == Some(&**body));
            if !is_same {
                let said = if block.body.is_some() {
                    "is not what its source says"
                } else {
                    "has no end"
                };
                let message = format!("the block of `{}` {said} ({})", block.key, page.file);
                findings.push(finding(block.line, &block.key, message));
            }
        }
    }
    findings
}

/// Has the mirrors of these tasks say what their sources do.
#[must_use]
pub fn sync(book: &Book, narrowed: &Narrowed) -> (Rewrite, Vec<Aligned>) {
    let mut mirrors = Mirrored::default();
    for task in book
        .tasks()
        .iter()
        .filter(|task| narrowed.has_task(Some(task)))
    {
        let Some(page) = book.source(task) else {
            continue;
        };
        let source = Source::of(&page.checklist);
        for (mirror, items) in book
            .mirrors(task)
            .filter(|(mirror, _)| narrowed.has_page(mirror))
        {
            let own = outside_blocks(&items);
            for (item, wanted) in own.iter().zip(source.wanted(&own)) {
                if let Some(wanted) = wanted {
                    mirrors.align(
                        mirror,
                        item,
                        wanted.checked,
                        aligned(&mirror.bytes, item, &wanted),
                    );
                }
            }
            mirrors.remake(book, mirror, task, page);
        }
    }
    mirrors.end(book)
}

/// Has the mirrors of a task follow what one change of its source makes of it, and nothing else.
#[must_use]
pub fn follow(
    book: &Book,
    task: &TaskId,
    before: &Page,
    after: Vec<u8>,
) -> (Rewrite, Vec<Aligned>) {
    let (path, task_of_page) = (before.path.clone(), before.task.clone());
    let now = Page::new(path, after, before.part, task_of_page);
    let (was, is) = (Source::of(&before.checklist), Source::of(&now.checklist));
    let mut mirrors = Mirrored::default();
    for (mirror, items) in book.mirrors(task) {
        let own = outside_blocks(&items);
        let wanted = was.wanted(&own).into_iter().zip(is.wanted(&own));
        for (item, (was, is)) in own.iter().zip(wanted) {
            if let Some(is) = is.filter(|is| was.as_ref() != Some(is)) {
                mirrors.align(mirror, item, is.checked, aligned(&mirror.bytes, item, &is));
            }
        }
        mirrors.remake(book, mirror, task, &now);
    }
    let (mut rewrite, aligned) = mirrors.end(book);
    rewrite.change(&before.path, Some(&before.bytes), now.bytes);
    (rewrite, aligned)
}

/// The changes of mirrors, by file.
#[derive(Default)]
struct Mirrored {
    splices: BTreeMap<RelPath, Vec<Splice>>,
    aligned: Vec<Aligned>,
}

impl Mirrored {
    fn align(&mut self, mirror: &Page, item: &Item, checked: bool, splices: Vec<Splice>) {
        if splices.is_empty() {
            return;
        }
        self.splices
            .entry(mirror.path.clone())
            .or_default()
            .extend(splices);
        self.aligned.push(Aligned {
            file: mirror.file.clone(),
            line: item.line,
            title: item.title.clone(),
            checked: Some(checked),
        });
    }

    fn remake(&mut self, book: &Book, mirror: &Page, task: &TaskId, source: &Page) {
        for (block, body) in blocks(book, mirror, task, source) {
            let Some(span) = block
                .body
                .clone()
                .filter(|span| mirror.bytes.get(span.clone()) != Some(&**body))
            else {
                continue;
            };
            self.splices
                .entry(mirror.path.clone())
                .or_default()
                .push(Splice {
                    span,
                    bytes: Vec::clone(&body),
                });
            self.aligned.push(Aligned {
                file: mirror.file.clone(),
                line: block.line,
                title: block.key.clone(),
                checked: None,
            });
        }
    }

    fn end(self, book: &Book) -> (Rewrite, Vec<Aligned>) {
        let mut rewrite = Rewrite::default();
        for (path, splices) in self.splices {
            if let Some(page) = book.pages.iter().find(|page| page.path == path) {
                rewrite.change(&path, Some(&page.bytes), edit::apply(&page.bytes, splices));
            }
        }
        (rewrite, self.aligned)
    }
}

fn outside_blocks<'a>(items: &[&'a Item]) -> Vec<&'a Item> {
    items
        .iter()
        .copied()
        .filter(|item| item.block.is_none())
        .collect()
}

/// The blocks of a task in a mirror, and what each is to hold.
fn blocks<'a>(
    book: &'a Book,
    mirror: &'a Page,
    task: &'a TaskId,
    source: &'a Page,
) -> impl Iterator<Item = (&'a Block, Rc<Vec<u8>>)> {
    let own = mirror.checklist.blocks.iter();
    let own = own
        .filter(move |block| mirror.part == Part::AllTasks && book.named(&block.key) == Some(task));
    // All of them hold the same.
    let mut body = None;
    own.map(move |block| {
        let body = body.get_or_insert_with(|| {
            let has_returns = mirror.bytes.windows(2).any(|pair| pair == b"\r\n");
            let newline = if has_returns { "\r\n" } else { "\n" };
            Rc::new(mirrors::block(source, newline))
        });
        (block, Rc::clone(body))
    })
}

#[cfg(test)]
mod tests;
