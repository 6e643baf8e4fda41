//! Reading ahead: what a look found is hashed while things settle, so that the view that follows has little left to read.
//!
//! A view has to wait for each file that nobody has read, and after a storm those are thousands. Nothing relies on what is
//! read here: a file that changes again has an event, and is read again for it. One that has just been written waits for a
//! later look: what is read of it now would be no proof, and it would be read twice.

use super::Tree;
use super::capture::Pending;
use super::content::Reading;
use super::names;
use super::print::Moment;
use super::scopes::FilterId;
use super::snapshot::Entry;
use crate::limits::{EAGER_HASH_BYTES_MAX, READ_AHEAD_FILES_MAX, READ_AHEAD_WAITING_MAX};
use crate::model::run::Changed;
use crate::model::view::Touches;
use std::collections::BTreeSet;

impl Tree {
    /// Digests what stages read as far as that has been read, while nothing asks for it.
    pub fn digest_ahead(&mut self) {
        let filters = self.scopes.triggers().flat_map(|(_, scope)| {
            let stages = scope.stages.iter().map(|(_, filter)| *filter);
            stages.chain([scope.union])
        });
        let filters: BTreeSet<FilterId> = filters.collect();
        for filter in filters {
            self.fold(filter, Some(&mut Vec::new()));
        }
    }

    /// Hashes the small files among what was touched that nobody has read, up to a number.
    pub(super) fn read_ahead(&mut self, touches: &Touches) {
        for changed in touches.projects.values() {
            if let Changed::Paths(paths) = changed {
                self.ahead.extend(paths.iter().map(names::of));
            }
        }
        let over = self.ahead.len().saturating_sub(READ_AHEAD_WAITING_MAX);
        self.ahead.drain(..over);
        let places = self.unread();
        let readings = self.read_places(&places);
        for (place, reading) in places.into_iter().zip(readings) {
            // Whatever else it is, the view finds out.
            if let Reading::Hashed { print, hash, racy } = reading {
                self.take_hash(place, print, hash, racy);
            }
        }
    }

    /// The files that are read next; what was written just now is put off.
    fn unread(&mut self) -> Vec<Pending> {
        let now = Moment::now();
        let mut places = Vec::new();
        for _ in 0..self.ahead.len().min(READ_AHEAD_FILES_MAX) {
            let Some(path) = self.ahead.pop_front() else {
                break;
            };
            match self.unread_at(&path) {
                Some((_, entry)) if entry.print.is_racy_at(now) => self.ahead.push_back(path),
                Some((place, _)) => places.push(place),
                None => {}
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    fn unread_at(&self, path: &[u8]) -> Option<(Pending, &Entry)> {
        let (directory, name) = names::split(path)?;
        let id = self.snapshot.find(directory)?;
        let dir = self.snapshot.dir(id);
        let at = dir.position(name)?;
        let entry = dir.entries().get(at)?;
        let small = entry.print.size <= EAGER_HASH_BYTES_MAX;
        let at = u32::try_from(at).ok()?;
        (entry.is_unhashed() && small).then_some(((id, at), entry))
    }
}
