//! Questions that wait because a workspace is still being read.
//!
//! One that begins, ends or waits for a run, or that allows commands, waits as long as that takes. Any other is told after a while,
//! before whoever asked gives the daemon up: a disk that hangs keeps its own workspace from being read, and holds up
//! nobody who asks for something else by name.

use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::site::Site;
use crate::limits::READING_WAIT_MAX;
use crate::model::id::{RequestId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::time::Tick;
use crate::wire::call::Call;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::time::Duration;

/// A question that waits for a workspace, and until when; without an end where that takes as long as it takes.
#[derive(Debug)]
pub(super) struct Parked {
    asked: Asked,
    until: Option<Tick>,
}

/// Which workspaces a question has to wait for while they are read, and for how long.
enum Wait<'a> {
    /// The one that it names, or all.
    For(Option<&'a RootPath>, Option<Duration>),
    /// None.
    Spared,
}

impl Shell {
    /// Hears a question whose path has been looked up.
    pub(super) fn hear_resolved(&mut self, asked: Asked) {
        let until = match wait(&asked.call) {
            Wait::For(_, longest) => longest.map(|longest| self.clock.tick().after(longest)),
            Wait::Spared => None,
        };
        self.hear_or_park(Parked { asked, until });
    }

    /// Hears what was parked at a workspace that has been read, or is gone; it may have to wait for another one.
    pub(super) fn hear_parked(&mut self, parked: Vec<Parked>) {
        // Who has gone wants nothing done any more.
        for parked in parked.into_iter().filter(|it| !it.asked.answer.is_closed()) {
            self.hear_or_park(parked);
        }
    }

    fn hear_or_park(&mut self, parked: Parked) {
        let id = self.must_wait(&parked.asked.call);
        match id.and_then(|id| self.sites.get_mut(&id)) {
            Some(site) => site.parked.push(parked),
            None => self.hear_now(parked.asked),
        }
    }

    /// Nobody waits for this answer any more.
    pub(super) fn forget_parked(&mut self, request: RequestId) {
        for site in self.sites.values_mut() {
            let others = |parked: &Parked| parked.asked.request != request;
            site.parked.retain(others);
        }
    }

    /// When a question has waited long enough.
    pub(super) fn parked_until(&self) -> Option<Tick> {
        let sites = self.sites.values();
        let parked = sites.flat_map(|site| site.parked.iter());
        parked.filter_map(|parked| parked.until).min()
    }

    /// Answers what has waited long enough. A run is still looked for where its files can be read.
    pub(super) fn end_parking(&mut self, now: Tick) {
        let mut late = Vec::new();
        for site in self.sites.values_mut() {
            let due = |parked: &mut Parked| parked.until.is_some_and(|until| until <= now);
            late.extend(site.parked.extract_if(.., due));
        }
        for Parked { asked, .. } in late {
            let Some(refusal) = self.unread(&asked.call) else {
                continue;
            };
            let is_sought = matches!(
                asked.call,
                Call::RunGet(_) | Call::RunCancel(_) | Call::RunResume(_) | Call::LogsRead(_)
            );
            if is_sought && matches!(wait(&asked.call), Wait::For(None, _)) {
                self.hear_now(asked);
            } else {
                self.answer_now(asked, |_| Err(refusal));
            }
        }
    }

    /// That a workspace of these is still being read.
    pub(super) fn unread_in(&self, scope: Option<WorkspaceId>) -> Option<Refusal> {
        let mut sites = self.sites.iter();
        let (_, site) = sites.find(|(id, site)| is_being_read(**id, site, scope))?;
        let refusal = Refusal::new(
            ErrorKind::Unsynced,
            format!("`{}` is still being read", site.root),
        );
        Some(refusal.hint(match scope {
            Some(_) => "ask again in a while; `orchctl status` tells how it stands",
            None => "ask again in a while, or name another workspace with --workspace DIR",
        }))
    }

    fn unread(&self, call: &Call) -> Option<Refusal> {
        let id = self.must_wait(call)?;
        let scope = match wait(call) {
            Wait::For(Some(_), _) => Some(id),
            Wait::For(None, _) | Wait::Spared => None,
        };
        self.unread_in(scope)
    }

    /// The workspace that a question has to wait for, because it is still being read; of several the first, after which
    /// it is heard again.
    fn must_wait(&self, call: &Call) -> Option<WorkspaceId> {
        let scope = match wait(call) {
            Wait::For(Some(root), _) => Some(self.site_at(root).ok()?),
            Wait::For(None, _) => None,
            Wait::Spared => return None,
        };
        let mut sites = self.sites.iter();
        let found = sites.find(|(id, site)| is_being_read(**id, site, scope));
        found.map(|(id, _)| *id)
    }
}

/// Whether a workspace is one of these and being read now.
fn is_being_read(id: WorkspaceId, site: &Site, scope: Option<WorkspaceId>) -> bool {
    site.preparing && !site.closing && scope.is_none_or(|wanted| wanted == id)
}

fn wait(call: &Call) -> Wait<'_> {
    let soon = Some(READING_WAIT_MAX);
    let elsewhere = |named: &Option<RootPath>| soon.filter(|_| named.is_none());
    let own = |timeout: Option<u64>| timeout.map(Duration::from_millis);
    match call {
        Call::RunStart(start) => Wait::For(start.workspace.as_ref(), None),
        Call::RunGet(named) => Wait::For(named.workspace.as_ref(), soon),
        Call::RunCancel(named) => Wait::For(named.workspace.as_ref(), elsewhere(&named.workspace)),
        Call::RunResume(resume) => {
            Wait::For(resume.workspace.as_ref(), elsewhere(&resume.workspace))
        }
        Call::LogsRead(wanted) => Wait::For(wanted.workspace.as_ref(), soon),
        Call::RunList(wanted) => Wait::For(wanted.workspace.as_ref(), soon),
        Call::Plan(wanted) => Wait::For(wanted.workspace.as_ref(), soon),
        Call::Sync(wanted) => Wait::For(wanted.workspace.as_ref(), own(wanted.timeout_ms)),
        Call::Wait(wanted) => Wait::For(wanted.workspace.as_ref(), own(wanted.timeout_ms)),
        Call::Gate(wanted) => {
            let longest = soon.filter(|_| !wanted.wait);
            Wait::For(wanted.workspace.as_ref(), longest)
        }
        Call::Explain(named) => Wait::For(named.workspace.as_ref(), soon),
        Call::Status(scope) if scope.task.is_some() => Wait::For(scope.workspace.as_ref(), soon),
        Call::Why(scope) | Call::Reload(scope) => Wait::For(scope.workspace.as_ref(), soon),
        Call::WorkspaceAllow(allow) => Wait::For(Some(&allow.path), None),
        Call::WorkspaceDeny(named) => Wait::For(Some(&named.path), soon),
        Call::Ping(_)
        | Call::Status(_)
        | Call::WorkspaceAdd(_)
        | Call::WorkspaceRemove(_)
        | Call::WorkspaceList(_)
        | Call::EventsSubscribe(_)
        | Call::EventsUnsubscribe(_)
        | Call::Doctor(_)
        | Call::Shutdown(_) => Wait::Spared,
    }
}
