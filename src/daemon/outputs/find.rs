//! Finding: where the files and links are that patterns match.
//!
//! A directory is listed only where a pattern may match something in it, so that `dist/**` looks at `dist` and at nothing
//! beside it. What git or an ignore file says is not asked. A link is never followed: one that a pattern matches is an
//! output itself, and one that a pattern leads through by name is an error, because what lies behind it is not seen.

use super::{Bounds, OutputsError};
use crate::daemon::tree::content::is_gone;
use crate::daemon::tree::names;
use crate::daemon::tree::print::Print;
use crate::model::path::{RelPath, RootPath};
use crate::model::pattern::Patterns;
use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::PathBuf;

/// A name, or where a link points, as bytes.
type Name = Box<[u8]>;

/// A directory that holds outputs.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Below the project.
    pub(super) path: Box<[u8]>,
    /// By name, as they were when they were looked at.
    pub(super) files: Vec<(Name, Print)>,
    /// By name, and where they point.
    pub(super) links: Vec<(Name, Name)>,
}

/// Whether what patterns match holds for all in a directory, and whether what is left out does.
#[derive(Clone, Copy, Debug, Default)]
struct Stand {
    matched: bool,
    left_out: bool,
}

/// A search for outputs.
#[derive(Debug)]
pub(super) struct Search<'a> {
    root: &'a RootPath,
    excluded: &'a BTreeSet<Box<[u8]>>,
    patterns: &'a Patterns,
    /// What these match is left out.
    without: &'a Patterns,
    /// What may still be found.
    left: Bounds,
    found: Vec<Place>,
    /// Directories to be listed: their paths below the project, whether the patterns match all in them, and whether all in
    /// them is left out.
    stack: Vec<(Vec<u8>, Stand)>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        root: &'a RootPath,
        excluded: &'a BTreeSet<Box<[u8]>>,
        (patterns, without): (&'a Patterns, &'a Patterns),
        bounds: Bounds,
    ) -> Self {
        Self {
            root,
            excluded,
            patterns,
            without,
            left: bounds,
            found: Vec::new(),
            stack: Vec::new(),
        }
    }

    /// Looks below the project at `base`.
    pub(super) fn find(mut self, base: &RelPath) -> Result<Vec<Place>, OutputsError> {
        if self.patterns.is_empty() || !self.is_there(base)? {
            return Ok(Vec::new());
        }
        let (top, base) = (self.root.join(base), names::of(base));
        self.stack.push((Vec::new(), Stand::default()));
        while let Some((path, above)) = self.stack.pop() {
            let directory = names::below(&top, &path);
            let mut place = Place {
                path: path.into(),
                ..Place::default()
            };
            let failed = |source| failed(directory.clone(), source);
            for entry in fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                count(&mut self.left.entries, 1).ok_or(OutputsError::Entries)?;
                self.look_at(&entry, &base, above, &mut place)?;
            }
            if !place.files.is_empty() || !place.links.is_empty() {
                self.found.push(place);
            }
        }
        Ok(self.found)
    }

    /// Whether the project's directory is there.
    fn is_there(&self, base: &RelPath) -> Result<bool, OutputsError> {
        let mut path = self.root.as_path().to_path_buf();
        for name in base.names() {
            path.push(name);
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_symlink() => return Err(OutputsError::Link { path }),
                Ok(_) => {}
                Err(error) if is_gone(&error) => return Ok(false),
                Err(source) => return Err(OutputsError::Read { path, source }),
            }
        }
        Ok(path.is_dir())
    }

    fn look_at(
        &mut self,
        entry: &DirEntry,
        base: &[u8],
        above: Stand,
        place: &mut Place,
    ) -> Result<(), OutputsError> {
        let name = entry.file_name();
        let name = names::bytes(&name);
        let mut path = place.path.to_vec();
        names::push(&mut path, name);
        let failed = |source| failed(entry.path(), source);
        // Mostly from the listing itself, without a call.
        let kind = entry.file_type().map_err(failed)?;
        let says = |patterns: &Patterns, is_directory, above| {
            let decides = patterns.matched(&path, is_directory);
            decides.map_or(above, |pattern| !pattern.is_negated())
        };
        let takes = |is_directory| {
            says(self.patterns, is_directory, above.matched)
                && !says(self.without, is_directory, above.left_out)
        };
        if name == b".git" || self.is_excluded(base, &path) {
            return Ok(());
        }
        if kind.is_dir() {
            let stand = Stand {
                matched: says(self.patterns, true, above.matched),
                left_out: says(self.without, true, above.left_out),
            };
            let mut all = self.patterns.positive();
            if stand.matched || all.any(|pattern| pattern.may_match_below(&path)) {
                self.stack.push((path, stand));
            }
        } else if kind.is_symlink() {
            let mut all = self.patterns.positive();
            if takes(false) {
                count(&mut self.left.files, 1).ok_or(OutputsError::Files)?;
                let target = fs::read_link(entry.path()).map_err(failed)?;
                let target = names::bytes(target.as_os_str()).into();
                place.links.push((name.into(), target));
            } else if takes(true) || all.any(|pattern| pattern.leads_through(&path)) {
                return Err(OutputsError::Link { path: entry.path() });
            }
        } else if kind.is_file() && takes(false) {
            let print = Print::of(&entry.metadata().map_err(failed)?);
            count(&mut self.left.files, 1).ok_or(OutputsError::Files)?;
            count(&mut self.left.bytes, print.size).ok_or(OutputsError::Bytes)?;
            place.files.push((name.into(), print));
        }
        Ok(())
    }

    fn is_excluded(&self, base: &[u8], path: &[u8]) -> bool {
        let mut whole = base.to_vec();
        names::push(&mut whole, path);
        self.excluded.contains(&*whole)
    }
}

/// Takes so many off what is left; none where there are not so many.
fn count<N: Copy + std::ops::Sub<Output = N> + PartialOrd>(left: &mut N, taken: N) -> Option<()> {
    (*left >= taken).then(|| *left = *left - taken)
}

fn failed(path: PathBuf, source: io::Error) -> OutputsError {
    // It was there when the directory above was listed.
    match is_gone(&source) {
        true => OutputsError::Changed { path },
        false => OutputsError::Read { path, source },
    }
}
