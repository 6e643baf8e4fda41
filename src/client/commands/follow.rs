//! Waits for one run, and prints its result: on a terminal its stages as they end, elsewhere its end alone.
//!
//! Events are subscribed to right before the run is asked for, without waiting in between: the daemon takes both up at
//! once. Where the run's beginning is not among the events, as after a resync, the run itself is asked how it stands,
//! because its end may be among what was missed.

use super::leave::end_hosted;
use super::print;
use crate::client::clock::Deadline;
use crate::client::connect::{Arrival, Connection};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::output::Look;
use crate::client::render::daemon::error;
use crate::client::render::history as render;
use crate::client::render::live::{Focus, Live};
use crate::client::render::mark::short;
use crate::client::render::waiting::{Awaited, follow_or_end};
use crate::client::session::Session;
use crate::client::spinner::Spinner;
use crate::limits::ANSWER_TIME_MAX;
use crate::model::id::RunId;
use crate::model::report::SubscribeAnswer;
use crate::model::report::event::{DropReason, Event, Happening};
use crate::model::report::runs::{RunAnswer, RunDetail};
use crate::model::report::status::{Failure as Failed, LastRun, Status};
use crate::model::run::{RunStatus, UNRECORDED, Verdict};
use crate::wire::call::{Call, EventsWanted, RunNamed, Scope};
use crate::wire::refusal::ErrorKind;

/// A run to wait for: what is said meanwhile, and where it is.
pub(super) struct Waited {
    /// Said to whoever is shown how it goes.
    pub(super) until_begun: Awaited,
    /// Said to whoever is not.
    pub(super) until_ended: Awaited,
    /// Where it is, as far as that was said.
    pub(super) scope: Scope,
}

/// A run that is waited for.
struct Follow<'a, 'b> {
    session: &'a mut Session<'b>,
    connection: &'a mut Connection,
    interrupts: Interrupts,
    scope: Scope,
}

/// Asks for a run, waits until it has ended, and prints its result. `ask` makes the question, with or without waiting
/// for the end.
///
/// Only a terminal is shown how it goes: everybody else is told the end, which saves the daemon and us each event.
pub(super) fn follow(
    session: &mut Session<'_>,
    connection: &mut Connection,
    ask: impl FnOnce(bool) -> Call,
    waited: &Waited,
) -> Result<Exit, Failure> {
    let is_watched = session.output.err_is_terminal();
    let mut follow = Follow {
        session,
        connection,
        interrupts: Interrupts::catch().map_err(Failure::Wait)?,
        scope: waited.scope.clone(),
    };
    let answer = if is_watched {
        follow.watch(&ask(false), &waited.until_begun)
    } else {
        follow.hear(&ask(true), &waited.until_ended)
    };
    let Follow {
        session,
        connection,
        interrupts,
        ..
    } = follow;
    if matches!(answer, Err(Failure::Interrupted)) && connection.is_hosted() {
        end_hosted(session, connection, interrupts)?;
    }
    let answer = answer?;
    let why = |document: &RunAnswer, look: &Look| {
        render::reason(&answer, look) + &render::result(document, look)
    };
    print(session, &answer.without_words(), why)?;
    Ok(Exit::of_verdict(answer.verdict, answer.green))
}

impl Follow<'_, '_> {
    /// Waits for the end alone.
    fn hear(&mut self, call: &Call, awaited: &Awaited) -> Result<RunAnswer, Failure> {
        let mut answer: RunAnswer =
            self.session
                .ask_patiently(self.connection, call, awaited, &self.interrupts)?;
        let unrecorded = answer
            .status_detail
            .take_if(|it| it.starts_with(UNRECORDED));
        if let Some(why) = unrecorded {
            self.tell_unrecorded(why.strip_prefix(UNRECORDED).unwrap_or(&why))?;
        }
        Ok(answer)
    }

    /// Shows the stages as they end.
    fn watch(&mut self, call: &Call, awaited: &Awaited) -> Result<RunAnswer, Failure> {
        let subscribe = Call::EventsSubscribe(EventsWanted::default());
        let subscription = self.connection.begin(&subscribe)?;
        let asked = self.connection.begin(call)?;
        let _subscribed: SubscribeAnswer =
            self.connection
                .answer_within(subscription, ANSWER_TIME_MAX, &self.interrupts)?;
        let answer: RunAnswer =
            self.session
                .wait_patiently(self.connection, asked, awaited, &self.interrupts)?;
        if answer.status.is_terminal() {
            self.look_up(answer)
        } else {
            if answer.status == RunStatus::Queued {
                self.tell_queued(awaited)?;
            }
            self.wait(answer)
        }
    }

    /// Says what the run waits for.
    fn tell_queued(&mut self, awaited: &Awaited) -> Result<(), Failure> {
        let status = self.status();
        Ok(self.session.output.words(&awaited.waits(status.as_ref()))?)
    }

    /// What the daemon says of where the run is.
    fn status(&mut self) -> Option<Status> {
        let scope = self.scope.clone();
        self.connection.status_soon(scope, Some(&self.interrupts))
    }

    fn wait(&mut self, answer: RunAnswer) -> Result<RunAnswer, Failure> {
        let mut live = Live::new(Focus::Run(answer.run_id.clone()));
        let mut spinner = Spinner::new(self.session.output);
        let mut resynced = false;
        let mut has_begun = answer.status != RunStatus::Queued;
        let is_known = |event: &Event| {
            let began =
                matches!(&event.what, Happening::RunStarted(run) if run.run_id == answer.run_id);
            began
                || matches!(&event.what, Happening::RunDropped(run) if run.run_id == answer.run_id)
        };
        if !self.connection.has_event(is_known) {
            let (now, detail) = self.inquire(answer.clone())?;
            if now.status.is_terminal() {
                return Ok(now);
            }
            if let Some(detail) = detail.filter(|_| has_begun) {
                let text = live.join(&detail, &self.session.output.err_look());
                spinner.aside(|| self.session.output.words(&text))?;
                spinner.say(live.activity());
            }
        }
        loop {
            let arrival = self
                .connection
                .next(Some(&self.interrupts), Deadline::never())?;
            let event = match arrival {
                Arrival::Event(event) => event,
                Arrival::TimedOut => continue,
                Arrival::Interrupted => {
                    drop(spinner);
                    return self.let_go(&answer, has_begun);
                }
            };
            if let Happening::RunDropped(dropped) = &event.what
                && dropped.run_id == answer.run_id
            {
                return self.tell_dropped(answer, dropped.reason);
            }
            has_begun |=
                matches!(&event.what, Happening::RunStarted(run) if run.run_id == answer.run_id);
            if let Happening::RunEnded(done) = &event.what
                && done.run_id == answer.run_id
            {
                return Ok(RunAnswer {
                    status: done.status,
                    verdict: done.verdict.of_present(done.void),
                    green: done.green,
                    status_detail: done.status_detail.clone(),
                    failure: done.failure.clone(),
                    unproven: done.unproven,
                    ..answer
                });
            }
            if matches!(event.what, Happening::Snapshot { .. }) && resynced {
                let now = self.look_up(answer.clone())?;
                if now.status.is_terminal() {
                    return Ok(now);
                }
            }
            resynced = matches!(event.what, Happening::Resync);
            self.show(&event, &mut live, &mut spinner)?;
        }
    }

    fn show(
        &mut self,
        event: &Event,
        live: &mut Live,
        spinner: &mut Spinner,
    ) -> Result<(), Failure> {
        let text = live.event(event, &self.session.output.err_look());
        if !text.is_empty() {
            spinner.aside(|| self.session.output.words(&text))?;
        }
        spinner.say(live.activity());
        Ok(())
    }

    /// Asks the run how it stands.
    fn look_up(&mut self, answer: RunAnswer) -> Result<RunAnswer, Failure> {
        Ok(self.inquire(answer)?.0)
    }

    /// Asks the run how it stands; with all there is of it, where there is anything.
    fn inquire(&mut self, answer: RunAnswer) -> Result<(RunAnswer, Option<RunDetail>), Failure> {
        let call = Call::RunGet(RunNamed {
            run_id: answer.run_id.to_string(),
            workspace: None,
        });
        let patience = (ANSWER_TIME_MAX, Some(&self.interrupts));
        let detail: RunDetail = match self.connection.ask_within(&call, patience.0, patience.1) {
            // Ended before it began: it left nothing. Who still wants it hears that only of one that was cancelled.
            Err(Failure::Refused(refusal))
                if matches!(answer.status, RunStatus::Cancelled | RunStatus::Queued)
                    && answer.verdict == Verdict::Unknown
                    && refusal.kind == ErrorKind::UnknownRun =>
            {
                let ended = RunAnswer {
                    status: RunStatus::Cancelled,
                    ..answer
                };
                return Ok((ended, None));
            }
            Err(Failure::Refused(refusal))
                if answer.status.is_terminal()
                    && matches!(refusal.kind, ErrorKind::UnknownRun | ErrorKind::Internal) =>
            {
                let last = self.last(&answer.run_id);
                let why = last.and_then(|(last, _)| last.status_detail);
                let why = why.unwrap_or_default();
                self.tell_unrecorded(why.strip_prefix(UNRECORDED).unwrap_or(&why))?;
                return Ok((answer, None));
            }
            found => found?,
        };
        // What could not be recorded is an error, whatever the files say that were written before.
        let verdict = if answer.verdict == Verdict::Error {
            Verdict::Error
        } else {
            detail.record.verdict.of_present(detail.void.is_some())
        };
        let failure = self.last(&answer.run_id).and_then(|(_, failure)| failure);
        let answer = RunAnswer {
            status: detail.record.status,
            verdict,
            green: detail.green.or(answer.green),
            status_detail: detail.status_detail.clone(),
            failure,
            unproven: detail.unproven(),
            ..answer
        };
        Ok((answer, Some(detail)))
    }

    /// Says why a run left no evidence, as far as the daemon remembers it.
    fn tell_unrecorded(&mut self, why: &str) -> Result<(), Failure> {
        let said = format!("the evidence of the run could not be put on disk\n{why}");
        let text = error(&said, None, &self.session.output.err_look());
        Ok(self.session.output.words(&text)?)
    }

    /// The run never begins: whoever ended it has done so, and any other reason the daemon tells.
    fn tell_dropped(
        &mut self,
        answer: RunAnswer,
        reason: DropReason,
    ) -> Result<RunAnswer, Failure> {
        let ended = RunAnswer {
            status: RunStatus::Cancelled,
            ..answer
        };
        match reason {
            DropReason::Cancelled => Ok(ended),
            DropReason::Withdrawn | DropReason::Refused => self.look_up(RunAnswer {
                status: RunStatus::Queued,
                ..ended
            }),
        }
    }

    /// What the daemon says of a run while it is the last one of its project.
    fn last(&mut self, run: &RunId) -> Option<(LastRun, Option<Failed>)> {
        let workspaces = self.status()?.workspaces.into_iter();
        let mut projects = workspaces.flat_map(|it| it.projects);
        projects.find_map(|it| {
            let last = it.last_run.filter(|last| last.run_id == *run)?;
            Some((last, it.failure))
        })
    }

    /// ^C: a daemon's run goes on without us if it has begun; one of this process is ended by whoever asked.
    fn let_go(&mut self, answer: &RunAnswer, has_begun: bool) -> Result<RunAnswer, Failure> {
        if !self.connection.is_hosted() {
            let id = short(&answer.run_id);
            let text = if has_begun {
                format!("\nRun {id} goes on. {}\n", follow_or_end(id))
            } else {
                format!("\nRun {id} has not begun, and is run only if somebody else wants it.\n")
            };
            self.session.output.words(&text)?;
        }
        Err(Failure::Interrupted)
    }
}
