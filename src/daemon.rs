//! The shell: the only loop of the program, and everything that it reaches out with.
//!
//! `lifecycle` makes a process a daemon, `server` is its socket.

pub mod clock;
pub mod configuration;
pub mod durable;
pub mod evidence;
pub mod index;
pub mod leftovers;
pub mod lifecycle;
pub mod log;
pub mod process;
pub mod registry;
pub mod retention;
pub mod runner;
pub mod server;
mod store;
pub mod tree;
pub mod trust;
pub mod watcher;

use crate::daemon::lifecycle::Started;
use crate::daemon::lifecycle::signals::Signal;
use crate::daemon::server::feed::Feed;
use crate::daemon::server::{About, Asked, Hub, Incoming};
use crate::model::report::event::{Event, Happening};
use crate::model::report::status::{DaemonStatus, Status};
use crate::model::report::{ShutdownAnswer, SubscribeAnswer, WorkspaceList};
use crate::model::time::Timestamp;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Serves until somebody ends it.
pub async fn run(started: Started) {
    let Started {
        places: _places,
        listener,
        mut signals,
        ready,
        about,
        logs: _logs,
    } = started;
    let (hub, mut incoming) = Hub::new(Arc::clone(&about));
    let mut feed = Feed::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.serve(hub));
    ready.ready();
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Some(Signal::Drain | Signal::End) | None => break,
                Some(Signal::Reload | Signal::Dump) => {}
            },
            message = incoming.recv() => match message {
                Some(Incoming::Asked(asked)) => if answer(asked, &about, &mut feed) { break },
                Some(Incoming::Gone(_)) => {}
                Some(Incoming::Evicted) | None => break,
            },
        }
    }
    drop((feed, incoming));
    tasks.join_all().await;
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an empty daemon has no workspace to answer about"
)]
/// Answers one question of an empty daemon; says whether it was the last.
fn answer(asked: Asked, about: &About, feed: &mut Feed) -> bool {
    let Asked {
        call,
        answer,
        subscriber,
        ..
    } = asked;
    let last = matches!(call, Call::Shutdown(_));
    let result: Result<Answer, Refusal> = match call {
        Call::Status(_) => Ok(status(about).into()),
        Call::WorkspaceList(_) => Ok(WorkspaceList {
            workspaces: Vec::new(),
        }
        .into()),
        Call::Shutdown(_) => Ok(ShutdownAnswer {
            pid: about.pid,
            runs: Vec::new(),
        }
        .into()),
        Call::EventsSubscribe(_) => {
            if let Some(subscriber) = subscriber {
                feed.subscribe(subscriber, about.seq(), || Event {
                    seq: about.seq(),
                    at: Timestamp::from_unix_ms(jiff::Timestamp::now().as_millisecond()),
                    what: Happening::Snapshot {
                        status: Box::new(status(about)),
                    },
                });
            }
            Ok(SubscribeAnswer {
                subscribed: true,
                seq: about.seq(),
            }
            .into())
        }
        call => Err(Refusal::new(
            ErrorKind::UnknownWorkspace,
            format!("`{}` found no workspace", call.method()),
        )),
    };
    // Nobody waits any more: then nobody misses it.
    drop(answer.send(result));
    last
}

fn status(about: &About) -> Status {
    Status {
        daemon: DaemonStatus {
            pid: about.pid,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: about.instance_id.clone(),
            uptime_ms: about.uptime_ms(),
            seq: about.seq(),
            rss_bytes: 0,
            watches: 0,
        },
        workspaces: Vec::new(),
    }
}
