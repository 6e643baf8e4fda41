use super::*;
use crate::daemon::durable::{crash_after, measure};
use crate::model::evidence::tests::{at, report, task_state};
use crate::model::run::{Outcome, ResumeReport, StageStatus, Verdict};
use serde_json::Value;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

pub(crate) struct Space {
    pub(crate) dir: TempDir,
}

impl Space {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("w")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join("w").join(below)
    }

    pub(crate) fn desk(&self, instance: &str) -> Desk {
        let root = RootPath::new(&self.path("")).unwrap();
        let places = Places::usual(&root, Some(&self.dir.path().join("state")));
        Desk::open(root, places, Owner::current(instance))
    }

    pub(crate) fn json(&self, below: &str) -> Value {
        let bytes = std::fs::read(self.path(below)).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{below}: {error}"))
    }

    fn write(&self, below: &str, bytes: &[u8]) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::daemon::durable::write(&path, bytes, 0o644).unwrap();
    }

    /// The lines that a reader of metrics takes: one that a kill cut off is skipped by all of them.
    fn metrics(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(".runs/demo/metrics.json"));
        let text = text.unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Every JSON file of the evidence parses, none is empty, and no temp file is left.
    fn check_files(&self, when: &str) {
        let mut todo = vec![self.path(".runs"), self.path("out")];
        while let Some(dir) = todo.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                assert!(!name.contains(".tmp-"), "{when}: {name} is left");
                assert!(!name.contains(".corrupt-"), "{when}: {name} was torn");
                if path.is_dir() {
                    todo.push(path);
                } else if name.ends_with(".json") && name != "metrics.json" {
                    let bytes = std::fs::read(&path).unwrap();
                    let parsed = serde_json::from_slice::<Value>(&bytes);
                    assert!(parsed.is_ok(), "{when}: {} is torn", path.display());
                }
            }
        }
        drop(self.metrics());
    }
}

pub(crate) fn run_to_end(desk: &mut Desk, salt: u32, status: RunStatus) -> RunReport {
    let begun = report("demo", salt, RunStatus::InProgress);
    desk.begin(&begun, begun.started_at).unwrap();
    let ended = report("demo", salt, status);
    desk.end(&ended, &task_state(&ended), ended.completed_at.unwrap())
        .unwrap();
    ended
}

fn base(report: &RunReport) -> String {
    format!(".runs/{}/cli/{}", report.task, report.run)
}

#[test]
fn a_run_leaves_every_file_where_other_tools_look_for_it() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let begun = report("demo", 1, RunStatus::InProgress);
    desk.begin(&begun, at(1000)).unwrap();
    let base = base(&begun);
    let manifest = space.json(&format!("{base}/manifest.json"));
    assert_eq!(manifest["status"], "in_progress");
    assert_eq!(manifest["started_at"], "2026-11-22T10:09:51.592Z");
    let token = std::fs::read_to_string(space.path(&format!("{base}/.resume-token"))).unwrap();
    assert_eq!(
        token,
        format!("{}\n", manifest["resume_token"].as_str().unwrap())
    );
    assert_eq!(token.len(), 65);
    let beat = std::fs::read_to_string(space.path(&format!("{base}/.heartbeat"))).unwrap();
    assert_eq!(beat, "2026-11-22T10:09:51.592Z\n");
    let pointer = space.json(&format!(".runs/demo/mcp/{}/manifest.json", begun.run));
    assert_eq!(pointer["redirect_to"], base.as_str());
    let local = space.path(&format!(".runs/local-mcp/{}/manifest.json", begun.run));
    let target = std::fs::read_link(&local).unwrap();
    assert_eq!(
        target,
        Path::new(&format!("../../demo/cli/{}/manifest.json", begun.run))
    );
    assert!(local.exists(), "the link leads to the manifest");
    assert!(space.path(&format!("{base}/commands")).is_dir());

    let ended = report("demo", 1, RunStatus::Failed);
    desk.end(&ended, &task_state(&ended), at(1148)).unwrap();
    let manifest = space.json(&format!("{base}/manifest.json"));
    assert_eq!(manifest["status"], "failed");
    assert_eq!(manifest["metrics_recorded"], true);
    assert_eq!(
        manifest["run_summary_path"],
        format!("{base}/run-summary.json")
    );
    assert_eq!(manifest["resume_token"].as_str().unwrap(), token.trim());
    let error = manifest["commands"][1]["error_file"].as_str().unwrap();
    assert_eq!(space.json(error)["details"]["stderr"], "oops");
    assert_eq!(space.metrics().len(), 1);
    assert_eq!(space.metrics()[0]["duration_seconds"], 0.148);
    let summary = space.json(&format!("{base}/run-summary.json"));
    assert_eq!(space.json("out/demo/runs.json")["runs"][0], summary);
    assert_eq!(
        space.json(&format!(".runs/demo/{}/manifest.json", begun.run)),
        summary
    );
    assert_eq!(
        space.json("out/demo/state.json")["orchd"]["verdict"],
        "fail"
    );
    assert_eq!(space.json(&format!("{base}/orchd.json"))["verdict"], "fail");
    assert!(!space.path(".runs/demo.lock").exists());
    assert!(!space.path(&format!("{base}/.orchd-owner.json")).exists());
    space.check_files("after the end");
}

#[test]
fn the_whole_evidence_of_a_run_is_cheap() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    let begun = report("demo", 2, RunStatus::InProgress);
    let ended = report("demo", 2, RunStatus::Succeeded);
    let state = task_state(&ended);
    let ((), begin) = measure(|| desk.begin(&begun, at(0)).unwrap());
    let ((), record) = measure(|| desk.record(&begun, at(1)).unwrap());
    let ((), end) = measure(|| desk.end(&ended, &state, at(2)).unwrap());
    assert!(begin.syncs <= 13, "{begin:?}");
    assert!(record.syncs <= 1, "{record:?}");
    assert!(end.syncs <= 14, "{end:?}");
}

/// What the "process" came to before it was ended.
#[derive(Clone, Copy)]
struct Heard {
    begun: bool,
    ended: bool,
}

#[test]
fn wherever_the_daemon_dies_the_next_start_leaves_whole_files_and_one_end() {
    // Files carry the real time; what was left long ago is asked for.
    let late = Timestamp::parse("2100-01-01T00:00:00Z").unwrap();
    for steps in 0.. {
        let space = Space::new();
        run_to_end(&mut space.desk("before"), 1, RunStatus::Succeeded);
        let begun = report("demo", 2, RunStatus::InProgress);
        let ended = report("demo", 2, RunStatus::Failed);
        let mut desk = space.desk("killed");
        let heard = crash_after(steps, || {
            let begun_ok = desk.begin(&begun, at(2000)).is_ok();
            let recorded = begun_ok && desk.record(&begun, at(2010)).is_ok();
            let ended = recorded && desk.end(&ended, &task_state(&ended), at(2148)).is_ok();
            Heard {
                begun: begun_ok,
                ended,
            }
        });
        drop(desk);
        die(&space, &begun);
        let mut desk = space.desk("after");
        desk.recover(std::slice::from_ref(&begun.task), late)
            .unwrap();
        let when = format!("killed after {steps} acts");
        space.check_files(&when);
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
fn die(space: &Space, report: &RunReport) {
    let path = format!("{}/.orchd-owner.json", base(report));
    if space.path(&path).exists() {
        let mut owner = Owner::current("killed");
        owner.boot_id = "an earlier start".to_owned();
        space.write(&path, &serde_json::to_vec(&owner).unwrap());
    }
}

#[test]
fn a_lost_run_is_cancelled_and_can_be_resumed() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    space.desk("d1").begin(&begun, at(1000)).unwrap();
    die(&space, &begun);
    let mut desk = space.desk("d2");
    let found = desk
        .recover(std::slice::from_ref(&begun.task), at(9000))
        .unwrap();
    assert_eq!(found.interrupted, [begun.run.clone()]);
    let manifest = space.json(&format!("{}/manifest.json", base(&begun)));
    assert_eq!(manifest["status"], "cancelled");
    assert_eq!(manifest["status_detail"], "daemon-lost");
    assert_eq!(manifest["completed_at"], at(9000).to_string());
    assert_eq!(manifest["commands"][0]["status"], "failed");
    assert_eq!(manifest["commands"][1]["status"], "pending");
    let last = found.known[&begun.task].last.as_ref().unwrap();
    assert_eq!(last.status_detail.as_deref(), Some("daemon-lost"));
    assert_eq!(last.record.verdict, Verdict::Unknown);
    assert_eq!(last.failure.as_ref().unwrap().excerpt, "daemon lost");

    let reopened = desk.reopen(&begun.run, at(9100)).unwrap();
    assert_eq!(reopened.status, RunStatus::Cancelled);
    assert_eq!(
        reopened.resume_token,
        manifest["resume_token"].as_str().unwrap()
    );
    assert_eq!(reopened.stages[1].key, begun.stages[1].key);
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
    desk.end(&ended, &task_state(&ended), at(9200)).unwrap();
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
        include_bytes!("../../../tests/formats/upstream-0.2.1/killed-in-progress.manifest.json");
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
fn any_torn_file_heals() {
    for (file, cut) in [
        ("manifest", 0),
        ("manifest", 700),
        ("orchd", 0),
        ("orchd", 90),
        ("run-summary", 0),
        ("state", 0),
        ("state", 300),
        ("runs", 0),
        ("runs", 300),
    ] {
        let space = Space::new();
        let mut desk = space.desk("d1");
        run_to_end(&mut desk, 1, RunStatus::Succeeded);
        let run = run_to_end(&mut desk, 2, RunStatus::Succeeded);
        drop(desk);
        let path = match file {
            "state" | "runs" => format!("out/demo/{file}.json"),
            _ => format!("{}/{file}.json", base(&run)),
        };
        let whole = std::fs::read(space.path(&path)).unwrap();
        space.write(&path, &whole[..cut]);
        let mut desk = space.desk("d2");
        desk.recover(std::slice::from_ref(&run.task), at(9000))
            .unwrap();
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
        assert_eq!(ids.len(), 3, "{path} cut at {cut}");
        assert_eq!(ids[2], third.run.as_str());
        assert_eq!(state["orchd"]["verdict"], "pass");
        let manifest = space.json(&format!("{}/manifest.json", base(&run)));
        assert_eq!(manifest["status"], "succeeded", "{path} cut at {cut}");
        assert_eq!(
            manifest["commands"].as_array().unwrap().len(),
            4,
            "{path} cut at {cut}"
        );
        let rows = desk.runs(None, 10, at(9999)).unwrap();
        assert_eq!(rows.len(), 3, "{path} cut at {cut}");
    }
}

#[test]
fn history_survives_a_tool_that_overwrites_our_snapshots() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    let theirs = include_bytes!("../../../tests/formats/upstream-0.2.1/state.json");
    space.write("out/demo/state.json", theirs);
    let mut runs = space.json("out/demo/runs.json");
    let mut entry = runs["runs"][0].clone();
    entry["runId"] = "2026-11-22T09-00-00-000Z-00000000".into();
    entry["timestamp"] = "2026-11-22T09:00:00.000Z".into();
    entry["theirs"] = 7.into();
    runs["runs"].as_array_mut().unwrap().push(entry);
    space.write("out/demo/runs.json", &serde_json::to_vec(&runs).unwrap());
    let run = run_to_end(&mut desk, 2, RunStatus::Succeeded);
    let state = space.json("out/demo/state.json");
    assert_eq!(state["runs"].as_array().unwrap().len(), 3);
    assert_eq!(state["runs"][0]["theirs"], 7);
    assert_eq!(state["runs"][2]["runId"], run.run.as_str());
    assert!(state["throughput"].is_object());
    // Another task's snapshot under our name is put aside, and ours is made of the run directories.
    space.write(
        "out/demo/runs.json",
        br#"{"taskId": "other", "lastRunAt": "", "runs": []}"#,
    );
    space.write("out/demo/state.json", b"null");
    run_to_end(&mut desk, 3, RunStatus::Failed);
    assert_eq!(
        space.json("out/demo/runs.json")["runs"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
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
        known.last.as_ref().unwrap().record.status,
        RunStatus::Cancelled
    );
    let proof = &known.proofs[&proven.pipeline];
    assert_eq!((&proof.run, proof.verdict), (&proven.run, Verdict::Fail));
    assert_eq!(proof.stages[1].key, proven.stages[1].key);
    assert_eq!(proof.stages[1].outcome, Outcome::Failed);
    assert!(found.known[&other].last.is_none());
}

#[test]
fn links_planted_in_the_workspace_are_refused() {
    for planted in [".runs", "out", ".runs/demo", "out/demo"] {
        let space = Space::new();
        let victim = space.dir.path().join("victim");
        std::fs::create_dir(&victim).unwrap();
        let link = space.path(planted);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&victim, &link).unwrap();
        let mut desk = space.desk("d");
        let begun = report("demo", 1, RunStatus::InProgress);
        let ended = report("demo", 1, RunStatus::Succeeded);
        let written = desk
            .begin(&begun, at(0))
            .and_then(|()| desk.end(&ended, &task_state(&ended), at(1)));
        assert!(written.is_err(), "{planted}");
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0, "{planted}");
    }
}

#[test]
fn a_root_that_is_gone_is_not_made_again() {
    let space = Space::new();
    std::fs::remove_dir(space.path("")).unwrap();
    let mut desk = space.desk("d");
    assert!(
        desk.begin(&report("demo", 1, RunStatus::InProgress), at(0))
            .is_err()
    );
    assert!(desk.recover(&[], at(0)).is_err());
    assert!(!space.path("").exists());
}

#[test]
fn a_heartbeat_keeps_what_another_tool_wrote_meanwhile() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let begun = report("demo", 1, RunStatus::InProgress);
    desk.begin(&begun, at(1000)).unwrap();
    let path = format!("{}/manifest.json", base(&begun));
    let mut manifest = space.json(&path);
    manifest["approvals"] =
        serde_json::json!([{"actor": "me", "timestamp": "2026-11-22T10:00:00.000Z"}]);
    space.write(&path, &serde_json::to_vec(&manifest).unwrap());
    desk.heartbeat(at(6000)).unwrap();
    let after = space.json(&path);
    assert_eq!(after["heartbeat_at"], at(6000).to_string());
    assert_eq!(after["approvals"], manifest["approvals"]);
    let beat =
        std::fs::read_to_string(space.path(&format!("{}/.heartbeat", base(&begun)))).unwrap();
    assert_eq!(beat, format!("{}\n", at(6000)));
}

#[test]
fn a_lock_of_the_dead_is_taken_over_and_one_of_the_living_is_not_waited_for() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let begun = report("demo", 1, RunStatus::InProgress);
    desk.begin(&begun, at(0)).unwrap();
    let lock = ".runs/demo.lock";
    let child = dead_process();
    let payload = serde_json::json!({
        "schema_version": 1, "kind": "codex-lock-owner", "token": "t", "task_id": "demo", "pid": child,
        "host": rustix::system::uname().nodename().to_string_lossy(), "acquired_at": at(0).to_string(),
        "stale_ms": null,
    });
    space.write(lock, payload.to_string().as_bytes());
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    assert!(!space.path(lock).exists());
    space.write(lock, b"");
    run_to_end(&mut desk, 2, RunStatus::Succeeded);
    assert!(space.path(lock).exists(), "an empty lock may be somebody's");
    assert_eq!(
        space.json("out/demo/runs.json")["runs"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a real process that is really gone"
)]
fn dead_process() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

#[test]
fn an_end_that_failed_can_be_asked_for_again() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let begun = report("demo", 1, RunStatus::InProgress);
    let ended = report("demo", 1, RunStatus::Succeeded);
    desk.begin(&begun, at(0)).unwrap();
    let cut = crash_after(12, || desk.end(&ended, &task_state(&ended), at(148)));
    assert!(cut.is_err());
    desk.end(&ended, &task_state(&ended), at(160)).unwrap();
    assert_eq!(space.metrics().len(), 1);
    assert_eq!(
        space.json(&format!("{}/manifest.json", base(&ended)))["status"],
        "succeeded"
    );
}

#[test]
fn one_run_is_shown_in_full_and_found_by_a_part_of_its_id() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let first = run_to_end(&mut desk, 1, RunStatus::Succeeded);
    run_to_end(&mut desk, 2, RunStatus::Failed);
    let Found::One(row) = desk.find("00000001", at(0)).unwrap() else {
        panic!("not one");
    };
    assert_eq!(row.run_id, first.run);
    assert!(matches!(desk.find("2026", at(0)).unwrap(), Found::Many(ids) if ids.len() == 2));
    assert_eq!(desk.find("nothing", at(0)).unwrap(), Found::None);
    let shown = serde_json::to_value(desk.show(&first.run, at(0)).unwrap()).unwrap();
    assert_eq!(shown["verdict"], "pass");
    assert_eq!(shown["sidecar"]["cause"], "change");
    assert_eq!(shown["manifest_content"]["run_id"], first.run.as_str());
    let manifest = space.path(&format!("{}/manifest.json", base(&first)));
    assert_eq!(shown["paths"]["manifest"], manifest.to_str().unwrap());
    let unknown = RunId::parse("nothing").unwrap();
    let said = desk.show(&unknown, at(0)).unwrap_err().to_string();
    assert!(
        said.contains("nothing") && said.contains("orchctl runs"),
        "{said}"
    );
    assert_eq!(first.stages[0].status, StageStatus::Succeeded);
}

/// What a run's evidence costs: `cargo test --release --lib -- --ignored what_a_run_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_run_costs() {
    use rustix::time::{ClockId, clock_gettime};
    let space = Space::new();
    let mut desk = space.desk("d");
    let timed = |act: &mut dyn FnMut()| {
        let begin = clock_gettime(ClockId::Monotonic);
        let ((), counts) = measure(act);
        let end = clock_gettime(ClockId::Monotonic);
        let ns = (end.tv_sec - begin.tv_sec) * 1_000_000_000 + end.tv_nsec - begin.tv_nsec;
        (ns / 1000, counts.syncs)
    };
    let mut all: Vec<Vec<(i64, u64)>> = vec![Vec::new(); 4];
    for salt in 1..=120 {
        let begun = report("demo", salt, RunStatus::InProgress);
        let ended = report("demo", salt, RunStatus::Succeeded);
        let state = task_state(&ended);
        all[0].push(timed(&mut || desk.begin(&begun, at(0)).unwrap()));
        all[1].push(timed(&mut || desk.record(&begun, at(1)).unwrap()));
        all[2].push(timed(&mut || desk.end(&ended, &state, at(2)).unwrap()));
        all[3].push(timed(&mut || {
            desk.state(&ended.task, &state, at(3)).unwrap()
        }));
    }
    let told = ["begin", "record", "end", "state"]
        .iter()
        .zip(all.iter_mut())
        .map(|(what, times)| {
            let times = &mut times[60..];
            times.sort_unstable();
            format!(
                "{what}: p50 {} us, p90 {} us, {} syncs",
                times[30].0, times[54].0, times[30].1
            )
        });
    let told: Vec<String> = told.collect();
    assert!(told.is_empty(), "{told:#?}");
}
