//! The workspace registry on a real disk.
//!
//! Each test opens the file anew where it asks what was kept, as the next daemon will.

use super::*;
use crate::daemon::store::Condition;
use crate::disk::durable;
use std::fs;
use tempfile::TempDir;

fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_795_342_190_592)
}

fn root(path: &str) -> RootPath {
    RootPath::new(Path::new(path)).unwrap()
}

fn open(state: &TempDir) -> Registry {
    Registry::open(state.path(), now()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn workspaces_are_kept_in_the_order_of_their_adding() {
    let state = TempDir::new().unwrap();
    let mut registry = open(&state);
    let task = TaskId::parse("0101-web").unwrap();
    let first = registry.add(&root("/w/b"), Some(task.clone()), now());
    first.unwrap();
    registry.add(&root("/w/a"), None, now()).unwrap();
    registry.add(&root("/w/b"), None, now()).unwrap();
    let again = open(&state);
    let roots: Vec<String> = again
        .workspaces()
        .iter()
        .map(|known| known.root.to_string())
        .collect();
    assert_eq!(roots, ["/w/b", "/w/a"]);
    assert_eq!(again.workspaces()[0].task, Some(task));
    assert_eq!(again.workspaces()[0].added_at, now());
    assert!(registry.remove(&root("/w/b"), now()).unwrap());
    assert!(!registry.remove(&root("/w/b"), now()).unwrap());
    assert_eq!(open(&state).workspaces().len(), 1);
}

#[test]
fn a_later_task_does_not_count() {
    let state = TempDir::new().unwrap();
    let mut registry = open(&state);
    let task = |text| Some(TaskId::parse(text).unwrap());
    registry.add(&root("/w"), task("0101"), now()).unwrap();
    registry.add(&root("/w"), task("0102"), now()).unwrap();
    assert_eq!(open(&state).workspaces().len(), 1);
    assert_eq!(open(&state).workspaces()[0].task, task("0101"));
}

#[test]
fn workspaces_do_not_lie_inside_each_other() {
    let state = TempDir::new().unwrap();
    let mut registry = open(&state);
    registry.add(&root("/w/shop"), None, now()).unwrap();
    registry.add(&root("/w/shopping"), None, now()).unwrap();
    insta::assert_snapshot!(registry.add(&root("/w/shop/web"), None, now()).unwrap_err(), @r#"`/w/shop/web` is inside the workspace `/w/shop`: make it a [[project]] of that one, or `orchctl remove /w/shop` first"#);
    insta::assert_snapshot!(registry.add(&root("/w"), None, now()).unwrap_err(), @r#"`/w` contains the workspace `/w/shop`: `orchctl remove /w/shop` first"#);
    assert_eq!(open(&state).workspaces().len(), 2);
}

#[test]
fn a_damaged_registry_is_set_aside_and_a_newer_one_refused() {
    let state = TempDir::new().unwrap();
    let path = state.path().join("workspaces.json");
    for damage in [
        &b""[..],
        b"{\"version\": 1, \"works",
        b"{\"version\": 1, \"workspaces\": [{\"root\": \"relative\"}]}",
    ] {
        durable::write(&path, damage, durable::PRIVATE).unwrap();
        let mut registry = open(&state);
        let aside = registry.kept().set_aside().unwrap().clone();
        assert!(!aside.known);
        let aside = aside.path;
        assert_eq!(fs::read(&aside).unwrap(), damage);
        assert_eq!(registry.workspaces(), []);
        registry.add(&root("/w"), None, now()).unwrap();
        assert_eq!(open(&state).workspaces().len(), 1);
        fs::remove_file(aside).unwrap();
    }
    durable::write(&path, b"{\"version\": 9}", durable::PRIVATE).unwrap();
    let error = Registry::open(state.path(), now()).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { version: 9, .. }),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"{\"version\": 9}");
}

#[test]
fn a_root_that_is_no_text_comes_back() {
    use std::os::unix::ffi::OsStrExt as _;
    let state = TempDir::new().unwrap();
    let odd = RootPath::new(Path::new(std::ffi::OsStr::from_bytes(b"/w/a\xff\n"))).unwrap();
    open(&state).add(&odd, None, now()).unwrap();
    assert_eq!(open(&state).workspaces()[0].root, odd);
}

#[test]
fn what_is_known_outlives_a_file_that_is_damaged_meanwhile() {
    let state = TempDir::new().unwrap();
    let path = state.path().join("workspaces.json");
    let mut registry = open(&state);
    registry.add(&root("/a"), None, now()).unwrap();
    let damage: [&[u8]; 3] = [b"", b"\x00\xff", b"{\"version\": 1, \"works"];
    for (number, damage) in damage.into_iter().enumerate() {
        let before = registry.workspaces().len();
        durable::write(&path, damage, durable::PRIVATE).unwrap();
        assert_eq!(registry.kept().condition().unwrap(), Condition::Damaged);
        let added = root(&format!("/w{number}"));
        registry.add(&added, None, now()).unwrap();
        assert!(registry.kept().set_aside().unwrap().known);
        assert_eq!(open(&state).workspaces().len(), before + 1);
    }
    durable::write(&path, b"{", durable::PRIVATE).unwrap();
    registry.refresh(now()).unwrap();
    assert_eq!(registry.kept().condition().unwrap(), Condition::Whole);
    assert_eq!(open(&state).workspaces(), registry.workspaces());
    durable::write(&path, b"{\"version\": 99}", durable::PRIVATE).unwrap();
    let refused = registry.kept().condition().unwrap_err().to_string();
    assert!(refused.contains("version 99"), "{refused}");
    assert!(matches!(
        registry.remove(&root("/a"), now()),
        Err(StoreError::Newer { version: 99, .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"{\"version\": 99}");
}

#[test]
fn the_lock_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let state = TempDir::new().unwrap();
    open(&state).add(&root("/w"), None, now()).unwrap();
    let lock = fs::metadata(state.path().join("workspaces.json.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
}
