//! Programs that are asked once, those that are asked each time, and what makes an answer another one.
//!
//! Each is a small script of awk, because one of a shell is taken for what picks another program.

use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tempfile::TempDir;

/// A directory of programs that note each time they are asked.
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

    /// A program that is interpreted by one that is no shell, and prints this.
    fn write(&self, name: &str, head: &str, version: &str) {
        let asked = self.at("asked").display().to_string();
        let text =
            format!("#!{head}\nBEGIN {{ print \"{version}\"; print \"x\" >> \"{asked}\" }}\n");
        self.replace(name, text.as_bytes());
    }

    /// As an installation does it: by another file.
    fn replace(&self, name: &str, text: &[u8]) {
        let mut file = tempfile::NamedTempFile::new_in(self.place.path()).unwrap();
        std::io::Write::write_all(&mut file, text).unwrap();
        let path = file.into_temp_path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.persist(self.at(name)).unwrap();
    }

    fn asked(&self) -> usize {
        fs::read(self.at("asked")).map_or(0, |text| text.len() / 2)
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
    tools.write("tool", "/usr/bin/env -S awk -f", "1.0");
    let first = tools.answer("tool version");
    assert_eq!(tools.answer("tool version"), first);
    assert_eq!(tools.asked(), 1);
    tools.write("tool", "/usr/bin/env -S awk -f", "1.1");
    let second = tools.answer("tool version");
    assert_ne!(second, first);
    assert_eq!((tools.answer("tool version"), tools.asked()), (second, 2));
    tools.write("tool", "/usr/bin/env -S awk -f", "1.0");
    assert_eq!(tools.answer("tool version"), first, "it is what it prints");
}

#[test]
fn one_that_comes_before_it_and_one_that_goes_are_seen() {
    let mut tools = Tools::new();
    let missing = tools.answer("tool");
    tools.write("tool", "/usr/bin/env -S awk -f", "1.0");
    let there = tools.answer("tool");
    assert_ne!(there, missing);
    fs::remove_file(tools.at("tool")).unwrap();
    assert_eq!(tools.answer("tool"), missing);
    tools.write("awk", "/usr/bin/awk -f", "another awk");
    tools.write("tool", "/usr/bin/env -S awk -f", "1.0");
    let other = tools.answer("tool");
    assert_ne!(other, there, "what interprets it is another one");
}

#[test]
fn what_picks_another_program_is_asked_each_time() {
    let mut tools = Tools::new();
    // Written for a shell, called by another name, one of several names, and more than plain words.
    tools.replace("shim", b"#!/bin/sh\ncat picked\n");
    symlink("/bin/echo", tools.at("one")).unwrap();
    tools.write("linked", "/usr/bin/awk -f", "l");
    fs::hard_link(tools.at("linked"), tools.at("other")).unwrap();
    tools.replace("picked", b"1.0");
    let before = tools.answer("shim --version");
    tools.replace("picked", b"1.1");
    assert_ne!(tools.answer("shim --version"), before);
    for line in ["one", "linked", "cat picked | cat", "X=1 one"] {
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
