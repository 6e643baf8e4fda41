//! `.runs/<task>/chain.jsonl`: what the files of a task's runs were, a line each time that somebody who may write them was
//! done with them.
//!
//! Everybody appends here: a daemon, a gate without one, an approval. One at a time: the file is locked, and who cannot
//! have it soon says so and writes nothing. A line without its end is what a crash has left of one that nobody was told
//! of: it is finished or put aside. A file whose end makes no sense is put aside as a whole and a new chain begun, which
//! says so. Whether the lines before are true is looked at by nobody here; that is `documents::integrity`.

mod compact;
mod files;

pub use files::{is_linked, linked_files};

use crate::disk::durable::{Act, Dir, DurableError, Locked, SHARED, Unsynced};
use crate::limits::chain::{CHAIN_BYTES_MAX, HASH_CHUNK_BYTES, LINK_BYTES_MAX};
use crate::model::evidence::{Link, LinkedFile, Place, Why};
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// The file's name, in the directory of a task.
pub const CHAIN: &str = "chain.jsonl";
/// What begins the name of a part of a line that was put aside.
const TORN: &str = "chain.torn";
/// Bytes of the end that are read at first: two links of a run with some dozen stages.
const TAIL_BYTES: u64 = 8 * 1024;

/// Why nothing could be appended.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DurableError),
    /// Somebody keeps it.
    #[error("another program keeps the lock of `{}`", path.display())]
    Held {
        /// The chain.
        path: PathBuf,
    },
    /// There is nothing to be said of it.
    #[error("there is no evidence of run {run}")]
    NoRun {
        /// The run.
        run: RunId,
    },
}

/// Appends what the files of a run are now; when this returns, it survives a power cut.
///
/// The files have to be what they are to be, and on disk. Of `Removed` no file is looked at.
///
/// # Errors
/// When the disk says no, somebody keeps the chain, or there is no such run. Then nothing was appended.
pub fn append(
    runs: &Dir,
    task: &TaskId,
    run: &RunId,
    why: Why,
    now: Timestamp,
) -> Result<(), ChainError> {
    let written = append_unsynced(runs, task, &[(run.clone(), why)], now)?;
    Ok(Unsynced::sync_all(written)?)
}

/// As [`append`], of several runs at once, and yet to be synced.
///
/// # Errors
/// As [`append`].
pub fn append_unsynced(
    runs: &Dir,
    task: &TaskId,
    told: &[(RunId, Why)],
    now: Timestamp,
) -> Result<Vec<Unsynced>, ChainError> {
    let Some(dir) = runs.descend(Path::new(task.as_str()))? else {
        return match told.first() {
            Some((run, _)) => Err(ChainError::NoRun { run: run.clone() }),
            None => Ok(Vec::new()),
        };
    };
    // Hashed before the lock is taken: a long log holds up nobody else.
    let mut links = Vec::new();
    for (run, why) in told {
        links.push((Some(run), *why, files_of(&dir, run, *why)?));
    }
    let mut chain = Chain::lock(&dir, task, now)?;
    for (run, why, files) in links {
        chain.add(run, why, files);
    }
    chain.write()
}

/// Mends the end of a task's chain, where a crash has torn it; nothing where there is none.
///
/// # Errors
/// When the disk says no or somebody keeps it.
pub fn mend(runs: &Dir, task: &TaskId, now: Timestamp) -> Result<(), ChainError> {
    let Some(dir) = runs.descend(Path::new(task.as_str()))? else {
        return Ok(());
    };
    if dir.stamp(Path::new(CHAIN)).is_none_or(|it| it.size == 0) {
        return Ok(());
    }
    let chain = Chain::lock(&dir, task, now)?;
    match chain.mended {
        true => Ok(Unsynced::sync_all(chain.write()?)?),
        false => Ok(()),
    }
}

/// Begins a new chain and puts the old one aside, because somebody has looked at what is wrong with it; nothing where
/// there is none.
///
/// # Errors
/// When the disk says no.
pub fn restart(runs: &Dir, task: &TaskId, now: Timestamp) -> Result<(), ChainError> {
    let Some(dir) = runs.descend(Path::new(task.as_str()))? else {
        return Ok(());
    };
    if dir.stamp(Path::new(CHAIN)).is_none() {
        return Ok(());
    }
    let mut chain = Chain::lock(&dir, task, now)?;
    chain.restart()?;
    Ok(Unsynced::sync_all(chain.write()?)?)
}

/// Leaves out what a chain tells of runs that were removed, once it is long; see [`compact::plan`].
///
/// # Errors
/// When the disk says no or somebody keeps it; then it stays as it is.
pub fn compact(runs: &Dir, task: &TaskId, now: Timestamp) -> Result<(), ChainError> {
    match runs.descend(Path::new(task.as_str()))? {
        Some(dir) => compact::compact(&dir, task, now),
        None => Ok(()),
    }
}

/// Hands on the lines of a task's chain, one after the other, each with its newline if it has one; whether there is a
/// chain. Nobody writes it meanwhile, unless somebody keeps its lock for long.
///
/// # Errors
/// When it cannot be read. A line that is longer than any is handed on as it is, cut off.
pub fn read(runs: &Dir, task: &TaskId, mut line: impl FnMut(&[u8])) -> Result<bool, DurableError> {
    let Some(dir) = runs.descend(Path::new(task.as_str()))? else {
        return Ok(false);
    };
    let Some(file) = dir.read_locked(OsStr::new(CHAIN))? else {
        return Ok(false);
    };
    let failed = |source| DurableError {
        act: Act::Read,
        path: dir.path().join(CHAIN),
        source,
    };
    let mut file = BufReader::with_capacity(HASH_CHUNK_BYTES, file.take(CHAIN_BYTES_MAX));
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut one = file.by_ref().take(LINK_BYTES_MAX * 2);
        if one.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            return Ok(true);
        }
        line(&bytes);
    }
}

/// When a task's chain last told what the files of a run are, or that it is gone.
///
/// # Errors
/// When it cannot be read.
pub fn linked_at(
    runs: &Dir,
    task: &TaskId,
    run: &RunId,
) -> Result<Option<Timestamp>, DurableError> {
    let mut newest = None;
    read(runs, task, |line| {
        if let Ok(link) = Link::parse(line)
            && link.run.as_ref() == Some(run)
        {
            newest = Some(link.at);
        }
    })?;
    Ok(newest)
}

fn files_of(dir: &Dir, run: &RunId, why: Why) -> Result<Vec<LinkedFile>, ChainError> {
    if !why.tells_files() {
        return Ok(Vec::new());
    }
    match dir.descend(&Path::new("cli").join(run.as_str()))? {
        Some(run) => Ok(linked_files(&run)?),
        None => Err(ChainError::NoRun { run: run.clone() }),
    }
}

/// A task's chain while nobody else writes it.
struct Chain<'a> {
    dir: &'a Dir,
    task: &'a TaskId,
    now: Timestamp,
    file: Locked,
    /// Whether the file has got its name only now.
    is_new: bool,
    /// Whether its end was not as it has to be.
    mended: bool,
    place: Place,
    lines: Vec<u8>,
}

impl<'a> Chain<'a> {
    /// Takes the chain of the task in `dir` and mends its end.
    fn lock(dir: &'a Dir, task: &'a TaskId, now: Timestamp) -> Result<Self, ChainError> {
        let (file, is_new) = match take(dir) {
            Err(ChainError::Disk(error)) if is_obstacle(dir) => {
                tracing::warn!(%task, %error, "what stands where the chain has to be is set aside");
                dir.set_aside(OsStr::new(CHAIN), &now.unix_ms().to_string())?;
                take(dir)?
            }
            taken => taken?,
        };
        let mut chain = Self {
            dir,
            task,
            now,
            file,
            is_new,
            mended: false,
            place: Place::FIRST,
            lines: Vec::new(),
        };
        chain.find_place()?;
        Ok(chain)
    }

    /// Finds out behind what the next link comes.
    fn find_place(&mut self) -> Result<(), ChainError> {
        if self.file.is_empty() {
            return Ok(());
        }
        let tail = self.last_lines()?;
        let whole = self.mend(&tail)?;
        if whole.is_empty() {
            return match self.file.len() {
                0 => Ok(()),
                _ => self.restart(),
            };
        }
        match Place::behind(last_line(&whole)) {
            Some(place) => {
                self.place = place;
                Ok(())
            }
            None => self.restart(),
        }
    }

    /// The end of the file with at least one whole line, if it has one that is no longer than any.
    fn last_lines(&mut self) -> Result<Vec<u8>, ChainError> {
        let mut bytes = TAIL_BYTES;
        loop {
            let tail = self.file.tail(bytes)?;
            let mut ends = tail.iter().rev().skip(1).filter(|byte| **byte == b'\n');
            // The first of two ends may be that of a line before what was cut off.
            let whole = ends.by_ref().nth(1).is_some();
            if whole || tail.len() as u64 >= self.file.len() || bytes >= LINK_BYTES_MAX * 2 {
                return Ok(tail);
            }
            bytes *= 2;
        }
    }

    /// Finishes a last line that lacks only its end, and puts aside what was begun of one; gives back the whole lines.
    fn mend(&mut self, tail: &[u8]) -> Result<Vec<u8>, ChainError> {
        let ends = tail.iter().rposition(|byte| *byte == b'\n');
        let (whole, torn) = tail.split_at(ends.map_or(0, |at| at + 1));
        // A file that has grown on a disk before its bytes came there holds zeros after a power cut.
        let last = last_line(whole);
        let (whole, torn) = match last.contains(&0) {
            true => tail.split_at(whole.len() - last.len()),
            false => (whole, torn),
        };
        if torn.is_empty() {
            return Ok(whole.to_vec());
        }
        self.mended = true;
        if Link::parse(torn).is_ok() {
            tracing::warn!(task = %self.task, "the last line of the chain lacked its end: it has it now");
            self.file.append(b"\n")?;
            return Ok([whole, torn, b"\n"].concat());
        }
        let mark = self.now.unix_ms().to_string();
        let aside = self.dir.copy_aside(OsStr::new(TORN), &mark, torn)?;
        tracing::warn!(task = %self.task, aside = %aside.display(), "a link that was cut off is set aside");
        self.file
            .cut(self.file.len().saturating_sub(torn.len() as u64))?;
        Ok(whole.to_vec())
    }

    /// Puts the file aside as it is and begins another, which says so.
    fn restart(&mut self) -> Result<(), ChainError> {
        self.mended = true;
        let sha256 = files::digest(self.dir, OsStr::new(CHAIN))?;
        let mark = self.now.unix_ms().to_string();
        let aside = self.dir.set_aside(OsStr::new(CHAIN), &mark)?;
        tracing::warn!(task = %self.task, aside = %aside.display(), "a chain whose end makes no sense is set aside: a new one begins");
        (self.file, self.is_new) = take(self.dir)?;
        self.place = Place::FIRST;
        let files = sha256.map(|(size, sha256)| LinkedFile {
            path: aside.to_string_lossy().into_owned(),
            size,
            sha256,
        });
        self.add(None, Why::Restarted, files.into_iter().collect());
        Ok(())
    }

    /// Puts a link behind what there is.
    fn add(&mut self, run: Option<&RunId>, why: Why, files: Vec<LinkedFile>) {
        let mut link = Link::new(self.place, self.task, run, why, self.now);
        link.files = files;
        self.put(&link);
    }

    fn put(&mut self, link: &Link) {
        let line = link.line();
        // Of our own line the place behind it is known.
        self.place = Place::behind(&line).unwrap_or(self.place);
        self.lines.extend_from_slice(&line);
    }

    /// Writes what was added, and lets others have it.
    fn write(mut self) -> Result<Vec<Unsynced>, ChainError> {
        if !self.lines.is_empty() {
            self.file.append(&self.lines)?;
        }
        let mut written = vec![self.file.release()];
        if self.is_new {
            written.push(Unsynced::Names(self.dir.clone()));
        }
        Ok(written)
    }
}

fn take(dir: &Dir) -> Result<(Locked, bool), ChainError> {
    let taken = dir.lock(OsStr::new(CHAIN), SHARED)?;
    taken.ok_or_else(|| ChainError::Held {
        path: dir.path().join(CHAIN),
    })
}

/// Whether something else stands under the chain's name.
fn is_obstacle(dir: &Dir) -> bool {
    let stamp = dir.stamp(Path::new(CHAIN));
    stamp.is_some_and(|stamp| stamp.kind != crate::disk::durable::Kind::File)
}

/// The last of some whole lines, with its newline.
fn last_line(whole: &[u8]) -> &[u8] {
    let before = whole.strip_suffix(b"\n").unwrap_or(whole);
    let start = before.iter().rposition(|byte| *byte == b'\n');
    whole
        .get(start.map_or(0, |at| at + 1)..)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
