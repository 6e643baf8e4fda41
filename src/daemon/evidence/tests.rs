//! What a desk writes for whole runs, and what it finds of them afterwards.
//!
//! Each test has a workspace of its own on a real disk.

use super::*;
use crate::disk::durable::{crash_after, measure};
use crate::model::evidence::tests::{at, report, task_state};
use crate::model::run::{Outcome, ResumeReport, RunStatus, StageStatus, Verdict};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

mod cost;
mod exhibits;
mod foreseen;
mod linking;
mod lost;
mod passes;
mod recovery;
mod spare;

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
        let places = places(&root, Some(&self.dir.path().join("state")));
        Desk::open(root, places, Owner::current(instance))
    }

    pub(crate) fn json(&self, below: &str) -> Value {
        let bytes = std::fs::read(self.path(below)).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{below}: {error}"))
    }

    fn write(&self, below: &str, bytes: &[u8]) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::disk::durable::write(&path, bytes, 0o644).unwrap();
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
                // The part of a link that a kill has left is kept beside the chain.
                let is_link = name.starts_with("chain.torn.");
                let is_torn = name.contains(".corrupt-") && !is_link;
                assert!(!is_torn, "{when}: {name} was torn");
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

/// The usual places below a root.
fn places(root: &RootPath, state: Option<&Path>) -> Places {
    Places {
        runs_dir: root.as_path().join(".runs"),
        out_dir: root.as_path().join("out"),
        index_dir: state.map(|state| state.join("index")),
    }
}

pub(crate) fn run_to_end(desk: &mut Desk, salt: u32, status: RunStatus) -> RunReport {
    let begun = report("demo", salt, RunStatus::InProgress);
    desk.begin(&begun, begun.started_at).unwrap();
    let ended = report("demo", salt, status);
    desk.end(
        &ended,
        Some(&task_state(&ended)),
        ended.completed_at.unwrap(),
    )
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
}

#[test]
fn a_run_that_ended_leaves_every_file_in_step() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    let begun = report("demo", 1, RunStatus::InProgress);
    desk.begin(&begun, at(1000)).unwrap();
    let base = base(&begun);
    let token = std::fs::read_to_string(space.path(&format!("{base}/.resume-token"))).unwrap();
    let ended = report("demo", 1, RunStatus::Failed);
    desk.end(&ended, Some(&task_state(&ended)), at(1148))
        .unwrap();
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
            .and_then(|()| desk.end(&ended, Some(&task_state(&ended)), at(1)));
        assert!(
            matches!(written, Err(EvidenceError::Disk(_))),
            "{planted}: {written:?}"
        );
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0, "{planted}");
    }
}

#[test]
fn a_root_that_is_gone_is_not_made_again() {
    let space = Space::new();
    std::fs::remove_dir(space.path("")).unwrap();
    let mut desk = space.desk("d");
    let begun = desk.begin(&report("demo", 1, RunStatus::InProgress), at(0));
    assert!(matches!(begun, Err(EvidenceError::Disk(_))), "{begun:?}");
    let recovered = desk.recover(&[], at(0));
    assert!(
        matches!(recovered, Err(EvidenceError::Disk(_))),
        "{recovered:?}"
    );
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
    let cut = crash_after(12, || desk.end(&ended, Some(&task_state(&ended)), at(148)));
    assert!(matches!(cut, Err(EvidenceError::Disk(_))), "{cut:?}");
    desk.end(&ended, Some(&task_state(&ended)), at(160))
        .unwrap();
    assert_eq!(space.metrics().len(), 1);
    assert_eq!(
        space.json(&format!("{}/manifest.json", base(&ended)))["status"],
        "succeeded"
    );
}

#[test]
fn a_run_whose_files_are_removed_under_way_is_recorded_all_the_same() {
    let begun = report("demo", 1, RunStatus::InProgress);
    let ended = report("demo", 1, RunStatus::Failed);
    let commands = format!("{}/commands/01-build.ndjson", base(&begun));
    // A stage that begins meanwhile makes the directory of its log again, and nothing else.
    for (logged, recorded) in [(false, false), (true, false), (false, true)] {
        let space = Space::new();
        let mut desk = space.desk("d");
        desk.begin(&begun, at(1000)).unwrap();
        let token = space.json(&format!("{}/manifest.json", base(&begun)))["resume_token"].clone();
        std::fs::remove_dir_all(space.path(".runs")).unwrap();
        if logged {
            space.write(&commands, b"{}\n");
        }
        desk.heartbeat(at(1010)).unwrap();
        desk.recover(&[], at(900_000)).unwrap();
        if recorded {
            desk.record(&ended, at(900_010)).unwrap();
            std::fs::remove_dir_all(space.path(".runs")).unwrap();
        }
        desk.end(&ended, Some(&task_state(&ended)), at(1148))
            .unwrap();
        let manifest = space.json(&format!("{}/manifest.json", base(&begun)));
        assert_eq!(
            (&manifest["status"], &manifest["resume_token"]),
            (&"failed".into(), &token)
        );
        assert!(
            space
                .path(manifest["commands"][1]["error_file"].as_str().unwrap())
                .exists()
        );
        assert!(
            space
                .path(&format!(".runs/demo/mcp/{}/manifest.json", begun.run))
                .exists()
        );
        assert!(
            space
                .path(&format!("{}/.resume-token", base(&begun)))
                .exists()
        );
        assert!(
            !space
                .path(&format!("{}/.orchd-owner.json", base(&begun)))
                .exists()
        );
        assert_eq!(
            space.json("out/demo/runs.json")["runs"][0]["runId"],
            begun.run.as_str()
        );
        assert_eq!(desk.runs(None, 9, at(1200)).unwrap().len(), 1);
    }
}

#[test]
fn a_beginning_whose_names_may_be_lost_has_no_good_end() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let begun = report("demo", 1, RunStatus::InProgress);
    let ended = report("demo", 1, RunStatus::Succeeded);
    desk.begin(&begun, at(0)).unwrap();
    let cut = crash_after(0, || desk.anchor(&begun.run));
    assert!(matches!(cut, Err(EvidenceError::Disk(_))), "{cut:?}");
    for _ in 0..2 {
        let end = desk.end(&ended, Some(&task_state(&ended)), at(148));
        assert!(
            matches!(end, Err(EvidenceError::Unanchored { .. })),
            "{end:?}"
        );
    }
    assert_eq!(
        space.json(&format!("{}/manifest.json", base(&ended)))["status"],
        "in_progress"
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
    assert!(
        matches!(desk.find("2026", at(0)).unwrap(), Found::Many { first, more: 0 } if first.len() == 2)
    );
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
