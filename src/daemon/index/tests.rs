//! The index against the run directories that it stands for.
//!
//! Deleted, torn or of another version, it has to say the same as before.

use crate::daemon::evidence::tests::{Space, run_to_end};
use crate::disk::durable;
use crate::model::evidence::tests::at;
use crate::model::run::{RunStatus, Verdict};
use std::path::PathBuf;

fn index_file(space: &Space) -> PathBuf {
    let dir = space.dir.path().join("state/index");
    let mut entries = std::fs::read_dir(dir).unwrap();
    entries.next().unwrap().unwrap().path()
}

#[test]
fn the_history_is_the_same_from_the_index_without_it_and_from_a_torn_one() {
    let space = Space::new();
    let mut desk = space.desk("d");
    for salt in 1..=5 {
        run_to_end(&mut desk, salt, RunStatus::Succeeded);
    }
    let expected = desk.runs(None, 3, at(0)).unwrap();
    let order: Vec<&str> = expected.iter().map(|row| row.run_id.as_str()).collect();
    assert_eq!(order.len(), 3);
    assert!(order.is_sorted_by(|newer, older| newer > older));
    drop(desk);
    let file = index_file(&space);
    let whole = std::fs::read(&file).unwrap();
    for cut in [whole.len(), whole.len() - 1, whole.len() / 2, 20, 0] {
        durable::write(&file, &whole[..cut], 0o600).unwrap();
        let mut desk = space.desk("d");
        assert_eq!(desk.runs(None, 3, at(0)).unwrap(), expected, "cut at {cut}");
        assert_eq!(desk.runs(None, 10, at(0)).unwrap().len(), 5, "cut at {cut}");
    }
    let newer =
        String::from_utf8(whole)
            .unwrap()
            .replacen("\"orchd_index\":1", "\"orchd_index\":2", 1);
    durable::write(&file, newer.as_bytes(), 0o600).unwrap();
    assert_eq!(space.desk("d").runs(None, 3, at(0)).unwrap(), expected);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(space.desk("d").runs(None, 3, at(0)).unwrap(), expected);
    assert!(file.exists(), "it is made again");
}

#[test]
fn runs_that_another_tool_makes_resumes_or_removes_are_noticed() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let ours = run_to_end(&mut desk, 1, RunStatus::Failed);
    assert_eq!(
        desk.runs(None, 10, at(0)).unwrap()[0].verdict,
        Verdict::Fail
    );
    assert_eq!(desk.index_mut().proofs().len(), 1);
    let path = space.path(&format!(".runs/demo/cli/{}/manifest.json", ours.run));
    let text = std::fs::read_to_string(&path).unwrap();
    let resumed = text.replace(
        "\"status\": \"failed\",\n  \"status_detail\": \"stage:lint:failed\"",
        "\"status\": \"succeeded\",\n  \"status_detail\": null",
    );
    assert_ne!(text, resumed);
    durable::write(&path, resumed.as_bytes(), 0o644).unwrap();
    let row = desk.runs(None, 10, at(0)).unwrap().remove(0);
    assert_eq!(
        (row.status, row.verdict),
        (RunStatus::Succeeded, Verdict::Unknown)
    );
    assert!(desk.index_mut().proofs().is_empty());

    let theirs = include_bytes!("../../../tests/formats/upstream-0.2.1/succeeded.manifest.json");
    let value: serde_json::Value = serde_json::from_slice(theirs).unwrap();
    let run = value["run_id"].as_str().unwrap();
    let dir = space.path(&format!(".runs/demo/cli/{run}"));
    durable::create_dir_all(&dir).unwrap();
    // A run whose first manifest is still to come is no error, and is noticed later.
    assert_eq!(desk.runs(None, 10, at(0)).unwrap().len(), 1);
    durable::write(&dir.join("manifest.json"), theirs, 0o644).unwrap();
    let rows = desk.runs(None, 10, at(0)).unwrap();
    assert_eq!(
        (rows.len(), rows[0].run_id.as_str(), rows[0].cause),
        (2, run, None)
    );
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(desk.runs(None, 10, at(0)).unwrap().len(), 1);
    std::fs::remove_dir_all(space.path(".runs/demo")).unwrap();
    assert!(desk.runs(None, 10, at(0)).unwrap().is_empty());
}

#[test]
fn copies_of_workspaces_that_are_gone_go() {
    let space = Space::new();
    let mut desk = space.desk("d");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    desk.runs(None, 1, at(0)).unwrap();
    let file = index_file(&space);
    let dir = file.parent().unwrap();
    let stray = dir.join(format!("{}.jsonl", "0".repeat(64)));
    let other = dir.join("notes.txt");
    for path in [&stray, &other] {
        durable::write(path, b"", 0o600).unwrap();
    }
    super::sweep(dir, std::iter::once(space.path(".runs")));
    assert!(file.exists() && other.exists() && !stray.exists());
    run_to_end(&mut desk, 2, RunStatus::Succeeded);
    desk.retire();
    assert_eq!(desk.runs(None, 9, at(0)).unwrap().len(), 2);
    drop(desk);
    assert!(!file.exists(), "nothing is kept of it any more");
}

#[test]
fn a_row_of_an_older_version_is_read_again() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let failed = run_to_end(&mut desk, 1, RunStatus::Failed);
    let passed = run_to_end(&mut desk, 2, RunStatus::Succeeded);
    let expected = desk.flaky_runs(None, 9, at(0)).unwrap();
    let [listed] = expected.as_slice() else {
        panic!("{expected:?}");
    };
    assert_eq!(listed.record.run_id, passed.run);
    let [stage] = listed.flaky.as_deref().unwrap() else {
        panic!("{listed:?}");
    };
    assert_eq!(stage.failed_in, std::slice::from_ref(&failed.run));
    assert_eq!(stage.passed_in, std::slice::from_ref(&passed.run));
    drop(desk);
    let file = index_file(&space);
    let text = std::fs::read_to_string(&file).unwrap();
    let without = text.lines().map(|line| {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        let had = row.as_object_mut().unwrap().remove("said").is_some();
        assert_ne!(had, row.get("orchd_index").is_some());
        format!("{row}\n")
    });
    let without: String = without.collect();
    durable::write(&file, without.as_bytes(), 0o600).unwrap();
    let mut desk = space.desk("d");
    assert_eq!(desk.runs(None, 9, at(0)).unwrap().len(), 2);
    assert_eq!(desk.flaky_runs(None, 9, at(0)).unwrap(), expected);
}
