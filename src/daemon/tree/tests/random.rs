//! A random writer against an independent reading of the disk.
//!
//! After each storm the tree's digest must be the one of an independent, slow, simple reader.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::symlink;

#[derive(Clone, Debug)]
enum Act {
    Write(String, u8),
    MakeDirectory(String),
    Remove(String),
    Rename(String, String),
    Link(String, String),
    HardLink(String, String),
    Mode(String, bool),
    Append(String),
    Exchange(String, String),
    Examine,
    Scan,
    Capture,
    Audit,
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d e"), Just("f\n")];
    proptest::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (path(), 0..4u8).prop_map(|(path, text)| Act::Write(path, text)),
        2 => path().prop_map(Act::MakeDirectory),
        3 => path().prop_map(Act::Remove),
        4 => (path(), path()).prop_map(|(from, to)| Act::Rename(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Act::Link(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Act::HardLink(from, to)),
        2 => (path(), any::<bool>()).prop_map(|(path, bit)| Act::Mode(path, bit)),
        1 => path().prop_map(Act::Append),
        2 => (path(), path()).prop_map(|(one, other)| Act::Exchange(one, other)),
        3 => Just(Act::Examine),
        1 => Just(Act::Scan),
        1 => Just(Act::Capture),
        2 => Just(Act::Audit),
    ]
}

/// Does it if it can be done; what cannot be done is no change.
fn perform(it: &mut Fixture, act: &Act) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match act {
        Act::Write(path, text) => {
            let path = it.path(path);
            if path
                .parent()
                .is_some_and(|above| fs::create_dir_all(above).is_ok())
            {
                drop(fs::write(path, text.to_string()));
            }
        }
        Act::MakeDirectory(path) => drop(fs::create_dir_all(it.path(path))),
        Act::Remove(path) => {
            let path = it.path(path);
            drop(fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)));
        }
        Act::Rename(from, to) => drop(fs::rename(it.path(from), it.path(to))),
        Act::Link(target, path) => drop(symlink(target, it.path(path))),
        Act::HardLink(from, to) => {
            drop(fs::hard_link(it.path(from), it.path(to)));
            // A name that comes, is written through and goes between two looks leaves no trace of whose it was.
            drop(it.touched());
        }
        Act::Mode(path, bit) => {
            let path = it.path(path);
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
                let mode = if *bit { 0o755 } else { 0o644 };
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        Act::Append(path) => {
            let file = fs::OpenOptions::new().append(true).open(it.path(path));
            if let Ok(mut file) = file {
                io::Write::write_all(&mut file, b"+").unwrap();
            }
        }
        Act::Exchange(one, other) => {
            let (one, other) = (it.path(one), it.path(other));
            renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap_or(());
        }
        Act::Examine => drop(it.tree.examine_closed(Tick::default()).unwrap()),
        Act::Scan => drop(it.tree.scan().unwrap()),
        Act::Capture => drop(it.view()),
        Act::Audit => {
            it.tree.begin_audit();
            assert_eq!(it.tree.audit().missed, [], "an event told of it");
        }
    }
}

/// Every file, its mode bit and its bytes.
fn state(root: &Path) -> BTreeMap<String, (bool, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut stack = vec![root.to_path_buf()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            if meta.is_dir() {
                stack.push(path);
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                let bytes = [b"-> ", target.as_os_str().as_bytes()].concat();
                all.insert(name, (false, bytes));
            } else {
                let bit = meta.permissions().mode() & 0o100 != 0;
                all.insert(name, (bit, fs::read(&path).unwrap()));
            }
        }
    }
    all
}

fn differing(
    before: &BTreeMap<String, (bool, Vec<u8>)>,
    after: &BTreeMap<String, (bool, Vec<u8>)>,
) -> Vec<String> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    differ.cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_is_done_the_view_is_what_is_there(
        storms in proptest::collection::vec(proptest::collection::vec(act(), 1..25), 1..5)
    ) {
        let mut it = Fixture::new();
        it.true_view();
        let mut before = state(it.root.as_path());
        for storm in &storms {
            let mut quiet = true;
            for act in storm {
                quiet &= !matches!(act, Act::Capture);
                perform(&mut it, act);
            }
            let view = it.view();
            prop_assert_eq!(view.input, oracle(it.root.as_path()));
            let after = state(it.root.as_path());
            if quiet {
                prop_assert_eq!(shown(&view.changed), differing(&before, &after));
            }
            before = after;
            let directories = it.tree.directories();
            prop_assert_eq!(it.tree.watches(), directories);
        }
        // Nothing is blind: a write into each directory is an event.
        for id in it.tree.snapshot.all(DirId::ROOT) {
            let path = names::rel(&it.tree.snapshot.path_of(id, b"seen"));
            fs::write(it.root.join(&path), "?").unwrap();
            prop_assert_eq!(paths(&it.touched()), [path.to_text()]);
        }
    }
}
