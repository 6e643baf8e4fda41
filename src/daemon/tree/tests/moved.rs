//! Directories that go from one workspace to another: the kernel has one watch of each for both.
//!
//! Whoever looks first, the one that holds the directory now sees what is written in it. Two trees on one watcher, as in
//! a daemon with two workspaces.

use super::*;

/// Another workspace beside, on the same watcher.
fn beside(it: &Fixture, number: u64, name: &str) -> Fixture {
    let path = it.above.path().canonicalize().unwrap().join(name);
    fs::create_dir_all(&path).unwrap();
    let places = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let watcher = (it.watcher.clone(), WorkspaceId(number));
    Fixture::of(Home::default(), &plain(), &path, places, watcher)
}

fn sees(it: &mut Fixture, below: &str) {
    it.write(below, "seen");
    assert_eq!(paths(&it.touched()), [below]);
    it.true_view();
}

#[test]
fn a_directory_that_went_to_another_workspace_is_seen_there_whoever_looks_first() {
    let mut from = Fixture::new();
    let mut to = beside(&from, 2, "other");
    for (name, first) in [("a", 1), ("b", 2)] {
        from.write(&format!("{name}/deep/f"), "1");
        from.true_view();
        fs::rename(from.path(name), to.path(name)).unwrap();
        for look in [first, 3 - first] {
            let it = if look == 1 { &mut from } else { &mut to };
            assert_eq!(paths(&it.touched()), [format!("{name}/deep/f")]);
        }
        sees(&mut to, &format!("{name}/deep/f"));
        sees(&mut to, &format!("{name}/new"));
        fs::rename(to.path(name), from.path(name)).unwrap();
        to.touched();
        from.touched();
        sees(&mut from, &format!("{name}/deep/f"));
    }
}

#[test]
fn a_root_that_became_another_workspace_stays_seen_when_it_is_made_anew() {
    let mut it = Fixture::new();
    it.write("deep/f", "1");
    it.true_view();
    let watches = it.tree.watches();
    let moved = it.above.path().canonicalize().unwrap().join("moved");
    fs::rename(it.root.as_path(), &moved).unwrap();
    let mut other = beside(&it, 2, "moved");
    let missing = it.tree.examine().unwrap_err().to_string();
    assert_eq!(missing, format!("`{}` is missing", it.root));
    assert_eq!((it.tree.watches(), other.tree.watches()), (0, watches));
    sees(&mut other, "deep/f");
    fs::create_dir(it.root.as_path()).unwrap();
    it.write("deep/g", "1");
    it.touched();
    sees(&mut it, "deep/g");
    sees(&mut other, "deep/f2");
    it.tree.close();
    other.write("deep/f", "2");
    other.tree.eye.sync(TIMEOUT).unwrap();
    assert_eq!(paths(&other.tree.examine().unwrap()), ["deep/f"]);
}

/// A workspace and one beside whose parent goes into it, where both have been told of neither.
fn parent_moved() -> (Fixture, Fixture) {
    let it = Fixture::new();
    let inner = beside(&it, 2, "p/d/in");
    inner.write("f", "1");
    fs::rename(parent(&inner), it.path("d")).unwrap();
    (it, inner)
}

fn parent(of: &Fixture) -> &Path {
    of.root.as_path().parent().unwrap()
}

#[test]
fn a_directory_above_a_root_that_went_to_another_workspace_is_seen_there() {
    let (mut it, mut inner) = parent_moved();
    assert_eq!(paths(&it.touched()), ["d/in/f"]);
    inner.tree.examine().unwrap_err();
    sees(&mut it, "d/g");
    // And where another one has taken its place before anybody looked.
    let (mut it, mut inner) = parent_moved();
    assert_eq!(paths(&it.touched()), ["d/in/f"]);
    fs::create_dir_all(inner.root.as_path()).unwrap();
    let other = inner.tree.examine().unwrap_err().to_string();
    assert!(other.starts_with("another directory"), "{other}");
    inner.touched();
    sees(&mut it, "d/g");
    sees(&mut inner, "g");
}

#[test]
fn a_directory_above_a_root_stays_watched_where_it_came_from_content_or_from_above_another() {
    for number in [1, 2] {
        let mut it = Fixture::new();
        let mut from = beside(&it, 3, if number == 1 { "p" } else { "p/d/in" });
        write(&it.above.path().join("p/d/in/f"), "1");
        from.touched();
        let moved = it.above.path().canonicalize().unwrap().join("x/moved");
        fs::create_dir(moved.parent().unwrap()).unwrap();
        fs::rename(it.above.path().join("p/d"), &moved).unwrap();
        let mut to = beside(&it, 4, "x/moved/in");
        from.tree.eye.sync(TIMEOUT).unwrap();
        drop(from.tree.examine());
        // That it is moved on is told by itself alone.
        let aside = moved.with_file_name("aside");
        fs::rename(&moved, &aside).unwrap();
        to.tree.eye.sync(TIMEOUT).unwrap();
        let gone = to.tree.examine().unwrap_err().to_string();
        assert!(gone.contains("missing"), "{number}: {gone}");
        drop(it.touched());
    }
}

#[test]
fn a_root_that_is_kept_elsewhere_by_way_of_a_link_stays_seen() {
    let mut it = Fixture::new();
    it.write("d/f", "1");
    it.true_view();
    let (above, far) = (it.above.path().to_path_buf(), TempDir::new().unwrap());
    let place = far.path().join("a/b/c/d/e");
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::rename(&above, &place).unwrap();
    std::os::unix::fs::symlink(&place, &above).unwrap();
    assert_eq!(it.touched(), Touches::default());
    sees(&mut it, "d/f");
    sees(&mut it, "d/g");
    sees(&mut it, "g");
    fs::remove_file(&above).unwrap();
    fs::rename(&place, &above).unwrap();
}
