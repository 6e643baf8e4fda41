//! Directories that are moved while they are looked at: none is left without a watch.
//!
//! The kernel's watch hangs on the inode, and a directory is found by its name: in between another one may have come
//! there. Moves and looks race for a while; then every directory is written into, and all of it has to be seen.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Debug)]
enum Move {
    Exchange(String, String),
    Rename(String, String),
    Make(String),
    Remove(String),
    Out(String),
    In(String),
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    proptest::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        5 => (path(), path()).prop_map(|(one, other)| Move::Exchange(one, other)),
        3 => (path(), path()).prop_map(|(from, to)| Move::Rename(from, to)),
        3 => path().prop_map(Move::Make),
        1 => path().prop_map(Move::Remove),
        1 => path().prop_map(Move::Out),
        1 => path().prop_map(Move::In),
    ];
    proptest::collection::vec(one, 20..60)
}

/// Does it if it can be done; `outside` is a place beside the workspace.
fn perform(root: &Path, outside: &Path, one: &Move) {
    let at = |path: &String| root.join(path);
    let done = match one {
        Move::Exchange(one, other) => {
            let exchange = RenameFlags::EXCHANGE;
            renameat_with(CWD, at(one), CWD, at(other), exchange).map_err(io::Error::from)
        }
        Move::Rename(from, to) => fs::rename(at(from), at(to)),
        Move::Make(path) => fs::create_dir_all(at(path)),
        Move::Remove(path) => fs::remove_dir_all(at(path)),
        Move::Out(path) => fs::rename(at(path), outside),
        Move::In(path) => fs::rename(outside, at(path)),
    };
    // What is not there is not moved.
    done.unwrap_or(());
}

fn directories(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_path_buf()];
    let mut at = 0;
    while let Some(directory) = all.get(at) {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
        let below = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        let below: Vec<_> = below.map(|entry| entry.path()).collect();
        all.extend(below);
        at += 1;
    }
    all
}

/// Looks at it all the time while it is moved; then writes into every directory, and demands that each is seen.
fn race(it: &mut Fixture, moves: &[Move], round: usize) -> TestCaseResult {
    it.true_view();
    let root = it.root.as_path().to_path_buf();
    let outside = it.above.path().join("outside");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (over, root, outside) = (&over, &root, &outside);
        scope.spawn(move || {
            moves.iter().for_each(|one| perform(root, outside, one));
            over.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            it.tree.examine().unwrap();
        }
    });
    it.touched();
    let there = directories(&root);
    for directory in &there {
        fs::write(directory.join("probe"), round.to_string()).unwrap();
    }
    let touches = it.touched();
    let told: BTreeSet<String> = paths(&touches).into_iter().collect();
    let below = there.iter().map(|it| it.strip_prefix(&root).unwrap());
    let written = below.map(|below| below.join("probe").display().to_string());
    let unseen: Vec<String> = written.filter(|path| !told.contains(path)).collect();
    prop_assert_eq!(unseen, Vec::<String>::new(), "round {}", round);
    Ok(())
}

proptest! {
    // Who is faster is chance: the same moves again show nothing.
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn whatever_moves_while_it_is_looked_at_stays_watched(
        rounds in proptest::collection::vec(moves(), 40),
    ) {
        let mut it = Fixture::new();
        for (round, moves) in rounds.iter().enumerate() {
            race(&mut it, moves, round)?;
        }
    }
}
