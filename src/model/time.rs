//! Time as a value: [`Tick`] for logic, [`Timestamp`] for evidence, [`Now`] for both at one moment.
//!
//! Nothing here reads a clock; `daemon` does, once per input. Logic compares ticks only, because the wall clock jumps.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A moment on the monotonic clock, as time since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(Duration);

impl Tick {
    /// The moment that lies `since_start` after the daemon's start.
    #[must_use]
    pub fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// Time since the daemon's start.
    #[must_use]
    pub fn since_start(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment that lies `duration` after this one.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// A moment on the wall clock in UTC, to the millisecond; written as `2026-11-22T10:09:50.592Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// Why a text is no timestamp.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no time in ISO 8601")]
pub struct TimestampError {
    text: String,
    source: jiff::Error,
}

impl Timestamp {
    /// The moment that lies `milliseconds` after 1970-01-01T00:00:00Z, cut to what a timestamp can show.
    #[must_use]
    pub fn from_unix_ms(milliseconds: i64) -> Self {
        let clamped = milliseconds.clamp(
            jiff::Timestamp::MIN.as_millisecond(),
            jiff::Timestamp::MAX.as_millisecond(),
        );
        Self(clamped)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// Reads an ISO 8601 time with an offset or `Z`.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Self(time.as_millisecond())),
            Err(source) => Err(TimestampError {
                text: text.to_owned(),
                source,
            }),
        }
    }

    /// Time from `earlier` to this moment; zero if the wall clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{time:.3}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;
    fn try_from(text: String) -> Result<Self, TimestampError> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

/// A day of the calendar in UTC; written as `2026-11-22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(jiff::civil::Date);

/// Why a text is no day.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is no day of the calendar: write it as `2026-11-22`", .text.escape_debug())]
pub struct DayError {
    text: String,
    source: Option<jiff::Error>,
}

impl DayError {
    /// Whether it is written as a day is, and the calendar has no such day.
    #[must_use]
    pub fn is_of_calendar(&self) -> bool {
        self.source.is_some()
    }
}

impl Day {
    /// Reads `YYYY-MM-DD` and nothing else.
    ///
    /// # Errors
    /// When the text is anything else, or the calendar has no such day.
    pub fn parse(text: &str) -> Result<Self, DayError> {
        let refused = |source| DayError {
            text: text.to_owned(),
            source,
        };
        let is_digit = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        if text.len() != 10 || !text.bytes().enumerate().all(is_digit) {
            return Err(refused(None));
        }
        let day = text.parse::<jiff::civil::Date>();
        day.map(Self).map_err(|source| refused(Some(source)))
    }

    /// The day that a moment lies in.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        let time = jiff::Timestamp::from_millisecond(moment.0);
        let time = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Self(jiff::tz::Offset::UTC.to_datetime(time).date())
    }

    /// Days from `earlier` to this one; less than zero if `earlier` is later.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i64 {
        let hours = self.0.duration_since(earlier.0).as_hours();
        hours / 24
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;
    fn try_from(text: String) -> Result<Self, DayError> {
        Self::parse(&text)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For logic.
    pub tick: Tick,
    /// For evidence.
    pub wall: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_three_digits_and_z() {
        assert_eq!(
            Timestamp::from_unix_ms(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            Timestamp::from_unix_ms(1_795_342_190_592).to_string(),
            "2026-11-22T10:09:50.592Z"
        );
    }

    #[test]
    fn a_timestamp_reads_what_it_shows() {
        let time = Timestamp::from_unix_ms(1_795_342_190_007);
        assert_eq!(Timestamp::parse(&time.to_string()).unwrap(), time);
        assert_eq!(
            Timestamp::parse("2025-10-31T23:59:59Z")
                .unwrap()
                .to_string(),
            "2025-10-31T23:59:59.000Z"
        );
        assert!(
            Timestamp::parse("yesterday")
                .unwrap_err()
                .to_string()
                .contains("yesterday")
        );
    }

    #[test]
    fn a_day_is_read_as_it_is_shown_and_nothing_else_is_one() {
        let day = Day::parse("2026-11-22").unwrap();
        assert_eq!(day.to_string(), "2026-11-22");
        for bad in [
            "2026-11-31",
            "2026-1-2",
            "20261122",
            "2026-11-22T00:00:00Z",
            "",
            "heute",
        ] {
            let said = Day::parse(bad).unwrap_err().to_string();
            assert!(said.contains(bad), "{said}");
        }
        let leap = Day::parse("2024-02-29").unwrap();
        assert_eq!(Day::parse("2024-03-01").unwrap().days_since(leap), 1);
        assert_eq!(leap.days_since(day), -997);
        let last = Timestamp::parse("2026-11-22T23:59:59.999Z").unwrap();
        assert_eq!(Day::of(last), day);
    }

    #[test]
    fn time_never_runs_backwards_in_a_duration() {
        let (early, late) = (
            Timestamp::from_unix_ms(1_000),
            Timestamp::from_unix_ms(3_500),
        );
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
