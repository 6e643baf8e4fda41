//! The first question: who speaks, and which version of the protocol.
//!
//! There is one version so far. A client lists all that it speaks, the daemon picks one or refuses with both lists; what
//! comes on top of a version without changing it is named in `capabilities`.

use crate::limits;
use crate::model::id::Seq;
use crate::wire::refusal::{Code, ErrorKind, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// The version of the protocol that this program speaks.
pub const PROTOCOL: u32 = 1;

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// The parameters of `initialize`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initialize {
    /// Who asks.
    pub client: Party,
    /// The versions of the protocol that it speaks.
    pub protocol: Vec<u32>,
}

/// The answer to `initialize`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that is spoken from here on.
    pub protocol: u32,
    /// Who answers.
    pub server: Party,
    /// The daemon's name, new at each start.
    pub instance_id: String,
    /// What it can do beyond this version.
    pub capabilities: Vec<String>,
    /// The number of the latest visible change.
    pub seq: Seq,
    /// The bounds that it keeps.
    pub limits: WireLimits,
}

/// The bounds that a client should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireLimits {
    /// Bytes of a message to the daemon.
    pub message_bytes: usize,
    /// Nesting of a message to the daemon.
    pub message_depth: usize,
    /// Requests of one connection that may be outstanding.
    pub requests: usize,
    /// Connections that are served at once.
    pub connections: usize,
    /// Time for the first message of a connection.
    pub first_message_ms: u64,
    /// Events that a reader may lag behind before it is sent a snapshot instead.
    pub events: usize,
    /// Bytes of a log that one `logs.read` returns.
    pub log_bytes: u64,
}

impl WireLimits {
    /// The bounds of this program.
    #[must_use]
    pub fn here() -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            message_bytes: limits::MESSAGE_BYTES_MAX,
            message_depth: limits::MESSAGE_DEPTH_MAX,
            requests: limits::REQUESTS_OUTSTANDING_MAX,
            connections: limits::CONNECTIONS_MAX,
            first_message_ms: ms(limits::FIRST_MESSAGE_MAX),
            events: limits::SUBSCRIBER_EVENTS_MAX,
            log_bytes: limits::LOG_READ_BYTES_MAX,
        }
    }
}

impl Initialize {
    /// The method's name.
    pub const METHOD: &'static str = "initialize";

    /// Introduces a client of this version.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            client: Party {
                name: name.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            protocol: vec![PROTOCOL],
        }
    }

    pub(crate) fn decode(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let text = params.map_or("{}", RawValue::get);
        let initialize: Self = serde_json::from_str(text).map_err(|error| {
            let message = format!("the parameters of `initialize` are wrong: {error}");
            Refusal::coded(Code::PARAMS, ErrorKind::Unsupported, message)
                .hint(r#"send {"client":{"name":"…","version":"…"},"protocol":[1]}"#)
        })?;
        if initialize.protocol.contains(&PROTOCOL) {
            return Ok(initialize);
        }
        Err(Refusal::new(
            ErrorKind::Unsupported,
            format!(
                "no common protocol: {} speaks {:?}, this daemon (orchd {}) speaks [{PROTOCOL}]",
                initialize.client.name,
                initialize.protocol,
                env!("CARGO_PKG_VERSION")
            ),
        )
        .hint("use the orchctl and the orchd of one release"))
    }
}
