//! What a flag's text means: durations and counts.
//!
//! A duration on the command line is whole numbers with units, or a bare number of seconds; `orchd.toml` is stricter and
//! wants the unit.

use crate::model::config::duration::UNITS;
use std::num::NonZeroU32;
use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    /// It does not begin with a number.
    #[error(
        "a duration is a number and a unit, such as 500ms, 10s, 2m or 1h30m; a bare number is seconds"
    )]
    NoNumber,
    /// It ends in something that is no unit.
    #[error("`{0}` is no unit of time: use ms, s, m, h or d")]
    Unit(String),
    /// Its units are not in their order.
    #[error("the largest unit comes first and each once, such as 1h30m")]
    Order,
    /// It is longer than a duration can be.
    #[error("longer than this program can count")]
    TooLong,
}

/// Reads `500ms`, `10s`, `2m`, `1h30m` or a bare number of seconds.
///
/// # Errors
/// When the text is anything else.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = rest.parse().map_err(|_| DurationError::TooLong)?;
        return Ok(Duration::from_secs(seconds));
    }
    let mut units = UNITS.iter();
    let mut milliseconds: u64 = 0;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        if number.is_empty() {
            return Err(DurationError::NoNumber);
        }
        let digits_of = number;
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let behind = behind.trim_start();
        let word = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, after) = behind.split_at(word);
        let unit = unit.trim();
        let (_, length) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| {
                let said = if unit.is_empty() { digits_of } else { unit };
                DurationError::Unit(said.to_owned())
            })?;
        // The iterator only goes on, so that a unit neither repeats nor comes after a smaller one.
        if !units.any(|(name, _)| *name == unit) {
            return Err(DurationError::Order);
        }
        milliseconds = number
            .checked_mul(*length)
            .and_then(|part| milliseconds.checked_add(part))
            .ok_or(DurationError::TooLong)?;
        rest = after;
        if rest.is_empty() {
            return Ok(Duration::from_millis(milliseconds));
        }
    }
}

/// Why a text is no count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a count is a whole number from 1 to {}", u32::MAX)]
pub struct CountError;

/// Reads how many there are to be; none at all is not worth asking for.
///
/// # Errors
/// When the text is anything else.
pub fn count(text: &str) -> Result<NonZeroU32, CountError> {
    text.trim().parse().map_err(|_| CountError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, milliseconds) in [
            ("10", 10_000),
            ("10s", 10_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            (" 3 s ", 3_000),
            ("1h30m", 5_400_000),
            ("1d 2s500ms", 86_402_500),
            ("0", 0),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        assert_eq!(duration("soon"), Err(DurationError::NoNumber));
        assert_eq!(duration("-1s"), Err(DurationError::NoNumber));
        assert_eq!(
            duration("3 days"),
            Err(DurationError::Unit("days".to_owned()))
        );
        assert_eq!(duration("1.5s"), Err(DurationError::Unit(".".to_owned())));
        assert_eq!(duration("1m30"), Err(DurationError::Unit("30".to_owned())));
        for text in ["30m1h", "1h1h"] {
            assert_eq!(duration(text), Err(DurationError::Order));
        }
        assert_eq!(duration(""), Err(DurationError::NoNumber));
        assert_eq!(
            duration("99999999999999999999"),
            Err(DurationError::TooLong)
        );
        assert_eq!(
            duration("18446744073709551615h"),
            Err(DurationError::TooLong)
        );
    }

    #[test]
    fn a_count_is_at_least_one() {
        assert_eq!(count(" 3 "), Ok(NonZeroU32::MIN.saturating_add(2)));
        for text in ["0", "-1", "x", "", "4294967296"] {
            assert_eq!(count(text), Err(CountError), "{text}");
        }
        assert_eq!(
            CountError.to_string(),
            "a count is a whole number from 1 to 4294967295"
        );
    }
}
