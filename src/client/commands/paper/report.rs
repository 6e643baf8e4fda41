//! `report`: how projects stand by what is on disk, as a page, as Markdown, or as the data itself.
//!
//! Looks at no clock. Ends well whatever it shows: what is to fail is asked for elsewhere, by `gate` and by `coverage`.

use super::{known, shelf};
use crate::client::args::paper::reporting::Report;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::output::OutputError;
use crate::client::place;
use crate::client::render::report as render;
use crate::client::session::Session;
use crate::documents::failure::PaperError;
use crate::documents::reporting::{self, out};
use crate::model::path::plain;
use std::io;

pub(super) fn report(session: &mut Session<'_>, args: &Report) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    known(&shelf, args.task.as_ref())?;
    let told = reporting::read(&shelf, args.task.as_ref())?;
    let text = if session.output.json() {
        let mut text = serde_json::to_string_pretty(&told)
            .map_err(|error| OutputError(io::Error::from(error)))?;
        text.push('\n');
        text
    } else if args.md {
        render::markdown(&told)
    } else {
        render::page(&told).map_err(|error| OutputError(io::Error::other(error)))?
    };
    let Some(file) = &args.out else {
        // Words pass through the writer of streams, which would take escape sequences out: there are none.
        session.output.bytes(text.as_bytes())?;
        return Ok(Exit::Done);
    };
    out::write(&place::absolute(file)?, text.as_bytes()).map_err(PaperError::from)?;
    session
        .output
        .words(&format!("Wrote {}\n", plain(file.as_os_str())))?;
    Ok(Exit::Done)
}
