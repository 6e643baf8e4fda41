//! Reading ahead: what a look found is hashed while things settle, so that the view that follows has little left to read.
//!
//! A view has to wait for each file that nobody has read, and after a storm those are thousands. Nothing relies on what is
//! read here: a file that changes again has an event, and is read again for it.

use super::Tree;
use super::capture::Pending;
use super::content::{Reading, read_all};
use super::names;
use crate::limits::{EAGER_HASH_BYTES_MAX, READ_AHEAD_FILES_MAX};
use crate::model::run::Changed;
use crate::model::view::Touches;
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Tree {
    /// Hashes the small files among what was touched that nobody has read, up to a number.
    pub(super) fn read_ahead(&mut self, touches: &Touches) {
        let places = self.unread(touches);
        let paths: Vec<PathBuf> = places.iter().map(|place| self.place(*place)).collect();
        for (place, reading) in places.into_iter().zip(read_all(&paths)) {
            // Whatever else it is, the view finds out.
            if let Reading::Hashed { print, hash, racy } = reading {
                self.take_hash(place, print, hash, racy);
            }
        }
    }

    fn unread(&self, touches: &Touches) -> BTreeSet<Pending> {
        let mut unread = BTreeSet::new();
        for changed in touches.projects.values() {
            let Changed::Paths(paths) = changed else {
                continue;
            };
            for path in paths {
                if unread.len() >= READ_AHEAD_FILES_MAX {
                    return unread;
                }
                unread.extend(self.unread_at(&names::of(path)));
            }
        }
        unread
    }

    fn unread_at(&self, path: &[u8]) -> Option<Pending> {
        let (directory, name) = names::split(path)?;
        let id = self.snapshot.find(directory)?;
        let dir = self.snapshot.dir(id);
        let at = dir.position(name)?;
        let entry = dir.entries().get(at)?;
        let small = entry.print.size <= EAGER_HASH_BYTES_MAX;
        let at = u32::try_from(at).ok()?;
        (entry.is_unhashed() && small).then_some((id, at))
    }
}
