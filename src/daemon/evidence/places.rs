//! Where one workspace's evidence stands, and how its directories are reached.
//!
//! What lies below the workspace is reached from its root without following a link; a directory that the environment
//! names elsewhere is trusted as it is. The root itself is never made: without it the workspace is missing.

use crate::disk::durable::{Act, Dir, DurableError, Unsynced, create_dir_all};
use crate::disk::identity::Identity;
use crate::model::id::TaskId;
use crate::model::path::{RootPath, to_text};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Where one workspace's evidence stands; absolute paths.
#[derive(Clone, Debug)]
pub struct Places {
    /// The runs directory, usually `.runs` below the root.
    pub runs_dir: PathBuf,
    /// The directory of the snapshots, usually `out` below the root.
    pub out_dir: PathBuf,
    /// The directory of the index; without one the index is kept in memory only.
    pub index_dir: Option<PathBuf>,
}

impl Places {
    /// Where the runs directory of the workspace at `root` is, as its index is named by it.
    #[must_use]
    pub fn runs(&self, root: &RootPath) -> PathBuf {
        Base::new(root, &self.runs_dir).path()
    }

    /// The tasks that have runs at the workspace at `root`, whether its configuration still names them or not. A
    /// directory that cannot be read tells of none.
    #[must_use]
    pub fn tasks(&self, root: &RootPath) -> BTreeSet<TaskId> {
        let Ok(Some(runs)) = Base::new(root, &self.runs_dir).open() else {
            return BTreeSet::new();
        };
        let named = |name: OsString| TaskId::parse(name.to_str()?).ok();
        let names = runs.list().unwrap_or_default().into_iter();
        names
            .filter_map(named)
            .filter(|task| runs.stamp(&Path::new(task.as_str()).join("cli")).is_some())
            .collect()
    }
}

/// What stands at the root is not the workspace.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("another directory has taken its place")]
struct Replaced;

/// A directory as an anchor that is opened by path and the way down from it that follows no link.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    anchor: PathBuf,
    below: PathBuf,
    outside: bool,
    /// Which directory the root has to be, where that is known.
    root: Option<Identity>,
}

impl Base {
    pub(crate) fn new(root: &RootPath, dir: &Path) -> Self {
        match dir.strip_prefix(root.as_path()) {
            Ok(below) => Self {
                anchor: root.as_path().to_path_buf(),
                below: below.to_path_buf(),
                outside: false,
                root: None,
            },
            Err(_) => Self {
                anchor: dir.to_path_buf(),
                below: PathBuf::new(),
                outside: true,
                root: None,
            },
        }
    }

    /// How it is called from the workspace, in manifests.
    pub(crate) fn label(&self) -> String {
        let path = if self.outside {
            &self.anchor
        } else {
            &self.below
        };
        to_text(path.as_os_str()).replace(std::path::MAIN_SEPARATOR, "/")
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.anchor.join(&self.below)
    }

    /// From now on the root has to be this directory: another one in its place is not the workspace.
    /// Says whether it was known to be another before.
    pub(super) fn hold(&mut self, root: Option<Identity>) -> bool {
        let root = root.filter(|_| !self.outside);
        let before = std::mem::replace(&mut self.root, root);
        before.is_some_and(|before| Some(before) != root)
    }

    /// Opens it; `None` when it is not there yet.
    pub(crate) fn open(&self) -> Result<Option<Dir>, DurableError> {
        match self.anchor() {
            Err(error) if self.outside && error.is_missing() => Ok(None),
            Err(error) => Err(error),
            Ok(anchor) => anchor.descend(&self.below),
        }
    }

    /// Opens it and makes it where it is missing.
    pub(crate) fn create(&self, grown: &mut Grown) -> Result<Dir, DurableError> {
        if self.outside {
            create_dir_all(&self.anchor)?;
        }
        grown.create(&self.anchor()?, &self.below)
    }

    fn anchor(&self) -> Result<Dir, DurableError> {
        let anchor = Dir::open(&self.anchor)?;
        match self.root {
            Some(root) if anchor.identity()? != root => Err(DurableError {
                act: Act::Open,
                path: self.anchor.clone(),
                source: io::Error::new(io::ErrorKind::NotFound, Replaced),
            }),
            Some(_) | None => Ok(anchor),
        }
    }
}

/// What has grown and is not yet safe from a power cut: directories that got names, files that got lines. Several
/// changes of one share one sync.
#[derive(Debug, Default)]
pub(crate) struct Grown(BTreeMap<PathBuf, Unsynced>);

impl Grown {
    /// Opens a directory below `dir`, makes what is missing, and notes which directories grew.
    pub(crate) fn create(&mut self, dir: &Dir, below: &Path) -> Result<Dir, DurableError> {
        let (made, grown) = dir.create_unsynced(below)?;
        for dir in grown {
            self.note(dir);
        }
        Ok(made)
    }

    /// Notes that `dir` grew.
    pub(crate) fn note(&mut self, dir: Dir) {
        self.note_unsynced(Unsynced::Names(dir));
    }

    /// Notes what was written.
    pub(crate) fn note_unsynced(&mut self, written: Unsynced) {
        drop(self.0.insert(written.path().to_path_buf(), written));
    }

    /// Syncs all of it together. A journal keeps the order in which it was written; where there is none, a name may
    /// survive that leads to nothing yet, which the next start clears away.
    pub(crate) fn sync(self) -> Result<(), DurableError> {
        let all: Vec<Unsynced> = self.0.into_values().collect();
        Unsynced::sync_all(all)
    }
}
