//! The workloads in which recursive watchers lose up to every file (`mkdir -p`, `cp -r`, `tar x`, `git clone`, `mv`).
//!
//! The tree is examined all the while, so that it meets half-made directories; in the end every path must have been
//! told, and the view must be what is there.

use super::*;
use std::process::Stdio;

/// Runs a shell script in the root and examines until it has ended.
fn storm(it: &mut Fixture, script: &str) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let mut child = program(it.root.as_path(), "sh", &["-ec", script])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        let ended = child.try_wait().unwrap();
        told.extend(paths(&it.tree.examine().unwrap()));
        if let Some(status) = ended {
            assert!(status.success(), "{script}: {status}");
            break;
        }
    }
    let (touches, view) = it.capture();
    assert_eq!(view.input, oracle(it.root.as_path()), "{script}");
    told.extend(paths(&touches));
    told
}

/// Makes a tree of `directories` with three files each beside the root.
fn source(it: &Fixture, directories: usize) -> PathBuf {
    let source = it.above.path().join("source");
    for number in 0..directories {
        for file in ["a", "b", "c"] {
            let path = format!("d{}/e{}/f{number}/{file}", number % 5, number % 7);
            write(&source.join(path), &number.to_string());
        }
    }
    source
}

fn check(prepare: &str, script: &str) {
    let mut it = Fixture::new();
    it.true_view();
    let source = source(&it, 100);
    run(&source, "sh", &["-ec", prepare]);
    let told = storm(&mut it, script);
    let missed: Vec<_> = files(&it.tree).difference(&told).cloned().collect();
    assert!(
        missed.is_empty() || told.contains("everything"),
        "{missed:?}"
    );
    assert!(it.tree.files() >= 100, "{}", it.tree.files());
    let last = files(&it.tree).into_iter().next_back().unwrap();
    it.write(&last, "later");
    assert_eq!(paths(&it.touched()), [last]);
}

#[test]
fn mkdir_and_write() {
    check(
        "true",
        "for i in $(seq 150); do mkdir -p x$i/b/c; echo > x$i/b/c/f; done",
    );
}

#[test]
fn cp_of_a_tree() {
    check("true", "cp -r ../source in");
}

#[test]
fn tar_of_a_tree() {
    check("tar cf ../source.tar .", "tar xf ../source.tar");
}

#[test]
fn mv_of_a_full_directory() {
    check(
        "true",
        "mv ../source in; mv in in2; mkdir in; mv in2 in/deeper",
    );
}

#[test]
fn clone_of_a_repository() {
    let prepare = "git init -q . && git add -A && git -c user.name=n -c user.email=e commit -qm m";
    check(prepare, "git clone -q ../source in");
}

#[test]
fn a_directory_that_comes_and_goes() {
    let mut it = Fixture::new();
    let script = "for i in $(seq 100); do mkdir -p a/b; echo $i > a/b/f; rm -r a; done; \
                  mkdir -p a/b; echo end > a/b/f";
    storm(&mut it, script);
    it.write("a/b/f", "later");
    assert_eq!(paths(&it.touched()), ["a/b/f"]);
}
