//! The end of an output that is too long: two unnamed files that take turns.
//!
//! Whole lines go to the current file; when it is full, the other one, with the oldest lines, is emptied and becomes the
//! current one. So between one half and all of the budget is kept, counted exactly, and nothing is left on disk if this
//! program dies.

use crate::limits::LOG_LINE_BYTES_MAX;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Bytes that are appended at once when the end goes back to the logs.
const BATCH_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
struct Spill {
    file: Option<File>,
    bytes: u64,
    output_bytes: u64,
}

/// The end of an output, as lines of its log.
#[derive(Debug)]
pub(super) struct Tail {
    /// Bytes that one of the two files may hold.
    spill_bytes_max: u64,
    older: Spill,
    current: Spill,
    dropped_bytes: u64,
    reading: Vec<BufReader<File>>,
    used: bool,
}

impl Tail {
    /// Makes a tail that keeps at most `bytes_max` bytes of lines.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            spill_bytes_max: bytes_max / 2,
            older: Spill::default(),
            current: Spill::default(),
            dropped_bytes: 0,
            reading: Vec::new(),
            used: false,
        }
    }

    /// Whether it was never used.
    pub(super) fn is_empty(&self) -> bool {
        !self.used
    }

    /// Bytes of output whose lines are gone.
    pub(super) fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    /// Keeps a line that holds `output_bytes` of output; its file, where one is needed, is made beside `place`.
    pub(super) fn keep(&mut self, place: &Path, line: &[u8], output_bytes: u64) -> io::Result<()> {
        self.used = true;
        let length = line.len() as u64;
        if self.current.bytes > 0 && self.current.bytes + length > self.spill_bytes_max {
            std::mem::swap(&mut self.older, &mut self.current);
            self.dropped_bytes += self.current.output_bytes;
            self.current.bytes = 0;
            self.current.output_bytes = 0;
            if let Some(file) = &mut self.current.file {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
            }
        }
        let file = match &mut self.current.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(
                place.parent().unwrap_or(Path::new(".")),
            )?),
        };
        file.write_all(line)?;
        self.current.bytes += length;
        self.current.output_bytes += output_bytes;
        Ok(())
    }

    /// Gives back the kept lines from the oldest, a batch of whole lines at a time.
    pub(super) fn next_batch(&mut self) -> io::Result<Option<Vec<u8>>> {
        // The current file is read last, so it is pushed first.
        for spill in [&mut self.current, &mut self.older] {
            if let Some(mut file) = spill.file.take() {
                file.seek(SeekFrom::Start(0))?;
                self.reading
                    .push(BufReader::with_capacity(BATCH_BYTES, file));
            }
        }
        while let Some(reader) = self.reading.last_mut() {
            let mut batch = Vec::with_capacity(BATCH_BYTES);
            reader
                .by_ref()
                .take(BATCH_BYTES as u64)
                .read_to_end(&mut batch)?;
            if batch.is_empty() {
                self.reading.pop();
                continue;
            }
            if batch.last() != Some(&b'\n') {
                reader
                    .by_ref()
                    .take(LOG_LINE_BYTES_MAX as u64)
                    .read_until(b'\n', &mut batch)?;
            }
            return Ok(Some(batch));
        }
        Ok(None)
    }
}
