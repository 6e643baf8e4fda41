//! Self-audits: what they find, what they count, and what they leave to the events.
//!
//! What no event tells is made with a name of a file that lies outside of the workspace.

use super::*;
use crate::limits::{AUDIT_SLICE_DIRECTORIES, MISSES_POLLED};
use std::process::Stdio;

/// Compares everything; says what was missed, and what was touched.
fn audit(it: &mut Fixture) -> (Vec<String>, Vec<String>) {
    let (mut missed, mut touched) = (Vec::new(), Vec::new());
    it.tree.begin_audit();
    loop {
        let part = it.tree.audit();
        missed.extend(part.missed.iter().map(RelPath::to_text));
        if let Some(touches) = part.touches {
            touched.extend(paths(&touches.unwrap()));
        }
        if !part.more {
            return (missed, touched);
        }
    }
}

fn nothing() -> (Vec<String>, Vec<String>) {
    Default::default()
}

fn both(path: &str) -> (Vec<String>, Vec<String>) {
    (vec![path.to_owned()], vec![path.to_owned()])
}

/// A file with a name outside of the workspace, through which nobody sees it written.
fn linked(it: &Fixture, below: &str) -> PathBuf {
    let elsewhere = it.above.path().join(below.replace('/', "-"));
    fs::hard_link(it.path(below), &elsewhere).unwrap();
    elsewhere
}

#[test]
fn what_is_written_through_a_name_elsewhere_is_found_and_counted_once() {
    let mut it = Fixture::with(&plain(), |root| {
        write(&root.join("a/f"), "one");
        write(&root.join("a/g"), "one");
    });
    it.true_view();
    let elsewhere = linked(&it, "a/f");
    assert_eq!(
        audit(&mut it),
        nothing(),
        "another name is no other content"
    );
    fs::write(&elsewhere, "two").unwrap();
    assert_eq!(paths(&it.touched()), [""; 0], "no event told");
    assert_eq!(audit(&mut it), both("a/f"));
    assert_eq!(audit(&mut it), nothing());
    assert_eq!(shown(&it.true_view().changed), ["a/f"]);
    fs::write(&elsewhere, "two").unwrap();
    assert_eq!(audit(&mut it), nothing(), "the same bytes are no change");
}

#[test]
fn what_an_event_tells_is_left_to_it() {
    let mut it = Fixture::with(&plain(), |root| {
        for file in ["a/f", "alone", "b/c/f", "gone/f", "mode", "one"] {
            write(&root.join(file), "one");
        }
        fs::hard_link(root.join("one"), root.join("a/other")).unwrap();
    });
    it.true_view();
    let acts: [fn(&Fixture); 8] = [
        |it| {
            fs::hard_link(it.path("alone"), it.path("b/named")).unwrap();
            it.write("b/named", "two");
        },
        |it| it.write("a/f", "two"),
        |it| it.write("new/d/f", "two"),
        |it| fs::rename(it.path("b"), it.path("a/b")).unwrap(),
        |it| fs::remove_dir_all(it.path("gone")).unwrap(),
        |it| fs::set_permissions(it.path("mode"), fs::Permissions::from_mode(0o755)).unwrap(),
        |it| it.write("one", "two"),
        |it| it.write(".gitignore", "new\n"),
    ];
    for (at, act) in acts.iter().enumerate() {
        act(&it);
        assert_eq!(audit(&mut it), nothing(), "{at}");
        assert_ne!(paths(&it.touched()), [""; 0], "{at}");
        assert_eq!(audit(&mut it), nothing(), "{at}");
    }
    // A file that stays open while it is written is left alone by looks, and by audits.
    let mut file = fs::File::options()
        .append(true)
        .open(it.path("a/f"))
        .unwrap();
    io::Write::write_all(&mut file, b"+").unwrap();
    it.tree.eye.sync(TIMEOUT).unwrap();
    assert_eq!(
        paths(&it.tree.examine_closed(Tick::default()).unwrap()),
        [""; 0]
    );
    assert!(it.tree.is_written());
    assert_eq!(audit(&mut it), nothing());
}

#[test]
fn while_much_happens_nothing_is_taken_for_missed() {
    let mut it = Fixture::with(&plain(), |root| {
        for number in 0..200 {
            write(&root.join(format!("d{number}/f")), "one");
        }
    });
    it.true_view();
    let script = "for i in $(seq 60); do mkdir -p x$i/b; echo > x$i/b/f; echo $i > d$i/f; \
                  mv d$i x$i/b/; ln x$i/b/f x$i/g; rm -r d1$i; cp -r x$i y$i; done";
    let mut child = program(it.root.as_path(), "sh", &["-ec", script]);
    let mut child = child.stderr(Stdio::null()).spawn().unwrap();
    let mut audits = 0;
    while child.try_wait().unwrap().is_none() {
        it.tree.begin_audit();
        while {
            let part = it.tree.audit();
            assert_eq!(part.missed, []);
            audits += 1;
            part.more
        } {
            drop(
                it.tree
                    .examine_closed(Tick::new(Duration::from_millis(audits)))
                    .unwrap(),
            );
        }
    }
    assert!(audits > 10, "{audits}");
    it.true_view();
}

#[test]
fn a_directory_in_which_changes_are_missed_again_and_again_is_polled() {
    let mut it = Fixture::with(&plain(), |root| {
        write(&root.join("a/f"), "0");
        write(&root.join("a/g"), "0");
        write(&root.join("b/f"), "0");
    });
    it.true_view();
    let (f, g, other) = (linked(&it, "a/f"), linked(&it, "a/g"), linked(&it, "b/f"));
    for round in 1..=MISSES_POLLED {
        assert_eq!(it.tree.polled_directories().next(), None);
        fs::write(&f, round.to_string()).unwrap();
        assert_eq!(audit(&mut it), both("a/f"));
    }
    let polled: Vec<_> = it
        .tree
        .polled_directories()
        .map(|it| it.to_text())
        .collect();
    assert_eq!(polled, ["a"]);
    fs::write(&g, "seen").unwrap();
    fs::write(&other, "unseen").unwrap();
    assert_eq!(paths(&it.touched()), ["a/g"]);
    it.view();
    fs::write(&g, "seen again").unwrap();
    assert_eq!(shown(&it.view().changed), ["a/g"], "no question misses it");
    assert_eq!(audit(&mut it), both("b/f"));
}

#[test]
fn an_audit_goes_on_where_it_was_and_ends_where_everything_is_in_doubt() {
    let count = AUDIT_SLICE_DIRECTORIES * 2;
    let mut it = Fixture::with(&plain(), |root| {
        for number in 0..count {
            write(&root.join(format!("d{number:04}/f")), "one");
        }
    });
    it.true_view();
    let last = format!("d{:04}/f", count - 1);
    let elsewhere = linked(&it, &last);
    fs::write(elsewhere, "two").unwrap();
    it.tree.begin_audit();
    let first = it.tree.audit();
    assert_eq!((first.more, first.missed.len()), (true, 0));
    fs::remove_dir_all(it.path("d0070")).unwrap();
    drop(it.touched());
    assert_eq!(it.tree.audit().missed, []);
    let third = it.tree.audit();
    let missed: Vec<_> = third.missed.iter().map(RelPath::to_text).collect();
    assert_eq!((missed, third.more), (vec![last], false));
    it.tree.begin_audit();
    it.tree.doubted = true;
    assert!(!it.tree.audit().more, "a look at everything is due");
}

#[test]
fn a_watch_that_is_gone_without_a_word_is_set_again() {
    let mut it = Fixture::with(&plain(), |root| write(&root.join("a/f"), "one"));
    it.true_view();
    it.blind("a");
    it.write("a/f", "two");
    assert_eq!(paths(&it.touched()), [""; 0], "it is blind");
    assert_eq!(audit(&mut it), both("a/f"));
    it.write("a/f", "three");
    assert_eq!(paths(&it.touched()), ["a/f"]);
}

#[test]
fn an_audit_that_fails_loses_nothing_of_what_it_has_found() {
    let mut never = plain();
    never.settings.poll = Poll::Never;
    let mut it = Fixture::with(&never, |root| {
        write(&root.join("a/f"), "one");
        write(&root.join("b/f"), "one");
    });
    it.true_view();
    for file in ["a/f", "b/f"] {
        fs::write(linked(&it, file), "two").unwrap();
    }
    it.watcher.grant(Some(1));
    it.tree.begin_audit();
    let failed = it.tree.audit().touches.unwrap().unwrap_err();
    assert!(matches!(failed, TreeError::Watch { .. }), "{failed}");
    it.watcher.grant(None);
    assert_eq!(paths(&it.touched()), ["a/f", "b/f"]);
    it.true_view();
}

/// What a walk does when a directory cannot be listed.
pub(super) fn fail(
    it: &mut Fixture,
    below: &str,
    errno: rustix::io::Errno,
) -> Result<(), TreeError> {
    let id = it.tree.snapshot.find(below.as_bytes()).unwrap();
    let site = survey::Site {
        step: Step::new(id, Reach::Only, Renew::No),
        read: false,
        recalled: None,
        since: None,
        path: below.into(),
        directory: it.path(below),
        above: it.tree.sieve(id),
    };
    let mut look = it.tree.look();
    let taken = it
        .tree
        .take(&site, Err(errno.into()), &mut look, &mut Vec::new());
    it.tree.tell(look.changes, false);
    taken
}

#[test]
fn what_cannot_be_read_for_the_moment_stays_as_it_was_known() {
    use rustix::io::Errno;
    let mut it = Fixture::with(&plain(), |root| write(&root.join("a/f"), "one"));
    let whole = it.true_view();
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO] {
        let failed = fail(&mut it, "a", errno).unwrap_err();
        let of = it.path("a");
        let told = format!("failed to look at `{}`", of.display());
        assert_eq!(failed.to_string(), told);
        assert_eq!(it.true_view().input, whole.input);
    }
    it.write("a/f", "two");
    assert_eq!(paths(&it.touched()), ["a/f"]);
}

#[test]
fn a_directory_that_can_be_read_again_without_a_word_is_found() {
    let mut it = Fixture::with(&plain(), |root| write(&root.join("a/f"), "one"));
    it.true_view();
    fail(&mut it, "a", rustix::io::Errno::ACCESS).unwrap();
    assert_eq!(files(&it.tree), BTreeSet::new());
    let (missed, touched) = audit(&mut it);
    assert_eq!((missed, touched), (vec!["a".into()], vec!["a/f".into()]));
    it.write("a/f", "two");
    assert_eq!(paths(&it.touched()), ["a/f"]);
    it.true_view();
}

#[test]
fn an_audit_pauses_after_many_entries() {
    let mut it = Fixture::with(&plain(), |root| {
        for number in 0..=crate::limits::AUDIT_SLICE_ENTRIES {
            write(&root.join(format!("a/{number}")), "");
        }
        write(&root.join("b/f"), "");
    });
    it.tree.begin_audit();
    assert!(it.tree.audit().more);
    assert!(!it.tree.audit().more);
}
