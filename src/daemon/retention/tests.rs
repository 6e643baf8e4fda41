//! Which runs go and which stay.
//!
//! Real run directories, with checklists that cite some of them.

use super::*;
use crate::daemon::evidence::tests::{Space, run_to_end};
use crate::disk::durable::{self, crash_after};
use crate::documents::approvals::give::{Wish, approve};
use crate::model::evidence::tests::at;
use crate::model::run::{RunReport, RunStatus};

const DAYS: i64 = 24 * 60 * 60 * 1000;

fn kept(space: &Space) -> Vec<String> {
    let dir = Dir::open(&space.path(".runs/demo/cli")).unwrap();
    let names = dir.list().unwrap();
    names
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect()
}

fn ids(runs: &[RunReport], places: &[usize]) -> Vec<String> {
    places
        .iter()
        .map(|place| runs[*place].run.to_string())
        .collect()
}

fn five(space: &Space) -> (Desk, Vec<RunReport>) {
    let mut desk = space.desk("d");
    let runs = (1..=5).map(|salt| run_to_end(&mut desk, salt, RunStatus::Failed));
    let runs = runs.collect();
    (desk, runs)
}

#[test]
fn the_oldest_beyond_the_number_go_with_all_their_traces() {
    let space = Space::new();
    let (mut desk, runs) = five(&space);
    let task = &runs[0].task;
    let gone = desk
        .retain(task, Retention { runs: 2, days: 30 }, &[], at(9000))
        .unwrap();
    let gone: Vec<String> = gone.iter().map(ToString::to_string).collect();
    assert_eq!(gone, ids(&runs, &[0, 1, 2]));
    assert_eq!(kept(&space), ids(&runs, &[3, 4]));
    for below in [".runs/demo/mcp", ".runs/local-mcp", ".runs/demo"] {
        assert!(
            !space.path(below).join(runs[0].run.as_str()).exists(),
            "{below}"
        );
        assert!(
            space.path(below).join(runs[4].run.as_str()).exists(),
            "{below}"
        );
    }
    assert!(!space.path(".runs/.orchd-trash").exists());
    let snapshot = space.json("out/demo/runs.json");
    assert_eq!(snapshot["runs"].as_array().unwrap().len(), 2);
    assert_eq!(desk.runs(None, 10, at(9000)).unwrap().len(), 2);
}

#[test]
fn what_another_process_has_not_told_yet_stays() {
    let space = Space::new();
    let (mut desk, runs) = five(&space);
    let ended = Dir::open(&space.path(&format!(".runs/demo/cli/{}", runs[1].run))).unwrap();
    ended.write(OsStr::new(OWNER), b"{}", 0o600).unwrap();
    let keep = Retention { runs: 2, days: 30 };
    desk.retain(&runs[0].task, keep, &[], at(9000)).unwrap();
    assert_eq!(kept(&space), ids(&runs, &[1, 3, 4]));
    ended.remove(OsStr::new(OWNER)).unwrap();
    desk.retain(&runs[0].task, keep, &[], at(9000)).unwrap();
    assert_eq!(kept(&space), ids(&runs, &[3, 4]));
}

#[test]
fn what_is_active_newest_or_cited_stays() {
    let space = Space::new();
    let (mut desk, runs) = five(&space);
    let task = &runs[0].task;
    for (path, place) in [
        ("tasks/a/tasks-demo.md", 0),
        ("docs/TASKS.md", 1),
        (".agent/task/demo.md", 2),
    ] {
        let path = space.path(path);
        durable::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!(
            "- [x] done. Evidence: `.runs/demo/cli/{}/manifest.json`\n",
            runs[place].run
        );
        durable::write(&path, text.as_bytes(), 0o644).unwrap();
    }
    let keep = Retention { runs: 1, days: 30 };
    assert!(
        desk.retain(task, keep, &[runs[3].run.clone()], at(9000))
            .unwrap()
            .is_empty()
    );
    std::fs::remove_file(space.path("docs/TASKS.md")).unwrap();
    let gone = desk.retain(task, keep, &[], at(9000)).unwrap();
    assert_eq!(gone, [runs[1].run.clone(), runs[3].run.clone()]);
    // By age all of them are over, and the newest still stays.
    std::fs::remove_dir_all(space.path("tasks")).unwrap();
    let gone = desk
        .retain(task, Retention { runs: 99, days: 1 }, &[], at(2 * DAYS))
        .unwrap();
    assert_eq!(gone, [runs[0].run.clone()]);
    assert_eq!(kept(&space), ids(&runs, &[2, 4]));
}

#[test]
fn a_run_stays_while_an_approval_of_it_is_in_force() {
    let space = Space::new();
    let (mut desk, runs) = five(&space);
    let task = &runs[0].task;
    for (place, until) in [(0, None), (1, Some("2026-11-22"))] {
        let wish = Wish {
            run: runs[place].run.to_string(),
            actor: "Ada".to_owned(),
            reason: "known".to_owned(),
            scope: Vec::new(),
            until: until.map(|day| Day::parse(day).unwrap()),
        };
        let dir = Dir::open(&space.path(".runs")).unwrap();
        approve(Some(&dir), &wish, at(6000)).unwrap();
    }
    let keep = Retention { runs: 1, days: 30 };
    desk.retain(task, keep, &[], at(9000)).unwrap();
    assert_eq!(kept(&space), ids(&runs, &[0, 1, 4]));
    // Through its last day, and no longer.
    desk.retain(task, keep, &[], at(DAYS)).unwrap();
    assert_eq!(kept(&space), ids(&runs, &[0, 4]));
}

/// The third took a stage over from the second, which had taken one over from the first.
#[test]
fn what_a_kept_run_has_taken_over_stays_and_keeps_nothing_itself() {
    let space = Space::new();
    let (mut desk, runs) = five(&space);
    let task = &runs[0].task;
    for (place, from) in [(1, 0), (2, 1)] {
        let below = format!(".runs/demo/cli/{}/orchd.json", runs[place].run);
        let mut sidecar = space.json(&below);
        sidecar["stages"][0]["reused_from"] = runs[from].run.to_string().into();
        let path = space.path(&below);
        durable::write(&path, sidecar.to_string().as_bytes(), 0o644).unwrap();
        desk.index_mut()
            .check_all(&Dir::open(&space.path(".runs")).unwrap());
    }
    let keep = Retention { runs: 3, days: 30 };
    let gone = desk.retain(task, keep, &[], at(9000)).unwrap();
    assert_eq!(gone, [runs[0].run.clone()]);
    assert_eq!(kept(&space), ids(&runs, &[1, 2, 3, 4]));
    let keep = Retention { runs: 2, days: 30 };
    let gone = desk.retain(task, keep, &[], at(9000)).unwrap();
    assert_eq!(gone, [runs[1].run.clone(), runs[2].run.clone()]);
}

#[test]
fn a_removal_that_is_cut_off_is_finished_at_the_next_start() {
    let mut done = false;
    for steps in 0.. {
        if done {
            break;
        }
        let space = Space::new();
        let (mut desk, runs) = five(&space);
        let task = runs[0].task.clone();
        let keep = Retention { runs: 4, days: 30 };
        done = crash_after(steps, || desk.retain(&task, keep, &[], at(9000))).is_ok();
        let mut desk = space.desk("next");
        desk.recover(&[], at(9000)).unwrap();
        assert!(!space.path(".runs/.orchd-trash").exists(), "{steps}");
        let there = kept(&space).len();
        let listed = desk.runs(None, 10, at(9000)).unwrap().len();
        assert_eq!(there, listed, "{steps}");
        let pointers = Dir::open(&space.path(".runs/local-mcp"))
            .unwrap()
            .list()
            .unwrap();
        assert_eq!(pointers.len(), there, "{steps}: pointers lead nowhere");
        assert!(there == 4 || !done, "{steps}");
    }
}
