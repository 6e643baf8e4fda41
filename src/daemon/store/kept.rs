//! A state file together with what is known of it: the part that the registry and the trust store have in common.
//!
//! What is known outlives a file that is damaged meanwhile: it is written anew of that.

use super::{Aside, Changed, Condition, Content, Patience, Store, StoreError};
use crate::disk::durable::Stamp;
use crate::model::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A state file's content in memory. A clone is of the same file.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Kept<T> {
    store: Arc<Store>,
    known: T,
    set_aside: Option<Aside>,
    /// As what the file stood there when it was looked at last: taken first, so that a change between the two is seen.
    stamp: Option<Stamp>,
}

impl<T: DeserializeOwned + Serialize + Default + Clone> Kept<T> {
    /// Reads the file `name` of a state directory; a missing one holds nothing, and so does a damaged one, which is set
    /// aside.
    pub(in crate::daemon) fn open(
        state: &Path,
        name: &'static str,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let store = Store::open(state, name)?;
        let stamp = store.stamp();
        let content = store.read(now, None, Patience::Waits)?;
        Ok(Self {
            stamp,
            store: Arc::new(store),
            known: content.value,
            set_aside: content.set_aside,
        })
    }

    /// Reads the file again, for what another process changed; a damaged one is written anew. After an error what was
    /// known stands.
    pub(in crate::daemon) fn refresh(
        &mut self,
        now: Timestamp,
        patience: Patience,
    ) -> Result<(), StoreError> {
        self.stamp = self.store.stamp();
        let content = self.store.read(now, Some(&self.known), patience)?;
        self.take(content);
        Ok(())
    }

    /// Whether somebody has written or removed the file since it was looked at last; says so once. What is damaged is
    /// none of that: what is known of it stands.
    pub(in crate::daemon) fn was_changed(&mut self) -> bool {
        let stamp = self.store.stamp();
        if stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        !matches!(self.condition(), Ok(Condition::Damaged))
    }

    /// Forgets what is known, and not what is on disk.
    pub(in crate::daemon) fn forget(&mut self) {
        self.known = T::default();
    }

    /// Changes the content, durably if `change` says that it differs. After an error nothing has changed.
    pub(in crate::daemon) fn change<R>(
        &mut self,
        now: Timestamp,
        change: impl FnOnce(&mut T) -> (Changed, R),
    ) -> Result<R, StoreError> {
        let (content, result) = self.store.change(now, &self.known, change)?;
        self.take(content);
        Ok(result)
    }

    /// What is known.
    pub(in crate::daemon) fn known(&self) -> &T {
        &self.known
    }

    /// Where a damaged file was moved to.
    pub(in crate::daemon) fn set_aside(&self) -> Option<&Aside> {
        self.set_aside.as_ref()
    }

    /// How the file stands on disk; nothing is changed.
    pub(in crate::daemon) fn condition(&self) -> Result<Condition, StoreError> {
        self.store.condition::<T>()
    }

    /// The file.
    pub(in crate::daemon) fn path(&self) -> PathBuf {
        self.store.path()
    }

    /// Knows what a clone has come to know.
    pub(in crate::daemon) fn take_over(&mut self, other: Self) {
        self.known = other.known;
        self.stamp = other.stamp;
        self.set_aside = other.set_aside.or(self.set_aside.take());
    }

    fn take(&mut self, content: Content<T>) {
        self.known = content.value;
        self.set_aside = content.set_aside.or(self.set_aside.take());
    }
}
