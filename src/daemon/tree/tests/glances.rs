//! Trees that are asked once: without a watch as long as nothing changes while they are looked at, and watched before anything
//! runs.
//!
//! What changes while a look is under way is made to by giving the look a beginning that lies before the change.

use super::*;
use crate::daemon::tree::print::{Moment, Print};

/// A tree at the root of another, for one question; the one from before is closed.
fn ask_once(it: &mut Fixture) {
    let cookies = it.state.path().join("once/cookies");
    let watcher = Watcher::resting(&cookies, Arc::new(Notify::new())).unwrap();
    let eye = watcher.eye(WorkspaceId(1), &it.root);
    let scopes = Scopes::compile(&plain(), &it.root, &Places::default()).unwrap();
    let tree = Tree::open_for(Home::default(), it.root.clone(), eye, scopes).unwrap();
    let tree = tree.for_one_question(true);
    std::mem::replace(&mut it.tree, tree).close();
    it.watcher = watcher;
    it.tree.scan().unwrap();
}

/// Waits until the clock of the file system has moved on from whatever was changed before.
fn rest(it: &Fixture) {
    let path = it.state.path().join("clock");
    write(&path, "");
    let print = Print::of(&fs::symlink_metadata(path).unwrap());
    while print.is_racy_at(Moment::now()) {
        std::thread::yield_now();
    }
}

fn prepared() -> Fixture {
    let it = Fixture::with(&plain(), |root| {
        for file in ["a", "d/e/f", "d/g", "rules/x"] {
            write(&root.join(file), file);
        }
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
    });
    rest(&it);
    it
}

#[test]
fn a_look_without_watches_is_an_answer_if_nothing_changed_meanwhile() {
    let mut it = prepared();
    let watched = it.view().input;
    ask_once(&mut it);
    let (touches, view) = it.capture();
    assert_eq!((touches, view.input), (Touches::default(), watched));
    assert_eq!(it.view().input, watched, "as often as it is asked for");
    assert!(it.tree.is_unwatched() && it.tree.watches() == 0);
    assert!(!it.watcher.has_ended(), "it rests");
    assert!(!it.state.path().join("once/cookies").exists());
}

#[test]
fn before_anything_runs_it_is_watched_and_what_changed_is_told() {
    let mut it = prepared();
    ask_once(&mut it);
    let seen = it.view();
    it.write("d/g", "other");
    fs::remove_file(it.path("a")).unwrap();
    let touches = it.tree.watch_now().unwrap();
    assert_eq!(paths(&touches), ["a", "d/g"]);
    assert!(!it.tree.is_unwatched() && it.tree.seeing().is_by_events());
    assert_eq!(it.tree.watches(), it.tree.directories());
    let view = it.true_view();
    assert_eq!(shown(&view.changed), ["a", "d/g"]);
    assert_ne!(view.input, seen.input);
    it.write("d/e/f", "2");
    assert_eq!(paths(&it.touched()), ["d/e/f"]);
    it.true_view();
    assert_eq!(it.tree.watch_now().unwrap(), Touches::default());
}

#[test]
fn who_asks_once_more_is_told_what_is_there_then() {
    let mut it = prepared();
    ask_once(&mut it);
    let seen = it.view();
    it.write("d/g", "other");
    it.write("d/new", "");
    rest(&it);
    let before = it.capture();
    assert_eq!(before.0, Touches::default(), "nobody was answered yet");
    assert_eq!(before.1.input, seen.input);
    it.tree.end_first_question();
    let (touches, view) = it.capture();
    assert_eq!(paths(&touches), ["d/g", "d/new"]);
    assert_eq!(shown(&view.changed), ["d/g", "d/new"]);
    assert_ne!(view.input, seen.input);
    assert!(it.tree.is_unwatched(), "nothing changed meanwhile");
    // So soon after a change that nobody can say: it is watched, and looked at anew.
    it.write("d/g", "another");
    it.tree.end_first_question();
    let later = it.true_view();
    assert_ne!(later.input, view.input);
    assert_eq!(it.true_view().input, later.input);
}

#[test]
fn what_was_changed_right_before_is_looked_at_with_watches() {
    let mut it = prepared();
    // Until the look was so soon after the change that the clock had not moved on.
    for round in 0.. {
        assert!(round < 1_000, "this machine is too slow");
        it.write("d/g", &round.to_string());
        ask_once(&mut it);
        let view = it.true_view();
        if !it.tree.is_unwatched() {
            assert_eq!(view.changed, Changed::Everything);
            break;
        }
    }
    it.write("d/g", "another");
    assert_eq!(paths(&it.touched()), ["d/g"]);
    assert_eq!(shown(&it.true_view().changed), ["d/g"]);
}

#[test]
fn nothing_that_changes_while_it_is_looked_at_goes_unnoticed() {
    type Change = fn(&Fixture);
    let changes: [(&str, Change); 10] = [
        ("an edit", |it| it.write("d/g", "other")),
        ("an edit whose time is put back", |it| {
            it.write("d/g", "D/G");
            let file = fs::File::options()
                .write(true)
                .open(it.path("d/g"))
                .unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }),
        ("a new file", |it| it.write("d/e/new", "")),
        ("a new directory", |it| {
            fs::create_dir(it.path("d/e/new")).unwrap();
        }),
        ("a file that goes", |it| {
            fs::remove_file(it.path("d/e/f")).unwrap();
        }),
        ("a directory that goes", |it| {
            fs::remove_dir_all(it.path("d/e")).unwrap();
        }),
        ("a name", |it| {
            fs::rename(it.path("a"), it.path("b")).unwrap();
        }),
        ("a directory's name", |it| {
            fs::rename(it.path("d/e"), it.path("d/h")).unwrap();
        }),
        ("a mode", |it| {
            fs::set_permissions(it.path("a"), fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("a link", |it| {
            fs::remove_file(it.path("link")).unwrap();
            std::os::unix::fs::symlink("d", it.path("link")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let mut it = prepared();
        ask_once(&mut it);
        it.view();
        let before = Glance::begin();
        rest(&it);
        it.tree.glance = Some(before);
        it.tree.full_scan(Renew::No).unwrap();
        it.view();
        assert!(
            it.tree.is_unwatched(),
            "{what}: it is the change that counts"
        );
        change(&it);
        it.tree.glance = Some(before);
        it.tree.full_scan(Renew::No).unwrap();
        it.true_view();
        assert!(!it.tree.is_unwatched(), "{what}");
    }
}

#[test]
fn a_rule_that_hides_itself_does_not_go_unnoticed() {
    let mut it = prepared();
    let rule =
        |it: &Fixture, hides: &str| it.write("rules/.gitignore", &format!(".gitignore\n{hides}\n"));
    rule(&it, "y");
    rest(&it);
    ask_once(&mut it);
    it.view();
    assert!(it.tree.is_unwatched());
    assert!(files(&it.tree).contains("rules/x"));
    let before = Glance::begin();
    rest(&it);
    rule(&it, "x");
    it.tree.glance = Some(before);
    it.tree.full_scan(Renew::No).unwrap();
    it.view();
    assert!(!it.tree.is_unwatched());
    assert!(!files(&it.tree).contains("rules/x"));
}

#[test]
fn a_directory_that_goes_before_it_is_listed_does_not_go_unnoticed() {
    for errno in [rustix::io::Errno::NOENT, rustix::io::Errno::ACCESS] {
        let mut it = prepared();
        ask_once(&mut it);
        assert!(it.tree.is_unwatched());
        drop(audits::fail(&mut it, "d/e", errno));
        it.true_view();
        assert!(!it.tree.is_unwatched(), "{errno}");
    }
}

#[test]
fn what_git_does_for_whoever_asks_it_is_no_change_and_another_index_is_one() {
    let mut it = prepared();
    run(it.root.as_path(), "git", &["init", "-q"]);
    run(it.root.as_path(), "git", &["add", "-A"]);
    rest(&it);
    it.write(".git/index.lock", "");
    fs::remove_file(it.path(".git/index.lock")).unwrap();
    ask_once(&mut it);
    it.true_view();
    assert!(it.tree.is_unwatched());
    let before = Glance::begin();
    rest(&it);
    run(it.root.as_path(), "git", &["rm", "-q", "--cached", "a"]);
    it.tree.glance = Some(before);
    it.tree.full_scan(Renew::No).unwrap();
    it.true_view();
    assert!(!it.tree.is_unwatched());
}

#[test]
fn a_clock_that_is_set_meanwhile_is_noticed() {
    let mut it = prepared();
    ask_once(&mut it);
    it.tree.glance = it
        .tree
        .glance
        .map(|glance| glance.with_clock_set_by(-5_000_000));
    it.true_view();
    assert!(!it.tree.is_unwatched());
}
