//! Declared though ignored: what a stage's `inputs` match is content of that stage, whichever rule hides it.
//!
//! What is hidden and declared stands *aside*: the walk shows it, and no stage reads it but those that declare it. A hidden
//! directory is entered only where a pattern names it, or something in it, without a wildcard: `dist/**` enters a hidden
//! `dist`, and `src/**` no hidden `src/__pycache__`. Inside of one nothing is shown but what is declared, and no directory
//! is entered but those on the way to what a pattern names, and below it. What is an output where a stage is run stays out for
//! that stage; a stage of another pipeline may read it.
//! Nothing here touches the disk.

use super::names;
use super::rules::{PatternError, compile};
use crate::model::pattern::{Pattern, Patterns};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// A list of patterns as it is written, and what it means.
#[derive(Debug)]
pub(super) struct List {
    written: Vec<String>,
    pub(super) patterns: Patterns,
}

impl List {
    /// Compiles a list.
    ///
    /// # Errors
    /// When a pattern is none.
    pub(super) fn compile(written: &[String]) -> Result<Self, PatternError> {
        Ok(Self {
            written: written.to_vec(),
            patterns: compile(written)?,
        })
    }

    fn takes(&self, path: &[u8]) -> bool {
        let decides = self.patterns.matched_upwards(path, false);
        decides.is_some_and(|pattern| !pattern.is_negated())
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for List {}

/// What a stage declares, and what is an output where its pipeline is run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    inputs: Arc<List>,
    outputs: Vec<Arc<List>>,
}

/// What stages declare as their inputs, by the directories of their projects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    by_base: BTreeMap<Box<[u8]>, Vec<Wish>>,
}

impl Declared {
    /// Whether no stage declares anything.
    pub(super) fn is_empty(&self) -> bool {
        self.by_base.is_empty()
    }

    /// Adds what a stage of a project declares, and what are outputs where it is run; unless that is known.
    pub(super) fn add(&mut self, base: &[u8], inputs: Arc<List>, outputs: Vec<Arc<List>>) {
        let wish = Wish { inputs, outputs };
        let held = self.by_base.entry(base.into()).or_default();
        if !held.contains(&wish) {
            held.push(wish);
        }
    }

    /// Whether that would add nothing.
    pub(super) fn holds(&self, base: &[u8], inputs: &Arc<List>, outputs: &[Arc<List>]) -> bool {
        let wishes = self.by_base.get(base).into_iter().flatten();
        let mut same = wishes.filter(|wish| wish.inputs == *inputs);
        same.any(|wish| wish.outputs == outputs)
    }

    /// Whether an entry is shown that a rule hides; `top` is how many bytes of its path name the topmost directory on the
    /// way that is hidden itself, if one is.
    pub(super) fn shows(&self, path: &[u8], is_directory: bool, top: Option<usize>) -> bool {
        if is_directory {
            return self.enters(path, top.unwrap_or(path.len()));
        }
        let above = names::split(path).map_or(&b""[..], |(above, _)| above);
        self.names(path) && top.is_none_or(|top| self.enters(above, top))
    }

    /// Whether a stage declares the file or link at a path.
    fn names(&self, path: &[u8]) -> bool {
        self.around(path).any(|(wishes, below)| {
            let outputs = |wish: &Wish| wish.outputs.iter().any(|list| list.takes(below));
            let mut wishes = wishes.iter().filter(|wish| wish.inputs.takes(below));
            wishes.any(|wish| !outputs(wish))
        })
    }

    /// Whether a hidden directory is entered, and each on the way to it from the topmost that is hidden.
    fn enters(&self, directory: &[u8], top: usize) -> bool {
        let mut hidden = names::upwards(directory).take_while(|at| at.len() >= top);
        let top = directory.get(..top).unwrap_or_default();
        hidden.all(|at| self.leads_into(at, top))
    }

    /// Whether a pattern leads into a directory of which `top` is the topmost hidden part of the way.
    fn leads_into(&self, directory: &[u8], top: &[u8]) -> bool {
        // The directory of a project is named by whatever it declares.
        let below = [directory, b"/"].concat();
        let from = (Bound::Included(&*below), Bound::Unbounded);
        let mut inside = self.by_base.range::<[u8], _>(from);
        let is_inside = |base: &[u8]| base.starts_with(&below);
        if self.by_base.contains_key(directory) || inside.next().is_some_and(|it| is_inside(it.0)) {
            return true;
        }
        self.around(directory).any(|(wishes, below)| {
            // What of the way is hidden, from the project on.
            let visible = directory.len() - below.len();
            let hidden = top.get(visible..).filter(|hidden| !hidden.is_empty());
            let lists = wishes.iter().map(|wish| &wish.inputs);
            let mut patterns = lists.flat_map(|list| list.patterns.positive());
            patterns.any(|pattern| leads_into(pattern, below, hidden))
        })
    }

    /// The projects around a path, and what it is called in each.
    fn around<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'a [Wish], &'a [u8])> {
        let found = names::upwards(path).filter_map(|base| self.by_base.get_key_value(base));
        found.filter_map(|(base, wishes)| Some((&**wishes, names::strip(path, base)?)))
    }
}

/// Whether a pattern leads into a directory of which the part from `top` on is hidden; the whole way where there is none.
fn leads_into(pattern: &Pattern, directory: &[u8], top: Option<&[u8]>) -> bool {
    let is_named = || {
        let hidden = names::upwards(directory);
        let mut hidden = hidden.take_while(|at| top.is_none_or(|top| names::is_within(at, top)));
        top.is_none() || hidden.any(|at| pattern.names(at))
    };
    let goes_on = || pattern.matches_upwards(directory, true) || pattern.may_match_below(directory);
    pattern.names(directory) || (is_named() && goes_on())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(projects: &[(&str, &[&str], &[&str])]) -> Declared {
        let mut declared = Declared::default();
        for (base, inputs, outputs) in projects {
            let list = |patterns: &[&str]| {
                let written: Vec<String> = patterns.iter().map(|one| (*one).to_owned()).collect();
                Arc::new(List::compile(&written).unwrap())
            };
            declared.add(base.as_bytes(), list(inputs), vec![list(outputs)]);
        }
        declared
    }

    #[test]
    fn a_hidden_directory_is_entered_where_a_pattern_names_it() {
        for (pattern, directory, top, enters) in [
            ("dist/**", "dist", "dist", true),
            ("dist/**", "dist/a/b", "dist", true),
            ("dist/**", "dist/cache", "dist/cache", false),
            ("dist/**/*.js", "dist/a", "dist", true),
            ("dist/*.js", "dist", "dist", true),
            ("dist/*.js", "dist/a", "dist", false),
            ("dist/schema.json", "dist", "dist", true),
            ("dist/schema.json", "dist/a", "dist", false),
            ("dist/a/b/schema.json", "dist/a", "dist", true),
            (
                "node_modules/.package-lock.json",
                "node_modules",
                "node_modules",
                true,
            ),
            (
                "node_modules/.package-lock.json",
                "node_modules/m",
                "node_modules",
                false,
            ),
            ("**/*.ts", "dist", "dist", false),
            ("*.json", "dist", "dist", false),
            ("*", "dist", "dist", false),
            ("src/**", "src/__pycache__", "src/__pycache__", false),
            (
                "src/__pycache__/**",
                "src/__pycache__",
                "src/__pycache__",
                true,
            ),
            ("/dist", "dist/a/b", "dist", true),
            ("dist/", "a/dist", "a/dist", true),
            ("dist/", "a/dist/b", "a/dist", true),
            ("dist/", "other/b", "other", false),
            ("dist", "other/dist", "other", false),
            ("!dist/**", "dist", "dist", false),
        ] {
            let declared = declared(&[("", &[pattern], &[])]);
            assert_eq!(
                declared.enters(directory.as_bytes(), top.len()),
                enters,
                "`{pattern}`: {directory}"
            );
        }
    }

    #[test]
    fn a_hidden_project_is_entered_for_whatever_it_declares() {
        let declared = declared(&[
            ("vendor-x", &["*"], &[]),
            ("vendor/x", &["*.ts", "lib/*.c"], &[]),
        ]);
        for (directory, top, enters) in [
            ("vendor", "vendor", true),
            ("vendor/y", "vendor", false),
            ("vendor/x", "vendor", true),
            ("vendor/x/deep", "vendor", true),
            ("vendor/x/lib", "vendor/x/lib", true),
            ("vendor/x/gen", "vendor/x/gen", false),
            ("vendor/xy", "vendor", false),
            ("vend", "vend", false),
        ] {
            assert_eq!(
                declared.enters(directory.as_bytes(), top.len()),
                enters,
                "{directory}"
            );
        }
    }

    #[test]
    fn what_is_declared_is_named_but_for_outputs() {
        let outer: (&str, &[&str], &[&str]) = ("", &["dist/**", "!dist/x", ".env"], &["dist/out/"]);
        let declared = declared(&[outer, ("in", &["*.lock"], &[])]);
        for (path, names) in [
            ("dist/a/b", true),
            ("dist/x", false),
            ("dist/out/f", false),
            ("in/.env", true),
            ("in/a.lock", true),
            ("a.lock", false),
        ] {
            assert_eq!(declared.names(path.as_bytes()), names, "{path}");
        }
    }

    #[test]
    fn each_pipeline_of_a_project_has_outputs_of_its_own() {
        let own: (&str, &[&str], &[&str]) = ("", &["gen/**"], &["gen/a/**"]);
        let other: (&str, &[&str], &[&str]) = ("", &["gen/**", "dist/**"], &["gen/b/**", "dist/b"]);
        for order in [[own, other], [other, own]] {
            let declared = declared(&order);
            for (path, names) in [
                ("gen/a/x", true),
                ("gen/b/x", true),
                ("dist/a", true),
                ("dist/b", false),
            ] {
                assert_eq!(declared.names(path.as_bytes()), names, "{path}: {order:?}");
            }
        }
        let same: (&str, &[&str], &[&str]) = ("", &["gen/**"], &["gen/**"]);
        assert!(!declared(&[same, same]).names(b"gen/a"), "it is no stage's");
        assert!(
            declared(&[same, own]).names(b"gen/b"),
            "another stage reads it"
        );
    }
}
