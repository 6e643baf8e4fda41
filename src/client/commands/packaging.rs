//! `completions` and `man`: what packagers need, made of the same table as `--help`.
//!
//! They need neither a daemon nor a workspace, so that a package can be built anywhere.

use crate::client::args::{Args, Completions, Man};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::output::OutputError;
use crate::client::session::Session;
use clap::{Command, CommandFactory as _};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// What `completions --json` prints.
#[derive(Serialize)]
struct Completed {
    shell: String,
    script: String,
}

/// What `man --json` prints.
#[derive(Serialize)]
struct Manual {
    pages: Vec<Page>,
}

#[derive(Serialize)]
struct Page {
    /// The name of its file.
    name: String,
    text: String,
}

pub(super) fn completions(session: &mut Session<'_>, args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "orchctl", &mut script);
    if session.output.json() {
        session.output.document(&Completed {
            shell: args.shell.to_string(),
            script: text_of(script)?,
        })?;
    } else {
        session.output.bytes(&script)?;
    }
    Ok(Exit::Done)
}

pub(super) fn man(session: &mut Session<'_>, args: &Man) -> Result<Exit, Failure> {
    if args.dir.is_none() && !session.output.json() {
        let mut page = Vec::new();
        let man = page_of(Args::command());
        man.render(&mut page).map_err(OutputError)?;
        session.output.bytes(&page)?;
        return Ok(Exit::Done);
    }
    let mut pages = Vec::new();
    for mut command in [Args::command(), (session.seams.orchd)()] {
        command = command.disable_help_subcommand(true);
        command.build();
        add_pages(command, &mut pages)?;
    }
    if let Some(dir) = &args.dir {
        write_pages(session, dir, &pages)?;
    }
    if session.output.json() {
        session.output.document(&Manual { pages })?;
    }
    Ok(Exit::Done)
}

/// A page for each subcommand, then one for the command itself.
fn add_pages(command: Command, pages: &mut Vec<Page>) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        add_pages(below.clone(), pages)?;
    }
    let man = page_of(command);
    let mut text = Vec::new();
    man.render(&mut text).map_err(OutputError)?;
    pages.push(Page {
        name: man.get_filename(),
        text: text_of(text)?,
    });
    Ok(())
}

/// The page of a command, which is of the whole program's version.
fn page_of(command: Command) -> clap_mangen::Man {
    let source = concat!("orchd ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command)
        .source(source)
        .manual("orchd manual")
}

fn write_pages(session: &mut Session<'_>, dir: &Path, pages: &[Page]) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Failure::File {
            act: "write",
            path,
            source,
        }
    };
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    for page in pages {
        let path = dir.join(&page.name);
        let written = File::create(&path).and_then(|mut it| it.write_all(page.text.as_bytes()));
        written.map_err(failed(&path))?;
    }
    let text = format!(
        "Wrote the pages of orchctl and orchd to {}\n",
        dir.display()
    );
    session.output.words(&text)?;
    Ok(())
}

/// What a generator wrote: it writes text only.
fn text_of(bytes: Vec<u8>) -> Result<String, OutputError> {
    let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    Ok(String::from_utf8(bytes).map_err(wrong)?)
}
