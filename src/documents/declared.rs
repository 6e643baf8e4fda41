//! The projects that a workspace's files declare, also where the configuration as a whole is refused.
//!
//! A task id that stands twice makes a configuration invalid, so that nothing runs; what tells that as a finding has to
//! know the projects all the same. Any other fault is still an error.

use crate::disk::configuration::{self, ConfigurationError, Files};
use crate::model::config::fault::{Fault, Problems};
use crate::model::config::source::{Origin, Place};
use crate::model::config::{Config, toml};
use crate::model::id::TaskId;
use crate::model::path::{RelPath, RootPath};

/// A project as `orchd.toml` declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its task.
    pub task: TaskId,
    /// Its directory.
    pub path: RelPath,
    /// The line of its task id, from 1; none where no file names it.
    pub line: Option<usize>,
}

/// What the files of a workspace declare.
#[derive(Debug)]
pub struct Declarations {
    /// The files.
    pub files: Files,
    /// The projects, in order, with those that stand there twice; where no file has one, the one that the workspace is.
    pub projects: Vec<Declared>,
    /// Whether no file has a project.
    pub is_implied: bool,
    /// The configuration; none where nothing is wrong but ids or paths that stand there twice.
    pub config: Option<Config>,
}

/// The projects that a text of `orchd.toml` has; none where it cannot be parsed.
#[must_use]
pub fn projects(text: &str) -> Vec<Declared> {
    let (draft, _) = toml::parse(text);
    let each = draft.projects.into_iter().map(|project| Declared {
        line: Some(Place::of(project.task.spot, text).line),
        task: project.task.value,
        path: project.path.value,
    });
    each.collect()
}

/// Reads what a workspace declares; `task` is its task where no file has a project.
///
/// # Errors
/// When a file cannot be read, or is refused for anything but a project that stands there twice.
pub fn read(root: &RootPath, task: Option<&TaskId>) -> Result<Declarations, ConfigurationError> {
    let listing = configuration::list(root)?;
    let files = configuration::files(root)?;
    let mut projects = files.toml.as_deref().map(projects).unwrap_or_default();
    let is_implied = projects.is_empty();
    let config = match configuration::assemble(root, &listing, &files, task) {
        Ok(config) => Some(config),
        Err(problems) if is_twice(&problems) => None,
        Err(problems) => {
            let root = root.clone();
            return Err(ConfigurationError::Invalid { root, problems });
        }
    };
    if is_implied {
        let own = config.iter().flat_map(|config| &config.projects);
        projects.extend(own.map(|project| Declared {
            task: project.task.clone(),
            path: project.path.clone(),
            line: None,
        }));
    }
    Ok(Declarations {
        files,
        projects,
        is_implied,
        config,
    })
}

/// Whether nothing is wrong but projects that share an id or a directory.
fn is_twice(problems: &Problems) -> bool {
    let is_one =
        |fault: &Fault| matches!(fault, Fault::Duplicate { what, .. } if *what != "pipeline id");
    problems.more == 0 && problems.shown.iter().all(|problem| is_one(&problem.fault))
}

/// The line of `orchd.toml` that a project stands in, as messages name it.
#[must_use]
pub fn place(project: &Declared) -> String {
    let file = Origin::Toml.file_name();
    project
        .line
        .map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}
