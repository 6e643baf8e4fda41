//! What can be accepted, how it is written, and what a gate honours: rule by rule, each on real files or plain values.
//!
//! What only the whole product shows is in `tests/e2e/paper_approvals.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes files in a directory of its own"
)]

use super::give::{ApproveError, Approved, Wish, approve};
use super::look::{RedGate, approved};
use super::red::{Red, Unfit};
use super::*;
use crate::disk::durable::{Dir, crash_after};
use crate::model::digest::{Digest, StageKey};
use crate::model::evidence::tests::{at, report};
use crate::model::evidence::{Layout, Manifest, Sidecar, document};
use crate::model::id::StageId;
use crate::model::run::{
    Cause, Changed, Outcome, RunReport, RunStatus, StageStatus, Verdict, Void,
};
use crate::model::time::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;

mod writing;

fn id(text: &str) -> StageId {
    StageId::parse(text).unwrap()
}

fn key(text: &str) -> StageKey {
    StageKey(Digest::of(text.as_bytes()))
}

fn content(text: &str) -> InputDigest {
    InputDigest(Digest::of(text.as_bytes()))
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// A run whose stage `lint` failed: `build` passed before it, `test` and `spec-guard` were not run.
fn failed(salt: u32) -> RunReport {
    let mut failed = report("demo", salt, RunStatus::Failed);
    for stage in &mut failed.stages {
        if stage.status == StageStatus::Pending {
            stage.key = None;
        }
    }
    failed
}

fn files(report: &RunReport) -> (Manifest, Sidecar) {
    let layout = Layout::default();
    let mut manifest = Manifest::new(report, "demo", "token", &layout);
    manifest.note(report, &layout, at(150));
    (manifest, Sidecar::of(report))
}

fn red(report: &RunReport) -> Result<Red, Unfit> {
    let (manifest, sidecar) = files(report);
    Red::of(&manifest, Some(&sidecar))
}

fn given(report: &RunReport, scope: &[&str], until: Option<&str>) -> Given {
    let (manifest, sidecar) = files(report);
    let red = Red::of(&manifest, Some(&sidecar)).unwrap();
    let scope: Vec<StageId> = scope.iter().map(|it| id(it)).collect();
    let approval = RecordedApproval {
        actor: "ada".to_owned(),
        timestamp: at(0),
        reason: "known".to_owned(),
        stages: red.accept(&manifest, &scope).unwrap(),
        whole: scope.is_empty(),
        until: until.map(day),
        input_digest: red.input,
    };
    (report.run.clone(), approval)
}

const TODAY: &str = "2026-11-22";

fn passes(report: &RunReport, given: &[Given]) -> bool {
    let red = red(report).unwrap();
    honoured(content("content"), &red.stages, given, day(TODAY)).is_some()
}

#[test]
fn an_approval_of_the_whole_run_covers_what_failed_and_what_was_not_run_for_it() {
    let (old, new) = (failed(1), failed(2));
    assert_eq!(red(&old).unwrap().stages.len(), 3);
    let whole = given(&old, &[], None);
    assert!(passes(&old, std::slice::from_ref(&whole)));
    // A later run that failed in the same way is the same content.
    assert!(passes(&new, &[whole]));
    assert!(!passes(&new, &[]));
}

#[test]
fn one_by_stage_covers_these_stages_and_several_add_up() {
    let run = failed(1);
    let lint = given(&run, &["lint"], None);
    let rest = given(&run, &["test", "spec-guard"], None);
    assert!(!passes(&run, std::slice::from_ref(&lint)));
    assert!(!passes(&run, std::slice::from_ref(&rest)));
    assert!(passes(&run, &[rest.clone(), lint.clone()]));
    let red = red(&run).unwrap();
    let all = [given(&run, &["lint"], Some("2026-11-21")), lint, rest];
    let used = honoured(content("content"), &red.stages, &all, day(TODAY)).unwrap();
    assert_eq!(used, [&all[1], &all[2]], "what is not needed is not named");
}

/// Two stages that run the same command on the same files have one key.
#[test]
fn a_stage_is_covered_under_its_own_name_only() {
    let mut run = failed(1);
    for place in [2, 3] {
        let key = run.stages[1].key;
        let twin = &mut run.stages[place];
        (twin.status, twin.outcome) = (StageStatus::Failed, Outcome::Failed);
        (twin.key, twin.content_key) = (key, key);
    }
    let lint = given(&run, &["lint"], None);
    assert!(!passes(&run, std::slice::from_ref(&lint)));
    assert!(passes(
        &run,
        &[lint, given(&run, &["test", "spec-guard"], None)]
    ));
}

#[test]
fn other_content_is_covered_by_nothing() {
    let run = failed(1);
    let all = [given(&run, &[], None)];
    let red = red(&run).unwrap();
    let other = honoured(content("edited"), &red.stages, &all, day(TODAY));
    assert_eq!(other, None);
    assert!(passes(&run, &all));
}

#[test]
fn a_failure_on_another_key_is_covered_by_nothing() {
    let old = failed(1);
    let whole = [given(&old, &[], None)];
    let mut new = failed(2);
    new.stages[1].key = Some(key("lint, with another command"));
    assert!(!passes(&new, &whole));
    // Nor is one on a key that nobody knows, whatever was approved.
    new.stages[1].key = None;
    assert!(!passes(&new, &whole));
}

#[test]
fn that_a_stage_was_not_run_says_nothing_of_how_it_fails() {
    let old = failed(1);
    let whole = [given(&old, &[], None)];
    let mut new = failed(2);
    let test = &mut new.stages[2];
    (test.status, test.outcome, test.key) =
        (StageStatus::Failed, Outcome::Failed, test.content_key);
    assert!(!passes(&new, &whole));
    // Nor where nobody knows on which key it failed.
    new.stages[2].key = None;
    assert!(!passes(&new, &whole));
    new.stages[2].key = new.stages[2].content_key;
    // The other way round it is the same stage on the same content, and worse was accepted.
    assert!(passes(&old, &[given(&new, &[], None)]));
    let mut changed = failed(3);
    changed.stages[3].content_key = Some(key("spec-guard, with another command"));
    assert!(!passes(&changed, &whole));
}

#[test]
fn it_is_honoured_through_its_last_day_and_no_longer() {
    let run = failed(1);
    assert!(passes(&run, &[given(&run, &[], Some("2026-11-22"))]));
    assert!(!passes(&run, &[given(&run, &[], Some("2026-11-21"))]));
}

#[test]
fn a_run_without_a_red_stage_is_covered_by_nothing() {
    let run = failed(1);
    let all = [given(&run, &[], None)];
    assert_eq!(honoured(content("content"), &[], &all, day(TODAY)), None);
}

#[test]
fn only_a_failure_on_content_that_stood_still_can_be_accepted() {
    let of = |change: &dyn Fn(&mut RunReport)| {
        let mut run = failed(1);
        change(&mut run);
        red(&run).unwrap_err()
    };
    let void = Void {
        changed: Changed::Everything,
        rewritten: Vec::new(),
    };
    assert_eq!(of(&|run| run.void = Some(void.clone())), Unfit::Void);
    for verdict in [Verdict::Unknown, Verdict::Error, Verdict::Unstable] {
        assert_eq!(
            of(&|run| run.verdict = verdict),
            Unfit::Unjudged { verdict }
        );
    }
    assert_eq!(of(&|run| run.input = None), Unfit::NoContent);
    assert_eq!(of(&|run| run.verdict = Verdict::Pass), Unfit::TwoEnds);
    let parent = failed(9).run;
    let child = of(&|run| (run.cause, run.parent) = (Cause::Parent, Some(parent.clone())));
    assert_eq!(child, Unfit::Child { parent });
    for status in [RunStatus::Queued, RunStatus::InProgress] {
        assert_eq!(
            red(&report("demo", 1, status)).unwrap_err(),
            Unfit::UnderWay
        );
    }
    assert_eq!(
        red(&report("demo", 1, RunStatus::Succeeded)).unwrap_err(),
        Unfit::Green
    );
    let mut flaky = report("demo", 1, RunStatus::Succeeded);
    flaky.verdict = Verdict::Flaky;
    assert_eq!(red(&flaky).unwrap_err(), Unfit::Flaky);
}

#[test]
fn a_run_that_another_tool_made_or_took_up_again_cannot_be_accepted() {
    let (mut manifest, sidecar) = files(&failed(1));
    assert_eq!(Red::of(&manifest, None).unwrap_err(), Unfit::OtherTool);
    // It ran the stage that had not been run, and wrote nothing into a file that it does not know.
    manifest.commands[2].status = StageStatus::Failed;
    let taken_up = Red::of(&manifest, Some(&sidecar)).unwrap_err();
    assert_eq!(taken_up, Unfit::TwoEnds);
    manifest.commands.pop();
    let shorter = Red::of(&manifest, Some(&sidecar)).unwrap_err();
    assert_eq!(shorter, Unfit::TwoEnds);
}

#[test]
fn a_stage_that_may_fail_is_not_red() {
    let mut run = failed(1);
    run.stages[2].status = StageStatus::Skipped;
    run.stages[2].outcome = Outcome::Failed;
    let stages: Vec<_> = red(&run).unwrap().stages;
    let ids: Vec<_> = stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(ids, ["lint", "spec-guard"]);
}

#[test]
fn a_scope_names_stages_that_did_not_succeed() {
    let run = failed(1);
    let (manifest, _) = files(&run);
    let red = red(&run).unwrap();
    let refused = |scope: &[&str]| {
        let scope: Vec<StageId> = scope.iter().map(|it| id(it)).collect();
        red.accept(&manifest, &scope).unwrap_err()
    };
    let unknown = refused(&["lint", "smoke"]);
    assert!(
        matches!(&unknown, Unfit::NoStage { stage, known } if stage.as_str() == "smoke" && known.len() == 4)
    );
    let stage = id("build");
    assert_eq!(refused(&["build"]), Unfit::Succeeded { stage });
    let mut keyless = failed(2);
    keyless.stages[1].key = None;
    keyless.stages[1].content_key = None;
    let stage = id("lint");
    let refused = self::red(&keyless).unwrap().accept(&manifest, &[]);
    assert_eq!(refused.unwrap_err(), Unfit::Keyless { stage });
}
