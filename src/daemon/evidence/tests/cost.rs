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
    let ((), record) = measure(|| desk.record(&begun, at(1)).unwrap());
    let ((), end) = measure(|| desk.end(&ended, Some(&state), at(2)).unwrap());
    assert!(begin.syncs <= 13, "{begin:?}");
    assert!(record.syncs <= 1, "{record:?}");
    assert!(end.syncs <= 14, "{end:?}");
}

/// What a run's evidence costs: `cargo test --release --lib -- --ignored what_a_run_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_run_costs() {
    use rustix::time::{ClockId, clock_gettime};
    let space = Space::new();
    let mut desk = space.desk("d");
    let timed = |act: &mut dyn FnMut()| {
        let begin = clock_gettime(ClockId::Monotonic);
        let ((), counts) = measure(act);
        let end = clock_gettime(ClockId::Monotonic);
        let ns = (end.tv_sec - begin.tv_sec) * 1_000_000_000 + end.tv_nsec - begin.tv_nsec;
        (ns / 1000, counts.syncs)
    };
    let mut all: Vec<Vec<(i64, u64)>> = vec![Vec::new(); 4];
    for salt in 1..=120 {
        let begun = report("demo", salt, RunStatus::InProgress);
        let ended = report("demo", salt, RunStatus::Succeeded);
        let state = task_state(&ended);
        all[0].push(timed(&mut || desk.begin(&begun, at(0)).unwrap()));
        all[1].push(timed(&mut || desk.record(&begun, at(1)).unwrap()));
        all[2].push(timed(&mut || desk.end(&ended, Some(&state), at(2)).unwrap()));
        all[3].push(timed(&mut || {
            desk.state(&ended.task, &state, at(3)).unwrap();
        }));
    }
    let told = ["begin", "record", "end", "state"]
        .iter()
        .zip(all.iter_mut())
        .map(|(what, times)| {
            let times = &mut times[60..];
            times.sort_unstable();
            format!(
                "{what}: p50 {} us, p90 {} us, {} syncs",
                times[30].0, times[54].0, times[30].1
            )
        });
    let told: Vec<String> = told.collect();
    assert!(told.is_empty(), "{told:#?}");
}
