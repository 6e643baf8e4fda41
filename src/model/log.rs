//! The lines of a stage's log: newline-delimited JSON, one event a line, as the published orchestrator lays them out.
//!
//! `command:start`, then `command:stdout` and `command:stderr` as the bytes came, then `command:end`; a retried stage
//! has one start and one end per attempt. Keys end with `timestamp` and `index` (the stage's, from 1). Nothing is lost:
//! bytes that are no UTF-8 stand in `base64` beside their lossy `data`. Reading tolerates keys and types that it does
//! not know, and takes the published orchestrator's own `exec:chunk` for output.

use crate::model::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

/// Which of a command's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// What happened.
    pub event: LogEvent<'a>,
    /// When.
    pub timestamp: Timestamp,
    /// The stage that it happened to, from 1.
    pub index: u32,
}

/// What a line of a log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent<'a> {
    /// An attempt begins.
    Start {
        /// The command as one line of text.
        command: Cow<'a, str>,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Bytes came out.
    Output {
        /// Where.
        stream: Stream,
        /// Exactly these.
        bytes: Cow<'a, [u8]>,
    },
    /// Output is missing here, because the log reached its limit.
    Truncated {
        /// Bytes of output that are missing.
        dropped_bytes: u64,
    },
    /// The attempt ended.
    End(LogEnd),
    /// Something that this version does not know.
    Other,
}

/// How an attempt ended, as its log tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// Its exit code; `128 + n` for signal `n`, none for a command that never started.
    pub exit_code: Option<i32>,
    /// The signal that ended it, by name.
    pub signal: Option<String>,
    /// From spawn to exit.
    pub duration_ms: u64,
    /// Why it could not be started.
    pub error: Option<String>,
    /// The line of its output that most likely tells why it failed; none where it wrote none, or exited 0.
    pub excerpt: Option<String>,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// Why a line of a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogLineError {
    /// It is not the JSON of a line.
    #[error("a line of the log is no event")]
    Json(#[from] serde_json::Error),
    /// Its exact bytes cannot be recovered.
    #[error("the `base64` of a line of the log cannot be decoded")]
    Base64(#[from] base64::DecodeError),
}

impl LogLine<'_> {
    /// Appends the line, its newline included.
    ///
    /// # Errors
    /// Never for what can be made of the types here; `serde_json` does not promise it.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), LogLineError> {
        serde_json::to_writer(&mut *out, self)?;
        out.push(b'\n');
        Ok(())
    }
}

impl Serialize for LogLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.event {
            LogEvent::Start { command, attempt } => {
                map.serialize_entry("type", "command:start")?;
                map.serialize_entry("command", command)?;
                map.serialize_entry("attempt", attempt)?;
            }
            LogEvent::Output { stream, bytes } => {
                let kind = match stream {
                    Stream::Stdout => "command:stdout",
                    Stream::Stderr => "command:stderr",
                };
                map.serialize_entry("type", kind)?;
                let text = String::from_utf8_lossy(bytes);
                map.serialize_entry("data", &text)?;
                if matches!(text, Cow::Owned(_)) {
                    map.serialize_entry("base64", &STANDARD.encode(bytes))?;
                }
            }
            LogEvent::Truncated { dropped_bytes } => {
                map.serialize_entry("type", "command:truncated")?;
                map.serialize_entry("dropped_bytes", dropped_bytes)?;
            }
            LogEvent::End(end) => {
                map.serialize_entry("type", "command:end")?;
                map.serialize_entry("exit_code", &end.exit_code)?;
                map.serialize_entry("signal", &end.signal)?;
                map.serialize_entry("duration_ms", &end.duration_ms)?;
                if let Some(error) = &end.error {
                    map.serialize_entry("error", error)?;
                }
                if let Some(excerpt) = &end.excerpt {
                    map.serialize_entry("excerpt", excerpt)?;
                }
                map.serialize_entry("attempt", &end.attempt)?;
            }
            LogEvent::Other => map.serialize_entry("type", "other")?,
        }
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("index", &self.index)?;
        map.end()
    }
}

/// Every key that a known line may have; what is absent falls back to a neutral value.
#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    command: Option<String>,
    data: Option<String>,
    base64: Option<String>,
    stream: Option<Stream>,
    dropped_bytes: Option<u64>,
    exit_code: Option<i32>,
    signal: Option<String>,
    duration_ms: Option<u64>,
    error: Option<serde_json::Value>,
    excerpt: Option<serde_json::Value>,
    attempt: Option<u32>,
    timestamp: Timestamp,
    #[serde(default)]
    index: u32,
}

/// Reads one line of a log.
///
/// # Errors
/// When it is torn or no line of a log.
pub fn decode(line: &str) -> Result<LogLine<'static>, LogLineError> {
    let raw: Raw = serde_json::from_str(line)?;
    let (timestamp, index) = (raw.timestamp, raw.index);
    let event = match raw.kind.as_str() {
        "command:start" => LogEvent::Start {
            command: Cow::Owned(raw.command.unwrap_or_default()),
            attempt: raw.attempt.unwrap_or(1),
        },
        "command:stdout" => output(Stream::Stdout, raw.data, raw.base64)?,
        "command:stderr" => output(Stream::Stderr, raw.data, raw.base64)?,
        "exec:chunk" => match raw.stream {
            Some(stream) => output(stream, raw.data, raw.base64)?,
            None => LogEvent::Other,
        },
        "command:truncated" => LogEvent::Truncated {
            dropped_bytes: raw.dropped_bytes.unwrap_or(0),
        },
        "command:end" => LogEvent::End(LogEnd {
            exit_code: raw.exit_code,
            signal: raw.signal,
            duration_ms: raw.duration_ms.unwrap_or(0),
            error: text(raw.error),
            excerpt: text(raw.excerpt),
            attempt: raw.attempt.unwrap_or(1),
        }),
        _ => LogEvent::Other,
    };
    Ok(LogLine {
        event,
        timestamp,
        index,
    })
}

/// What stands at a key, where it is text.
fn text(value: Option<serde_json::Value>) -> Option<String> {
    value.and_then(|value| value.as_str().map(str::to_owned))
}

fn output(
    stream: Stream,
    data: Option<String>,
    base64: Option<String>,
) -> Result<LogEvent<'static>, LogLineError> {
    let bytes = match base64 {
        Some(exact) => STANDARD.decode(exact)?,
        None => data.unwrap_or_default().into_bytes(),
    };
    Ok(LogEvent::Output {
        stream,
        bytes: Cow::Owned(bytes),
    })
}

/// How many of `bytes` to take so that no character is cut: all, unless they end in the beginning of one.
#[must_use]
pub fn whole_characters(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let have = back + 1;
        let needed = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        return if have < needed {
            bytes.len() - have
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(event: LogEvent<'_>) -> String {
        let mut out = Vec::new();
        let timestamp = Timestamp::from_unix_ms(1_795_342_190_592);
        LogLine {
            event,
            timestamp,
            index: 3,
        }
        .encode(&mut out)
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_laid_out_as_the_published_orchestrator_does_it() {
        let start = LogEvent::Start {
            command: "npm test".into(),
            attempt: 1,
        };
        assert_eq!(
            line(start),
            "{\"type\":\"command:start\",\"command\":\"npm test\",\"attempt\":1,\
             \"timestamp\":\"2026-11-22T10:09:50.592Z\",\"index\":3}\n"
        );
        let end = LogEnd {
            exit_code: Some(143),
            signal: Some("SIGTERM".to_owned()),
            duration_ms: 7,
            error: None,
            excerpt: Some("a: error".to_owned()),
            attempt: 2,
        };
        let told = line(LogEvent::End(end.clone()));
        assert_eq!(decode(&told).unwrap().event, LogEvent::End(end));
        assert_eq!(
            told,
            "{\"type\":\"command:end\",\"exit_code\":143,\"signal\":\"SIGTERM\",\"duration_ms\":7,\
             \"excerpt\":\"a: error\",\"attempt\":2,\"timestamp\":\"2026-11-22T10:09:50.592Z\",\"index\":3}\n"
        );
        let output = LogEvent::Output {
            stream: Stream::Stderr,
            bytes: b"a\xff"[..].into(),
        };
        assert_eq!(
            line(output),
            "{\"type\":\"command:stderr\",\"data\":\"a\u{fffd}\",\"base64\":\"Yf8=\",\
             \"timestamp\":\"2026-11-22T10:09:50.592Z\",\"index\":3}\n"
        );
    }

    #[test]
    fn the_published_orchestrators_lines_are_read() {
        let chunk = r#"{"type":"exec:chunk","correlation_id":"x","attempt":1,"stream":"stderr","sequence":2,"bytes":5,"data":"warn\n","timestamp":"2026-11-22T15:13:45.576Z","index":2}"#;
        let read = decode(chunk).unwrap();
        assert_eq!(read.index, 2);
        assert_eq!(
            read.event,
            LogEvent::Output {
                stream: Stream::Stderr,
                bytes: b"warn\n"[..].into()
            }
        );
        let unknown =
            r#"{"type":"command:waiver","error":{"x":1},"timestamp":"2026-11-22T15:13:45.576Z"}"#;
        assert_eq!(decode(unknown).unwrap().event, LogEvent::Other);
        assert!(
            decode("{\"type\":\"comm")
                .unwrap_err()
                .to_string()
                .contains("no event")
        );
    }

    #[test]
    fn a_cut_falls_between_characters() {
        let text = "aé€😀".as_bytes();
        for (given, taken) in [
            (0, 0),
            (1, 1),
            (2, 1),
            (3, 3),
            (4, 3),
            (5, 3),
            (6, 6),
            (7, 6),
            (8, 6),
            (9, 6),
            (10, 10),
        ] {
            assert_eq!(whole_characters(&text[..given]), taken, "{given}");
        }
        for odd in [
            &b"\xff"[..],
            b"a\xc0",
            b"\xf5\x80",
            b"\x80\x80\x80\x80",
            b"\xf8",
        ] {
            assert_eq!(whole_characters(odd), odd.len(), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_exactly(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let event = LogEvent::Output { stream: Stream::Stdout, bytes: Cow::Owned(bytes) };
            let text = line(event.clone());
            prop_assert_eq!(text.matches('\n').count(), 1);
            prop_assert_eq!(decode(&text).unwrap().event, event);
        }

        #[test]
        fn text_cut_anywhere_is_text(text in "\\PC{0,30}", at in 0_usize..130) {
            let bytes = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
            let cut = whole_characters(bytes);
            prop_assert!(text.as_bytes().starts_with(&bytes[..cut]) && text.is_char_boundary(cut));
            prop_assert!(bytes.len() - cut < 4);
        }
    }
}
