//! Which stages are the guardrails of a project, whether they can fail at all, and how they went in a run.
//!
//! A guardrail is known by the id of its stage, also in the pipelines that are run as child runs. One that nobody has
//! declared, and that is no stage's id, is known by the word in a stage's command: `npm run lint && npm test`.

use crate::documents::records::Record;
use crate::documents::weakness::{self, Token};
use crate::limits::documents::GUARDRAIL_DEPTH_MAX;
use crate::model::config::{Action, Config, Pipeline, Project, Stage};
use crate::model::evidence::{Command, Manifest, StageKind, is_guardrail, says_skipped};
use crate::model::id::{PipelineId, RunId};
use crate::model::run::{RunStatus, StageStatus};
use std::collections::BTreeMap;

/// What is counted where a project requires nothing by name.
pub const USUAL: [&str; 4] = ["build", "lint", "test", "spec-guard"];

/// Flags under which a command still fails where it has something to say.
const STILL_CHECKS: [&str; 3] = ["--if-present", "--passWithNoTests", "--pass-with-no-tests"];

/// A guardrail of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guardrail {
    /// Its name.
    pub id: String,
    /// Whether the project requires it by name. What is not required by name is required as far as it is there.
    pub declared: bool,
}

/// Whether a project's pipeline has a guardrail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// No stage is it.
    Missing,
    /// A stage is it, and whatever it says decides nothing.
    Disabled,
    /// A stage is it.
    Present,
}

/// How a guardrail went in a run, from the worst up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Went {
    /// It failed.
    Failed,
    /// It was skipped, failed without any consequence, or could not have failed.
    Skipped,
    /// It has not ended.
    Unended,
    /// It exited 0, and whether it found anything cannot be read any more.
    Untold,
    /// It exited 0 and printed findings.
    Findings,
    /// It succeeded.
    Green,
}

/// Whether a spec guard that exited 0 has printed findings; nothing where that is not known any more.
pub type Printed<'a> = dyn FnMut(&Record, &Command) -> Option<bool> + 'a;

/// The guardrails of a project: what it requires, else the usual ones.
#[must_use]
pub fn of_project(project: &Project) -> Vec<Guardrail> {
    let declared = !project.required.is_empty();
    let one = |id: &str| Guardrail {
        id: id.to_owned(),
        declared,
    };
    if declared {
        return project.required.iter().map(|id| one(id.as_str())).collect();
    }
    USUAL.iter().map(|id| one(id)).collect()
}

impl Guardrail {
    /// Whether the pipeline of a project has it.
    #[must_use]
    pub fn presence(&self, config: &Config, pipeline: &PipelineId) -> Presence {
        let Some(pipeline) = config.pipeline(pipeline) else {
            return Presence::Missing;
        };
        let named = |stage: &Stage| stage.id.as_str() == self.id;
        let mut found = Vec::new();
        gather(
            config,
            pipeline,
            &named,
            GUARDRAIL_DEPTH_MAX,
            false,
            &mut found,
        );
        if found.is_empty() && !self.declared {
            let spoken = |stage: &Stage| {
                let command = stage.command();
                command.is_some_and(|command| self.is_spoken(&command.line.text()))
            };
            gather(
                config,
                pipeline,
                &spoken,
                GUARDRAIL_DEPTH_MAX,
                false,
                &mut found,
            );
        }
        // All of several have to succeed, so that one that counts is enough.
        found.into_iter().max().unwrap_or(Presence::Missing)
    }

    /// How it went in a run; nothing where the run does not have it. `runs` are the runs that may be children of it.
    pub fn went(
        &self,
        record: &Record,
        runs: &BTreeMap<&RunId, &Record>,
        printed: &mut Printed<'_>,
    ) -> Option<Went> {
        let named = |stage: &Command| stage.id.as_str() == self.id;
        let spoken = |stage: &Command| {
            let command = stage.command.as_deref();
            command.is_some_and(|command| self.is_spoken(command))
        };
        let depth = GUARDRAIL_DEPTH_MAX;
        went(record, runs, &named, depth, printed).or_else(|| {
            let usual = !self.declared;
            usual
                .then(|| went(record, runs, &spoken, depth, printed))
                .flatten()
        })
    }

    /// Whether a command line has its name for a word; `test -e x` is the shell's own.
    fn is_spoken(&self, line: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let mut begins = true;
        weakness::tokens(line).iter().any(|token| {
            let word = match token {
                Token::Operator(_) => {
                    begins = true;
                    return false;
                }
                Token::Word(word) => word,
            };
            let is_shells = begins && word == "test";
            begins = begins && word == "!";
            !is_shells
                && word
                    .split(|c: char| !is_part(c))
                    .any(|word| word == self.id)
        })
    }
}

/// The stages of a pipeline and of those that it runs that are meant.
fn gather(
    config: &Config,
    pipeline: &Pipeline,
    is_meant: &dyn Fn(&Stage) -> bool,
    depth: usize,
    optional: bool,
    found: &mut Vec<Presence>,
) {
    for stage in &pipeline.stages {
        if is_meant(stage) {
            let disabled = optional || decides_nothing(stage);
            found.push(if disabled {
                Presence::Disabled
            } else {
                Presence::Present
            });
        } else if let Action::Subpipeline(child) = &stage.action
            && let Some(below) = config.pipeline(&child.pipeline)
            && depth > 0
        {
            let optional = optional || child.optional;
            gather(config, below, is_meant, depth - 1, optional, found);
        }
    }
}

/// Whether a stage is green whatever it finds. A dry run is not meant: what it prints is looked at.
fn decides_nothing(stage: &Stage) -> bool {
    match &stage.action {
        Action::Command(command) => {
            let line = command.line.text();
            let text = format!("{} {} {line}", stage.id, stage.title).to_lowercase();
            command.allow_failure || cannot_fail(&line, text.contains("spec-guard"))
        }
        Action::Subpipeline(child) => child.optional,
    }
}

/// Whether a command line is green whatever its command says. A spec guard tells what it would say, and that is read.
fn cannot_fail(line: &str, is_spec_guard: bool) -> bool {
    let weaknesses = weakness::read_text(line).weaknesses;
    weaknesses.iter().any(|weakness| {
        let told = is_spec_guard && weakness == "--dry-run";
        !told && !STILL_CHECKS.contains(&weakness.as_str())
    })
}

fn went(
    record: &Record,
    runs: &BTreeMap<&RunId, &Record>,
    is_meant: &dyn Fn(&Command) -> bool,
    depth: usize,
    printed: &mut Printed<'_>,
) -> Option<Went> {
    let manifest = record.manifest()?;
    let mut worst = None;
    for stage in &manifest.commands {
        let went = if is_meant(stage) {
            Some(ended(record, manifest, stage, printed))
        } else {
            let child = stage.sub_run_id.as_ref().and_then(|id| runs.get(id));
            let child = child.filter(|_| depth > 0);
            child.and_then(|child| went(child, runs, is_meant, depth - 1, printed))
        };
        worst = match (worst, went) {
            (Some(worst), Some(went)) => Some(std::cmp::min(worst, went)),
            (worst, went) => worst.or(went),
        };
    }
    worst
}

fn ended(record: &Record, manifest: &Manifest, stage: &Command, printed: &mut Printed<'_>) -> Went {
    match stage.status {
        StageStatus::Pending | StageStatus::Running => Went::Unended,
        // Whoever ended the run has ended it.
        StageStatus::Failed if manifest.status == RunStatus::Cancelled => Went::Unended,
        StageStatus::Failed => Went::Failed,
        StageStatus::Skipped => Went::Skipped,
        StageStatus::Succeeded if stage.kind == StageKind::Subpipeline => Went::Green,
        StageStatus::Succeeded => {
            let line = stage.command.as_deref().unwrap_or_default();
            if cannot_fail(line, is_guardrail(stage))
                || (is_guardrail(stage) && says_skipped(stage))
            {
                return Went::Skipped;
            }
            if !is_guardrail(stage) {
                return Went::Green;
            }
            match printed(record, stage) {
                Some(false) => Went::Green,
                Some(true) => Went::Findings,
                None => Went::Untold,
            }
        }
    }
}
