//! Which pipeline a new project gets.
//!
//! The one that somebody names; else the one that it would get without naming any, if that runs the tools of what is
//! found there, in its directory; else one that has the very stages; else a new one of what is found.

use super::{Around, ComposeError, found};
use crate::documents::onboarding::configuration::edit::{self, Addition};
use crate::model::config::detect::Detected;
use crate::model::config::{Config, Cwd, Pipeline, PipelineSource, Project};
use crate::model::id::PipelineId;
use crate::model::path::RelPath;
use std::collections::BTreeSet;

/// The pipeline of a new project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The one of projects that name none.
    Usual {
        /// Whether nothing tells that it fits.
        unknown: bool,
    },
    /// One that there is.
    Named(PipelineId),
    /// One of what is found.
    New {
        /// Its id.
        id: PipelineId,
        /// What is found.
        found: Box<Detected>,
    },
}

impl Choice {
    /// What its tools fill and nobody edits, as patterns of the workspace for a project at `path`.
    pub(super) fn ignore(&self, path: &RelPath) -> Vec<String> {
        let Self::New { found, .. } = self else {
            return Vec::new();
        };
        let patterns = found.ignore.iter();
        patterns.map(|pattern| placed(pattern, path)).collect()
    }

    /// What somebody should know of it.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Usual { unknown: true } => Some(
                "nothing there tells what to run: it has the pipeline of projects that name none"
                    .to_owned(),
            ),
            Self::Usual { unknown: false } | Self::Named(_) => None,
            Self::New { id, .. } => Some(format!(
                "the pipeline `{id}` is made of what is found there: read it before you allow it"
            )),
        }
    }
}

/// A pattern of a directory, as the workspace has it.
fn placed(pattern: &str, path: &RelPath) -> String {
    if path.is_root() || !pattern.starts_with('/') {
        return pattern.to_owned();
    }
    let mut placed = String::from("/");
    for c in path.to_text().chars() {
        if matches!(c, '[' | ']' | '*' | '?' | '\\') {
            placed.push('\\');
        }
        placed.push(c);
    }
    placed + pattern
}

/// Chooses the pipeline of a new project.
pub(super) fn choose(
    around: &Around<'_>,
    before: Option<&Config>,
    implied: Option<&Project>,
) -> Result<Choice, ComposeError> {
    let wanted = around.wanted;
    if let Some(named) = &wanted.pipeline {
        return Ok(Choice::Named(named.clone()));
    }
    let usual = usual(around, implied)?;
    if wanted.path.is_root() && usual.is_some() {
        return Ok(Choice::Usual { unknown: false });
    }
    let found = found(around)?;
    let stages = &found.pipeline.stages;
    if stages.is_empty() {
        return match usual {
            Some(_) => Ok(Choice::Usual { unknown: true }),
            None => Err(ComposeError::NothingToRun {
                path: wanted.path.clone(),
            }),
        };
    }
    if usual.is_some_and(|usual| {
        runs_there(&usual)
            && tools(&usual)
                .intersection(&tools(&found.pipeline))
                .next()
                .is_some()
    }) {
        return Ok(Choice::Usual { unknown: false });
    }
    let known = before
        .map(|config| &config.pipelines[..])
        .unwrap_or_default();
    let same = known
        .iter()
        .find(|pipeline| runs_there(pipeline) && lines(pipeline) == lines(&found.pipeline));
    if let Some(same) = same {
        return Ok(Choice::Named(same.id.clone()));
    }
    let is_free = |id: &PipelineId| known.iter().all(|pipeline| pipeline.id != *id);
    let names = [wanted.slug.as_str(), wanted.task.as_str()].into_iter();
    let mut ids = names.filter_map(|name| PipelineId::parse(name).ok());
    let id = ids
        .find(is_free)
        .ok_or(ComposeError::Form { key: "pipeline" })?;
    Ok(Choice::New {
        id,
        found: Box::new(found),
    })
}

/// The pipeline that the project would get without naming any, if there is one.
fn usual(around: &Around<'_>, implied: Option<&Project>) -> Result<Option<Pipeline>, ComposeError> {
    let choice = Choice::Usual { unknown: false };
    let addition = Addition {
        wanted: around.wanted,
        implied: implied.map(|project| &project.task),
        ignore: None,
        choice: &choice,
    };
    let text = edit::with(around.files.toml.as_deref(), &addition)?;
    let Ok(config) = around.assemble(Some(text)) else {
        return Ok(None);
    };
    let project = config.project(&around.wanted.task);
    Ok(project.and_then(|project| config.pipeline(&project.pipeline).cloned()))
}

/// Whether what a pipeline runs is run in the project's directory, and not in the workspace's.
fn runs_there(pipeline: &Pipeline) -> bool {
    let mut commands = pipeline.stages.iter().filter_map(|stage| stage.command());
    pipeline.source == PipelineSource::User
        && commands.all(|command| matches!(command.cwd, Cwd::Project(_)))
}

/// The programs that a pipeline's commands begin with.
fn tools(pipeline: &Pipeline) -> BTreeSet<String> {
    let commands = pipeline.stages.iter().filter_map(|stage| stage.command());
    let first = commands.filter_map(|command| {
        let text = command.line.text();
        text.split_whitespace().next().map(str::to_owned)
    });
    first
        .filter(|tool| !matches!(&**tool, "bash" | "sh" | "orchctl"))
        .collect()
}

fn lines(pipeline: &Pipeline) -> Vec<(String, String)> {
    let stages = pipeline.stages.iter();
    let each = stages.filter_map(|stage| {
        let command = stage.command()?;
        Some((stage.id.to_string(), command.line.text()))
    });
    each.collect()
}
