//! Single changes: what is told, and what is passed over.
//!
//! Each of them is made as an editor or a tool makes it.

use super::*;
use std::os::unix::fs::symlink;

#[test]
fn the_first_scan_tells_everything_and_the_first_view_is_true() {
    let mut it = Fixture::with(&plain(), |root| {
        write(&root.join("src/a.rs"), "a");
        write(&root.join("empty"), "");
        fs::create_dir_all(root.join("no/files/here")).unwrap();
        symlink("../nowhere", root.join("src/link")).unwrap();
    });
    let view = it.true_view();
    assert_eq!(view.changed, Changed::Everything);
    assert_eq!((it.tree.files(), it.tree.directories()), (3, 5));
    assert_eq!(it.tree.watches(), 5);
    let again = it.true_view();
    assert_eq!(again.changed, Changed::Paths(Vec::new()));
    assert_eq!(again.input, view.input);
}

#[test]
fn each_kind_of_change_is_told_once_and_seen() {
    let mut it = Fixture::new();
    it.write("a", "1");
    assert_eq!(paths(&it.touched()), ["a"]);
    let one = it.true_view();
    it.write("a", "2");
    assert_eq!(paths(&it.touched()), ["a"]);
    assert_eq!(it.touched(), Touches::default());
    let two = it.true_view();
    assert_ne!(one.input, two.input);
    assert_eq!(shown(&two.changed), ["a"]);
    fs::rename(it.path("a"), it.path("b")).unwrap();
    assert_eq!(paths(&it.touched()), ["a", "b"]);
    it.true_view();
    symlink("b", it.path("l")).unwrap();
    assert_eq!(paths(&it.touched()), ["l"]);
    it.true_view();
    fs::remove_file(it.path("l")).unwrap();
    symlink("elsewhere", it.path("l")).unwrap();
    assert_eq!(shown(&it.true_view().changed), ["l"]);
    fs::remove_file(it.path("b")).unwrap();
    assert_eq!(shown(&it.true_view().changed), ["b"]);
}

#[test]
fn a_few_files_that_are_there_were_saved() {
    let mut it = Fixture::new();
    it.write("a", "1");
    it.write("b", "1");
    assert!(it.touched().saved);
    assert!(!it.touched().saved, "nothing was");
    it.write("a", "2");
    fs::remove_file(it.path("b")).unwrap();
    assert!(!it.touched().saved);
    for n in 0..=SAVED_FILES_MAX {
        it.write(&format!("many/{n}"), "1");
    }
    assert!(!it.touched().saved);
    it.write("many/1", "2");
    assert!(it.touched().saved);
}

#[test]
fn the_same_bytes_are_no_change() {
    let mut it = Fixture::new();
    it.write("a", "same");
    let first = it.true_view();
    it.write("a", "same");
    assert_eq!(it.touched(), Touches::default());
    write(&it.path("new"), "same");
    fs::rename(it.path("new"), it.path("a")).unwrap();
    assert_eq!(it.touched(), Touches::default());
    run(it.root.as_path(), "touch", &["-d", "2001-01-01", "a"]);
    assert_eq!(it.touched(), Touches::default());
    let last = it.true_view();
    assert_eq!(last.input, first.input);
    assert_eq!(last.changed, Changed::Paths(Vec::new()));
}

#[test]
fn a_change_that_is_taken_back_is_not_in_the_view() {
    let mut it = Fixture::new();
    it.write("a", "one");
    it.true_view();
    it.write("a", "two, longer");
    it.write("b", "short-lived");
    assert_eq!(paths(&it.touched()), ["a", "b"]);
    it.write("a", "one");
    fs::remove_file(it.path("b")).unwrap();
    assert_eq!(it.true_view().changed, Changed::Paths(Vec::new()));
}

#[test]
fn the_executable_bit_is_content_and_other_bits_are_not() {
    let mut it = Fixture::new();
    it.write("a", "x");
    let plain = it.true_view();
    let mode = |it: &Fixture, mode| {
        fs::set_permissions(it.path("a"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&it, 0o600);
    assert_eq!(it.touched(), Touches::default());
    mode(&it, 0o755);
    assert_eq!(paths(&it.touched()), ["a"]);
    assert_ne!(it.true_view().input, plain.input);
}

#[test]
fn a_large_file_is_told_and_then_compared() {
    let mut it = Fixture::new();
    let large = "x".repeat(usize::try_from(crate::limits::EAGER_HASH_BYTES_MAX).unwrap() + 1);
    it.write("large", &large);
    let first = it.true_view();
    it.write("large", &large);
    assert_eq!(paths(&it.touched()), ["large"]);
    let second = it.true_view();
    assert_eq!(second.input, first.input);
    assert_eq!(second.changed, Changed::Paths(Vec::new()));
}

#[test]
fn editors_saves_are_one_change_of_one_file() {
    let mut it = Fixture::new();
    it.write("f", "0");
    it.true_view();
    // Vim: probe, backup by rename, new file, backup removed.
    it.write("4913", "");
    fs::remove_file(it.path("4913")).unwrap();
    it.write(".f.swp", "swap");
    fs::rename(it.path("f"), it.path("f~")).unwrap();
    it.write("f", "vim");
    assert_eq!(paths(&it.touched()), ["f"]);
    fs::remove_file(it.path("f~")).unwrap();
    fs::remove_file(it.path(".f.swp")).unwrap();
    assert_eq!(it.touched(), Touches::default());
    it.true_view();
    // Emacs: a lock that points nowhere, an autosave, then in place.
    symlink("user@host.1:2", it.path(".#f")).unwrap();
    it.write("#f#", "autosaved");
    it.write("f", "emacs");
    assert_eq!(paths(&it.touched()), ["f"]);
    fs::remove_file(it.path(".#f")).unwrap();
    fs::remove_file(it.path("#f#")).unwrap();
    it.true_view();
    // VS Code and our own way: a temporary file in the same directory, renamed over it.
    it.write("f.tmp-12-34", "safe");
    fs::rename(it.path("f.tmp-12-34"), it.path("f")).unwrap();
    assert_eq!(paths(&it.touched()), ["f"]);
    it.true_view();
    // From elsewhere by rename: there is one event, and no write.
    let outside = it.above.path().join("outside");
    write(&outside, "moved in");
    fs::rename(&outside, it.path("f")).unwrap();
    assert_eq!(paths(&it.touched()), ["f"]);
    it.true_view();
}

#[test]
fn a_file_that_becomes_a_directory_and_back() {
    let mut it = Fixture::new();
    it.write("x", "file");
    it.true_view();
    fs::remove_file(it.path("x")).unwrap();
    it.write("x/y/z", "deep");
    assert_eq!(paths(&it.touched()), ["x", "x/y/z"]);
    it.true_view();
    it.write("x/y/later", "watched");
    assert_eq!(paths(&it.touched()), ["x/y/later"]);
    fs::remove_dir_all(it.path("x")).unwrap();
    it.write("x", "file");
    it.true_view();
    assert_eq!(it.tree.watches(), 1);
}

#[test]
fn directories_that_swap_places_stay_seen() {
    let mut it = Fixture::new();
    it.write("a/deep/f", "a");
    it.write("b/deep/f", "b");
    it.true_view();
    for round in 0..5 {
        fs::rename(it.path("a"), it.path("c")).unwrap();
        fs::rename(it.path("b"), it.path("a")).unwrap();
        fs::rename(it.path("c"), it.path("b")).unwrap();
        it.true_view();
        it.write("a/deep/f", &format!("a{round}"));
        it.write("b/deep/g", &format!("b{round}"));
        let touched = paths(&it.touched());
        assert!(
            touched.contains(&"a/deep/f".to_owned()) && touched.contains(&"b/deep/g".to_owned()),
            "{touched:?}"
        );
        it.true_view();
    }
}

#[test]
fn a_directory_that_is_found_under_its_new_name_first_stays_seen() {
    let mut it = Fixture::new();
    it.write("old/f", "1");
    it.true_view();
    for (from, to) in [("old", "new"), ("new", "old"), ("old", "anew")] {
        fs::rename(it.path(from), it.path(to)).unwrap();
        // The scan may meet the new name before the events of the rename are out of the queue.
        it.tree.scan().unwrap();
        it.true_view();
        it.write(&format!("{to}/f"), to);
        assert_eq!(paths(&it.touched()), [format!("{to}/f")]);
    }
}

#[test]
fn a_directory_that_goes_and_comes_back_stays_seen() {
    let mut it = Fixture::new();
    it.write("a/deep/f", "1");
    it.true_view();
    fs::rename(it.path("a"), it.path("aside")).unwrap();
    fs::rename(it.path("aside"), it.path("a")).unwrap();
    assert_eq!(it.touched(), Touches::default());
    it.write("a/deep/f", "2");
    assert_eq!(paths(&it.touched()), ["a/deep/f"]);
}

#[test]
fn a_move_whose_events_are_lost_leaves_nothing_blind() {
    let mut it = Fixture::new();
    it.write("a/x/deep/f", "1");
    it.write("b/g", "1");
    it.true_view();
    for (from, to) in [("a/x", "b/x"), ("b/x", "a/x")] {
        // The directories that would tell of the move are not watched while it happens, as if the queue was full.
        for directory in ["a", "b"] {
            it.blind(directory);
        }
        fs::rename(it.path(from), it.path(to)).unwrap();
        it.tree.scan().unwrap();
        it.tree.eye.sync(TIMEOUT).unwrap();
        drop(it.tree.eye.drain());
        it.write(&format!("{to}/deep/f"), to);
        assert_eq!(paths(&it.touched()), [format!("{to}/deep/f")]);
    }
}

#[test]
fn lost_events_cost_a_scan_and_tell_true_differences() {
    let mut it = Fixture::new();
    for name in ["a", "b", "d/c"] {
        it.write(name, "1");
    }
    it.true_view();
    it.write("b", "2");
    it.write("d/new", "1");
    it.tree.eye.sync(TIMEOUT).unwrap();
    drop(it.tree.eye.drain());
    it.watcher.lose_everything();
    assert_eq!(it.watcher.ready(), [WorkspaceId(1)]);
    assert_eq!(paths(&it.tree.examine().unwrap()), ["b", "d/new"]);
    assert_eq!(shown(&it.true_view().changed), ["b", "d/new"]);
}

#[test]
fn a_write_through_one_name_is_a_change_of_every_name() {
    let mut it = Fixture::new();
    it.write("a/one", "1");
    it.true_view();
    fs::create_dir(it.path("b")).unwrap();
    fs::hard_link(it.path("a/one"), it.path("b/two")).unwrap();
    it.write("b/two", "2");
    assert_eq!(paths(&it.touched()), ["a/one", "b/two"]);
    it.true_view();
    it.write("a/one", "3");
    assert_eq!(paths(&it.touched()), ["a/one", "b/two"]);
    it.true_view();
    it.write("b/two", "4");
    fs::remove_file(it.path("b/two")).unwrap();
    assert_eq!(paths(&it.touched()), ["a/one", "b/two"]);
    it.true_view();
}

#[test]
fn odd_names_are_content_like_any_other() {
    let mut it = Fixture::new();
    let odd = [
        &b"no\xfftext"[..],
        b"new\nline",
        b" ",
        b"\\x",
        b"a\xfe/b\xff",
    ];
    for name in odd {
        write(&it.root.as_path().join(&*names::path(name)), "odd");
    }
    let (_, view) = it.capture();
    assert_eq!(view.input, oracle(it.root.as_path()));
    assert_eq!(it.tree.files(), odd.len());
    let odd = it.root.as_path().join(&*names::path(b"a\xfe/b\xff"));
    fs::write(&odd, "changed").unwrap();
    assert_eq!(paths(&it.touched()), ["a\\xfe/b\\xff"]);
    it.true_view();
}

#[test]
fn a_polled_tree_sees_the_same_without_a_watch() {
    let mut config = plain();
    config.settings.poll = Poll::Always;
    let mut it = Fixture::with(&config, |root| write(&root.join("d/f"), "1"));
    it.true_view();
    assert_eq!(it.tree.watches(), 0);
    assert!(!it.tree.seeing().is_by_events());
    it.write("d/f", "2");
    it.write("e/g", "1");
    assert_eq!(paths(&it.tree.examine().unwrap()), ["d/f", "e/g"]);
    it.true_view();
    // The same size at once after the hash: the clock of the file system may not have ticked.
    for round in 0..20 {
        it.write("d/f", &(round % 10).to_string());
        it.true_view();
    }
}

#[test]
fn what_cannot_be_read_is_told_and_comes_back() {
    // Root may read everything; `.ci/run` has this tested by somebody else, too.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let mut it = Fixture::new();
    it.write("shut/f", "1");
    it.write("open/f", "1");
    let whole = it.true_view();
    let mode = |it: &Fixture, mode| {
        fs::set_permissions(it.path("shut"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&it, 0o000);
    assert_ne!(it.view().input, whole.input);
    let (path, kind) = it.tree.unreadable().next().unwrap();
    assert_eq!(
        (path.to_string().as_str(), kind),
        ("shut", io::ErrorKind::PermissionDenied)
    );
    it.write("open/g", "1");
    assert_eq!(paths(&it.touched()), ["open/g"]);
    fs::remove_file(it.path("open/g")).unwrap();
    mode(&it, 0o755);
    assert_eq!(it.true_view().input, whole.input);
    assert_eq!(it.tree.unreadable().count(), 0);
    it.write("shut/f", "2");
    assert_eq!(paths(&it.touched()), ["shut/f"]);
}

#[test]
fn a_backup_is_hidden_as_long_as_its_file_stands_beside_it() {
    let mut it = Fixture::new();
    for name in ["gen.tmp-notes.txt", "notes~", "dir.tmp-a/f", "d~/f"] {
        it.write(name, "1");
    }
    let told = ["dir.tmp-a/f", "d~/f", "gen.tmp-notes.txt", "notes~"];
    assert_eq!(paths(&it.touched()), told);
    it.true_view();
    it.write("gen.tmp-notes.txt", "2");
    it.write("notes~", "2");
    assert_eq!(paths(&it.touched()), ["gen.tmp-notes.txt", "notes~"]);
    it.write("notes", "1");
    assert_eq!(paths(&it.touched()), ["notes", "notes~"]);
    let explained = it.tree.explain(&RelPath::parse("notes~").unwrap());
    let crate::model::view::Explanation::Ignored { source, .. } = explained else {
        panic!("{explained:?}");
    };
    assert_eq!(source, "built in: a backup beside its file");
    it.write("notes~", "3");
    assert_eq!(it.touched(), Touches::default());
    it.tree.scan().unwrap();
    assert_eq!(
        files(&it.tree),
        set(&["gen.tmp-notes.txt", "dir.tmp-a/f", "d~/f", "notes"])
    );
    fs::remove_file(it.path("notes")).unwrap();
    assert_eq!(paths(&it.touched()), ["notes", "notes~"]);
    it.true_view();
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_file_holds_while_it_is_written_is_nobodys_content() {
    use std::io::Write as _;
    let mut it = Fixture::new();
    it.write("a", "one");
    it.true_view();
    let closed = |it: &mut Fixture| {
        it.tree.eye.sync(TIMEOUT).unwrap();
        paths(&it.tree.examine_closed(Tick::new(TIMEOUT)).unwrap())
    };
    let mut writer = fs::File::create(it.path("a")).unwrap();
    assert_eq!(closed(&mut it), Vec::<String>::new());
    assert!(it.tree.is_written());
    writer.write_all(b"one").unwrap();
    drop(writer);
    assert_eq!(closed(&mut it), Vec::<String>::new());
    // A process that another test starts has it open, too, until it is executed.
    let began = std::time::Instant::now();
    while it.tree.is_written() && began.elapsed() < TIMEOUT {
        assert_eq!(closed(&mut it), Vec::<String>::new());
    }
    assert!(!it.tree.is_written());
    assert_eq!(shown(&it.true_view().changed), Vec::<String>::new());
    // A look takes what is there, whoever still has it open.
    let mut writer = fs::File::create(it.path("a")).unwrap();
    writer.write_all(b"two").unwrap();
    assert_eq!(closed(&mut it), Vec::<String>::new());
    assert_eq!(shown(&it.true_view().changed), ["a"]);
    assert!(!it.tree.is_written());
}
