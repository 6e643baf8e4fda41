//! A watcher that has ended: another is started, and everything is looked at again.
//!
//! Meanwhile no verdict is known of what is watched by events. Whatever ends it may end the next one too, so each that does
//! not live is followed after a longer pause; it never gives up, because nothing else would see a change.

use crate::daemon::chain::chain;
use crate::daemon::message::{Done, What};
use crate::daemon::shell::Shell;
use crate::daemon::watcher::WatchError;
use crate::limits::WATCHER_AGAIN;
use crate::model::report::{DoctorCheck, Health};
use crate::model::time::Tick;
use std::time::Duration;

/// How far a new watcher is.
#[derive(Debug, Default)]
pub(super) struct Revival {
    /// When the next one is started.
    pub(super) at: Option<Tick>,
    underway: bool,
    /// Those that were started and did not live.
    tries: u32,
    /// When the last one began.
    began: Tick,
    /// Why the last one did not.
    failure: Option<String>,
}

impl Revival {
    /// Sets the time for the next one, unless it is set.
    fn plan(&mut self, now: Tick) {
        if self.underway || self.at.is_some() {
            return;
        }
        let (first, longest) = WATCHER_AGAIN;
        if now.since(self.began) >= longest {
            self.tries = 0;
        }
        let doublings = self.tries.checked_sub(1).map(|more| 1_u32 << more.min(16));
        let pause = doublings.map_or(Duration::ZERO, |times| first.saturating_mul(times));
        self.tries = self.tries.saturating_add(1);
        self.at = Some(now.after(pause.min(longest)));
    }
}

impl Shell {
    /// Sees to it that another watcher is started where the last one has ended.
    pub(super) fn mind_watcher(&mut self) {
        if self.watcher.has_ended() {
            self.revival.plan(self.clock.tick());
        }
    }

    pub(super) fn revive_due(&mut self, now: Tick) {
        if self.revival.at.take_if(|at| *at <= now).is_none() {
            return;
        }
        self.revival.underway = true;
        self.revival.began = now;
        let (watcher, out) = (self.watcher.clone(), self.out.clone());
        // It is about all of them.
        let workspace = self.next_site;
        // The loop that does not hear it has ended.
        drop(tokio::task::spawn_blocking(move || {
            let what = What::Revived(watcher.restart());
            drop(out.blocking_send(Done { workspace, what }));
        }));
    }

    pub(super) fn take_revived(&mut self, revived: Result<(), WatchError>) {
        self.revival.underway = false;
        self.revival.failure = revived.as_ref().err().map(|error| chain(error));
        match revived {
            Ok(()) => tracing::warn!("the watcher had ended; another one has been started"),
            Err(error) => {
                tracing::error!(error = %chain(&error), "failed to start another watcher");
                let ids: Vec<_> = self.sites.keys().copied().collect();
                ids.into_iter().for_each(|id| self.note_watch(id));
            }
        }
        self.mind_watcher();
    }

    /// What is said of workspaces that nobody watches for the moment.
    pub(super) fn without_watcher(&self) -> Option<String> {
        let why = self.revival.failure.iter().map(|why| format!(": {why}"));
        let why: String = why.collect();
        let told = || format!("the watcher has ended, and another one is being started{why}");
        self.watcher.has_ended().then(told)
    }

    /// That no event comes; nothing where they do.
    pub(super) fn check_watcher(&self) -> Option<DoctorCheck> {
        Some(DoctorCheck {
            id: "watcher".to_owned(),
            state: Health::Fail,
            detail: self.without_watcher()?,
            fix: Some(
                "wait a minute; if it stays so, `orchctl shutdown` and start the daemon again"
                    .to_owned(),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_that_does_not_live_is_followed_after_a_longer_pause() {
        let (_, longest) = WATCHER_AGAIN;
        let mut revival = Revival::default();
        let mut now = Tick::new(longest);
        let mut pauses = Vec::new();
        for _ in 0..14 {
            revival.plan(now);
            let at = revival.at.take().unwrap();
            pauses.push(u64::try_from(at.since(now).as_millis()).unwrap());
            (now, revival.began) = (at, at);
        }
        assert_eq!(pauses[..5], [0, 100, 200, 400, 800]);
        assert_eq!(pauses[10..], [51_200, 60_000, 60_000, 60_000]);
        revival.plan(now.after(longest));
        assert_eq!(revival.at, Some(now.after(longest)), "it has lived");
    }
}
