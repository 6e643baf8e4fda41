//! The checklists of a workspace: which files hold them, whose each is, and which is the source of the others.
//!
//! A task's source is a file in `tasks/`; its mirrors are in `.agent/task/` and in `docs/TASKS.md`, where a block or a
//! heading says whose an item is. File names are taken as they are found: `<id>-<slug>.md`, `tasks-<id>-<slug>.md`,
//! `<id>-prd-<slug>.md`.

use crate::documents::checklist::{Checklist, Item};
use crate::documents::shelf::{Shelf, ShelfError};
use crate::documents::task_index::TaskEntry;
use crate::model::id::TaskId;
use crate::model::path::RelPath;
use std::collections::{BTreeMap, BTreeSet};

/// Where sources are.
const SOURCES: &str = "tasks";
/// Where mirrors are, one a task.
const MIRRORS: &str = ".agent/task";
/// The files in it that are filled in for each task.
const TEMPLATES: &str = ".agent/task/templates";
/// The mirror of all tasks.
pub const ALL_TASKS: &str = "docs/TASKS.md";

/// What a file is among those of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// One of those that others repeat.
    Source,
    /// A mirror of one task.
    Mirror,
    /// The mirror of all tasks.
    AllTasks,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is.
    pub path: RelPath,
    /// The same as text.
    pub file: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// What that says.
    pub checklist: Checklist,
    /// What it is.
    pub part: Part,
    /// Whose it is as a whole.
    pub task: Option<TaskId>,
    /// Of the mirror of all tasks, whose its items are, found out once: by each heading that names a task, with its line, and
    /// by the name of each block.
    headed: Vec<(usize, TaskId)>,
    blocked: BTreeMap<String, Option<TaskId>>,
    owned: BTreeMap<TaskId, Vec<usize>>,
}

impl Page {
    /// A file that holds this; nobody is asked whose its items are one by one.
    #[must_use]
    pub fn new(path: RelPath, bytes: Vec<u8>, part: Part, task: Option<TaskId>) -> Self {
        Self {
            file: path.to_text(),
            checklist: Checklist::parse(&bytes),
            path,
            bytes,
            part,
            task,
            headed: Vec::new(),
            blocked: BTreeMap::new(),
            owned: BTreeMap::new(),
        }
    }

    /// Whose an item of the mirror of all tasks is.
    fn owner(&self, item: &Item) -> Option<&TaskId> {
        if let Some(key) = &item.block {
            return self.blocked.get(key)?.as_ref();
        }
        // The nearest heading above it that names a task, whatever its level.
        let above = self.headed.partition_point(|(line, _)| *line < item.line);
        let (_, task) = self.headed.get(above.checked_sub(1)?)?;
        Some(task)
    }
}

/// The checklists of a workspace.
#[derive(Clone, Debug)]
pub struct Book {
    /// Its files, sorted by path.
    pub pages: Vec<Page>,
    tasks: BTreeSet<TaskId>,
    entries: Vec<TaskEntry>,
}

impl Book {
    /// Reads all of a workspace, whose tasks are those that are configured or in `entries`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(shelf: &Shelf, entries: Vec<TaskEntry>) -> Result<Self, ShelfError> {
        let configured = shelf
            .config()
            .projects
            .iter()
            .map(|project| project.task.clone());
        let listed = entries.iter().map(|entry| entry.id.clone());
        let tasks = configured.chain(listed).collect();
        let mut book = Self {
            pages: Vec::new(),
            tasks,
            entries,
        };
        for (below, part) in [(SOURCES, Part::Source), (MIRRORS, Part::Mirror)] {
            let Ok(below) = RelPath::parse(below) else {
                continue;
            };
            for path in shelf.documents(&below)? {
                book.add(shelf, path, part)?;
            }
        }
        if let Ok(path) = RelPath::parse(ALL_TASKS) {
            book.add(shelf, path, Part::AllTasks)?;
        }
        Ok(book)
    }

    fn add(&mut self, shelf: &Shelf, path: RelPath, part: Part) -> Result<(), ShelfError> {
        let is_template = RelPath::parse(TEMPLATES).is_ok_and(|below| path.is_within(&below));
        if !is_template && let Some(bytes) = shelf.read(&path)? {
            self.note(path, part, bytes);
        }
        Ok(())
    }

    fn note(&mut self, path: RelPath, part: Part, bytes: Vec<u8>) {
        let task = match part {
            Part::Source | Part::Mirror => self.task_of_name(&path),
            Part::AllTasks => None,
        };
        let mut page = Page::new(path, bytes, part, task);
        if part == Part::AllTasks {
            self.note_owners(&mut page);
        }
        self.pages.push(page);
    }

    /// Finds out whose the items of the mirror of all tasks are.
    fn note_owners(&self, page: &mut Page) {
        let headings = page.checklist.headings.iter();
        let headed = headings.filter_map(|(_, title, line)| {
            let mut words = title.split_whitespace();
            let task = words.find_map(|word| self.named(word.trim_matches(is_quote)))?;
            Some((*line, task.clone()))
        });
        page.headed = headed.collect();
        let blocks = page.checklist.blocks.iter();
        let blocked = blocks.map(|block| (block.key.clone(), self.named(&block.key).cloned()));
        page.blocked = blocked.collect();
        let mut owned: BTreeMap<TaskId, Vec<usize>> = BTreeMap::new();
        for (index, item) in page.checklist.items.iter().enumerate() {
            if let Some(task) = page.owner(item) {
                owned.entry(task.clone()).or_default().push(index);
            }
        }
        page.owned = owned;
    }

    /// A book of these files, for tests.
    #[cfg(test)]
    pub(super) fn of(task: &TaskId, files: &[(&str, Part, &[u8])]) -> Self {
        let mut book = Self {
            pages: Vec::new(),
            tasks: BTreeSet::from([task.clone()]),
            entries: Vec::new(),
        };
        for (path, part, bytes) in files {
            if let Ok(path) = RelPath::parse(path) {
                book.note(path, *part, bytes.to_vec());
            }
        }
        book
    }

    /// All tasks that are known.
    #[must_use]
    pub fn tasks(&self) -> &BTreeSet<TaskId> {
        &self.tasks
    }

    /// Whose an item is.
    #[must_use]
    pub fn task_of<'a>(&self, page: &'a Page, item: &Item) -> Option<&'a TaskId> {
        match page.part {
            Part::Source | Part::Mirror => page.task.as_ref(),
            Part::AllTasks => page.owner(item),
        }
    }

    /// The source of a task: the file that the index names if it has items, else the one with the plainest name.
    #[must_use]
    pub fn source(&self, task: &TaskId) -> Option<&Page> {
        let own = self.pages.iter().filter(|page| {
            page.part == Part::Source
                && page.task.as_ref() == Some(task)
                && !page.checklist.items.is_empty()
        });
        let entry = self.entries.iter().find(|entry| entry.id == *task);
        let named = entry.and_then(|entry| entry.path.as_deref());
        own.min_by_key(|page| {
            let name = page.file.rsplit('/').next().unwrap_or_default();
            (
                !name.starts_with("tasks-"),
                named != Some(page.file.as_str()),
                name.contains("-prd"),
                page.file.len(),
            )
        })
    }

    /// The mirrors of a task, with the items in them that are the task's.
    pub fn mirrors<'a>(
        &'a self,
        task: &'a TaskId,
    ) -> impl Iterator<Item = (&'a Page, Vec<&'a Item>)> {
        self.pages.iter().filter_map(move |page| {
            let items = &page.checklist.items;
            match page.part {
                Part::Mirror if page.task.as_ref() == Some(task) => {
                    Some((page, items.iter().collect()))
                }
                Part::AllTasks => {
                    let own = page.owned.get(task).into_iter().flatten();
                    Some((page, own.filter_map(|index| items.get(*index)).collect()))
                }
                Part::Source | Part::Mirror => None,
            }
        })
    }

    /// The task that a name speaks of: its id, or its id and more.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&TaskId> {
        let is_it = |task: &&TaskId| {
            let rest = name.strip_prefix(task.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
        };
        self.tasks
            .iter()
            .filter(is_it)
            .max_by_key(|task| task.as_str().len())
    }

    fn task_of_name(&self, path: &RelPath) -> Option<TaskId> {
        let name = path.names().last()?.to_str()?;
        let name = name.strip_suffix(".md").unwrap_or(name);
        let bare = name.strip_prefix("tasks-").unwrap_or(name);
        self.named(name).or_else(|| self.named(bare)).cloned()
    }
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '`' | '*' | ':' | '(' | ')' | '[' | ']' | ',' | '.')
}
