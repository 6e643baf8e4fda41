//! Appending to a chain: by one and by several, behind a torn end and behind nonsense.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes files in a directory of its own"
)]

use super::*;
use crate::disk::durable::crash_after;
use crate::model::digest::Digest;
use std::fs;

pub(crate) struct Space {
    dir: tempfile::TempDir,
    pub(crate) runs: Dir,
    pub(crate) task: TaskId,
}

impl Space {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runs = Dir::open(dir.path()).unwrap();
        let task = TaskId::parse("0101-web").unwrap();
        Self { dir, runs, task }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("0101-web")
    }

    /// A run with some files.
    pub(crate) fn run(&self, n: u32) -> RunId {
        let run = RunId::parse(&format!("2026-11-22T10-00-00-000Z-{n:08x}")).unwrap();
        let dir = self.path().join("cli").join(run.as_str());
        for below in ["commands", "errors"] {
            fs::create_dir_all(dir.join(below)).unwrap();
        }
        for name in ["manifest.json", "orchd.json", "runner.ndjson"] {
            fs::write(dir.join(name), format!("{name} of {n}")).unwrap();
        }
        fs::write(dir.join("commands/01-lint.ndjson"), "said").unwrap();
        fs::write(dir.join(".resume-token"), "secret").unwrap();
        fs::write(dir.join(".heartbeat"), "beat").unwrap();
        run
    }

    pub(crate) fn append(&self, n: u32, why: Why) {
        let run = self.run(n);
        append(&self.runs, &self.task, &run, why, at(n)).unwrap();
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        fs::read(self.path().join(CHAIN)).unwrap_or_default()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn at(n: u32) -> Timestamp {
    Timestamp::from_unix_ms(1_795_341_000_000 + i64::from(n))
}

fn links(text: &[u8]) -> Vec<Link> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| Link::parse(line).unwrap()).collect()
}

/// Asserts that each link holds the digest of the line before it.
pub(crate) fn assert_linked(text: &[u8]) {
    let mut place = Place::FIRST;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let link = Link::parse(line).unwrap();
        assert_eq!((link.number, link.previous), (place.number, place.previous));
        place = Place::behind(line).unwrap();
    }
}

#[test]
fn each_link_names_the_files_of_its_run_and_the_line_before_it() {
    let space = Space::new();
    space.append(1, Why::Ended);
    space.append(2, Why::Ended);
    assert_linked(&space.text());
    let links = links(&space.text());
    let paths: Vec<&str> = links[1].files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "commands/01-lint.ndjson",
            "manifest.json",
            "orchd.json",
            "runner.ndjson"
        ]
    );
    assert_eq!(links[1].files[0].sha256, Digest::of(b"said"));
    assert_eq!(links[1].files[0].size, 4);
    let text = String::from_utf8(space.text()).unwrap();
    assert!(!text.contains(&Digest::of(b"secret").to_string()));
}

#[test]
fn of_a_run_that_is_not_there_nothing_is_told_but_that_it_is_gone() {
    let space = Space::new();
    space.append(1, Why::Ended);
    let gone = RunId::parse("gone").unwrap();
    let told = append(&space.runs, &space.task, &gone, Why::Ended, at(2));
    assert!(matches!(told, Err(ChainError::NoRun { .. })));
    append(&space.runs, &space.task, &gone, Why::Removed, at(2)).unwrap();
    assert_eq!(links(&space.text())[1].why, Why::Removed);
}

#[test]
fn a_line_that_was_cut_off_anywhere_is_finished_or_set_aside() {
    let space = Space::new();
    space.append(1, Why::Ended);
    let first = space.text();
    space.append(2, Why::Ended);
    let whole = space.text();
    for len in first.len()..whole.len() {
        fs::write(space.path().join(CHAIN), &whole[..len]).unwrap();
        space.append(3, Why::Ended);
        let text = space.text();
        assert_linked(&text);
        assert!(text.starts_with(&first));
        let finished = len == whole.len() - 1;
        assert_eq!(
            links(&text).len(),
            2 + usize::from(finished),
            "cut at {len}"
        );
        if len > first.len() && !finished {
            let names = space.names();
            let aside = names.iter().find(|name| name.starts_with(TORN)).unwrap();
            let aside = space.path().join(aside);
            assert_eq!(fs::read(&aside).unwrap(), &whole[first.len()..len]);
            fs::remove_file(aside).unwrap();
        }
    }
}

#[test]
fn zeros_where_a_power_cut_took_the_bytes_are_torn_too() {
    let space = Space::new();
    space.append(1, Why::Ended);
    let first = space.text();
    for hole in [&[0_u8; 300][..], &[&[0; 300][..], b"rest\"}\n"].concat()] {
        fs::write(space.path().join(CHAIN), [&first[..], hole].concat()).unwrap();
        mend(&space.runs, &space.task, at(2)).unwrap();
        assert_eq!(space.text(), first);
    }
}

#[test]
fn behind_a_line_that_was_changed_the_chain_goes_on_and_behind_nonsense_another_begins() {
    let space = Space::new();
    space.append(1, Why::Ended);
    let text = String::from_utf8(space.text()).unwrap();
    let changed = text.replace("\"ended\"", "\"adopted\"");
    fs::write(space.path().join(CHAIN), &changed).unwrap();
    space.append(2, Why::Ended);
    assert!(space.text().starts_with(changed.as_bytes()));

    fs::write(space.path().join(CHAIN), "what is this\n").unwrap();
    space.append(3, Why::Ended);
    assert_linked(&space.text());
    let links = links(&space.text());
    let whys: Vec<Why> = links.iter().map(|link| link.why).collect();
    assert_eq!(whys, [Why::Restarted, Why::Ended]);
    let aside = &links[0].files[0];
    assert_eq!(aside.sha256, Digest::of(b"what is this\n"));
    assert_eq!(
        fs::read(space.path().join(&aside.path)).unwrap(),
        b"what is this\n"
    );
}

#[test]
fn what_stands_in_its_place_is_set_aside() {
    let space = Space::new();
    space.run(1);
    fs::create_dir(space.path().join(CHAIN)).unwrap();
    space.append(1, Why::Ended);
    assert_linked(&space.text());
    fs::remove_file(space.path().join(CHAIN)).unwrap();
    std::os::unix::fs::symlink("/dev/null", space.path().join(CHAIN)).unwrap();
    space.append(2, Why::Ended);
    assert_linked(&space.text());
}

#[test]
fn whoever_keeps_the_lock_is_not_waited_for_long_and_nothing_is_written() {
    let space = Space::new();
    space.append(1, Why::Ended);
    let before = space.text();
    let file = fs::File::open(space.path().join(CHAIN)).unwrap();
    file.lock().unwrap();
    let run = space.run(2);
    let told = append(&space.runs, &space.task, &run, Why::Ended, at(2));
    assert!(matches!(told, Err(ChainError::Held { .. })));
    assert_eq!(space.text(), before);
}

#[test]
fn several_at_once_write_one_chain() {
    let space = Space::new();
    let runs: Vec<RunId> = (0..4).map(|n| space.run(n)).collect();
    std::thread::scope(|scope| {
        for run in &runs {
            let (dir, task) = (&space.runs, &space.task);
            scope.spawn(move || {
                for n in 0..20 {
                    append(dir, task, run, Why::Approved, at(n)).unwrap();
                }
            });
        }
    });
    assert_linked(&space.text());
    assert_eq!(links(&space.text()).len(), 80);
}

#[test]
fn whatever_act_is_the_last_the_chain_goes_on() {
    let space = Space::new();
    space.append(1, Why::Ended);
    let run = space.run(2);
    for steps in 0..8 {
        let told = crash_after(steps, || {
            append(&space.runs, &space.task, &run, Why::Ended, at(2))
        });
        let before = links_of_whole_lines(&space.text());
        space.append(3, Why::Ended);
        assert_linked(&space.text());
        assert!(links(&space.text()).len() > before);
        if told.is_ok() {
            return;
        }
    }
    panic!("it takes more acts than that");
}

fn links_of_whole_lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// A chain of `removed` runs behind one that is kept.
fn long(space: &Space) -> Vec<u8> {
    let mut text = space.text();
    let mut place = Place::behind(last_line(&text)).unwrap_or(Place::FIRST);
    for n in 100..160 {
        let run = RunId::parse(&format!("run-{n}")).unwrap();
        for why in [Why::Ended, Why::Removed] {
            let line = Link::new(place, &space.task, Some(&run), why, at(n)).line();
            place = Place::behind(&line).unwrap();
            text.extend_from_slice(&line);
        }
    }
    fs::write(space.path().join(CHAIN), &text).unwrap();
    text
}

#[test]
fn what_is_told_of_removed_runs_goes_once_the_chain_is_long() {
    let space = Space::new();
    space.append(1, Why::Ended);
    let first = links(&space.text()).remove(0);
    let text = long(&space);
    let plan = compact::plan(&text).unwrap();
    compact::carry_out(&space.path_dir(), &space.task, at(200)).unwrap();
    let after = space.text();
    assert!(after.len() < text.len() / 2);
    let stays = &text[plan.gone..];
    assert!(after.starts_with(stays));
    let told = links(&after);
    let last = told.last().unwrap();
    assert_eq!(last.why, Why::Compacted);
    let begins = last.begins.unwrap();
    assert_eq!(begins.number, told[0].number);
    assert_eq!(Some(begins.previous), told[0].previous);
    let kept = &told[told.len() - 2];
    assert_eq!((kept.why, &kept.run), (Why::Kept, &first.run));
    assert_eq!(kept.files, first.files);
    space.append(2, Why::Ended);
    assert_eq!(links(&space.text()).len(), told.len() + 1);
}

#[test]
fn a_chain_that_is_not_whole_is_not_shortened() {
    let space = Space::new();
    drop(space.run(1));
    let text = long(&space);
    let end = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let next = text[end..].iter().position(|byte| *byte == b'\n').unwrap();
    let gap = [&text[..end], &text[end + next + 1..]].concat();
    assert!(compact::plan(&gap).is_none());
}

impl Space {
    fn path_dir(&self) -> Dir {
        Dir::open(&self.path()).unwrap()
    }
}
