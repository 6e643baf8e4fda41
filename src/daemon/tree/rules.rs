//! Ignore rules: one matcher for the walk, for single events and for `explain`.
//!
//! The order is git's, with ripgrep's `.ignore` above it: the workspace's own `ignore` setting, `.ignore` files from the
//! inside out, `.gitignore` files from the inside out, `.git/info/exclude`, git's global excludes; the first that says
//! anything decides. A directory that is ignored is not entered, so nothing below it can come back: that makes the
//! answer the same as that of `git check-ignore`. `.gitignore` holds with or without a repository around it.

use super::content::{is_gone, is_shut};
use super::names;
use crate::limits::IGNORE_FILE_BYTES_MAX;
use crate::model::digest::Digest;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The names of the files that hold rules for their directory.
pub(super) const GITIGNORE: &[u8] = b".gitignore";
/// See [`GITIGNORE`].
pub(super) const IGNORE: &[u8] = b".ignore";

/// The patterns of one file.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) globs: Gitignore,
    /// The file.
    pub(super) source: PathBuf,
    /// Of what was read: two states of a file within one tick of its clock look the same to `stat`.
    digest: Digest,
}

/// The patterns that one directory holds.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) gitignore: Option<Sheet>,
    pub(super) ignore: Option<Sheet>,
}

/// What a directory's entries are matched against.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The directory's path below the outermost directory that has rules, and a `/`.
    prefix: Vec<u8>,
    /// The rules of the directories on the way, outermost first, each with the length of its own path in `prefix`.
    rules: Vec<(Arc<Rules>, usize)>,
    /// What holds for the whole repository, whose paths begin where `prefix` does.
    exclude: Option<Arc<Sheet>>,
    global: Option<Arc<Sheet>>,
    /// The workspace's own setting, and where the workspace begins in `prefix`.
    setting: Arc<Gitignore>,
    root: usize,
}

/// The rule that decides on a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    pub(super) glob: &'a Glob,
    /// The file that it stands in; `None` for the workspace's setting.
    pub(super) sheet: Option<&'a Sheet>,
}

/// The rules that stand outside the directories of the workspace.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// The root's path below the top of its repository.
    pub(super) prefix: Vec<u8>,
    pub(super) rules: Vec<(Arc<Rules>, usize)>,
    pub(super) exclude: Option<Arc<Sheet>>,
    pub(super) global: Option<Arc<Sheet>>,
    pub(super) setting: Arc<Gitignore>,
}

impl Sheet {
    /// Reads a file of patterns; `None` where there is none to read, or it may not be read. A line that is no pattern,
    /// or no text, is passed over, as git does.
    ///
    /// # Errors
    /// When it cannot be read for the moment: without its patterns everything that they ignore would be content.
    pub(super) fn read(source: &Path) -> io::Result<Option<Self>> {
        match Self::try_read(source) {
            Err(error) if is_gone(&error) || is_shut(&error) => Ok(None),
            read => read,
        }
    }

    fn try_read(source: &Path) -> io::Result<Option<Self>> {
        let Some(text) = text(source)? else {
            return Ok(None);
        };
        let mut builder = GitignoreBuilder::new("");
        for line in lines(&text) {
            drop(builder.add_line(None, &line.pattern));
        }
        Ok(Some(Self {
            globs: builder.build().unwrap_or_else(|_| Gitignore::empty()),
            source: source.to_path_buf(),
            digest: Digest::of(&text),
        }))
    }

    /// The rule as it is written, and its line, as far as the file still has it.
    pub(super) fn written(&self, glob: &Glob) -> (String, Option<u64>) {
        let text = fs::read(&self.source).unwrap_or_default();
        let found = lines(&text)
            .into_iter()
            .rev()
            .find(|line| line.pattern.trim_end() == glob.original());
        match found {
            Some(line) => (line.written, Some(line.number)),
            None => (glob.original().to_owned(), None),
        }
    }
}

/// What a file of patterns says; `None` where there is none.
pub(super) fn text(source: &Path) -> io::Result<Option<Vec<u8>>> {
    let meta = fs::symlink_metadata(source)?;
    // git does not follow a link here either, and a pipe would never end.
    if !meta.is_file() {
        return Ok(None);
    }
    let mut text = Vec::new();
    let file = fs::File::open(source)?;
    file.take(IGNORE_FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(Some(text))
}

impl Rules {
    /// Reads what a directory holds; `None` if it holds no rules.
    ///
    /// # Errors
    /// As [`Sheet::read`].
    pub(super) fn read(directory: &Path, present: Present) -> io::Result<Option<Arc<Self>>> {
        let read = |name, there: bool| match there {
            true => Sheet::read(&names::below(directory, name)),
            false => Ok(None),
        };
        let rules = Self {
            gitignore: read(GITIGNORE, present.gitignore)?,
            ignore: read(IGNORE, present.ignore)?,
        };
        let any = rules.gitignore.is_some() || rules.ignore.is_some();
        Ok(any.then(|| Arc::new(rules)))
    }

    /// Whether both say the same.
    pub(super) fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        let said = |rules: Option<&Self>| {
            rules.map(|rules| {
                let of = |sheet: &Option<Sheet>| sheet.as_ref().map(|sheet| sheet.digest);
                (of(&rules.gitignore), of(&rules.ignore))
            })
        };
        said(one) == said(other)
    }
}

/// Which ignore files a directory's listing shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present {
    pub(super) gitignore: bool,
    pub(super) ignore: bool,
}

impl Present {
    /// To be looked for both.
    pub(super) const UNKNOWN: Self = Self {
        gitignore: true,
        ignore: true,
    };

    pub(super) fn note(&mut self, name: &[u8]) {
        self.gitignore |= name == GITIGNORE;
        self.ignore |= name == IGNORE;
    }
}

impl Around {
    /// What the entries of a directory are matched against but for its own rules; `within` are those on the way to it,
    /// outermost first, each with the length of its directory's path.
    pub(super) fn chain(&self, directory: &[u8], within: Vec<(Arc<Rules>, usize)>) -> Chain {
        let mut prefix = self.prefix.clone();
        let root = if prefix.is_empty() {
            0
        } else {
            prefix.len() + 1
        };
        if !directory.is_empty() {
            names::push(&mut prefix, directory);
        }
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let mut rules = self.rules.clone();
        rules.extend(within.into_iter().map(|(rules, at)| {
            let at = if at == 0 { root } else { root + at + 1 };
            (rules, at)
        }));
        Chain {
            prefix,
            rules,
            exclude: self.exclude.clone(),
            global: self.global.clone(),
            setting: Arc::clone(&self.setting),
            root,
        }
    }
}

impl Chain {
    /// The same with the rules of the directory itself.
    pub(super) fn and(&self, own: Arc<Rules>) -> Self {
        let mut chain = self.clone();
        chain.rules.push((own, chain.prefix.len()));
        chain
    }

    /// The rule that ignores the directory's entry of this name, if one does.
    pub(super) fn ignores(&self, name: &[u8], is_directory: bool) -> Option<Rule<'_>> {
        let mut path = self.prefix.clone();
        path.extend_from_slice(name);
        let says = |globs, at, sheet| judge(globs, &path, at, is_directory, sheet);
        let setting = says(&self.setting, self.root, None);
        let of = |pick: fn(&Rules) -> Option<&Sheet>| {
            let held = self.rules.iter().rev();
            held.filter_map(|(rules, at)| pick(rules).map(|sheet| (sheet, *at)))
                .find_map(|(sheet, at)| says(&sheet.globs, at, Some(sheet)))
        };
        let decision = setting
            .or_else(|| of(|rules| rules.ignore.as_ref()))
            .or_else(|| of(|rules| rules.gitignore.as_ref()))
            .or_else(|| {
                let sheet = self.exclude.as_deref()?;
                says(&sheet.globs, 0, Some(sheet))
            })
            .or_else(|| {
                let sheet = self.global.as_deref()?;
                says(&sheet.globs, 0, Some(sheet))
            });
        decision.and_then(|(ignored, rule)| ignored.then_some(rule))
    }
}

/// What one set of patterns says of the path that begins at `at`: ignored or not, and by which rule.
fn judge<'a>(
    globs: &'a Gitignore,
    path: &[u8],
    at: usize,
    is_directory: bool,
    sheet: Option<&'a Sheet>,
) -> Option<(bool, Rule<'a>)> {
    if globs.is_empty() {
        return None;
    }
    let path = names::path(path.get(at..).unwrap_or_default());
    match globs.matched(&path, is_directory) {
        Match::None => None,
        Match::Ignore(glob) => Some((true, Rule { glob, sheet })),
        Match::Whitelist(glob) => Some((false, Rule { glob, sheet })),
    }
}

struct Line {
    number: u64,
    written: String,
    pattern: String,
}

/// The lines of a file of patterns that are text.
fn lines(text: &[u8]) -> Vec<Line> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let numbered = (1..).zip(text.split(|byte| *byte == b'\n'));
    numbered
        .filter_map(|(number, line)| {
            let line = std::str::from_utf8(line).ok()?;
            Some(Line {
                number,
                written: line.trim_end().to_owned(),
                pattern: literal_braces(line),
            })
        })
        .collect()
}

/// Escapes braces: they mean themselves to git, and alternatives to the `ignore` crate.
fn literal_braces(line: &str) -> String {
    let mut pattern = String::with_capacity(line.len());
    let (mut escaped, mut in_class) = (false, false);
    for letter in line.chars() {
        if matches!(letter, '{' | '}') && !escaped && !in_class {
            pattern.push('\\');
        }
        match letter {
            '[' if !escaped => in_class = true,
            ']' if !escaped => in_class = false,
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        pattern.push(letter);
    }
    pattern
}

/// Compiles patterns that stand in a configuration.
///
/// # Errors
/// When one of them is no pattern; it is named.
pub(super) fn compile(patterns: &[String]) -> Result<Gitignore, PatternError> {
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let refuse = |source| PatternError {
            pattern: pattern.clone(),
            source: Box::new(source),
        };
        builder
            .add_line(None, &literal_braces(pattern))
            .map_err(refuse)?;
    }
    builder.build().map_err(|source| PatternError {
        pattern: patterns.join(", "),
        source: Box::new(source),
    })
}

/// Why a pattern is refused.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is no gitignore pattern")]
pub struct PatternError {
    pattern: String,
    source: Box<ignore::Error>,
}
