//! What can be wrong with a configuration, and how it is told: the place, the fault, what is allowed, what was meant.
//!
//! A parser collects faults instead of stopping at the first; [`Problems`] is all of them in the order of the files,
//! cut at `PROBLEMS_MAX`. Nothing here decides whether something is a fault.

use crate::limits::PROBLEMS_MAX;
use crate::model::config::duration::DurationError;
use crate::model::config::source::{Place, Spot, steers};
use crate::model::id::IdError;
use crate::model::path::PathError;
use crate::model::time::DayError;
use std::collections::BTreeSet;
use std::fmt;

/// Names listed in a message before it says how many more there are.
const NAMES_SHOWN_MAX: usize = 20;

/// Characters of a message.
const MESSAGE_CHARS_MAX: usize = 600;
/// Names that are compared with what was written, and characters of it: the comparison is quadratic.
const NAMES_COMPARED_MAX: usize = 200;
const NAME_COMPARED_CHARS_MAX: usize = 64;

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file is no TOML or no JSON.
    #[error("{said}")]
    Syntax {
        /// What the parser said.
        said: String,
    },
    /// A key that the table does not have.
    #[error("unknown key `{}` in {table}", .key.escape_debug())]
    UnknownKey {
        /// The key.
        key: String,
        /// The table.
        table: &'static str,
        /// Its keys.
        allowed: &'static [&'static str],
    },
    /// A key that has to be there.
    #[error("{table} has no `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The table.
        table: &'static str,
    },
    /// A value of another type.
    #[error("`{key}` has to be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A word that is none of the choices.
    #[error("`{key}` may not be \"{}\"", .value.escape_debug())]
    NotAChoice {
        /// The key.
        key: &'static str,
        /// The word.
        value: String,
        /// The choices.
        allowed: Vec<&'static str>,
    },
    /// A number outside its bounds.
    #[error("`{key}` is {value}: it has to be from {min} to {max}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The number as it is written.
        value: String,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Text that is no duration, or one outside its bounds.
    #[error("`{key}` is no duration that can be used")]
    Duration {
        /// The key.
        key: &'static str,
        /// Why.
        source: DurationError,
    },
    /// Text that is no day.
    #[error("`{key}`: {source}")]
    Day {
        /// The key.
        key: &'static str,
        /// Why.
        source: DayError,
    },
    /// Text that cannot be an id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Text that cannot be a path here.
    #[error("`{key}`: {source}")]
    Path {
        /// The key.
        key: &'static str,
        /// Why.
        source: PathError,
    },
    /// A directory that is not in the workspace.
    #[error("`cwd` is `{cwd}`, which is outside of the workspace `{root}`")]
    OutsideRoot {
        /// The directory.
        cwd: String,
        /// The workspace.
        root: String,
    },
    /// Text that holds a NUL, which ends an argument for the kernel.
    #[error("`{key}` holds a NUL character")]
    Nul {
        /// The key.
        key: &'static str,
    },
    /// Text that is too long.
    #[error("`{key}` has {bytes} bytes: at most {max} are allowed")]
    TooLong {
        /// The key.
        key: &'static str,
        /// Its length.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// More of something than is allowed.
    #[error("{count} {what}: at most {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The most.
        max: usize,
    },
    /// Text that may not be empty.
    #[error("`{key}` is empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// A stage that no content decides.
    #[error("`inputs` is empty: no change would ever run the stage again")]
    NoInputs,
    /// A name that cannot be an environment variable.
    #[error("`{}` cannot be the name of an environment variable", .name.escape_debug())]
    VariableName {
        /// The name.
        name: String,
    },
    /// A line that is no gitignore pattern.
    #[error("`{key}`: `{}` is no gitignore pattern: {said}", .pattern.escape_debug())]
    Pattern {
        /// The key.
        key: &'static str,
        /// The pattern.
        pattern: String,
        /// Why.
        said: String,
    },
    /// The settle times are the wrong way round.
    #[error("`settle_ms` is {settle_ms}, more than `settle_max_ms`, which is {settle_max_ms}")]
    SettleOrder {
        /// The one.
        settle_ms: u128,
        /// The other.
        settle_max_ms: u128,
    },
    /// Two of something that has to be unique.
    #[error("{what} `{}` is already taken in line {line}", .name.escape_debug())]
    Duplicate {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
        /// Where the first one stands.
        line: usize,
    },
    /// Two stages of one id.
    #[error("pipeline `{pipeline}` has two stages `{}`", .stage.escape_debug())]
    DuplicateStage {
        /// The id.
        stage: String,
        /// The pipeline.
        pipeline: String,
    },
    /// A stage that does nothing.
    #[error("the stage has neither `command` nor `pipeline`")]
    NoAction,
    /// A stage that does two things.
    #[error("the stage has both `command` and `pipeline`")]
    TwoActions,
    /// A key that belongs to the other kind of stage.
    #[error("`{key}` does not belong to a stage that runs a {kind}")]
    NotOfThisKind {
        /// The key.
        key: &'static str,
        /// What the stage runs.
        kind: &'static str,
    },
    /// A name of something that is not there.
    #[error("no {what} is called `{}`", .name.escape_debug())]
    Unknown {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Names that lead back to themselves.
    #[error("{what} go in a circle: {}", .circle.join(" → "))]
    Circle {
        /// Of what.
        what: &'static str,
        /// The circle; the first is the last.
        circle: Vec<String>,
    },
    /// Subpipelines below subpipelines.
    #[error("subpipelines nest {depth} deep below `{pipeline}`: at most {max} are allowed")]
    TooDeep {
        /// The outermost.
        pipeline: String,
        /// How deep.
        depth: usize,
        /// The most.
        max: usize,
    },
    /// A stage set in a stage set.
    #[error("stage set `{}` holds another stage set", .name.escape_debug())]
    NestedStageSet {
        /// The outer one.
        name: String,
    },
    /// A project that names no pipeline, and no default that exists.
    #[error("project `{task}` names no pipeline, and none is called `diagnostics`")]
    NoPipelineNamed {
        /// The project.
        task: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A pipeline that would prove nothing.
    #[error("pipeline `{pipeline}` has no stages")]
    NoStages {
        /// The pipeline.
        pipeline: String,
    },
    /// What is found is broken.
    #[error("`{file}` cannot be parsed: {said}")]
    Broken {
        /// The file.
        file: &'static str,
        /// What the parser said.
        said: String,
    },
    /// Nothing is defined and nothing was found.
    #[error("there is nothing to run")]
    NothingToRun,
}

impl Fault {
    /// What is allowed, what was meant, what to do.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownKey { key, allowed, .. } => Some(suggest(key, "allowed", allowed)),
            Self::NotAChoice { value, allowed, .. } => Some(suggest(value, "allowed", allowed)),
            Self::Unknown { name, what, known } => Some(match (known.is_empty(), *what) {
                (true, "pipeline") => "none is defined: add a [[pipeline]] with this `id`".to_owned(),
                (true, _) => "there is none".to_owned(),
                (false, _) => suggest(name, "known", known),
            }),
            Self::Duration { source, .. } => Some(source.to_string()),
            Self::Duplicate { what: "task id", .. } => Some(
                "give each its own; `Web` and `web` are one directory on some file systems".to_owned(),
            ),
            Self::Duplicate { .. } | Self::DuplicateStage { .. } => {
                Some("give each its own".to_owned())
            }
            Self::NoInputs => Some(
                "name what it reads, or leave `inputs` out: then it is every file that is not ignored"
                    .to_owned(),
            ),
            Self::NoAction => Some("add `command = \"…\"` or `pipeline = \"…\"`".to_owned()),
            Self::TwoActions => Some("keep one; make two stages of two actions".to_owned()),
            Self::OutsideRoot { .. } => Some("give it relative to the workspace".to_owned()),
            Self::NestedStageSet { .. } => Some("put its stages there instead".to_owned()),
            Self::Pattern { .. } => Some(
                "patterns are relative to the project, as in a .gitignore: `src/**`, `*.lock`, `/dist/`"
                    .to_owned(),
            ),
            Self::NoPipelineNamed { known, .. } => Some(format!(
                "name one: `default_pipeline` in [workspace] or `pipeline` in a [[project]] of `orchd.toml`, or \
                 `defaultPipeline` in `codex.orchestrator.json`; known: {}",
                listed(known)
            )),
            Self::NoStages { .. } => Some(
                "its run would be green and prove nothing: give it a stage with a command, or take it out".to_owned(),
            ),
            Self::Broken { .. } => Some(
                "what it offers to run is not known; correct it, or write a [[pipeline]] into `orchd.toml`"
                    .to_owned(),
            ),
            Self::NothingToRun => Some(
                "no file defines a pipeline, and neither package.json scripts (build, lint, typecheck, test), Cargo.toml, \
                 pyproject.toml, go.mod, a Makefile with such targets nor scripts/spec-guard.sh was found; \
                 write a [[pipeline]] into `orchd.toml`, or let `orchctl init` begin one"
                    .to_owned(),
            ),
            Self::Syntax { .. }
            | Self::MissingKey { .. }
            | Self::WrongType { .. }
            | Self::OutOfRange { .. }
            | Self::Id(_)
            | Self::Day { .. }
            | Self::Path { .. }
            | Self::Nul { .. }
            | Self::TooLong { .. }
            | Self::TooMany { .. }
            | Self::Empty { .. }
            | Self::VariableName { .. }
            | Self::SettleOrder { .. }
            | Self::NotOfThisKind { .. }
            | Self::Circle { .. }
            | Self::TooDeep { .. } => None,
        }
    }
}

/// `did you mean …?` where one of `names` is near, and the names.
fn suggest<S: AsRef<str>>(written: &str, word: &str, names: &[S]) -> String {
    let meant = nearest(written, names.iter().map(AsRef::as_ref));
    let meant = meant.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    format!("{meant}{word}: {}", listed(names))
}

fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names
        .iter()
        .map(AsRef::as_ref)
        .take(NAMES_SHOWN_MAX)
        .collect();
    let more = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

/// A message with whatever a file put into it cut to a length that can be read, and unable to steer a terminal.
fn tamed(message: &str) -> String {
    let mut tamed = String::new();
    for (at, c) in message.chars().enumerate() {
        if at == MESSAGE_CHARS_MAX {
            tamed.push('…');
            break;
        }
        match c {
            c if steers(c) => tamed.extend(c.escape_unicode()),
            c => tamed.push(c),
        }
    }
    tamed
}

/// The name that `written` is most likely a slip of; `None` when none is near.
pub fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let wanted = plain(written);
    if wanted.chars().count() > NAME_COMPARED_CHARS_MAX {
        return None;
    }
    let slips_max = (wanted.chars().count() / 3).clamp(1, 4);
    let distance = |name: &str| strsim::damerau_levenshtein(&wanted, &plain(name));
    // Whoever stopped in the middle of a word means that word.
    let begins = |name: &str| wanted.chars().count() > 1 && plain(name).starts_with(&wanted);
    names
        .filter(|name| name.chars().count() <= NAME_COMPARED_CHARS_MAX)
        .take(NAMES_COMPARED_MAX)
        .map(|name| (if begins(name) { 1 } else { distance(name) }, name))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// A fault and where it stands.
#[derive(Debug)]
pub struct Problem {
    /// Where; `None` for what is missing altogether.
    pub place: Option<Place>,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}:{}: ", place.file, place.line, place.column)?;
        }
        f.write_str(&tamed(&self.fault.to_string()))?;
        if let Some(place) = &self.place {
            write!(f, "\n{place}")?;
        }
        match self.fault.help() {
            Some(help) => write!(f, "\n  help: {}", tamed(&help)),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration; at least one thing.
#[derive(Debug, thiserror::Error)]
pub struct Problems {
    /// The first `PROBLEMS_MAX`, in the order of the files.
    pub shown: Vec<Problem>,
    /// How many there are beyond.
    pub more: usize,
}

impl Problems {
    /// Puts `faults` in order and finds their places; there are `beyond` more, and `text` gives the text of a spot's
    /// file.
    #[must_use]
    pub fn new<'t>(
        mut faults: Vec<(Option<Spot>, Fault)>,
        beyond: usize,
        text: impl Fn(Spot) -> &'t str,
    ) -> Self {
        // Stable, so that faults of one spot stay in the order in which they were found.
        faults.sort_by_key(|(spot, _)| *spot);
        // A fault in a stage set is found in every pipeline that names the set.
        let mut told = BTreeSet::new();
        faults.retain(|(spot, fault)| told.insert((*spot, fault.to_string())));
        let more = beyond + faults.len().saturating_sub(PROBLEMS_MAX);
        let shown = faults
            .into_iter()
            .take(PROBLEMS_MAX)
            .map(|(spot, fault)| Problem {
                place: spot.map(|spot| Place::of(spot, text(spot))),
                fault,
            });
        Self {
            shown: shown.collect(),
            more,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.shown.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["settle_ms", "settle_max_ms", "ignore"];
        assert_eq!(nearest("settle_mss", names.into_iter()), Some("settle_ms"));
        assert_eq!(nearest("Settle-MS", names.into_iter()), Some("settle_ms"));
        assert_eq!(nearest("ingore", names.into_iter()), Some("ignore"));
        assert_eq!(nearest("colour", names.into_iter()), None);
        assert_eq!(nearest("ign", names.into_iter()), Some("ignore"));
        assert_eq!(
            nearest("que", ["queue", "restart"].into_iter()),
            Some("queue")
        );
        assert_eq!(nearest("", names.into_iter()), None);
    }
}
