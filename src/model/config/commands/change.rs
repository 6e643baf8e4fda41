//! What is different between a command and what was allowed of it before, for a person to read.
//!
//! Of what was allowed only its text is kept, and a text that tells everything can be read back: what it says of
//! directory and variables is compared one by one. One that ends in a digest does not tell everything, and is shown
//! whole instead; nothing is guessed.

use super::{CommandText, NOTES};
use crate::model::config::source::steers;
use crate::model::config::{Command, CommandLine, Cwd};
use std::collections::BTreeMap;

const WITHOUT_SHELL: &str = "without a shell";

/// What a text says of how a command runs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told<'a> {
    line: &'a str,
    without_shell: bool,
    place: Option<&'a str>,
    env: BTreeMap<String, String>,
}

impl Command {
    /// How it runs beside its line: without a shell, elsewhere, with which variables.
    #[must_use]
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes_at(self.place())
    }

    fn notes_at(&self, place: Option<String>) -> Vec<String> {
        let mut notes = Vec::new();
        if matches!(self.line, CommandLine::Argv(_)) {
            notes.push(WITHOUT_SHELL.to_owned());
        }
        notes.extend(place);
        let env = self.env.iter();
        let env: Vec<String> = env.map(|(name, value)| variable(name, value)).collect();
        if !env.is_empty() {
            notes.push(format!("with {}", env.join(" ")));
        }
        notes
    }

    /// The same for a terminal. The root of the workspace, where all stages of a published configuration run that do
    /// not say otherwise, goes without saying.
    #[must_use]
    pub fn shown_notes(&self) -> Vec<String> {
        let is_root = matches!(&self.cwd, Cwd::Workspace(cwd) if cwd.is_root());
        let place = self.place().filter(|_| !is_root);
        let notes = self.notes_at(place);
        notes.iter().map(|note| visible(note)).collect()
    }

    /// What is different from what was allowed before, a line each for a terminal.
    #[must_use]
    pub fn changes(&self, before: &CommandText) -> Vec<String> {
        let Some(told) = Told::read(&before.runs) else {
            return vec![format!("was: {}", before.runs)];
        };
        let mut changes = Vec::new();
        if told.line != self.line.text() {
            changes.push(format!("was: {}", told.line));
        }
        match (told.without_shell, &self.line) {
            (true, CommandLine::Shell(_)) => changes.push("in a shell, was without one".to_owned()),
            (false, CommandLine::Argv(_)) => changes.push("without a shell, was in one".to_owned()),
            (true, CommandLine::Argv(_)) | (false, CommandLine::Shell(_)) => {}
        }
        let place = self.place();
        if told.place != place.as_deref() {
            let own = "in its project";
            let (was, is) = (told.place.unwrap_or(own), place.as_deref().unwrap_or(own));
            changes.push(format!("{is}, was {was}"));
        }
        changes.extend(self.changes_of_env(&told.env));
        changes.iter().map(|change| visible(change)).collect()
    }

    fn changes_of_env(&self, before: &BTreeMap<String, String>) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, value) in &self.env {
            match before.get(name) {
                Some(was) if was == value => {}
                Some(was) => changes.push(format!("{name}: {} -> {}", quoted(was), quoted(value))),
                None => changes.push(format!("{} is new", variable(name, value))),
            }
        }
        let gone = before
            .iter()
            .filter(|(name, _)| !self.env.contains_key(*name));
        changes.extend(gone.map(|(name, was)| format!("{} is gone", variable(name, was))));
        changes
    }

    /// Where it runs, if not in the directory of its project.
    fn place(&self) -> Option<String> {
        match &self.cwd {
            Cwd::Project(cwd) if cwd.is_root() => None,
            Cwd::Project(cwd) => Some(format!("in {cwd} of the project")),
            Cwd::Workspace(cwd) => Some(format!("in {cwd} of the workspace")),
        }
    }
}

impl<'a> Told<'a> {
    /// Reads what a command's text says; nothing where it does not say everything, or is no command's.
    fn read(runs: &'a str) -> Option<Self> {
        if runs.starts_with("pipeline ") || runs.contains("   (sha256 ") {
            return None;
        }
        let Some((line, notes)) = runs.split_once(NOTES) else {
            return Some(Self {
                line: runs,
                ..Self::default()
            });
        };
        let mut told = Self {
            line,
            ..Self::default()
        };
        let mut rest = notes.strip_suffix(')')?;
        if let Some(behind) = rest.strip_prefix(WITHOUT_SHELL) {
            told.without_shell = true;
            rest = behind.strip_prefix(", ").unwrap_or(behind);
        }
        // A directory that holds what stands between notes is told with a digest.
        if rest.starts_with("in ") {
            let (place, behind) = rest.split_once(", ").unwrap_or((rest, ""));
            told.place = Some(place);
            rest = behind;
        }
        if let Some(env) = rest.strip_prefix("with ") {
            for word in shlex::split(env)? {
                let (name, value) = word.split_once('=')?;
                told.env.insert(name.to_owned(), value.to_owned());
            }
            rest = "";
        }
        rest.is_empty().then_some(told)
    }
}

/// Text in which nothing is hidden and nothing steers a terminal.
fn visible(text: &str) -> String {
    let mut told = String::new();
    for c in text.chars() {
        match c {
            c if steers(c) => told.extend(c.escape_unicode()),
            c => told.push(c),
        }
    }
    told
}

fn variable(name: &str, value: &str) -> String {
    format!("{name}={}", quoted(value))
}

fn quoted(value: &str) -> String {
    shlex::try_quote(value).map_or_else(|_| value.to_owned(), |quoted| quoted.into_owned())
}
