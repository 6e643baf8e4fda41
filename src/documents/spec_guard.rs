//! The family's two rules about specs: code moves together with a spec, and no spec goes unread for long.
//!
//! It reads git and the specs, and changes nothing. The change is everything since a base: commits, index, working tree and
//! untracked files, of the whole workspace wherever it is asked for. What is judged is pure: paths and texts in, findings out.

mod change;

use crate::documents::shelf::{Shelf, ShelfError};
use crate::git::GitError;
use crate::git::revision::RevisionError;
use crate::limits::documents::GUARDED_PATHS_NAMED_MAX;
use crate::model::config::{Config, SpecGuard};
use crate::model::id::TaskId;
use crate::model::path::RelPath;
use crate::model::pattern::{Pattern, Patterns};
use crate::model::time::Day;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

pub use change::Changed;

/// Where a project of a workspace lies that nobody has declared.
const PACKAGES: &str = "packages";
/// The line of a spec that says when it was last reviewed.
const REVIEW: &str = "last_review:";

/// Why the guard could not look.
#[derive(Debug, thiserror::Error)]
pub enum SpecGuardError {
    /// There is no git to tell what changed.
    #[error("without git nobody can tell what changed")]
    NoRepository(#[source] RevisionError),
    /// What was named as the base is no commit.
    #[error("`{}` names no commit here", .name.escape_debug())]
    Base {
        /// What was named.
        name: String,
        /// What git says.
        source: GitError,
    },
    /// Git failed at something that it should be able to do.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A spec cannot be read.
    #[error(transparent)]
    Read(#[from] ShelfError),
}

/// What the guard has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Guarded {
    /// What is to be mended.
    pub findings: Vec<GuardFinding>,
}

/// Something to be mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardFinding {
    /// The rule.
    pub rule: Rule,
    /// The file that it is about, relative to the workspace; of several the first.
    pub path: String,
    /// What is wrong, in the family's own words.
    pub message: String,
}

/// A rule of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Code changed, and no spec did.
    CodeWithoutSpec,
    /// A spec does not say when it was last reviewed, or that is too long ago.
    LastReview,
}

/// Looks at a workspace; `base` is what the change is counted from, where somebody has named it.
///
/// # Errors
/// When there is no git, the base is none, or a spec cannot be read.
pub fn look(shelf: &Shelf, base: Option<&str>, today: Day) -> Result<Guarded, SpecGuardError> {
    let rules = Rules::of(shelf.config());
    let seen = change::since(shelf.root(), base)?;
    let mut findings = rules.without_spec(&seen.changed);
    if rules.max_age.is_some() {
        for path in seen.documents.iter().filter(|path| rules.is_spec(path)) {
            // A spec that was removed is no spec.
            if let Some(text) = shelf.read(path)? {
                findings.extend(rules.review(path, &text, today));
            }
        }
    }
    Ok(Guarded { findings })
}

/// The rules, as a workspace has set them.
struct Rules<'c> {
    config: &'c Config,
    code: Patterns,
    specs: Patterns,
    max_age: Option<Duration>,
}

impl<'c> Rules<'c> {
    fn of(config: &'c Config) -> Self {
        let SpecGuard {
            code,
            specs,
            max_age,
        } = &config.settings.spec_guard;
        let compiled = |lines: &[String]| Patterns::of_lines(lines.iter().map(String::as_bytes));
        Self {
            config,
            code: compiled(code),
            specs: compiled(specs),
            max_age: *max_age,
        }
    }

    /// Findings of the first rule, one for each project: a spec of the workspace covers all, one of a project its own.
    fn without_spec(&self, changed: &[Changed]) -> Vec<GuardFinding> {
        let mut code: BTreeMap<Option<&TaskId>, Vec<&RelPath>> = BTreeMap::new();
        let mut covered: Vec<Option<&TaskId>> = Vec::new();
        for Changed { path, is_gone } in changed {
            let owner = self.config.owner(path).map(|project| &project.task);
            if self.is_spec(path) {
                // A deleted spec covers nothing.
                if *is_gone {
                    continue;
                }
                if says(&self.specs, path) == Some(true) {
                    return Vec::new();
                }
                covered.push(owner);
            } else if self.is_code(path) {
                code.entry(owner).or_default().push(path);
            }
        }
        code.retain(|owner, _| !covered.contains(owner));
        code.values()
            .filter_map(|paths| self.uncovered(paths))
            .collect()
    }

    fn uncovered(&self, paths: &[&RelPath]) -> Option<GuardFinding> {
        let first = paths.first()?;
        let named = paths.iter().take(GUARDED_PATHS_NAMED_MAX);
        let named: Vec<String> = named.map(|path| path.to_text()).collect();
        let more = match paths.len().saturating_sub(named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let specs = self.config.settings.spec_guard.specs.iter();
        let specs = specs.filter(|pattern| !pattern.starts_with('!'));
        let specs: Vec<&str> = specs.map(|pattern| shown(pattern)).collect();
        let specs = match &specs[..] {
            [only] => format!("{only} did not"),
            [one, other] => format!("neither {one} nor {other} did"),
            several => format!("none of {} did", several.join(", ")),
        };
        Some(GuardFinding {
            rule: Rule::CodeWithoutSpec,
            path: first.to_text(),
            message: format!("code changed ({}{more}), but {specs}", named.join(", ")),
        })
    }

    fn is_code(&self, path: &RelPath) -> bool {
        self.says_anywhere(&self.code, path)
    }

    fn is_spec(&self, path: &RelPath) -> bool {
        self.says_anywhere(&self.specs, path)
    }

    /// Whether patterns mean a path, seen from its project or else from the workspace.
    fn says_anywhere(&self, patterns: &Patterns, path: &RelPath) -> bool {
        let inner = self.inner(path);
        let own = inner.and_then(|inner| says(patterns, &inner));
        own.or_else(|| says(patterns, path)).unwrap_or(false)
    }

    /// A path as its project sees it: the one that is declared, else what lies in `packages/`.
    fn inner(&self, path: &RelPath) -> Option<RelPath> {
        let owner = self.config.owner(path);
        if let Some(owner) = owner.filter(|owner| !owner.path.is_root()) {
            return path.below(&owner.path);
        }
        let mut names = path.names();
        let first = names.next().filter(|name| *name == PACKAGES)?;
        let package = RelPath::root().child(first).child(names.next()?);
        path.below(&package).filter(|inner| !inner.is_root())
    }

    /// The finding of the second rule about one spec.
    fn review(&self, path: &RelPath, text: &[u8], today: Day) -> Option<GuardFinding> {
        let most = i64::try_from(self.max_age?.as_secs() / 86_400).unwrap_or(i64::MAX);
        let spec = path.to_text();
        let text = String::from_utf8_lossy(text);
        let line = text.lines().find(|line| line.starts_with(REVIEW));
        let message = match line.map(|line| (line, reviewed(line))) {
            None | Some((_, Reviewed::Unsaid)) => {
                format!("{spec} has no line `{REVIEW} YYYY-MM-DD`")
            }
            Some((line, Reviewed::NoDay)) => format!("{spec}: no such day, `{}`", line.trim_end()),
            Some((line, Reviewed::On(day))) => match today.days_since(day) {
                age if age > most => {
                    format!("{spec} was last reviewed {age} days ago (at most {most})")
                }
                // A day ahead is only a time zone ahead.
                age if age < -1 => {
                    format!(
                        "{spec}: the review lies in the future, `{}`",
                        line.trim_end()
                    )
                }
                _ => return None,
            },
        };
        Some(GuardFinding {
            rule: Rule::LastReview,
            path: spec,
            message,
        })
    }
}

/// A pattern as the family's own script names what it means.
fn shown(pattern: &str) -> &str {
    let plain = pattern.strip_prefix('/').unwrap_or(pattern);
    match plain.strip_suffix("**") {
        Some(directory) if !directory.is_empty() => directory,
        _ => plain,
    }
}

/// Whether patterns mean a path; nothing where none decides.
fn says(patterns: &Patterns, path: &RelPath) -> Option<bool> {
    let path = path.as_path().as_os_str().as_encoded_bytes();
    let matched = patterns.matched_upwards(path, false);
    matched.map(|pattern: &Pattern| !pattern.is_negated())
}

/// What a line says of the last review.
enum Reviewed {
    On(Day),
    NoDay,
    Unsaid,
}

fn reviewed(line: &str) -> Reviewed {
    let said = line.strip_prefix(REVIEW).unwrap_or_default().trim();
    let said = said.strip_prefix(['"', '\'']).unwrap_or(said);
    let said = said.strip_suffix(['"', '\'']).unwrap_or(said);
    match Day::parse(said) {
        Ok(day) => Reviewed::On(day),
        Err(error) if error.is_of_calendar() => Reviewed::NoDay,
        Err(_) => Reviewed::Unsaid,
    }
}

#[cfg(test)]
mod tests;
