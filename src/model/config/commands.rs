//! What a configuration may execute, as a digest that `allow` pins and as lines that a person reads; and stage keys.
//!
//! Both digests are over an encoding that cannot be read in two ways: a tag for the version, then fields in a fixed
//! order, each text as its length in bytes (64 bits, little-endian) and its bytes, each list as its count and its items,
//! each choice as one byte. Neither depends on the order of things whose order does not matter, nor on limits (timeout,
//! retries), which decide how long something runs, not what.

mod change;
mod order;

use crate::limits::{COMMAND_SHOWN_CHARS_MAX, COMMANDS_LISTED_MAX};
use crate::model::config::source::steers;
use crate::model::config::{Action, Command, CommandLine, Config, Cwd, Order, Pipeline, Stage};
use crate::model::digest::{CommandSet, Digest, InputDigest, OutputsDigest, StageKey, ToolsDigest};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

const COMMAND_SET_TAG: &str = "orchd command set 1";
const STAGE_KEY_TAG: &str = "orchd stage key 1";
const STAGE_PLACE_TAG: &str = "orchd stage place 1";
const STAGE_OUTPUTS_TAG: &str = "orchd stage key with outputs 1";
const OUTPUTS_BELOW_TAG: &str = "orchd outputs of a pipeline 1";
const SHOWN_TAG: &str = "orchd shown command 1";
/// What stands between a command and what is said of it, for people.
const NOTES: &str = "   (";

/// One thing that a configuration may execute, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommandText {
    /// What executes it: `diagnostics/lint`, or `project packages/web`.
    pub of: String,
    /// What is executed, the command first. Two that differ have different texts: where the words alone do not tell it,
    /// or are cut at `COMMAND_SHOWN_CHARS_MAX`, they end in a digest.
    pub runs: String,
}

/// What is different between two sets of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandDiff {
    /// Only in the new set.
    pub added: Vec<CommandText>,
    /// Only in the old set.
    pub removed: Vec<CommandText>,
    /// In both, with other commands: the new ones.
    pub changed: Vec<CommandText>,
}

impl CommandDiff {
    /// Compares what was allowed with what is there.
    #[must_use]
    pub fn between(allowed: &[CommandText], present: &[CommandText]) -> Self {
        let (old, new) = (by_owner(allowed), by_owner(present));
        let mut diff = Self::default();
        for (of, runs) in &new {
            let before = old.get(of);
            for runs in runs.iter().filter(|it| !has(before, it)) {
                let text = CommandText::new(of, runs);
                let was = before.and_then(|all| all.first());
                let was = was.map(|was| CommandText::new(of, was));
                // Of a new pipeline its stages are told, and of its old ones those that came or went.
                let is_told = match was {
                    Some(was) => order::is_same_order(&was, &text),
                    None => order::is_order(of),
                };
                if is_told {
                    continue;
                }
                match before {
                    Some(_) => diff.changed.push(text),
                    None => diff.added.push(text),
                }
            }
        }
        for (of, runs) in &old {
            let now = new.get(of);
            // Of one that runs something else, what it runs now is told.
            if !order::is_order(of) && now.is_none_or(|now| now.len() < runs.len()) {
                let gone = runs.iter().filter(|it| !has(now, it));
                diff.removed
                    .extend(gone.map(|runs| CommandText::new(of, runs)));
            }
        }
        diff
    }

    /// Whether nothing that is listed differs; the sets may still differ in order or beyond what is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// One line for each difference, `+`, `-` or `~` first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let signed = |sign: char, texts: &[CommandText]| -> Vec<String> {
            let line = |text: &CommandText| format!("{sign} {}: {}", text.of, text.runs);
            texts.iter().map(line).collect()
        };
        let mut lines = signed('+', &self.added);
        lines.extend(signed('-', &self.removed));
        lines.extend(signed('~', &self.changed));
        lines
    }
}

impl CommandText {
    fn new(of: &str, runs: &str) -> Self {
        let (of, runs) = (of.to_owned(), runs.to_owned());
        Self { of, runs }
    }

    /// What a stage runs.
    #[must_use]
    pub fn of_stage(pipeline: &Pipeline, stage: &Stage) -> Self {
        Self {
            of: shown(&format!("{}/{}", pipeline.id, stage.id)),
            runs: runs(stage),
        }
    }

    /// The lines that are asked with what a stage runs.
    pub fn of_toolchain(pipeline: &Pipeline, stage: &Stage) -> impl Iterator<Item = Self> {
        let of = shown(&format!("{}/{} toolchain", pipeline.id, stage.id));
        let lines = stage.command().into_iter();
        let lines = lines.flat_map(|command| command.toolchain.iter());
        lines.map(move |line| Self {
            of: of.clone(),
            runs: shown(line),
        })
    }
}

/// What each runs: several things where stages of one pipeline have one id.
fn by_owner(texts: &[CommandText]) -> BTreeMap<&str, Vec<&str>> {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for text in texts {
        owners.entry(&text.of).or_default().push(&text.runs);
    }
    owners
}

fn has(all: Option<&Vec<&str>>, one: &&&str) -> bool {
    all.is_some_and(|all| all.contains(one))
}

impl Config {
    /// The digest of everything that decides what is executed: which pipeline runs for which directory, the stages of
    /// each pipeline, their order and needs, their commands, directories and environment.
    ///
    /// The order of projects, pipelines and variables does not matter, nor do task ids and titles.
    #[must_use]
    pub fn command_set(&self) -> CommandSet {
        let mut encoder = Encoder::new(COMMAND_SET_TAG);
        let projects: BTreeMap<_, _> = self
            .projects
            .iter()
            .map(|project| (&project.path, &project.pipeline))
            .collect();
        encoder.count(projects.len());
        for (path, pipeline) in projects {
            encoder.bytes(path.as_path().as_os_str().as_encoded_bytes());
            encoder.text(pipeline.as_str());
        }
        let pipelines: BTreeMap<_, _> = self
            .pipelines
            .iter()
            .map(|pipeline| (&pipeline.id, pipeline))
            .collect();
        encoder.count(pipelines.len());
        for pipeline in pipelines.values() {
            encoder.pipeline(pipeline);
        }
        CommandSet(encoder.finish())
    }

    /// What may be executed, for people: each command, each subpipeline, each project, and when each stage runs; at most
    /// `COMMANDS_LISTED_MAX`.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandText> {
        let stages = self.pipelines.iter().flat_map(|pipeline| {
            let stages = pipeline.stages.iter();
            stages.flat_map(|stage| {
                let probes = CommandText::of_toolchain(pipeline, stage);
                std::iter::once(CommandText::of_stage(pipeline, stage)).chain(probes)
            })
        });
        let projects = self.projects.iter().map(|project| CommandText {
            of: shown(&format!("project {}", project.path)),
            runs: shown(&format!("pipeline {}", project.pipeline)),
        });
        let placing = self.pipelines.iter().flat_map(Pipeline::placing);
        let texts = stages.chain(projects).chain(placing);
        let mut texts: Vec<CommandText> = texts.take(COMMANDS_LISTED_MAX).collect();
        texts.sort();
        texts
    }
}

impl Command {
    /// What a result of this command depends on: the content that it reads, what is executed where with which declared
    /// environment, with which tools as far as it declares some, and whether it may fail, because what passed only by that
    /// proves nothing once it may not.
    #[must_use]
    pub fn stage_key(&self, input: InputDigest, tools: Option<ToolsDigest>) -> StageKey {
        let mut encoder = Encoder::new(STAGE_KEY_TAG);
        encoder.bytes(input.0.bytes());
        encoder.command(self);
        encoder.choice(u8::from(self.allow_failure) | u8::from(tools.is_some()) << 1);
        if let Some(tools) = tools {
            encoder.bytes(tools.0.bytes());
        }
        StageKey(encoder.finish())
    }
}

impl StageKey {
    /// This key of content and definition with what the stages that it waits for have left of their declared outputs, in
    /// the order of those stages; the key itself where none of them declares any.
    #[must_use]
    pub fn with_outputs(self, left: &[OutputsDigest]) -> Self {
        if left.is_empty() {
            return self;
        }
        let mut encoder = Encoder::new(STAGE_OUTPUTS_TAG);
        encoder.bytes(self.0.bytes());
        encoder.outputs(left);
        Self(encoder.finish())
    }
}

impl OutputsDigest {
    /// What the stages of a pipeline have left, taken together.
    #[must_use]
    pub fn together(left: &[Self]) -> Self {
        let mut encoder = Encoder::new(OUTPUTS_BELOW_TAG);
        encoder.outputs(left);
        Self(encoder.finish())
    }
}

impl Pipeline {
    /// A stage's key with what it waits for: what ran after others, and used what they left, proves nothing of a stage
    /// that no longer waits for them. In a sequence the order of the keys says it.
    #[must_use]
    pub fn key_in_place(&self, stage: &Stage, key: StageKey) -> StageKey {
        if self.order == Order::Sequence {
            return key;
        }
        let stages = self.stages.iter().enumerate();
        let needed = stages.filter(|(_, other)| stage.needs.contains(&other.id));
        let needed: Vec<usize> = needed.map(|(place, _)| place).collect();
        let mut encoder = Encoder::new(STAGE_PLACE_TAG);
        encoder.bytes(key.0.bytes());
        encoder.count(needed.len());
        needed.into_iter().for_each(|place| encoder.count(place));
        StageKey(encoder.finish())
    }
}

fn runs(stage: &Stage) -> String {
    let command = match &stage.action {
        Action::Subpipeline(child) => return shown(&format!("pipeline {}", child.pipeline)),
        Action::Command(command) => command,
    };
    let line = command.line.text();
    let notes = command.notes();
    let text = match notes.is_empty() {
        true => line.clone(),
        false => format!("{line}{NOTES}{})", notes.join(", ")),
    };
    let (Cwd::Project(cwd) | Cwd::Workspace(cwd)) = &command.cwd;
    let is_word = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    // What could be read as something else than it is.
    let odd = line.contains(NOTES)
        || line.starts_with("pipeline ")
        || cwd.to_string().contains([',', '(', ')', '\\'])
        || !command.env.keys().all(is_word);
    let told = told(&text);
    if told.whole && !odd {
        return told.text;
    }
    let mut encoder = Encoder::new(SHOWN_TAG);
    encoder.command(command);
    digested(&told, encoder.finish())
}

/// Text as [`told`]; with a digest where it is not told whole.
fn shown(text: &str) -> String {
    let told = told(text);
    match told.whole {
        true => told.text,
        false => digested(&told, Digest::of(text.as_bytes())),
    }
}

fn digested(told: &Told, digest: Digest) -> String {
    format!("{}{NOTES}sha256 {digest})", told.text)
}

#[derive(Debug)]
struct Told {
    text: String,
    /// Whether it is the text itself, with nothing cut or replaced.
    whole: bool,
}

/// Text for a terminal: one line, cut, with nothing in it that steers the terminal or hides a part of the line.
fn told(text: &str) -> Told {
    let mut told = Told {
        text: String::new(),
        whole: true,
    };
    for (at, c) in text.chars().enumerate() {
        if at == COMMAND_SHOWN_CHARS_MAX {
            told.text.push('…');
            told.whole = false;
            break;
        }
        match c {
            c if steers(c) => {
                told.text.extend(c.escape_unicode());
                told.whole = false;
            }
            c => told.text.push(c),
        }
    }
    told
}

/// Writes the encoding that the digests are over.
#[derive(Debug)]
struct Encoder(Sha256);

impl Encoder {
    fn new(tag: &str) -> Self {
        let mut encoder = Self(Sha256::new());
        encoder.text(tag);
        encoder
    }

    fn finish(self) -> Digest {
        Digest::finish(self.0)
    }

    fn count(&mut self, count: usize) {
        // A list longer than 64 bits can count does not fit any memory.
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.update(count.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn choice(&mut self, choice: u8) {
        self.0.update([choice]);
    }

    fn outputs(&mut self, left: &[OutputsDigest]) {
        self.count(left.len());
        left.iter().for_each(|left| self.bytes(left.0.bytes()));
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        self.text(pipeline.id.as_str());
        self.choice(match pipeline.order {
            Order::Sequence => 0,
            Order::Graph => 1,
        });
        self.count(pipeline.stages.len());
        for stage in &pipeline.stages {
            self.text(stage.id.as_str());
            self.count(stage.needs.len());
            for need in &stage.needs {
                self.text(need.as_str());
            }
            match &stage.action {
                Action::Command(command) if command.toolchain.is_empty() => {
                    self.choice(0);
                    self.command(command);
                }
                Action::Command(command) => {
                    self.choice(2);
                    self.command(command);
                    self.count(command.toolchain.len());
                    for line in &command.toolchain {
                        self.text(line);
                    }
                }
                Action::Subpipeline(child) => {
                    self.choice(1);
                    self.text(child.pipeline.as_str());
                }
            }
        }
    }

    fn command(&mut self, command: &Command) {
        match &command.line {
            CommandLine::Shell(line) => {
                self.choice(0);
                self.text(line);
            }
            CommandLine::Argv(argv) => {
                self.choice(1);
                self.count(argv.len());
                for argument in argv {
                    self.text(argument);
                }
            }
        }
        let (choice, cwd) = match &command.cwd {
            Cwd::Project(cwd) => (0, cwd),
            Cwd::Workspace(cwd) => (1, cwd),
        };
        self.choice(choice);
        self.bytes(cwd.as_path().as_os_str().as_encoded_bytes());
        self.count(command.env.len());
        for (name, value) in &command.env {
            self.text(name);
            self.text(value);
        }
    }
}

#[cfg(test)]
mod tests;
