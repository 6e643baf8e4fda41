//! The only loop of the program: every source becomes an input, every effect is carried out.
//!
//! It decides nothing about runs or verdicts. Inputs that come of carrying out an effect wait in a queue, so that a step
//! is never taken inside another.

use crate::daemon::alarm::Alarm;
use crate::daemon::auditing::Auditing;
use crate::daemon::clock::{Clock, Sleep};
use crate::daemon::errands::Errands;
use crate::daemon::evidence::Owner;
use crate::daemon::lifecycle::logging::LossCounter;
use crate::daemon::lifecycle::signals::Signal;
use crate::daemon::message::Done;
use crate::daemon::mutexes::Mutexes;
use crate::daemon::registry::Registry;
use crate::daemon::revival::Revival;
use crate::daemon::runner::Stopper;
use crate::daemon::server::feed::Feed;
use crate::daemon::server::{About, Hold, Incoming};
use crate::daemon::site::Site;
use crate::daemon::trust::TrustStore;
use crate::daemon::waiting::Waiting;
use crate::daemon::watcher::Watcher;
use crate::engine::{Engine, Input};
use crate::limits::{HEARTBEAT, INPUTS_MAX};
use crate::model::evidence::Layout;
use crate::model::id::{RequestId, RunId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::time::Tick;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, JoinSet};

/// What the loop has hold of.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) engine: Engine,
    pub(super) inputs: VecDeque<Input>,
    pub(super) clock: Clock,
    sleep: Sleep,
    pub(super) state: PathBuf,
    pub(super) owner: Owner,
    pub(super) about: Arc<About>,
    pub(super) sites: BTreeMap<WorkspaceId, Site>,
    pub(super) next_site: WorkspaceId,
    /// How each workspace and its files are called; kept for a moment when it goes, because its last events name it.
    pub(super) names: BTreeMap<WorkspaceId, (RootPath, Layout)>,
    /// Workspaces that are gone, and whose last events are being told.
    pub(super) gone: Vec<WorkspaceId>,
    pub(super) watcher: Watcher,
    pub(super) revival: Revival,
    pub(super) auditing: Auditing,
    wake: Arc<Notify>,
    pub(super) registry: Registry,
    pub(super) trust: TrustStore,
    pub(super) errands: Errands,
    pub(super) feed: Feed,
    pub(super) waiting: BTreeMap<RequestId, Waiting>,
    /// Those who were answered, and whose run waits for its turn only as long as they are there.
    pub(super) attended: BTreeMap<RequestId, Hold>,
    pub(super) stoppers: BTreeMap<(RunId, usize), Stopper>,
    pub(super) mutexes: Mutexes,
    pub(super) children: JoinSet<()>,
    pub(super) out: mpsc::Sender<Done>,
    done: mpsc::Receiver<Done>,
    heartbeat_at: Tick,
    /// When it is looked whether those who wait are still there.
    pub(super) sweep_at: Option<Tick>,
    pub(super) tenancy: Tenancy,
    /// Whether anybody was answered: who asks from then on asks of what is there then.
    pub(super) has_answered: bool,
    /// What its log has lost; none where it has no log of its own.
    pub(super) log: Option<LossCounter>,
    pub(super) exiting: bool,
}

/// What the loop was woken by.
enum Woken {
    Told(Option<Signal>),
    Heard(Option<Incoming>),
    Done(Done),
    Doubts,
    Due,
    Child(Result<(), JoinError>),
}

/// For whom a shell works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenancy {
    /// For everybody who connects, with the registered workspaces.
    Daemon,
    /// For one request of its own process, with the one workspace that it names; nothing runs by itself.
    Hosted,
}

/// What a shell is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) state: PathBuf,
    pub(super) about: Arc<About>,
    pub(super) watcher: Watcher,
    pub(super) wake: Arc<Notify>,
    pub(super) registry: Registry,
    pub(super) trust: TrustStore,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) tenancy: Tenancy,
    /// The directory of the locks that this user's processes share.
    pub(super) mutexes: PathBuf,
}

impl Shell {
    pub(super) fn new(parts: Parts) -> Self {
        let (out, done) = mpsc::channel(INPUTS_MAX);
        let cores = std::thread::available_parallelism().ok();
        let cores = cores.and_then(|cores| u32::try_from(cores.get()).ok());
        let cores = cores
            .and_then(std::num::NonZeroU32::new)
            .unwrap_or(std::num::NonZeroU32::MIN);
        let mut sleep = Sleep::default();
        sleep.note(parts.clock.ahead_ns());
        Self {
            engine: Engine::new(parts.seed, cores),
            inputs: VecDeque::new(),
            owner: Owner::current(&parts.about.instance_id),
            clock: parts.clock,
            sleep,
            state: parts.state,
            about: parts.about,
            sites: BTreeMap::new(),
            next_site: WorkspaceId(1),
            names: BTreeMap::new(),
            gone: Vec::new(),
            watcher: parts.watcher,
            revival: Revival::default(),
            auditing: Auditing::default(),
            wake: parts.wake,
            registry: parts.registry,
            trust: parts.trust,
            errands: Errands::default(),
            feed: Feed::new(),
            waiting: BTreeMap::new(),
            attended: BTreeMap::new(),
            stoppers: BTreeMap::new(),
            mutexes: Mutexes::new(parts.mutexes),
            children: JoinSet::new(),
            out,
            done,
            heartbeat_at: Tick::default().after(HEARTBEAT),
            sweep_at: None,
            tenancy: parts.tenancy,
            has_answered: false,
            log: None,
            exiting: false,
        }
    }

    /// Serves until everything has been recorded after an end was asked for.
    pub(super) async fn run(
        &mut self,
        incoming: &mut mpsc::Receiver<Incoming>,
        mut signals: impl AsyncFnMut() -> Option<Signal>,
    ) {
        let wake = Arc::clone(&self.wake);
        let mut alarm = Alarm::new();
        let mut ends = 0_u32;
        let mut connected = true;
        while !self.is_over() {
            self.settle();
            if self.is_over() {
                break;
            }
            let (clock, due) = (self.clock, self.next_due());
            let woken = tokio::select! {
                signal = signals() => Woken::Told(signal),
                // A queue whose senders are gone may still hold what they sent: only its own end says that it is empty.
                message = incoming.recv(), if connected => Woken::Heard(message),
                Some(done) = self.done.recv() => Woken::Done(done),
                () = wake.notified() => Woken::Doubts,
                () = alarm.ring(clock, due) => Woken::Due,
                Some(ended) = self.children.join_next() => Woken::Child(ended),
            };
            // First: no question is answered with what was known before a sleep.
            self.note_sleep(self.clock.ahead_ns());
            self.mind_trust();
            match woken {
                Woken::Told(Some(Signal::Drain) | None) => {
                    ends = ends.saturating_add(1);
                    self.stop(ends > 1);
                }
                Woken::Told(Some(Signal::End)) => self.stop(true),
                Woken::Told(Some(Signal::Urge)) => self.kill_stages(),
                Woken::Told(Some(Signal::Reload)) => self.reload_all(),
                Woken::Told(Some(Signal::Dump)) => self.dump(),
                Woken::Heard(Some(Incoming::Asked(asked))) => self.hear(asked),
                Woken::Heard(Some(Incoming::Gone(request))) => self.forget_request(request),
                Woken::Heard(Some(Incoming::Evicted)) => self.stop(false),
                Woken::Heard(None) => {
                    connected = false;
                    self.stop(false);
                }
                Woken::Done(done) => self.take(done),
                Woken::Doubts => self.examine_doubts(),
                Woken::Due => self.pass_time(),
                Woken::Child(Err(error)) if error.is_panic() => {
                    std::panic::resume_unwind(error.into_panic());
                }
                Woken::Child(_) => {}
            }
        }
        self.keep_at_end().await;
    }

    /// While the machine slept, others may have changed what it watches: no event tells of that.
    fn note_sleep(&mut self, ahead_ns: i64) {
        let Some(slept) = self.sleep.note(ahead_ns) else {
            return;
        };
        tracing::info!(
            ?slept,
            "the machine has slept: everything is looked at again"
        );
        self.watcher.lose_everything();
        self.examine_doubts();
        self.settle();
    }

    fn is_over(&self) -> bool {
        self.exiting && self.errands.is_idle() && self.sites.values().all(Site::is_idle)
    }

    /// Ends what runs and then the loop; `now` gives running stages no grace.
    pub(super) fn stop(&mut self, now: bool) {
        self.inputs.push_back(Input::Stopping);
        if now {
            self.settle();
            self.kill_stages();
        }
    }

    fn kill_stages(&self) {
        for stopper in self.stoppers.values() {
            stopper.stop(crate::daemon::runner::Stop::Kill);
        }
    }

    /// Takes every step that waits, carries out what comes of it, and gives away the work.
    pub(super) fn settle(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            tracing::trace!(?input, "input");
            let effects = self.engine.step(self.clock.now(), input);
            effects
                .into_iter()
                .for_each(|effect| self.carry_out(effect));
        }
        for id in std::mem::take(&mut self.gone) {
            self.names.remove(&id);
        }
        self.keep_some();
        self.lend_out();
    }

    fn lend_out(&mut self) {
        let tick = self.clock.tick();
        let exiting = self.exiting;
        for (id, site) in &mut self.sites {
            let id = *id;
            site.flush(id, tick, exiting, self.clock);
            site.get_ready();
            if let Some(tree) = &mut site.tree {
                tree.lend(&self.out, move |tree| Done::tree_back(id, tree));
            }
            if let Some(desk) = &mut site.desk {
                desk.lend(&self.out, move |desk| Done::desk_back(id, desk));
            }
            let back = move |outputs| Done::outputs_back(id, outputs);
            site.outputs.lend(&self.out, back);
        }
    }

    fn next_due(&self) -> Tick {
        let sites = self.sites.values();
        let sites = sites.flat_map(|site| {
            [
                site.flush_due(),
                site.look_at,
                site.pace.due(),
                site.git_at,
                site.recheck_at,
            ]
        });
        let times = sites.flatten().chain(self.engine.next_wake());
        let times = times.chain(self.parked_until());
        let times = times.chain(self.errands.mend_at).chain(self.revival.at);
        let times = times.chain(self.audit_due());
        let times = times.chain(self.sweep_at.filter(|_| self.has_askers()));
        let beats = self.engine.runs().next().map(|_| self.heartbeat_at);
        // Nothing is due for a day where nothing is due at all.
        let never = self.clock.tick().after(crate::limits::IDLE_WAIT_MAX);
        times.chain(beats).min().unwrap_or(never).min(never)
    }

    fn pass_time(&mut self) {
        let tick = self.clock.tick();
        if self.engine.next_wake().is_some_and(|at| at <= tick) {
            let unsure = self.unsure();
            self.inputs.push_back(Input::Woke { unsure });
        }
        if self.heartbeat_at <= tick {
            self.heartbeat_at = tick.after(HEARTBEAT);
            self.beat();
        }
        let due: Vec<WorkspaceId> = self
            .sites
            .iter()
            .filter(|(_, site)| site.look_at.is_some_and(|at| at <= tick))
            .map(|(id, _)| *id)
            .collect();
        due.into_iter().for_each(|id| self.look_again(id));
        let paced = self.sites.values_mut();
        if paced
            .filter_map(|site| site.pace.take_due(tick).then_some(()))
            .count()
            > 0
        {
            self.examine_doubts();
        }
        self.look_for_git(tick);
        self.recheck_due(tick);
        self.end_parking(tick);
        self.mend_due(tick);
        self.revive_due(tick);
        self.audit(tick);
        self.sweep(tick);
    }

    fn dump(&self) {
        let status = self.status(&crate::wire::call::Scope::default());
        match serde_json::to_string(&status) {
            Ok(text) => tracing::info!(state = %text, waiting = self.waiting.len(), "state dump"),
            Err(error) => tracing::error!(%error, "failed to write the state dump"),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
