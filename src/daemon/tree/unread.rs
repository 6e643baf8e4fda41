//! Reading many files of the tree: directory by directory, on more than one thread where that pays.
//!
//! A file that is as it was when it was last looked at takes four calls: it is opened in its directory, which is looked
//! up once for all its files, read at once, compared with what is known of it, and closed. Whatever is not as it was, or
//! too large, is read with more care: see [`super::content`].

use super::Tree;
use super::capture::Pending;
use super::content::{Folder, Reading, read};
use super::crew::{helpers, spread};
use super::names;
use super::snapshot::{DirId, Entry, Snapshot};
use crate::limits::{HASH_ALONE_MAX, HASH_PART_FILES, HASH_THREADS_MAX};
use std::path::Path;

impl Tree {
    /// Reads the files at these places, which are sorted; the answers stand in their order.
    pub(super) fn read_places(&self, places: &[Pending]) -> Vec<Reading> {
        let helpers = helpers(places.len(), HASH_ALONE_MAX, HASH_THREADS_MAX);
        let parts = places.chunk_by(|one, next| one.0 == next.0);
        // One directory may hold them all.
        let parts: Vec<&[Pending]> = parts
            .flat_map(|part| part.chunks(HASH_PART_FILES))
            .collect();
        let (snapshot, root) = (&self.snapshot, self.root.as_path());
        let read = |part: &&[Pending]| read_part(snapshot, root, part);
        let (readings, ()) = spread(&parts, helpers, read, || ());
        readings.into_iter().flatten().collect()
    }
}

/// Reads files of one directory.
fn read_part(snapshot: &Snapshot, root: &Path, part: &[Pending]) -> Vec<Reading> {
    let entry = |place: &Pending| -> Option<&Entry> {
        let dir = snapshot.dir(place.0);
        dir.entries().get(usize::try_from(place.1).ok()?)
    };
    let id = part.first().map_or(DirId::ROOT, |place| place.0);
    let dir = snapshot.dir(id);
    let path = names::below(root, &snapshot.path(id));
    let largest = part.iter().filter_map(entry).map(|entry| entry.print.size);
    let mut folder = Folder::open(&path, largest.max().unwrap_or(0));
    let read_one = |place| {
        let Some(entry) = entry(place) else {
            return Reading::Gone;
        };
        let name = dir.name_of(entry);
        let known = folder.as_mut();
        let known = known.and_then(|folder| folder.read(name, &entry.print));
        known.unwrap_or_else(|| read(&names::below(&path, name)))
    };
    part.iter().map(read_one).collect()
}
