//! `orchctl project`: projects, what is wrong with them, and what was written for a new one.
//!
//! A finding begins with the path that it is about; what is wrong with runs has no line in any file.

use crate::client::output::Look;
use crate::client::render::text::{DIM, RED, add, clean, findings_said, pad, styled};
use crate::documents::onboarding::Onboarded;
use crate::documents::projects::{ListedProject, ProjectFinding};

/// Renders the projects of a workspace.
#[must_use]
pub fn listed(projects: &[ListedProject], _look: &Look) -> String {
    let mut text = String::new();
    let widest = projects
        .iter()
        .map(|it| it.task_id.as_str().chars().count());
    let columns = widest.max().unwrap_or_default();
    for project in projects {
        let task = pad(&clean(project.task_id.as_str()), columns);
        let pipeline = project.pipeline.as_ref();
        let pipeline = pipeline.map_or("by name only", |pipeline| pipeline.as_str());
        let gone = match project.exists {
            true => String::new(),
            false => styled(RED, "  no such directory"),
        };
        let pipeline = styled(DIM, &format!("  {}", clean(pipeline)));
        add(
            &mut text,
            format_args!("  {task}  {}{pipeline}{gone}\n", clean(&project.path)),
        );
    }
    text
}

/// Renders what a check has found.
#[must_use]
pub fn checked(findings: &[ProjectFinding], _look: &Look) -> String {
    let mut text = String::new();
    for finding in findings {
        let kind = styled(RED, finding.kind.as_str());
        let (task, path) = (clean(&finding.task_id), clean(&finding.path));
        let message = clean(&finding.message);
        add(
            &mut text,
            format_args!("{path}: {kind}: {task}: {message}\n"),
        );
    }
    let said = findings_said(findings.len());
    add(&mut text, format_args!("{said}\n"));
    text
}

/// Renders what was written for a project, or would be.
#[must_use]
pub fn added(project: &Onboarded, dry: bool, _look: &Look) -> String {
    let mut text = String::new();
    let verb = if dry { "would write" } else { "wrote" };
    for file in &project.files {
        add(&mut text, format_args!("  {verb}  {}\n", clean(file)));
    }
    for note in &project.notes {
        add(&mut text, format_args!("  note: {}\n", clean(note)));
    }
    let (task, path) = (clean(project.task_id.as_str()), clean(&project.path));
    let pipeline = clean(project.pipeline.as_str());
    match (project.files.is_empty(), dry) {
        (true, _) => add(
            &mut text,
            format_args!("{task} is the project at {path} already: nothing to do\n"),
        ),
        (false, true) => add(&mut text, format_args!("Nothing was written.\n")),
        (false, false) => add(
            &mut text,
            format_args!(
                "{task} is the project at {path}, with the pipeline {pipeline}\n\
                 Nothing of it runs before it is allowed: orchctl allow\n"
            ),
        ),
    }
    text
}
