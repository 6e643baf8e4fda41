//! Sheets: files of patterns, each read as those read it who made its form.
//!
//! A `.gitignore` means what git says, byte for byte: [`crate::model::pattern`]. An `.ignore` file is ripgrep's, so that it
//! means what the `ignore` crate says, to which `{a,b}` is a choice, which passes over blanks at the end and ends at a line
//! that is no text. Neither is ever more than `IGNORE_FILE_BYTES_MAX`, and what is only touched is the same sheet.

use super::content::{is_gone, is_shut};
use super::names;
use crate::limits::IGNORE_FILE_BYTES_MAX;
use crate::model::digest::Digest;
use crate::model::pattern::{Pattern, Patterns};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Whose form a sheet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `.gitignore`, `info/exclude`, the global excludes.
    Git,
    /// `.ignore`
    Ripgrep,
}

/// Whether a file is read by way of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// git does not follow one in a directory of the workspace.
    Shunned,
    /// Many keep git's settings elsewhere.
    Followed,
}

/// The patterns of one file.
#[derive(Debug)]
pub(super) struct Sheet {
    says: Says,
    /// The file.
    pub(super) source: PathBuf,
    /// Of its text: two states of a file within one tick of its clock look the same to `stat`.
    digest: Digest,
}

#[derive(Debug)]
enum Says {
    Git(Patterns),
    /// And its lines, to tell which one it was.
    Ripgrep(Gitignore, Box<[Box<str>]>),
}

/// A pattern that decides.
#[derive(Clone, Copy, Debug)]
pub(super) enum Decides<'a> {
    /// One that git reads, or of the configuration.
    Git(&'a Pattern),
    /// One of these lines.
    Ripgrep(&'a Glob, &'a [Box<str>]),
}

impl Sheet {
    /// Reads a file of patterns in a directory of the workspace; `None` where there is none to read, or it may not be
    /// read.
    ///
    /// # Errors
    /// When it cannot be read for the moment: without its patterns everything that they ignore would be content.
    pub(super) fn read(source: &Path, form: Form) -> io::Result<Option<Self>> {
        Self::read_by(source, form, Links::Shunned)
    }

    /// As [`Sheet::read`], for what git reads by way of a link, too.
    ///
    /// # Errors
    /// As [`Sheet::read`].
    pub(super) fn read_linked(source: &Path) -> io::Result<Option<Self>> {
        Self::read_by(source, Form::Git, Links::Followed)
    }

    fn read_by(source: &Path, form: Form, links: Links) -> io::Result<Option<Self>> {
        let text = text(source, links, IGNORE_FILE_BYTES_MAX)?;
        Ok(text.map(|text| Self {
            says: match form {
                Form::Git => Says::Git(Patterns::of_file(&text)),
                Form::Ripgrep => ripgreps(&text),
            },
            source: source.to_path_buf(),
            digest: Digest::of(&text),
        }))
    }

    /// Whether both say the same.
    pub(super) fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        let digest = |sheet: Option<&Self>| sheet.map(|sheet| sheet.digest);
        digest(one) == digest(other)
    }

    /// Whether there is no pattern.
    pub(super) fn is_empty(&self) -> bool {
        match &self.says {
            Says::Git(patterns) => patterns.is_empty(),
            Says::Ripgrep(globs, _) => globs.is_empty(),
        }
    }

    /// Whether a path below the directory of the file is ignored, if one of the patterns decides it, and which one.
    pub(super) fn judge(&self, path: &[u8], is_directory: bool) -> Option<(bool, Decides<'_>)> {
        let (globs, lines) = match &self.says {
            Says::Git(patterns) => return judge(patterns, path, is_directory),
            Says::Ripgrep(globs, lines) => (globs, lines),
        };
        match globs.matched(names::path(path), is_directory) {
            Match::None => None,
            Match::Ignore(glob) => Some((true, Decides::Ripgrep(glob, lines))),
            Match::Whitelist(glob) => Some((false, Decides::Ripgrep(glob, lines))),
        }
    }
}

/// What a file says, as far as that is read; `None` where there is none, or it may not be read.
///
/// # Errors
/// When it cannot be read for the moment.
pub(super) fn text(source: &Path, links: Links, most: u64) -> io::Result<Option<Vec<u8>>> {
    match try_text(source, links, most) {
        Err(error) if is_gone(&error) || is_shut(&error) => Ok(None),
        read => read,
    }
}

fn try_text(source: &Path, links: Links, most: u64) -> io::Result<Option<Vec<u8>>> {
    // A pipe would never end.
    if !links.meta(source)?.is_file() {
        return Ok(None);
    }
    let mut text = Vec::new();
    let file = fs::File::open(source)?;
    file.take(most).read_to_end(&mut text)?;
    Ok(Some(text))
}

impl Links {
    /// What `stat` says of the file that is read.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn meta(self, path: &Path) -> io::Result<fs::Metadata> {
        match self {
            Self::Shunned => fs::symlink_metadata(path),
            Self::Followed => fs::metadata(path),
        }
    }
}

/// What git's patterns say of a path.
pub(super) fn judge<'a>(
    patterns: &'a Patterns,
    path: &[u8],
    is_directory: bool,
) -> Option<(bool, Decides<'a>)> {
    let pattern = patterns.matched(path, is_directory)?;
    Some((!pattern.is_negated(), Decides::Git(pattern)))
}

impl Decides<'_> {
    /// The pattern as it is written.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Git(pattern) => pattern.written(),
            Self::Ripgrep(glob, _) => glob.original().to_owned(),
        }
    }

    /// Its line, from 1.
    pub(super) fn line(&self) -> Option<u64> {
        match self {
            Self::Git(pattern) => Some(pattern.line()),
            Self::Ripgrep(glob, lines) => {
                let same = |line: &str| line.trim_end() == glob.original().trim_end();
                // Of several that are alike the last one decides.
                let at = lines.iter().rposition(|line| same(line))?;
                u64::try_from(at + 1).ok()
            }
        }
    }
}

fn ripgreps(text: &[u8]) -> Says {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map_while(|line| std::str::from_utf8(line).ok());
    let lines: Box<[Box<str>]> = lines.map(Box::from).collect();
    let mut builder = GitignoreBuilder::new("");
    for line in &lines {
        // One that is no pattern is passed over.
        drop(builder.add_line(None, line.strip_suffix('\r').unwrap_or(line)));
    }
    let globs = builder.build().unwrap_or_else(|_| Gitignore::empty());
    Says::Ripgrep(globs, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a name is ignored, to git and to ripgrep.
    fn ignored(text: &[u8], path: &str) -> (bool, bool) {
        let by = |says: Says| {
            let sheet = Sheet {
                says,
                source: PathBuf::new(),
                digest: Digest::of(text),
            };
            sheet
                .judge(path.as_bytes(), true)
                .is_some_and(|(ignored, _)| ignored)
        };
        (by(Says::Git(Patterns::of_file(text))), by(ripgreps(text)))
    }

    #[test]
    fn where_the_two_forms_differ() {
        for (text, path, git, ripgrep) in [
            ("{a,b}", "a", false, true),
            ("{a,b}", "{a,b}", true, false),
            ("a}", "a}", true, false),
            ("a\t", "a", false, true),
            ("a\t", "a\t", true, false),
            ("a[", "a[", false, true),
            ("a\\/", "a", false, true),
            ("[[:digit:]]", "7", true, false),
            ("a**/b", "ax/y/b", true, false),
            ("[z-a]", "z", true, false),
            ("*.o\n! ", "x.o", true, false),
            ("*.{o,a}\n*.log", "x.log", true, true),
        ] {
            assert_eq!(
                ignored(text.as_bytes(), path),
                (git, ripgrep),
                "{text:?} {path}"
            );
        }
        assert_eq!(ignored(b"\xff\na", "a"), (true, false), "no text");
        let (text, source) = (b"# two\na\r\na \nb", PathBuf::new());
        let (says, digest) = (ripgreps(text), Digest::of(text));
        let sheet = Sheet {
            says,
            source,
            digest,
        };
        let (_, decides) = sheet.judge(b"x/a", false).unwrap();
        assert_eq!((decides.written(), decides.line()), ("a".into(), Some(3)));
    }
}
