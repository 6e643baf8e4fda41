//! One connection: lines in, answers and events out, within limits; it costs nobody else anything.
//!
//! ```text
//! Open ──peer closed its side, or the daemon ends──▶ HalfClosed ──answers sent, or time──▶ end
//!   └──a limit was passed──▶ Closing ──reason sent, or time──▶ end
//! ```
//!
//! One task does all of it: reading stops while many answers wait to be taken, events are fetched only when nothing else
//! waits to be sent, and requests wait in small tasks of their own, so that they are answered in any order. At the end
//! every waiter is freed, and the main loop is told.

use crate::daemon::server::feed::{Origin, Subscriber};
use crate::daemon::server::pending::{Pending, Settled};
use crate::daemon::server::{Hub, Peer};
use crate::limits::{
    ANSWER_TIME_MAX, CLOSING_TIME_MAX, FIRST_MESSAGE_MAX, HALF_CLOSED_TIME_MAX, MESSAGE_BYTES_MAX,
    MESSAGE_TIME_MAX, REQUESTS_OUTSTANDING_MAX,
};
use crate::model::report::SubscribeAnswer;
use crate::wire::answer::Answer;
use crate::wire::call::{Call, EventsWanted};
use crate::wire::frame::{FrameError, LineBuffer};
use crate::wire::message::{self, Id, Inbound};
use crate::wire::refusal::{Code, ErrorKind, Refusal};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// Serves one connection until it ends.
pub async fn serve_connection<R, W>(mut reader: R, mut writer: W, peer: Peer, hub: &Hub)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut session = Session::new(peer, hub);
    let end = session.run(&mut reader, &mut writer).await;
    if end == End::Refused {
        // A peer that is still sending would be cut off by its own write before it reads the reason.
        let lingering = async {
            drop(writer.shutdown().await);
            let mut sink = tokio::io::sink();
            drop(tokio::io::copy(&mut reader, &mut sink).await);
        };
        drop(timeout(CLOSING_TIME_MAX, lingering).await);
    }
    drop((reader, writer));
    session.pending.free_all().await;
}

#[derive(PartialEq, Eq)]
enum End {
    /// The peer is gone, or is as good as gone.
    Gone,
    /// The peer passed a limit and has been told.
    Refused,
}

enum Line {
    Answer(String),
    Event(Arc<str>),
}

impl Line {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Answer(text) => text.as_bytes(),
            Self::Event(text) => text.as_bytes(),
        }
    }
}

enum Events {
    /// Nobody asked.
    Off,
    /// The main loop has been asked; the answer goes out before the first event.
    Awaited(mpsc::Receiver<Arc<str>>),
    /// They come.
    On(mpsc::Receiver<Arc<str>>),
}

impl Events {
    async fn next(&mut self) -> Option<Arc<str>> {
        match self {
            Self::Off | Self::Awaited(_) => std::future::pending().await,
            Self::On(lines) => lines.recv().await,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    HalfClosed(Instant),
    Closing(Instant),
}

/// What is late first, and when.
enum Alarm {
    Ending(Instant),
    FirstMessage(Instant),
    Message(Instant),
    Answer(Instant),
}

impl Alarm {
    fn at(&self) -> Instant {
        match self {
            Self::Ending(at) | Self::FirstMessage(at) | Self::Message(at) | Self::Answer(at) => *at,
        }
    }
}

enum Turn {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Settled(Settled),
    Event(Option<Arc<str>>),
    DaemonEnds,
    Late(Alarm),
}

struct Session<'a> {
    hub: &'a Hub,
    peer: Peer,
    state: State,
    greeted: bool,
    buffer: LineBuffer,
    /// Until when the first message has to be here.
    first: Option<Instant>,
    /// Until when the message that was begun has to be here.
    begun: Option<Instant>,
    out: VecDeque<Line>,
    /// Bytes of the front line that are sent.
    sent: usize,
    /// Answers among the lines.
    answers: usize,
    /// When the peer last took something, or had nothing to take.
    progress: Instant,
    pending: Pending,
    events: Events,
}

impl<'a> Session<'a> {
    fn new(peer: Peer, hub: &'a Hub) -> Self {
        let now = Instant::now();
        Self {
            hub,
            peer,
            state: State::Open,
            greeted: false,
            buffer: LineBuffer::new(MESSAGE_BYTES_MAX),
            first: Some(now + FIRST_MESSAGE_MAX),
            begun: None,
            out: VecDeque::new(),
            sent: 0,
            answers: 0,
            progress: now,
            pending: Pending::new(hub.clone()),
            events: Events::Off,
        }
    }

    async fn run<R, W>(&mut self, reader: &mut R, writer: &mut W) -> End
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut chunk = Vec::with_capacity(8 * 1024);
        loop {
            self.advance();
            if let Some(end) = self.end() {
                return end;
            }
            let alarm = self.alarm();
            let at = alarm.as_ref().map_or_else(Instant::now, Alarm::at);
            let line = self.out.front().map_or(&[][..], Line::bytes);
            let rest = line.get(self.sent..).unwrap_or_default();
            let turn = tokio::select! {
                read = reader.read_buf(&mut chunk), if self.state == State::Open && self.answers < REQUESTS_OUTSTANDING_MAX => Turn::Read(read),
                wrote = writer.write(rest), if !rest.is_empty() => Turn::Wrote(wrote),
                Some(settled) = self.pending.next(), if !matches!(self.state, State::Closing(_)) => Turn::Settled(settled),
                event = self.events.next(), if self.out.is_empty() => Turn::Event(event),
                () = self.hub.incoming().closed(), if self.state == State::Open => Turn::DaemonEnds,
                () = sleep_until(at), if alarm.is_some() => match alarm { Some(alarm) => Turn::Late(alarm), None => continue },
            };
            match turn {
                Turn::Read(Ok(0)) if self.buffer.is_torn() => {
                    let message = "the message has no end: the stream was closed before its `\\n`";
                    let code = Code::PARSE;
                    self.refuse(None, &Refusal::coded(code, ErrorKind::Unsupported, message));
                    self.half_close();
                }
                Turn::DaemonEnds | Turn::Read(Ok(0)) => {
                    self.half_close();
                }
                Turn::Read(Ok(_)) => {
                    self.buffer.push(&chunk);
                    chunk.clear();
                }
                Turn::Wrote(Ok(count)) if count > 0 => self.note_sent(count),
                Turn::Read(Err(_)) | Turn::Wrote(_) => return End::Gone,
                Turn::Settled(settled) => self.settle(&settled),
                Turn::Event(event) => self.relay(event),
                Turn::Late(alarm) => {
                    if !self.late(&alarm) {
                        return End::Gone;
                    }
                }
            }
        }
    }

    /// The peer asks nothing more: it may still be there for its answers, but holds nothing any longer.
    fn half_close(&mut self) {
        self.state = State::HalfClosed(Instant::now() + HALF_CLOSED_TIME_MAX);
        self.pending.leave();
    }

    fn end(&self) -> Option<End> {
        let idle = self.pending.is_empty() && matches!(self.events, Events::Off);
        match self.state {
            State::HalfClosed(_) if idle && self.out.is_empty() => Some(End::Gone),
            State::Closing(_) if self.out.is_empty() => Some(End::Refused),
            State::Open | State::HalfClosed(_) | State::Closing(_) => None,
        }
    }

    fn alarm(&self) -> Option<Alarm> {
        let ending = match self.state {
            State::Open => None,
            State::HalfClosed(at) | State::Closing(at) => Some(Alarm::Ending(at)),
        };
        let answer = (self.answers > 0).then(|| Alarm::Answer(self.progress + ANSWER_TIME_MAX));
        let first = self.first.map(Alarm::FirstMessage);
        let begun = self.begun.map(Alarm::Message);
        let alarms = [ending, first, begun, answer].into_iter().flatten();
        alarms.min_by_key(Alarm::at)
    }

    /// Says whether the connection goes on.
    fn late(&mut self, alarm: &Alarm) -> bool {
        match alarm {
            Alarm::Ending(_) | Alarm::Answer(_) => false,
            Alarm::FirstMessage(_) => self.end_late("a first message", FIRST_MESSAGE_MAX),
            Alarm::Message(_) => self.end_late("the end of the message", MESSAGE_TIME_MAX),
        }
    }

    fn end_late(&mut self, what: &str, time: Duration) -> bool {
        let message = format!("{what} did not come within {} s", time.as_secs());
        self.refuse(None, &Refusal::new(ErrorKind::Busy, message));
        self.close();
        true
    }

    /// Past a limit nothing more is read or asked; what is waiting to be sent has a moment.
    fn close(&mut self) {
        self.state = State::Closing(Instant::now() + CLOSING_TIME_MAX);
        (self.first, self.begun) = (None, None);
        self.events = Events::Off;
    }

    /// Takes the whole lines that are here, as long as the peer takes the answers.
    fn advance(&mut self) {
        while !matches!(self.state, State::Closing(_)) && self.answers < REQUESTS_OUTSTANDING_MAX {
            let read = match self.buffer.next_line() {
                Ok(Some(line)) => message::read(line),
                Ok(None) => {
                    let begun = self.state == State::Open && self.buffer.has_begun();
                    let until = || Instant::now() + MESSAGE_TIME_MAX;
                    self.begun = begun.then(|| self.begun.unwrap_or_else(until));
                    return;
                }
                Err(error) => {
                    self.refuse_frame(&error);
                    continue;
                }
            };
            (self.first, self.begun) = (None, None);
            match read {
                Ok(inbound) => self.take(inbound),
                Err(refused) => {
                    self.refuse(refused.id.as_ref(), &refused.refusal);
                    if refused.close {
                        self.close();
                    }
                }
            }
        }
    }

    fn refuse_frame(&mut self, error: &FrameError) {
        let text = error.to_string();
        match error {
            FrameError::NotText { .. } => {
                self.first = None;
                self.refuse(
                    None,
                    &Refusal::coded(Code::PARSE, ErrorKind::Unsupported, text),
                );
            }
            FrameError::TooLarge { .. } | FrameError::TooDeep { .. } => {
                self.refuse(None, &Refusal::new(ErrorKind::TooLarge, text));
                self.close();
            }
        }
    }

    fn take(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Initialize { id, initialize } => {
                tracing::debug!(client = %initialize.client.name, uid = self.peer.uid, "a client introduced itself");
                self.greeted = true;
                self.push(message::write_answer(&id, &self.hub.about().welcome()));
            }
            Inbound::Request { id, call, deadline } => self.request(id, call, deadline),
            Inbound::Cancel { id } => self.pending.cancel(&id),
            Inbound::Ignored => {}
        }
    }

    fn request(&mut self, id: Id, call: Call, deadline: Option<Duration>) {
        if self.pending.has(&id) {
            let message = "a request with this `id` is outstanding";
            return self.refuse(
                Some(&id),
                &Refusal::coded(Code::REQUEST, ErrorKind::Unsupported, message),
            );
        }
        if !self.greeted && !matches!(call, Call::Ping(_) | Call::Status(_) | Call::Gate(_)) {
            let message = format!("`{}` needs an introduction first", call.method());
            return self.refuse(
                Some(&id),
                &Refusal::coded(Code::REQUEST, ErrorKind::Unsupported, message)
                    .hint("send `initialize` before it"),
            );
        }
        if self.pending.len() >= REQUESTS_OUTSTANDING_MAX {
            let message = format!("more than {REQUESTS_OUTSTANDING_MAX} requests are outstanding");
            self.refuse(Some(&id), &Refusal::new(ErrorKind::Busy, message));
            return self.close();
        }
        let seq = self.hub.about().seq();
        if matches!(call, Call::Ping(_)) {
            self.push(message::write_answer(&id, &self.hub.about().pong()));
        } else if matches!(call, Call::EventsUnsubscribe(_)) {
            self.events = Events::Off;
            let subscribed = false;
            self.push(message::write_answer(
                &id,
                &SubscribeAnswer { subscribed, seq },
            ));
        } else if matches!(call, Call::EventsSubscribe(_)) {
            self.subscribe(Some(id), call, (Origin::Asked, deadline));
        } else {
            self.pending
                .ask(Some(id), call, (self.peer, None), deadline);
        }
    }

    fn subscribe(
        &mut self,
        id: Option<Id>,
        call: Call,
        (origin, deadline): (Origin, Option<Duration>),
    ) {
        let (subscriber, lines) = Subscriber::new(origin);
        self.events = Events::Awaited(lines);
        self.pending
            .ask(id, call, (self.peer, Some(subscriber)), deadline);
    }

    fn settle(&mut self, settled: &Settled) {
        let subscribed =
            matches!(&settled.result, Ok(Answer::Subscribe(answer)) if answer.subscribed);
        match &settled.result {
            Ok(answer) => {
                if let Some(id) = &settled.id {
                    self.push(message::write_answer(id, answer));
                }
            }
            Err(refusal) => {
                if let Some(id) = &settled.id {
                    self.refuse(Some(id), refusal);
                }
            }
        }
        if settled.subscribes {
            self.events = match std::mem::replace(&mut self.events, Events::Off) {
                Events::Awaited(lines) if subscribed => Events::On(lines),
                // A newer subscription is on its way, or an unsubscribe overtook this one.
                Events::On(lines) => Events::On(lines),
                Events::Awaited(_) | Events::Off => Events::Off,
            };
        }
    }

    /// Sends an event on; the end of the queue means that the seat was lost, and a new one is asked for.
    fn relay(&mut self, event: Option<Arc<str>>) {
        if let Some(line) = event {
            self.progress = Instant::now();
            self.out.push_back(Line::Event(line));
            return;
        }
        let call = Call::EventsSubscribe(EventsWanted::default());
        self.subscribe(None, call, (Origin::Lagged, None));
    }

    fn refuse(&mut self, id: Option<&Id>, refusal: &Refusal) {
        self.push(message::write_refusal(id, refusal));
    }

    fn push(&mut self, line: Result<String, serde_json::Error>) {
        match line {
            Ok(line) => {
                if self.answers == 0 {
                    self.progress = Instant::now();
                }
                self.answers += 1;
                self.out.push_back(Line::Answer(line));
            }
            Err(error) => tracing::error!(%error, "failed to write an answer"),
        }
    }

    fn note_sent(&mut self, count: usize) {
        self.progress = Instant::now();
        self.sent += count;
        if self
            .out
            .front()
            .is_some_and(|line| self.sent >= line.bytes().len())
        {
            self.sent = 0;
            if matches!(self.out.pop_front(), Some(Line::Answer(_))) {
                self.answers = self.answers.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
