//! Roots that go and come, and configuration files.
//!
//! A root that goes is missing, one that comes back is picked up, one that is swapped is another.

use super::*;

#[test]
fn a_root_that_is_deleted_is_missing_and_is_picked_up_again() {
    let mut it = Fixture::new();
    it.write("d/f", "1");
    let first = it.true_view();
    fs::remove_dir_all(it.root.as_path()).unwrap();
    let began = std::time::Instant::now();
    loop {
        let gone = it.tree.capture(&[it.subject.clone()], TIMEOUT).unwrap_err();
        assert_eq!(gone.to_string(), format!("`{}` is missing", it.root));
        assert_eq!(it.tree.root_state(), RootState::Missing);
        // The kernel tells the end of a directory once nobody has it open, and a process that another test starts has it
        // until it is executed.
        if it.watcher.ready().is_empty() {
            break;
        }
        assert!(
            began.elapsed() < TIMEOUT,
            "a missing root keeps nobody busy"
        );
    }
    it.write("d/f", "1");
    it.tree.eye.sync(TIMEOUT).unwrap();
    assert_eq!(
        it.watcher.ready(),
        [WorkspaceId(1)],
        "its return is an event"
    );
    let (touches, view) = it.capture();
    assert_eq!(it.tree.root_state(), RootState::Present);
    assert_eq!((touches, view.input), (Touches::default(), first.input));
    it.write("d/f", "2");
    assert_eq!(paths(&it.touched()), ["d/f"]);
    it.true_view();
}

impl Fixture {
    /// The next look tells that what was the root is not there any more, before anything of the other one.
    fn is_replaced(&mut self) {
        self.tree.eye.sync(TIMEOUT).unwrap();
        let known = self.tree.identity();
        let error = self.tree.examine().unwrap_err();
        assert!(matches!(error, TreeError::Replaced { .. }), "{error}");
        assert_eq!(self.tree.root_state(), RootState::Missing);
        assert_ne!(self.tree.identity(), known);
    }
}

#[test]
fn a_root_that_is_swapped_is_seen_by_its_name() {
    let mut it = Fixture::new();
    it.write("d/f", "1");
    it.true_view();
    let aside = it.above.path().join("aside");
    fs::rename(it.root.as_path(), &aside).unwrap();
    it.write("d/f", "2");
    it.write("g", "1");
    it.is_replaced();
    assert_eq!(paths(&it.touched()), ["d/f", "g"]);
    it.true_view();
    write(&aside.join("d/f"), "not ours");
    assert_eq!(it.touched(), Touches::default());
    it.write("d/f", "3");
    assert_eq!(paths(&it.touched()), ["d/f"]);
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, it.root.as_path(), CWD, &aside, RenameFlags::EXCHANGE).unwrap();
    it.is_replaced();
    assert_eq!(paths(&it.touched()), ["d/f", "g"]);
    it.write("d/f", "4");
    assert_eq!(paths(&it.touched()), ["d/f"]);
    it.true_view();
}

#[test]
fn a_root_whose_parent_goes_with_it_comes_back() {
    let mut it = Fixture::new();
    it.write("f", "1");
    it.true_view();
    let above = it.above.path().to_path_buf();
    fs::remove_dir_all(&above).unwrap();
    it.tree.eye.sync(TIMEOUT).unwrap();
    let missing = it.tree.examine().unwrap_err();
    assert!(matches!(missing, TreeError::Missing { .. }), "{missing}");
    it.write("f", "2");
    it.tree.eye.sync(TIMEOUT).unwrap();
    assert_eq!(shown(&it.true_view().changed), ["f"]);
    it.write("f", "3");
    assert_eq!(paths(&it.touched()), ["f"]);
}

#[test]
fn evidence_that_was_written_just_after_an_unmount_makes_no_workspace() {
    let mut it = Fixture::new();
    it.true_view();
    // As if something had been mounted there until now.
    it.tree.mounted = true;
    it.write("out/0101/state.json", "{}");
    it.write(".runs/0101/cli/r/manifest.json", "{}");
    for _ in 0..2 {
        let gone = it.tree.examine().unwrap_err();
        assert!(matches!(gone, TreeError::Unmounted { .. }), "{gone}");
    }
    it.write("f", "of whoever works there now");
    assert_eq!(paths(&it.touched()), ["f"]);
}

#[test]
fn there_is_no_tree_without_a_directory() {
    let it = Fixture::new();
    it.write("file", "");
    let root = RootPath::new(&it.path("file")).unwrap();
    let eye = it.watcher.eye(WorkspaceId(2), &root);
    let scopes = Scopes::bare(&root, &Places::default());
    let refused = Tree::open(root, eye, scopes).unwrap_err();
    assert!(matches!(refused, TreeError::Missing { .. }), "{refused}");
}

#[test]
fn a_configuration_file_is_told_even_when_it_is_ignored() {
    let mut it = Fixture::new();
    let file = RelPath::parse("orchd.toml").unwrap();
    let places = Places {
        configuration: vec![file],
        ..Places::default()
    };
    it.write(".gitignore", "orchd.toml\n");
    let scopes = Scopes::compile(&plain(), &it.root, &places).unwrap();
    it.tree.configure(scopes).unwrap();
    it.tree.scan().unwrap();
    it.write("orchd.toml", "one");
    let told = it.touched();
    assert!(told.configuration && told.projects.is_empty(), "{told:?}");
    it.write("orchd.toml", "one");
    it.write("other", "");
    assert!(!it.touched().configuration);
}

#[test]
fn evidence_and_git_trigger_nothing() {
    let mut it = Fixture::new();
    it.true_view();
    for path in [
        ".git/index",
        ".runs/0101/cli/r/manifest.json",
        "out/0101/state.json",
    ] {
        it.write(path, "1");
        assert_eq!(it.touched(), Touches::default(), "{path}");
        it.write(path, "2");
        assert_eq!(it.touched(), Touches::default(), "{path}");
    }
    it.write("out/other/f", "content");
    assert_eq!(paths(&it.touched()), ["out/other/f"]);
}

#[test]
fn a_closed_tree_leaves_no_doubt_behind() {
    let it = Fixture::new();
    it.write("f", "1");
    let other = it.watcher.eye(WorkspaceId(2), &it.root);
    it.tree.close();
    write(&it.root.as_path().join("g"), "1");
    other.sync(TIMEOUT).unwrap();
    drop(other.drain());
    write(&it.root.as_path().join("h"), "1");
    other.sync(TIMEOUT).unwrap();
    assert_eq!(it.watcher.ready(), [], "a watch was left");
}

#[test]
fn a_root_that_cannot_be_read_is_as_good_as_missing_and_comes_back() {
    use std::os::unix::fs::PermissionsExt as _;
    // Root may read everything; `.ci/run` has this tested by somebody else, too.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let mut it = Fixture::new();
    it.write("d/f", "1");
    let first = it.true_view();
    let mode = |it: &Fixture, mode| {
        fs::set_permissions(it.root.as_path(), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&it, 0o000);
    let shut = it.tree.capture(&[it.subject.clone()], TIMEOUT).unwrap_err();
    assert_eq!(shut.to_string(), format!("failed to look at `{}`", it.root));
    assert_eq!(it.tree.root_state(), RootState::Missing);
    mode(&it, 0o755);
    let (touches, view) = it.capture();
    assert_eq!((touches, view.input), (Touches::default(), first.input));
    it.write("d/f", "2");
    assert_eq!(paths(&it.touched()), ["d/f"]);
}

#[test]
fn a_tree_that_is_known_to_be_too_large_asks_for_no_watch_more() {
    let mut it = Fixture::new();
    let before = it.tree.watches();
    for number in 0..20 {
        it.write(&format!("d{number}/f"), "1");
    }
    let other = it.watcher.eye(WorkspaceId(2), &it.root);
    let limit = it.tree.eye.room().unwrap();
    other.note_watches(limit - before - 10);
    assert_eq!(it.tree.eye.room(), Some(before + 10));
    let touches = it.tree.scan().unwrap();
    assert_eq!(paths(&touches).len(), 20, "it is scanned all the same");
    let Seeing::Refused(why) = it.tree.seeing() else {
        panic!("it was asked for: {:?}", it.tree.seeing());
    };
    let named = format!("and this workspace has {} directories", before + 20);
    assert!(why.to_string().contains(&named), "{why}");
    assert_eq!(it.tree.watches(), 0);
    other.close();
    it.tree.examine().unwrap();
    assert!(it.tree.seeing().is_by_events());
    assert_eq!(it.tree.watches(), before + 20);
}

/// A tree that is watched, and that has more to watch around its root than the kernel grants.
fn refused_around(poll: Poll) -> Fixture {
    let mut config = plain();
    config.settings.poll = poll;
    let mut it = Fixture::with(&config, |root| {
        write(&root.join("d/f"), "1");
        run(root, "git", &["init", "-q", "."]);
        fs::remove_dir_all(root.join(".git/info")).unwrap();
    });
    it.true_view();
    it.touched();
    it.watcher.grant(Some(0));
    fs::create_dir(it.path(".git/info")).unwrap();
    it.tree.eye.sync(TIMEOUT).unwrap();
    it
}

#[test]
fn a_watch_that_is_refused_around_the_root_has_it_polled_until_there_is_one() {
    let mut it = refused_around(Poll::Auto);
    it.tree.examine().unwrap();
    let Seeing::Refused(why) = it.tree.seeing() else {
        panic!("nobody tells of what git tracks");
    };
    let needed = matches!(why, WatchError::Watches { needed: 2, .. });
    assert!(needed && it.tree.watches() == 0, "{why}");
    it.write(".git/info/exclude", "*.o\n");
    it.write("x.o", "1");
    it.write("d/f", "2");
    assert_eq!(paths(&it.touched()), ["d/f"]);
    it.watcher.grant(None);
    it.touched();
    assert!(!it.tree.seeing().is_by_events(), "it is asked for in time");
    it.tree.note_time_to_ask();
    it.touched();
    assert!(it.tree.seeing().is_by_events());
    it.touched();
    // And what lies around is an event again.
    assert_eq!(it.watcher.ready(), []);
    it.write(".git/info/exclude", "");
    it.tree.eye.sync(TIMEOUT).unwrap();
    assert_eq!(it.watcher.ready(), [WorkspaceId(1)]);
    assert_eq!(paths(&it.tree.examine().unwrap()), ["x.o"]);
}

#[test]
fn a_watch_that_is_refused_around_a_root_that_may_not_be_polled_fails_the_look() {
    let mut it = refused_around(Poll::Never);
    it.write("d/f", "2");
    for _ in 0..2 {
        let failed = it.tree.examine().unwrap_err();
        assert!(matches!(failed, TreeError::Watch { .. }), "{failed}");
    }
    it.watcher.grant(None);
    assert_eq!(paths(&it.touched()), ["d/f"]);
    it.write("d/f", "3");
    assert_eq!(paths(&it.touched()), ["d/f"]);
}
