//! Keeping: what the tree knows of files' contents outlives the daemon.
//!
//! Before the first look the stat cache is opened, and that look takes from it what a file holds wherever its fingerprint
//! is still the same and proves something ([`super::survey`]). After it the cache is let go of. What was learned since is
//! counted, and written a part at a time, so that no look waits for long. Only a hash that is a proof is written: see
//! [`super::print`]. A file system that keeps whole seconds, or no time of change, is not believed over a restart.

use super::Tree;
use super::mount;
use super::print::Print;
use super::snapshot::{DirId, Known, Leaf};
use super::stat_cache::{self, StatCache, Writer};
use crate::daemon::chain::chain;
use crate::disk::durable::DurableError;
use crate::limits::{KEEP_PART, KEEP_READ_BYTES, KEEP_SLICE_ENTRIES};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the tree keeps what it knows, and how much of it is new.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The directory of the stat caches; none where nothing is kept.
    dir: Option<PathBuf>,
    /// What is known from an earlier life, until the first look is over.
    recalled: Option<Arc<StatCache>>,
    /// What has been read since it was written, in files of the usual size.
    fresh: u64,
    underway: Option<Underway>,
}

/// A stat cache that is being written.
#[derive(Debug)]
struct Underway {
    writer: Writer,
    /// Directories still to be written; the last is next.
    left: Vec<DirId>,
    /// What was new when it was begun.
    fresh: u64,
}

impl Tree {
    /// A tree that keeps what it knows of files in this directory, and begins with what is known there.
    #[must_use]
    pub fn kept_in(mut self, dir: PathBuf) -> Self {
        let tells = mount::tells_changes(self.root.as_path());
        self.keeping.dir = Some(dir).filter(|_| tells);
        self
    }

    /// Opens what was known when the one before was written.
    pub(super) fn recall(&mut self) {
        let Some(dir) = &self.keeping.dir else {
            return;
        };
        let opened = StatCache::open(dir, &self.root, self.identity);
        if let Err(error) = &opened {
            tracing::debug!(root = %self.root, error = %chain(error), "the stat cache is not used, and replaced");
        }
        self.keeping.recalled = opened.ok().flatten().map(Arc::new);
    }

    /// What is known from an earlier life.
    pub(super) fn recalled(&self) -> Option<Arc<StatCache>> {
        self.keeping.recalled.clone()
    }

    /// The first look is over: whatever comes later is another file by now.
    pub(super) fn let_go_of_recalled(&mut self) {
        self.keeping.recalled = None;
    }

    /// Notes that a file was read, where that has to be written down.
    pub(super) fn note_read(&mut self, print: &Print, known: Known) {
        self.note_fresh(cost(print, known));
    }

    /// Notes that so much was read.
    pub(super) fn note_fresh(&mut self, fresh: u64) {
        self.keeping.fresh = self.keeping.fresh.saturating_add(fresh);
    }

    /// Whether it knows anything that is not written down.
    #[must_use]
    pub fn has_to_keep(&self) -> bool {
        let keeping = &self.keeping;
        keeping.dir.is_some() && self.scanned && (keeping.fresh > 0 || keeping.underway.is_some())
    }

    /// Whether it knows so much that it pays to write it down.
    #[must_use]
    pub fn is_worth_keeping(&self) -> bool {
        let files = u64::try_from(self.files()).unwrap_or(u64::MAX);
        let fresh = self.keeping.fresh.saturating_mul(KEEP_PART);
        self.has_to_keep() && (self.keeping.underway.is_some() || fresh >= files)
    }

    /// Writes some more of what it knows down; whether there is more to write.
    pub fn keep(&mut self) -> bool {
        self.keep_some().unwrap_or_else(|error| {
            tracing::debug!(root = %self.root, error = %chain(&error), "the stat cache is not written");
            false
        })
    }

    /// Writes all of what it knows down.
    pub fn keep_all(&mut self) {
        while self.keep() {}
    }

    /// Takes its watches away, and what it keeps: nobody wants this workspace any more.
    pub fn retire(mut self) {
        if let Some(dir) = self.keeping.dir.take() {
            self.keeping.underway = None;
            stat_cache::remove(&dir, &self.root);
        }
        self.close();
    }

    fn keep_some(&mut self) -> Result<bool, DurableError> {
        let mut underway = match self.keeping.underway.take() {
            Some(underway) => underway,
            None => match self.begin_keeping()? {
                Some(underway) => underway,
                None => return Ok(false),
            },
        };
        let mut entries = 0;
        while entries < KEEP_SLICE_ENTRIES {
            let Some(id) = underway.left.pop() else {
                let fresh = underway.fresh;
                underway.writer.end()?;
                self.keeping.fresh = self.keeping.fresh.saturating_sub(fresh);
                return Ok(false);
            };
            let dir = self.snapshot.dir(id);
            entries += 1 + dir.entries().len();
            if self.snapshot.is_alive(id) {
                let proven = dir.entries().iter().filter(|entry| {
                    entry.leaf == Leaf::File
                        && entry.known == Known::Yes
                        && !entry.print.is_coarse()
                });
                let facts = proven.map(|entry| (dir.name_of(entry), entry.print, entry.hash));
                underway.writer.add(&self.snapshot.path(id), facts)?;
            }
        }
        self.keeping.underway = Some(underway);
        Ok(true)
    }

    fn begin_keeping(&mut self) -> Result<Option<Underway>, DurableError> {
        let Some(dir) = self.keeping.dir.as_deref().filter(|_| self.scanned) else {
            return Ok(None);
        };
        let writer = Writer::begin(dir, &self.root, self.identity)?;
        let mut left = self.snapshot.all(DirId::ROOT);
        left.reverse();
        Ok(Some(Underway {
            writer,
            left,
            fresh: self.keeping.fresh,
        }))
    }
}

/// What it costs to read a file again; nothing where that has to be done in any case.
pub(super) fn cost(print: &Print, known: Known) -> u64 {
    match known {
        Known::Yes if !print.is_coarse() => 1 + print.size / KEEP_READ_BYTES,
        Known::No | Known::Torn | Known::Racy | Known::Yes | Known::Unreadable => 0,
    }
}
