//! Identifiers: task, pipeline, stage, run; and the counters that name things within one daemon's life.
//!
//! A task id and a run id are path components, so `parse` refuses whatever could leave its directory. The rule is the
//! published orchestrator's (its `sanitizeIdentifier`): refuse, never rewrite.

use crate::limits::{RUN_ID_BYTES_MAX, STAGE_ID_BYTES_MAX, TASK_ID_BYTES_MAX};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why an identifier is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Nothing is no name.
    #[error("a {kind} may not be empty")]
    Empty {
        /// Which identifier.
        kind: &'static str,
    },
    /// It would not fit a file name.
    #[error("{kind} `{start}…` has {bytes} bytes: at most {bytes_max} are allowed")]
    TooLong {
        /// Which identifier.
        kind: &'static str,
        /// How it begins.
        start: String,
        /// Its length.
        bytes: usize,
        /// The length allowed.
        bytes_max: usize,
    },
    /// A character that some file system or the published orchestrator refuses.
    #[error("{kind} `{}` may not contain {found:?}", text.escape_debug())]
    Character {
        /// Which identifier.
        kind: &'static str,
        /// The identifier.
        text: String,
        /// The character.
        found: char,
    },
    /// Hidden or relative names, and names whose end some file system drops.
    #[error("{kind} `{text}` may not {rule}")]
    Edge {
        /// Which identifier.
        kind: &'static str,
        /// The identifier.
        text: String,
        /// What it may not do.
        rule: &'static str,
    },
    /// A name that is a device on Windows.
    #[error("{kind} `{text}` is a device name on Windows")]
    Device {
        /// Which identifier.
        kind: &'static str,
        /// The identifier.
        text: String,
    },
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads an identifier.
            ///
            /// # Errors
            /// When the text breaks the rule of this kind of identifier.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let check: fn(&'static str, &str) -> Result<(), IdError> = $check;
                check($kind, text).map(|()| Self(text.to_owned()))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

text_id! {
    /// The id that a project's work and evidence live under, such as `0101-web`.
    ///
    /// Safe as a path component: no separator, control character or `<>:"|?*`, no leading dot, no trailing dot or
    /// space, no device name of Windows, at most 200 bytes. Not `local-mcp`, which is a directory of the runs directory.
    TaskId, "task id", |kind, text| {
        path_component(kind, text, TASK_ID_BYTES_MAX)?;
        not_reserved(kind, text)
    }
}
text_id! {
    /// The id of one run: its directory's name. Ours are `YYYY-MM-DDTHH-MM-SS-mmmZ-<8 hex digits>`; others' are taken
    /// as they are where they are safe as a path component and hold no white space.
    RunId, "run id", |kind, text| {
        path_component(kind, text, RUN_ID_BYTES_MAX)?;
        refuse(kind, text, |c| c.is_whitespace() || c == '`')
    }
}
text_id! {
    /// The id of a pipeline, such as `diagnostics`.
    PipelineId, "pipeline id", |kind, text| plain(kind, text, STAGE_ID_BYTES_MAX)
}
text_id! {
    /// The id of a stage within its pipeline, such as `lint`.
    StageId, "stage id", |kind, text| plain(kind, text, STAGE_ID_BYTES_MAX)
}

impl TaskId {
    /// Whether the first generation of the family keeps this id as it is; if not, it would write elsewhere.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        self.0
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    }
}

impl RunId {
    /// Names a run that starts at `started`; `salt` keeps two runs of one millisecond apart.
    #[must_use]
    pub fn new(started: Timestamp, salt: u32) -> Self {
        let time = started.to_string().replace([':', '.'], "-");
        Self(format!("{time}-{salt:08x}"))
    }

    /// When the run started, as its name says it; none of one that was named otherwise.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        let (day, time) = self.0.split_once('T')?;
        let (time, _) = time.split_once('Z')?;
        let (seconds, milliseconds) = time.rsplit_once('-')?;
        let seconds = seconds.replace('-', ":");
        Timestamp::parse(&format!("{day}T{seconds}.{milliseconds}Z")).ok()
    }
}

fn plain(kind: &'static str, text: &str, bytes_max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > bytes_max {
        let start = text.chars().take(24).collect();
        return Err(IdError::TooLong {
            kind,
            start,
            bytes: text.len(),
            bytes_max,
        });
    }
    refuse(kind, text, char::is_control)
}

fn path_component(kind: &'static str, text: &str, bytes_max: usize) -> Result<(), IdError> {
    plain(kind, text, bytes_max)?;
    refuse(kind, text, |c| {
        matches!(c, '/' | '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*')
    })?;
    let edge = |rule| {
        Err(IdError::Edge {
            kind,
            text: text.to_owned(),
            rule,
        })
    };
    if text.starts_with('.') {
        return edge("begin with a dot");
    }
    if text.ends_with(['.', ' ']) {
        return edge("end with a dot or a space");
    }
    if is_device(text) {
        return Err(IdError::Device {
            kind,
            text: text.to_owned(),
        });
    }
    Ok(())
}

fn refuse(kind: &'static str, text: &str, bad: fn(char) -> bool) -> Result<(), IdError> {
    match text.chars().find(|c| bad(*c)) {
        Some(found) => Err(IdError::Character {
            kind,
            text: text.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

/// What stands beside the tasks in the runs directory is no task.
fn not_reserved(kind: &'static str, text: &str) -> Result<(), IdError> {
    match text {
        "local-mcp" => Err(IdError::Edge {
            kind,
            text: text.to_owned(),
            rule: "be the name of the directory that the pointers to all runs stand in",
        }),
        _ => Ok(()),
    }
}

/// Windows opens a device for these names whatever follows the first dot.
fn is_device(text: &str) -> bool {
    let stem = text
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_ascii_uppercase();
    if matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) {
        return true;
    }
    let numbered = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    numbered.is_some_and(|n| n.len() == 1 && ('1'..='9').any(|digit| n.starts_with(digit)))
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// Numbers the visible changes of one daemon's life, without a gap.
    Seq
}
counter! {
    /// Names a workspace within one daemon's life.
    WorkspaceId
}
counter! {
    /// Names a question that somebody waits for, within one daemon's life.
    RequestId
}
counter! {
    /// Names one look at a workspace's content, within one daemon's life.
    CaptureId
}
counter! {
    /// Names one weighing of what stages have left, within one daemon's life.
    WeighId
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_task_id_cannot_leave_its_directory() {
        let long = "x".repeat(300);
        for bad in [
            "", ".", "..", "../x", "a/b", "a\\b", "a\0b", "a\n", ".hidden", "end.", "end ", "CON",
            "nul.txt", "com1", &long,
        ] {
            assert!(TaskId::parse(bad).is_err(), "{bad:?} was taken");
        }
        for good in ["0101-web", "demo", "Demo.1", "a b", "console", "com10"] {
            assert_eq!(TaskId::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn an_error_names_the_id_and_the_rule() {
        let said = TaskId::parse("a/b").unwrap_err().to_string();
        assert_eq!(said, "task id `a/b` may not contain '/'");
        assert!(
            TaskId::parse(&"x".repeat(300))
                .unwrap_err()
                .to_string()
                .contains("300 bytes")
        );
    }

    #[test]
    fn portable_means_that_both_generations_agree() {
        assert!(TaskId::parse("0101-web_2").unwrap().is_portable());
        assert!(!TaskId::parse("Demo.1").unwrap().is_portable());
    }

    #[test]
    fn a_run_id_is_its_start_and_a_salt() {
        let id = RunId::new(
            Timestamp::parse("2026-11-22T10:09:50.592Z").unwrap(),
            0x3d01_03be,
        );
        assert_eq!(id.as_str(), "2026-11-22T10-09-50-592Z-3d0103be");
        assert!(RunId::parse("2025-10-31T23-59-59Z").is_ok_and(|id| id.as_str().len() == 20));
        assert!(RunId::parse("a b").is_err_and(|e| e.to_string().contains("' '")));
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_one_path_component(text in "\\PC{0,40}|[./\\\\a-c\0]{0,12}") {
            if let Ok(id) = TaskId::parse(&text) {
                let path = std::path::Path::new("base").join(id.as_str());
                prop_assert_eq!(path.components().count(), 2);
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("base")));
            }
        }
    }
}
