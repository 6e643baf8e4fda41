//! `init`: writes an `orchd.toml` of what is found, and keeps the evidence out of git.
//!
//! Runs nothing and needs no daemon. What is there is never overwritten: `orchd.toml` is created or not at all, and
//! `.gitignore` only grows by the lines that it lacks.

use crate::client::args::workspace::Init;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::place;
use crate::client::render::init as render;
use crate::client::session::Session;
use crate::limits::CONFIG_BYTES_MAX;
use crate::model::config::detect::{Listing, READ, WANTED};
use crate::model::config::proposal::{Proposal, missing, propose};
use crate::model::id::TaskId;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The task id of a workspace that names none.
const TASK: &str = "0101";

/// What was written, or would be.
#[derive(Debug, Serialize)]
struct Written<'a> {
    path: &'a Path,
    written: bool,
    toml: &'a str,
    gitignore: Vec<&'a str>,
}

pub(super) fn init(session: &mut Session<'_>, args: &Init) -> Result<Exit, Failure> {
    let dir = match &args.dir {
        Some(dir) => place::directory(dir)?,
        None => place::current_dir()?,
    };
    let path = dir.join("orchd.toml");
    if path.symlink_metadata().is_ok() {
        return Err(Failure::Exists { path });
    }
    let other = dir.join("codex.orchestrator.json");
    if other.is_file() {
        return Err(Failure::Configured { path: other });
    }
    let task = session.task_of_surroundings()?;
    let task = task.map_or_else(|| TaskId::parse(TASK), Ok)?;
    let proposal = propose(&listing(&dir), &task);
    if let Some((file, said)) = proposal.detected.broken() {
        let (path, said) = (dir.join(file), said.to_owned());
        return Err(Failure::Broken { path, said });
    }
    let ignore = dir.join(".gitignore");
    let present = read(&ignore)?;
    let missing = missing(&present, &proposal.gitignore);
    if !args.dry_run {
        create(&path, &proposal.toml)?;
        append(&ignore, &present, &missing)?;
    }
    tell(session, args.dry_run, &path, &proposal, missing)?;
    Ok(Exit::Done)
}

fn tell(
    session: &mut Session<'_>,
    dry_run: bool,
    path: &Path,
    proposal: &Proposal,
    missing: Vec<&str>,
) -> Result<(), Failure> {
    if session.output.json() {
        session.output.document(&Written {
            path,
            written: !dry_run,
            toml: &proposal.toml,
            gitignore: missing,
        })?;
        return Ok(());
    }
    let found = render::found(&proposal.detected.findings, &session.output.err_look());
    session.output.words(&found)?;
    if dry_run {
        session.output.text(&proposal.toml)?;
        let would = render::would(&missing);
        session.output.words(&would)?;
    } else {
        let look = session.output.look();
        session.output.text(&render::wrote(path, &missing, &look))?;
    }
    Ok(())
}

/// Reads what tells how a project is built; a file that cannot be read tells nothing.
pub(super) fn listing(dir: &Path) -> Listing {
    let files = WANTED.iter().filter(|name| dir.join(name).exists());
    let texts = READ.iter().filter_map(|name| {
        let text = read(&dir.join(name)).ok()?;
        Some(((*name).to_owned(), text))
    });
    Listing {
        files: files.map(|name| (*name).to_owned()).collect(),
        texts: texts.filter(|(_, text)| !text.is_empty()).collect(),
    }
}

/// The text of a file; empty when there is none.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(CONFIG_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(failed("read", path, source)),
    }
}

fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let path = path.to_path_buf();
            return Err(Failure::Exists { path });
        }
        Err(source) => return Err(failed("write", path, source)),
    };
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|source| failed("write", path, source))
}

fn append(path: &Path, present: &str, lines: &[&str]) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    if !present.is_empty() && !present.ends_with('\n') {
        text.push('\n');
    }
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    let opened = OpenOptions::new().append(true).create(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| failed("write", path, source))
}

fn failed(act: &'static str, path: &Path, source: io::Error) -> Failure {
    let path: PathBuf = path.to_path_buf();
    Failure::File { act, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_lines_are_added_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".gitignore");
        let wanted = ["/.runs/".to_owned(), "/out/0101/".to_owned()];
        append(&path, "", &["target"]).unwrap();
        for _ in 0..2 {
            let present = read(&path).unwrap();
            append(&path, &present, &missing(&present, &wanted)).unwrap();
        }
        assert_eq!(read(&path).unwrap(), "target\n/.runs/\n/out/0101/\n");
        assert_eq!(missing(".runs\nout/0101", &wanted), Vec::<&str>::new());
    }

    #[test]
    fn a_file_without_a_last_newline_keeps_its_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".gitignore");
        create(&path, "target").unwrap();
        append(&path, "target", &["/.runs/"]).unwrap();
        assert_eq!(read(&path).unwrap(), "target\n/.runs/\n");
    }

    #[test]
    fn a_configuration_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orchd.toml");
        create(&path, "mine").unwrap();
        let refused = create(&path, "theirs").unwrap_err();
        assert!(
            refused.to_string().contains("never overwrites"),
            "{refused}"
        );
        assert_eq!(read(&path).unwrap(), "mine");
    }
}
