//! With what stages run: what the lines that they declare as `toolchain` print, which is a part of their keys.
//!
//! A line is asked once for each state of the program that it names: the file that PATH leads to, told apart by what `stat`
//! says. That holds for a program by its name with one option at most, such as `node --version`. Whatever else is said may
//! be about another program, a script loads what nobody knows of, and some programs pick another one by files and variables
//! of their own (rustup's, `go`): these are asked at each look. What is printed counts whatever the exit code, which counts
//! too. A program that says nothing in time has not answered: that is like no answer of another program or another daemon.

use crate::daemon::runner::probe::{Said, ask};
use crate::daemon::shell::Shell;
use crate::engine::Trust;
use crate::limits::TOOLCHAINS_KEPT_MAX;
use crate::model::config::{Command, Config, Cwd, Stage};
use crate::model::digest::{Digest, ToolsDigest};
use crate::model::id::{PipelineId, StageId, WorkspaceId};
use crate::model::path::{RelPath, RootPath};
use crate::model::view::View;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Programs that pick another version of themselves, by what is configured elsewhere.
const PICKERS: [&str; 5] = ["go", "dotnet", "bazel", "java", "javac"];

/// What has been asked, and what was answered.
#[derive(Debug, Default)]
pub(super) struct Toolchains {
    known: BTreeMap<Question, Known>,
    /// What stands for no answer; no other daemon has the same.
    silence: Option<[u8; 16]>,
}

/// One line, where and with which declared variables it is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    line: String,
    cwd: PathBuf,
    env: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Known {
    state: State,
    answer: Digest,
}

/// The files that decide what a line prints, as they are.
type State = Vec<(PathBuf, Stamp)>;

/// Which file it is and when it was last written: device, inode, size, both times of change.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// What a look needs to find out with what stages run.
#[derive(Debug)]
pub(super) struct Probing {
    toolchains: Toolchains,
    config: Arc<Config>,
    root: RootPath,
}

impl Probing {
    /// Adds to views with what their stages run; blocks as long as the programs take that are asked.
    pub(super) fn note(mut self, views: &mut [View]) -> Toolchains {
        for view in views {
            self.toolchains.note(&self.config, &self.root, view);
        }
        self.toolchains
    }
}

impl Shell {
    /// What the next look at a workspace needs for that; none where no stage asks for it, or nothing may be executed.
    pub(super) fn probing(&mut self, id: WorkspaceId) -> Option<Probing> {
        let config = self.sites.get(&id)?.config.clone()?;
        let stages = config.pipelines.iter().flat_map(|it| &it.stages);
        let mut commands = stages.filter_map(Stage::command);
        let is_asked = commands.any(|command| !command.toolchain.is_empty());
        if !is_asked || self.trust_of(id) != Trust::Allowed {
            return None;
        }
        let site = self.sites.get_mut(&id)?;
        Some(Probing {
            // Lent to a look that is under way, it begins anew: that costs work and no more.
            toolchains: std::mem::take(&mut site.toolchains),
            root: site.spots.ground.root.clone(),
            config,
        })
    }
}

impl Toolchains {
    /// Adds to a view with what each of its stages runs, where it declares that.
    pub(super) fn note(&mut self, config: &Config, root: &RootPath, view: &mut View) {
        let place = config.project(&view.subject.task);
        let Some(place) = place.map(|project| project.path.clone()) else {
            return;
        };
        let stages: Vec<_> = view.stages.keys().cloned().collect();
        for key in stages {
            let Some(command) = command_of(config, &key) else {
                continue;
            };
            if !command.toolchain.is_empty() {
                let tools = self.digest(command, root, &place);
                view.tools.insert(key, tools);
            }
        }
        while self.known.len() > TOOLCHAINS_KEPT_MAX {
            self.known.pop_first();
        }
    }

    fn digest(&mut self, command: &Command, root: &RootPath, place: &RelPath) -> ToolsDigest {
        let cwd = match &command.cwd {
            Cwd::Project(below) => root.join(&place.join(below)),
            Cwd::Workspace(below) => root.join(below),
        };
        let mut all = Vec::new();
        for line in &command.toolchain {
            let question = Question {
                line: line.clone(),
                cwd: cwd.clone(),
                env: command.env.clone(),
            };
            all.extend_from_slice(self.answer(question).bytes());
        }
        ToolsDigest(Digest::of(&all))
    }

    fn answer(&mut self, question: Question) -> Digest {
        let state = state_of(&question);
        if let Some(state) = &state
            && let Some(known) = self.known.get(&question)
            && known.state == *state
        {
            return known.answer;
        }
        let env = question.env.iter();
        let env = env.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let said = ask(&question.line, &question.cwd, &env.collect());
        if let Err(why) = &said.end {
            tracing::warn!(line = %question.line, %why, "a toolchain has not answered");
            return self.silent(state.as_ref());
        }
        let answer = digest_of(&said);
        // What has changed while it was asked is asked again.
        if let Some(state) = state.filter(|state| state_of(&question).as_ref() == Some(state)) {
            self.known.insert(question, Known { state, answer });
        }
        answer
    }

    /// What stands for a program that has not answered, in this state.
    fn silent(&mut self, state: Option<&State>) -> Digest {
        let silence = self.silence.get_or_insert_with(|| {
            let mut silence = [0; 16];
            if let Err(error) = getrandom::fill(&mut silence) {
                // It is that of nobody in particular then, and still no answer of a program.
                tracing::warn!(%error, "there is no chance to be had");
            }
            silence
        });
        let state = state.map(|state| format!("{state:?}")).unwrap_or_default();
        Digest::of(&[b"silent", &silence[..], state.as_bytes()].concat())
    }
}

fn command_of<'a>(
    config: &'a Config,
    (pipeline, stage): &(PipelineId, StageId),
) -> Option<&'a Command> {
    let stages = &config.pipeline(pipeline)?.stages;
    stages.iter().find(|it| it.id == *stage)?.command()
}

/// A digest that two answers share only if they are the same: each part stands with its length.
fn digest_of(said: &Said) -> Digest {
    let end = match &said.end {
        Ok(code) => format!("exit {code}"),
        Err(why) => why.clone(),
    };
    let mut text = Vec::new();
    for part in [&said.stdout[..], &said.stderr, end.as_bytes()] {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    }
    Digest::of(&text)
}

/// The files that decide what a line prints; none where nobody can say which they are.
fn state_of(question: &Question) -> Option<State> {
    let words = shlex::split(&question.line)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./+=,:@% ".contains(c);
    let is_option = |word: &String| word.starts_with('-');
    let (program, arguments) = words.split_first()?;
    let is_simple = match arguments {
        [] => true,
        [one] => is_option(one),
        _ => false,
    };
    if !is_simple || program.contains('=') || !question.line.chars().all(is_plain) {
        return None;
    }
    let path = question.env.get("PATH").map(OsString::from);
    let path = path.or_else(|| std::env::var_os("PATH"))?;
    let mut state = State::new();
    let real = look_up(program, &question.cwd, &path, &mut state)?;
    let name = Path::new(program).file_name()?.to_str()?;
    // What it is called by is all that a program has to go by that is several in one.
    let is_itself = names_alike(program, &real) && !PICKERS.contains(&name);
    (is_itself && !is_script(&real)?).then_some(state)
}

/// The file that a program's name leads to. All that is looked at on the way is noted: another one may come before it.
fn look_up(program: &str, cwd: &Path, path: &OsStr, state: &mut State) -> Option<PathBuf> {
    let candidates: Vec<PathBuf> = match program.contains('/') {
        true => vec![cwd.join(program)],
        false => std::env::split_paths(path)
            .map(|dir| cwd.join(dir).join(program))
            .collect(),
    };
    for candidate in candidates {
        let Ok(meta) = fs::metadata(&candidate) else {
            continue;
        };
        if !meta.is_file() || meta.mode() & 0o111 == 0 {
            continue;
        }
        let real = fs::canonicalize(&candidate).ok()?;
        // A program with other names may be several in one.
        if meta.nlink() > 1 {
            return None;
        }
        state.push((candidate, stamp(&meta)));
        return Some(real);
    }
    None
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    let written = (meta.mtime(), meta.mtime_nsec());
    let changed = (meta.ctime(), meta.ctime_nsec());
    (meta.dev(), meta.ino(), meta.size(), written, changed)
}

/// Whether a file goes by the name that it was called by, with a version behind it at most: `python3.11` for `python`.
fn names_alike(program: &str, real: &Path) -> bool {
    let called = Path::new(program).file_name().unwrap_or_default();
    let rest = real.file_name().unwrap_or_default().as_bytes();
    let rest = rest.strip_prefix(called.as_bytes());
    rest.is_some_and(|rest| {
        rest.iter()
            .all(|byte| byte.is_ascii_digit() || b".-".contains(byte))
    })
}

/// Whether something else interprets a file; nothing where it cannot be read.
fn is_script(real: &Path) -> Option<bool> {
    let mut text = Vec::new();
    let file = File::open(real).ok()?;
    file.take(2).read_to_end(&mut text).ok()?;
    Some(text == b"#!")
}

#[cfg(test)]
mod tests;
