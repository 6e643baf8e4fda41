//! The line to the daemon: one blocking stream, questions out, answers and events in.
//!
//! The handshake goes out together with the first question, so that it costs no round trip. Events that arrive while an
//! answer is awaited are kept in order. No thread and no runtime: a command that asks one thing is done in a few
//! milliseconds.

use crate::client::clock::Deadline;
use crate::client::failure::{Failure, GibberishError};
use crate::client::interrupt::{Interrupts, Woke, wait};
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_TIME_MAX, EVENTS_KEPT_MAX, SCOPE_TIME_MAX};
use crate::model::report::event::Event;
use crate::model::report::status::Status;
use crate::wire::call::{Call, Nothing, Scope};
use crate::wire::frame::LineBuffer;
use crate::wire::handshake::{Initialize, Welcome};
use crate::wire::message::{
    Id, Outbound, read_outbound, write_cancel, write_initialize, write_request,
};
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{GenericFilePath, Stream};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a daemon.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    socket: PathBuf,
    lines: LineBuffer,
    /// Events that arrived while an answer was awaited.
    events: VecDeque<Event>,
    /// The questions whose answers are still wanted, with the answers that arrived while another one was awaited.
    owed: BTreeMap<i64, Option<Result<Box<RawValue>, Failure>>>,
    asked: i64,
    welcome: Greeting,
    /// When whoever asks has said that it has to be over.
    until: Deadline,
    /// The daemon lives in this process, and only as long as this connection.
    is_hosted: bool,
}

/// A question that was asked, and whose answer is still to come.
#[derive(Clone, Copy, Debug)]
pub struct Outstanding(i64);

/// How far the handshake is.
#[derive(Debug)]
enum Greeting {
    /// Not sent.
    Due,
    /// Sent under this id.
    Sent(i64),
    /// Answered.
    Done(Box<Welcome>),
}

/// What came in, or why nothing did.
#[derive(Debug)]
pub enum Arrival {
    /// An event.
    Event(Box<Event>),
    /// ^C.
    Interrupted,
    /// The deadline passed.
    TimedOut,
}

enum Message {
    Answer(i64, Result<Box<RawValue>, Failure>),
    Event(Box<Event>),
    Interrupted,
    TimedOut,
}

impl Connection {
    /// Connects to the daemon at `socket`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(socket: &Path) -> Result<Self, Failure> {
        let refused = |source| Failure::NoDaemon {
            socket: socket.to_path_buf(),
            source,
        };
        let name = socket.to_fs_name::<GenericFilePath>().map_err(refused)?;
        let stream = Stream::connect(name).map_err(refused)?;
        Ok(Self::over(stream, socket, false))
    }

    /// Speaks to a daemon in this process, and ends it in the end.
    #[must_use]
    pub fn hosted(stream: Stream, socket: &Path) -> Self {
        Self::over(stream, socket, true)
    }

    /// Whether the daemon lives in this process.
    #[must_use]
    pub fn is_hosted(&self) -> bool {
        self.is_hosted
    }

    fn over(stream: Stream, socket: &Path, is_hosted: bool) -> Self {
        Self {
            stream,
            socket: socket.to_path_buf(),
            lines: LineBuffer::new(ANSWER_BYTES_MAX),
            events: VecDeque::new(),
            owed: BTreeMap::new(),
            asked: 0,
            welcome: Greeting::Due,
            until: Deadline::never(),
            is_hosted,
        }
    }

    /// Waits for no answer after `until` from now on, whatever is asked.
    pub fn keep_to(&mut self, until: Deadline) {
        self.until = until;
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the daemon refuses, is silent, or goes away.
    pub fn ask<T: DeserializeOwned>(&mut self, call: &Call) -> Result<T, Failure> {
        self.ask_within(call, ANSWER_TIME_MAX, None)
    }

    /// Asks, and leaves the answer to [`Connection::wait_for`]; several questions may be on their way.
    ///
    /// # Errors
    /// When the daemon goes away.
    pub fn begin(&mut self, call: &Call) -> Result<Outstanding, Failure> {
        let id = self.send(call)?;
        drop(self.owed.insert(id, None));
        Ok(Outstanding(id))
    }

    /// Waits so long for an answer, or until ^C.
    ///
    /// # Errors
    /// When the daemon refuses, is silent, or goes away, or at ^C.
    pub fn answer_within<T: DeserializeOwned>(
        &mut self,
        asked: Outstanding,
        patience: Duration,
        interrupts: &Interrupts,
    ) -> Result<T, Failure> {
        let deadline = Deadline::after(patience);
        self.answer(asked.0, deadline, Some(interrupts), patience)
    }

    /// Waits for an answer, whatever is pressed: for what is done at ^C.
    ///
    /// # Errors
    /// When the daemon refuses or goes away.
    pub fn wait_out<T: DeserializeOwned>(&mut self, asked: Outstanding) -> Result<T, Failure> {
        self.answer(asked.0, Deadline::never(), None, Duration::MAX)
    }

    /// Waits so long for an answer, or until ^C; `None` when there is none yet.
    ///
    /// # Errors
    /// When the daemon refuses or goes away, or at ^C.
    pub fn look_for<T: DeserializeOwned>(
        &mut self,
        asked: Outstanding,
        patience: Duration,
        interrupts: &Interrupts,
    ) -> Result<Option<T>, Failure> {
        match self.answer_within(asked, patience, interrupts) {
            Err(Failure::Silent { .. }) => Ok(None),
            answered => answered.map(Some),
        }
    }

    /// Waits for an answer until ^C.
    ///
    /// # Errors
    /// When the daemon refuses or goes away, or at ^C.
    pub fn wait_for<T: DeserializeOwned>(
        &mut self,
        asked: Outstanding,
        interrupts: &Interrupts,
    ) -> Result<T, Failure> {
        self.answer(asked.0, Deadline::never(), Some(interrupts), Duration::MAX)
    }

    /// Says that an answer is not waited for any more: what was only queued for it need not begin in the moment until
    /// the daemon sees that we are gone.
    pub fn let_go(&mut self, asked: Outstanding) {
        if let Ok(text) = write_cancel(&Id::Number(asked.0)) {
            // A daemon that has gone does not begin anything either.
            drop(self.stream.write_all(text.as_bytes()));
        }
    }

    /// Asks, and waits so long for the answer, or until ^C.
    ///
    /// # Errors
    /// When the daemon refuses, is silent, or goes away, or at ^C.
    pub fn ask_within<T: DeserializeOwned>(
        &mut self,
        call: &Call,
        patience: Duration,
        interrupts: Option<&Interrupts>,
    ) -> Result<T, Failure> {
        let id = self.send(call)?;
        self.answer(id, Deadline::after(patience), interrupts, patience)
    }

    /// What the daemon says of what is there, if it says so soon: for what belongs to an answer and is not it, which is
    /// not to be lost over this.
    pub fn status_soon(&mut self, scope: Scope, interrupts: Option<&Interrupts>) -> Option<Status> {
        let call = Call::Status(scope);
        self.ask_within(&call, SCOPE_TIME_MAX, interrupts).ok()
    }

    /// The next event, unless ^C or the deadline come first.
    ///
    /// # Errors
    /// When the daemon goes away.
    pub fn next(
        &mut self,
        interrupts: Option<&Interrupts>,
        deadline: Deadline,
    ) -> Result<Arrival, Failure> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Arrival::Event(Box::new(event)));
        }
        loop {
            match self.message(interrupts, deadline)? {
                Message::Event(event) => return Ok(Arrival::Event(event)),
                Message::Interrupted => return Ok(Arrival::Interrupted),
                Message::TimedOut => return Ok(Arrival::TimedOut),
                Message::Answer(found, result) => self.keep(found, result),
            }
        }
    }

    /// Whether such an event has arrived and was not taken yet.
    #[must_use]
    pub fn has_event(&self, is_such: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(is_such)
    }

    /// Keeps an answer that somebody will ask for; of others nobody waits for any more.
    fn keep(&mut self, id: i64, result: Result<Box<RawValue>, Failure>) {
        if let Some(place) = self.owed.get_mut(&id) {
            *place = Some(result);
        }
    }

    /// What the daemon said of itself, once it has answered anything.
    #[must_use]
    pub fn welcome(&self) -> Option<&Welcome> {
        match &self.welcome {
            Greeting::Done(welcome) => Some(welcome),
            Greeting::Due | Greeting::Sent(_) => None,
        }
    }

    fn send(&mut self, call: &Call) -> Result<i64, Failure> {
        let mut text = String::new();
        if matches!(self.welcome, Greeting::Due) {
            let id = self.number();
            text = write_initialize(&Id::Number(id), &Initialize::of("orchctl"))
                .map_err(|source| self.gibberish(source.into()))?;
            self.welcome = Greeting::Sent(id);
        }
        let id = self.number();
        let question = write_request(&Id::Number(id), call, None)
            .map_err(|source| self.gibberish(source.into()))?;
        text.push_str(&question);
        self.stream
            .write_all(text.as_bytes())
            .map_err(|source| self.lost(source))?;
        Ok(id)
    }

    fn number(&mut self) -> i64 {
        self.asked = self.asked.saturating_add(1);
        self.asked
    }

    fn answer<T: DeserializeOwned>(
        &mut self,
        id: i64,
        deadline: Deadline,
        interrupts: Option<&Interrupts>,
        waited: Duration,
    ) -> Result<T, Failure> {
        let deadline = match self.until.left() {
            Some(left) => deadline.or_after(left),
            None => deadline,
        };
        loop {
            let arrived = self.owed.get_mut(&id).and_then(Option::take);
            let message = match arrived {
                Some(result) => Message::Answer(id, result),
                None => self.message(interrupts, deadline)?,
            };
            match message {
                Message::Answer(found, result) if found == id => {
                    drop(self.owed.remove(&id));
                    let text = result?;
                    return serde_json::from_str(text.get())
                        .map_err(|source| self.gibberish(source.into()));
                }
                Message::Answer(found, result) => self.keep(found, result),
                Message::Interrupted => return Err(Failure::Interrupted),
                Message::Event(event) => {
                    if self.events.len() >= EVENTS_KEPT_MAX {
                        self.events.pop_front();
                    }
                    self.events.push_back(*event);
                }
                Message::TimedOut => {
                    let socket = self.socket.clone();
                    return Err(match self.until.is_over() {
                        true => Failure::Late { socket },
                        false => Failure::Silent { socket, waited },
                    });
                }
            }
        }
    }

    /// The next message, the handshake's answer excepted.
    fn message(
        &mut self,
        interrupts: Option<&Interrupts>,
        deadline: Deadline,
    ) -> Result<Message, Failure> {
        loop {
            let outbound = match self.lines.next_line() {
                Ok(Some(line)) => Some(read_outbound(line)),
                Ok(None) => None,
                Err(source) => return Err(self.gibberish(source.into())),
            };
            match outbound {
                Some(Ok(Outbound::Answer { id, result })) => {
                    if let Some(message) = self.answered(id, result)? {
                        return Ok(message);
                    }
                }
                Some(Ok(Outbound::Event(event))) => return Ok(Message::Event(event)),
                Some(Ok(Outbound::Ignored)) => {}
                Some(Err(source)) => return Err(self.gibberish(source.into())),
                None => match wait(&self.stream, interrupts, deadline).map_err(Failure::Wait)? {
                    Woke::Readable => {
                        if !self.read()? {
                            return Ok(Message::TimedOut);
                        }
                    }
                    Woke::Interrupted => return Ok(Message::Interrupted),
                    Woke::TimedOut => return Ok(Message::TimedOut),
                },
            }
        }
    }

    fn answered(
        &mut self,
        id: Option<Id>,
        result: Result<Box<RawValue>, crate::wire::refusal::Refusal>,
    ) -> Result<Option<Message>, Failure> {
        let result = result.map_err(Failure::Refused);
        match (id, &self.welcome) {
            (Some(Id::Number(found)), Greeting::Sent(id)) if found == *id => {
                let welcome = serde_json::from_str(result?.get());
                let welcome = welcome.map_err(|source| self.gibberish(source.into()))?;
                self.welcome = Greeting::Done(Box::new(welcome));
                Ok(None)
            }
            (Some(Id::Number(found)), _) => Ok(Some(Message::Answer(found, result))),
            // Without an id of ours it is told to the connection: a limit was passed, or the daemon is ending.
            (None | Some(Id::Text(_)), _) => result.map(|_| None),
        }
    }

    /// Reads what is there; `false` when the deadline of the stream itself passed.
    fn read(&mut self) -> Result<bool, Failure> {
        let mut bytes = vec![0_u8; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.lines.push(bytes.get(..count).unwrap_or_default());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => {
                let is_late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
                if is_late.contains(&error.kind()) {
                    Ok(false)
                } else {
                    Err(self.lost(error))
                }
            }
        }
    }

    fn lost(&self, source: io::Error) -> Failure {
        Failure::Lost {
            socket: self.socket.clone(),
            source,
        }
    }

    fn gibberish(&self, source: GibberishError) -> Failure {
        Failure::Gibberish {
            socket: self.socket.clone(),
            source,
        }
    }
}

impl Drop for Connection {
    /// Ends a hosted daemon in order: its runs are cancelled and recorded before this process goes.
    fn drop(&mut self) {
        if !self.is_hosted {
            return;
        }
        let patience = Deadline::after(ANSWER_TIME_MAX);
        // What was to be told was told; an end that fails leaves nothing that the next start does not heal.
        if self.send(&Call::Shutdown(Nothing {})).is_ok() {
            while let Ok(message) = self.message(None, patience) {
                if matches!(message, Message::TimedOut) {
                    break;
                }
            }
        }
    }
}
