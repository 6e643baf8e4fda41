//! Stamps: a file that decides on what is ignored, as it was when it was read.
//!
//! A fingerprint is no proof as long as the clock of its file system may not have ticked since: until then what the file
//! says is compared, by digest. A stamp is taken before the file is read, so that a change in between shows.

use super::content::there;
use super::print::{Moment, Print};
use super::sheet::{Links, text};
use crate::limits::{GIT_SETTINGS_BYTES_MAX, IGNORE_FILE_BYTES_MAX};
use crate::model::digest::Digest;
use std::io;
use std::path::PathBuf;

/// A file that decides, as it was when it was read.
#[derive(Debug)]
pub(super) struct Stamp {
    path: PathBuf,
    links: Links,
    print: Option<Print>,
    /// What it said, as long as its fingerprint is no proof that it still does.
    said: Option<Option<Digest>>,
}

impl Stamp {
    /// Taken before the file is read.
    pub(super) fn of(path: PathBuf, links: Links) -> Self {
        let mut stamp = Self {
            path,
            links,
            print: None,
            said: None,
        };
        let now = Moment::now();
        stamp.print = stamp.print().ok().flatten();
        let racy = stamp.print.is_some_and(|print| print.is_racy_at(now));
        stamp.said = racy.then(|| stamp.says());
        stamp
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Whether the file is not as it was, or that cannot be found out for the moment.
    pub(super) fn is_outdated(&mut self) -> bool {
        let now = Moment::now();
        let print = match self.print() {
            Ok(print) if print == self.print => print,
            Ok(_) | Err(_) => return true,
        };
        if self.said.is_some_and(|before| self.says() != before) {
            return true;
        }
        self.said
            .take_if(|_| !print.is_some_and(|print| print.is_racy_at(now)));
        false
    }

    fn print(&self) -> io::Result<Option<Print>> {
        let meta = there(self.links.meta(&self.path))?;
        Ok(meta.map(|meta| Print::of(&meta)))
    }

    /// The digest of what it says; `None` where there is none, or it cannot be read.
    fn says(&self) -> Option<Digest> {
        let most = IGNORE_FILE_BYTES_MAX.max(GIT_SETTINGS_BYTES_MAX);
        let text = text(&self.path, self.links, most).ok().flatten()?;
        Some(Digest::of(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes files as a user would"
    )]
    fn what_changed_within_a_tick_of_the_clock_is_outdated_all_the_same() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("exclude");
        fs::write(&path, "gen/\n").unwrap();
        let mut stamp = Stamp::of(path.clone(), Links::Shunned);
        assert!(!stamp.is_outdated());
        assert_eq!(stamp.said, Some(Some(Digest::of(b"gen/\n"))));
        fs::write(&path, "/gen\n").unwrap();
        // As a file system says whose clock has not ticked since.
        stamp.print = stamp.print().unwrap();
        assert!(stamp.is_outdated());
        let old = fs::File::options().write(true).open(&path).unwrap();
        old.set_modified(std::time::UNIX_EPOCH).unwrap();
        let mut stamp = Stamp::of(path, Links::Shunned);
        stamp.print = stamp
            .print
            .inspect(|print| assert!(print.is_racy_at(Moment::now())));
        assert!(!stamp.is_outdated());
    }
}
