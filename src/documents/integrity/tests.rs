//! Runs held against their chains: clean ones, and each way in which somebody may have been at them.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes files in a directory of its own"
)]

use super::*;
use crate::model::evidence::tests::report;
use crate::model::evidence::{Layout, Manifest, Sidecar, document};
use crate::model::path::RootPath;
use crate::model::run::RunStatus;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

pub(super) struct Space {
    dir: tempfile::TempDir,
    pub(super) shelf: Shelf,
}

pub(super) fn at(n: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_795_341_000_000 + n)
}

impl Space {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let toml =
            "[[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'a'\ncommand = 'x'\n";
        fs::write(dir.path().join("orchd.toml"), toml).unwrap();
        fs::create_dir(dir.path().join(".runs")).unwrap();
        let root = RootPath::new(&dir.path().canonicalize().unwrap()).unwrap();
        let shelf = Shelf::open(&root, None).unwrap();
        Self { dir, shelf }
    }

    pub(super) fn run(&self, n: u32, status: RunStatus) -> RunId {
        let report = report("demo", n, status);
        let manifest = Manifest::new(&report, "demo", "token", &Layout::default());
        let mut manifest = manifest;
        manifest.note(&report, &Layout::default(), at(0));
        let home = self.home(&report.run);
        for below in ["commands", "errors"] {
            fs::create_dir_all(home.join(below)).unwrap();
        }
        fs::write(home.join("manifest.json"), document(&manifest)).unwrap();
        fs::write(home.join("orchd.json"), document(&Sidecar::of(&report))).unwrap();
        fs::write(home.join("runner.ndjson"), "{\"n\":1}\n").unwrap();
        fs::write(home.join("commands/01-lint.ndjson"), "said\n").unwrap();
        fs::write(home.join("errors/01-lint.json"), "{}").unwrap();
        report.run
    }

    pub(super) fn home(&self, run: &RunId) -> PathBuf {
        self.dir.path().join(".runs/demo/cli").join(run.as_str())
    }

    fn chain(&self) -> PathBuf {
        self.dir.path().join(".runs/demo/chain.jsonl")
    }

    pub(super) fn link(&self, run: &RunId, why: Why) {
        let runs = Dir::open(&self.dir.path().join(".runs")).unwrap();
        disk::append(&runs, &task(), run, why, at(1)).unwrap();
    }

    pub(super) fn ended(&self, n: u32) -> RunId {
        let run = self.run(n, RunStatus::Succeeded);
        self.link(&run, Why::Ended);
        run
    }

    fn kinds(&self) -> Vec<&'static str> {
        let found = verify(&self.shelf, None).unwrap().findings;
        found.iter().map(|it| it.kind.as_str()).collect()
    }
}

fn task() -> TaskId {
    TaskId::parse("demo").unwrap()
}

#[test]
fn what_is_as_it_was_recorded_is_no_finding_and_neither_is_what_is_under_way() {
    let space = Space::new();
    assert_eq!(verify(&space.shelf, None).unwrap(), Verified::default());
    space.ended(1);
    let last = space.ended(2);
    space.run(3, RunStatus::InProgress);
    let resumed = space.ended(4);
    space.run(4, RunStatus::InProgress);
    fs::write(space.home(&resumed).join(".orchd-owner.json"), "{}").unwrap();
    let verified = verify(&space.shelf, None).unwrap();
    assert_eq!(verified.findings, []);
    assert_eq!((verified.runs, verified.heads[0].number), (4, 3));
    let text = fs::read(space.chain()).unwrap();
    let line = text.split_inclusive(|byte| *byte == b'\n').next_back();
    assert_eq!(
        verified.heads[0].sha256,
        crate::model::digest::Digest::of(line.unwrap())
    );
    assert_eq!(of_run(&space.shelf, &task(), &last).unwrap(), []);
}

#[test]
fn a_file_that_is_changed_gone_or_new_is_found_and_named() {
    let space = Space::new();
    let run = space.ended(1);
    let home = space.home(&run);
    fs::write(home.join("commands/01-lint.ndjson"), "saiD\n").unwrap();
    fs::remove_file(home.join("errors/01-lint.json")).unwrap();
    fs::write(home.join("commands/02-new.ndjson"), "").unwrap();
    let found = verify(&space.shelf, Some(&task())).unwrap().findings;
    let told: Vec<(&str, &str)> = found
        .iter()
        .map(|it| {
            (
                it.kind.as_str(),
                it.path.rsplit_once(run.as_str()).unwrap().1,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("changed", "/commands/01-lint.ndjson"),
            ("missing", "/errors/01-lint.json"),
            ("changed", "/commands/02-new.ndjson"),
        ]
    );
    fs::remove_dir_all(home).unwrap();
    assert_eq!(space.kinds(), ["missing"]);
    space.link(&run, Why::Removed);
    assert_eq!(space.kinds(), [""; 0]);
}

#[test]
fn a_run_under_another_task_or_without_a_link_is_found() {
    let space = Space::new();
    let run = space.ended(1);
    let other = space.dir.path().join(".runs/other/cli");
    fs::create_dir_all(&other).unwrap();
    fs::rename(space.home(&run), other.join(run.as_str())).unwrap();
    assert_eq!(space.kinds(), ["missing", "wrong-task"]);
    fs::rename(other.join(run.as_str()), space.home(&run)).unwrap();
    space.run(2, RunStatus::Failed);
    assert_eq!(space.kinds(), ["unchained"]);
    assert_eq!(adopt(&space.shelf, None, at(9)).unwrap(), 1);
    assert_eq!(space.kinds(), [""; 0]);
}

#[test]
fn the_first_broken_link_is_told_and_what_comes_behind_is_read_all_the_same() {
    let space = Space::new();
    for n in 1..=4 {
        space.ended(n);
    }
    let text = fs::read_to_string(space.chain()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for gone in 0..3 {
        let mut without = lines.clone();
        let line = without.remove(gone);
        fs::write(space.chain(), without.concat()).unwrap();
        let found = verify(&space.shelf, None).unwrap().findings;
        let kinds: Vec<&str> = found.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, ["broken-link", "unchained"]);
        let told = format!("line {}", if gone == 0 { 1 } else { gone + 1 });
        assert!(found[0].message.starts_with(&told), "{}", found[0].message);
        let run = found[1].run_id.as_ref().unwrap().as_str();
        assert!(line.contains(run));
    }
    // What cuts off the end is not seen: that the newest run has no link tells of it.
    fs::write(space.chain(), lines[..3].concat()).unwrap();
    assert_eq!(space.kinds(), ["unchained"]);
    // Lines in another order, and one that stands twice.
    fs::write(
        space.chain(),
        [lines[0], lines[2], lines[1], lines[3]].concat(),
    )
    .unwrap();
    assert_eq!(space.kinds(), ["broken-link"]);
    fs::write(
        space.chain(),
        [lines[0], lines[0], lines[1], lines[2], lines[3]].concat(),
    )
    .unwrap();
    assert_eq!(space.kinds(), ["broken-link"]);
    assert_eq!(adopt(&space.shelf, None, at(9)).unwrap(), 4);
    // The old one lies there until somebody has looked at it.
    assert_eq!(space.kinds(), ["broken-link"]);
    let entries = fs::read_dir(space.chain().parent().unwrap()).unwrap();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".corrupt-") {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(space.kinds(), [""; 0]);
}

#[test]
fn a_last_line_that_was_cut_off_is_torn_and_not_broken() {
    let space = Space::new();
    space.ended(1);
    let text = fs::read(space.chain()).unwrap();
    let second = space.run(2, RunStatus::InProgress);
    space.link(&second, Why::Ended);
    let whole = fs::read(space.chain()).unwrap();
    for len in text.len() + 1..whole.len() {
        fs::write(space.chain(), &whole[..len]).unwrap();
        assert_eq!(space.kinds(), ["torn"], "cut at {len}");
    }
}

#[test]
fn an_approval_covers_up_no_other_change() {
    let space = Space::new();
    let run = space.ended(1);
    let home = space.home(&run);
    let sidecar = fs::read_to_string(home.join("orchd.json")).unwrap();
    fs::write(home.join("orchd.json"), format!("{sidecar} ")).unwrap();
    space.link(&run, Why::Approved);
    assert_eq!(space.kinds(), [""; 0]);
    fs::write(home.join("commands/01-lint.ndjson"), "else\n").unwrap();
    space.link(&run, Why::Approved);
    space.link(&run, Why::Approved);
    let found = verify(&space.shelf, None).unwrap().findings;
    assert_eq!(found.len(), 1);
    assert!(found[0].path.ends_with("commands/01-lint.ndjson"));
    assert_eq!(adopt(&space.shelf, None, at(9)).unwrap(), 1);
    assert_eq!(space.kinds(), [""; 0]);
}

#[test]
fn a_manifest_that_was_made_again_is_told_until_somebody_takes_it() {
    let space = Space::new();
    let run = space.ended(1);
    space.link(&run, Why::Rebuilt);
    assert_eq!(space.kinds(), ["changed"]);
    assert_eq!(adopt(&space.shelf, None, at(9)).unwrap(), 1);
    assert_eq!(space.kinds(), [""; 0]);
}

#[test]
fn a_file_behind_a_link_is_not_followed() {
    let space = Space::new();
    let run = space.ended(1);
    let log = space.home(&run).join("runner.ndjson");
    let away = space.dir.path().join("away");
    fs::rename(&log, &away).unwrap();
    std::os::unix::fs::symlink(&away, &log).unwrap();
    assert_eq!(space.kinds(), ["missing"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever byte of a file that is linked, or of the chain, is another: it is found.
    #[test]
    fn every_byte_that_is_changed_is_found(which in 0_usize..6, place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let space = Space::new();
        space.ended(1);
        let run = space.ended(2);
        space.ended(3);
        let home = space.home(&run);
        let files = [
            space.chain(),
            home.join("manifest.json"),
            home.join("orchd.json"),
            home.join("runner.ndjson"),
            home.join("commands/01-lint.ndjson"),
            home.join("errors/01-lint.json"),
        ];
        let mut bytes = fs::read(&files[which]).unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&files[which], bytes).unwrap();
        prop_assert!(!space.kinds().is_empty(), "byte {} of {}", at, files[which].display());
    }
}
