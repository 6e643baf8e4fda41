//! What the paper side reads: one workspace's configuration, its documents and its runs.
//!
//! Reads follow links, as the user's other tools do, and are bounded; what cannot be read is told by whoever wanted it.
//! Writes go through `rewrite`, which follows none.

use crate::disk::configuration::{self, ConfigurationError, Loaded};
use crate::disk::places::EvidencePlaces;
use crate::limits::documents::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENTS_MAX};
use crate::model::config::Config;
use crate::model::evidence::Layout;
use crate::model::id::TaskId;
use crate::model::path::{RelPath, RootPath};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why something of a workspace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Its configuration is not in force.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A file or a directory.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A document of an absurd size.
    #[error("`{}` has more than {DOCUMENT_BYTES_MAX} bytes: that is no document", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// More documents than any workspace has.
    #[error("`{}` holds more than {DOCUMENTS_MAX} documents: name the ones that are meant", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
}

/// One workspace, as the paper side reads it.
#[derive(Clone, Debug)]
pub struct Shelf {
    root: RootPath,
    places: EvidencePlaces,
    layout: Layout,
    loaded: Loaded,
}

impl Shelf {
    /// Opens a workspace; `task` is its task where its files define no project.
    ///
    /// # Errors
    /// When its configuration cannot be read or is not valid.
    pub fn open(root: &RootPath, task: Option<&TaskId>) -> Result<Self, ShelfError> {
        Ok(Self::of(root, configuration::load(root, task)?))
    }

    /// The workspace with this configuration, whatever its files say.
    #[must_use]
    pub fn of(root: &RootPath, loaded: Loaded) -> Self {
        let places = EvidencePlaces::of(root);
        let layout = match root.relative(&places.runs) {
            Some(below) => Layout::new(&below.to_text()),
            None => Layout::new(&places.runs.to_string_lossy()),
        };
        Self {
            loaded,
            root: root.clone(),
            places,
            layout,
        }
    }

    /// The workspace.
    #[must_use]
    pub fn root(&self) -> &RootPath {
        &self.root
    }

    /// What its files declare.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Where its evidence lies.
    #[must_use]
    pub fn places(&self) -> &EvidencePlaces {
        &self.places
    }

    /// How its evidence is called in documents.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes of a file below the workspace; nothing where there is none.
    ///
    /// # Errors
    /// When it cannot be read or is no document.
    pub fn read(&self, path: &RelPath) -> Result<Option<Vec<u8>>, ShelfError> {
        read(&self.root.join(path))
    }

    /// The Markdown files below a directory of the workspace, sorted; none where there is no such directory. What is
    /// hidden below it is left out.
    ///
    /// # Errors
    /// When a directory cannot be read, or there are more than any workspace has.
    pub fn documents(&self, below: &RelPath) -> Result<Vec<RelPath>, ShelfError> {
        let mut found = Vec::new();
        self.gather(below, 0, &mut found)?;
        found.sort();
        Ok(found)
    }

    /// The Markdown files in a directory of the workspace itself, sorted.
    ///
    /// # Errors
    /// As [`Shelf::documents`].
    pub fn documents_in(&self, directory: &RelPath) -> Result<Vec<RelPath>, ShelfError> {
        let mut found = Vec::new();
        self.gather(directory, DOCUMENT_DEPTH_MAX, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn gather(
        &self,
        directory: &RelPath,
        depth: usize,
        found: &mut Vec<RelPath>,
    ) -> Result<(), ShelfError> {
        let path = self.root.join(directory);
        let failed = |source| ShelfError::Read {
            path: path.clone(),
            source,
        };
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_nothing(&error) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let child = directory.child(&name);
            let kind = entry.file_type().map_err(failed)?;
            let is_document = Path::new(&name).extension().is_some_and(|end| end == "md");
            if kind.is_dir() && depth < DOCUMENT_DEPTH_MAX {
                self.gather(&child, depth + 1, found)?;
            } else if is_document && !kind.is_dir() {
                found.push(child);
            }
            if found.len() > DOCUMENTS_MAX {
                return Err(ShelfError::TooMany { path: path.clone() });
            }
        }
        Ok(())
    }
}

/// The bytes of a file; nothing where there is none. Never waits and never reads far.
///
/// # Errors
/// When it cannot be read or is no document.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, ShelfError> {
    let failed = |source| ShelfError::Read {
        path: path.to_path_buf(),
        source,
    };
    // A pipe under this name would otherwise hold us for ever.
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if is_nothing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_nothing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    let taken = file.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes);
    taken.map_err(failed)?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        let path = path.to_path_buf();
        return Err(ShelfError::TooLarge { path });
    }
    Ok(Some(bytes))
}

/// Whether there is nothing under the name.
pub(crate) fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
