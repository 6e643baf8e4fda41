//! Reading many files of the tree: directory by directory, on more than one thread where that pays.
//!
//! A file that is as it was when it was last looked at takes four calls: it is opened in its directory, which is looked
//! up once for all its files, read at once, compared with what is known of it, and closed. Whatever is not as it was, or
//! too large, is read with more care: see [`super::content`].

use super::Tree;
use super::capture::Pending;
use super::content::{Reading, read_in};
use super::crew::{helpers, spread};
use super::names;
use super::snapshot::{DirId, Snapshot};
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
    let id = part.first().map_or(DirId::ROOT, |place| place.0);
    let dir = snapshot.dir(id);
    let file = |place: &Pending| {
        let entry = dir.entries().get(usize::try_from(place.1).ok()?)?;
        Some((dir.name_of(entry), entry.print))
    };
    // Each place has its entry; no file has the name that stands for none.
    let files = part.iter().map(|place| file(place).unwrap_or_default());
    let files: Vec<_> = files.collect();
    read_in(&names::below(root, &snapshot.path(id)), &files)
}
