//! Changes of what is registered and allowed: made outside of the loop, one at a time, in the order they were asked for.
//!
//! A change waits for a lock and for a disk. The loop goes on meanwhile with what it knows, and takes the change over
//! once it is durable; only then is it answered. After a change that failed, what is on disk is read again and taken over
//! instead, so that the loop never knows anything else. A question is judged when its turn comes, not when it is heard:
//! whoever adds and removes in one breath gets both.
//!
//! The loop itself waits for no lock: where it meets a damaged file whose lock another program keeps, the file is written
//! anew here, and tried again until that has been done.

use crate::daemon::chain::chain;
use crate::daemon::message::{Done, What};
use crate::daemon::permission::unstored;
use crate::daemon::registry::Registry;
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::sites::begin_add;
use crate::daemon::trust::TrustStore;
use crate::daemon::waiting::Purpose;
use crate::engine::ask::Denied;
use crate::limits::STATE_AGAIN;
use crate::model::id::{RequestId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::AllowAnswer;
use crate::model::time::{Tick, Timestamp};
use crate::wire::call::{WorkspaceAdd, WorkspaceAllow};
use crate::wire::refusal::{ErrorKind, Refusal};
use std::collections::{BTreeMap, VecDeque};

/// A change that somebody asks for.
#[derive(Debug)]
pub(super) enum Errand {
    /// A directory whose real path has been looked up is registered.
    Add { asked: Asked, add: WorkspaceAdd },
    /// A workspace is taken out.
    Remove { asked: Asked, root: RootPath },
    /// What is allowed for a workspace is taken back.
    Deny { asked: Asked, root: RootPath },
    /// The commands that a workspace has now are allowed: those that were shown, or as the workspace was added.
    Allow {
        id: WorkspaceId,
        request: RequestId,
        shown: Option<Box<WorkspaceAllow>>,
    },
    /// What is damaged of the files is written anew.
    Mend,
}

/// A change whose turn has come: what is to be done once it is durable.
#[derive(Debug)]
pub(super) enum Underway {
    Adding(Asked, WorkspaceAdd),
    Removing(Asked, WorkspaceId),
    Denying(Asked, WorkspaceId),
    /// With the answer, where the commands were shown.
    Allowing(WorkspaceId, RequestId, Option<Box<AllowAnswer>>),
    Mending,
}

/// What is registered and allowed, and its files.
#[derive(Clone, Debug)]
pub(super) struct Books {
    pub(super) registry: Registry,
    pub(super) trust: TrustStore,
}

/// Makes a change, durably; says whether it made a difference. Blocks.
pub(super) type Act = Box<dyn FnOnce(&mut Books, Timestamp) -> Result<bool, Refusal> + Send>;

/// A change that was tried.
#[derive(Debug)]
pub(super) struct Tried {
    underway: Underway,
    books: Books,
    result: Result<bool, Refusal>,
}

/// The changes that wait for their turn, and whether one is being made.
#[derive(Debug, Default)]
pub(super) struct Errands {
    waiting: VecDeque<Errand>,
    away: bool,
    /// Files are damaged that could not be written anew yet.
    mending: bool,
    /// When that is tried again.
    pub(super) mend_at: Option<Tick>,
}

impl Errands {
    /// Whether nothing is being changed or waits for it.
    pub(super) fn is_idle(&self) -> bool {
        !self.away && self.waiting.is_empty()
    }
}

impl Shell {
    /// Has a change made once those before it are.
    pub(super) fn send_on(&mut self, errand: Errand) {
        self.errands.waiting.push_back(errand);
        self.next_errand();
    }

    fn next_errand(&mut self) {
        while !self.errands.away {
            let Some(errand) = self.errands.waiting.pop_front() else {
                return;
            };
            if let Some((underway, act)) = self.begin_errand(errand) {
                self.make(underway, act);
            }
        }
    }

    /// Judges a question whose turn has come; nothing where it is answered by that, or nobody asks any more.
    fn begin_errand(&mut self, errand: Errand) -> Option<(Underway, Act)> {
        match errand {
            Errand::Add { asked, .. }
            | Errand::Remove { asked, .. }
            | Errand::Deny { asked, .. }
                if asked.answer.is_closed() =>
            {
                None
            }
            // The end waits for the change that is being made, and for no further one.
            Errand::Add { asked, .. }
            | Errand::Remove { asked, .. }
            | Errand::Deny { asked, .. }
                if self.exiting =>
            {
                self.answer_now(asked, |_| Err(ending()));
                None
            }
            Errand::Allow { id, request, .. } if self.exiting => {
                self.answer(request, Err(self.ending_for(id, request)));
                None
            }
            Errand::Add { asked, add } => Some(begin_add(asked, add)),
            Errand::Remove { asked, root } => self.begin_remove(asked, &root),
            Errand::Deny { asked, root } => self.begin_deny(asked, &root),
            Errand::Allow { request, .. } if !self.waiting.contains_key(&request) => None,
            Errand::Allow { id, request, shown } => self.begin_allow(id, request, shown.as_deref()),
            // At the end, too: what this daemon knows, and a damaged file does not, would go with it.
            Errand::Mend => Some((Underway::Mending, Box::new(Books::mend))),
        }
    }

    /// Has damaged files written anew once another program lets go of their lock.
    pub(super) fn mend_later(&mut self) {
        if !self.errands.mending {
            self.errands.mending = true;
            self.send_on(Errand::Mend);
        }
    }

    pub(super) fn mend_due(&mut self, now: Tick) {
        if self.errands.mend_at.take_if(|at| *at <= now).is_some() {
            self.send_on(Errand::Mend);
        }
    }

    /// Damaged files are whole again, or their lock is still held.
    fn mended(&mut self, result: Result<bool, Refusal>) {
        if let Err(refusal) = &result {
            tracing::error!(error = %refusal.message, "state of the daemon cannot be written anew");
        }
        if self.exiting {
            return;
        }
        if result.is_err_and(|refusal| refusal.kind == ErrorKind::Busy) {
            self.errands.mend_at = Some(self.clock.tick().after(STATE_AGAIN));
            return;
        }
        self.errands.mending = false;
        let open = self.sites.iter().filter(|(_, site)| !site.closing);
        let ids: Vec<WorkspaceId> = open.map(|(id, _)| *id).collect();
        for id in ids {
            self.configure(id, BTreeMap::new());
        }
        self.settle();
    }

    fn make(&mut self, underway: Underway, act: Act) {
        let mut books = Books {
            registry: self.registry.clone(),
            trust: self.trust.clone(),
        };
        let (out, clock) = (self.out.clone(), self.clock);
        // It is of no workspace, as far as the loop is concerned.
        let workspace = self.next_site;
        self.errands.away = true;
        // The loop that does not hear of it has ended.
        drop(tokio::task::spawn_blocking(move || {
            let result = act(&mut books, clock.wall());
            if result.is_err() && !matches!(underway, Underway::Mending) {
                books.read_again(clock.wall());
            }
            let tried = Box::new(Tried {
                underway,
                books,
                result,
            });
            drop(out.blocking_send(Done {
                workspace,
                what: What::Tried(tried),
            }));
        }));
    }

    /// Takes over what a change has left on disk, and does what follows.
    pub(super) fn take_tried(&mut self, tried: Tried) {
        let Tried {
            underway,
            books,
            result,
        } = tried;
        self.registry.take_over(books.registry);
        self.trust.take_over(books.trust);
        match underway {
            Underway::Adding(asked, add) => match result {
                Ok(_) if !self.exiting => self.added_to_registry(asked, &add),
                Ok(_) => self.answer_now(asked, |_| Err(registered(&add.path, add.allow))),
                Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
            },
            Underway::Removing(asked, id) => match result {
                Ok(_) => self.removed_from_registry(asked, id),
                Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
            },
            Underway::Denying(asked, id) => self.denied(asked, id, result),
            Underway::Allowing(id, request, answer) => {
                self.allowed(id, request, answer, result.map(drop));
            }
            Underway::Mending => self.mended(result),
        }
        self.errands.away = false;
        self.next_errand();
    }
}

impl Shell {
    /// Tells those whose workspace has been added, and has not been read before the end, how far that came.
    pub(super) fn answer_adding_at_end(&mut self) {
        let adding = self.sites.iter_mut().flat_map(|(id, site)| {
            let requests = std::mem::take(&mut site.adding);
            requests.into_iter().map(|request| (*id, request))
        });
        let adding: Vec<(WorkspaceId, RequestId)> = adding.collect();
        for (id, request) in adding {
            self.answer(request, Err(self.ending_for(id, request)));
        }
    }

    fn ending_for(&self, id: WorkspaceId, request: RequestId) -> Refusal {
        let purpose = self.waiting.get(&request).map(|waiting| &waiting.purpose);
        match (purpose, self.sites.get(&id)) {
            (Some(Purpose::Add { allow }), Some(site)) if !site.closing => {
                registered(&site.root, *allow)
            }
            _ => ending(),
        }
    }
}

impl Books {
    fn mend(&mut self, now: Timestamp) -> Result<bool, Refusal> {
        let (registry, trust) = (self.registry.refresh(now), self.trust.refresh(now));
        let mended = registry.and(trust);
        mended.map(|()| true).map_err(|error| unstored(&error))
    }

    fn read_again(&mut self, now: Timestamp) {
        for read in [self.registry.refresh(now), self.trust.refresh(now)] {
            if let Err(error) = read {
                tracing::error!(error = %chain(&error), "state of the daemon cannot be read");
            }
        }
    }
}

fn ending() -> Refusal {
    crate::daemon::waiting::refusal(Denied::ShuttingDown)
}

/// An addition that is durable, and will be served by another daemon.
fn registered(root: &RootPath, allow: bool) -> Refusal {
    let message = format!(
        "the daemon is ending; `{root}` is registered, and will be watched at the next start"
    );
    let refusal = Refusal::new(ErrorKind::ShuttingDown, message);
    match allow {
        true => refusal.hint(format!(
            "its commands are still to be allowed: `orchctl allow {}`",
            root.quoted()
        )),
        false => refusal,
    }
}
