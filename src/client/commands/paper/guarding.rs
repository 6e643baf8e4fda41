//! `coverage`, `drift`, `spec-guard`: how guardrails stand, whether pipelines are alike, whether code has its specs.
//!
//! All three only read. The clock is looked at here, once, and handed on.

use super::super::print;
use super::shelf;
use crate::client::args::paper::guarding::{Coverage, Drift, SpecGuard};
use crate::client::clock;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::render::guarding as render;
use crate::client::session::Session;
use crate::documents::coverage::{self, Window};
use crate::documents::drift::{self, Against};
use crate::documents::failure::PaperError;
use crate::documents::shelf::Shelf;
use crate::documents::spec_guard;
use crate::model::id::TaskId;
use crate::model::time::Day;

pub(super) fn coverage(session: &mut Session<'_>, args: &Coverage) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    known(&shelf, args.task.as_ref())?;
    let window = Window {
        length: args.window,
        now: clock::now(),
    };
    let told = coverage::read(&shelf, args.task.as_ref(), window)?;
    let mut projects = told.projects.iter();
    let is_below = args
        .fail_under
        .is_some_and(|least| projects.any(|project| project.is_below(least)));
    print(session, &told, |told, look| {
        render::coverage(told, args.fail_under, window, look)
    })?;
    Ok(if is_below { Exit::Red } else { Exit::Done })
}

pub(super) fn drift(session: &mut Session<'_>, args: &Drift) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    known(&shelf, args.task.as_ref())?;
    let against = Against::find(shelf.config(), args.against.as_deref());
    let against = against.map_err(PaperError::from)?;
    let today = Day::of(clock::now());
    let told = drift::drift(shelf.config(), &against, args.task.as_ref(), today);
    let is_red = told.findings() > 0;
    print(session, &told, render::drift)?;
    Ok(if is_red { Exit::Red } else { Exit::Done })
}

pub(super) fn spec_guard(session: &mut Session<'_>, args: &SpecGuard) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    let named = args.base.clone().or_else(|| {
        let named = std::env::var("BASE_SHA").ok();
        named.filter(|base| !base.is_empty())
    });
    let today = Day::of(clock::now());
    let guarded = spec_guard::look(&shelf, named.as_deref(), today).map_err(PaperError::from)?;
    let is_red = !guarded.findings.is_empty() && !args.dry_run;
    print(session, &guarded, |guarded, look| {
        render::guarded(guarded, args.dry_run, look)
    })?;
    Ok(if is_red { Exit::Red } else { Exit::Done })
}

/// A task that is named has to be one of the workspace's.
pub(super) fn known(shelf: &Shelf, task: Option<&TaskId>) -> Result<(), Failure> {
    match task {
        Some(task) if shelf.config().project(task).is_none() => {
            Err(Failure::NoTask { task: task.clone() })
        }
        Some(_) | None => Ok(()),
    }
}
