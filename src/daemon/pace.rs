//! Pace: how soon a workspace is looked at after its events.
//!
//! A save is looked at in the moment in which it is told. Where changes come without a pause, a look at each would cost
//! more than what it finds: after the first few, looks keep a distance, and each settles what came in between. Pure: it
//! is told the time.

use crate::limits::{LOOK_PAUSE, LOOK_REST, LOOKS_AT_ONCE_MAX};
use crate::model::time::Tick;

/// When a workspace was looked at, as far as it matters for the next time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Looks without a rest between them.
    in_a_row: u32,
    last: Option<Tick>,
    /// When the next one is due, where one is put off.
    due: Option<Tick>,
}

impl Pace {
    /// Whether to look now; if not, [`Pace::due`] says when.
    pub(super) fn admits(&mut self, now: Tick) -> bool {
        if self.last.is_none_or(|last| now.since(last) > LOOK_REST) {
            self.in_a_row = 0;
        }
        let next = self.last.map(|last| last.after(LOOK_PAUSE));
        self.due = next.filter(|next| self.in_a_row >= LOOKS_AT_ONCE_MAX && now < *next);
        if self.due.is_none() {
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.last = Some(now);
        }
        self.due.is_none()
    }

    /// When the look that was put off is due.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due
    }

    /// Whether a look was put off until now; told once, since somebody else may have looked meanwhile.
    pub(super) fn take_due(&mut self, now: Tick) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(us: u64) -> Tick {
        Tick::new(Duration::from_micros(us))
    }

    #[test]
    fn a_few_looks_come_at_once_more_keep_a_distance_and_a_rest_begins_anew() {
        let mut pace = Pace::default();
        let pause = u64::try_from(LOOK_PAUSE.as_micros()).unwrap();
        for look in 0..u64::from(LOOKS_AT_ONCE_MAX) {
            assert!(pace.admits(at(look)), "{look}");
        }
        let last = u64::from(LOOKS_AT_ONCE_MAX) - 1;
        assert!(!pace.admits(at(last + 1)));
        assert_eq!(pace.due(), Some(at(last + pause)));
        assert!(!pace.admits(at(last + pause - 1)));
        assert!(!pace.take_due(at(last + pause - 1)));
        assert!(pace.take_due(at(last + pause)));
        assert!(!pace.take_due(at(last + pause)), "it is told once");
        assert!(pace.admits(at(last + pause)));
        assert_eq!(pace.due(), None);
        assert!(!pace.admits(at(last + pause + 1)));
        let rest = u64::try_from(LOOK_REST.as_micros()).unwrap();
        let rested = last + pause + rest + 1;
        assert!(pace.admits(at(rested)));
        assert!(pace.admits(at(rested + 1)), "it begins anew");
    }

    #[test]
    fn of_changes_without_a_pause_few_looks_come() {
        let mut pace = Pace::default();
        let looks = (0..2_000_000).step_by(50).filter(|us| pace.admits(at(*us)));
        let paused = 2_000_000 / LOOK_PAUSE.as_micros();
        let most = usize::try_from(paused).unwrap() + usize::try_from(LOOKS_AT_ONCE_MAX).unwrap();
        assert!(looks.count() <= most);
    }
}
