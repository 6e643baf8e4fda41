//! `completions` and `man`: what packagers need, made of the same table as `--help`.
//!
//! They need neither a daemon nor a workspace, so that a package can be built anywhere.

use crate::client::args::{Args, Completions, Man};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::output::OutputError;
use crate::client::session::Session;
use clap::CommandFactory as _;
use std::path::Path;

pub(super) fn completions(session: &mut Session<'_>, args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "orchctl", &mut script);
    session.output.bytes(&script)?;
    Ok(Exit::Done)
}

pub(super) fn man(session: &mut Session<'_>, args: &Man) -> Result<Exit, Failure> {
    match &args.dir {
        Some(dir) => write_pages(session, dir)?,
        None => {
            let mut page = Vec::new();
            let man = clap_mangen::Man::new(Args::command());
            man.render(&mut page).map_err(OutputError)?;
            session.output.bytes(&page)?;
        }
    }
    Ok(Exit::Done)
}

fn write_pages(session: &mut Session<'_>, dir: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::File {
        act: "write",
        path: dir.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), dir).map_err(failed)?;
    clap_mangen::generate_to((session.seams.orchd)(), dir).map_err(failed)?;
    let text = format!(
        "Wrote the pages of orchctl and orchd to {}\n",
        dir.display()
    );
    session.output.words(&text)?;
    Ok(())
}
