//! Ignore rules: one matcher for the walk, for single events and for `explain`.
//!
//! The order is git's, with ripgrep's `.ignore` above it: the workspace's own `ignore` setting, `.ignore` files from the
//! inside out, `.gitignore` files from the inside out, `.git/info/exclude`, git's global excludes; the first that says
//! anything decides. A directory that is ignored is not entered, so nothing below it can come back: that makes the
//! answer the same as that of `git check-ignore`. `.gitignore` holds with or without a repository around it. What one
//! pattern says is its [`super::sheet`]'s.

use super::names;
use super::sheet::{Decides, Form, Sheet, judge};
use crate::model::pattern::{Flaw, Pattern, Patterns};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The names of the files that hold rules for their directory.
pub(super) const GITIGNORE: &[u8] = b".gitignore";
/// See [`GITIGNORE`].
pub(super) const IGNORE: &[u8] = b".ignore";

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
    pub(super) pattern: Decides<'a>,
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

impl Rules {
    /// Reads what a directory holds; `None` if it holds no rules.
    ///
    /// # Errors
    /// As [`Sheet::read`].
    pub(super) fn read(directory: &Path, present: Present) -> io::Result<Option<Arc<Self>>> {
        let read = |name, form, there: bool| match there {
            true => Sheet::read(&names::below(directory, name), form),
            false => Ok(None),
        };
        let rules = Self {
            gitignore: read(GITIGNORE, Form::Git, present.gitignore)?,
            ignore: read(IGNORE, Form::Ripgrep, present.ignore)?,
        };
        let any = rules.gitignore.is_some() || rules.ignore.is_some();
        Ok(any.then(|| Arc::new(rules)))
    }

    /// Whether both say the same.
    pub(super) fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        let alike = |pick: fn(&Self) -> Option<&Sheet>| {
            Sheet::same(one.and_then(pick), other.and_then(pick))
        };
        alike(|rules| rules.gitignore.as_ref()) && alike(|rules| rules.ignore.as_ref())
    }
}

/// Which ignore files a directory's listing shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present {
    pub(super) gitignore: bool,
    pub(super) ignore: bool,
    /// And what a repository has at its top.
    pub(super) git: bool,
}

impl Present {
    /// To be looked for both.
    pub(super) const UNKNOWN: Self = Self {
        gitignore: true,
        ignore: true,
        git: false,
    };

    pub(super) fn note(&mut self, name: &[u8]) {
        self.gitignore |= name == GITIGNORE;
        self.ignore |= name == IGNORE;
        self.git |= name == b".git";
    }
}

impl Around {
    /// Whether there is a rule of git among them.
    pub(super) fn has_rules_of_git(&self) -> bool {
        let shared = [&self.exclude, &self.global].into_iter().flatten();
        shared.into_iter().any(|sheet| !sheet.is_empty())
            || self
                .rules
                .iter()
                .any(|(rules, _)| rules.gitignore.is_some())
    }

    /// Whether both say the same of every path.
    pub(super) fn same(&self, other: &Self) -> bool {
        let mut both = self.rules.iter().zip(&other.rules);
        self.prefix == other.prefix
            && Sheet::same(self.exclude.as_deref(), other.exclude.as_deref())
            && Sheet::same(self.global.as_deref(), other.global.as_deref())
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
        let below = |at| path.get(at..).unwrap_or_default();
        let says = |sheet, at, is_gits| Rule::of(sheet, below(at), is_directory, is_gits);
        let of = |pick: fn(&Rules) -> Option<&Sheet>, is_gits| {
            let held = self.rules.iter().rev();
            held.filter_map(|(rules, at)| pick(rules).map(|sheet| (sheet, *at)))
                .find_map(|(sheet, at)| says(sheet, at, is_gits))
        };
        let setting = judge(&self.setting, below(self.root), is_directory);
        let setting = setting.map(|(ignored, pattern)| (ignored, Rule::of_setting(pattern)));
        let decision = setting
            .or_else(|| of(|rules| rules.ignore.as_ref(), false))
            .or_else(|| of(|rules| rules.gitignore.as_ref(), true))
            .or_else(|| says(self.exclude.as_deref()?, 0, true))
            .or_else(|| says(self.global.as_deref()?, 0, true));
        decision.and_then(|(ignored, rule)| ignored.then_some(rule))
    }
}

impl<'a> Rule<'a> {
    /// What a sheet says of a path below its directory, and by which rule.
    fn of(
        sheet: &'a Sheet,
        path: &[u8],
        is_directory: bool,
        is_gits: bool,
    ) -> Option<(bool, Self)> {
        let (ignored, pattern) = sheet.judge(path, is_directory)?;
        let rule = Self {
            pattern,
            sheet: Some(sheet),
            is_gits,
        };
        Some((ignored, rule))
    }

    fn of_setting(pattern: Decides<'a>) -> Self {
        Self {
            pattern,
            sheet: None,
            is_gits: false,
        }
    }
}

/// Compiles patterns that stand in a configuration.
///
/// # Errors
/// When one of them can match nothing; it is named.
pub(in crate::daemon) fn compile(patterns: &[String]) -> Result<Patterns, PatternError> {
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
