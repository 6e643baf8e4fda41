//! A project more in `orchd.toml`, with a pipeline that runs what is found in its directory.
//!
//! The file is edited by `toml_edit`, so that comments and order stay. What comes of it is assembled and held against the
//! configuration of before: everything that was declared, or implied, is still there and means the same. A workspace
//! without projects is one by itself; that one is written down before another comes to it, because it would be gone.

mod choice;
mod edit;

use self::choice::Choice;
use self::edit::Addition;
use super::Wanted;
use crate::disk::configuration::{self, ConfigurationError, Files};
use crate::documents::declared::{self, Declared};
use crate::documents::task_index::TASK_INDEX;
use crate::model::config::detect::{Listing, detect};
use crate::model::config::fault::{Fault, Problems};
use crate::model::config::{Config, Project};
use crate::model::id::{PipelineId, TaskId};
use crate::model::path::{RelPath, RootPath};

/// Why no configuration comes of it.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The files as they are.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The task is another project's.
    #[error("task `{task}` is the project at `{}` already", path.to_text())]
    TaskTaken {
        /// The task.
        task: TaskId,
        /// The project's directory.
        path: RelPath,
    },
    /// The directory is another project's.
    #[error("`{}` is the project `{task}` already", path.to_text())]
    PathTaken {
        /// The directory.
        path: RelPath,
        /// The project.
        task: TaskId,
    },
    /// One would lie in the other.
    #[error("`{}` and the project `{task}` at `{}` would lie in each other", path.to_text(), other.to_text())]
    Nested {
        /// The directory.
        path: RelPath,
        /// The project.
        task: TaskId,
        /// Its directory.
        other: RelPath,
    },
    /// A file there that tells what to run is broken.
    #[error("`{file}` in `{}` cannot be parsed: {said}", path.to_text())]
    Broken {
        /// The directory.
        path: RelPath,
        /// The file.
        file: String,
        /// What its parser said.
        said: String,
    },
    /// Nothing tells what to run.
    #[error("nothing in `{}` tells what to run, and there is no pipeline for it", path.to_text())]
    NothingToRun {
        /// The directory.
        path: RelPath,
    },
    /// A key has another form than the one that can be added to.
    #[error("`{key}` in `orchd.toml` is in a form that cannot be added to")]
    Form {
        /// The key.
        key: &'static str,
    },
    /// The file is no TOML for the editor, though it is for the reader.
    #[error("`orchd.toml` cannot be edited")]
    Edit(#[source] toml_edit::TomlError),
    /// What would come of it is refused.
    #[error("the configuration would not be valid\n{0}")]
    Refused(Problems),
    /// What would come of it says something else of what was there.
    #[error("`orchd.toml` would no longer say the same of what it declares")]
    Changed,
}

impl ComposeError {
    /// What to do about it.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Configuration(_) => Some("correct it: `orchctl status` says the same"),
            Self::TaskTaken { .. } => Some("name another task: each project has its own"),
            Self::PathTaken { .. } => Some("name that task, or another directory"),
            Self::Nested { .. } => {
                Some("put them beside each other; only a project at `.` may hold others")
            }
            Self::Broken { .. } => Some("correct it, or name a pipeline with --pipeline"),
            Self::NothingToRun { .. } => {
                Some("write a [[pipeline]] into orchd.toml and name it with --pipeline")
            }
            Self::Form { .. } | Self::Edit(_) | Self::Changed => {
                Some("write the [[project]] by hand, and call this again for its documents")
            }
            Self::Refused(_) => None,
        }
    }
}

/// A configuration with the project in it.
#[derive(Debug)]
pub(super) struct Composed {
    /// The text of `orchd.toml`.
    pub(super) text: String,
    /// What it says.
    pub(super) config: Config,
    /// The project's pipeline.
    pub(super) pipeline: PipelineId,
    /// The project that the workspace was by itself, where it is written down now.
    pub(super) implied: Vec<TaskId>,
    /// What somebody should know of it.
    pub(super) notes: Vec<String>,
}

/// Everything that a configuration is made of.
struct Around<'a> {
    root: &'a RootPath,
    listing: Listing,
    files: Files,
    wanted: &'a Wanted,
}

impl Around<'_> {
    fn assemble(&self, toml: Option<String>) -> Result<Config, Problems> {
        let files = Files {
            toml,
            codex: self.files.codex.clone(),
        };
        let task = self.wanted.surroundings.as_ref();
        configuration::assemble(self.root, &self.listing, &files, task)
    }
}

/// Makes the configuration of a workspace that has the project.
pub(super) fn compose(root: &RootPath, wanted: &Wanted) -> Result<Composed, ComposeError> {
    let around = Around {
        root,
        listing: configuration::list(root)?,
        files: configuration::files(root)?,
        wanted,
    };
    let toml = around.files.toml.clone();
    let projects = toml.as_deref().map(declared::projects);
    let projects = projects.unwrap_or_default();
    let before = match around.assemble(toml.clone()) {
        Ok(config) => Some(config),
        Err(problems) if projects.is_empty() && is_beginning(&problems) => None,
        Err(problems) => {
            let root = root.clone();
            return Err(ConfigurationError::Invalid { root, problems }.into());
        }
    };
    if let (true, Some(config)) = (is_there(root, &projects, wanted)?, &before) {
        return Ok(Composed {
            text: toml.unwrap_or_default(),
            pipeline: pipeline_of(config, &wanted.task)?,
            config: config.clone(),
            implied: Vec::new(),
            notes: Vec::new(),
        });
    }
    let mut notes = Vec::new();
    let implied = implied(before.as_ref(), &projects, wanted, &mut notes);
    let choice = choice::choose(&around, before.as_ref(), implied)?;
    let addition = Addition {
        wanted,
        implied: implied.map(|project| &project.task),
        ignore: ignored(before.as_ref(), &choice, &wanted.path),
        choice: &choice,
    };
    let text = edit::with(toml.as_deref(), &addition)?;
    let config = around
        .assemble(Some(text.clone()))
        .map_err(ComposeError::Refused)?;
    if let Some(before) = &before {
        holds(before, &config, &projects, implied)?;
    }
    notes.extend(choice.note());
    Ok(Composed {
        text,
        pipeline: pipeline_of(&config, &wanted.task)?,
        config,
        implied: implied
            .map(|project| project.task.clone())
            .into_iter()
            .collect(),
        notes,
    })
}

fn pipeline_of(config: &Config, task: &TaskId) -> Result<PipelineId, ComposeError> {
    let project = config.project(task).ok_or(ComposeError::Changed)?;
    Ok(project.pipeline.clone())
}

/// Whether nothing is wrong but that nothing says what the workspace as a whole would run.
fn is_beginning(problems: &Problems) -> bool {
    let mut shown = problems.shown.iter();
    problems.more == 0
        && shown.all(|problem| {
            matches!(
                problem.fault,
                Fault::NothingToRun | Fault::NoPipelineNamed { .. }
            )
        })
}

/// Whether the very project is declared already.
fn is_there(root: &RootPath, projects: &[Declared], wanted: &Wanted) -> Result<bool, ComposeError> {
    let real = |path: &RelPath| {
        let whole = root.join(path);
        whole.canonicalize().unwrap_or(whole)
    };
    for project in projects {
        let (task, path) = (project.task.clone(), project.path.clone());
        let is_same = path == wanted.path || real(&path) == real(&wanted.path);
        match (task == wanted.task, is_same) {
            (true, true) => return Ok(true),
            (true, false) => return Err(ComposeError::TaskTaken { task, path }),
            (false, true) => return Err(ComposeError::PathTaken { path, task }),
            (false, false) => {}
        }
        let nests = path.is_within(&wanted.path) || wanted.path.is_within(&path);
        if nests && !path.is_root() && !wanted.path.is_root() {
            return Err(ComposeError::Nested {
                path: wanted.path.clone(),
                task,
                other: path,
            });
        }
    }
    Ok(false)
}

/// The project that the workspace is by itself, where it has to be written down.
fn implied<'a>(
    before: Option<&'a Config>,
    projects: &[Declared],
    wanted: &Wanted,
    notes: &mut Vec<String>,
) -> Option<&'a Project> {
    let config = before.filter(|_| projects.is_empty())?;
    let project = config.projects.first().filter(|_| !wanted.path.is_root())?;
    let said = if config.is_unpiped(project) {
        "nothing ran by itself for the workspace as a whole, and its pipelines still run by name"
    } else if project.task == wanted.task {
        "MCP_RUNNER_TASK_ID names this project, so that the workspace as a whole is none any more"
    } else {
        notes.push(format!(
            "the workspace as a whole was a project by itself: it is written down as `{}`",
            project.task
        ));
        return Some(project);
    };
    notes.push(said.to_owned());
    None
}

/// What the workspace has to ignore besides, in addition to what it does.
fn ignored(before: Option<&Config>, choice: &Choice, path: &RelPath) -> Option<Vec<String>> {
    let own = choice.ignore(path);
    let known = before
        .map(|config| config.settings.ignore.clone())
        .unwrap_or_default();
    let more: Vec<String> = own
        .into_iter()
        .filter(|pattern| !known.contains(pattern))
        .collect();
    let is_more = !more.is_empty();
    is_more.then(|| known.into_iter().chain(more).collect())
}

/// Whether everything that was declared is still there and says the same.
fn holds(
    before: &Config,
    after: &Config,
    projects: &[Declared],
    implied: Option<&Project>,
) -> Result<(), ComposeError> {
    let declared = |project: &&Project| {
        let is_it = |declared: &Declared| declared.task == project.task;
        projects.iter().any(is_it) || implied.is_some_and(|implied| implied.task == project.task)
    };
    let mut kept = before.projects.iter().filter(declared);
    let has_projects = kept.all(|project| after.projects.contains(project));
    let needed = |id: &PipelineId| after.projects.iter().any(|project| project.pipeline == *id);
    let mut pipelines = before.pipelines.iter();
    let has_pipelines = pipelines.all(|pipeline| {
        // What is made of what is found is there only where somebody refers to it.
        let is_found = pipeline.source == crate::model::config::PipelineSource::Default;
        (is_found && !needed(&pipeline.id)) || after.pipeline(&pipeline.id) == Some(pipeline)
    });
    let mut settings = after.settings.clone();
    settings.ignore.clone_from(&before.settings.ignore);
    let mut ignore = before.settings.ignore.iter();
    let still_ignores = ignore.all(|pattern| after.settings.ignore.contains(pattern));
    if has_projects && has_pipelines && settings == before.settings && still_ignores {
        Ok(())
    } else {
        Err(ComposeError::Changed)
    }
}

/// What is found in the project's directory.
fn found(around: &Around<'_>) -> Result<crate::model::config::detect::Detected, ComposeError> {
    let path = &around.wanted.path;
    let place = RootPath::new(&around.root.join(path));
    let mut listing = match place {
        Ok(place) => configuration::list(&place)?,
        Err(_) => Listing::default(),
    };
    // The workspace has an index of tasks from now on, and its spec guard is asked from anywhere in it.
    listing.files.insert(TASK_INDEX.to_owned());
    let found = detect(&listing);
    if let Some((file, said)) = found.broken() {
        return Err(ComposeError::Broken {
            path: path.clone(),
            file: file.to_owned(),
            said: said.to_owned(),
        });
    }
    Ok(found)
}
