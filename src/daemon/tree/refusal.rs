//! Refusals: a tree that is scanned because the kernel had no watch left for it, and when it asks again.
//!
//! Each look is a scan then, also where only a directory around the root got none: nobody would tell of a root that goes or
//! of a rule that changes there. It asks before that where there is a reason to hope: the tree has become smaller, another
//! workspace has given its watches back, or somebody who keeps the time says so. It never asks where the limit is too low
//! for the tree by itself.

use super::snapshot::DirId;
use super::{Seeing, Tree, TreeError};
use crate::daemon::watcher::{Limit, WatchError};
use crate::model::config::Poll;
use crate::model::view::Touches;

/// How things stood when watches were refused.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    directories: usize,
    closed: u64,
    /// Somebody says that it is time.
    due: bool,
    /// How things stand is yet to be noted.
    is_new: bool,
}

impl Seeing {
    /// Why changes are not found by events, if they are not.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Events | Self::NotYet => None,
            Self::Configured => Some("`poll = \"always\"`".to_owned()),
            Self::FileSystem { kind, at } => {
                let place = match at.is_root() {
                    true => "this".to_owned(),
                    false => format!("`{at}`"),
                };
                Some(format!(
                    "{place} is on {kind}, which tells no events of what others do to its files; where nobody else \
                     does, `poll = \"never\"` has it watched"
                ))
            }
            Self::Refused(error) => Some(error.to_string()),
        }
    }

    /// The command that lifts the limit which was met, if one was.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        if let Self::Refused(error) = self {
            error.remedy()
        } else {
            None
        }
    }
}

impl Tree {
    /// Asks the kernel for watches again, if it has refused them; nothing if it has not.
    ///
    /// # Errors
    /// As [`Tree::scan`].
    pub fn watch_again(&mut self) -> Result<Option<Touches>, TreeError> {
        if !matches!(self.seeing, Seeing::Refused(_)) {
            return Ok(None);
        }
        self.seeing = self.choose_seeing();
        self.scan().map(Some)
    }

    /// Scans from now on, because a watch is refused.
    ///
    /// # Errors
    /// When the configuration forbids that.
    pub(super) fn refuse(&mut self, refused: WatchError) -> Result<(), TreeError> {
        if self.scopes.poll == Poll::Never {
            self.surroundings.watched = false;
            self.doubted = true;
            return Err(TreeError::Watch {
                root: self.root.clone(),
                source: refused,
            });
        }
        // What this workspace holds is of no use without the rest, and others can use it.
        self.unwatch_below(DirId::ROOT);
        self.leave_surroundings();
        self.seeing = Seeing::Refused(refused);
        self.refusal.is_new = true;
        Ok(())
    }

    /// Lets the next look ask for watches again, if the kernel has refused them.
    pub fn note_time_to_ask(&mut self) {
        self.refusal.due = true;
    }

    /// Whether this look should ask for watches.
    pub(super) fn is_worth_asking(&mut self) -> bool {
        if !matches!(self.seeing, Seeing::Refused(_)) {
            return false;
        }
        let due = std::mem::take(&mut self.refusal.due);
        let directories = self.snapshot.directories();
        let hope = due
            || directories < self.refusal.directories
            || self.eye.closed() != self.refusal.closed;
        let limit = Limit::watches().value();
        let fits = limit == 0 || u64::try_from(directories).is_ok_and(|needed| needed <= limit);
        hope && fits
    }

    /// Takes note of a new refusal, once all directories have been counted.
    pub(super) fn note_refusal(&mut self) {
        if !std::mem::take(&mut self.refusal.is_new) {
            return;
        }
        let directories = self.snapshot.directories();
        if let Seeing::Refused(error) = &mut self.seeing {
            error.note_need(directories);
            self.refusal = Refusal {
                directories,
                closed: self.eye.closed(),
                due: false,
                is_new: false,
            };
        }
    }
}
