//! `evidence verify` and `evidence export`: whether runs are as they were recorded, and one of them for other tools.
//!
//! Verifying only reads, unless it is told to take things as they are.

use super::super::print;
use super::shelf;
use crate::client::args::paper::evidence::{EvidenceAct, Export, Verify};
use crate::client::clock;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::place;
use crate::client::render::evidence as render;
use crate::client::session::Session;
use crate::disk::durable::{SHARED, write};
use crate::documents::failure::PaperError;
use crate::documents::integrity::{self, statement};
use crate::model::evidence::document;

pub(super) fn evidence(session: &mut Session<'_>, act: &EvidenceAct) -> Result<Exit, Failure> {
    match act {
        EvidenceAct::Verify(args) => verify(session, args),
        EvidenceAct::Export(args) => export(session, args),
    }
}

fn verify(session: &mut Session<'_>, args: &Verify) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    if args.adopt {
        let adopted = integrity::adopt(&shelf, args.task.as_ref(), clock::now());
        let adopted = adopted.map_err(PaperError::from)?;
        session.output.words(&render::adopted(adopted))?;
    }
    let verified = integrity::verify(&shelf, args.task.as_ref()).map_err(PaperError::from)?;
    let is_red = !verified.findings.is_empty();
    print(session, &verified, render::verified)?;
    Ok(if is_red { Exit::Red } else { Exit::Done })
}

fn export(session: &mut Session<'_>, args: &Export) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    let statement = statement::export(&shelf, &args.run).map_err(PaperError::from)?;
    let Some(out) = &args.out else {
        print(session, &statement, |statement, _| {
            String::from_utf8_lossy(&document(statement)).into_owned()
        })?;
        return Ok(Exit::Done);
    };
    let path = place::absolute(out)?;
    write(&path, &document(&statement), SHARED)
        .map_err(|error| PaperError::from(statement::StatementError::from(error)))?;
    session
        .output
        .words(&format!("written: {}\n", path.display()))?;
    Ok(Exit::Done)
}
