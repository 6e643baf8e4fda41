//! What is prepared for a run that nobody knows of yet.
//!
//! It is used by the next one, seen by nobody, and left by nobody.

#![expect(
    clippy::disallowed_methods,
    reason = "somebody else writes where a run is prepared, and copies it"
)]

use super::*;
use crate::daemon::evidence::spare::SPARES;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

/// The names of what is prepared.
pub(super) fn spares(space: &Space) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(space.path(&format!(".runs/{SPARES}"))) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

pub(super) fn inode(path: &Path) -> u64 {
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
    assert!(cost.steps <= 29, "as good as nothing is made: {cost:?}");
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
    recovery::die_after_each_act(|desk, _| desk.prepare());
}

#[test]
fn where_nothing_has_run_nothing_is_prepared() {
    let space = Space::new();
    space.desk("d").prepare();
    assert_eq!(std::fs::read_dir(space.path("")).unwrap().count(), 0);
}

/// What is prepared, after a first run.
pub(super) fn prepared(space: &Space, desk: &mut Desk) -> PathBuf {
    run_to_end(desk, 1, RunStatus::Succeeded);
    desk.prepare();
    let [spare] = spares(space).try_into().unwrap();
    space.path(&format!(".runs/{SPARES}/{spare}"))
}

#[test]
fn what_was_prepared_and_cleaned_up_is_made_anew() {
    for gone in ["", SPARES, "local", "run/commands", "run"] {
        let space = Space::new();
        let mut desk = space.desk("d");
        let spare = prepared(&space, &mut desk);
        let gone = match gone {
            "" | SPARES => space.path(".runs").join(gone),
            part => spare.join(part),
        };
        std::fs::remove_dir_all(&gone).unwrap();
        let ended = run_to_end(&mut desk, 2, RunStatus::Succeeded);
        let manifest = space.json(&format!("{}/manifest.json", base(&ended)));
        assert_eq!(manifest["status"], "succeeded", "{}", gone.display());
        for part in ["commands", "errors"] {
            assert!(space.path(&base(&ended)).join(part).is_dir(), "{part}");
        }
        space.check_files(&gone.display().to_string());
        desk.prepare();
        assert_eq!(spares(&space).len(), 1, "{}", gone.display());
        std::fs::remove_dir_all(space.path(&format!(".runs/{SPARES}"))).unwrap();
        desk.prepare();
        assert_eq!(spares(&space).len(), 1, "once more: {}", gone.display());
    }
}

/// What somebody does to a file, and what to call it.
type Touch = (&'static str, fn(&Path));

#[test]
fn what_somebody_has_been_at_is_not_used() {
    // The file of a spare whose name begins so.
    let named = |dir: &Path, start: &str| {
        let names = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
        let named = |path: &PathBuf| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(start)
        };
        names.into_iter().find(named).unwrap()
    };
    let touches: [Touch; 4] = [
        ("filled", |file| {
            std::fs::write(file, [b'x'; 70_000]).unwrap();
        }),
        ("gone", |file| std::fs::remove_file(file).unwrap()),
        ("led away", |file| {
            std::fs::remove_file(file).unwrap();
            symlink("/dev/null", file).unwrap();
        }),
        ("beside", |file| {
            std::fs::write(file.with_file_name("manifest.json"), b"{}").unwrap();
        }),
    ];
    let files = [
        "run/manifest",
        "run/orchd",
        "run/.resume",
        "run/runner",
        "commands",
        "pointer/m",
    ];
    for (what, touch) in touches {
        for file in files {
            let space = Space::new();
            let mut desk = space.desk("d");
            let spare = prepared(&space, &mut desk);
            let (dir, start) = file.split_once('/').unwrap_or(("run/commands", "runner"));
            touch(&named(&spare.join(dir), start));
            let when = format!("{file} {what}");
            // Kept open, lest its number be that of the next directory.
            let before = std::fs::File::open(spare.join("run")).unwrap();
            let begun = report("demo", 2, RunStatus::InProgress);
            desk.begin(&begun, at(1000))
                .unwrap_or_else(|error| panic!("{when}: {error}"));
            let before = before.metadata().unwrap().ino();
            assert_ne!(inode(&space.path(&base(&begun))), before, "{when}");
            assert_eq!(spares(&space), Vec::<String>::new(), "{when}");
            let ended = run_to_end(&mut desk, 2, RunStatus::Succeeded);
            let manifest = space.json(&format!("{}/manifest.json", base(&ended)));
            assert_eq!(manifest["status"], "succeeded", "{when}");
            space.check_files(&when);
        }
    }
}

#[test]
fn a_copy_of_what_was_prepared_is_not_used() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let spare = prepared(&space, &mut desk);
    let aside = space.path("aside");
    std::fs::rename(space.path(".runs"), &aside).unwrap();
    let mut copied = std::process::Command::new("cp");
    copied
        .args(["-a", "--"])
        .args([&aside, &space.path(".runs")]);
    let copied = copied.status().unwrap();
    assert!(copied.success());
    let copy = inode(&spare.join("run"));
    let begun = report("demo", 2, RunStatus::InProgress);
    desk.begin(&begun, at(1000)).unwrap();
    assert_ne!(inode(&space.path(&base(&begun))), copy);
}

#[test]
fn what_stands_where_runs_are_prepared_keeps_no_run_from_beginning() {
    let space = Space::new();
    let victim = space.dir.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    let place = space.path(&format!(".runs/{SPARES}"));
    let plants: [&dyn Fn(); 2] = [&|| symlink(&victim, &place).unwrap(), &|| {
        std::fs::write(&place, b"theirs").unwrap();
    }];
    let mut desk = space.desk("d");
    run_to_end(&mut desk, 1, RunStatus::Succeeded);
    for (run, plant) in (2..).zip(plants) {
        plant();
        desk.prepare();
        run_to_end(&mut desk, run, RunStatus::Succeeded);
        space.desk("d2").recover(&[], at(0)).unwrap();
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
        std::fs::remove_file(&place).unwrap();
    }
}

#[test]
fn what_another_process_of_our_number_prepared_stays_its_own() {
    let space = Space::new();
    let runs = Dir::open(&space.path("")).unwrap();
    let make = || Spare::make_as("run.tmp-7-1".into(), &runs, &Owner::current("d"));
    let theirs = make().unwrap();
    let ours = make().err().map(|error| error.source.kind());
    assert_eq!(ours, Some(std::io::ErrorKind::AlreadyExists));
    let theirs = theirs
        .untouched(&runs)
        .map(|home| home.path().to_path_buf());
    let expected = space.path("").join(SPARES).join("run.tmp-7-1");
    assert_eq!(theirs, Some(expected));
}

#[test]
fn another_directory_in_the_place_of_the_root_gets_nothing_that_was_prepared() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let identity = |path: &Path| Some(Identity::of(&std::fs::metadata(path).unwrap()));
    desk.hold(identity(&space.path("")));
    let spare = prepared(&space, &mut desk);
    let below = spare.strip_prefix(space.path("")).unwrap();
    let moved = space.dir.path().join("moved");
    std::fs::rename(space.path(""), &moved).unwrap();
    std::fs::create_dir_all(space.path(".runs")).unwrap();
    let begun = report("demo", 2, RunStatus::InProgress);
    desk.prepare();
    assert!(matches!(
        desk.begin(&begun, at(0)),
        Err(EvidenceError::Disk(_))
    ));
    assert_eq!(std::fs::read_dir(space.path(".runs")).unwrap().count(), 0);
    desk.hold(identity(&space.path("")));
    assert!(!moved.join(below).exists(), "nobody needs it any more");
    desk.begin(&begun, at(0)).unwrap();
    desk.anchor(&begun.run).unwrap();
    space.check_files("begun");
}

/// Ends the "process" after each act of a beginning on what was prepared; what is left of it is for `then`.
fn begun_in_part(then: impl Fn(&Space, &RunReport, &str)) {
    let begun = report("demo", 2, RunStatus::InProgress);
    for steps in 0.. {
        let space = Space::new();
        let mut desk = space.desk("killed");
        let spare = prepared(&space, &mut desk);
        for dir in ["", "run"] {
            let dir = std::fs::File::open(spare.join(dir)).unwrap();
            dir.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        let told = crash_after(steps, || {
            let told = desk.begin(&begun, at(1000)).is_ok();
            drop(desk);
            told
        });
        if told {
            return;
        }
        then(&space, &begun, &format!("ended after {steps} acts"));
    }
}

#[test]
fn a_beginning_that_nobody_was_told_of_leaves_nothing_after_a_kill() {
    begun_in_part(|space, begun, when| {
        let was_known = space
            .path(&format!("{}/manifest.json", base(begun)))
            .exists();
        let path = format!("{}/.orchd-owner.json", base(begun));
        if space.path(&path).exists() {
            let mut owner = Owner::current("killed");
            owner.pid = dead_process();
            space.write(&path, &serde_json::to_vec(&owner).unwrap());
        }
        space.desk("after").recover(&[], at(0)).unwrap();
        assert_eq!(space.path(&base(begun)).exists(), was_known, "{when}");
        space.check_files(when);
    });
}

#[test]
fn a_power_cut_that_empties_the_owner_of_a_run_leaves_it_lost_and_not_away() {
    let space = Space::new();
    let begun = report("demo", 1, RunStatus::InProgress);
    for (name, bytes) in [(".orchd-owner.json", ""), (".heartbeat", "x")] {
        space.write(&format!("{}/{name}", base(&begun)), bytes.as_bytes());
    }
    let late = Timestamp::parse("2100-01-01T00:00:00Z").unwrap();
    space.desk("d").recover(&[], late).unwrap();
    let manifest = space.json(&format!("{}/manifest.json", base(&begun)));
    assert_eq!(manifest["status_detail"], "daemon-lost");
}

#[test]
fn a_run_that_begins_in_what_was_prepared_long_ago_is_left_alone_by_others() {
    begun_in_part(|space, begun, when| {
        let was_there = space.path(&base(begun)).exists();
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let now = Timestamp::from_unix_ms(since.try_into().unwrap());
        space.desk("another").recover(&[], now).unwrap();
        assert_eq!(space.path(&base(begun)).exists(), was_there, "{when}");
    });
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
    desk.prepare();
    desk.begin(&begun, at(1000)).unwrap();
    desk.anchor(&begun.run).unwrap();
    assert!(space.path(&pointer).exists() && space.path(&link).exists());
    for place in ["demo/mcp", "local-mcp"] {
        let found = space.json(&format!(".runs/{place}/{}/manifest.json", begun.run));
        assert!(found.is_object(), "{place}");
    }
    space.check_files("begun");
}
