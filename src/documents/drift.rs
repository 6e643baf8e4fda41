//! How the pipelines of projects differ from the one that all are held against, and which differences are accepted.
//!
//! Pure: a configuration goes in, differences come out. Stages are told apart by their ids. What makes a stage prove less
//! than it should is *weakened*; what makes it prove more is no difference.

mod compare;

use crate::model::config::{Config, Pipeline, Project, Template, Waiver};
use crate::model::id::{StageId, TaskId};
use crate::model::time::Day;
use serde::Serialize;
use std::collections::BTreeSet;

/// What pipelines are held against.
#[derive(Clone, Debug)]
pub enum Against<'c> {
    /// A `[[template]]`.
    Template(&'c Template),
    /// The pipeline of a project; that project itself is left out.
    Project(&'c Project, Option<&'c Pipeline>),
}

/// Why there is nothing to hold against.
#[derive(Debug, thiserror::Error)]
pub enum AgainstError {
    /// No such template or project.
    #[error("neither a template nor a project is called `{}`: there is {}", .name.escape_debug(), .known.join(", "))]
    Unknown {
        /// What was named.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Nothing was named, and there is no template.
    #[error("`orchd.toml` has no [[template]] to hold pipelines against")]
    NoTemplate,
}

/// What a comparison says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The id of the template, or the task of the project.
    pub against: String,
    /// What differs, in the order of the projects.
    pub projects: Vec<ProjectDrift>,
    /// What is odd but no finding: waivers that waive nothing.
    pub warnings: Vec<String>,
}

/// How one project's pipeline differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProjectDrift {
    /// The project.
    pub task_id: TaskId,
    /// Its pipeline.
    pub pipeline: String,
    /// What differs, in the order of the template's stages; what is beyond them comes last.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The stage.
    pub stage: StageId,
    /// What it is.
    pub kind: Kind,
    /// What is different, in words.
    pub detail: String,
    /// Whether somebody has accepted it, so that it is no finding.
    pub waived: bool,
    /// Who has accepted it, why and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiver: Option<String>,
}

/// What a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The project has no such stage.
    Missing,
    /// The template has no such stage.
    Extra,
    /// It runs something else, elsewhere, or with other variables.
    Command,
    /// It may begin before a stage that it should wait for.
    Order,
    /// It proves less than it should.
    Weakened,
    /// A difference was accepted, and that is over.
    ExpiredWaiver,
}

impl Kind {
    /// The kind as `--json` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Command => "command",
            Self::Order => "order",
            Self::Weakened => "weakened",
            Self::ExpiredWaiver => "expired-waiver",
        }
    }
}

impl Drift {
    /// How many differences nobody has accepted.
    #[must_use]
    pub fn findings(&self) -> usize {
        let all = self.projects.iter().flat_map(|it| &it.differences);
        all.filter(|difference| !difference.waived).count()
    }
}

impl<'c> Against<'c> {
    /// The template or else the project of this name; the first template where nothing is named.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(config: &'c Config, name: Option<&str>) -> Result<Self, AgainstError> {
        let Some(name) = name else {
            let first = config.templates.first();
            return first.map(Self::Template).ok_or(AgainstError::NoTemplate);
        };
        if let Some(template) = config.template(name) {
            return Ok(Self::Template(template));
        }
        let mut projects = config.projects.iter();
        match projects.find(|project| project.task.as_str() == name) {
            Some(project) => Ok(Self::Project(project, config.pipeline(&project.pipeline))),
            None => Err(AgainstError::Unknown {
                name: name.to_owned(),
                known: known(config),
            }),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Template(template) => template.pipeline.id.as_str(),
            Self::Project(project, _) => project.task.as_str(),
        }
    }

    fn is(&self, project: &Project) -> bool {
        matches!(self, Self::Project(own, _) if own.task == project.task)
    }
}

fn known(config: &Config) -> Vec<String> {
    let templates = config.templates.iter();
    let templates = templates.map(|template| template.pipeline.id.to_string());
    let projects = config.projects.iter();
    templates
        .chain(projects.map(|project| project.task.to_string()))
        .collect()
}

/// Holds the pipelines of all projects, or of one, against a template or another project's; `today` decides which waivers
/// still hold.
#[must_use]
pub fn drift(config: &Config, against: &Against<'_>, task: Option<&TaskId>, today: Day) -> Drift {
    let nothing_open = BTreeSet::new();
    let (reference, open) = match against {
        Against::Template(template) => (Some(&template.pipeline), &template.open),
        Against::Project(_, pipeline) => (*pipeline, &nothing_open),
    };
    let mut drift = Drift {
        against: against.name().to_owned(),
        projects: Vec::new(),
        warnings: Vec::new(),
    };
    let meant = config
        .projects
        .iter()
        .filter(|project| !against.is(project) && task.is_none_or(|task| *task == project.task));
    for project in meant {
        let own = config.pipeline(&project.pipeline);
        let mut differences = compare::differences(reference, open, own);
        drift
            .warnings
            .extend(waive(&mut differences, project, today));
        drift.projects.push(ProjectDrift {
            task_id: project.task.clone(),
            pipeline: project.pipeline.to_string(),
            differences,
        });
    }
    drift
}

/// Marks what is accepted, and adds what no longer is; returns what is odd about the waivers.
fn waive(differences: &mut Vec<Difference>, project: &Project, today: Day) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut expired = Vec::new();
    for waiver in &project.waivers {
        let is_over = waiver.until < today;
        let about = differences.iter_mut();
        let about: Vec<_> = about.filter(|it| it.stage == waiver.stage).collect();
        if is_over {
            expired.push(expired_waiver(waiver));
        } else if about.is_empty() {
            warnings.push(format!(
                "project `{}`: the waiver of `{}` (until {}, by {}) waives nothing: take it out",
                project.task, waiver.stage, waiver.until, waiver.by
            ));
        } else {
            for difference in about {
                difference.waived = true;
                difference.waiver = Some(said(waiver));
            }
        }
    }
    differences.extend(expired);
    warnings
}

fn said(waiver: &Waiver) -> String {
    let Waiver {
        reason, by, until, ..
    } = waiver;
    format!("{reason} ({by}, until {until})")
}

fn expired_waiver(waiver: &Waiver) -> Difference {
    let Waiver {
        stage,
        reason,
        by,
        until,
    } = waiver;
    Difference {
        stage: stage.clone(),
        kind: Kind::ExpiredWaiver,
        detail: format!(
            "the waiver by {by} ended with {until} ({reason}): mend the stage, or agree anew"
        ),
        waived: false,
        waiver: None,
    }
}

#[cfg(test)]
mod tests;
