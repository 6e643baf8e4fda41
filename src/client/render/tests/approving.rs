//! Approvals as people read them: by what a gate passes, and what is in force.
//!
//! What somebody typed as a reason is one line, and none of it reaches the terminal as it is.

use super::answers::unknown;
use super::*;
use crate::client::render::{answer, approving};
use crate::documents::approvals::give::Approved;
use crate::model::digest::{Digest, InputDigest};
use crate::model::evidence::Approval;
use crate::model::report::{GateAnswer, GateProject};
use crate::model::time::Day;
use std::collections::BTreeMap;

fn approval(actor: &str, reason: &str) -> Approval {
    Approval {
        run_id: run(RUN),
        actor: actor.to_owned(),
        timestamp: at("2026-11-22T10:10:00Z"),
        reason: Some(reason.to_owned()),
        scope: Some(vec![StageId::parse("lint").unwrap()]),
        until: Some(Day::parse("2026-12-01").unwrap()),
        input_digest: Some(InputDigest(Digest::parse(&"9c41".repeat(16)).unwrap())),
    }
}

#[test]
fn a_gate_names_who_has_approved_and_why() {
    let whole = Approval {
        scope: None,
        until: None,
        ..approval("Bob", "also\nfine\u{1b}[31m")
    };
    let gate = GateAnswer::of(vec![GateProject {
        verdict: Verdict::Pass,
        run_id: Some(run(RUN)),
        approved: vec![approval("Ada", "no fix upstream yet"), whole],
        ..unknown("0101-web")
    }]);
    let said = answer::gate(&gate, &BTreeMap::new(), &look(None));
    assert!(!said.contains("\u{1b}[31m"), "{said:?}");
    insta::assert_snapshot!(plain(&said), @"
    + pass      0101-web  run 3d0103be
        pass (approved by Ada: no fix upstream yet, until 2026-12-01, for lint; approved by Bob: also fine)
    ");
}

#[test]
fn a_list_says_what_is_in_force_and_what_is_over() {
    let bare = Approval {
        reason: None,
        scope: None,
        until: None,
        input_digest: None,
        ..approval("upstream", "")
    };
    let all = [approval("Ada", "known"), bare];
    let on = |day: &str| {
        let today = Day::parse(day).unwrap();
        plain(&approving::listed(&all, today, &look(None)))
    };
    insta::assert_snapshot!(on("2026-12-01"), @"
    + in force  run 3d0103be  lint, inputs 9c419c41…
        approved by Ada: known, until 2026-12-01 (2026-11-22T10:10:00.000Z)
    ? unbound   run 3d0103be  the whole run, of no known content: no gate honours it
        approved by upstream: no reason given (2026-11-22T10:10:00.000Z)
    ");
    let over = on("2026-12-02");
    assert!(over.starts_with("- over"), "{over}");
    let approved = Approved {
        task: TaskId::parse("0101-web").unwrap(),
        approval: approval("Ada", "known"),
        stages: vec![StageId::parse("lint").unwrap()],
        written: true,
    };
    insta::assert_snapshot!(plain(&approving::approved(&approved, &look(None))), @"
    + approved  run 3d0103be of 0101-web
        approved by Ada: known, until 2026-12-01
        for lint on inputs 9c419c41…; a gate passes on this content only
    ");
}
