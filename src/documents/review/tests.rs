//! What a review says of each state that the other parts tell.
//!
//! Approvals, bounds and order are judged here; real runs are in `tests/e2e/paper_review.rs`.

use super::runs::{Newest, Standing};
use super::{Check, Told, judge};
use crate::documents::finding::{ItemFinding, ItemKind};
use crate::documents::{checklists, upkeep};
use crate::model::config::Flaky;
use crate::model::digest::InputDigest;
use crate::model::evidence::Approval;
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::run::Verdict;
use crate::model::time::{Day, Timestamp};

fn run(number: u8) -> RunId {
    RunId::parse(&format!("2026-11-2{number}T10-00-00-000Z-0000000{number}")).unwrap()
}

fn content(of: u8) -> Option<InputDigest> {
    let text = format!("\"{}\"", format!("{of:02x}").repeat(32));
    Some(serde_json::from_str(&text).unwrap())
}

fn standing(newest: Option<bool>) -> Standing {
    let newest = newest.map(|green| Newest {
        run: run(2),
        manifest: format!(".runs/t/cli/{}/manifest.json", run(2)),
        verdict: if green { Verdict::Pass } else { Verdict::Fail },
        green,
        completed_at: None,
        content: content(7),
    });
    Standing {
        task: TaskId::parse("t").unwrap(),
        pipeline: Some(PipelineId::parse("diagnostics").unwrap()),
        flaky: Flaky::Pass,
        runs: usize::from(newest.is_some()),
        newest,
        green: None,
        unreadable: Vec::new(),
    }
}

/// A day of the first January.
fn day(number: i64) -> Day {
    Day::of(Timestamp::from_unix_ms((number - 1) * 86_400_000))
}

fn approval(of: u8, content: Option<InputDigest>, until: Option<i64>) -> Approval {
    Approval {
        run_id: run(of),
        actor: "ann".to_owned(),
        timestamp: Timestamp::from_unix_ms(5),
        reason: None,
        scope: None,
        until: until.map(day),
        input_digest: content,
    }
}

fn approved(green: bool, approvals: &[Approval]) -> (bool, String) {
    let told = judge::approvals(&standing(Some(green)), approvals, day(2));
    let check = Check::of("approvals", told);
    (check.ok, check.details.join("|"))
}

#[test]
fn an_approval_is_wrong_only_where_the_newest_run_is_red_and_leans_on_it() {
    let (holds, over) = (
        approval(2, content(7), Some(2)),
        approval(2, content(7), Some(1)),
    );
    let of_other = approval(1, content(6), None);
    let unsaid = approval(2, None, None);
    assert_eq!(approved(true, &[]), (true, String::new()));
    assert_eq!(approved(false, &[]), (true, String::new()));
    assert!(approved(false, std::slice::from_ref(&holds)).0);
    let (ok, said) = approved(false, std::slice::from_ref(&over));
    assert!(!ok && said.contains("ended 1970-01-01"), "{said}");
    assert!(!approved(false, &[unsaid]).0);
    // Of other content: nothing leans on it. Beside one that holds: that one is leant on.
    for (green, all) in [(false, [of_other.clone(), holds]), (true, [of_other, over])] {
        let (ok, said) = approved(green, &all);
        assert!(ok && said.contains("of other content"), "{said}");
    }
    // The same content was approved in another run.
    assert!(!approved(false, &[approval(1, content(7), Some(1))]).0);
}

#[test]
fn a_project_without_a_run_that_says_something_has_no_manifest_to_show() {
    let none = judge::diagnostics(&standing(None));
    assert!(
        !none.ok && none.said.contains("orchctl run --task t"),
        "{none:?}"
    );
    let red = judge::diagnostics(&standing(Some(false)));
    assert!(!red.ok && red.said.contains("(fail)"), "{red:?}");
    assert!(judge::diagnostics(&standing(Some(true))).ok);
    assert!(!judge::linked(&standing(Some(true)), None).ok);
    let link = ("docs/TASKS.md:3".to_owned(), run(1));
    assert!(judge::linked(&standing(Some(false)), Some(&link)).ok);
}

fn item(kind: ItemKind) -> ItemFinding {
    ItemFinding {
        file: "tasks/t.md".to_owned(),
        line: 3,
        kind,
        title: "Write".to_owned(),
        evidence: None,
        message: "m".to_owned(),
    }
}

#[test]
fn what_mirrors_lack_and_what_is_not_proven_are_told_apart_and_bounded() {
    let mut checked = checklists::Checked {
        files: 1,
        items: 9,
        findings: vec![item(ItemKind::Unverifiable)],
    };
    let ok = |told: Vec<Told>| Check::of("x", told).ok;
    assert!(ok(judge::mirrors(&checked)) && ok(judge::checklists(&checked)));
    checked.findings.push(item(ItemKind::OutOfSync));
    assert!(!ok(judge::mirrors(&checked)) && ok(judge::checklists(&checked)));
    checked.findings = vec![item(ItemKind::NoEvidence); 9];
    assert!(ok(judge::mirrors(&checked)));
    let told = Check::of("checklists", judge::checklists(&checked));
    assert!(!told.ok && told.details.len() == 6, "{told:?}");
    assert_eq!(
        told.details[5],
        "4 more: `orchctl checklist check` has them all"
    );
    assert_eq!(judge::pages(&upkeep::Checked::default()), []);
}

#[test]
fn what_is_to_be_done_comes_first_and_json_has_one_text() {
    let (fine, wrong) = (Told::fine("b".to_owned()), Told::wrong("a".to_owned()));
    let check = Check::of("docs", [fine, wrong]);
    let json = serde_json::to_value(&check).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"id": "docs", "ok": false, "detail": "a; b"})
    );
}
