//! What a start makes of what a lost daemon left.
//!
//! The writer is stopped after every file operation in turn, and the next start has to find whole files.

use super::*;
use crate::model::run::{Changed, Void};

/// What the "process" came to before it was ended.
#[derive(Clone, Copy)]
struct Heard {
    begun: bool,
    ended: bool,
}

#[test]
fn wherever_the_daemon_dies_the_next_start_leaves_whole_files_and_one_end() {
    die_after_each_act(|_, _| ());
}

/// Ends the "process" after each act of a run that begins after `ready`.
pub(super) fn die_after_each_act(ready: fn(&mut Desk, &RunReport)) {
    // Files carry the real time; what was left long ago is asked for.
    let late = Timestamp::parse("2100-01-01T00:00:00Z").unwrap();
    for steps in 0.. {
        let space = Space::new();
        run_to_end(&mut space.desk("before"), 1, RunStatus::Succeeded);
        let begun = report("demo", 2, RunStatus::InProgress);
        let ended = report("demo", 2, RunStatus::Failed);
        let mut desk = space.desk("killed");
        let heard = crash_after(steps, || {
            ready(&mut desk, &begun);
            let begun_ok = desk.begin(&begun, at(2000)).is_ok();
            let recorded = begun_ok && desk.record(&begun, at(2010)).is_ok();
            let ended = recorded
                && desk
                    .end(&ended, Some(&task_state(&ended)), at(2148))
                    .is_ok();
            Heard {
                begun: begun_ok,
                ended,
            }
        });
        drop(desk);
        die(&space, &begun);
        let mut desk = space.desk("after");
        let when = format!("killed after {steps} acts");
        let lost = desk.lost(late).unwrap();
        assert_eq!(
            desk.lost(late).unwrap(),
            lost,
            "{when}: looking settles nothing"
        );
        let found = desk
            .recover(std::slice::from_ref(&begun.task), late)
            .unwrap();
        assert_eq!(lost, found.interrupted.into_iter().collect(), "{when}");
        space.check_files(&when);
        linking::check(&space, &when);
        let lines = check_one_end(&space, &begun, heard, &when);
        let again = desk
            .recover(std::slice::from_ref(&begun.task), late)
            .unwrap();
        assert!(again.interrupted.is_empty(), "{when}: lost twice");
        assert_eq!(space.metrics().len(), 1 + lines, "{when}");
        if heard.ended {
            break;
        }
    }
}

/// The run stands as what was heard of it, with one end; how many metrics lines it has.
fn check_one_end(space: &Space, run: &RunReport, heard: Heard, when: &str) -> usize {
    let path = format!("{}/manifest.json", base(run));
    let lines = space
        .metrics()
        .into_iter()
        .filter(|line| line["run_id"] == run.run.as_str());
    let lines: Vec<Value> = lines.collect();
    let there = space.path(&path).exists();
    assert!(there || !heard.begun, "{when}: an acknowledged run is gone");
    if !there {
        assert!(lines.is_empty(), "{when}");
        assert!(
            !space.path(&base(run)).exists(),
            "{when}: the rest of it is left"
        );
        assert!(
            !space.path(&format!(".runs/demo/mcp/{}", run.run)).exists(),
            "{when}"
        );
        return 0;
    }
    let manifest = space.json(&path);
    let status = manifest["status"].as_str().unwrap();
    assert!(
        ["failed", "cancelled"].contains(&status),
        "{when}: {status}"
    );
    assert!(status == "failed" || !heard.ended, "{when}");
    assert_eq!(lines.len(), 1, "{when}");
    assert_eq!(lines[0]["status"], status, "{when}");
    let summary = manifest["run_summary_path"].as_str().unwrap();
    let runs = space.json("out/demo/runs.json");
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "{when}");
    assert_eq!(runs["runs"][1], space.json(summary), "{when}");
    assert!(
        space
            .path(&format!(".runs/local-mcp/{}/manifest.json", run.run))
            .exists()
    );
    if heard.ended {
        assert_eq!(
            space.json("out/demo/state.json")["orchd"]["verdict"],
            "fail",
            "{when}"
        );
    }
    1
}

/// Makes the owner that a run names a process of an earlier start of the system.
pub(super) fn die(space: &Space, report: &RunReport) {
    let path = format!("{}/.orchd-owner.json", base(report));
    if space.path(&path).exists() {
        let mut owner = Owner::current("killed");
        owner.boot_id = "an earlier start".to_owned();
        space.write(&path, &serde_json::to_vec(&owner).unwrap());
    }
}

#[test]
fn a_lost_run_is_cancelled_and_told() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    space.desk("d1").begin(&begun, at(1000)).unwrap();
    die(&space, &begun);
    let mut desk = space.desk("d2");
    let found = desk
        .recover(std::slice::from_ref(&begun.task), at(9000))
        .unwrap();
    assert_eq!(found.interrupted, std::slice::from_ref(&begun.run));
    assert!(desk.former.is_empty(), "thousands may have been lost");
    let manifest = space.json(&format!("{}/manifest.json", base(&begun)));
    assert_eq!(manifest["status"], "cancelled");
    assert_eq!(manifest["status_detail"], "daemon-lost");
    assert_eq!(manifest["completed_at"], at(9000).to_string());
    assert_eq!(manifest["commands"][0]["status"], "failed");
    assert_eq!(manifest["commands"][1]["status"], "pending");
    let last = &found.known[&begun.task].last[&begun.pipeline];
    assert_eq!(last.status_detail.as_deref(), Some("daemon-lost"));
    assert_eq!(last.record.verdict, Verdict::Unknown);
    assert_eq!(last.failure.as_ref().unwrap().excerpt, "daemon lost");
}

#[test]
fn of_a_void_run_nobody_knows_what_its_stages_read() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let begun = report("demo", 1, RunStatus::InProgress);
    desk.begin(&begun, at(1000)).unwrap();
    let mut ended = report("demo", 1, RunStatus::Succeeded);
    ended.completed_at = Some(at(1100));
    ended.void = Some(Void {
        changed: Changed::Everything,
        rewritten: Vec::new(),
    });
    desk.end(&ended, Some(&task_state(&ended)), at(1100))
        .unwrap();
    let reopened = desk.reopen(&ended.run, at(1200)).unwrap();
    assert_eq!(reopened.stages[1].key, None);
    assert_eq!(reopened.stages[1].id, ended.stages[1].id);
}

#[test]
fn a_lost_run_is_resumed_with_its_token_and_ends_a_second_time() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    space.desk("d1").begin(&begun, at(1000)).unwrap();
    die(&space, &begun);
    let mut desk = space.desk("d2");
    desk.recover(&[], at(9000)).unwrap();
    let manifest = space.json(&format!("{}/manifest.json", base(&begun)));
    let reopened = desk.reopen(&begun.run, at(9100)).unwrap();
    assert_eq!(manifest["status"], "cancelled");
    assert_eq!(
        reopened.resume_token,
        manifest["resume_token"].as_str().unwrap()
    );
    // Nobody has looked whether the content is what it began on.
    assert_eq!(reopened.stages[1].key, None);
    assert!(!reopened.owned);
    let mut resumed = report("demo", 1, RunStatus::InProgress);
    resumed.status_detail = Some("resuming".to_owned());
    resumed.resumes.push(ResumeReport {
        timestamp: at(9100),
        actor: "cli".to_owned(),
        reason: "manual-resume".to_owned(),
    });
    desk.begin(&resumed, at(9100)).unwrap();
    let again = space.json(&format!("{}/manifest.json", base(&begun)));
    assert_eq!(again["status_detail"], "resuming");
    assert_eq!(again["completed_at"], Value::Null);
    assert_eq!(again["metrics_recorded"], false);
    assert_eq!(again["resume_events"][0]["outcome"], "accepted");
    assert_eq!(again["resume_token"], manifest["resume_token"]);
    assert!(desk.reopen(&begun.run, at(9150)).unwrap().owned);
    let mut ended = report("demo", 1, RunStatus::Succeeded);
    ended.completed_at = Some(at(9200));
    desk.end(&ended, Some(&task_state(&ended)), at(9200))
        .unwrap();
    let statuses: Vec<Value> = space
        .metrics()
        .iter()
        .map(|m| m["status"].clone())
        .collect();
    assert_eq!(statuses, ["cancelled", "succeeded"]);
    assert_eq!(
        space.json("out/demo/runs.json")["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_run_of_a_living_process_is_left_alone() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    let mut living = space.desk("d1");
    living.begin(&begun, at(1000)).unwrap();
    let found = space.desk("other").recover(&[], at(900_000)).unwrap();
    assert_eq!(
        (found.alive.as_slice(), found.interrupted.len()),
        ([begun.run.clone()].as_slice(), 0)
    );
    // Its own desk knows that it holds it.
    let found = living.recover(&[], at(900_000)).unwrap();
    assert!(found.alive.is_empty() && found.interrupted.is_empty());
}

#[test]
fn a_run_without_an_owner_is_judged_by_its_heartbeat() {
    let space = Space::new();
    let theirs =
        include_bytes!("../../../../tests/formats/upstream-0.2.1/killed-in-progress.manifest.json");
    let value: Value = serde_json::from_slice(theirs).unwrap();
    let run = value["run_id"].as_str().unwrap();
    let task = value["task_id"].as_str().unwrap();
    let path = format!(".runs/{task}/cli/{run}/manifest.json");
    space.write(&path, theirs);
    let file = std::fs::File::options()
        .write(true)
        .open(space.path(&path))
        .unwrap();
    let beat = Timestamp::parse(value["heartbeat_at"].as_str().unwrap()).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let soon = Timestamp::from_unix_ms(beat.unix_ms() + 29_000);
    let found = space.desk("d").recover(&[], soon).unwrap();
    assert_eq!(found.alive.len(), 1);
    let later = Timestamp::from_unix_ms(beat.unix_ms() + 31_000);
    let found = space.desk("d").recover(&[], later).unwrap();
    assert_eq!(found.interrupted.len(), 1);
    let after = space.json(&path);
    assert_eq!(after["status"], "cancelled");
    for (key, value) in value.as_object().unwrap() {
        assert!(after.get(key).is_some(), "{key} is lost");
        if [
            "memory",
            "handles",
            "privacy",
            "control_plane",
            "workspace_path",
        ]
        .contains(&key.as_str())
        {
            assert_eq!(&after[key], value, "{key}");
        }
    }
}

#[test]
fn any_file_that_is_torn_or_gone_heals() {
    for (file, cut) in [
        ("manifest", None),
        ("manifest", Some(0)),
        ("manifest", Some(700)),
        ("orchd", Some(0)),
        ("orchd", Some(90)),
        ("run-summary", Some(0)),
        ("state", Some(0)),
        ("state", Some(300)),
        ("runs", None),
        ("runs", Some(0)),
        ("runs", Some(300)),
    ] {
        let space = Space::new();
        let mut desk = space.desk("d1");
        run_to_end(&mut desk, 1, RunStatus::Succeeded);
        let run = run_to_end(&mut desk, 2, RunStatus::Succeeded);
        // The next start finds rows of both in the index.
        assert_eq!(desk.runs(None, 10, at(3000)).unwrap().len(), 2);
        drop(desk);
        let path = match file {
            "state" | "runs" => format!("out/demo/{file}.json"),
            _ => format!("{}/{file}.json", base(&run)),
        };
        let whole = std::fs::read(space.path(&path)).unwrap();
        match cut {
            Some(cut) => space.write(&path, &whole[..cut]),
            None => std::fs::remove_file(space.path(&path)).unwrap(),
        }
        let mut desk = space.desk("d2");
        desk.recover(std::slice::from_ref(&run.task), at(9000))
            .unwrap();
        let listed = space.json("out/demo/runs.json");
        assert_eq!(listed["runs"].as_array().unwrap().len(), 2, "{path}");
        let third = run_to_end(&mut desk, 3, RunStatus::Succeeded);
        let state = space.json("out/demo/state.json");
        let runs = space.json("out/demo/runs.json");
        assert_eq!(runs["runs"], state["runs"], "{path}");
        let ids: Vec<&Value> = runs["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["runId"])
            .collect();
        assert_eq!(ids.len(), 3, "{path} cut at {cut:?}");
        assert_eq!(ids[2], third.run.as_str());
        assert_eq!(state["orchd"]["verdict"], "pass");
        let manifest = space.json(&format!("{}/manifest.json", base(&run)));
        assert_eq!(manifest["status"], "succeeded", "{path} cut at {cut:?}");
        assert_eq!(
            manifest["commands"].as_array().unwrap().len(),
            4,
            "{path} cut at {cut:?}"
        );
        let rows = desk.runs(None, 10, at(9999)).unwrap();
        assert_eq!(rows.len(), 3, "{path} cut at {cut:?}");
    }
}

#[test]
fn a_run_whose_end_could_not_be_written_is_nobody_s() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let begun = report("demo", 1, RunStatus::InProgress);
    let ended = report("demo", 1, RunStatus::Succeeded);
    desk.begin(&begun, at(0)).unwrap();
    let cut = crash_after(3, || desk.end(&ended, Some(&task_state(&ended)), at(148)));
    assert!(matches!(cut, Err(EvidenceError::Disk(_))), "{cut:?}");
    let path = format!("{}/manifest.json", base(&begun));
    let before = space.json(&path);
    assert_eq!(before["status"], "in_progress");
    desk.heartbeat(at(9000)).unwrap();
    assert_eq!(space.json(&path), before, "nobody lives for it");
    assert!(!desk.reopen(&begun.run, at(9000)).unwrap().owned);
    assert!(desk.lost(at(9000)).unwrap().contains(&begun.run));
    let found = desk.recover(&[], at(9000)).unwrap();
    assert_eq!(found.interrupted, std::slice::from_ref(&begun.run));
    assert_eq!(space.json(&path)["status"], "cancelled");
}

#[test]
fn a_resume_that_was_refused_leaves_nothing_behind() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    space.desk("d1").begin(&begun, at(1000)).unwrap();
    die(&space, &begun);
    let mut desk = space.desk("d2");
    assert!(!desk.reopen(&begun.run, at(9000)).unwrap().owned);
    // Nobody begins it; it is closed as any other.
    let found = desk.recover(&[], at(9100)).unwrap();
    assert_eq!(found.interrupted, std::slice::from_ref(&begun.run));
    let manifest = space.json(&format!("{}/manifest.json", base(&begun)));
    assert_eq!(manifest["status"], "cancelled");
}

#[test]
fn what_somebody_newer_wrote_is_left_alone() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    space.desk("d1").begin(&begun, at(1000)).unwrap();
    die(&space, &begun);
    let path = format!("{}/manifest.json", base(&begun));
    let mut manifest = space.json(&path);
    manifest["version"] = 2.into();
    space.write(&path, &serde_json::to_vec(&manifest).unwrap());
    let mut desk = space.desk("d2");
    let found = desk.recover(&[], at(900_000)).unwrap();
    assert!(found.interrupted.is_empty());
    assert_eq!(space.json(&path), manifest);
    let said = desk.reopen(&begun.run, at(900_000)).unwrap_err();
    let source = std::error::Error::source(&said).unwrap().to_string();
    assert!(source.contains("version 2"), "{source}");

    manifest["version"] = 1.into();
    space.write(&path, &serde_json::to_vec(&manifest).unwrap());
    let sidecar = format!("{}/orchd.json", base(&begun));
    space.write(&sidecar, br#"{"schema": 9, "more": true}"#);
    let found = space.desk("d3").recover(&[], at(900_000)).unwrap();
    assert!(found.interrupted.is_empty());
    assert_eq!(space.json(&path), manifest);
    assert_eq!(space.json(&sidecar)["schema"], 9);
}

#[test]
fn a_restart_knows_what_is_proven() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let proven = run_to_end(&mut desk, 1, RunStatus::Failed);
    run_to_end(&mut desk, 2, RunStatus::Cancelled);
    let other = TaskId::parse("other").unwrap();
    let found = space
        .desk("d2")
        .recover(&[proven.task.clone(), other.clone()], at(9000))
        .unwrap();
    let known = &found.known[&proven.task];
    assert_eq!(
        known.last[&proven.pipeline].record.status,
        RunStatus::Cancelled
    );
    let [proof] = known.proofs[&proven.pipeline].as_slice() else {
        panic!("{known:?}");
    };
    assert_eq!((&proof.run, proof.verdict), (&proven.run, Verdict::Fail));
    assert_eq!(proof.stages[1].key, proven.stages[1].key);
    assert_eq!(proof.stages[1].outcome, Outcome::Failed);
    assert!(found.known[&other].last.is_empty());
}

#[test]
fn a_run_that_never_began_is_cleared_and_one_that_begins_is_left_alone() {
    let dead = {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test needs a pid that is gone"
        )]
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    };
    let parent = std::os::unix::process::parent_id();
    for (writer, stays) in [(dead, false), (parent, true)] {
        let space = Space::new();
        let run = report("demo", 1, RunStatus::InProgress);
        run_to_end(&mut space.desk("d1"), 2, RunStatus::Succeeded);
        let now = crate::daemon::clock::Clock::start().wall();
        let temp = format!("{}/manifest.json.tmp-{writer}-3", base(&run));
        let standing = format!("out/demo/state.json.tmp-{writer}-4");
        space.write(&temp, b"{");
        space.write(&standing, b"{");
        let found = space
            .desk("d2")
            .recover(std::slice::from_ref(&run.task), now)
            .unwrap();
        assert_eq!(space.path(&base(&run)).exists(), stays);
        assert_eq!(space.path(&temp).exists(), stays);
        assert_eq!(space.path(&standing).exists(), stays);
        let manifest = format!("{}/manifest.json", base(&run));
        assert!(!space.path(&manifest).exists(), "nothing is made up");
        assert_eq!(
            found.alive.contains(&run.run),
            stays,
            "it is looked at again"
        );
    }
}

#[test]
fn a_restart_knows_what_has_failed() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let failed = run_to_end(&mut desk, 1, RunStatus::Failed);
    let key = failed.stages[1].key.unwrap();
    assert_eq!(failed.stages[1].outcome, Outcome::Failed);
    let known = |space: &Space| {
        let mut desk = space.desk("d2");
        let mut found = desk.recover(std::slice::from_ref(&failed.task), at(9000));
        found.as_mut().unwrap().known.remove(&failed.task).unwrap()
    };
    let alone = known(&space);
    assert!(alone.history.has_failed(key));
    assert_eq!(alone.proofs[&failed.pipeline][0].verdict, Verdict::Fail);

    // Of a daemon that did not know of the failure.
    let passed = run_to_end(&mut desk, 2, RunStatus::Succeeded);
    assert_eq!(passed.stages[1].key, Some(key));
    let both = known(&space);
    let [proof] = both.proofs[&failed.pipeline].as_slice() else {
        panic!("{both:?}");
    };
    // That it is flaky follows of both, and is the engine's to say.
    assert_eq!((&proof.run, proof.verdict), (&passed.run, Verdict::Pass));
    assert!(both.history.has_failed(key));
    let key_of_the_first = failed.stages[0].key.unwrap();
    assert!(!both.history.has_failed(key_of_the_first));
}
