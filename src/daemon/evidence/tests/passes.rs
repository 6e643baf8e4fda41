//! What the stages of runs have proven, read back at a start and before a run takes it over.
//!
//! Each stage speaks for itself, and only of what its own run has executed.

use super::*;
use crate::engine::proven::Proven;
use crate::model::digest::{Digest, StageKey};

fn key(name: &str) -> StageKey {
    StageKey(Digest::of(name.as_bytes()))
}

/// A run of three whose sidecar says further things of its stages.
fn told(space: &Space, desk: &mut Desk, salt: u32, change: impl FnOnce(&mut Value)) -> RunReport {
    let run = run_to_end(desk, salt, RunStatus::Succeeded);
    let path = format!("{}/orchd.json", base(&run));
    let mut sidecar = space.json(&path);
    change(&mut sidecar);
    space.write(&path, sidecar.to_string().as_bytes());
    run
}

fn proven(space: &Space) -> Proven {
    let demo = TaskId::parse("demo").unwrap();
    let mut desk = space.desk("later");
    let mut recovery = desk.recover(std::slice::from_ref(&demo), at(9000)).unwrap();
    recovery.known.remove(&demo).unwrap().proven
}

#[test]
fn a_start_knows_what_stages_have_proven_and_who_executed_them() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let void = told(&space, &mut desk, 1, |it| {
        (it["verdict"], it["void"]) = ("unknown".into(), serde_json::json!({"paths": ["a"]}));
        it["stages"][1]["proven"] = true.into();
        it["stages"][1]["content_key"] = key("content").0.to_string().into();
        it["stages"][1]["outputs"] = key("left").0.to_string().into();
    });
    let green = told(&space, &mut desk, 2, |it| {
        it["stages"][0]["proven"] = true.into();
    });
    told(&space, &mut desk, 3, |it| {
        it["stages"][1]["proven"] = true.into();
        it["stages"][1]["reused_from"] = void.run.to_string().into();
        it["stages"][2]["reused_from"] = "2025-01-01T00-00-00-000Z-00000000".into();
        it["stages"][2]["proven"] = true.into();
    });
    let proven = proven(&space);
    let names: Vec<&str> = green.stages.iter().map(|stage| stage.id.as_str()).collect();
    let first = proven.of(key(names[0])).unwrap();
    assert_eq!((&first.run, first.place), (&green.run, 0));
    assert_eq!(first.content, key(names[0]));
    let second = proven.of(key(names[1])).unwrap();
    assert_eq!((&second.run, second.place), (&void.run, 1));
    assert_eq!(second.content, key("content"));
    assert_eq!(second.outputs.map(|it| it.0), Some(key("left").0));
    assert!(
        proven.of(key(names[2])).is_none(),
        "who executed it is gone"
    );
    assert_eq!(proven.iter().count(), 2);
}

#[test]
fn what_is_gone_or_says_it_no_longer_is_taken_over_from_nowhere() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let prove = |it: &mut Value| it["stages"][0]["proven"] = true.into();
    let runs = [1, 2, 3].map(|salt| told(&space, &mut desk, salt, prove));
    let proofs = || {
        let of_run = |run: &RunReport| {
            let stage = &run.stages[0];
            let proof = crate::engine::proven::StageProof {
                run: run.run.clone(),
                place: 0,
                stage: stage.id.clone(),
                content: stage.key.unwrap(),
                outputs: None,
                basis: crate::engine::proven::Basis::default(),
            };
            (stage.key.unwrap(), proof)
        };
        runs.iter().map(of_run).collect()
    };
    let root = RootPath::new(&space.path("")).unwrap();
    let gone = || Passes::new(&root, &places(&root, None), &runs[0].task, proofs()).gone();
    assert!(gone().is_empty());
    std::fs::remove_dir_all(space.path(&base(&runs[0]))).unwrap();
    let path = format!("{}/orchd.json", base(&runs[1]));
    let sidecar = space.json(&path).to_string();
    let unproven = sidecar.replace("\"proven\":true", "\"proven\":false");
    assert_ne!(sidecar, unproven);
    space.write(&path, unproven.as_bytes());
    let two = BTreeSet::from([runs[0].run.clone(), runs[1].run.clone()]);
    assert_eq!(gone(), two);
    let path = format!("{}/manifest.json", base(&runs[2]));
    let manifest = space.json(&path).to_string();
    let resumed = manifest.replace("\"status\":\"succeeded\"", "\"status\":\"in_progress\"");
    space.write(&path, resumed.as_bytes());
    assert_eq!(gone().len(), 3, "somebody has taken it up again");
}

/// Whether a start knows that the second stage of these runs has failed.
fn knows_of_the_failure(space: &Space) -> bool {
    let demo = TaskId::parse("demo").unwrap();
    let mut desk = space.desk("later");
    let mut recovery = desk.recover(std::slice::from_ref(&demo), at(9000)).unwrap();
    let known = recovery.known.remove(&demo).unwrap();
    known.history.has_failed(key("lint"))
}

#[test]
fn a_start_knows_what_has_failed_in_every_run_whose_passes_it_would_believe() {
    for (verdict, void, says, counts) in [
        ("unknown", Value::Null, true, true),
        ("unknown", serde_json::json!({"paths": ["a"]}), true, true),
        ("unknown", serde_json::json!({"paths": ["a"]}), false, false),
        ("unknown", Value::Null, false, false),
        ("fail", Value::Null, false, true),
    ] {
        let space = Space::new();
        let mut desk = space.desk("d");
        told(&space, &mut desk, 1, |it| {
            (it["verdict"], it["void"]) = (verdict.into(), void.clone());
            assert_eq!(it["stages"][1]["id"], "lint");
            it["stages"][1]["outcome"] = "failed".into();
            it["stages"][1]["against_key"] = says.into();
        });
        assert_eq!(
            knows_of_the_failure(&space),
            counts,
            "{verdict} {void} {says}"
        );
    }
}

#[test]
fn a_failure_is_known_however_many_runs_have_passed_since() {
    let space = Space::new();
    let mut desk = space.desk("d");
    run_to_end(&mut desk, 1, RunStatus::Failed);
    for salt in 2..=u32::try_from(crate::limits::PROOFS_MAX).unwrap() + 2 {
        run_to_end(&mut desk, salt, RunStatus::Succeeded);
    }
    assert!(knows_of_the_failure(&space));
}
