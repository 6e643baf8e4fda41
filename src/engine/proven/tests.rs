//! What is taken in of passes, and how much is kept.
//!
//! Who takes what over, and when, is tried in `tests/simulation`.

use super::*;
use crate::engine::trial::{exited, opened, project, recorded, step};
use crate::engine::{Effect, Input, Record};
use crate::model::digest::Digest;
use crate::model::run::Exit;
use crate::model::time::Timestamp;

const TEXT: &str = "
[[project]]
task = \"t\"
[[pipeline]]
id = \"diagnostics\"
[[pipeline.stage]]
id = \"check\"
command = \"true\"
retries = 1
";

fn key(number: usize) -> StageKey {
    StageKey(Digest::of(&number.to_le_bytes()))
}

fn proof(second: i64, number: usize) -> StageProof {
    StageProof {
        run: RunId::new(Timestamp::from_unix_ms(second * 1000), 7),
        place: 0,
        stage: StageId::parse("check").unwrap(),
        content: key(number),
        outputs: None,
        basis: Basis::default(),
    }
}

#[test]
fn the_newest_pass_of_a_key_stands_and_the_oldest_go_first() {
    let mut proven = Proven::default();
    for number in 0..STAGE_PROOFS_MAX {
        proven.note(key(number), proof(1, number));
    }
    proven.note(key(0), proof(2, 0));
    assert_eq!(proven.iter().count(), STAGE_PROOFS_MAX);
    assert_eq!(proven.of(key(0)), Some(&proof(2, 0)));
    proven.note(key(STAGE_PROOFS_MAX), proof(2, STAGE_PROOFS_MAX));
    assert_eq!(proven.iter().count(), STAGE_PROOFS_MAX);
    assert!(proven.of(key(1)).is_none(), "what was of use last is kept");
    assert_eq!(proven.of(key(0)), Some(&proof(2, 0)));
    proven.forget(&BTreeSet::from([proof(1, 0).run]));
    assert_eq!(proven.iter().count(), 2);
}

/// A run of the one stage, whose attempts end so; whether that proves it.
fn proves(codes: &[i32], failure: Option<&str>) -> bool {
    let mut engine = opened(TEXT);
    let run = engine.runs().next().map(|report| report.run.clone());
    let run = run.expect("it is run at the start");
    step(&mut engine, recorded(&run, Record::Begin));
    for code in codes {
        step(&mut engine, exited(&run, Exit::Code(*code)));
    }
    let ended = Input::Recorded {
        run,
        record: Record::End,
        failure: failure.map(str::to_owned),
    };
    let told = step(&mut engine, ended);
    assert!(told.iter().any(|it| matches!(it, Effect::Publish { .. })));
    engine.projects[&project("t")].proven.iter().count() == 1
}

#[test]
fn only_a_first_pass_whose_evidence_is_on_disk_proves_anything() {
    assert!(proves(&[0], None));
    assert!(!proves(&[1, 0], None), "it has failed, too");
    assert!(!proves(&[1, 1], None));
    assert!(!proves(&[0], Some("the disk is full")));
}
