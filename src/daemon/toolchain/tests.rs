//! Programs that are asked once, those that are asked each time, and what makes an answer another one.
//!
//! What is asked once is a copy of a small program of the system: a script is asked each time.

use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tempfile::TempDir;

struct Tools {
    place: TempDir,
    toolchains: Toolchains,
}

impl Tools {
    fn new() -> Self {
        Self {
            place: TempDir::new().unwrap(),
            toolchains: Toolchains::default(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// As an installation does it: by another file.
    fn install(&self, name: &str, from: &str) {
        self.write(name, &fs::read(from).unwrap());
    }

    fn write(&self, name: &str, text: &[u8]) {
        let mut file = tempfile::NamedTempFile::new_in(self.place.path()).unwrap();
        std::io::Write::write_all(&mut file, text).unwrap();
        let path = file.into_temp_path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.persist(self.at(name)).unwrap();
    }

    fn answer(&mut self, line: &str) -> Digest {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.place.path().display());
        self.toolchains.answer(Question {
            line: line.to_owned(),
            cwd: self.place.path().to_path_buf(),
            env: BTreeMap::from([("PATH".to_owned(), path)]),
        })
    }
}

#[test]
fn a_program_is_asked_once_until_it_is_another_one() {
    let mut tools = Tools::new();
    tools.install("tool", "/bin/true");
    let first = tools.answer("tool --version");
    let known = tools.toolchains.known.values_mut().next().unwrap();
    let marked = Digest::of(b"it was not asked");
    let asked = std::mem::replace(&mut known.answer, marked);
    assert_eq!(asked, first);
    assert_eq!(tools.answer("tool --version"), marked);
    tools.install("tool", "/bin/false");
    let second = tools.answer("tool --version");
    assert!(second != first && second != marked, "it is another one");
    tools.install("tool", "/bin/true");
    assert_eq!(tools.answer("tool --version"), first, "it is what it says");
}

#[test]
fn one_that_comes_before_it_and_one_that_goes_are_seen() {
    let mut tools = Tools::new();
    let missing = tools.answer("echo-of-ours");
    tools.install("echo-of-ours", "/bin/true");
    let there = tools.answer("echo-of-ours");
    assert_ne!(there, missing);
    fs::remove_file(tools.at("echo-of-ours")).unwrap();
    assert_eq!(tools.answer("echo-of-ours"), missing);
    let elsewhere = tools.answer("echo -x");
    tools.install("echo", "/bin/false");
    // The shell has an `echo` of its own; the file is looked at all the same.
    assert_eq!(tools.answer("echo -x"), elsewhere);
}

#[test]
fn what_may_speak_of_another_program_is_asked_each_time() {
    let mut tools = Tools::new();
    tools.write("shim", b"#!/bin/sh\ncat picked\n");
    tools.install("go", "/bin/true");
    symlink("/bin/true", tools.at("one")).unwrap();
    tools.install("linked", "/bin/true");
    fs::hard_link(tools.at("linked"), tools.at("other")).unwrap();
    tools.write("picked", b"1.0\n");
    let before = tools.answer("shim --version");
    tools.write("picked", b"1.1\n");
    assert_ne!(tools.answer("shim --version"), before);
    for line in [
        "one",
        "linked",
        "go -v",
        "cat picked",
        "cat -n picked",
        "cat picked | cat",
        "X=1 one",
    ] {
        let first = tools.answer(line);
        assert_eq!(tools.answer(line), first);
        assert!(tools.toolchains.known.is_empty(), "{line}");
    }
}

#[test]
fn how_it_ends_and_which_output_it_uses_count() {
    let mut tools = Tools::new();
    let lines = [
        "echo a; exit 0",
        "echo a; exit 1",
        "echo a >&2",
        "printf a; echo",
    ];
    let answers: Vec<Digest> = lines.iter().map(|line| tools.answer(line)).collect();
    assert_eq!(answers[0], answers[3]);
    assert_ne!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
}

#[test]
fn a_program_that_does_not_answer_is_like_no_other() {
    let mut tools = Tools::new();
    // A signal ends it: it has no exit code, as one that is too slow has none.
    let silent = tools.answer("kill -9 $$");
    assert_eq!(
        tools.answer("kill -9 $$"),
        silent,
        "it does not spoil every look"
    );
    let mut others = Tools::new();
    assert_ne!(others.answer("kill -9 $$"), silent, "of another daemon");
    assert!(tools.toolchains.known.is_empty());
}
