//! What is wrong with projects, on values alone.
//!
//! What is read from disk for them is tested end to end, in `tests/e2e/paper_projects.rs`: these tests make the values by
//! hand.

use super::{Known, ProjectKind, RunsOf, judge};
use crate::documents::declared;
use crate::model::id::TaskId;
use std::path::{Path, PathBuf};

fn known(toml: &str) -> Known {
    let projects = declared::projects(toml);
    let directories = projects.iter();
    let directories = directories.map(|project| Some(Path::new("/w").join(project.path.as_path())));
    Known {
        directories: directories.collect(),
        projects,
        ..Known::default()
    }
}

fn project(task: &str, path: &str) -> String {
    format!("[[project]]\ntask = \"{task}\"\npath = \"{path}\"\n")
}

fn kinds(known: &Known) -> Vec<(ProjectKind, String, String)> {
    let found = judge(known).into_iter();
    found
        .map(|finding| (finding.kind, finding.task_id, finding.path))
        .collect()
}

fn one(kind: ProjectKind, task: &str, path: &str) -> Vec<(ProjectKind, String, String)> {
    vec![(kind, task.to_owned(), path.to_owned())]
}

#[test]
fn a_task_that_stands_twice_is_found_though_the_configuration_is_refused() {
    let toml = project("0101-web", "a") + &project("0101-WEB", "b");
    let known = known(&toml);
    assert_eq!(
        kinds(&known),
        one(ProjectKind::DuplicateTask, "0101-WEB", "b")
    );
    let message = &judge(&known)[0].message;
    assert!(message.contains("orchd.toml:2"), "{message}");
    assert!(message.contains("orchd.toml:5"), "{message}");
}

#[test]
fn a_task_that_the_index_lists_twice_is_found() {
    let mut known = known(&project("0101-web", "a"));
    known.listed = vec![TaskId::parse("0101-web").unwrap(); 2];
    assert_eq!(
        kinds(&known),
        one(ProjectKind::DuplicateTask, "0101-web", "a")
    );
}

#[test]
fn directories_that_nest_are_found_but_for_the_workspace_itself() {
    let whole = known(&(project("r", ".") + &project("a", "p/a") + &project("ab", "p/ab")));
    assert_eq!(kinds(&whole), vec![]);
    let inner = known(&(project("p", "p") + &project("a", "p/a")));
    assert_eq!(kinds(&inner), one(ProjectKind::Nested, "a", "p/a"));
    let outer = known(&(project("a", "p/a") + &project("p", "p")));
    assert_eq!(kinds(&outer), one(ProjectKind::Nested, "p", "p"));
}

#[test]
fn two_names_of_one_directory_are_found() {
    let mut linked = known(&(project("a", "a") + &project("b", "b")));
    linked.directories = vec![Some(PathBuf::from("/w/a")); 2];
    assert_eq!(kinds(&linked), one(ProjectKind::Nested, "b", "b"));
}

#[test]
fn a_directory_that_is_not_there_is_found() {
    let mut gone = known(&project("a", "a"));
    gone.directories = vec![None];
    assert_eq!(kinds(&gone), one(ProjectKind::MissingDirectory, "a", "a"));
}

#[test]
fn runs_of_nobody_and_runs_among_those_of_another_are_found() {
    let mut with = known(&project("a", "a"));
    with.listed = vec![TaskId::parse("old").unwrap()];
    let of = |directory: &str, foreign: &[(&str, &str)]| RunsOf {
        directory: directory.to_owned(),
        runs: 1,
        foreign: foreign
            .iter()
            .map(|(run, task)| ((*run).to_owned(), (*task).to_owned()))
            .collect(),
    };
    with.runs = vec![of("a", &[("r1", "b")]), of("b", &[]), of("old", &[])];
    with.runs.push(RunsOf {
        directory: "empty".to_owned(),
        ..RunsOf::default()
    });
    assert_eq!(
        kinds(&with),
        [
            one(ProjectKind::UnknownTaskRuns, "b", ".runs/b"),
            one(
                ProjectKind::WrongTaskManifest,
                "a",
                ".runs/a/cli/r1/manifest.json"
            ),
        ]
        .concat()
    );
}

#[test]
fn an_environment_that_names_no_project_is_found() {
    let mut set = known(&project("a", "a"));
    set.environment = Some("a".to_owned());
    assert_eq!(kinds(&set), vec![]);
    for other in ["b", "../b"] {
        set.environment = Some(other.to_owned());
        assert_eq!(kinds(&set), one(ProjectKind::Environment, other, "."));
    }
}
