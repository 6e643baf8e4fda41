//! What a run's evidence costs.
//!
//! Syncs are counted, not timed: they are what a disk makes slow.

use super::*;

#[test]
fn the_whole_evidence_of_a_run_is_cheap() {
    let space = Space::new();
    let mut desk = space.desk("d1");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    let begun = report("demo", 2, RunStatus::InProgress);
    let ended = report("demo", 2, RunStatus::Succeeded);
    let state = task_state(&ended);
    let ((), begin) = measure(|| desk.begin(&begun, at(0)).unwrap());
    let ((), anchor) = measure(|| desk.anchor(&begun.run).unwrap());
    let ((), record) = measure(|| desk.record(&begun, at(1)).unwrap());
    let ((), end) = measure(|| desk.end(&ended, Some(&state), at(2)).unwrap());
    assert!(begin.syncs <= 5, "{begin:?}");
    assert!(anchor.syncs <= 6, "{anchor:?}");
    assert!(record.syncs <= 1, "{record:?}");
    assert!(end.syncs <= 15, "{end:?}");
}
