//! Why a request is refused: a kind for programs, a sentence for people, and what to do about it.
//!
//! A refusal is an answer like any other: the connection goes on, unless a limit was passed.

use crate::limits::REFUSAL_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a program can tell refusals apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No such workspace is registered.
    UnknownWorkspace,
    /// No project has this task id, or more than one has.
    UnknownProject,
    /// No run has this id, or more than one has.
    UnknownRun,
    /// The commands are not allowed.
    Untrusted,
    /// The configuration is wrong.
    InvalidConfig,
    /// A limit of the daemon is reached; later it may do.
    Busy,
    /// No verdict for the present content in time.
    Unsynced,
    /// The message is larger or deeper than is taken.
    TooLarge,
    /// The message is none of this protocol.
    Unsupported,
    /// The daemon is ending.
    ShuttingDown,
    /// The daemon failed inside.
    Internal,
}

/// The codes of JSON-RPC 2.0 and those of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub i64);

impl Code {
    /// The message is no JSON.
    pub const PARSE: Self = Self(-32700);
    /// The message is no request.
    pub const REQUEST: Self = Self(-32600);
    /// There is no such method.
    pub const METHOD: Self = Self(-32601);
    /// The parameters are not those of the method.
    pub const PARAMS: Self = Self(-32602);
    /// The daemon failed inside.
    pub const INTERNAL: Self = Self(-32603);
    /// The request was cancelled by whoever made it.
    pub const CANCELLED: Self = Self(-32800);
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The JSON-RPC code.
    pub code: Code,
    /// What a program can tell it by.
    pub kind: ErrorKind,
    /// One sentence that names the thing and the reason.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// Refuses for a reason of this protocol.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            code: kind.code(),
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Refuses a message that is none of this protocol.
    #[must_use]
    pub(crate) fn coded(code: Code, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            code,
            ..Self::new(kind, message)
        }
    }
}

impl ErrorKind {
    /// The JSON-RPC code of this kind.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::UnknownWorkspace => Code(-32001),
            Self::UnknownProject => Code(-32002),
            Self::UnknownRun => Code(-32003),
            Self::Untrusted => Code(-32004),
            Self::InvalidConfig => Code(-32005),
            Self::Busy => Code(-32006),
            Self::Unsynced => Code(-32007),
            Self::TooLarge => Code(-32008),
            Self::Unsupported => Code(-32009),
            Self::ShuttingDown => Code(-32010),
            Self::Internal => Code::INTERNAL,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// A refusal as JSON-RPC has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RefusalText {
    code: i64,
    message: String,
    data: RefusalData,
}

#[derive(Debug, Serialize, Deserialize)]
struct RefusalData {
    kind: ErrorKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl From<&Refusal> for RefusalText {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code.0,
            message: cut(&refusal.message),
            data: RefusalData {
                kind: refusal.kind,
                hint: refusal.hint.as_deref().map(cut),
            },
        }
    }
}

/// A sentence without its end, where it is too long to be one.
fn cut(text: &str) -> String {
    let fits = text.len() <= REFUSAL_BYTES_MAX;
    let end = (0..=REFUSAL_BYTES_MAX).rev();
    let end = end
        .filter(|_| !fits)
        .find(|end| text.is_char_boundary(*end));
    let head = end.and_then(|end| text.get(..end));
    head.map_or_else(|| text.to_owned(), |head| format!("{head}…"))
}

impl From<RefusalText> for Refusal {
    fn from(text: RefusalText) -> Self {
        Self {
            code: Code(text.code),
            kind: text.data.kind,
            message: text.message,
            hint: text.data.hint,
        }
    }
}
