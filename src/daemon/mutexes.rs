//! Mutexes that stages name, held against every other process of this user; the engine says which and when.
//!
//! ```text
//! want ──▶ a task looks every MUTEX_LOOK_PAUSE ──taken──▶ held ──leave──▶ let go
//!             │ another process: told, each time it is another one
//!             └──leave──▶ ended; what it takes all the same is let go at once
//! ```
//!
//! Looks are made by the blocking pool, because a file system may hang; between them nobody waits in a thread. Claims
//! are numbered, so that what comes of one that was left is not taken for the next one's.

pub mod lock;

use crate::daemon::chain::chain;
use crate::daemon::message::{Done, What};
use crate::daemon::shell::Shell;
use crate::daemon::stage::runs_around;
use crate::engine::Input;
use crate::limits::MUTEX_LOOK_PAUSE;
use lock::{Guard, Lock, MutexError, Tried, Try};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

/// What a stage has of the mutex that it names.
#[derive(Clone, Debug)]
pub enum Hold {
    /// It names none.
    Needless,
    /// It is held; the stage keeps it as long as it lives, should its daemon die.
    Held(Guard),
    /// It cannot be held, for this reason: the stage must not run.
    Refused(String),
}

/// What a look at a mutex has found.
#[derive(Debug)]
pub(super) struct MutexLook {
    /// On which claim of it.
    claim: u64,
    mutex: String,
    /// What became of it, or why nobody can take it.
    tried: Result<Tried, MutexError>,
}

/// The mutexes that were asked for.
#[derive(Debug)]
pub(super) struct Mutexes {
    shelf: PathBuf,
    claims: u64,
    /// By mutex the claim, and what ends its task when it is dropped.
    wanted: BTreeMap<String, (u64, oneshot::Sender<()>)>,
    held: BTreeMap<String, Result<Lock, String>>,
}

impl Mutexes {
    pub(super) fn new(shelf: PathBuf) -> Self {
        Self {
            shelf,
            claims: 0,
            wanted: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// What there is of a mutex for a stage that starts.
    pub(super) fn hold_of(&self, mutex: Option<&str>) -> Hold {
        let Some(mutex) = mutex else {
            return Hold::Needless;
        };
        match self.held.get(mutex) {
            Some(Ok(lock)) => Hold::Held(lock.guard()),
            Some(Err(why)) => Hold::Refused(why.clone()),
            None => Hold::Refused("nobody has asked for it".to_owned()),
        }
    }

    /// Lets go of a mutex, or has nobody look for it any more.
    pub(super) fn leave(&mut self, mutex: &str) {
        self.wanted.remove(mutex);
        self.held.remove(mutex);
    }
}

impl Shell {
    pub(super) fn want_mutex(&mut self, mutex: String) {
        let mut around = runs_around(self.tenancy).into_iter();
        if let Some(outer) = around.find(|run| run.mutex.as_ref() == Some(&mutex)) {
            let why = format!(
                "a stage of run {} holds `{mutex}` and waits for this command, which would wait for that stage",
                outer.run_id
            );
            self.mutexes.held.insert(mutex.clone(), Err(why));
            return self.inputs.push_back(Input::MutexTaken { mutex });
        }
        self.mutexes.claims += 1;
        let claim = self.mutexes.claims;
        let (here, left) = oneshot::channel();
        self.mutexes.wanted.insert(mutex.clone(), (claim, here));
        let attempt = Try::new(self.mutexes.shelf.clone(), mutex.clone());
        // It is about all of them.
        let workspace = self.next_site;
        let out = self.out.clone();
        let tell = move |tried| Done {
            workspace,
            what: What::Mutex(MutexLook {
                claim,
                mutex: mutex.clone(),
                tried,
            }),
        };
        self.children.spawn(look_out(attempt, left, tell, out));
    }

    pub(super) fn take_mutex(&mut self, look: MutexLook) {
        let MutexLook {
            claim,
            mutex,
            tried,
        } = look;
        let wanted = self.mutexes.wanted.get(&mutex);
        if wanted.is_none_or(|(own, _)| *own != claim) {
            // It was left; what was taken is let go of with this.
            return;
        }
        let held = match tried {
            Ok(Tried::Busy(holder)) => {
                return self.inputs.push_back(Input::MutexBusy { mutex, holder });
            }
            Ok(Tried::Taken(lock)) => Ok(lock),
            Err(error) => {
                let why = chain(&error);
                tracing::warn!(mutex, error = %why, "a mutex cannot be taken: no stage that names it is run");
                Err(why)
            }
        };
        self.mutexes.wanted.remove(&mutex);
        self.mutexes.held.insert(mutex.clone(), held);
        self.inputs.push_back(Input::MutexTaken { mutex });
    }
}

/// Looks for a mutex until it is taken, or nobody wants it any more.
async fn look_out(
    mut attempt: Try,
    mut left: oneshot::Receiver<()>,
    tell: impl Fn(Result<Tried, MutexError>) -> Done,
    out: mpsc::Sender<Done>,
) {
    let mut told = None;
    loop {
        let look = tokio::task::spawn_blocking(move || {
            let tried = attempt.look();
            (attempt, tried)
        });
        // A pool that is being closed runs nothing any more.
        let Ok((again, tried)) = look.await else {
            return;
        };
        attempt = again;
        let is_news = match &tried {
            Ok(Tried::Busy(holder)) => told.replace(holder.clone()).as_ref() != Some(holder),
            Ok(Tried::Taken(_)) | Err(_) => true,
        };
        let goes_on = matches!(tried, Ok(Tried::Busy(_)));
        // The loop that does not hear it has ended.
        if is_news && out.send(tell(tried)).await.is_err() || !goes_on {
            return;
        }
        tokio::select! {
            _ = &mut left => return,
            () = tokio::time::sleep(MUTEX_LOOK_PAUSE) => {}
        }
    }
}
