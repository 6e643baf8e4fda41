//! Git's index: which paths a repository tracks.
//!
//! Read from beginning to end and nothing of it kept, as git writes it: format 2 to 4, also split in two. Git renames a
//! whole file into place, so what was opened is of one piece. Its checksum is not verified; what cannot be an index is an
//! error, and never more than the paths up to there.

use crate::limits::{INDEX_BYTES_MAX, INDEX_PATH_BYTES_MAX};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Why an index cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    /// The file cannot be read to its end.
    #[error("failed to read the index `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// What is in it is no index.
    #[error("`{}` is no index that can be read", path.display())]
    Format { path: PathBuf },
}

/// What is amiss with a part of it.
enum Amiss {
    Io(io::Error),
    Format,
}

impl From<io::Error> for Amiss {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a split index adds to: the other's name, and which of its entries are gone.
struct Base {
    name: Vec<u8>,
    gone: Vec<u64>,
}

/// The same, found.
struct Link {
    base: PathBuf,
    gone: Vec<u64>,
}

/// Tells each tracked file or link of the index at `path`, relative to the top of the worktree. `hash` is the length of an
/// object's name in this repository. What is another repository's (a submodule) is none.
pub(super) fn read(
    path: &Path,
    hash: usize,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), IndexError> {
    let link = part(path, hash, &mut |_, name| each(name))?;
    let Some(link) = link else {
        return Ok(());
    };
    let beyond = part(&link.base, hash, &mut |at: usize, name| {
        let word = link.gone.get(at / 64).copied().unwrap_or(0);
        if word & (1 << (at % 64)) == 0 {
            each(name);
        }
    });
    beyond.map(drop)
}

fn part(
    path: &Path,
    hash: usize,
    each: &mut dyn FnMut(usize, &[u8]),
) -> Result<Option<Link>, IndexError> {
    let failed = |amiss| match amiss {
        Amiss::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => IndexError::Read {
            path: path.to_path_buf(),
            source,
        },
        Amiss::Io(_) | Amiss::Format => IndexError::Format {
            path: path.to_path_buf(),
        },
    };
    let file = File::open(path).map_err(|error| failed(error.into()))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(failed(Amiss::Format));
    }
    let file = BufReader::new(file.take(INDEX_BYTES_MAX));
    let mut reader = Reader { file, hash };
    let found = reader.entries(each).and_then(|()| reader.link());
    let found = found.map_err(failed)?;
    let beside = path.parent().unwrap_or(Path::new(""));
    Ok(found.map(|found| Link {
        base: beside.join(format!(
            "sharedindex.{}",
            base16ct::lower::encode_string(&found.name)
        )),
        gone: found.gone,
    }))
}

struct Reader<R> {
    file: R,
    hash: usize,
}

/// Fields before the object's name: times, device, inode, mode, owner, group, size.
const STAT_BYTES: usize = 40;
const MODE_AT: usize = 24;
const EXTENDED: u16 = 0x4000;

impl<R: BufRead> Reader<R> {
    fn number(&mut self) -> Result<u32, Amiss> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn short(&mut self) -> Result<u16, Amiss> {
        let mut bytes = [0; 2];
        self.file.read_exact(&mut bytes)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Amiss> {
        let skipped = io::copy(&mut (&mut self.file).take(bytes), &mut io::sink())?;
        if skipped < bytes {
            return Err(Amiss::Format);
        }
        Ok(())
    }

    fn entries(&mut self, each: &mut dyn FnMut(usize, &[u8])) -> Result<(), Amiss> {
        let mut sign = [0; 4];
        self.file.read_exact(&mut sign)?;
        let version = self.number()?;
        if &sign != b"DIRC" || !(2..=4).contains(&version) {
            return Err(Amiss::Format);
        }
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let mut name = Vec::new();
        for at in 0..count {
            let mut stat = [0; STAT_BYTES];
            self.file.read_exact(&mut stat)?;
            self.skip(self.hash as u64)?;
            let mut fixed = STAT_BYTES + self.hash + 2;
            if self.short()? & EXTENDED != 0 {
                self.short()?;
                fixed += 2;
            }
            if version == 4 {
                let cut = self.offset()?;
                let kept = name.len().checked_sub(cut).ok_or(Amiss::Format)?;
                name.truncate(kept);
            } else {
                name.clear();
            }
            self.name(&mut name)?;
            if version != 4 {
                // With the NUL that ended the name, up to the next multiple of eight.
                let read = fixed + name.len() + 1;
                self.skip((read.next_multiple_of(8) - read) as u64)?;
            }
            let kind = stat.get(MODE_AT + 2).map_or(0, |mode| mode >> 4);
            // 8 is a file, 10 a link, 14 a submodule, 4 a directory that is not checked out; in a split index what only
            // stands for an entry of the other has no name.
            if matches!(kind, 8 | 10) && !name.is_empty() {
                each(at, &name);
            }
        }
        Ok(())
    }

    fn name(&mut self, name: &mut Vec<u8>) -> Result<(), Amiss> {
        let most = INDEX_PATH_BYTES_MAX.saturating_sub(name.len()) as u64;
        (&mut self.file).take(most).read_until(0, name)?;
        match name.pop() {
            Some(0) => Ok(()),
            Some(_) | None => Err(Amiss::Format),
        }
    }

    /// A number of any length, as in git's packs.
    fn offset(&mut self) -> Result<usize, Amiss> {
        let mut value = 0_usize;
        loop {
            let mut byte = [0];
            self.file.read_exact(&mut byte)?;
            let [byte] = byte;
            value += usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            value += 1;
            if value > INDEX_PATH_BYTES_MAX {
                return Err(Amiss::Format);
            }
            value <<= 7;
        }
    }

    /// What the extension of a split index says: the other's name, and which of its entries are gone.
    fn link(&mut self) -> Result<Option<Base>, Amiss> {
        loop {
            let mut sign = [0; 4];
            let mut size = [0; 4];
            if self.file.read_exact(&mut sign).is_err() || self.file.read_exact(&mut size).is_err()
            {
                return Ok(None);
            }
            let size = u32::from_be_bytes(size).into();
            // What is left at the end is the checksum.
            let is_extension = sign.iter().all(u8::is_ascii_alphabetic);
            if &sign != b"link" {
                if !is_extension || self.skip(size).is_err() {
                    return Ok(None);
                }
                continue;
            }
            let mut name = vec![0; self.hash];
            self.file.read_exact(&mut name)?;
            if name.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let left = size.checked_sub(name.len() as u64);
            let gone = match left {
                Some(1..) => self.bits()?,
                Some(0) | None => Vec::new(),
            };
            return Ok(Some(Base { name, gone }));
        }
    }

    /// A set of numbers, in git's compressed form: words that are all alike are only counted.
    fn bits(&mut self) -> Result<Vec<u64>, Amiss> {
        let bits = u64::from(self.number()?);
        let mut left = self.number()?;
        // No more than one for each entry that the other can hold.
        let bits = bits.min(INDEX_BYTES_MAX / STAT_BYTES as u64);
        let most = usize::try_from(bits.div_ceil(64)).unwrap_or(usize::MAX);
        let mut words = Vec::new();
        while left > 0 {
            let word = self.word()?;
            left -= 1;
            let alike = usize::try_from((word >> 1) & 0xffff_ffff).unwrap_or(usize::MAX);
            let value = if word & 1 == 1 { u64::MAX } else { 0 };
            let alike = alike.min(most.saturating_sub(words.len()));
            words.resize(words.len() + alike, value);
            for _ in 0..(word >> 33) {
                words.push(self.word()?);
                left = left.checked_sub(1).ok_or(Amiss::Format)?;
            }
        }
        Ok(words)
    }

    fn word(&mut self) -> Result<u64, Amiss> {
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the test writes files as a user would"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tempfile::TempDir;

    fn names(index: &[u8]) -> (Vec<Vec<u8>>, Result<(), IndexError>) {
        let place = TempDir::new().unwrap();
        let path = place.path().join("index");
        std::fs::write(&path, index).unwrap();
        let mut names = Vec::new();
        let read = read(&path, 20, &mut |name| names.push(name.to_vec()));
        (names, read)
    }

    fn entry(mode: u16, name: &[u8]) -> Vec<u8> {
        let mut entry = vec![7; STAT_BYTES + 20];
        entry[MODE_AT..MODE_AT + 4].copy_from_slice(&u32::from(mode).to_be_bytes());
        entry.extend_from_slice(&[0, 1]);
        entry.extend_from_slice(name);
        entry.resize((entry.len() + 8) / 8 * 8, 0);
        entry
    }

    fn index(version: u8, count: u8, rest: &[u8]) -> Vec<u8> {
        [
            &[b'D', b'I', b'R', b'C', 0, 0, 0, version, 0, 0, 0, count],
            rest,
        ]
        .concat()
    }

    #[test]
    fn what_is_cut_off_is_an_error_that_names_the_file() {
        let entries = [
            entry(0o100_644, b"a/b"),
            entry(0o160_000, b"sub"),
            entry(0o120_000, b"link"),
        ];
        let whole = index(2, 3, &entries.concat());
        let (found, read) = names(&whole);
        assert_eq!(found, [&b"a/b"[..], b"link"], "a submodule is none");
        assert_eq!(read.map_err(|error| error.to_string()), Ok(()));
        let (found, read) = names(&whole[..whole.len() - 9]);
        let said = read.unwrap_err().to_string();
        assert!(
            said.ends_with("/index` is no index that can be read"),
            "{said}"
        );
        assert_eq!(found, [&b"a/b"[..]]);
    }

    proptest! {
        #[test]
        fn whatever_is_in_the_file_reading_it_ends(
            version in 2..5_u8,
            count in any::<u8>(),
            at in 0..400_usize,
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            link in any::<bool>(),
        ) {
            let mut rest: Vec<u8> = (0..4).flat_map(|n| entry(0o100_644, &[b'a' + n])).collect();
            let at = at.min(rest.len());
            rest.splice(at.., bytes);
            if link {
                rest = [b"link\0\0\x01\0", &*rest].concat();
            }
            let count = if link { 0 } else { count };
            let (found, _) = names(&index(version, count, &rest));
            prop_assert!(found.len() <= usize::from(count));
        }
    }
}
