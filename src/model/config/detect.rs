//! Makes a `diagnostics` pipeline of what a directory holds, for workspaces whose files define none.
//!
//! Pure: a [`Listing`] goes in, stages come out, and the same listing always gives the same stages, because their
//! commands are what `allow` pins. What is installed on this machine is therefore not asked. Stage ids are those that
//! the published orchestrator uses (`build`, `lint`, `test`, `spec-guard`); the first kind of project found has them to
//! itself, a second one gets its name added (`test-cargo`), and a Makefile adds only what nobody else offers.

mod kinds;

use crate::limits::{GRACE_DEFAULT, STAGE_ID_BYTES_MAX};
use crate::model::config::{
    Action, Command, CommandLine, Cwd, Order, Pipeline, PipelineSource, PlanHints, Stage,
};
use crate::model::id::{PipelineId, StageId};
use crate::model::path::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A found stage that takes longer hangs: nobody has said how long it may take.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
const _: () = assert!(STAGE_ID_BYTES_MAX >= 32);

/// What a directory holds, as far as it tells how a project is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Which of [`WANTED`] exist.
    pub files: BTreeSet<String>,
    /// The text of those of [`READ`] that could be read.
    pub texts: BTreeMap<String, String>,
}

/// The paths whose existence tells something, relative to the directory.
pub const WANTED: [&str; 23] = [
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
    "Cargo.toml",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "ruff.toml",
    "mypy.ini",
    "pyrightconfig.json",
    "pytest.ini",
    "tests",
    "go.mod",
    "Makefile",
    "makefile",
    "scripts/spec-guard.sh",
    "tasks/specs",
    "tasks/index.json",
];

/// The files whose text tells something.
pub const READ: [&str; 4] = ["package.json", "pyproject.toml", "Makefile", "makefile"];

impl Listing {
    fn has(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }
}

/// What a directory turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// The pipeline; without stages where nothing was found.
    pub pipeline: Pipeline,
    /// Directories that its tools fill and nobody edits, in gitignore syntax.
    pub ignore: Vec<String>,
    /// What was found, one line each: the file and the stages made of it.
    pub findings: Vec<Finding>,
}

impl Detected {
    /// The first file whose text is broken, and what is wrong with it.
    #[must_use]
    pub fn broken(&self) -> Option<(&'static str, &str)> {
        let mut findings = self.findings.iter();
        findings.find_map(|finding| Some((finding.file, finding.fault.as_deref()?)))
    }
}

/// A file that tells how a project is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: &'static str,
    /// What reads it, such as a package manager.
    pub tool: String,
    /// The stages made of it; none where it offers nothing to run.
    pub stages: Vec<StageId>,
    /// What it offers that another file offers already, so that nothing is made of it.
    pub left: Vec<&'static str>,
    /// Why it cannot be read, with the place: what it offers is not known.
    pub fault: Option<String>,
}

/// A kind of project that was found.
#[derive(Debug, Default)]
struct Kind {
    file: &'static str,
    /// What is added to the ids of its stages where they are taken; also what reads the file.
    tool: &'static str,
    /// Ids and commands, in the order in which they run.
    commands: Vec<(&'static str, String)>,
    /// What its stages write.
    outputs: &'static [&'static str],
    /// Directories that its tools fill.
    ignore: &'static [&'static str],
    /// Whether it only fills gaps.
    fallback: bool,
    /// Why its text is not what it should be.
    fault: Option<String>,
}

/// Looks at a listing.
#[must_use]
pub fn detect(listing: &Listing) -> Detected {
    let (mut stages, mut findings, mut ignore) = (Vec::<Stage>::new(), Vec::new(), Vec::new());
    for kind in kinds::found(listing) {
        let (mut made, mut left) = (Vec::new(), Vec::new());
        for (name, command) in &kind.commands {
            let is_taken = stages.iter().any(|stage| stage.id.as_str() == *name);
            if is_taken && kind.fallback {
                left.push(*name);
                continue;
            }
            let name = if is_taken {
                format!("{name}-{}", kind.tool)
            } else {
                (*name).to_owned()
            };
            if let Ok(id) = StageId::parse(&name) {
                made.push(id.clone());
                stages.push(stage(id, command, &kind));
            }
        }
        ignore.extend(kind.ignore.iter().map(|pattern| (*pattern).to_owned()));
        findings.push(Finding {
            file: kind.file,
            tool: kind.tool.to_owned(),
            stages: made,
            left,
            fault: kind.fault,
        });
    }
    // What is cheap and what others build on comes first, whatever file it was found in.
    stages.sort_by_key(|stage| rank(stage.id.as_str()));
    Detected {
        pipeline: pipeline(stages),
        ignore,
        findings,
    }
}

fn rank(id: &str) -> usize {
    let order = ["build", "lint", "typecheck", "test", "spec-guard"];
    let is_of = |name: &str| {
        let rest = id.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let place = order.iter().position(|name| is_of(name));
    place.unwrap_or(order.len())
}

#[expect(
    clippy::expect_used,
    reason = "a constant that every test of this module parses"
)]
fn pipeline(stages: Vec<Stage>) -> Pipeline {
    Pipeline {
        id: PipelineId::parse("diagnostics").expect("`diagnostics` is a pipeline id"),
        title: "Diagnostics".to_owned(),
        description: None,
        source: PipelineSource::Default,
        stages,
        order: Order::Sequence,
        fail_fast: false,
        guardrails_required: None,
    }
}

fn stage(id: StageId, command: &str, kind: &Kind) -> Stage {
    // Test runners that watch by default stop doing so under CI.
    let is_test = kind.file == "package.json" && id.as_str().starts_with("test");
    let env = is_test.then(|| ("CI".to_owned(), "1".to_owned()));
    Stage {
        id,
        title: command.to_owned(),
        needs: Vec::new(),
        action: Action::Command(Command {
            line: CommandLine::Shell(command.to_owned()),
            cwd: Cwd::Project(RelPath::root()),
            env: env.into_iter().collect(),
            inputs: None,
            outputs: kind.outputs.iter().map(|path| (*path).to_owned()).collect(),
            toolchain: Vec::new(),
            timeout: Some(TIMEOUT),
            grace: GRACE_DEFAULT,
            retries: 0,
            allow_failure: false,
            mutex: None,
            summary_hint: None,
        }),
        plan: PlanHints {
            env: is_test.then(|| vec!["CI".to_owned()]),
            ..PlanHints::default()
        },
    }
}

#[cfg(test)]
mod tests;
