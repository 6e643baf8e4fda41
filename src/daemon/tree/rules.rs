//! Ignore rules: one matcher for the walk, for single events and for `explain`.
//!
//! The order is git's, with ripgrep's `.ignore` above it: the workspace's own `ignore` setting, `.ignore` files from the
//! inside out, `.gitignore` files from the inside out, `.git/info/exclude`, git's global excludes; the first that says
//! anything decides. A directory that is ignored is not entered, so nothing below it can come back: that makes the
//! answer the same as that of `git check-ignore`. `.gitignore` holds with or without a repository around it. What one
//! pattern says is [`crate::model::pattern`]'s.

use super::names;
use crate::limits::IGNORE_FILE_BYTES_MAX;
use crate::model::digest::Digest;
use crate::model::pattern::{Flaw, Pattern, Patterns};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The names of the files that hold rules for their directory.
pub(super) const GITIGNORE: &[u8] = b".gitignore";
/// See [`GITIGNORE`].
pub(super) const IGNORE: &[u8] = b".ignore";

/// The patterns of one file.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) patterns: Patterns,
    /// The file.
    pub(super) source: PathBuf,
    /// Of its text: what was only touched holds the same rules.
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
    setting: Arc<Patterns>,
    root: usize,
}

/// The rule that decides on a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    pub(super) pattern: &'a Pattern,
    /// The file that it stands in; `None` for the workspace's setting.
    pub(super) sheet: Option<&'a Sheet>,
    /// Whether git knows it.
    pub(super) is_gits: bool,
}

/// The rules that stand outside the directories of the workspace.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// The root's path below the top of its repository.
    pub(super) prefix: Vec<u8>,
    pub(super) rules: Vec<(Arc<Rules>, usize)>,
    pub(super) exclude: Option<Arc<Sheet>>,
    pub(super) global: Option<Arc<Sheet>>,
    pub(super) setting: Arc<Patterns>,
}

impl Sheet {
    /// Reads a file of patterns in a directory of the workspace; `None` where there is none to read. A link is none: git
    /// does not follow it either.
    pub(super) fn read(source: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(source).ok()?;
        Self::read_file(source, &meta)
    }

    /// As [`Sheet::read`], but a link is followed: many keep git's settings elsewhere.
    pub(super) fn read_linked(source: &Path) -> Option<Self> {
        let meta = fs::metadata(source).ok()?;
        Self::read_file(source, &meta)
    }

    fn read_file(source: &Path, meta: &fs::Metadata) -> Option<Self> {
        // A pipe would never end.
        if !meta.is_file() {
            return None;
        }
        let mut text = Vec::new();
        let file = fs::File::open(source).ok()?;
        file.take(IGNORE_FILE_BYTES_MAX)
            .read_to_end(&mut text)
            .ok()?;
        Some(Self {
            patterns: Patterns::of_file(&text),
            digest: Digest::of(&text),
            source: source.to_path_buf(),
        })
    }
}

impl Rules {
    /// Reads what a directory holds; `None` if it holds no rules.
    pub(super) fn read(directory: &Path, present: Present) -> Option<Arc<Self>> {
        let read = |name, there: bool| {
            there
                .then(|| Sheet::read(&names::below(directory, name)))
                .flatten()
        };
        let rules = Self {
            gitignore: read(GITIGNORE, present.gitignore),
            ignore: read(IGNORE, present.ignore),
        };
        (rules.gitignore.is_some() || rules.ignore.is_some()).then(|| Arc::new(rules))
    }

    /// Whether both say the same.
    pub(super) fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        let digests = |rules: Option<&Self>| {
            rules.map(|rules| {
                let of = |sheet: &Option<Sheet>| sheet.as_ref().map(|sheet| sheet.digest);
                (of(&rules.gitignore), of(&rules.ignore))
            })
        };
        digests(one) == digests(other)
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
    /// Whether there is a rule of git among them.
    pub(super) fn has_rules_of_git(&self) -> bool {
        let shared = [&self.exclude, &self.global].into_iter().flatten();
        shared.into_iter().any(|sheet| !sheet.patterns.is_empty())
            || self
                .rules
                .iter()
                .any(|(rules, _)| rules.gitignore.is_some())
    }

    /// Whether both say the same of every path.
    pub(super) fn same(&self, other: &Self) -> bool {
        let digest = |sheet: &Option<Arc<Sheet>>| sheet.as_ref().map(|sheet| sheet.digest);
        let mut both = self.rules.iter().zip(&other.rules);
        self.prefix == other.prefix
            && digest(&self.exclude) == digest(&other.exclude)
            && digest(&self.global) == digest(&other.global)
            && self.rules.len() == other.rules.len()
            && both.all(|((one, at), (other, there))| {
                at == there && Rules::same(Some(one), Some(other))
            })
    }

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
        let says = |patterns, at, sheet, is_gits| {
            let (ignored, pattern) = judge(patterns, &path, at, is_directory)?;
            let rule = Rule {
                pattern,
                sheet,
                is_gits,
            };
            Some((ignored, rule))
        };
        let setting = says(&self.setting, self.root, None, false);
        let of = |pick: fn(&Rules) -> Option<&Sheet>, is_gits| {
            let held = self.rules.iter().rev();
            held.filter_map(|(rules, at)| pick(rules).map(|sheet| (sheet, *at)))
                .find_map(|(sheet, at)| says(&sheet.patterns, at, Some(sheet), is_gits))
        };
        let decision = setting
            .or_else(|| of(|rules| rules.ignore.as_ref(), false))
            .or_else(|| of(|rules| rules.gitignore.as_ref(), true))
            .or_else(|| {
                let sheet = self.exclude.as_deref()?;
                says(&sheet.patterns, 0, Some(sheet), true)
            })
            .or_else(|| {
                let sheet = self.global.as_deref()?;
                says(&sheet.patterns, 0, Some(sheet), true)
            });
        decision.and_then(|(ignored, rule)| ignored.then_some(rule))
    }
}

/// What one set of patterns says of the path that begins at `at`: ignored or not, and by which.
fn judge<'a>(
    patterns: &'a Patterns,
    path: &[u8],
    at: usize,
    is_directory: bool,
) -> Option<(bool, &'a Pattern)> {
    let pattern = patterns.matched(path.get(at..).unwrap_or_default(), is_directory)?;
    Some((!pattern.is_negated(), pattern))
}

/// Compiles patterns that stand in a configuration.
///
/// # Errors
/// When one of them can match nothing; it is named.
pub(super) fn compile(patterns: &[String]) -> Result<Patterns, PatternError> {
    for pattern in patterns {
        let parsed = Pattern::of_line(pattern.as_bytes());
        if let Some(source) = parsed.as_ref().and_then(Pattern::flaw) {
            return Err(PatternError {
                pattern: pattern.clone(),
                source: *source,
            });
        }
    }
    let lines = patterns.iter().map(|pattern| pattern.as_bytes());
    Ok(Patterns::of_lines(lines))
}

/// Why a pattern is refused.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is no gitignore pattern")]
pub struct PatternError {
    pattern: String,
    source: Flaw,
}
