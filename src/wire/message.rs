//! Messages to types and back: JSON-RPC 2.0 requests, answers and the `event` notification, each one line.
//!
//! The daemon's side reads [`Inbound`], the client's side reads [`Outbound`]. A message is never built as a tree of
//! values: its parameters and its result stay text until their type is known.

use crate::limits::{DEADLINE_MAX, MESSAGE_DEPTH_MAX, REQUEST_ID_BYTES_MAX};
use crate::model::report::event::Event;
use crate::wire::call::Call;
use crate::wire::frame::{FrameError, check_depth};
use crate::wire::handshake::Initialize;
use crate::wire::refusal::{Code, ErrorKind, Refusal, RefusalText};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// What a request is called by whoever made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(i64),
    /// A text of at most `REQUEST_ID_BYTES_MAX` bytes.
    Text(String),
}

/// What the daemon reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// The first question of a well-behaved client.
    Initialize {
        /// What it is called.
        id: Id,
        /// Who asks, and which protocols it speaks.
        initialize: Initialize,
    },
    /// A question.
    Request {
        /// What it is called.
        id: Id,
        /// What is asked.
        call: Call,
        /// How long the answer is awaited.
        deadline: Option<Duration>,
    },
    /// The answer to this question is not awaited any more.
    Cancel {
        /// What it is called.
        id: Id,
    },
    /// A notification that means nothing here: nobody would hear of a refusal.
    Ignored,
}

/// A message that is refused before anybody is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the request is called, where that could be read.
    pub id: Option<Id>,
    /// Why.
    pub refusal: Refusal,
    /// Whether a limit was passed, so that the connection ends.
    pub close: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Keeps `null` apart from nothing.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

#[derive(Deserialize)]
struct Cancelled {
    id: Id,
}

/// Reads one line of a client.
///
/// # Errors
/// When it is no request of this protocol.
pub fn read(line: &str) -> Result<Inbound, Refused> {
    check_depth(line, MESSAGE_DEPTH_MAX).map_err(|error| too_deep(&error))?;
    if line.trim_start().starts_with('[') {
        let refusal = odd("batches are not supported").hint("send one request a line");
        return Err(refused(None, refusal));
    }
    let envelope: Envelope<'_> = serde_json::from_str(line).map_err(|error| {
        let code = if error.is_data() {
            Code::REQUEST
        } else {
            Code::PARSE
        };
        let message = format!("the message is no JSON-RPC request: {error}");
        refused(None, Refusal::coded(code, ErrorKind::Unsupported, message))
    })?;
    let Some(id) = envelope.id else {
        // Only a message with a method is a notification; whoever sent anything else waits for an answer.
        if envelope.method.is_none() {
            return Err(refused(None, odd("the message names no method")));
        }
        return Ok(notification(&envelope));
    };
    let id = read_id(id).map_err(|refusal| refused(None, refusal))?;
    request(&id, &envelope).map_err(|refusal| refused(Some(id), refusal))
}

fn too_deep(error: &FrameError) -> Refused {
    Refused {
        id: None,
        refusal: Refusal::new(ErrorKind::TooLarge, error.to_string()),
        close: true,
    }
}

fn request(id: &Id, envelope: &Envelope<'_>) -> Result<Inbound, Refusal> {
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return Err(odd("the message has no `\"jsonrpc\":\"2.0\"`"));
    }
    let Some(method) = envelope.method.as_deref() else {
        return Err(odd("the message names no method"));
    };
    let id = id.clone();
    if method == Initialize::METHOD {
        let initialize = Initialize::decode(envelope.params)?;
        return Ok(Inbound::Initialize { id, initialize });
    }
    let (call, deadline) = Call::decode(method, envelope.params)?;
    let deadline = deadline.filter(|deadline| *deadline <= DEADLINE_MAX);
    Ok(Inbound::Request { id, call, deadline })
}

fn notification(envelope: &Envelope<'_>) -> Inbound {
    if envelope.method.as_deref() != Some(CANCEL) {
        return Inbound::Ignored;
    }
    let text = envelope.params.map_or("{}", RawValue::get);
    match serde_json::from_str::<Cancelled>(text) {
        Ok(Cancelled { id }) => Inbound::Cancel { id },
        Err(_) => Inbound::Ignored,
    }
}

fn read_id(text: &RawValue) -> Result<Id, Refusal> {
    match serde_json::from_str(text.get()) {
        Ok(Id::Text(text)) if text.len() > REQUEST_ID_BYTES_MAX => Err(odd("the `id` is too long")),
        Ok(id) => Ok(id),
        // What no signed number of 64 bits holds would come back as another one.
        Err(_) if text.get().parse::<f64>().is_ok() => Err(odd(
            "the `id` is not a whole number from -2^63 to 2^63 - 1: use such a one, or a string",
        )),
        Err(_) => Err(odd("the `id` is neither a whole number nor a string")),
    }
}

fn odd(message: &str) -> Refusal {
    Refusal::coded(Code::REQUEST, ErrorKind::Unsupported, message)
}

fn refused(id: Option<Id>, refusal: Refusal) -> Refused {
    Refused {
        id,
        refusal,
        close: false,
    }
}

/// The notification that frees a waiter.
pub const CANCEL: &str = "$/cancelRequest";
/// The notification that carries an event.
pub const EVENT: &str = "event";

#[derive(Serialize)]
struct Asking<'a, T> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    method: &'a str,
    params: T,
}

#[derive(Serialize)]
struct Telling<'a, T> {
    jsonrpc: &'static str,
    id: Option<&'a Id>,
    result: &'a T,
}

#[derive(Serialize)]
struct Failing<'a> {
    jsonrpc: &'static str,
    id: Option<&'a Id>,
    error: RefusalText,
}

/// Writes a question as one line.
///
/// # Errors
/// When a parameter cannot be written as JSON.
pub fn write_request(
    id: &Id,
    call: &Call,
    deadline: Option<Duration>,
) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct WithDeadline<'a> {
        #[serde(flatten)]
        call: &'a Call,
        #[serde(skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
    }
    let deadline_ms = deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    line(&Asking {
        jsonrpc: "2.0",
        id: Some(id),
        method: call.method(),
        params: WithDeadline { call, deadline_ms },
    })
}

/// Writes the first question as one line.
///
/// # Errors
/// When a parameter cannot be written as JSON.
pub fn write_initialize(id: &Id, initialize: &Initialize) -> Result<String, serde_json::Error> {
    line(&Asking {
        jsonrpc: "2.0",
        id: Some(id),
        method: Initialize::METHOD,
        params: initialize,
    })
}

/// Writes that an answer is not awaited any more, as one line.
///
/// # Errors
/// When the id cannot be written as JSON.
pub fn write_cancel(id: &Id) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Cancelling<'a> {
        id: &'a Id,
    }
    line(&Asking {
        jsonrpc: "2.0",
        id: None,
        method: CANCEL,
        params: Cancelling { id },
    })
}

/// Writes an answer as one line; `result` is any of the types of `model::report` or of the handshake.
///
/// # Errors
/// When the result cannot be written as JSON.
pub fn write_answer<T: Serialize>(id: &Id, result: &T) -> Result<String, serde_json::Error> {
    line(&Telling {
        jsonrpc: "2.0",
        id: Some(id),
        result,
    })
}

/// Writes a refusal as one line; without an id where none could be read.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn write_refusal(id: Option<&Id>, refusal: &Refusal) -> Result<String, serde_json::Error> {
    line(&Failing {
        jsonrpc: "2.0",
        id,
        error: refusal.into(),
    })
}

/// Writes an event as one line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn write_event(event: &Event) -> Result<String, serde_json::Error> {
    line(&Asking {
        jsonrpc: "2.0",
        id: None,
        method: EVENT,
        params: event,
    })
}

fn line<T: Serialize>(message: &T) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(message)?;
    text.push('\n');
    Ok(text)
}

/// What the client reads.
#[derive(Debug)]
pub enum Outbound {
    /// The answer to a question of ours.
    Answer {
        /// What the question is called; none where the daemon could not read it.
        id: Option<Id>,
        /// The result as text, to be read as the type that the method answers with.
        result: Result<Box<RawValue>, Refusal>,
    },
    /// An event.
    Event(Box<Event>),
    /// A notification of a newer daemon.
    Ignored,
}

/// Why a line of the daemon is no message.
#[derive(Debug, thiserror::Error)]
#[error("the daemon sent a message that this version cannot read")]
pub struct OutboundError {
    source: serde_json::Error,
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(default)]
    id: Option<Id>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<RefusalText>,
}

/// Reads one line of the daemon.
///
/// # Errors
/// When it is no message of this protocol.
pub fn read_outbound(text: &str) -> Result<Outbound, OutboundError> {
    let told: Told<'_> = serde_json::from_str(text).map_err(|source| OutboundError { source })?;
    match (told.method.as_deref(), told.error, told.result) {
        (Some(EVENT), _, _) => serde_json::from_str(told.params.map_or("{}", RawValue::get))
            .map(|event| Outbound::Event(Box::new(event)))
            .map_err(|source| OutboundError { source }),
        (Some(_), _, _) | (None, None, None) => Ok(Outbound::Ignored),
        (None, Some(error), _) => Ok(Outbound::Answer {
            id: told.id,
            result: Err(error.into()),
        }),
        (None, None, Some(result)) => Ok(Outbound::Answer {
            id: told.id,
            result: Ok(result.to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests;
