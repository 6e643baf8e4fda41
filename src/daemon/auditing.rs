//! Self-audits: when which workspace is compared with its disk, and what becomes of what is found.
//!
//! One workspace at a time, a few directories at a time, and a pause after each part that is `AUDIT_PAUSE` times as long:
//! so all audits together take no more than a hundredth of a core, and where there is more to compare than that allows
//! they are done less often than asked for. A workspace whose disk hangs is passed over. Between audits there is one
//! timer, and nothing else.

use crate::daemon::lend::Lent;
use crate::daemon::message::{Done, Looked, What};
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::site::{Facts, Site};
use crate::daemon::tree::Audited;
use crate::limits::{AUDIT_PART_MAX, AUDIT_PAUSE};
use crate::model::id::WorkspaceId;
use crate::model::path::RootPath;
use crate::model::report::{DoctorCheck, Health};
use crate::model::time::Tick;
use std::time::Duration;

/// The audit that is under way.
#[derive(Debug, Default)]
pub(super) struct Auditing {
    underway: Option<Audit>,
}

#[derive(Debug)]
struct Audit {
    workspace: WorkspaceId,
    next: Next,
}

#[derive(Debug)]
enum Next {
    /// Its next part is due then.
    At(Tick),
    /// One is being done since then.
    Done(Tick),
}

impl Next {
    /// When there is something to be done about it: past the second time it is passed over.
    fn due(&self) -> Tick {
        match self {
            Self::At(at) => *at,
            Self::Done(since) => since.after(AUDIT_PART_MAX),
        }
    }
}

/// What a workspace's audits have found.
#[derive(Debug, Default)]
pub(super) struct Misses {
    /// Changes that no event told, since the daemon began.
    pub(super) count: u64,
    last: String,
}

/// A part of an audit.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) audited: Audited,
    took: Duration,
    /// How the watching stands, where something was settled.
    facts: Option<Facts>,
}

impl Auditing {
    /// A workspace has gone, and what was given away for it may never come back.
    pub(super) fn forget(&mut self, id: WorkspaceId) {
        self.underway.take_if(|underway| underway.workspace == id);
    }
}

/// When a workspace is compared next, if ever.
fn due(site: &Site) -> Option<Tick> {
    let interval = site.config.as_ref()?.settings.audit?;
    // One that is away has something else to do; when it is back the loop looks at the time again.
    let is_home = site.tree.as_ref().is_some_and(Lent::is_home);
    let watched = is_home && site.facts.polled.is_none() && !site.closing;
    watched.then(|| site.audit_from.after(interval))
}

impl Shell {
    /// When the next part of an audit is due.
    pub(super) fn audit_due(&self) -> Option<Tick> {
        if self.tenancy == Tenancy::Hosted || self.exiting {
            return None;
        }
        match &self.auditing.underway {
            Some(underway) => Some(underway.next.due()),
            None => self.sites.values().filter_map(due).min(),
        }
    }

    pub(super) fn audit(&mut self, now: Tick) {
        if self.audit_due().is_none_or(|at| at > now) {
            return;
        }
        let begun = self
            .auditing
            .underway
            .take()
            .map(|it| (it.workspace, it.next));
        let begun = match begun {
            Some((id, Next::At(_))) => Some(id),
            // What is read of its disk takes for ever. What is left of it is compared when its time comes again.
            Some((id, Next::Done(_))) => {
                if let Some(site) = self.sites.get_mut(&id) {
                    site.audit_from = now;
                }
                None
            }
            None => None,
        };
        let begins = begun.is_none();
        let all = self.sites.iter();
        let first = all.filter_map(|(id, site)| Some((due(site)?, *id))).min();
        let first = first.filter(|(at, _)| *at <= now).map(|(_, id)| id);
        let Some(id) = begun.or(first) else {
            return;
        };
        let clock = self.clock;
        let Some(tree) = self.sites.get_mut(&id).and_then(|site| site.tree.as_mut()) else {
            return;
        };
        tree.push(move |tree| {
            let start = clock.tick();
            if begins {
                tree.begin_audit();
            }
            let audited = tree.audit();
            let part = Part {
                facts: audited.touches.as_ref().map(|_| Facts::of(tree)),
                audited,
                took: clock.tick().since(start),
            };
            Some(Done {
                workspace: id,
                what: What::Audited(Box::new(part)),
            })
        });
        self.auditing.underway = Some(Audit {
            workspace: id,
            next: Next::Done(now),
        });
    }

    pub(super) fn take_part(&mut self, id: WorkspaceId, part: Part) {
        let (times, shortest) = AUDIT_PAUSE;
        let pause = part.took.saturating_mul(times).max(shortest);
        let next = self.clock.tick().after(pause);
        let ours = |underway: &&mut Audit| underway.workspace == id;
        if let Some(underway) = self.auditing.underway.as_mut().filter(ours) {
            underway.next = Next::At(next);
        }
        if !part.audited.more {
            self.auditing.forget(id);
        }
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        site.audit_from = next;
        for path in &part.audited.missed {
            tracing::warn!(root = %site.root, %path, "a change that no event told was found by the self-audit");
            site.misses.count = site.misses.count.saturating_add(1);
            site.misses.last = path.to_string();
        }
        if let Some((touches, facts)) = part.audited.touches.zip(part.facts) {
            let looked = Looked::by_itself(touches, facts);
            self.take_look(id, looked);
        }
    }
}

/// That changes were missed; nothing where none was.
pub(super) fn check_misses(root: &RootPath, site: &Site) -> Option<DoctorCheck> {
    let (count, last) = (site.misses.count, &site.misses.last);
    let polled = site.facts.polled_too();
    let polled = polled.map_or_else(String::new, |polled| format!("; {polled}"));
    (count > 0).then(|| DoctorCheck {
        id: format!("missed {root}"),
        state: Health::Warn,
        detail: format!(
            "{} no event told of, found by the self-audit; the last is `{last}`{polled}",
            match count {
                1 => "1 change that".to_owned(),
                count => format!("{count} changes that"),
            }
        ),
        fix: Some(
            "somebody writes there through a mapped file, a hard link from elsewhere or another machine: a shorter `audit`, or `poll = \"always\"`, finds it sooner"
                .to_owned(),
        ),
    })
}
