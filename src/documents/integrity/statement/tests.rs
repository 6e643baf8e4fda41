//! Statements about runs: of what they are made, and which runs have none.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes files in a directory of its own"
)]

use super::super::tests::Space;
use super::*;
use crate::model::digest::InputDigest;
use crate::model::evidence::{Why, document};
use crate::model::run::RunStatus;
use serde_json::Value;
use std::fs;

/// Has the sidecar of a run say something else, and links that.
fn edit(space: &Space, run: &RunId, edit: impl FnOnce(&mut Sidecar)) {
    let path = space.home(run).join("orchd.json");
    let mut sidecar = Sidecar::parse(&fs::read(&path).unwrap()).unwrap();
    sidecar.input_digest = Some(InputDigest(Digest::of(b"inputs")));
    edit(&mut sidecar);
    fs::write(path, document(&sidecar)).unwrap();
    space.link(run, Why::Adopted);
}

fn exported(space: &Space, run: &RunId) -> Value {
    let statement = export(&space.shelf, run.as_str()).unwrap();
    serde_json::to_value(&statement).unwrap()
}

#[test]
fn a_run_is_a_statement_about_what_it_ran_on() {
    let space = Space::new();
    let run = space.ended(1);
    edit(&space, &run, |it| it.verdict = Verdict::Pass);
    let told = exported(&space, &run);
    assert_eq!(told["_type"], STATEMENT);
    assert_eq!(told["predicateType"], PREDICATE);
    let digest = Digest::of(b"inputs").to_string();
    assert_eq!(told["subject"][0]["digest"]["sha256"], *digest);
    let predicate = &told["predicate"];
    assert_eq!(predicate["result"], "PASSED");
    for list in ["passedTests", "warnedTests", "failedTests", "configuration"] {
        assert!(predicate[list].is_array(), "{list}");
    }
    let manifest = fs::read(space.home(&run).join("manifest.json")).unwrap();
    let name = format!(".runs/demo/cli/{run}/manifest.json");
    assert_eq!(predicate["configuration"][0]["name"], *name);
    let digest = Digest::of(&manifest).to_string();
    assert_eq!(predicate["configuration"][0]["digest"]["sha256"], *digest);
    assert_eq!(told, exported(&space, &run));

    edit(&space, &run, |it| {
        it.verdict = Verdict::Flaky;
        let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        it.judged = serde_json::from_value(serde_json::json!({ "index": tree })).unwrap();
    });
    let told = exported(&space, &run);
    let tree = &told["subject"][0]["digest"]["gitTree"];
    assert_eq!(tree, "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    assert_eq!(told["predicate"]["result"], "WARNED");
}

#[test]
fn what_proves_nothing_or_was_changed_has_no_statement() {
    let space = Space::new();
    let run = space.ended(1);
    let refused = |edits: fn(&mut Sidecar)| {
        edit(&space, &run, edits);
        export(&space.shelf, run.as_str()).unwrap_err().to_string()
    };
    assert!(refused(|it| it.verdict = Verdict::Unknown).contains("`unknown`"));
    assert!(refused(|it| it.verdict = Verdict::Error).contains("`error`"));
    let void = refused(|it| {
        it.verdict = Verdict::Unknown;
        it.void = Some(crate::model::evidence::VoidPaths::default());
    });
    assert!(void.contains("changed meanwhile"), "{void}");
    let nowhere = refused(|it| {
        it.verdict = Verdict::Pass;
        it.void = None;
        it.input_digest = None;
    });
    assert!(nowhere.contains("which content"), "{nowhere}");
    let active = space.run(7, RunStatus::InProgress);
    let told = export(&space.shelf, active.as_str()).unwrap_err();
    assert!(told.to_string().contains("not ended"), "{told}");

    edit(&space, &run, |it| it.verdict = Verdict::Pass);
    fs::write(space.home(&run).join("runner.ndjson"), "else").unwrap();
    let told = export(&space.shelf, run.as_str()).unwrap_err();
    assert!(matches!(told, StatementError::Tampered { .. }), "{told}");
    let told = export(&space.shelf, "no-such-run").unwrap_err();
    assert!(matches!(told, StatementError::NoRun { .. }));
    let told = export(&space.shelf, "2026").unwrap_err();
    assert!(matches!(told, StatementError::Runs { .. }), "{told}");
}
