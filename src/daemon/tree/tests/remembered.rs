//! What outlives a daemon: contents that are known are not read again, and none is believed that is another by now.
//!
//! Whether a file was read is seen by what the tree takes for its hash: one that was falsified before it was written down
//! comes back if, and only if, nobody has read the file since.

use super::*;
use crate::daemon::tree::print::{Moment, Print};
use crate::daemon::tree::snapshot::Known;
use crate::daemon::tree::stat_cache::StatCache;
use std::time::{SystemTime, UNIX_EPOCH};

const FALSE: [u8; 32] = [7; 32];

/// Lives of trees at one root, one after the other.
struct Lives {
    it: Fixture,
    next: WorkspaceId,
}

impl Lives {
    /// One tree that has read these files, each long after it was written.
    fn of(files: &[&str]) -> Self {
        let it = Fixture::with(&plain(), |root| {
            for file in files {
                write(&root.join(file), file);
            }
        });
        let mut lives = Self {
            it,
            next: WorkspaceId(2),
        };
        for file in files {
            lives.rest(file);
        }
        lives.start();
        lives.it.true_view();
        lives
    }

    /// Waits until the clock of the file system has moved on from the last change of a file.
    fn rest(&self, file: &str) {
        let print = Print::of(&fs::symlink_metadata(self.it.path(file)).unwrap());
        while print.is_racy_at(Moment::now()) {
            std::thread::yield_now();
        }
    }

    fn caches(&self) -> PathBuf {
        self.it.state.path().join("stat-cache")
    }

    /// The one cache that there is.
    fn cache(&self) -> PathBuf {
        let mut all = fs::read_dir(self.caches()).unwrap();
        all.next().unwrap().unwrap().path()
    }

    /// Another tree at the same root: after a crash, if the one before has not written down what it knows.
    fn start(&mut self) {
        let root = self.it.root.clone();
        let eye = self.it.watcher.eye(self.next, &root);
        self.next = self.next.next();
        let scopes = Scopes::compile(&plain(), &root, &Places::default()).unwrap();
        let tree = Tree::open_for(Home::default(), root, eye, scopes).unwrap();
        let mut tree = tree.kept_in(self.caches());
        tree.scan().unwrap();
        std::mem::replace(&mut self.it.tree, tree).close();
    }

    /// An orderly end, `meanwhile`, and the next start, for which nothing is racy any more.
    fn restart(&mut self, meanwhile: impl FnOnce(&Fixture)) {
        self.it.tree.keep_all();
        meanwhile(&self.it);
        let clock = self.it.state.path().join("clock");
        write(&clock, "");
        let print = Print::of(&fs::symlink_metadata(clock).unwrap());
        while print.is_racy_at(Moment::now()) {
            std::thread::yield_now();
        }
        self.start();
    }

    /// Has the tree take a file for another than it is.
    fn falsify(&mut self, file: &str) {
        let (id, at) = self.place(file);
        self.it.tree.update(id, at, |entry| entry.hash = FALSE);
    }

    fn place(&self, file: &str) -> (DirId, usize) {
        let (directory, name) = names::split(file.as_bytes()).unwrap();
        let id = self.it.tree.snapshot.find(directory).unwrap();
        let at = self.it.tree.snapshot.dir(id).position(name).unwrap();
        (id, at)
    }

    /// Whether a file was read in this life.
    fn has_read(&mut self, file: &str) -> bool {
        let view = self.it.view();
        let (id, at) = self.place(file);
        let entry = self.it.tree.snapshot.dir(id).entries()[at];
        let is_true = entry.hash == *Digest::of(&fs::read(self.it.path(file)).unwrap()).bytes();
        assert_eq!(entry.hash == FALSE, !is_true);
        assert_eq!(view.input == oracle(self.it.root.as_path()), is_true);
        is_true
    }
}

#[test]
fn after_a_restart_nothing_is_read_that_is_as_it_was() {
    let large = "x".repeat(100_000);
    let mut lives = Lives::of(&["a", "d/e/f", "d/g", "large", "z/\u{fc}"]);
    lives.it.write("large", &large);
    lives.rest("large");
    lives.it.true_view();
    for file in ["a", "d/e/f", "d/g", "large", "z/\u{fc}"] {
        lives.falsify(file);
        lives.restart(|_| {});
        let (id, at) = lives.place(file);
        let known = lives.it.tree.snapshot.dir(id).entries()[at].known;
        assert_eq!(known, Known::Yes, "{file}: it is known before a view asks");
        assert!(!lives.has_read(file), "{file}");
        // What was recalled is written down again.
        lives.it.tree.note_fresh(1);
        lives.restart(|_| {});
        assert!(!lives.has_read(file), "{file}");
        fs::remove_file(lives.cache()).unwrap();
        lives.start();
        lives.it.true_view();
        assert!(lives.it.tree.is_worth_keeping(), "all of it is new");
    }
    assert!(lives.it.tree.recalled().is_none(), "it is let go of");
}

#[test]
fn what_became_another_file_meanwhile_is_read() {
    type Change = fn(&Fixture);
    let modified = |it: &Fixture| fs::metadata(it.path("d/f")).unwrap().modified().unwrap();
    let changes: [(&str, Change); 6] = [
        ("an edit", |it| it.write("d/f", "longer than before")),
        ("one of the same size", |it| it.write("d/f", "D/F")),
        ("one whose time was put back", |it| {
            let before = fs::metadata(it.path("d/f")).unwrap().modified().unwrap();
            it.write("d/f", "D/F");
            let file = fs::File::options()
                .write(true)
                .open(it.path("d/f"))
                .unwrap();
            file.set_modified(before).unwrap();
        }),
        ("another inode of the same size and time", |it| {
            let before = fs::metadata(it.path("d/f")).unwrap().modified().unwrap();
            it.write("other", "D/F");
            fs::File::open(it.path("other"))
                .unwrap()
                .set_modified(before)
                .unwrap();
            fs::rename(it.path("other"), it.path("d/f")).unwrap();
        }),
        ("a mode", |it| {
            fs::set_permissions(it.path("d/f"), fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("the name of another file", |it| {
            fs::rename(it.path("d/g"), it.path("d/f")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let mut lives = Lives::of(&["d/f", "d/g"]);
        let before = modified(&lives.it);
        lives.falsify("d/f");
        lives.falsify("d/g");
        lives.restart(change);
        if what.contains("time") {
            assert_eq!(modified(&lives.it), before, "{what}");
        }
        match what {
            // The same file, elsewhere: its fingerprint tells that it was renamed.
            "the name of another file" => {
                drop(lives.it.true_view());
            }
            _ => {
                lives.it.view();
                let (id, at) = lives.place("d/f");
                let hash = lives.it.tree.snapshot.dir(id).entries()[at].hash;
                let held = fs::read(lives.it.path("d/f")).unwrap();
                assert_eq!(hash, *Digest::of(&held).bytes(), "{what}");
            }
        }
    }
}

#[test]
fn what_is_gone_or_new_or_no_file_any_more_is_seen() {
    let mut lives = Lives::of(&["a", "d/f", "d/g", "e/f"]);
    lives.restart(|it| {
        fs::remove_file(it.path("a")).unwrap();
        fs::rename(it.path("d"), it.path("d2")).unwrap();
        fs::remove_file(it.path("e/f")).unwrap();
        fs::create_dir(it.path("e/f")).unwrap();
        it.write("e/f/g", "1");
        std::os::unix::fs::symlink("e", it.path("link")).unwrap();
    });
    assert_eq!(
        files(&lives.it.tree),
        set(&["d2/f", "d2/g", "e/f/g", "link"])
    );
    lives.it.true_view();
}

#[test]
fn what_was_written_right_before_it_was_read_is_read_again() {
    let mut lives = Lives::of(&["d/f"]);
    // Until a read was so soon after the write that the clock had not moved on.
    for round in 0.. {
        assert!(round < 1_000, "this machine is too slow for a racy read");
        lives.it.write("d/f", &round.to_string());
        lives.it.true_view();
        let (id, at) = lives.place("d/f");
        if lives.it.tree.snapshot.dir(id).entries()[at].known == Known::Racy {
            break;
        }
    }
    lives.falsify("d/f");
    lives.rest("d/f");
    lives.restart(|_| {});
    assert!(lives.has_read("d/f"));
}

#[test]
fn a_time_that_lies_ahead_or_in_whole_seconds_is_believed_by_nobody() {
    for (ahead, known) in [
        (SystemTime::now() + Duration::from_secs(3_600), Known::Racy),
        (UNIX_EPOCH + Duration::from_secs(1), Known::Yes),
    ] {
        let mut lives = Lives::of(&["d/f"]);
        let file = fs::File::open(lives.it.path("d/f")).unwrap();
        file.set_modified(ahead).unwrap();
        lives.it.true_view();
        while known == Known::Yes && {
            let print = Print::of(&fs::symlink_metadata(lives.it.path("d/f")).unwrap());
            print.is_racy_at(Moment::now())
        } {
            std::thread::yield_now();
        }
        lives.start();
        lives.it.true_view();
        let (id, at) = lives.place("d/f");
        assert_eq!(lives.it.tree.snapshot.dir(id).entries()[at].known, known);
        lives.falsify("d/f");
        lives.restart(|_| {});
        // Only its time of change says more than the second.
        assert_eq!(lives.has_read("d/f"), known == Known::Racy);
    }
}

#[test]
fn what_stands_in_whole_seconds_only_is_not_kept() {
    let mut lives = Lives::of(&["d/f", "d/g"]);
    let (id, at) = lives.place("d/f");
    let mut coarse = Vec::new();
    let known = lives.it.tree.snapshot.dir(id).entries()[at];
    known.print.encode(&mut coarse);
    // Node and size come first, then the time of writing and that of change.
    coarse[16..32].copy_from_slice(&[1_000_000_000_i64.to_le_bytes(); 2].concat());
    let coarse = Print::decode(&mut &coarse[..]).unwrap();
    assert!(coarse.is_coarse() && !known.print.is_coarse());
    lives.it.tree.update(id, at, |entry| entry.print = coarse);
    lives.it.tree.keep_all();
    let cache = StatCache::open(&lives.caches(), &lives.it.root, lives.it.tree.identity);
    let mut held = cache.unwrap().unwrap().directory(b"d").unwrap();
    assert_eq!(held.find(b"f"), None);
    assert_ne!(held.find(b"g"), None);
}

#[test]
fn a_cache_that_is_no_good_costs_work_and_is_replaced() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("gone", |cache| fs::remove_file(cache).unwrap()),
        ("empty", |cache| write(cache, "")),
        ("not ours", |cache| {
            write(cache, &"no cache at all".repeat(100));
        }),
        ("cut", |cache| {
            let file = fs::File::options().write(true).open(cache).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("for others to write", |cache| {
            fs::set_permissions(cache, fs::Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let mut lives = Lives::of(&["a", "d/f"]);
        lives.falsify("d/f");
        lives.it.tree.keep_all();
        damage(&lives.cache());
        lives.start();
        assert!(lives.has_read("d/f"), "{what}");
        lives.falsify("d/f");
        lives.restart(|_| {});
        assert!(!lives.has_read("d/f"), "{what}: it was replaced");
    }
}

#[test]
fn another_root_at_the_same_path_begins_anew() {
    let mut lives = Lives::of(&["d/f"]);
    lives.falsify("d/f");
    lives.restart(|it| {
        fs::rename(it.root.as_path(), it.above.path().join("aside")).unwrap();
        fs::create_dir(it.root.as_path()).unwrap();
        // The very same files, by their inodes.
        fs::rename(it.above.path().join("aside/d"), it.path("d")).unwrap();
    });
    assert!(lives.has_read("d/f"));
}

#[test]
fn two_that_write_at_the_same_time_leave_one_that_is_whole() {
    let mut one = Lives::of(&["a", "d/f"]);
    one.it.tree.keep_all();
    let root = one.it.root.clone();
    let eye = one.it.watcher.eye(WorkspaceId(99), &root);
    let scopes = Scopes::compile(&plain(), &root, &Places::default()).unwrap();
    let tree = Tree::open_for(Home::default(), root, eye, scopes).unwrap();
    let mut other = tree.kept_in(one.caches());
    other.scan().unwrap();
    one.falsify("d/f");
    other.keep_all();
    one.restart(|_| {});
    assert!(!one.has_read("d/f"), "it is the last one's");
    one.restart(|_| other.keep_all());
    assert!(one.has_read("d/f"), "it is the last one's");
    other.close();
}

#[test]
fn a_workspace_that_is_removed_leaves_nothing_behind() {
    let mut lives = Lives::of(&["a"]);
    lives.it.tree.keep_all();
    assert!(lives.cache().exists());
    lives.it.tree.note_fresh(1);
    lives.start();
    let Lives { it, .. } = lives;
    let caches = it.state.path().join("stat-cache");
    it.tree.retire();
    assert_eq!(fs::read_dir(caches).unwrap().count(), 0);
}

#[test]
fn only_what_is_new_is_a_reason_to_write() {
    let files: Vec<String> = (0..200)
        .map(|number| format!("d{}/f{number}", number % 7))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let mut lives = Lives::of(&files);
    assert!(lives.it.tree.is_worth_keeping());
    lives.restart(|_| {});
    assert!(!lives.it.tree.has_to_keep(), "all of it was known");
    let mut changed = 0;
    while !lives.it.tree.is_worth_keeping() {
        lives.it.write("d0/f0", &changed.to_string());
        lives.rest("d0/f0");
        lives.it.true_view();
        changed += 1;
        assert!(lives.it.tree.has_to_keep());
    }
    assert_eq!(changed, 4, "of 200 files more than a 64th");
    lives.it.tree.keep_all();
    assert!(!lives.it.tree.has_to_keep());
}
