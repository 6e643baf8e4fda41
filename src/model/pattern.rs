//! Patterns in gitignore syntax: what one says of a path, byte by byte as git says it.
//!
//! Neither names nor patterns need be text. A pattern without a `/` but at its end is about names, one with a `/` about
//! paths below the directory that holds it; of several the last that matches decides. What git takes for a pattern that
//! matches nothing (`[` without its `]`) is kept and matches nothing; where a person has to be told of a mistake,
//! [`Pattern::flaw`] says which. That a directory which is ignored hides what is below it is for the caller.

mod glob;

use glob::Glob;
use std::collections::BTreeMap;

pub use glob::Flaw;

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    written: Box<[u8]>,
    line: u32,
    negated: bool,
    only_directories: bool,
    shape: Shape,
}

/// What a pattern is compared with, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// The name is this.
    Name(Box<[u8]>),
    /// The name ends in this.
    Ending(Box<[u8]>),
    /// The name is like this.
    NameLike(Glob),
    /// The path begins with these bytes, and the rest is like this.
    Path(Box<[u8]>, Glob),
}

/// The patterns of one file, or of one list.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    all: Vec<Pattern>,
    /// Where in `all` those are that name a name.
    by_name: BTreeMap<Box<[u8]>, Vec<usize>>,
    /// Where all others are.
    others: Vec<usize>,
}

impl Pattern {
    /// The pattern of one line; `None` where it is empty or a comment.
    #[must_use]
    pub fn of_line(line: &[u8]) -> Option<Self> {
        if line.is_empty() || line.starts_with(b"#") {
            return None;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // git reads lines as strings of C.
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let written = without_blanks(line);
        let (negated, text) = match written.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, written),
        };
        let (only_directories, text) = match text.strip_suffix(b"/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        (!text.is_empty()).then(|| Self {
            written: written.into(),
            line: 0,
            negated,
            only_directories,
            shape: Shape::of(text),
        })
    }

    /// The pattern as it is written; without the blanks after it.
    #[must_use]
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Its line in the file or its place in the list, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line.into()
    }

    /// Whether what it matches is not ignored.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// Why it cannot mean what its writer meant, if that is so.
    #[must_use]
    pub fn flaw(&self) -> Option<&Flaw> {
        match &self.shape {
            Shape::Name(_) | Shape::Ending(_) => None,
            Shape::NameLike(glob) | Shape::Path(_, glob) => glob.flaw(),
        }
    }

    /// Whether it begins with the name of this directory or of something in it, without a wildcard in that: `a/b/*` names
    /// `a` and `a/b`. One without a `/` names what is called so, wherever that is.
    #[must_use]
    pub fn names(&self, directory: &[u8]) -> bool {
        match &self.shape {
            Shape::Name(name) => **name == *name_of(directory),
            Shape::Ending(_) | Shape::NameLike(_) => false,
            Shape::Path(prefix, glob) => {
                leads_to(directory, prefix) || (**prefix == *directory && glob.is_empty())
            }
        }
    }

    /// Whether the way to what it matches leads through this directory by name.
    #[must_use]
    pub fn leads_through(&self, directory: &[u8]) -> bool {
        match &self.shape {
            Shape::Name(_) | Shape::Ending(_) | Shape::NameLike(_) => false,
            Shape::Path(prefix, _) => leads_to(directory, prefix),
        }
    }

    /// Whether it may match anything below this directory, which it need not match itself.
    #[must_use]
    pub fn may_match_below(&self, directory: &[u8]) -> bool {
        match &self.shape {
            Shape::Name(_) | Shape::Ending(_) | Shape::NameLike(_) => true,
            Shape::Path(prefix, glob) => {
                let rest = directory.strip_prefix(&**prefix);
                leads_to(directory, prefix) || rest.is_some_and(|rest| glob.may_match_below(rest))
            }
        }
    }

    /// Whether it matches a path, or a directory above it.
    #[must_use]
    pub fn matches_upwards(&self, path: &[u8], is_directory: bool) -> bool {
        upwards(path, is_directory).any(|(path, is_directory)| self.matches(path, is_directory))
    }

    fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        if self.only_directories && !is_directory {
            return false;
        }
        match &self.shape {
            Shape::Name(name) => **name == *name_of(path),
            Shape::Ending(ending) => name_of(path).ends_with(ending),
            Shape::NameLike(glob) => glob.matches(name_of(path)),
            Shape::Path(prefix, glob) => path
                .strip_prefix(&**prefix)
                .is_some_and(|rest| glob.matches(rest)),
        }
    }
}

impl Shape {
    fn of(text: &[u8]) -> Self {
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        if text.contains(&b'/') {
            let text = text.strip_prefix(b"/").unwrap_or(text);
            let literal = text.iter().position(is_special).unwrap_or(text.len());
            let (prefix, rest) = text.split_at(literal);
            // What follows the literal part is a pattern of its own to git: its `**` stands at a beginning.
            return Self::Path(prefix.into(), Glob::parse(rest));
        }
        if !text.iter().any(is_special) {
            return Self::Name(text.into());
        }
        match text.strip_prefix(b"*") {
            Some(ending) if !ending.iter().any(is_special) => Self::Ending(ending.into()),
            Some(_) | None => Self::NameLike(Glob::parse(text)),
        }
    }
}

impl Patterns {
    /// The patterns of a file.
    #[must_use]
    pub fn of_file(text: &[u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self::of_lines(text.split(|byte| *byte == b'\n'))
    }

    /// The patterns of some lines.
    pub fn of_lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut patterns = Self::default();
        for (line, text) in (1..).zip(lines) {
            if let Some(pattern) = Pattern::of_line(text) {
                patterns.add(Pattern { line, ..pattern });
            }
        }
        patterns.all.shrink_to_fit();
        patterns
    }

    fn add(&mut self, pattern: Pattern) {
        let at = self.all.len();
        if let Shape::Name(name) = &pattern.shape {
            self.by_name.entry(name.clone()).or_default().push(at);
        } else {
            self.others.push(at);
        }
        self.all.push(pattern);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The pattern that decides on a path below the directory that holds them, if one does.
    #[must_use]
    pub fn matched(&self, path: &[u8], is_directory: bool) -> Option<&Pattern> {
        if self.all.is_empty() {
            return None;
        }
        let last_of = |places: &[usize], after: Option<usize>| {
            let places = places.iter().rev().copied();
            let mut places = places.take_while(|at| after.is_none_or(|after| *at > after));
            places.find(|at| {
                let pattern = self.all.get(*at);
                pattern.is_some_and(|pattern| pattern.matches(path, is_directory))
            })
        };
        let named = self.by_name.get(name_of(path));
        let named = named.and_then(|places| last_of(places, None));
        let last = last_of(&self.others, named).or(named)?;
        self.all.get(last)
    }

    /// As [`Patterns::matched`], for the path or else for the nearest directory above it on which one decides.
    #[must_use]
    pub fn matched_upwards(&self, path: &[u8], is_directory: bool) -> Option<&Pattern> {
        let mut upwards = upwards(path, is_directory);
        upwards.find_map(|(path, is_directory)| self.matched(path, is_directory))
    }

    /// Those that say what is meant, not what is not.
    pub fn positive(&self) -> impl Iterator<Item = &Pattern> {
        self.all.iter().filter(|pattern| !pattern.negated)
    }
}

/// A path, and every directory above it.
fn upwards(path: &[u8], is_directory: bool) -> impl Iterator<Item = (&[u8], bool)> {
    std::iter::successors(Some((path, is_directory)), |(path, _)| {
        let slash = path.iter().rposition(|byte| *byte == b'/')?;
        path.get(..slash).map(|above| (above, true))
    })
}

/// Whether a literal beginning of paths lies in a directory.
fn leads_to(directory: &[u8], literal: &[u8]) -> bool {
    let rest = literal.strip_prefix(directory);
    directory.is_empty() || rest.is_some_and(|rest| rest.starts_with(b"/"))
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Without the spaces at the end, unless they are escaped.
fn without_blanks(line: &[u8]) -> &[u8] {
    let mut end = 0;
    let mut bytes = (1..).zip(line);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b' ' => {}
            b'\\' => end = bytes.next().map_or(at, |(at, _)| at),
            _ => end = at,
        }
    }
    line.get(..end).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(patterns: &str, path: &str, is_directory: bool) -> Option<bool> {
        let patterns = Patterns::of_file(patterns.as_bytes());
        let pattern = patterns.matched(path.as_bytes(), is_directory)?;
        Some(!pattern.is_negated())
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let text = "*.o\n!keep.o\n\nkeep.*\n!/d/keep.o\nbuild/\n";
        for (path, is_directory, said) in [
            ("a.o", false, Some(true)),
            ("x/a.o", false, Some(true)),
            ("keep.o", false, Some(true)),
            ("d/keep.o", false, Some(false)),
            ("e/d/keep.o", false, Some(true)),
            ("a.c", false, None),
            ("x/build", true, Some(true)),
            ("x/build", false, None),
        ] {
            assert_eq!(says(text, path, is_directory), said, "{path}");
        }
        let patterns = Patterns::of_file(text.as_bytes());
        let decides = patterns.matched(b"keep.o", false).unwrap();
        assert_eq!((decides.written(), decides.line()), ("keep.*".into(), 4));
        let above = patterns.matched_upwards(b"build/deep/f", false);
        assert_eq!(above.map(Pattern::line), Some(6));
        assert_eq!(patterns.matched_upwards(b"build", false), None);
    }

    #[test]
    fn where_a_pattern_may_match_is_told_by_its_literal_beginning() {
        // Per directory: whether it names it, and whether it may match anything below.
        for (pattern, directory, names, below) in [
            ("dist/**", "dist", true, true),
            ("dist/**", "dist/a/b", false, true),
            ("dist/**", "distant", false, false),
            ("dist/*.js", "dist", true, true),
            ("dist/*.js", "dist/a", false, false),
            ("dist/*/x", "dist/a", false, true),
            ("dist/*/x", "dist/a/b", false, false),
            ("dist/a*/x", "dist/ab", false, true),
            ("dist/a*/x", "dist/b", false, false),
            ("/dist", "dist", true, false),
            ("/dist", "distant", false, false),
            ("/dist", "a/dist", false, false),
            ("a/b/c.json", "a", true, true),
            ("a/b/c.json", "a/b", true, true),
            ("a/b/c.json", "a/c", false, false),
            ("a/b/c.json", "a/b/c.json.d", false, false),
            ("dist/", "dist", true, true),
            ("dist", "a/dist", true, true),
            ("dist", "other", false, true),
            ("*.ts", "dist", false, true),
            ("**/*.ts", "dist", false, true),
            ("src/**", "src/__pycache__", false, true),
            ("a/[", "a/x", false, false),
        ] {
            let parsed = Pattern::of_line(pattern.as_bytes()).unwrap();
            let directory = directory.as_bytes();
            let found = (parsed.names(directory), parsed.may_match_below(directory));
            let shown = directory.escape_ascii();
            assert_eq!(found, (names, below), "`{pattern}`, {shown}");
        }
        let pattern = Pattern::of_line(b"dist/**").unwrap();
        assert_eq!(
            (
                pattern.leads_through(b"dist"),
                pattern.leads_through(b"dist/a")
            ),
            (true, false)
        );
        assert_eq!(
            (pattern.leads_through(b""), pattern.names(b"")),
            (true, true)
        );
        let pattern = Pattern::of_line(b"gen/").unwrap();
        let found = ["a/gen/b/c", "a/gen", "gen"]
            .map(|path| pattern.matches_upwards(path.as_bytes(), false));
        assert_eq!(found, [true, false, false]);
    }

    #[test]
    fn lines_are_read_as_git_reads_them() {
        for (line, written) in [
            ("a ", "a"),
            ("a\\ ", "a\\ "),
            ("a\\  ", "a\\ "),
            ("a\\\\ ", "a\\\\"),
            ("a\t", "a\t"),
            (" a", " a"),
            ("a\r", "a"),
            ("a\r\r", "a\r"),
            ("a \r", "a"),
            ("a\0b", "a"),
            ("a\\", "a\\"),
        ] {
            let pattern = Pattern::of_line(line.as_bytes());
            assert_eq!(pattern.unwrap().written(), written, "{line:?}");
        }
        for line in ["", "#a", " ", "!", "/", "\r", "!/"] {
            assert_eq!(Pattern::of_line(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(says("\u{feff}a", "a", false), Some(true));
        assert_eq!(says("b\n\u{feff}a", "a", false), None);
    }
}
