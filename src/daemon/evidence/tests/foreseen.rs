//! What is on disk of a run before it begins, where it was foreseen.
//!
//! It begins with next to nothing left to do, seen by nobody before; and whatever comes in between, it begins all the same.

use super::spare::{inode, prepared, spares};
use super::*;

/// Has the second run of a space foreseen, and says where its directory is.
fn foreseen(space: &Space, desk: &mut Desk) -> (RunReport, PathBuf) {
    let spare = prepared(space, desk);
    let soon = report("demo", 2, RunStatus::InProgress);
    desk.foresee(&soon, at(1000));
    (soon, spare.join("run"))
}

/// The names in a directory, but for those of temp files.
fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        name.into_string().unwrap()
    });
    let mut names: Vec<String> = names.filter(|name| !name.contains(".tmp-")).collect();
    names.sort();
    names
}

#[test]
fn a_run_that_was_foreseen_only_gets_its_names() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let (soon, dir) = foreseen(&space, &mut desk);
    let before = inode(&dir);
    let hidden = [".changed-files", ".heartbeat", ".orchd-owner.json"];
    let both = ["commands", "errors"];
    assert_eq!(
        names(&dir),
        [&hidden[..], &both].concat(),
        "nothing reads as a run"
    );
    let known = desk.runs(None, 9, at(1001)).unwrap();
    assert_eq!(known.len(), 1, "nobody hears of it: {known:?}");

    let ((), cost) = measure(|| desk.begin(&soon, at(1005)).unwrap());
    assert_eq!(cost.syncs, 0, "it was on disk before: {cost:?}");
    assert!(cost.steps <= 14, "it is only named: {cost:?}");
    assert_eq!(inode(&space.path(&base(&soon))), before);
    let manifest = space.json(&format!("{}/manifest.json", base(&soon)));
    assert_eq!(manifest["status"], "in_progress");
    desk.anchor(&soon.run).unwrap();
    assert_eq!(spares(&space), Vec::<String>::new());
    space.check_files("begun");
    run_to_end(&mut desk, 2, RunStatus::Succeeded);
    space.check_files("ended");
}

#[test]
fn it_begins_as_one_that_was_not() {
    let files = |foresee: bool| {
        let space = Space::new();
        let mut desk = space.desk("d");
        prepared(&space, &mut desk);
        let soon = report("demo", 2, RunStatus::InProgress);
        if foresee {
            desk.foresee(&soon, at(1000));
        }
        desk.begin(&soon, at(1000)).unwrap();
        desk.anchor(&soon.run).unwrap();
        let mut manifest = space.json(&format!("{}/manifest.json", base(&soon)));
        assert!(manifest["resume_token"].take().is_string());
        let pointer = format!(".runs/demo/mcp/{}/manifest.json", soon.run);
        let link = space.path(&format!(".runs/local-mcp/{}/manifest.json", soon.run));
        (
            manifest,
            space.json(&format!("{}/orchd.json", base(&soon))),
            space.json(&pointer),
            std::fs::read_link(link).unwrap(),
            names(&space.path(&base(&soon))),
        )
    };
    assert_eq!(files(true), files(false));
}

#[test]
fn wherever_the_daemon_dies_nothing_that_was_foreseen_is_taken_for_a_run() {
    recovery::die_after_each_act(|desk, soon| {
        desk.prepare();
        desk.foresee(soon, at(1900));
    });
}

#[test]
fn what_was_foreseen_in_vain_leaves_nothing() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let (vain, _) = foreseen(&space, &mut desk);
    // Another one begins instead, and the next is foreseen again.
    let ended = run_to_end(&mut desk, 3, RunStatus::Succeeded);
    assert_eq!(spares(&space), Vec::<String>::new());
    assert!(!space.path(&base(&vain)).exists());
    space.check_files(&ended.run.to_string());
    desk.prepare();
    desk.foresee(&vain, at(1010));
    desk.prepare();
    assert_eq!(spares(&space).len(), 1, "the one before is gone");
    let soon = report("demo", 4, RunStatus::InProgress);
    desk.foresee(&soon, at(1020));
    desk.begin(&soon, at(1021)).unwrap();
    desk.anchor(&soon.run).unwrap();
    space.check_files("begun");
    drop(desk);
    assert_eq!(spares(&space), Vec::<String>::new());
}

#[test]
fn where_what_was_foreseen_was_cleaned_up_the_run_begins_all_the_same() {
    for gone in [
        ".runs",
        ".runs/.orchd-spare",
        "local",
        "run/commands",
        "pointer",
        "run",
    ] {
        let space = Space::new();
        let mut desk = space.desk("d");
        let (soon, dir) = foreseen(&space, &mut desk);
        let gone_path = match gone.strip_prefix(".runs") {
            Some(_) => space.path(gone),
            None => dir.parent().unwrap().join(gone),
        };
        std::fs::remove_dir_all(gone_path).unwrap();
        desk.begin(&soon, at(1005))
            .unwrap_or_else(|error| panic!("without {gone}: {error}"));
        desk.anchor(&soon.run).unwrap();
        let manifest = space.json(&format!("{}/manifest.json", base(&soon)));
        assert_eq!(manifest["status"], "in_progress", "without {gone}");
        space.check_files(gone);
        run_to_end(&mut desk, 2, RunStatus::Succeeded);
        space.check_files(gone);
    }
}

#[test]
fn a_pointer_that_comes_before_what_was_foreseen_stays() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let (soon, _) = foreseen(&space, &mut desk);
    let theirs = [
        format!(".runs/demo/mcp/{}/compat.json", soon.run),
        format!(".runs/local-mcp/{}/theirs", soon.run),
    ];
    theirs.iter().for_each(|path| space.write(path, b"{}"));
    desk.begin(&soon, at(1005)).unwrap();
    desk.anchor(&soon.run).unwrap();
    for path in theirs {
        assert!(space.path(&path).exists(), "{path}");
    }
    for place in ["demo/mcp", "local-mcp"] {
        let found = space.json(&format!(".runs/{place}/{}/manifest.json", soon.run));
        assert!(found.is_object(), "{place}");
    }
    space.check_files("begun");
}

#[test]
fn another_directory_in_the_place_of_the_root_gets_nothing_that_was_foreseen() {
    let space = Space::new();
    let mut desk = space.desk("d");
    let identity = |path: &Path| Some(Identity::of(&std::fs::metadata(path).unwrap()));
    desk.hold(identity(&space.path("")));
    let (soon, _) = foreseen(&space, &mut desk);
    let moved = space.dir.path().join("moved");
    std::fs::rename(space.path(""), &moved).unwrap();
    std::fs::create_dir_all(space.path(".runs")).unwrap();
    assert!(matches!(
        desk.begin(&soon, at(1005)),
        Err(EvidenceError::Disk(_))
    ));
    assert_eq!(std::fs::read_dir(space.path(".runs")).unwrap().count(), 0);
}
