//! What is wrong with the projects of a workspace: values in, findings out.
//!
//! The workspace itself may hold other projects: which one a file is of is decided by the deepest directory, and a
//! project at `.` is meant to be all of it. Any other two that lie in each other are told.

use super::{Known, ProjectFinding, ProjectKind};
use crate::documents::declared::{Declared, place};
use crate::model::id::TaskId;
use std::path::Path;

/// Everything that is wrong, by kind, in the order of the projects.
#[must_use]
pub fn judge(known: &Known) -> Vec<ProjectFinding> {
    let mut findings = Vec::new();
    duplicates(known, &mut findings);
    directories(known, &mut findings);
    runs(known, &mut findings);
    environment(known, &mut findings);
    findings.sort_by_key(|finding| finding.kind);
    findings
}

fn of(kind: ProjectKind, project: &Declared, message: String) -> ProjectFinding {
    ProjectFinding {
        kind,
        task_id: project.task.to_string(),
        path: project.path.to_text(),
        message,
    }
}

fn duplicates(known: &Known, findings: &mut Vec<ProjectFinding>) {
    for (at, project) in known.projects.iter().enumerate() {
        let mut before = known.projects.iter().take(at);
        // Some file systems do not tell `Web` from `web`: their evidence would be mixed.
        if let Some(first) = before.find(|other| is_same(&other.task, &project.task)) {
            let message = format!(
                "the project at `{}` has it ({}), and so has this one ({}): give each a task of its own",
                first.path.to_text(),
                place(first),
                place(project),
            );
            findings.push(of(ProjectKind::DuplicateTask, project, message));
        }
    }
    for project in &known.projects {
        let listed = known.listed.iter().filter(|id| **id == project.task);
        let count = listed.count();
        if count > 1 {
            let message = format!(
                "tasks/index.json lists it {count} times, and other tools read the first: take the others out"
            );
            findings.push(of(ProjectKind::DuplicateTask, project, message));
        }
    }
}

fn is_same(one: &TaskId, other: &TaskId) -> bool {
    one.as_str().to_lowercase() == other.as_str().to_lowercase()
}

fn directories(known: &Known, findings: &mut Vec<ProjectFinding>) {
    let all = known.projects.iter().zip(&known.directories);
    for (at, (project, real)) in all.clone().enumerate() {
        let Some(real) = real else {
            let at = place(project);
            let message = format!("there is no such directory: make it, or correct `path` ({at})");
            findings.push(of(ProjectKind::MissingDirectory, project, message));
            continue;
        };
        let before = all.clone().take(at);
        let before = before.filter_map(|(other, around)| Some((other, around.as_deref()?)));
        for (other, around) in before {
            let path = other.path.to_text();
            let how = if real == around {
                format!("it is the directory of `{}` (`{path}`), too", other.task)
            } else if nests(real, around, other) {
                format!("it lies in the directory of `{}` (`{path}`)", other.task)
            } else if nests(around, real, project) {
                format!("the directory of `{}` (`{path}`) lies in it", other.task)
            } else {
                continue;
            };
            let message = format!("{how}: a change there is of both; put them beside each other");
            findings.push(of(ProjectKind::Nested, project, message));
        }
    }
}

/// Whether a directory lies in that of a project which is not the whole workspace.
fn nests(inner: &Path, outer: &Path, project: &Declared) -> bool {
    inner != outer && inner.starts_with(outer) && !project.path.is_root()
}

fn runs(known: &Known, findings: &mut Vec<ProjectFinding>) {
    let tasks = known.projects.iter().map(|project| &project.task);
    let tasks: Vec<&TaskId> = tasks.chain(&known.listed).collect();
    for own in &known.runs {
        let path = format!(".runs/{}", own.directory);
        let is_known = tasks.iter().any(|task| task.as_str() == own.directory);
        if !is_known && own.runs > 0 {
            let message = format!(
                "{} of a task that neither orchd.toml nor tasks/index.json knows: `orchctl project add` it, \
                 or move them to their task",
                match own.runs {
                    1 => "1 run".to_owned(),
                    runs => format!("{runs} runs"),
                }
            );
            findings.push(ProjectFinding {
                kind: ProjectKind::UnknownTaskRuns,
                task_id: own.directory.clone(),
                path: path.clone(),
                message,
            });
        }
        for (run, other) in &own.foreign {
            let message = format!(
                "it says that it is of `{other}`: whoever wrote it had another MCP_RUNNER_TASK_ID; \
                 move the run to .runs/{other}/cli/"
            );
            findings.push(ProjectFinding {
                kind: ProjectKind::WrongTaskManifest,
                task_id: own.directory.clone(),
                path: format!("{path}/cli/{run}/manifest.json"),
                message,
            });
        }
    }
}

fn environment(known: &Known, findings: &mut Vec<ProjectFinding>) {
    let Some(named) = &known.environment else {
        return;
    };
    let mut tasks = known.projects.iter().map(|project| project.task.as_str());
    let is_known = tasks.any(|task| task == named);
    let message = match TaskId::parse(named) {
        Err(error) => format!("MCP_RUNNER_TASK_ID is no task id: {error}"),
        Ok(_) if is_known => return,
        Ok(_) => "MCP_RUNNER_TASK_ID is no project's task, and other tools would record their runs below it: \
                  unset it, or name a project's"
            .to_owned(),
    };
    findings.push(ProjectFinding {
        kind: ProjectKind::Environment,
        task_id: named.clone(),
        path: ".".to_owned(),
        message,
    });
}
