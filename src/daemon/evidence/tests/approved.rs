//! What was approved of a run outlives whatever a desk does to its files afterwards.
//!
//! It is given as `orchctl approve` gives it; then the run is taken up again, lost, torn or removed.

use super::*;
use crate::documents::approvals::give::{Wish, approve};
use crate::model::run::Cause;
use std::time::Duration;

/// A run that failed, and of which this was approved: what its two files say of it.
fn approved(space: &Space) -> (RunReport, [Value; 2]) {
    let run = run_to_end(&mut space.desk("d1"), 1, RunStatus::Failed);
    let wish = Wish {
        run: run.run.to_string(),
        actor: "Ada".to_owned(),
        reason: "known".to_owned(),
        scope: Vec::new(),
        until: None,
    };
    let runs = Dir::open(&space.path(".runs")).unwrap();
    approve(Some(&runs), &wish, at(5000)).unwrap();
    let told = told(space, &run);
    assert_eq!(told[0][0]["actor"], "Ada");
    assert_eq!(told[1][0]["whole"], true);
    (run, told)
}

fn told(space: &Space, run: &RunReport) -> [Value; 2] {
    let of = |name: &str| space.json(&format!("{}/{name}", base(run)))["approvals"].clone();
    [of("manifest.json"), of("orchd.json")]
}

/// The same run, taken up again.
fn again(run: &RunReport, status: RunStatus) -> RunReport {
    RunReport {
        cause: Cause::Resume,
        run: run.run.clone(),
        ..report("demo", 1, status)
    }
}

#[test]
fn a_run_that_is_taken_up_again_keeps_it_all_along() {
    let space = Space::new();
    let (run, before) = approved(&space);
    let mut desk = space.desk("d2");
    let mut begun = again(&run, RunStatus::InProgress);
    desk.begin(&begun, at(6000)).unwrap();
    assert_eq!(told(&space, &run), before, "begun");
    // Only of one that is tried again the sidecar is written meanwhile.
    begun.stages[0].attempts = 2;
    desk.record(&begun, at(6010)).unwrap();
    assert_eq!(told(&space, &run), before, "recorded");
    desk.heartbeat(at(6020)).unwrap();
    assert_eq!(told(&space, &run), before, "alive");
    let ended = again(&run, RunStatus::Failed);
    desk.end(&ended, None, at(6100)).unwrap();
    assert_eq!(told(&space, &run), before, "ended");
}

#[test]
fn a_run_whose_files_go_while_it_is_under_way_keeps_it() {
    let space = Space::new();
    let (run, before) = approved(&space);
    let mut desk = space.desk("d2");
    desk.begin(&again(&run, RunStatus::InProgress), at(6000))
        .unwrap();
    std::fs::remove_dir_all(space.path(&base(&run))).unwrap();
    let ended = again(&run, RunStatus::Failed);
    desk.end(&ended, None, at(6100)).unwrap();
    assert_eq!(told(&space, &run), before);
}

#[test]
fn a_start_that_mends_or_cancels_the_run_keeps_it() {
    let late = Timestamp::parse("2100-01-01T00:00:00Z").unwrap();
    let space = Space::new();
    let (run, before) = approved(&space);
    let task = std::slice::from_ref(&run.task);
    space.write(&format!("{}/manifest.json", base(&run)), b"{\"version\": 1");
    space.desk("d2").recover(task, late).unwrap();
    assert_eq!(told(&space, &run), before, "its manifest was torn");

    let mut lost = space.desk("d3");
    lost.begin(&again(&run, RunStatus::InProgress), at(6000))
        .unwrap();
    drop(lost);
    let owner = space.path(&base(&run)).join(".orchd-owner.json");
    std::fs::remove_file(owner).unwrap();
    let found = space.desk("d4").recover(task, late).unwrap();
    assert_eq!(found.interrupted, std::slice::from_ref(&run.run));
    assert_eq!(told(&space, &run), before, "its daemon was lost");
}

#[test]
fn what_is_approved_while_an_end_is_written_is_not_written_over() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let begun = report("demo", 1, RunStatus::InProgress);
    desk.begin(&begun, at(1000)).unwrap();
    let ended = report("demo", 1, RunStatus::Failed);
    let dir = Dir::open(&space.path(&base(&begun))).unwrap();
    let kept = dir.keep().unwrap();
    let manifest = format!("{}/manifest.json", base(&begun));
    let (ended_at, hears) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let end = scope.spawn(|| {
            desk.end(&ended, None, at(1148)).unwrap();
            ended_at.send(()).unwrap();
        });
        // Somebody who holds the run's directory has his turn first, and is not forgotten.
        let waits = hears.recv_timeout(Duration::from_millis(200));
        assert_eq!(waits, Err(std::sync::mpsc::RecvTimeoutError::Timeout));
        let mut given = space.json(&manifest);
        given["approvals"] = serde_json::json!([{"actor": "x"}]);
        space.write(&manifest, given.to_string().as_bytes());
        drop(kept);
        end.join().unwrap();
    });
    let told = &space.json(&manifest)["approvals"];
    assert_eq!(*told, serde_json::json!([{"actor": "x"}]));
}
