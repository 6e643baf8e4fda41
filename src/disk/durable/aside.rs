//! Damaged files, put out of the way for somebody who wants to look at them.
//!
//! Nothing is deleted on the first doubt; but whatever keeps damaging a file does not fill the disk with it: of each
//! name the newest few are kept.

use super::dir::Dir;
use super::{Act, DurableError, PRIVATE, fail};
use crate::limits::CORRUPT_KEPT_MAX;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

impl Dir {
    /// Renames the file `name` to `<name>.corrupt-<mark>`, where a later mark sorts behind an earlier one; tells its new
    /// name. The oldest of its kind beyond the bound are removed.
    ///
    /// # Errors
    /// When it is not there or may not be moved.
    pub fn set_aside(&self, name: &OsStr, mark: &str) -> Result<OsString, DurableError> {
        let (aside, prefix) = self.free_aside(name, mark)?;
        self.rename(name, self, &aside)?;
        self.forget_old(&prefix)?;
        Ok(aside)
    }

    /// As [`Dir::set_aside`], for bytes that were read from the file `name`, which stays.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn copy_aside(
        &self,
        name: &OsStr,
        mark: &str,
        bytes: &[u8],
    ) -> Result<OsString, DurableError> {
        let (aside, prefix) = self.free_aside(name, mark)?;
        self.write(&aside, bytes, PRIVATE)?;
        self.forget_old(&prefix)?;
        Ok(aside)
    }

    /// A name that is free for a damaged file, and how the names of all of its kind begin.
    fn free_aside(&self, name: &OsStr, mark: &str) -> Result<(OsString, OsString), DurableError> {
        let mut prefix = name.to_os_string();
        prefix.push(".corrupt-");
        let numbered = (1_u32..).map(|n| {
            let mut aside = prefix.clone();
            aside.push(mark);
            if n > 1 {
                aside.push(format!("-{n}"));
            }
            aside
        });
        // Two damaged files of one millisecond: the first is kept too.
        let mut free = numbered.filter(|aside| self.stamp(Path::new(aside)).is_none());
        let Some(aside) = free.next() else {
            let taken = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(fail(Act::Rename, &self.path().join(name))(taken));
        };
        Ok((aside, prefix))
    }

    fn forget_old(&self, prefix: &OsStr) -> Result<(), DurableError> {
        let of_name = |other: &OsString| {
            let (other, prefix) = (other.as_encoded_bytes(), prefix.as_encoded_bytes());
            other.starts_with(prefix)
        };
        let kept: Vec<OsString> = self.list()?.into_iter().filter(of_name).collect();
        for old in kept.iter().rev().skip(CORRUPT_KEPT_MAX) {
            // What cannot be removed is in nobody's way.
            drop(self.remove(old));
        }
        Ok(())
    }
}
