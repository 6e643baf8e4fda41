//! Reads a workspace's configuration from disk: both files, and what is found for the built-in pipeline.
//!
//! Each file is read once: the bytes that are parsed are the bytes whose command set is digested and allowed, whatever
//! happens to the file meanwhile. A file that cannot be read is an error, never a missing file.

use crate::limits::CONFIG_BYTES_MAX;
use crate::model::config::check::{Surroundings, Texts};
use crate::model::config::commands::CommandText;
use crate::model::config::detect::{self, Listing};
use crate::model::config::fault::Problems;
use crate::model::config::source::{Origin, Place, Spot};
use crate::model::config::{Config, PipelineSource};
use crate::model::digest::CommandSet;
use crate::model::id::TaskId;
use crate::model::judged::Judged;
use crate::model::path::{RelPath, RootPath, to_text};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A configuration that is not in force, and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The workspace itself.
    #[error("failed to open the workspace `{}`", path.display())]
    Root {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is there but cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else under a file's name.
    #[error("`{}` is {found}: it has to be a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A file of an absurd size.
    #[error("`{}` has more than {CONFIG_BYTES_MAX} bytes: that is no configuration", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are no text.
    #[error("`{}` is not UTF-8 from line {line}, column {column} on: save it as UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first odd byte.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// What the files say.
    #[error("the configuration of `{root}` is not valid\n{problems}")]
    Invalid {
        /// The workspace.
        root: RootPath,
        /// Everything that is wrong.
        problems: Problems,
    },
    /// What the files of a commit or an index say.
    #[error("the configuration of {judged} is not valid\n{problems}")]
    InvalidRevision {
        /// What is judged.
        judged: Judged,
        /// Everything that is wrong; its places are named as git names them.
        problems: Problems,
    },
}

impl ConfigurationError {
    /// The same of a commit or an index that is checked out, with the workspace at `below` in it: whoever reads it knows
    /// the files by git's names for them, and not where they were checked out.
    #[must_use]
    pub fn in_revision(self, judged: &Judged, below: &Path) -> Self {
        let named = |file: &OsStr| judged.name_of(&to_text(below.join(file).as_os_str()));
        let moved = |path: PathBuf| match path.file_name() {
            Some(file) => PathBuf::from(named(file)),
            None => path,
        };
        match self {
            Self::Root { source, .. } => Self::Root {
                path: PathBuf::from(judged.name_of(&to_text(below.as_os_str()))),
                source,
            },
            Self::Read { path, source } => Self::Read {
                path: moved(path),
                source,
            },
            Self::NotAFile { path, found } => Self::NotAFile {
                path: moved(path),
                found,
            },
            Self::TooLarge { path } => Self::TooLarge { path: moved(path) },
            Self::NotText { path, line, column } => Self::NotText {
                path: moved(path),
                line,
                column,
            },
            Self::Invalid { mut problems, .. } => {
                let places = problems.shown.iter_mut();
                for place in places.filter_map(|problem| problem.place.as_mut()) {
                    place.file = Cow::Owned(named(OsStr::new(&*place.file)));
                }
                let judged = judged.clone();
                Self::InvalidRevision { judged, problems }
            }
            Self::InvalidRevision { .. } => self,
        }
    }
}

/// A configuration as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The digest of what it may execute.
    pub command_set: CommandSet,
    /// What it may execute, for people.
    pub commands: Vec<CommandText>,
    /// The paths that decided it: a change of any of them calls for another look.
    pub depends_on: Vec<RelPath>,
}

/// The texts of a workspace's two files, as they are on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `orchd.toml`.
    pub toml: Option<String>,
    /// `codex.orchestrator.json`.
    pub codex: Option<String>,
}

/// Reads the configuration of a workspace; `task` is its task where the files define no project.
///
/// # Errors
/// When a file cannot be read or is not valid.
pub fn load(root: &RootPath, task: Option<&TaskId>) -> Result<Loaded, ConfigurationError> {
    // First, because it tells a workspace that is not there from one without files.
    let listing = list(root)?;
    let files = files(root)?;
    let config = assemble(root, &listing, &files, task).map_err(|problems| {
        let root = root.clone();
        ConfigurationError::Invalid { root, problems }
    })?;
    Ok(Loaded::of(config))
}

/// Reads the two files of a workspace.
///
/// # Errors
/// When one is there and cannot be read, or is no text.
pub fn files(root: &RootPath) -> Result<Files, ConfigurationError> {
    Ok(Files {
        toml: read_text(root, Origin::Toml)?,
        codex: read_text(root, Origin::Codex)?,
    })
}

/// The configuration that these files make of a workspace; `task` is as in [`load`].
///
/// # Errors
/// Everything that is wrong with them.
pub fn assemble(
    root: &RootPath,
    listing: &Listing,
    files: &Files,
    task: Option<&TaskId>,
) -> Result<Config, Problems> {
    let texts = Texts {
        toml: files.toml.as_deref(),
        codex: files.codex.as_deref(),
    };
    let around = Surroundings {
        root,
        listing,
        task,
    };
    Config::assemble(texts, &around)
}

impl Loaded {
    /// What follows of a configuration.
    #[must_use]
    pub fn of(config: Config) -> Self {
        Self {
            command_set: config.command_set(),
            commands: config.commands(),
            depends_on: depends_on(&config),
            config,
        }
    }
}

/// Looks for what tells how a project is built.
///
/// # Errors
/// When the workspace is no directory that can be opened.
pub fn list(root: &RootPath) -> Result<Listing, ConfigurationError> {
    let opened = std::fs::read_dir(root.as_path());
    opened.map_err(|source| ConfigurationError::Root {
        path: root.as_path().to_path_buf(),
        source,
    })?;
    let mut listing = Listing::default();
    for name in detect::WANTED {
        let path = root.as_path().join(name);
        if std::fs::metadata(&path).is_err() {
            continue;
        }
        listing.files.insert(name.to_owned());
        if !detect::READ.contains(&name) {
            continue;
        }
        // What cannot be read tells nothing: it is not the user's configuration, so it is no error.
        let text = read(&path).ok().flatten();
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(text) = text {
            listing.texts.insert(name.to_owned(), text);
        }
    }
    Ok(listing)
}

fn depends_on(config: &Config) -> Vec<RelPath> {
    let files = [Origin::Toml, Origin::Codex].map(Origin::file_name);
    let is_found = |source: PipelineSource| source == PipelineSource::Default;
    let uses_found = config
        .pipelines
        .iter()
        .any(|pipeline| is_found(pipeline.source));
    let found = detect::WANTED.iter().filter(|_| uses_found);
    let names = files.iter().chain(found);
    names.filter_map(|name| RelPath::parse(name).ok()).collect()
}

fn read_text(root: &RootPath, origin: Origin) -> Result<Option<String>, ConfigurationError> {
    let path = root.as_path().join(origin.file_name());
    let Some(bytes) = read(&path)? else {
        return Ok(None);
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let end = error.utf8_error().valid_up_to();
            let valid = error.as_bytes().get(..end).unwrap_or_default();
            let valid = String::from_utf8_lossy(valid);
            let place = Place::of(Spot::new(origin, end..end), &valid);
            let (line, column) = (place.line, place.column);
            Err(ConfigurationError::NotText { path, line, column })
        }
    }
}

/// The bytes of a file that a configuration is made of; `None` when there is none. Never waits and never reads far.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, ConfigurationError> {
    let failed = |source| ConfigurationError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A link whose target is gone is a mistake, no missing file.
            let path = path.to_path_buf();
            let found = "a link to nothing";
            return match std::fs::symlink_metadata(&path) {
                Ok(_) => Err(ConfigurationError::NotAFile { path, found }),
                Err(_) => Ok(None),
            };
        }
        Err(error) => return Err(failed(error)),
    };
    let kind = file.metadata().map_err(failed)?.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() {
            "a directory"
        } else {
            "a device, pipe or socket"
        };
        let path = path.to_path_buf();
        return Err(ConfigurationError::NotAFile { path, found });
    }
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        let path = path.to_path_buf();
        return Err(ConfigurationError::TooLarge { path });
    }
    Ok(Some(bytes))
}

/// Without waiting: a pipe under this name would otherwise hold us for ever.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(test)]
#[cfg(unix)]
pub(crate) mod tests;
