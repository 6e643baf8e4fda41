//! The event stream as a program reads it from the socket; a gap in its numbers fails the test.

use crate::deadline::DEADLINE;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

/// One connection to the daemon.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// A connection that has said who it is.
    pub(crate) fn introduced(socket: &Path) -> Self {
        let mut client = Self::connect(socket);
        let party = json!({"client": {"name": "e2e", "version": "0"}, "protocol": [1]});
        let welcome = client.ask("initialize", &party);
        assert_eq!(welcome["result"]["protocol"], 1, "{welcome}");
        client
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The other side may have closed already; what it said before is still to be read.
        drop(self.stream.get_mut().write_all(bytes));
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(format!("{message}\n").as_bytes());
        self.line().unwrap()
    }

    /// The next line; none at the end.
    pub(crate) fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the daemon says nothing: {error}"),
        }
    }
}

/// A subscriber.
pub(crate) struct Events {
    client: Client,
    seq: u64,
    /// Everything heard so far, the first snapshot left out.
    pub(crate) heard: Vec<Value>,
}

impl Events {
    pub(crate) fn subscribe(socket: &Path) -> Self {
        let mut client = Client::introduced(socket);
        let answer = client.ask("events.subscribe", &json!({}));
        assert_eq!(answer["result"]["subscribed"], true, "{answer}");
        let snapshot = client.line().unwrap();
        assert_eq!(snapshot["params"]["type"], "snapshot");
        let seq = snapshot["params"]["seq"].as_u64().unwrap();
        Self {
            client,
            seq,
            heard: Vec::new(),
        }
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Value {
        let message = self
            .client
            .line()
            .unwrap_or_else(|| panic!("the daemon closed the stream"));
        assert_eq!(message["method"], "event", "{message}");
        let event = message["params"].clone();
        let seq = event["seq"].as_u64().unwrap();
        assert_eq!(seq, self.seq + 1, "a gap before {event}");
        self.seq = seq;
        self.heard.push(event.clone());
        event
    }

    /// The next event of which this is true; those before it are passed over.
    pub(crate) fn until(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let event = self.next();
            if wanted(&event) {
                return event;
            }
            let last = self.heard.len().saturating_sub(20);
            assert!(
                begun.elapsed() < DEADLINE,
                "heard: {:#?}",
                &self.heard[last..]
            );
        }
    }

    /// The next event of this type.
    pub(crate) fn until_type(&mut self, kind: &str) -> Value {
        self.until(|event| event["type"] == kind)
    }

    /// The start of a stage.
    pub(crate) fn until_stage(&mut self, stage: &str) -> Value {
        self.until(|event| event["type"] == "stage.started" && event["stage"] == stage)
    }

    /// Every event up to this number that was not heard before.
    pub(crate) fn through(&mut self, seq: u64) -> Vec<Value> {
        let mut events = Vec::new();
        while self.seq < seq {
            events.push(self.next());
        }
        events
    }
}

/// The types of events, in order.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect()
}

/// Those of one type.
pub(crate) fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["type"] == kind)
        .collect()
}
