//! Whether a workspace is ready for its reviewers: one list of checks, each of which another part answers.
//!
//! A passing manifest exists, documents lead to one, guardrails are covered, pipelines have not drifted, mirrors say what
//! their sources do, what is ticked is proven, projects are sound, approvals hold, and runs are as they were recorded.
//! Nothing is judged here that no other command says; the words of a check name that command.

mod judge;
mod runs;
#[cfg(test)]
mod tests;

use crate::documents::approvals;
use crate::documents::book::Book;
use crate::documents::checklists::{self, Narrowed};
use crate::documents::coverage::{self, Window};
use crate::documents::declared;
use crate::documents::drift::{self, Against};
use crate::documents::failure::PaperError;
use crate::documents::integrity;
use crate::documents::projects::{self, ProjectsError};
use crate::documents::records;
use crate::documents::shelf::Shelf;
use crate::documents::task_index::{self, TaskEntry};
use crate::documents::upkeep;
use crate::limits::documents::WINDOW_DEFAULT;
use crate::model::config::Project;
use crate::model::id::TaskId;
use crate::model::path::RelPath;
use crate::model::time::{Day, Timestamp};
use serde::{Serialize, Serializer};

/// What is to be reviewed.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Only this project.
    pub task: Option<&'a TaskId>,
    /// When it is asked.
    pub now: Timestamp,
    /// `MCP_RUNNER_TASK_ID`, where it is set.
    pub environment: Option<String>,
}

/// Whether a workspace is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Whether every check is.
    pub ready: bool,
    /// Each check, always all of them and in the same order.
    pub checks: Vec<Check>,
}

/// One thing that has to be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about; never changes.
    pub id: &'static str,
    /// Whether it is so.
    pub ok: bool,
    /// Why, and what to do: a sentence for each project or finding.
    #[serde(rename = "detail", serialize_with = "joined")]
    pub details: Vec<String>,
}

fn joined<S: Serializer>(details: &[String], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&details.join("; "))
}

impl Check {
    /// A check of several things, each of which has to be so.
    fn of(id: &'static str, told: impl IntoIterator<Item = Told>) -> Self {
        let told: Vec<Told> = told.into_iter().collect();
        // What is to be done comes first.
        let (fine, wrong): (Vec<Told>, Vec<Told>) = told.into_iter().partition(|told| told.ok);
        Self {
            id,
            ok: wrong.is_empty(),
            details: wrong.into_iter().chain(fine).map(|it| it.said).collect(),
        }
    }
}

/// One sentence of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    ok: bool,
    said: String,
}

impl Told {
    const fn fine(said: String) -> Self {
        Self { ok: true, said }
    }

    const fn wrong(said: String) -> Self {
        Self { ok: false, said }
    }
}

/// Goes through the list.
///
/// # Errors
/// When something of the workspace cannot be read that a check needs.
pub fn ready(shelf: &Shelf, asked: &Asked<'_>) -> Result<Review, PaperError> {
    let entries = task_index::read(shelf)?;
    let mut standing = Vec::new();
    for project in meant(shelf, asked.task) {
        let records = records::of_task(shelf, &project.task)?;
        standing.push(runs::read(
            shelf.config(),
            shelf.layout(),
            project,
            &records,
        ));
    }
    let (mirrors, checklists) = of_checklists(shelf, &entries, asked.task)?;
    let checks = vec![
        Check::of("diagnostics", standing.iter().map(judge::diagnostics)),
        Check::of("docs", of_docs(shelf, &entries, &standing, asked.task)?),
        Check::of("guardrails", of_guardrails(shelf, asked)?),
        Check::of("drift", of_drift(shelf, asked)?),
        Check::of("mirrors", mirrors),
        Check::of("checklists", checklists),
        Check::of("projects", of_projects(shelf, asked)?),
        Check::of("approvals", of_approvals(shelf, &standing, asked.now)?),
        Check::of("evidence", of_evidence(shelf, &standing)?),
    ];
    Ok(Review {
        ready: checks.iter().all(|check| check.ok),
        checks,
    })
}

fn meant<'a>(shelf: &'a Shelf, task: Option<&TaskId>) -> impl Iterator<Item = &'a Project> {
    let all = shelf.config().projects.iter();
    all.filter(move |project| task.is_none_or(|task| *task == project.task))
}

fn of_checklists(
    shelf: &Shelf,
    entries: &[TaskEntry],
    task: Option<&TaskId>,
) -> Result<(Vec<Told>, Vec<Told>), PaperError> {
    let book = Book::read(shelf, entries.to_vec())?;
    let narrowed = Narrowed {
        task: task.cloned(),
        paths: Vec::new(),
    };
    let checked = checklists::check(shelf, &book, &narrowed);
    Ok((judge::mirrors(&checked), judge::checklists(&checked)))
}

fn of_docs(
    shelf: &Shelf,
    entries: &[TaskEntry],
    standing: &[runs::Standing],
    task: Option<&TaskId>,
) -> Result<Vec<Told>, PaperError> {
    let declared = declared::read(shelf.root(), None);
    let declared = declared.map_err(|error| PaperError::from(ProjectsError::from(error)))?;
    let own = declared.projects.into_iter();
    let own = own.filter(|_| !declared.is_implied);
    let projects: Vec<TaskId> = own.map(|project| project.task).collect();
    let mut checked = upkeep::check(shelf, entries, &projects)?;
    if let Some(task) = task {
        // What is another task's own page is for that one's review.
        checked.findings.retain(|finding| {
            let page = RelPath::parse(&finding.file);
            let owner = page.map(|page| upkeep::owner(&page, projects.iter()).cloned());
            owner.is_ok_and(|owner| owner.is_none_or(|owner| owner == *task))
        });
    }
    let links = runs::links(shelf, standing)?;
    let mut told = judge::pages(&checked);
    told.extend(
        standing
            .iter()
            .map(|own| judge::linked(own, links.get(&own.task))),
    );
    Ok(told)
}

fn of_guardrails(shelf: &Shelf, asked: &Asked<'_>) -> Result<Vec<Told>, PaperError> {
    let window = Window {
        length: WINDOW_DEFAULT,
        now: asked.now,
    };
    let coverage = coverage::read(shelf, asked.task, window)?;
    let each = meant(shelf, asked.task).zip(&coverage.projects);
    Ok(each
        .map(|(project, covered)| judge::guardrails(project, covered))
        .collect())
}

fn of_drift(shelf: &Shelf, asked: &Asked<'_>) -> Result<Vec<Told>, PaperError> {
    let Some(template) = shelf.config().templates.first() else {
        let said = "`orchd.toml` has no [[template]], so that there is nothing to drift from";
        return Ok(vec![Told::fine(said.to_owned())]);
    };
    let against = Against::Template(template);
    let drift = drift::drift(shelf.config(), &against, asked.task, Day::of(asked.now));
    Ok(judge::drift(&drift))
}

fn of_projects(shelf: &Shelf, asked: &Asked<'_>) -> Result<Vec<Told>, PaperError> {
    let known = projects::read(shelf.root(), asked.environment.clone())?;
    let mut findings = projects::judge(&known);
    findings.retain(|finding| {
        asked
            .task
            .is_none_or(|task| task.as_str() == finding.task_id)
    });
    Ok(judge::projects(&findings))
}

fn of_approvals(
    shelf: &Shelf,
    standing: &[runs::Standing],
    now: Timestamp,
) -> Result<Vec<Told>, PaperError> {
    let mut told = Vec::new();
    for own in standing {
        let approvals = approvals::of_task(shelf, &own.task)?;
        told.extend(judge::approvals(own, &approvals, Day::of(now)));
    }
    if told.is_empty() {
        told.push(Told::fine("nothing was approved".to_owned()));
    }
    Ok(told)
}

/// Whether the runs can be read, and are as they were recorded.
fn of_evidence(shelf: &Shelf, standing: &[runs::Standing]) -> Result<Vec<Told>, PaperError> {
    let mut told: Vec<Told> = standing.iter().map(judge::readable).collect();
    for own in standing {
        let verified = integrity::verify(shelf, Some(&own.task))?;
        told.extend(judge::verified(&verified.findings));
    }
    Ok(told)
}
