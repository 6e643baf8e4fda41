//! What a flag's text means: durations and counts.
//!
//! A duration on the command line is a whole number and a unit, or a bare number of seconds; `orchd.toml` is stricter
//! and wants the unit.

use std::num::NonZeroU32;
use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    /// It does not begin with a number.
    #[error(
        "a duration is a number and a unit, such as 500ms, 10s, 2m or 1h; a bare number is seconds"
    )]
    NoNumber,
    /// It ends in something that is no unit.
    #[error("`{0}` is no unit of time: use ms, s, m or h")]
    Unit(String),
    /// It is longer than a duration can be.
    #[error("longer than this program can count")]
    TooLong,
}

/// Reads `500ms`, `10s`, `2m`, `1h` or a bare number of seconds.
///
/// # Errors
/// When the text is anything else.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
    let unit_ms: u64 = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(DurationError::Unit(other.to_owned())),
    };
    let milliseconds = number.checked_mul(unit_ms).ok_or(DurationError::TooLong)?;
    Ok(Duration::from_millis(milliseconds))
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
        assert_eq!(duration("1.5s"), Err(DurationError::Unit(".5s".to_owned())));
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
