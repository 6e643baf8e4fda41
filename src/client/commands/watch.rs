//! `watch`: the main job in one command, until ^C.
//!
//! The daemon does the watching; this only starts one if none answers, adds the directory, asks whether its commands may
//! run, and shows what happens. When the daemon goes away it says so and looks for it for a while.

use super::workspace::{allowing, ask_allow, register};
use crate::client::args::workspace::Watch;
use crate::client::autostart;
use crate::client::clock::Deadline;
use crate::client::connect::{Arrival, Connection};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::output::Look;
use crate::client::render::live::{Focus, Live};
use crate::client::render::{status as render_status, workspace as render};
use crate::client::session::Session;
use crate::client::spinner::Spinner;
use crate::limits::{
    RECONNECT_PAUSE, RECONNECT_PAUSE_MAX, RECONNECT_TIME_MAX, SCOPE_TIME_MAX, SUBPIPELINE_DEPTH_MAX,
};
use crate::model::id::RunId;
use crate::model::path::RootPath;
use crate::model::report::SubscribeAnswer;
use crate::model::report::event::{Event, Happening};
use crate::model::report::runs::RunDetail;
use crate::model::report::status::WorkspaceState;
use crate::model::run::StageStatus;
use crate::wire::call::{Call, EventsWanted, RunNamed};
use std::io::{self, BufRead as _, IsTerminal as _};

pub(super) fn watch(session: &mut Session<'_>, args: &Watch) -> Result<Exit, Failure> {
    let root = session.directory(args.dir.as_deref())?;
    let mut connection = connect_or_start(session)?;
    let interrupts = Interrupts::catch_for_readers().map_err(Failure::Wait)?;
    let entry = register(session, &mut connection, &root, false, &interrupts)?;
    if entry.state == WorkspaceState::Untrusted {
        let text = format!("Added {root}\n");
        session.output.words(&text)?;
        if !may_run(session, &mut connection, &root, &interrupts, args.yes)? {
            return Ok(Exit::Refused);
        }
    } else {
        let text = render::workspace(&entry, &session.output.err_look());
        session.output.words(&text)?;
    }
    let mut live = Live::new(Focus::Workspace(root.clone()));
    loop {
        let lost = match show(session, &mut connection, &interrupts, &mut live, &root) {
            Ok(exit) => return Ok(exit),
            Err(failure) if Exit::of_failure(&failure) == Exit::NoDaemon => failure,
            Err(failure) => return Err(failure),
        };
        session
            .output
            .words("The daemon went away. Looking for it…\n")?;
        match reconnect(session, &interrupts)? {
            Found::Daemon(found) => connection = *found,
            Found::Interrupt => return Ok(Exit::Done),
            Found::Nobody => return Err(lost),
        }
        session.output.words("The daemon is back.\n")?;
    }
}

fn connect_or_start(session: &mut Session<'_>) -> Result<Connection, Failure> {
    let refused = match session.connect() {
        Err(refused @ Failure::NoDaemon { .. }) => refused,
        connected => return connected,
    };
    if autostart::is_forbidden() {
        return Err(refused);
    }
    let socket = session.places.socket.clone();
    let started = autostart::start(&socket, session.output);
    // Two that start at once: the one that gave up finds the other's daemon.
    session
        .connect()
        .or_else(|refused| started.and(Err(refused)))
}

/// Shows the commands and asks; whether they may run now.
fn may_run(
    session: &mut Session<'_>,
    connection: &mut Connection,
    root: &RootPath,
    interrupts: &Interrupts,
    yes: bool,
) -> Result<bool, Failure> {
    let shown = ask_allow(session, connection, allowing(root, None, true), interrupts)?;
    let text = render::commands(&shown, &session.output.err_look());
    session.output.words(&text)?;
    if !yes && !agrees(session, root, interrupts)? {
        let text = "Nothing runs. Allow them later with `orchctl allow`.\n";
        session.output.words(text)?;
        return Ok(false);
    }
    let wanted = allowing(root, Some(shown.digest), false);
    ask_allow(session, connection, wanted, interrupts)?;
    Ok(true)
}

fn agrees(
    session: &mut Session<'_>,
    root: &RootPath,
    interrupts: &Interrupts,
) -> Result<bool, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let root = root.as_path().to_path_buf();
        return Err(Failure::NotAllowed { root });
    }
    session
        .output
        .words("Let them run on this machine? [y/N] ")?;
    // A terminal has something to read once a line is whole.
    if interrupts.wait_for_input(&stdin).map_err(Failure::Wait)? {
        session.output.words("\n")?;
        return Err(Failure::Interrupted);
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(Failure::Wait)?;
    let word = line.trim();
    Ok(word.eq_ignore_ascii_case("y") || word.eq_ignore_ascii_case("yes"))
}

/// Shows events until ^C, and first what is under way.
fn show(
    session: &mut Session<'_>,
    connection: &mut Connection,
    interrupts: &Interrupts,
    live: &mut Live,
    root: &RootPath,
) -> Result<Exit, Failure> {
    let call = Call::EventsSubscribe(EventsWanted::default());
    let _subscribed: SubscribeAnswer = session.ask(connection, &call)?;
    let mut spinner = Spinner::new(session.output);
    loop {
        match connection.next(Some(interrupts), Deadline::never())? {
            Arrival::Event(event) if session.output.json() => session.output.line(&event)?,
            Arrival::Event(event) => {
                let joined = show_event(session, &event, live, &mut spinner, root)?;
                for run in joined {
                    let look = session.output.look();
                    let text = join(connection, interrupts, live, (run, &look));
                    spinner.aside(|| session.output.text(&text))?;
                }
                spinner.say(live.activity());
            }
            Arrival::Interrupted => {
                drop(spinner);
                session.output.end_line()?;
                return Ok(Exit::Done);
            }
            Arrival::TimedOut => {}
        }
    }
}

/// Takes up a run that is under way with its child runs, and says what it is, unless that was said before.
fn join(
    connection: &mut Connection,
    interrupts: &Interrupts,
    live: &mut Live,
    (run, look): (RunId, &Look),
) -> String {
    let mut next = Some(run);
    let mut text = String::new();
    for _ in 0..=SUBPIPELINE_DEPTH_MAX {
        let Some(run) = next else { break };
        let call = Call::RunGet(RunNamed {
            run_id: run.to_string(),
            workspace: None,
        });
        // What cannot be told now, because it has only just begun or has gone, its own events tell.
        let Ok(run) = connection.ask_within::<RunDetail>(&call, SCOPE_TIME_MAX, Some(interrupts))
        else {
            break;
        };
        text.push_str(&live.join(&run, look));
        let mut stages = run.stages.into_iter();
        let under_way = stages.find(|stage| stage.status == StageStatus::Running);
        next = under_way.and_then(|stage| stage.sub_run_id);
    }
    text
}

/// Shows one event; says which runs are under way that were not told of yet.
fn show_event(
    session: &mut Session<'_>,
    event: &Event,
    live: &mut Live,
    spinner: &mut Spinner,
    root: &RootPath,
) -> Result<Vec<RunId>, Failure> {
    let look = session.output.look();
    let mut joined = Vec::new();
    let text = if let Happening::Snapshot { status } = &event.what {
        joined = live.reset(status);
        let own = status
            .workspaces
            .iter()
            .filter(|workspace| &workspace.root == root);
        own.map(|workspace| render_status::workspace_lines(workspace, &look))
            .collect()
    } else {
        live.event(event, &look)
    };
    if !text.is_empty() {
        spinner.aside(|| session.output.text(&text))?;
    }
    Ok(joined)
}

enum Found {
    Daemon(Box<Connection>),
    Interrupt,
    Nobody,
}

fn reconnect(session: &Session<'_>, interrupts: &Interrupts) -> Result<Found, Failure> {
    let deadline = Deadline::after(RECONNECT_TIME_MAX);
    let mut pause = RECONNECT_PAUSE;
    while !deadline.is_over() {
        match session.connect() {
            Ok(connection) => return Ok(Found::Daemon(Box::new(connection))),
            Err(Failure::NoDaemon { .. }) => {}
            Err(failure) => return Err(failure),
        }
        if interrupts.sleep(pause).map_err(Failure::Wait)? {
            return Ok(Found::Interrupt);
        }
        pause = pause.saturating_mul(2).min(RECONNECT_PAUSE_MAX);
    }
    Ok(Found::Nobody)
}
