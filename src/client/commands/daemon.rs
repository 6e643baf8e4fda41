//! `events`, `ping`, `reload`, `shutdown`.
//!
//! About the daemon itself; none of them needs a workspace.

use super::print;
use crate::client::args::Ping;
use crate::client::args::history::Events;
use crate::client::clock::Deadline;
use crate::client::connect::{Arrival, Connection};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::render::daemon as render;
use crate::client::session::Session;
use crate::limits::{ANSWER_TIME_MAX, RECONNECT_PAUSE, RECONNECT_PAUSE_MAX};
use crate::model::id::Seq;
use crate::model::report::{PingAnswer, ReloadAnswer, ShutdownAnswer, SubscribeAnswer};
use crate::wire::call::{Call, EventsWanted, Nothing, Scope};
use std::time::Duration;

pub(super) fn events(session: &mut Session<'_>, args: &Events) -> Result<Exit, Failure> {
    let interrupts = Interrupts::catch_for_readers().map_err(Failure::Wait)?;
    let mut connection = session.connect()?;
    let since = args.since.map(Seq);
    let call = Call::EventsSubscribe(EventsWanted { since });
    let _subscribed: SubscribeAnswer = session.ask(&mut connection, &call)?;
    loop {
        match connection.next(Some(&interrupts), Deadline::never())? {
            Arrival::Event(event) => session.output.line(&event)?,
            Arrival::Interrupted => {
                session.output.end_line()?;
                return Ok(Exit::Done);
            }
            Arrival::TimedOut => {}
        }
    }
}

pub(super) fn ping(session: &mut Session<'_>, args: &Ping) -> Result<Exit, Failure> {
    let deadline = args.wait.map(Deadline::after);
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let mut pause = RECONNECT_PAUSE;
    loop {
        let answered: Result<(Connection, PingAnswer), Failure> =
            session.connect().and_then(|mut c| {
                let patience = deadline.and_then(Deadline::left).unwrap_or(ANSWER_TIME_MAX);
                let answer = c.ask_within(&Call::Ping(Nothing {}), patience, Some(&interrupts))?;
                Ok((c, answer))
            });
        match answered {
            Ok((connection, answer)) => {
                session.note_version(&connection)?;
                print(session, &answer, render::ping)?;
                return Ok(Exit::Done);
            }
            Err(failure) => {
                let is_over = deadline.is_none_or(Deadline::is_over);
                if is_over || Exit::of_failure(&failure) != Exit::NoDaemon {
                    return Err(failure);
                }
            }
        }
        if interrupts
            .sleep(within(pause, deadline))
            .map_err(Failure::Wait)?
        {
            return Err(Failure::Interrupted);
        }
        pause = pause.saturating_mul(2).min(RECONNECT_PAUSE_MAX);
    }
}

pub(super) fn reload(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let workspace = session.named()?;
    let mut connection = session.connect()?;
    let call = Call::Reload(Scope {
        workspace,
        task: None,
    });
    let answer: ReloadAnswer = session.ask(&mut connection, &call)?;
    print(session, &answer, render::reload)?;
    let is_good = answer.workspaces.iter().all(|workspace| workspace.ok);
    Ok(if is_good { Exit::Done } else { Exit::Refused })
}

pub(super) fn shutdown(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    let answer: ShutdownAnswer = session.ask(&mut connection, &Call::Shutdown(Nothing {}))?;
    // Done means gone: whoever starts another one next finds the socket free.
    let patience = Deadline::after(ANSWER_TIME_MAX);
    while let Ok(Arrival::Event(_)) = connection.next(None, patience) {}
    print(session, &answer, render::shutdown)?;
    Ok(Exit::Done)
}

/// A pause that ends with the time that was given for all of them.
fn within(pause: Duration, deadline: Option<Deadline>) -> Duration {
    let left = deadline.and_then(Deadline::left);
    left.map_or(pause, |left| pause.min(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sleeps_longer_than_is_waited() {
        let pause = Duration::from_secs(60);
        assert_eq!(
            within(pause, Some(Deadline::after(Duration::ZERO))),
            Duration::ZERO
        );
        assert!(within(pause, Some(Deadline::after(Duration::from_secs(30)))) < pause);
        assert_eq!(within(pause, None), pause);
        assert_eq!(within(pause, Some(Deadline::never())), pause);
    }
}
