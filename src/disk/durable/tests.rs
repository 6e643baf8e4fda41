//! Real files: what is there after a write, after a failure, and after a link was planted.
//!
//! A writer is stopped after each of its operations in turn; what it leaves must be old or new.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn names_in(dir: &Path) -> Vec<String> {
    let dir = Dir::open(dir).unwrap();
    let names = dir.list().unwrap();
    names
        .into_iter()
        .map(|n| n.into_string().unwrap())
        .collect()
}

#[test]
fn a_file_is_replaced_whole_with_its_mode_and_nothing_is_left_behind() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("token");
    write(&path, b"old", SHARED).unwrap();
    write(&path, b"new and longer", PRIVATE).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new and longer");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(names_in(temp.path()), ["token"]);
}

#[test]
fn whatever_act_is_the_last_the_file_is_old_or_new() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("f");
    let mut seen = Vec::new();
    for steps in 0.. {
        write(&path, b"old", SHARED).unwrap();
        let done = crash_after(steps, || write(&path, b"newer", SHARED));
        seen.push(std::fs::read_to_string(&path).unwrap());
        if done.is_ok() {
            break;
        }
    }
    assert_eq!(seen, ["old", "old", "old", "old", "newer", "newer"]);
    let strays = names_in(temp.path());
    let owned = |n: &String| temp_owner(OsStr::new(n)) == Some(std::process::id());
    assert_eq!(strays.iter().filter(|n| owned(n)).count(), 3, "{strays:?}");
}

#[test]
fn a_failed_write_leaves_the_old_file_and_no_temp_file() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("f")).unwrap();
    let error = write(&temp.path().join("f"), b"x", SHARED).unwrap_err();
    assert_eq!(error.act, Act::Rename);
    assert!(
        error.to_string().starts_with("failed to rename `"),
        "{error}"
    );
    assert_eq!(names_in(temp.path()), ["f"]);
}

#[test]
fn a_planted_link_is_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let victim = temp.path().join("victim");
    let root = temp.path().join("root");
    std::fs::create_dir(&victim).unwrap();
    std::fs::create_dir(&root).unwrap();
    write(&victim.join("f"), b"precious", SHARED).unwrap();
    symlink(&victim, root.join(".runs")).unwrap();
    symlink(victim.join("f"), root.join("metrics.json")).unwrap();
    let dir = Dir::open(&root).unwrap();

    let name = OsStr::new("metrics.json");
    let refused = [
        dir.create(Path::new(".runs/demo/cli")).unwrap_err(),
        dir.descend(Path::new(".runs")).unwrap_err(),
        dir.append_line(name, b"{}", SHARED).unwrap_err(),
        dir.overwrite(name, b"{}", SHARED).unwrap_err(),
        dir.read(name, 100).unwrap_err(),
    ];
    for (error, named) in refused
        .iter()
        .zip([".runs", ".runs", "metrics", "metrics", "metrics"])
    {
        assert!(error.to_string().contains(named), "{error}");
    }
    // Replacing a link replaces the link.
    dir.write(name, b"mine", SHARED).unwrap();
    assert_eq!(std::fs::read(victim.join("f")).unwrap(), b"precious");
    assert_eq!(names_in(&victim), ["f"]);
    dir.remove_tree(OsStr::new(".runs")).unwrap();
    assert_eq!(names_in(&victim), ["f"]);
}

fn append_line(path: &Path, line: &[u8]) {
    let (dir, name) = parent(path).unwrap();
    let written = dir.append_line(name, line, SHARED).unwrap();
    Unsynced::sync_all(vec![written]).unwrap();
}

#[test]
fn directories_are_made_below_what_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let deep = temp.path().join("a/b/c");
    let ((), counts) = measure(|| create_dir_all(&deep).unwrap());
    assert!(deep.is_dir());
    assert_eq!(counts.syncs, 3, "each directory that got a name");
    let ((), counts) = measure(|| create_dir_all(&deep).unwrap());
    assert_eq!(counts.steps, 0);
    write(&temp.path().join("file"), b"", SHARED).unwrap();
    let error = create_dir_all(&temp.path().join("file/x")).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn lines_of_many_writers_never_tear() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("metrics.json");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for n in 0..50 {
                    let filler = "x".repeat(2000 + n);
                    let line = format!(r#"{{"writer":{writer},"n":{n},"filler":"{filler}"}}"#);
                    append_line(path, line.as_bytes());
                }
            });
        }
    });
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 200);
}

#[test]
fn a_name_tells_whose_temp_file_it_is() {
    for (name, owner) in [
        ("manifest.json.tmp-12-3", Some(12)),
        ("a.tmp-1-1763806185531-2", None),
        ("a.tmp-1-1763806185531", Some(1)),
        ("manifest.json", None),
        ("x.tmp-me-3", None),
    ] {
        assert_eq!(temp_owner(OsStr::new(name)), owner, "{name}");
    }
}

proptest! {
    #[test]
    fn a_torn_line_costs_only_itself(torn in "[^\n]{0,20}", line in "[a-z]{1,20}") {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("m");
        write(&path, torn.as_bytes(), SHARED).unwrap();
        append_line(&path, line.as_bytes());
        let text = std::fs::read_to_string(&path).unwrap();
        prop_assert_eq!(text.lines().last(), Some(line.as_str()));
        prop_assert!(text.ends_with('\n'));
        prop_assert!(text.starts_with(&torn));
    }
}

#[test]
fn of_the_damaged_files_of_a_name_the_newest_are_kept() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    let (name, max) = (OsStr::new("f.json"), crate::limits::CORRUPT_KEPT_MAX);
    write(&temp.path().join("other.json.corrupt-1"), b"", SHARED).unwrap();
    for mark in 100..=100 + max {
        for said in ["first", "second"] {
            write(&temp.path().join(name), said.as_bytes(), SHARED).unwrap();
            dir.set_aside(name, &mark.to_string()).unwrap();
        }
    }
    let kept = names_in(temp.path());
    let newest = format!("f.json.corrupt-{}", 100 + max);
    assert_eq!(kept.len(), max + 1, "{kept:?}");
    assert_eq!(kept[max - 2..max], [newest.clone(), format!("{newest}-2")]);
    assert_eq!(std::fs::read(temp.path().join(&newest)).unwrap(), b"first");
    assert!(kept.contains(&"other.json.corrupt-1".to_owned()));
}

#[test]
fn what_is_written_into_a_file_that_was_made_before_is_all_that_it_holds() {
    let scratch = tempfile::tempdir().unwrap();
    let (temp, name) = (OsStr::new("t"), OsStr::new("name"));
    let path = scratch.path().join("name");
    let dir = Dir::open(scratch.path()).unwrap();
    for before in ["", "longer than what comes"] {
        write(&scratch.path().join("t"), before.as_bytes(), SHARED).unwrap();
        dir.stage_in(temp, name, b"new", SHARED)
            .unwrap()
            .place()
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}
