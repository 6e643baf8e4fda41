//! Outputs: what a stage has left of what it declares to make, as one digest.
//!
//! A stage is passed over only while its outputs are as it left them. They are mostly ignored, so no tree watches them:
//! each question looks at the disk, and reads what is not as it was when it was read last. It is the digest of the same
//! messages as an input digest's, over the files and links that the patterns match, whatever git ignores. Where a file
//! system does not tell of every change by `stat`, all of them are read. Nothing is written, and no link is followed. Whatever is not known for certain is an error, and no digest: then the stage runs.

mod find;

use crate::daemon::tree::content::{Reading, read_in};
use crate::daemon::tree::crew::{helpers, spread};
use crate::daemon::tree::merkle::{Address, Directory, DirectoryNode, FileNode, SymlinkNode, text};
use crate::daemon::tree::mount::tells_changes;
use crate::daemon::tree::names;
use crate::daemon::tree::print::Print;
use crate::daemon::tree::rules::compile;
use crate::daemon::tree::{PatternError, Places};
use crate::engine::weighing::Sought;
use crate::limits::{
    HASH_ALONE_MAX, HASH_PART_FILES, OUTPUT_BYTES_MAX, OUTPUT_ENTRIES_MAX, OUTPUT_FILES_MAX,
    OUTPUT_THREADS_MAX, OUTPUTS_KNOWN_MAX,
};
use crate::model::digest::{Digest, OutputsDigest};
use crate::model::id::TaskId;
use crate::model::path::{RelPath, RootPath};
use find::{Place, Search};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Why nobody can say what a stage has left.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    /// A pattern is none.
    #[error("`outputs` are not valid")]
    Pattern(#[from] PatternError),
    /// A directory or a file cannot be read.
    #[error("failed to read `{}` among the outputs", path.display())]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody writes it still.
    #[error("`{}` changed while the outputs were read", path.display())]
    Changed {
        /// The directory or file.
        path: PathBuf,
    },
    /// The patterns lead through a link.
    #[error("`{}` is a symbolic link, and what lies behind one is not looked at: name the directory itself in `outputs`", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// More files than are compared.
    #[error("more than {OUTPUT_FILES_MAX} files are outputs: name fewer in `outputs`")]
    Files,
    /// More bytes than are compared.
    #[error("the outputs are larger than {OUTPUT_BYTES_MAX} bytes: name fewer in `outputs`")]
    Bytes,
    /// More entries than are looked through.
    #[error(
        "the outputs lie among more than {OUTPUT_ENTRIES_MAX} entries: begin the patterns of `outputs` with a directory"
    )]
    Entries,
}

/// What was read of a file.
#[derive(Clone, Copy, Debug)]
struct Known {
    print: Print,
    hash: [u8; 32],
    /// The same fingerprint is no proof that it still holds this.
    racy: bool,
}

/// What files hold, by directory and name; the directories are below the project.
type Contents = BTreeMap<Box<[u8]>, Files>;

/// What the files of one directory hold, by name.
type Files = BTreeMap<Box<[u8]>, Known>;

/// Which outputs: those of a project's directory.
type Declared = (RelPath, Sought);

/// What is remembered of them.
#[derive(Debug)]
struct Remembered {
    contents: Contents,
    /// When they were last asked about.
    turn: u64,
}

/// How much is looked at, and kept.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    files: usize,
    bytes: u64,
    entries: usize,
    known: usize,
}

/// The outputs of one workspace's stages.
#[derive(Debug)]
pub struct Outputs {
    root: RootPath,
    /// Paths below the root that are nobody's outputs.
    excluded: BTreeSet<Box<[u8]>>,
    remembered: BTreeMap<Declared, Remembered>,
    turn: u64,
    bounds: Bounds,
    /// Whether `stat` tells of every change of what lies in a directory.
    tells_changes: fn(&Path) -> bool,
}

impl Outputs {
    /// Those below a root; nothing is read yet. `.git` and `.runs` are never among them.
    #[must_use]
    pub fn new(root: RootPath) -> Self {
        let excluded = Places::default().excluded(&root);
        Self {
            root,
            excluded,
            remembered: BTreeMap::new(),
            turn: 0,
            bounds: Bounds {
                files: OUTPUT_FILES_MAX,
                bytes: OUTPUT_BYTES_MAX,
                entries: OUTPUT_ENTRIES_MAX,
                known: OUTPUTS_KNOWN_MAX,
            },
            tells_changes,
        }
    }

    /// Leaves out, from now on, where evidence is kept, that of these tasks included.
    pub fn keep_out<'a>(&mut self, places: &Places, tasks: impl IntoIterator<Item = &'a TaskId>) {
        self.excluded = places.excluded(&self.root);
        self.excluded.extend(places.snapshots(&self.root, tasks));
    }

    /// Digests what is there of the files and links that are sought, by patterns in gitignore syntax below the project at
    /// `base`; a project inside is a directory like any other. Where nothing is there, or no pattern, it is the digest of
    /// nothing. Blocks.
    ///
    /// # Errors
    /// When a pattern is none, when something cannot be read or changes meanwhile, when a pattern leads through a link,
    /// and past the limits.
    pub fn weigh(
        &mut self,
        base: &RelPath,
        sought: &Sought,
    ) -> Result<OutputsDigest, OutputsError> {
        let (patterns, without) = (compile(&sought.patterns)?, compile(&sought.without)?);
        let wanted = (&patterns, &without);
        let places = Search::new(&self.root, &self.excluded, wanted, self.bounds).find(base)?;
        let declared = (base.clone(), sought.clone());
        let before = self.remembered.get(&declared).map(|held| &held.contents);
        let top = self.root.join(base);
        let before = |place: &Place| {
            let held = before?.get(&place.path)?;
            let tells = (self.tells_changes)(&names::below(&top, &place.path));
            tells.then_some(held)
        };
        let contents = read(&top, &places, before)?;
        let digest = fold(&places, &contents);
        self.remember(declared, contents);
        Ok(OutputsDigest(digest))
    }

    fn remember(&mut self, declared: Declared, contents: Contents) {
        self.turn += 1;
        let turn = self.turn;
        let held = Remembered { contents, turn };
        self.remembered.insert(declared, held);
        // Those that were asked about longest ago are forgotten first; what was weighed just now fits.
        let mut all: usize = self.remembered.values().map(Remembered::size).sum();
        while all > self.bounds.known {
            let oldest = self.remembered.iter().min_by_key(|(_, held)| held.turn);
            let oldest = oldest.map(|(declared, _)| declared.clone());
            let Some(gone) = oldest.and_then(|oldest| self.remembered.remove(&oldest)) else {
                return;
            };
            all = all.saturating_sub(gone.size());
        }
    }
}

impl Remembered {
    /// What it counts for: its files, and itself.
    fn size(&self) -> usize {
        1 + self.contents.values().map(BTreeMap::len).sum::<usize>()
    }
}

/// What the files hold; what is as it was before is not read.
fn read<'a>(
    top: &Path,
    places: &[Place],
    before: impl Fn(&Place) -> Option<&'a Files>,
) -> Result<Contents, OutputsError> {
    let mut contents = Contents::new();
    let mut parts = Vec::new();
    let mut count = 0;
    for place in places {
        let before = before(place);
        let files = contents.entry(place.path.clone()).or_default();
        let mut unread = Vec::new();
        for (name, print) in &place.files {
            let known = before.and_then(|before| before.get(name));
            match known.filter(|known| known.print == *print && !known.racy) {
                Some(known) => drop(files.insert(name.clone(), *known)),
                None => unread.push((&**name, *print)),
            }
        }
        count += unread.len();
        let unread = unread.chunks(HASH_PART_FILES);
        parts.extend(unread.map(|part| (place, part.to_vec())));
    }
    let helpers = helpers(count, HASH_ALONE_MAX, OUTPUT_THREADS_MAX);
    let read_part = |(place, files): &(&Place, Vec<(&[u8], Print)>)| {
        read_in(&names::below(top, &place.path), files)
    };
    let (readings, ()) = spread(&parts, helpers, read_part, || ());
    for ((place, files), readings) in parts.iter().zip(readings) {
        let held = contents.entry(place.path.clone()).or_default();
        for ((name, _), reading) in files.iter().zip(readings) {
            let path = || names::below(&names::below(top, &place.path), name);
            held.insert((*name).into(), Known::of(reading, path)?);
        }
    }
    Ok(contents)
}

impl Known {
    fn of(reading: Reading, path: impl Fn() -> PathBuf) -> Result<Self, OutputsError> {
        let source = match reading {
            Reading::Hashed { print, hash, racy } => return Ok(Self { print, hash, racy }),
            Reading::Torn { .. } | Reading::Gone => {
                return Err(OutputsError::Changed { path: path() });
            }
            Reading::Unreadable(kind) => kind.into(),
            Reading::Failed(reason) => io::Error::from_raw_os_error(reason),
        };
        let path = path();
        Err(OutputsError::Read { path, source })
    }
}

/// The digest of the root directory over all.
fn fold(places: &[Place], contents: &Contents) -> Digest {
    let node = |place: &Place| {
        let files = contents.get(&place.path).into_iter().flatten();
        let files = files.map(|(name, known)| FileNode {
            name: text(name),
            digest: Some(Address::of(&known.hash, known.print.size)),
            is_executable: known.print.is_executable(),
        });
        let symlinks = place.links.iter().map(|(name, target)| SymlinkNode {
            name: text(name),
            target: text(target),
        });
        Directory {
            files: files.collect(),
            directories: Vec::new(),
            symlinks: symlinks.collect(),
        }
    };
    let nodes = places.iter().map(|place| (place.path.clone(), node(place)));
    let mut nodes: BTreeMap<_, _> = nodes.collect();
    // What lies in a directory stands behind it, so that it is complete when it is the last.
    while let Some((path, node)) = nodes.pop_last() {
        let summary = node.summary();
        let Some((above, name)) = names::split(&path) else {
            return summary.digest;
        };
        let above = nodes.entry(above.into()).or_default();
        above.directories.push(DirectoryNode {
            name: text(name),
            digest: Some(Address::of(summary.digest.bytes(), summary.bytes.into())),
        });
    }
    Digest::of(b"")
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
