//! The judge of waiting for git: nothing begins by itself while it changes files, and nobody waits for it for ever.

use crate::fixture::SETTLE_MAX;
use orch::model::view::Sign;
use std::collections::BTreeSet;
use std::time::Duration;

/// The longest that git may put a run off.
const BOUND: Duration = SETTLE_MAX.saturating_mul(10);

/// What is known of git for one project.
#[derive(Default)]
pub(super) struct Git {
    there: BTreeSet<Sign>,
    given_up: BTreeSet<Sign>,
    since: Duration,
    /// A project that was configured anew may begin to wait later.
    latest: Duration,
}

impl Git {
    pub(super) fn tell(&mut self, there: &BTreeSet<Sign>, now: Duration) {
        if self.since + BOUND <= now {
            self.given_up.append(&mut self.there);
        }
        self.given_up.retain(|sign| there.contains(sign));
        if self.there.is_empty() {
            self.since = now;
        }
        self.there = there - &self.given_up;
        self.latest = now;
    }

    /// Whether nothing may begin by itself.
    pub(super) fn holds(&self, now: Duration) -> bool {
        !self.there.is_empty() && now < self.since + BOUND
    }

    /// From when on a touch has to be looked at.
    pub(super) fn lets(&self, touched: Duration) -> Duration {
        let signs = !self.there.is_empty() || !self.given_up.is_empty();
        if signs {
            touched.max(self.latest + BOUND)
        } else {
            touched.max(self.latest)
        }
    }
}
