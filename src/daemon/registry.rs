//! The workspace registry, `<state>/workspaces.json`: which directories the daemon watches, across its restarts.
//!
//! Roots never lie inside each other: a path belongs to one workspace. Whether a root exists is not asked here, because
//! a missing one may come back.

use crate::daemon::store::{Changed, Kept, Patience, StoreError};
use crate::limits::WORKSPACES_MAX;
use crate::model::id::TaskId;
use crate::model::path::RootPath;
use crate::model::places::REGISTRY_FILE;
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A directory that is not taken into the registry, or could not be.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It is part of one that is there.
    #[error(
        "`{root}` is inside the workspace `{outer}`: make it a [[project]] of that one, or `orchctl remove {}` first",
        outer.quoted()
    )]
    Inside {
        /// What was asked.
        root: RootPath,
        /// The workspace around it.
        outer: RootPath,
    },
    /// One that is there is part of it.
    #[error("`{root}` contains the workspace `{inner}`: `orchctl remove {}` first", inner.quoted())]
    Contains {
        /// What was asked.
        root: RootPath,
        /// The workspace inside of it.
        inner: RootPath,
    },
    /// There are too many.
    #[error("{WORKSPACES_MAX} workspaces are registered: `orchctl remove` one first")]
    Full,
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A registered directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// The directory; in the file as its key, because a name need not be text.
    #[serde(with = "root_key")]
    pub root: RootPath,
    /// When it was added.
    pub added_at: Timestamp,
    /// `MCP_RUNNER_TASK_ID` of the `add` that registered it.
    pub task: Option<TaskId>,
}

mod root_key {
    use crate::model::path::RootPath;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        root: &RootPath,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&root.to_key())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RootPath, D::Error> {
        let key = String::deserialize(deserializer)?;
        RootPath::from_key(&key).map_err(D::Error::custom)
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Workspaces {
    workspaces: Vec<Workspace>,
}

/// The registered directories. A clone is of the same file.
#[derive(Clone, Debug)]
pub struct Registry {
    kept: Kept<Workspaces>,
}

impl Registry {
    /// Reads the registry of a state directory; a missing one is empty.
    ///
    /// # Errors
    /// When it cannot be read, belongs to somebody else or is of a newer version.
    pub fn open(state: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let kept = Kept::open(state, REGISTRY_FILE, now)?;
        Ok(Self { kept })
    }

    /// Reads the registry again, for what another process added or removed; a damaged one is written anew.
    ///
    /// # Errors
    /// As [`Registry::open`]; then what was known stands.
    pub fn refresh(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.kept.refresh(now, Patience::Waits)
    }

    /// As [`Registry::refresh`], and waits for nobody: where the lock of a damaged one is held, it is not written anew.
    ///
    /// # Errors
    /// As [`Registry::refresh`].
    pub(super) fn glance(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.kept.refresh(now, Patience::None)
    }

    /// Knows what a clone has come to know.
    pub(super) fn take_over(&mut self, other: Self) {
        self.kept.take_over(other.kept);
    }

    /// The file that it is kept in.
    pub(super) fn kept(&self) -> &Kept<Workspaces> {
        &self.kept
    }

    /// The registered directories, in the order in which they were added.
    #[must_use]
    pub fn workspaces(&self) -> &[Workspace] {
        &self.kept.known().workspaces
    }

    /// Registers a directory; durable when this returns. One that is registered keeps the task that it was given then.
    ///
    /// # Errors
    /// When it lies in a registered one or contains one, or the file cannot be read or written.
    pub fn add(
        &mut self,
        root: &RootPath,
        task: Option<TaskId>,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let root = root.clone();
        self.kept.change(now, |known| {
            match insert(&mut known.workspaces, root, task, now) {
                Ok(changed) => (changed, Ok(())),
                Err(refused) => (Changed::No, Err(refused)),
            }
        })?
    }

    /// Takes a directory out; tells whether it was there.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remove(&mut self, root: &RootPath, now: Timestamp) -> Result<bool, StoreError> {
        self.kept.change(now, |known| {
            let before = known.workspaces.len();
            known.workspaces.retain(|workspace| &workspace.root != root);
            match before == known.workspaces.len() {
                true => (Changed::No, false),
                false => (Changed::Yes, true),
            }
        })
    }
}

fn insert(
    known: &mut Vec<Workspace>,
    root: RootPath,
    task: Option<TaskId>,
    now: Timestamp,
) -> Result<Changed, RegistryError> {
    // Another name would begin another history.
    if known.iter().any(|workspace| workspace.root == root) {
        return Ok(Changed::No);
    }
    for workspace in known.iter() {
        let other = workspace.root.clone();
        if root.as_path().starts_with(other.as_path()) {
            return Err(RegistryError::Inside { root, outer: other });
        }
        if other.as_path().starts_with(root.as_path()) {
            return Err(RegistryError::Contains { root, inner: other });
        }
    }
    if known.len() >= WORKSPACES_MAX {
        return Err(RegistryError::Full);
    }
    known.push(Workspace {
        root,
        added_at: now,
        task,
    });
    Ok(Changed::Yes)
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
