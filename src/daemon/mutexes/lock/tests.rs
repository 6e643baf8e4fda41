//! Locks between attempts as between processes: `flock` is of an open file, so that two attempts of one process compete
//! as two processes do.
//!
//! What becomes of a lock when its process is killed is shown by `tests/e2e/mutexes.rs`.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

fn shelf(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("shelf")
}

fn attempt(dir: &tempfile::TempDir, mutex: &str) -> Try {
    Try::new(shelf(dir), mutex.to_owned())
}

fn taken(attempt: &mut Try) -> Lock {
    match attempt.look() {
        Ok(Tried::Taken(lock)) => lock,
        other => panic!("it is not taken: {other:?}"),
    }
}

fn busy(attempt: &mut Try) -> String {
    match attempt.look() {
        Ok(Tried::Busy(holder)) => holder,
        other => panic!("it is not busy: {other:?}"),
    }
}

#[test]
fn a_lock_is_one_holders_and_names_him() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (attempt(&dir, "m"), attempt(&dir, "m"));
    let lock = taken(&mut first);
    assert_eq!(busy(&mut second), format!("process {}", std::process::id()));
    drop(taken(&mut attempt(&dir, "another/../name")));
    drop(lock);
    drop(taken(&mut second));
    let mode = fs::metadata(shelf(&dir)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn whoever_waits_comes_before_who_had_it_and_wants_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (attempt(&dir, "m"), attempt(&dir, "m"));
    let lock = taken(&mut first);
    busy(&mut second);
    drop(lock);
    busy(&mut first);
    let lock = taken(&mut second);
    busy(&mut first);
    drop(lock);
    drop(taken(&mut first));
    // Who goes away gives his turn back.
    let lock = taken(&mut first);
    busy(&mut second);
    drop((lock, second));
    drop(taken(&mut first));
}

#[test]
fn letting_go_counts_for_every_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (attempt(&dir, "m"), attempt(&dir, "m"));
    let lock = taken(&mut first);
    let copy = lock.guard();
    drop(lock);
    drop(taken(&mut second));
    drop(copy);
}

#[test]
fn a_file_that_was_removed_is_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = attempt(&dir, "m");
    let lock = taken(&mut first);
    fs::remove_file(first.path("lock")).unwrap();
    drop(lock);
    drop(taken(&mut first));
    assert!(first.path("lock").is_file());
}

#[test]
fn a_shelf_that_is_not_ours_alone_is_refused_with_what_to_do() {
    let said = |dir: &tempfile::TempDir| {
        let error = attempt(dir, "m").look().unwrap_err();
        let shelf = shelf(dir).display().to_string();
        error.to_string().replace(&shelf, "SHELF")
    };
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(shelf(&dir)).unwrap();
    fs::set_permissions(shelf(&dir), fs::Permissions::from_mode(0o777)).unwrap();
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(
        said(&dir),
        format!(
            "the directory `SHELF` of the locks belongs to user {uid} or others may write there: ask them to remove it"
        )
    );
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, shelf(&dir)).unwrap();
    assert_eq!(
        said(&dir),
        "`SHELF` is no directory: remove it, the locks need one there"
    );
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}
