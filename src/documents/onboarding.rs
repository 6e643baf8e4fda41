//! A directory becomes a project: in `orchd.toml`, in `tasks/index.json`, with its documents and its rows in those of all.
//!
//! Everything is planned as one `Rewrite` first. What exists is never overwritten: files only grow by what they lack, so
//! that the same call again plans nothing. What is planned is held against what it has to keep: the configuration that
//! comes of it is valid and says of all other projects and pipelines what the one before did.

mod configuration;
mod index;
mod rows;
mod slug;
#[cfg(test)]
mod tests;

use crate::disk::configuration::{ConfigurationError, Loaded};
use crate::documents::book::{ALL_TASKS, Book, Page, Part};
use crate::documents::rewrite::Rewrite;
use crate::documents::shelf::{Shelf, ShelfError};
use crate::documents::standings;
use crate::documents::task_index::{self, TASK_INDEX, TaskEntry, TaskIndexError};
use crate::documents::templates::{self, Fields, TEMPLATES, fill};
use crate::documents::upkeep::{AGENTS, SOPS};
use crate::model::config::proposal;
use crate::model::id::{PipelineId, TaskId};
use crate::model::path::{PathError, RelPath, RootPath};
use serde::Serialize;
use std::path::PathBuf;

pub use configuration::ComposeError;
pub use slug::{Slug, SlugError};

/// The page of the procedures that points to all projects, where no other does.
const EVIDENCE_SOP: &str = ".agent/SOPs/evidence.md";

/// What is to become a project.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its directory.
    pub path: RelPath,
    /// Its task.
    pub task: TaskId,
    /// What its documents are called.
    pub slug: Slug,
    /// What it is called; the slug where nobody says it.
    pub title: Option<String>,
    /// The pipeline that a change runs, where somebody says it.
    pub pipeline: Option<PipelineId>,
    /// The day, as `2026-11-22`.
    pub day: String,
    /// The task of a workspace without projects, as the environment has it.
    pub surroundings: Option<TaskId>,
}

/// A project that was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Onboarded {
    /// Its task.
    pub task_id: TaskId,
    /// What its documents are called.
    pub slug: String,
    /// Its directory, relative to the workspace.
    pub path: String,
    /// The pipeline that a change runs.
    pub pipeline: PipelineId,
    /// The files that were written; none where all was there already.
    pub files: Vec<String>,
    /// What somebody should know of how it was done.
    pub notes: Vec<String>,
}

/// Why a directory did not become a project.
#[derive(Debug, thiserror::Error)]
pub enum OnboardError {
    /// Something of the workspace cannot be read.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The configuration as it is.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The list of tasks cannot be read.
    #[error(transparent)]
    Index(#[from] TaskIndexError),
    /// The configuration as it would be.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The list of tasks has no place for another.
    #[error("`items` of `{TASK_INDEX}` is no list: nothing can be added to it")]
    NoList,
    /// The task has other documents.
    #[error("`{TASK_INDEX}` calls task `{task}` `{slug}`")]
    OtherSlug {
        /// The task.
        task: TaskId,
        /// What its documents are called.
        slug: String,
    },
    /// A document that has to grow is no text.
    #[error("`{path}` is not UTF-8: save it as UTF-8")]
    NotText {
        /// The file.
        path: String,
    },
    /// A link in the way.
    #[error("a path of the project's documents cannot be made")]
    Path(#[from] PathError),
    /// Something else stands where a document belongs.
    #[error("`{}` is no file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
}

impl OnboardError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Compose(error) => error.hint(),
            Self::Configuration(_) | Self::Shelf(ShelfError::Configuration(_)) => {
                Some("correct it: `orchctl status` says the same")
            }
            Self::OtherSlug { .. } => Some("name that slug, or another task"),
            Self::NoList | Self::Index(TaskIndexError::Parse(_)) => {
                Some("correct it: it is `{\"items\": [...], \"specs\": [...]}`")
            }
            Self::NoFile { .. } => Some("move it away"),
            Self::Shelf(_) | Self::Index(_) | Self::NotText { .. } | Self::Path(_) => None,
        }
    }
}

/// Plans what makes a directory a project; what is to be written, and what that is.
///
/// # Errors
/// When the directory or the task is another project's, or what is there cannot be read or would be refused.
pub fn onboard(root: &RootPath, wanted: &Wanted) -> Result<(Rewrite, Onboarded), OnboardError> {
    let composed = configuration::compose(root, wanted)?;
    let shelf = Shelf::of(root, Loaded::of(composed.config));
    let mut plan = Plan {
        shelf,
        wanted,
        rewrite: Rewrite::default(),
    };
    plan.put("orchd.toml", composed.text)?;
    plan.ignored(&composed.implied)?;
    let entries = task_index::read(&plan.shelf)?;
    let entry = entries.iter().find(|entry| entry.id == wanted.task);
    let slug = wanted.slug.as_str();
    if let Some(other) = entry.and_then(|entry| entry.slug.as_deref())
        && other != slug
    {
        let (task, slug) = (wanted.task.clone(), other.to_owned());
        return Err(OnboardError::OtherSlug { task, slug });
    }
    let title = entry.and_then(|entry| entry.title.clone());
    let title = wanted.title.clone().or(title);
    let title = title.unwrap_or_else(|| slug.to_owned());
    let stem = wanted.slug.stem(&wanted.task);
    let fields = Fields {
        task: &wanted.task,
        slug,
        title: &title,
        day: &wanted.day,
        path: &wanted.path.to_text(),
        stem: &stem,
    };
    let source = plan.documents(&fields, entries.clone())?;
    if entry.is_none() {
        plan.listed(&fields, &source.file)?;
    }
    plan.rows(&fields, Some(&source))?;
    for task in &composed.implied {
        plan.rows_of_implied(task)?;
    }
    let project = plan.shelf.config().project(&wanted.task);
    let pipeline = project.map(|project| project.pipeline.clone());
    let onboarded = Onboarded {
        task_id: wanted.task.clone(),
        slug: slug.to_owned(),
        path: wanted.path.to_text(),
        pipeline: pipeline.unwrap_or(composed.pipeline),
        files: plan.rewrite.paths().map(ToString::to_string).collect(),
        notes: composed.notes,
    };
    Ok((plan.rewrite, onboarded))
}

struct Plan<'a> {
    shelf: Shelf,
    wanted: &'a Wanted,
    rewrite: Rewrite,
}

impl Plan<'_> {
    /// What a file holds, or is going to.
    fn text(&self, file: &str) -> Result<Option<String>, OnboardError> {
        let path = RelPath::parse(file)?;
        let bytes = match self.rewrite.after(&path) {
            Some(bytes) => Some(bytes.to_vec()),
            None => self.read(&path)?,
        };
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| OnboardError::NotText {
            path: file.to_owned(),
        })
    }

    fn read(&self, path: &RelPath) -> Result<Option<Vec<u8>>, OnboardError> {
        let bytes = self.shelf.read(path)?;
        let whole = self.shelf.root().join(path);
        if bytes.is_none() && whole.symlink_metadata().is_ok() {
            return Err(OnboardError::NoFile { path: whole });
        }
        Ok(bytes)
    }

    /// Has a file hold this.
    fn put(&mut self, file: &str, text: String) -> Result<(), OnboardError> {
        let path = RelPath::parse(file)?;
        let before = self.read(&path)?;
        self.rewrite
            .change(&path, before.as_deref(), text.into_bytes());
        Ok(())
    }

    /// Keeps the evidence out of git.
    fn ignored(&mut self, implied: &[TaskId]) -> Result<(), OnboardError> {
        let text = self.text(".gitignore")?.unwrap_or_default();
        let mut wanted = proposal::gitignore(&self.wanted.task);
        wanted.extend(implied.iter().flat_map(proposal::gitignore));
        wanted.dedup();
        // Who ignores all of `out/` ignores each task's.
        let all = ["/out/".to_owned()];
        let has_all = proposal::missing(&text, &all).is_empty();
        wanted.retain(|line| !(has_all && line.starts_with("/out/")));
        let mut grown = text.clone();
        let newline = standings::newline(text.as_bytes());
        for line in proposal::missing(&text, &wanted) {
            if !grown.is_empty() && !grown.ends_with('\n') {
                grown.push_str(newline);
            }
            if !grown.lines().any(|known| known == line) {
                grown.push_str(line);
                grown.push_str(newline);
            }
        }
        if grown == text {
            return Ok(());
        }
        self.put(".gitignore", grown)
    }

    /// The documents of the task itself; the one that the others repeat.
    fn documents(
        &mut self,
        fields: &Fields<'_>,
        mut entries: Vec<TaskEntry>,
    ) -> Result<Page, OnboardError> {
        let task = fields.task;
        if !entries.iter().any(|entry| entry.id == *task) {
            entries.push(TaskEntry {
                id: task.clone(),
                slug: Some(fields.slug.to_owned()),
                title: None,
                path: None,
            });
        }
        let book = Book::read(&self.shelf, entries)?;
        let source = match book.source(task) {
            Some(page) => page.clone(),
            None => self.source(fields)?,
        };
        let is_mirror = |page: &&Page| page.part == Part::Mirror;
        let mut mirrors = book.pages.iter().filter(is_mirror);
        if !mirrors.any(|page| page.task.as_ref() == Some(task)) {
            let file = format!(".agent/task/{}.md", fields.stem);
            let text = rows::mirror(&source, fields);
            self.make(&file, text)?;
        }
        let older = format!("tasks/{task}-prd-{}.md", fields.slug);
        if self.text(&older)?.is_none() {
            let text = fill(&self.template("prd.md", templates::PRD)?, fields);
            self.make(&format!("docs/PRD-{}.md", fields.stem), text)?;
        }
        Ok(source)
    }

    /// The checklist that is to be written, unless a file of that name is there.
    fn source(&mut self, fields: &Fields<'_>) -> Result<Page, OnboardError> {
        let file = format!("tasks/{}.md", fields.stem);
        let text = fill(&self.template("tasks.md", templates::TASKS)?, fields);
        self.make(&file, text)?;
        let bytes = self.text(&file)?.unwrap_or_default().into_bytes();
        let (path, task) = (RelPath::parse(&file)?, fields.task.clone());
        Ok(Page::new(path, bytes, Part::Source, Some(task)))
    }

    /// Makes a file, unless there is one.
    fn make(&mut self, file: &str, text: String) -> Result<(), OnboardError> {
        match self.text(file)? {
            Some(_) => Ok(()),
            None => self.put(file, text),
        }
    }

    /// The workspace's own template of this name, else ours.
    fn template(&self, name: &str, ours: &str) -> Result<String, OnboardError> {
        let own = self.text(&format!("{TEMPLATES}/{name}"))?;
        Ok(own.unwrap_or_else(|| ours.to_owned()))
    }

    fn listed(&mut self, fields: &Fields<'_>, source: &str) -> Result<(), OnboardError> {
        let before = self.text(TASK_INDEX)?;
        let after = index::with(before.as_deref(), fields, source)?;
        // Whatever was made of it has to be read again by everybody.
        task_index::parse(after.as_bytes())?;
        self.put(TASK_INDEX, after)
    }

    /// The rows of a project in the documents of all.
    fn rows(&mut self, fields: &Fields<'_>, source: Option<&Page>) -> Result<(), OnboardError> {
        let before = self.text(ALL_TASKS)?;
        let after = rows::all_tasks(before.as_deref(), fields, source);
        let path = RelPath::parse(ALL_TASKS)?;
        // A block that is there already is made again by whoever asks for that.
        let after = match before.as_deref() == Some(&*after) {
            true => after.into_bytes(),
            false => standings::filled(&self.shelf, &path, after.as_bytes())?,
        };
        let text = String::from_utf8(after).unwrap_or_default();
        self.put(ALL_TASKS, text)?;
        let agents = self.text(AGENTS)?;
        let after = rows::agents(agents.as_deref(), fields, source);
        self.put(AGENTS, after)?;
        self.procedures(fields, source)
    }

    /// The procedures that name the runs of some project name those of this one, too; where none does, one is made.
    fn procedures(
        &mut self,
        fields: &Fields<'_>,
        source: Option<&Page>,
    ) -> Result<(), OnboardError> {
        let mut files = vec![EVIDENCE_SOP.to_owned()];
        for path in self.shelf.documents(&RelPath::parse(SOPS)?)? {
            let text = path.to_text();
            files.extend((text != EVIDENCE_SOP).then_some(text));
        }
        let projects = self.shelf.config().projects.iter();
        let tasks: Vec<TaskId> = projects.map(|project| project.task.clone()).collect();
        let mut is_named = false;
        for file in &files {
            let Some(text) = self.text(file)? else {
                continue;
            };
            let speaks = rows::speaks_of_projects(file, &text, &tasks);
            let after = match speaks {
                true => rows::procedure(Some(&text), fields, source),
                false => text,
            };
            is_named |= rows::points(&after, fields.task);
            self.put(file, after)?;
        }
        if is_named {
            return Ok(());
        }
        let before = self.text(EVIDENCE_SOP)?;
        let after = rows::procedure(before.as_deref(), fields, source);
        self.put(EVIDENCE_SOP, after)
    }

    /// The rows of the project that the workspace was without being named.
    fn rows_of_implied(&mut self, task: &TaskId) -> Result<(), OnboardError> {
        let fields = Fields {
            task,
            slug: task.as_str(),
            title: task.as_str(),
            day: &self.wanted.day.clone(),
            path: ".",
            stem: task.as_str(),
        };
        self.rows(&fields, None)
    }
}
