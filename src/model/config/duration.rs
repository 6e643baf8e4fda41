//! Durations as people write them: `10m`, `5s`, `500ms`, `1h30m`.
//!
//! Whole numbers with a unit, the largest unit first, each at most once. A bare number is refused, because nobody can
//! tell whether it means seconds or milliseconds.

use std::time::Duration;

/// Units with their length in milliseconds, the largest first.
pub const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a text is no duration, or not one that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Something else was written.
    #[error("write numbers with units, the largest first, such as \"10m\", \"5s\", \"500ms\" or \"1h30m\", not \"{}\"", .text.escape_debug())]
    Malformed {
        /// What was written.
        text: String,
    },
    /// A number without a unit.
    #[error(
        "\"{text}\" has no unit: write \"{text}s\" for seconds or \"{text}ms\" for milliseconds"
    )]
    NoUnit {
        /// What was written.
        text: String,
    },
    /// Nothing can happen in no time.
    #[error("it has to be longer than zero")]
    Zero,
    /// Longer than is allowed.
    #[error("\"{text}\" is too long: at most {} is allowed", show(*max))]
    TooLong {
        /// What was written.
        text: String,
        /// The most.
        max: Duration,
    },
}

/// Reads a duration from more than zero up to `max`.
///
/// # Errors
/// When the text is anything else.
pub fn parse(text: &str, max: Duration) -> Result<Duration, DurationError> {
    let duration = parse_any(text)?;
    if duration.is_zero() {
        return Err(DurationError::Zero);
    }
    if duration > max {
        let text = text.to_owned();
        return Err(DurationError::TooLong { text, max });
    }
    Ok(duration)
}

fn parse_any(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed {
        text: text.chars().take(40).collect(),
    };
    let mut units = UNITS.iter();
    let mut milliseconds: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(malformed());
    }
    if rest.bytes().all(|byte| byte.is_ascii_digit()) {
        let text = rest.chars().take(40).collect();
        return Err(DurationError::NoUnit { text });
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        // The iterator only goes on, so that a unit neither repeats nor comes after a smaller one.
        let (_, length) = units
            .find(|(name, _)| *name == unit)
            .ok_or_else(malformed)?;
        let number: u64 = number.parse().map_err(|_| malformed())?;
        milliseconds = number
            .checked_mul(*length)
            .and_then(|part| milliseconds.checked_add(part))
            .ok_or_else(malformed)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(milliseconds))
}

/// Writes a duration as [`parse`] reads it, in whole milliseconds.
#[must_use]
pub fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, length) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: Duration = Duration::from_secs(86_400);

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("10m", 600_000),
            ("5s", 5_000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text, MAX), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        for (text, said) in [
            ("", "such as"),
            ("soon", "such as"),
            ("5x", "such as"),
            ("1m1m", "such as"),
            ("5s1m", "such as"),
            ("-5s", "such as"),
            ("1.5s", "such as"),
            ("99999999999999999999s", "such as"),
            ("18446744073709551615d", "such as"),
            ("10", "\"10s\" for seconds"),
            ("0s", "longer than zero"),
            ("2d", "at most 1d"),
        ] {
            let error = parse(text, MAX).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ms in 1_u64..86_400_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&show(duration), MAX), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ignored = parse(&text, MAX);
        }
    }
}
