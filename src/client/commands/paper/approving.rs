//! `approve`, `approvals list`: somebody accepts what a run has said, and who has.
//!
//! No configuration is asked to approve: a run is what its files say. The clock, git and the environment are looked at here,
//! once, and handed on.

use super::super::print;
use super::{root, shelf};
use crate::client::args::paper::approving::{ApprovalsAct, Approve, List};
use crate::client::clock;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::render::approving as render;
use crate::client::session::Session;
use crate::documents::approvals::give::{Wish, approve_at};
use crate::documents::approvals::{self, Approvals};
use crate::documents::failure::PaperError;
use crate::git::Git;
use crate::model::path::RootPath;
use crate::model::time::Day;

pub(super) fn approve(session: &mut Session<'_>, args: Approve) -> Result<Exit, Failure> {
    let root = root(session)?;
    let wish = Wish {
        run: args.run,
        actor: args.actor.unwrap_or_else(|| somebody(&root)),
        reason: args.reason,
        scope: args.scope,
        until: args.until,
    };
    let approved = approve_at(&root, &wish, clock::now()).map_err(PaperError::from)?;
    let told = Approvals {
        approvals: vec![approved.approval.clone()],
    };
    print(session, &told, |_, look| render::approved(&approved, look))?;
    Ok(Exit::Done)
}

pub(super) fn approvals(session: &mut Session<'_>, act: ApprovalsAct) -> Result<Exit, Failure> {
    match act {
        ApprovalsAct::List(args) => list(session, &args),
    }
}

fn list(session: &mut Session<'_>, args: &List) -> Result<Exit, Failure> {
    let shelf = shelf(session)?;
    let mut tasks = approvals::tasks(&shelf).map_err(PaperError::from)?;
    if let Some(task) = &args.task {
        tasks.retain(|it| it == task);
        if tasks.is_empty() && shelf.config().project(task).is_none() {
            return Err(Failure::NoTask { task: task.clone() });
        }
    }
    let mut all = Vec::new();
    for task in &tasks {
        all.extend(approvals::of_task(&shelf, task).map_err(PaperError::from)?);
    }
    approvals::newest_first(&mut all);
    let today = Day::of(clock::now());
    print(session, &Approvals { approvals: all }, |told, look| {
        render::listed(&told.approvals, today, look)
    })?;
    Ok(Exit::Done)
}

/// Who it is that types: as git calls him here, else as the system does; never nobody.
fn somebody(root: &RootPath) -> String {
    let said = Git::at(root.as_path()).ask(&["config", "user.name"]);
    let of_git = said.ok().and_then(|said| String::from_utf8(said).ok());
    let of_system = ["USER", "LOGNAME"].into_iter();
    let of_system = of_system.filter_map(|name| std::env::var(name).ok());
    let names = of_git.into_iter().chain(of_system);
    let mut names = names.map(|name| name.trim().to_owned());
    let name = names.find(|name| !name.is_empty());
    name.unwrap_or_else(unnamed)
}

#[cfg(unix)]
fn unnamed() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn unnamed() -> String {
    "unknown".to_owned()
}
