//! What is known of the stages of a run whose daemon was lost.
//!
//! The manifest tells how they stood; the sidecar is that of the run's begin, but for attempts.

use super::recovery::die;
use super::*;
use crate::model::evidence::tests::stage;

#[test]
fn the_sidecar_of_a_lost_run_says_how_its_stages_ended() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    let mut desk = space.desk("d1");
    desk.begin(&begun, at(1000)).unwrap();
    let mut later = begun.clone();
    later.stages[0] = stage("build", StageStatus::Succeeded);
    later.stages[0].attempts = 2;
    later.stages[0].outcome = Outcome::Flaky;
    later.stages[1] = stage("lint", StageStatus::Succeeded);
    later.stages[2] = stage("test", StageStatus::Running);
    desk.record(&later, at(1050)).unwrap();
    let path = format!("{}/orchd.json", base(&begun));
    assert_eq!(space.json(&path)["stages"][0]["key"], Value::Null);
    die(&space, &begun);
    space.desk("d2").recover(&[], at(9000)).unwrap();
    let sidecar = space.json(&path);
    let stages = sidecar["stages"].as_array().unwrap();
    let said: Vec<_> = stages
        .iter()
        .map(|stage| {
            (
                stage["outcome"].as_str().unwrap(),
                stage["attempts"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [("flaky", 2), ("passed", 1), ("cancelled", 1), ("none", 0)];
    assert_eq!(said, expected);
    assert_eq!(
        (&sidecar["verdict"], &sidecar["stages"][1]["duration_ms"]),
        (&"unknown".into(), &40.into())
    );
}

#[test]
fn a_sidecar_from_a_run_without_retries_is_filled_in_of_the_manifest() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    let mut desk = space.desk("d1");
    let mut first = begun.clone();
    first
        .stages
        .iter_mut()
        .for_each(|one| *one = stage(one.id.as_str(), StageStatus::Pending));
    first.stages.iter_mut().for_each(|one| one.log_bytes = 0);
    desk.begin(&first, at(1000)).unwrap();
    let mut later = first.clone();
    later.stages[0] = stage("build", StageStatus::Succeeded);
    later.stages[1] = stage("lint", StageStatus::Running);
    desk.record(&later, at(1050)).unwrap();
    let line = |data: &str| {
        format!(
            "{{\"type\":\"command:stdout\",\"data\":\"{data}\",\"timestamp\":\"2026-11-22T10:00:00.000Z\",\"index\":1}}\n"
        )
    };
    let log = format!("{}{}{{\"torn", line("four"), line("\\u00e4"));
    let name = format!("{}/commands/01-build.ndjson", base(&begun));
    space.write(&name, log.as_bytes());
    die(&space, &begun);
    space.desk("d2").recover(&[], at(9000)).unwrap();
    let stages = &space.json(&format!("{}/orchd.json", base(&begun)))["stages"];
    assert_eq!(
        stages[0]["key"],
        Value::Null,
        "nobody has looked at the content since"
    );
    let logged = [0, 1].map(|n| stages[n]["log_bytes"].as_u64().unwrap());
    assert_eq!(logged, [6, 0], "what the log tells of");
    let said = [0, 1, 2].map(|n| (stages[n]["outcome"].clone(), stages[n]["attempts"].clone()));
    let expected = [("passed", 1), ("cancelled", 1), ("none", 0)];
    assert_eq!(
        said,
        expected.map(|(outcome, attempts)| (outcome.into(), attempts.into()))
    );
}
