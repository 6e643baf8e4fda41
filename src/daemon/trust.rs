//! The trust store, `<state>/trust.json`: which commands a person has allowed in which workspace.
//!
//! A configuration's commands run only while the digest of its command set is the one that was allowed for its root;
//! anything else, an unreadable store included, means that nothing runs. It is never written by anything but `allow`
//! and `deny`, and nothing below a workspace can reach it.

use crate::daemon::store::{Changed, Kept, Patience, StoreError};
use crate::limits::FORMER_TRUST_MAX;
use crate::model::config::commands::{CommandDiff, CommandText};
use crate::model::digest::CommandSet;
use crate::model::path::RootPath;
use crate::model::places::TRUST_FILE;
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Whether a workspace's commands may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They are the ones that were allowed.
    Allowed,
    /// Nobody has allowed any.
    Never,
    /// Others were allowed.
    Changed {
        /// What is different; may be empty where only the order or what is not listed differs.
        diff: CommandDiff,
    },
}

/// What was allowed for a workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    command_set: CommandSet,
    allowed_at: Timestamp,
    commands: Vec<CommandText>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Entries {
    roots: BTreeMap<String, Entry>,
}

/// The allowed command sets. A clone is of the same file.
#[derive(Clone, Debug)]
pub struct TrustStore {
    kept: Kept<Entries>,
}

impl TrustStore {
    /// Reads the store of a state directory; a missing one allows nothing.
    ///
    /// # Errors
    /// When it cannot be read, belongs to somebody else or is of a newer version: then nothing is allowed.
    pub fn open(state: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let kept = Kept::open(state, TRUST_FILE, now)?;
        Ok(Self { kept })
    }

    /// Reads the store again, for what another process allowed or denied; a damaged one is written anew.
    ///
    /// # Errors
    /// As [`TrustStore::open`]; then nothing is allowed any more. What is known of a damaged one whose lock another
    /// program keeps is only not to be relied on: the file is written anew of it later.
    pub fn refresh(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.read_again(now, Patience::Waits)
    }

    /// As [`TrustStore::refresh`], and waits for nobody: where the lock of a damaged one is held, it is not written anew.
    ///
    /// # Errors
    /// As [`TrustStore::refresh`].
    pub(super) fn glance(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.read_again(now, Patience::None)
    }

    fn read_again(&mut self, now: Timestamp, patience: Patience) -> Result<(), StoreError> {
        let refreshed = self.kept.refresh(now, patience);
        if refreshed
            .as_ref()
            .is_err_and(|error| !matches!(error, StoreError::Held { .. }))
        {
            self.kept.forget();
        }
        refreshed
    }

    /// Knows what a clone has come to know.
    pub(super) fn take_over(&mut self, other: Self) {
        self.kept.take_over(other.kept);
    }

    /// Whether the file says something else than when it was looked at last, or cannot be believed any more; told once.
    pub(super) fn was_changed(&mut self) -> bool {
        self.kept.was_changed()
    }

    /// The file that it is kept in.
    pub(super) fn kept(&self) -> &Kept<Entries> {
        &self.kept
    }

    /// Allows a command set for a workspace, instead of what was allowed before; durable when this returns.
    ///
    /// # Errors
    /// When the store cannot be read or written: then nothing has changed.
    pub fn allow(
        &mut self,
        root: &RootPath,
        command_set: CommandSet,
        commands: Vec<CommandText>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            command_set,
            allowed_at: now,
            commands,
        };
        self.kept.change(now, |entries| {
            entries.roots.insert(root.to_key(), entry);
            (Changed::Yes, ())
        })
    }

    /// Takes back what was allowed for a workspace; tells whether anything was.
    ///
    /// # Errors
    /// When the store cannot be read or written: then nothing has changed.
    pub fn deny(&mut self, root: &RootPath, now: Timestamp) -> Result<bool, StoreError> {
        self.kept
            .change(now, |entries| match entries.roots.remove(&root.to_key()) {
                Some(_) => (Changed::Yes, true),
                None => (Changed::No, false),
            })
    }

    /// Forgets what was allowed longest ago for workspaces that are no longer `registered`, beyond the bound. What is
    /// kept of them spares whoever adds one again to read the same commands again.
    ///
    /// # Errors
    /// When the store cannot be read or written: then nothing has changed.
    pub fn forget_former<'a>(
        &mut self,
        registered: impl Iterator<Item = &'a RootPath>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let registered: BTreeSet<String> = registered.map(RootPath::to_key).collect();
        self.kept.change(now, |entries| {
            let all = entries.roots.iter();
            let former = all.filter(|(root, _)| !registered.contains(*root));
            let mut former: Vec<(Timestamp, String)> = former
                .map(|(root, entry)| (entry.allowed_at, root.clone()))
                .collect();
            former.sort_unstable();
            let beyond = former.len().saturating_sub(FORMER_TRUST_MAX);
            for (_, root) in former.iter().take(beyond) {
                entries.roots.remove(root);
            }
            match beyond {
                0 => (Changed::No, ()),
                _ => (Changed::Yes, ()),
            }
        })
    }

    /// The commands that were allowed for a workspace last.
    #[must_use]
    pub fn allowed(&self, root: &RootPath) -> Vec<CommandText> {
        let entry = self.kept.known().roots.get(&root.to_key());
        entry
            .map(|entry| entry.commands.clone())
            .unwrap_or_default()
    }

    /// Whether a workspace's present command set may run; `present` are its commands as [`CommandText`].
    #[must_use]
    pub fn check(&self, root: &RootPath, set: CommandSet, present: &[CommandText]) -> Trust {
        match self.kept.known().roots.get(&root.to_key()) {
            None => Trust::Never,
            Some(entry) if entry.command_set == set => Trust::Allowed,
            Some(entry) => Trust::Changed {
                diff: CommandDiff::between(&entry.commands, present),
            },
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
