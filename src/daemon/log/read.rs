//! Reading a log while it may be written: whole lines from an offset on.
//!
//! The directory is opened by whoever knows where the log stands; a link or a pipe in the log's place is an error.
//! A last line without its newline is left for later, so that whoever follows a log sees each line once and whole.

use crate::disk::durable::{Dir, DurableError};
use crate::limits::{LOG_END_BYTES, LOG_LINE_BYTES_MAX};
use crate::model::log::{LogEnd, LogEvent, decode};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// A part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSlice {
    /// Whole lines, without their newlines.
    pub lines: Vec<String>,
    /// Where the next slice begins.
    pub next_offset: u64,
    /// The log's size when it was read; a `next_offset` below it means that there is more, or a line that is not whole.
    pub size: u64,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// It is no file that may be read.
    #[error(transparent)]
    Open(#[from] DurableError),
    /// It cannot be read to its end.
    #[error("failed to read log `{}`", path.display())]
    Read {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads the log `name` in `dir`: whole lines from `offset` on until `bytes_max` bytes are read, at least one line where there is one; a log that
/// does not exist yet is empty.
///
/// # Errors
/// When it is a link, no regular file, or cannot be read.
pub fn read_log(
    dir: &Dir,
    name: &OsStr,
    offset: u64,
    bytes_max: usize,
) -> Result<LogSlice, ReadLogError> {
    let Some(file) = dir.file(name)? else {
        return Ok(LogSlice::default());
    };
    read(file, offset, bytes_max).map_err(|source| ReadLogError::Read {
        path: dir.path().join(name),
        source,
    })
}

/// How the last attempt ended that the log `name` in `dir` tells of; nothing where its last line tells of no end. Its
/// end is all that is read.
///
/// # Errors
/// When it is a link, no regular file, or cannot be read.
pub fn read_end(dir: &Dir, name: &OsStr) -> Result<Option<LogEnd>, ReadLogError> {
    let Some(file) = dir.file(name)? else {
        return Ok(None);
    };
    let bytes = end_of(file).map_err(|source| ReadLogError::Read {
        path: dir.path().join(name),
        source,
    })?;
    let last = bytes.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
    let last = last.and_then(|line| decode(std::str::from_utf8(line).ok()?).ok());
    Ok(last.and_then(|line| match line.event {
        LogEvent::End(end) => Some(end),
        LogEvent::Start { .. }
        | LogEvent::Output { .. }
        | LogEvent::Truncated { .. }
        | LogEvent::Other => None,
    }))
}

/// How many bytes of output the log `name` in `dir` tells of, with those that it lacks; what cannot be decoded counts not.
///
/// # Errors
/// When it is a link, no regular file, or cannot be read.
pub fn output_bytes(dir: &Dir, name: &OsStr) -> Result<u64, ReadLogError> {
    let (mut bytes, mut offset) = (0_u64, 0);
    loop {
        let slice = read_log(dir, name, offset, LOG_LINE_BYTES_MAX)?;
        if slice.next_offset == offset {
            return Ok(bytes);
        }
        offset = slice.next_offset;
        for line in slice.lines.iter().filter_map(|line| decode(line).ok()) {
            bytes = bytes.saturating_add(match line.event {
                LogEvent::Output { bytes, .. } => bytes.len() as u64,
                LogEvent::Truncated { dropped_bytes } => dropped_bytes,
                LogEvent::Start { .. } | LogEvent::End(_) | LogEvent::Other => 0,
            });
        }
    }
}

fn end_of(mut file: File) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let _: u64 = file.seek(SeekFrom::Start(size.saturating_sub(LOG_END_BYTES)))?;
    let mut bytes = Vec::new();
    let _: usize = file.take(LOG_END_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(mut file: File, offset: u64, bytes_max: usize) -> io::Result<LogSlice> {
    let size = file.metadata()?.len();
    let mut slice = LogSlice {
        lines: Vec::new(),
        next_offset: offset.min(size),
        size,
    };
    file.seek(SeekFrom::Start(slice.next_offset))?;
    let mut reader = BufReader::new(file);
    let bytes_max = bytes_max as u64;
    let mut taken = 0;
    loop {
        let mut line = Vec::new();
        let length = reader
            .by_ref()
            .take(LOG_LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)? as u64;
        if line.last() != Some(&b'\n') {
            if length < LOG_LINE_BYTES_MAX as u64 {
                return Ok(slice);
            }
            // No line of ours is that long: it is passed over, once its end is there.
            let rest = reader.skip_until(b'\n')? as u64;
            if slice.next_offset + length + rest >= size {
                return Ok(slice);
            }
            slice.next_offset += length + rest;
            continue;
        }
        if taken > 0 && taken + length > bytes_max {
            return Ok(slice);
        }
        line.pop();
        slice
            .lines
            .push(String::from_utf8_lossy(&line).into_owned());
        slice.next_offset += length;
        taken += length;
        if taken >= bytes_max {
            return Ok(slice);
        }
    }
}
