//! `review`: whether everything is ready for its reviewers.
//!
//! It only reads. The clock and the environment are looked at here, once, and handed on.

use super::super::print;
use super::{known, shelf};
use crate::client::args::paper::review::{Ready, ReviewAct};
use crate::client::clock;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::render::review as render;
use crate::client::session::Session;
use crate::documents::review::{self, Asked};

pub(super) fn review(session: &mut Session<'_>, act: &ReviewAct) -> Result<Exit, Failure> {
    match act {
        ReviewAct::Ready(args) => ready(session, args),
    }
}

fn ready(session: &mut Session<'_>, args: &Ready) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    known(&shelf, args.task.as_ref())?;
    let asked = Asked {
        task: args.task.as_ref(),
        now: clock::now(),
        environment: super::environment(),
    };
    let review = review::ready(&shelf, &asked)?;
    print(session, &review, render::review)?;
    Ok(if review.ready { Exit::Done } else { Exit::Red })
}
