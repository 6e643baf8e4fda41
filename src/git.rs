//! Git as a program: asked in one place, in an environment of its own, and quoted where it refuses.
//!
//! What a hook has in its environment ties git to the repository of the hook, so none of it is passed on; nothing is
//! asked of anybody at a terminal. [`revision`] finds out what is to be judged; on a [`leash`] git ends with who asked it.
//! What lies in a working tree is told by `daemon::tree`, which never runs git.

pub mod leash;
pub mod revision;

use crate::git::leash::Leash;
use crate::limits::GIT_WORDS_CHARS_MAX;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variables by which git ties a process to one repository (`git rev-parse --local-env-vars`). A hook has them set, and a
/// git that has them works on the hook's repository, wherever it stands.
pub const REPOSITORY_VARIABLES: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Variables that have git see other files than those that are named.
const SEEING_VARIABLES: [&str; 5] = [
    "GIT_ATTR_SOURCE",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
];

/// Variables by which git tells a hook who commits, and what it was called with. What is green only with them is not green
/// for anybody else.
pub const HOOK_VARIABLES: [&str; 10] = [
    "GIT_AUTHOR_DATE",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_DATE",
    "GIT_EDITOR",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_REFLOG_ACTION",
];

/// Settings under which git checks out every file of a tree, looks itself whether it is as it was left, and runs no hook;
/// the filters of a repository are run, as its user has set them up.
const APART: [&str; 13] = [
    "core.fileMode=true",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.sparseCheckout=false",
    "core.trustctime=true",
    "core.checkStat=default",
    "core.ignoreStat=false",
    "index.sparse=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// Why git did not answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It could not be started.
    #[error("`git` could not be started: it has to be installed and on PATH")]
    Spawn(#[source] io::Error),
    /// It refuses, in its own words.
    #[error("`git {command}` failed: {said}")]
    Refused {
        /// What it was to do.
        command: String,
        /// What it said.
        said: String,
    },
    /// It answered something that is no answer to what was asked.
    #[error("`git {command}` answered what cannot be understood: `{}`", said.escape_debug())]
    Odd {
        /// What it was to do.
        command: String,
        /// What it said.
        said: String,
    },
}

/// Git in one directory.
#[derive(Clone, Debug)]
pub struct Git {
    directory: PathBuf,
    settings: &'static [&'static str],
    environment: Vec<(&'static str, OsString)>,
    leash: Option<Leash>,
}

impl Git {
    /// Git as its user has set it up.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            settings: &[],
            environment: Vec::new(),
            leash: None,
        }
    }

    /// As it has to be for a checkout: it runs no hook and no file system monitor, and leaves out no file.
    #[must_use]
    pub fn apart(self) -> Self {
        Self {
            settings: &APART,
            ..self
        }
    }

    /// With this variable in its environment.
    #[must_use]
    pub fn with(mut self, variable: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((variable, value.into()));
        self
    }

    /// On a leash: where this process is killed, git ends as well.
    #[must_use]
    pub fn leashed(self, leash: Option<Leash>) -> Self {
        Self { leash, ..self }
    }

    /// Has it do something; what it writes is the answer. Blocks as long as it takes.
    ///
    /// # Errors
    /// When it cannot be started or refuses.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where git is started"
    )]
    pub fn ask<T: AsRef<OsStr>>(&self, arguments: &[T]) -> Result<Vec<u8>, GitError> {
        let mut command = match &self.leash {
            None => Command::new("git"),
            Some(leash) => Command::new(leash.program()),
        };
        if self.leash.is_some() {
            command.args(Leash::words());
        }
        for name in REPOSITORY_VARIABLES.iter().chain(&SEEING_VARIABLES) {
            command.env_remove(name);
        }
        for setting in self.settings {
            command.args(["-c", setting]);
        }
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // What is pushed is the object itself.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        let output = command.output().map_err(GitError::Spawn)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = cut(said.trim());
        Err(GitError::Refused {
            command: name_of(arguments),
            said: if said.is_empty() {
                output.status.to_string()
            } else {
                said
            },
        })
    }

    /// Has it do something whose answer is one line.
    ///
    /// # Errors
    /// As [`Git::ask`], and when the answer is no line.
    pub fn line<T: AsRef<OsStr>>(&self, arguments: &[T]) -> Result<Vec<u8>, GitError> {
        let answer = self.ask(arguments)?;
        match answer.strip_suffix(b"\n") {
            Some(line) if !line.contains(&b'\n') => Ok(line.to_vec()),
            _ => Err(odd(arguments, &answer)),
        }
    }
}

/// What git says, without its middle where it is long: what went wrong stands at the beginning or at the end.
fn cut(said: &str) -> String {
    let count = said.chars().count();
    if count <= GIT_WORDS_CHARS_MAX {
        return said.to_owned();
    }
    let head: String = said.chars().take(GIT_WORDS_CHARS_MAX / 2).collect();
    let tail: String = said.chars().skip(count - GIT_WORDS_CHARS_MAX / 2).collect();
    format!("{head} … {tail}")
}

/// An answer that is none.
fn odd<T: AsRef<OsStr>>(arguments: &[T], answer: &[u8]) -> GitError {
    let said = String::from_utf8_lossy(answer);
    GitError::Odd {
        command: name_of(arguments),
        said: said.chars().take(GIT_WORDS_CHARS_MAX).collect(),
    }
}

/// What it was to do: the first word.
fn name_of<T: AsRef<OsStr>>(arguments: &[T]) -> String {
    let first = arguments.first();
    first.map_or_else(String::new, |word| {
        word.as_ref().to_string_lossy().into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_quoted_where_it_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::at(dir.path()).with("GIT_CEILING_DIRECTORIES", dir.path().parent().unwrap());
        let error = git.ask(&["rev-parse", "--show-toplevel"]).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("`git rev-parse` failed: fatal: not a git repository"),
            "{said}"
        );
    }

    #[test]
    fn of_many_words_the_first_and_the_last_are_told() {
        assert_eq!(cut("fatal: no"), "fatal: no");
        let said = format!(
            "error: first\n{}fatal: ü last",
            "error: more ü\n".repeat(1000)
        );
        let cut = cut(&said);
        assert!(cut.starts_with("error: first\n"), "{cut}");
        assert!(cut.ends_with("\nfatal: ü last"), "{cut}");
        assert_eq!(cut.chars().count(), GIT_WORDS_CHARS_MAX + 3);
    }

    #[test]
    fn an_answer_that_is_no_line_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::at(dir.path());
        let line = git.line(&["--version"]).unwrap();
        assert!(line.starts_with(b"git version"), "{line:?}");
        let error = git.line(&["--help"]).unwrap_err();
        assert!(
            error.to_string().contains("cannot be understood"),
            "{error}"
        );
    }

    /// What ties git to another repository is not passed on: this list is git's own.
    #[test]
    fn nothing_that_ties_git_to_a_repository_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let named = Git::at(dir.path())
            .ask(&["rev-parse", "--local-env-vars"])
            .unwrap();
        let named = String::from_utf8(named).unwrap();
        let missing: Vec<&str> = named
            .lines()
            .filter(|name| !REPOSITORY_VARIABLES.contains(name))
            .collect();
        assert_eq!(missing, [""; 0]);
    }
}
