//! What is prepared for a run that nobody knows of yet.
//!
//! It is used by the next one, seen by nobody, and left by nobody.

use super::*;
use crate::daemon::evidence::spare::SPARES;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

/// The names of what is prepared.
fn spares(space: &Space) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(space.path(&format!(".runs/{SPARES}"))) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn inode(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).unwrap().ino()
}

#[test]
fn a_run_is_written_into_what_was_prepared() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let first = run_to_end(&mut desk, 1, RunStatus::Succeeded);
    desk.prepare();
    desk.prepare();
    let [spare] = spares(&space).try_into().unwrap();
    let prepared = space.path(&format!(".runs/{SPARES}/{spare}"));
    let parts = ["run", "pointer", "local"].map(|part| inode(&prepared.join(part)));
    // Nobody takes it for a run.
    let known: Vec<RunId> = desk
        .runs(None, 9, at(0))
        .unwrap()
        .into_iter()
        .map(|row| row.run_id)
        .collect();
    assert_eq!(known, [first.run]);
    let places = places(&RootPath::new(&space.path("")).unwrap(), None);
    let tasks = places.tasks(&RootPath::new(&space.path("")).unwrap());
    assert_eq!(tasks, [first.task].into());

    let begun = report("demo", 2, RunStatus::InProgress);
    let ((), cost) = measure(|| desk.begin(&begun, at(1000)).unwrap());
    assert!(cost.steps <= 28, "as good as nothing is made: {cost:?}");
    let homes = [
        base(&begun),
        format!(".runs/demo/mcp/{}", begun.run),
        format!(".runs/local-mcp/{}", begun.run),
    ];
    assert_eq!(homes.map(|home| inode(&space.path(&home))), parts);
    let names = std::fs::read_dir(space.path(&base(&begun))).unwrap();
    let modes = names.map(|entry| {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        (entry.file_name().into_string().unwrap(), mode)
    });
    let modes: BTreeMap<String, u32> = modes.collect();
    let umask = |mode: u32| mode & 0o755;
    let expected = [
        (".changed-files", 0o600),
        (".heartbeat", umask(0o644)),
        (".orchd-owner.json", umask(0o644)),
        (".resume-token", 0o600),
        ("commands", 0o755),
        ("errors", 0o755),
        ("manifest.json", umask(0o644)),
        ("orchd.json", umask(0o644)),
        ("runner.ndjson", 0o600),
    ];
    let expected = expected.map(|(name, mode)| (name.to_owned(), mode));
    assert_eq!(modes, BTreeMap::from(expected));
    desk.anchor(&begun.run).unwrap();
    assert_eq!(spares(&space), Vec::<String>::new());
    space.check_files("begun");
}

#[test]
fn wherever_the_daemon_dies_nothing_that_was_prepared_is_taken_for_a_run() {
    recovery::die_after_each_act(true);
}

#[test]
fn where_nothing_has_run_nothing_is_prepared() {
    let space = Space::new();
    space.desk("d").prepare();
    assert_eq!(std::fs::read_dir(space.path("")).unwrap().count(), 0);
}

#[test]
fn what_was_prepared_and_cleaned_up_is_made_anew() {
    for gone in ["", SPARES, "local", "run/commands"] {
        let space = Space::new();
        let mut desk = space.desk("d");
        run_to_end(&mut desk, 1, RunStatus::Succeeded);
        desk.prepare();
        let [spare] = spares(&space).try_into().unwrap();
        let gone = match gone {
            "" | SPARES => space.path(".runs").join(gone),
            part => space.path(&format!(".runs/{SPARES}/{spare}/{part}")),
        };
        std::fs::remove_dir_all(&gone).unwrap();
        let ended = run_to_end(&mut desk, 2, RunStatus::Succeeded);
        let manifest = space.json(&format!("{}/manifest.json", base(&ended)));
        assert_eq!(manifest["status"], "succeeded", "{}", gone.display());
        space.check_files(&gone.display().to_string());
    }
}

#[test]
fn of_what_was_prepared_nothing_is_left() {
    let space = Space::new();
    let mut desk = space.desk("d");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    desk.prepare();
    assert_eq!(spares(&space).len(), 1);
    drop(desk);
    assert_eq!(spares(&space), Vec::<String>::new(), "an end removes it");
    // What a dead process left is swept; the living one's is its own affair.
    let (dead, alive) = (dead_process(), std::os::unix::process::parent_id());
    for (pid, left) in [(alive, 1), (dead, 0)] {
        let name = format!(".runs/{SPARES}/run.tmp-{pid}-3");
        space.write(&format!("{name}/run/manifest.json"), b"");
        space.desk("d2").recover(&[], at(0)).unwrap();
        assert_eq!(spares(&space).len(), left, "{pid}");
        std::fs::remove_dir_all(space.path(&name)).ok();
    }
    assert!(!space.path(&format!(".runs/{SPARES}")).exists());
}

#[test]
fn a_pointer_that_stands_in_the_way_stays_and_the_run_begins() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let begun = report("demo", 1, RunStatus::InProgress);
    let pointer = format!(".runs/demo/mcp/{}/compat.json", begun.run);
    let link = format!(".runs/local-mcp/{}/theirs", begun.run);
    space.write(&pointer, b"{}");
    space.write(&link, b"x");
    desk.begin(&begun, at(1000)).unwrap();
    desk.anchor(&begun.run).unwrap();
    assert!(space.path(&pointer).exists() && space.path(&link).exists());
    for place in ["demo/mcp", "local-mcp"] {
        let found = space.json(&format!(".runs/{place}/{}/manifest.json", begun.run));
        assert!(found.is_object(), "{place}");
    }
    space.check_files("begun");
}
