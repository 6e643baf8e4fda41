//! Every released version of a file must still be read.
//!
//! The files stand in `tests/formats/`, one directory per version.

use super::*;
use crate::model::digest::OutputsDigest;
use crate::model::time::Day;
use std::io::Write as _;

fn released(path: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(root.join("tests/formats").join(path)).unwrap()
}

/// A run whose first stage has left something, and whose third was taken over from another run.
fn with_reuse(mut report: RunReport) -> RunReport {
    let digest = |text: &[u8]| Digest::of(text);
    report.stages[0].outputs = Some(OutputsDigest(digest(b"dist")));
    report.stages[0].proven = true;
    let third = &mut report.stages[2];
    third.status = StageStatus::Succeeded;
    third.outcome = Outcome::Passed;
    (third.attempts, third.duration) = (0, Duration::ZERO);
    third.key = third.key.map(|key| StageKey(digest(key.0.bytes())));
    third.proven = true;
    third.reused_from = Some(RunId::new(at(0), 1));
    third.reused_as = Some((2, third.id.clone()));
    report
}

#[test]
fn a_stage_that_was_taken_over_leads_to_who_executed_it() {
    let report = with_reuse(report("demo", 7, RunStatus::Failed));
    let command = &ended(&report).commands[2];
    let executed = RunId::new(at(0), 1);
    let log = format!(".runs/demo/cli/{executed}/commands/03-test.ndjson");
    assert_eq!(command.log_path, Some(log));
    let sidecar = Sidecar::of(&report);
    assert_eq!(sidecar.reused(), [executed].into());
    let stage = &sidecar.stages[2];
    assert_ne!(stage.content_key(), stage.key);
    assert_eq!(stage.content_key(), report.stages[2].content_key);
    let meanwhile = Sidecar::meanwhile(&report);
    let mut stages = meanwhile.stages.iter();
    assert!(stages.all(|it| !it.proven && it.content_key().is_none()));
    // One from before these fields were there proves a verdict, and no single stage.
    let old = Sidecar::parse(&released("orchd-1/orchd.json")).unwrap();
    assert!(old.proves() && old.stages.iter().all(|it| !it.proven));
    assert_eq!(old.stages[0].content_key(), old.stages[0].key);
}

/// The sidecar of a run that was approved, for a stage that failed and one that was not run.
fn with_approval(report: &RunReport) -> Sidecar {
    let sidecar = Sidecar::of(report);
    let stage = |place: usize, failed: bool| ApprovedStage {
        id: sidecar.stages[place].id.clone(),
        key: sidecar.stages[place].key.filter(|_| failed),
        content_key: sidecar.stages[place].key.filter(|_| !failed),
    };
    let approval = RecordedApproval {
        actor: "Ada".to_owned(),
        timestamp: at(5000),
        reason: "no fix upstream yet".to_owned(),
        stages: vec![stage(1, true), stage(2, false)],
        whole: false,
        until: Some(Day::parse("2026-12-01").unwrap()),
        input_digest: InputDigest(Digest::of(b"content")),
    };
    sidecar.approved(vec![approval])
}

#[test]
fn a_sidecar_from_before_content_was_written_down_is_still_read() {
    let old = Sidecar::parse(&released("orchd-1/orchd-before-input.json")).unwrap();
    assert!(old.proves() && old.input_digest.is_none() && old.approvals.is_empty());
    let approved = Sidecar::parse(&released("orchd-1/orchd-approved.json")).unwrap();
    assert_eq!(approved.approvals[0].brief()["actor"], "Ada");
}

/// What we release must be what was released: a difference is a new version of a format.
#[test]
fn our_files_are_as_they_were_released() {
    let report = report("demo", 7, RunStatus::Failed);
    let manifest = ended(&report);
    let path = Layout::default().manifest(&report.task, &report.run);
    let summary = RunSummary::of(&manifest, &path);
    let mut snapshot = Snapshot::empty(report.task.clone());
    snapshot.add(Entry::of(&summary));
    let others = serde_json::Map::new();
    let error = ErrorFile::of(&report, &report.stages[1], 2, at(60)).unwrap();
    let files = [
        ("manifest.json", document(&manifest)),
        ("orchd.json", document(&Sidecar::of(&report))),
        (
            "orchd-reused.json",
            document(&Sidecar::of(&with_reuse(report.clone()))),
        ),
        ("orchd-approved.json", document(&with_approval(&report))),
        ("run-summary.json", document(&summary)),
        ("runs.json", snapshot.runs_file()),
        (
            "state.json",
            snapshot.state_file(Some(&task_state(&report)), &others),
        ),
        (
            "metrics.json",
            format!("{}\n", Metrics::of(&manifest, at(149)).line()).into_bytes(),
        ),
        ("errors.json", document(&error)),
    ];
    for (name, bytes) in files {
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/formats/orchd-1")
            .join(name);
        if std::env::var_os("RELEASE_FORMATS").is_some() {
            std::fs::File::create(&golden)
                .unwrap()
                .write_all(&bytes)
                .unwrap();
        }
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, std::fs::read_to_string(&golden).unwrap(), "{name}");
    }
    assert_eq!(error.name(), "02-lint.json");
}

#[test]
fn manifests_of_the_published_orchestrator_keep_every_key() {
    for name in [
        "succeeded",
        "failed",
        "resumed",
        "cancelled",
        "allow-failure",
        "subpipeline",
        "subpipeline-child",
        "killed-in-progress",
    ] {
        let bytes = released(&format!("upstream-0.2.1/{name}.manifest.json"));
        let manifest = Manifest::parse(&bytes).unwrap();
        let theirs: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_json::to_value(&manifest).unwrap(), theirs, "{name}");
    }
}

#[test]
fn our_words_are_the_published_orchestrators() {
    for name in ["succeeded", "failed", "subpipeline", "cancelled"] {
        let read = |kind: &str| -> Value {
            let bytes = released(&format!("upstream-0.2.1/{name}.{kind}.json"));
            serde_json::from_slice(&bytes).unwrap()
        };
        let bytes = released(&format!("upstream-0.2.1/{name}.manifest.json"));
        let mut manifest = Manifest::parse(&bytes).unwrap();
        let theirs = read("run-summary");
        let path = format!("{}/manifest.json", manifest.artifact_root);
        let ours = serde_json::to_value(RunSummary::of(&manifest, &path)).unwrap();
        for pointer in [
            "/review/summary",
            "/review/decision/approved",
            "/test",
            "/build/artifacts",
            "/build/success",
            "/build/failureStage",
            "/build/failureArtifactPath",
            "/build/subtaskId",
            "/plan/targetId",
            "/plan/items/0/id",
            "/mode",
        ] {
            assert_eq!(
                ours.pointer(pointer),
                theirs.pointer(pointer),
                "{name} {pointer}"
            );
        }
        if name != "cancelled" {
            assert_eq!(ours["build"]["notes"], theirs["build"]["notes"], "{name}");
        }
        let said = manifest.summary.clone();
        manifest.note_metrics(None);
        assert_eq!(
            manifest.summary, said,
            "{name}: the guardrails' line is replaced by itself"
        );
    }
    let metrics = String::from_utf8(released("upstream-0.2.1/metrics.json")).unwrap();
    for line in metrics.lines() {
        let theirs: Value = serde_json::from_str(line).unwrap();
        let ours: Metrics = serde_json::from_str(line).unwrap();
        let ours = serde_json::to_value(ours).unwrap();
        let seed = ours.as_object().unwrap().iter().take(13);
        for (key, value) in seed {
            assert_eq!(value, &theirs[key], "{key}");
        }
    }
}

#[test]
fn the_snapshot_keeps_the_newest_fifty_and_what_others_wrote() {
    let task = TaskId::parse("demo").unwrap();
    let bytes = released("upstream-0.2.1/runs.json");
    let mut snapshot = Snapshot::parse(&bytes, &task).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(
        String::from_utf8(snapshot.runs_file()).unwrap(),
        text,
        "nothing is lost or moved"
    );
    for salt in 0..60 {
        let run = report("demo", salt, RunStatus::Succeeded);
        snapshot.add(Entry::of(&RunSummary::of(&ended(&run), "m")));
    }
    let runs: Vec<&str> = snapshot.runs().collect();
    assert_eq!(runs.len(), 50);
    let value: Value = serde_json::from_slice(&snapshot.runs_file()).unwrap();
    let runs = value["runs"].as_array().unwrap().iter();
    let times: Vec<&str> = runs.map(|run| run["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
    assert!(Snapshot::parse(text.as_bytes(), &TaskId::parse("other").unwrap()).is_none());
}

#[test]
fn state_json_keeps_the_keys_of_the_tool_that_overwrote_it() {
    let theirs = released("upstream-0.2.1/state.json");
    let others = Snapshot::others(&theirs);
    let run = report("demo", 1, RunStatus::Succeeded);
    let mut snapshot = Snapshot::empty(run.task.clone());
    snapshot.add(Entry::of(&RunSummary::of(&ended(&run), "m")));
    let state = task_state(&run);
    let bytes = snapshot.state_file(Some(&state), &others);
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["taskId"], "demo");
    assert_eq!(value["lastRunAt"], value["runs"][0]["timestamp"]);
    assert_eq!(value["orchd"]["schema"], 1);
    assert_eq!(value["orchd"]["verdict"], "pass");
    assert!(value["safety"]["validation"].is_object());
    assert_eq!(Snapshot::state(&bytes), Some(state));
    assert!(!bytes.ends_with(b"\n"));
}
