//! Lending: a struct with blocking methods goes into the blocking pool with the work that waits, and comes back.
//!
//! So a tree or a desk has one owner at a time and needs neither a lock nor a thread of its own. Work is done in the
//! order in which it was given; what it has to tell is sent while the next piece is done.

use std::collections::VecDeque;
use std::fmt;
use tokio::sync::mpsc;

/// A piece of work on a `T`, and what it has to tell.
pub(super) type Work<T, D> = Box<dyn FnOnce(&mut T) -> Option<D> + Send>;

/// A struct that is at home or lent, with the work that waits for it.
pub(super) struct Lent<T, D> {
    home: Option<Box<T>>,
    waiting: VecDeque<Work<T, D>>,
}

impl<T, D> Lent<T, D>
where
    T: Send + 'static,
    D: Send + 'static,
{
    /// A struct that is at home.
    pub(super) fn new(thing: Box<T>) -> Self {
        Self {
            home: Some(thing),
            waiting: VecDeque::new(),
        }
    }

    /// Adds work behind what waits already.
    pub(super) fn push(&mut self, work: impl FnOnce(&mut T) -> Option<D> + Send + 'static) {
        self.waiting.push_back(Box::new(work));
    }

    /// Whether it is at home and no work waits.
    pub(super) fn is_idle(&self) -> bool {
        self.home.is_some() && self.waiting.is_empty()
    }

    /// The struct, while it is at home.
    pub(super) fn at_home(&self) -> Option<&T> {
        self.home.as_deref()
    }

    /// Whether it is at home.
    pub(super) fn is_home(&self) -> bool {
        self.home.is_some()
    }

    /// Lends it if it is at home and work waits; `back` makes of it what brings it home again.
    pub(super) fn lend(
        &mut self,
        out: &mpsc::Sender<D>,
        back: impl FnOnce(Box<T>) -> D + Send + 'static,
    ) {
        if self.waiting.is_empty() {
            return;
        }
        let Some(mut thing) = self.home.take() else {
            return;
        };
        let work = std::mem::take(&mut self.waiting);
        let out = out.clone();
        // It always comes back, or the loop that would miss it is gone: a panic ends the process, hosted or not.
        drop(tokio::task::spawn_blocking(move || {
            for work in work {
                if let Some(done) = work(&mut thing) {
                    drop(out.blocking_send(done));
                }
            }
            drop(out.blocking_send(back(thing)));
        }));
    }

    /// Takes it home.
    pub(super) fn bring_back(&mut self, thing: Box<T>) {
        self.home = Some(thing);
    }

    /// Gives it away for good, if it is at home.
    pub(super) fn give_away(&mut self) -> Option<Box<T>> {
        self.home.take()
    }
}

impl<T, D> fmt::Debug for Lent<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("home", &self.home.is_some())
            .field("waiting", &self.waiting.len())
            .finish()
    }
}
