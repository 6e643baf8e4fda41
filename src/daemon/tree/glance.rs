//! Glances: a tree that is looked at for one question takes no watch.
//!
//! A look without watches says as much as one with them, if nothing changed while it was under way: then it has seen what was
//! there when it began. Whatever changes gets a time of change from the kernel, the thing itself or the directory that
//! held it; so where the look has met none that is not older than itself, nothing has changed behind its back. The clock
//! must not have been set meanwhile. Whoever asks after somebody was answered is told what is there then: everything is listed
//! again. Where that cannot be said, and before anything is run, the tree is watched after all and looked at anew: what runs
//! is watched by events from before it begins.

use super::capture::{CaptureError, merge};
use super::journal::Changes;
use super::mount;
use super::print::{Moment, Print};
use super::{Seeing, Tree, TreeError};
use crate::limits::CLOCK_STEADY;
use crate::model::view::{Subject, Touches, View};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The look that no watch stands behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    since: Moment,
    /// By how much the wall clock was ahead of the steady one then.
    ahead_ns: i64,
    /// Something may have changed while it was under way.
    restless: bool,
    /// Somebody was answered since; who asks now asks later.
    is_over: bool,
}

impl Glance {
    pub(super) fn begin() -> Self {
        Self {
            since: Moment::now(),
            ahead_ns: Moment::ahead_ns(),
            restless: false,
            is_over: false,
        }
    }

    /// As if the clock had been set by so much since.
    #[cfg(test)]
    pub(super) fn with_clock_set_by(mut self, ns: i64) -> Self {
        self.ahead_ns -= ns;
        self
    }
}

impl Tree {
    /// A tree that takes no watch before it has to, where it is asked once: by somebody who came before it was made, so that
    /// its first look is an answer.
    #[must_use]
    pub fn for_one_question(mut self, once: bool) -> Self {
        if once && self.seeing.is_by_events() && mount::tells_changes(self.root.as_path()) {
            self.glance = Some(Glance::begin());
            self.seeing = self.choose_seeing();
        }
        self
    }

    /// Whether it has no watch because none was needed yet.
    #[must_use]
    pub fn is_unwatched(&self) -> bool {
        matches!(self.seeing, Seeing::NotYet)
    }

    /// Takes the watches that were put off, and looks at everything once they are there.
    ///
    /// # Errors
    /// As [`Tree::scan`].
    pub fn watch_now(&mut self) -> Result<Touches, TreeError> {
        if !self.is_unwatched() {
            return Ok(Touches::default());
        }
        self.glance = None;
        self.seeing = self.choose_seeing();
        if let Err(refused) = self.eye.begin() {
            self.refuse(refused)?;
        }
        self.scan()
    }

    /// A look at everything begins.
    pub(super) fn begin_glance(&mut self) {
        if self.glance.is_some() {
            self.glance = Some(Glance::begin());
        }
    }

    /// Somebody was answered: what was seen until now is of before the questions that come from here on.
    pub fn end_first_question(&mut self) {
        if let Some(glance) = &mut self.glance {
            glance.is_over = true;
        }
    }

    /// Since when nothing may have changed, if anybody has to know.
    pub(super) fn glance_since(&self) -> Option<Moment> {
        self.glance.map(|glance| glance.since)
    }

    /// Notes whether something may have changed since the look began.
    pub(super) fn note_restless(&mut self, restless: bool) {
        if let Some(glance) = &mut self.glance {
            glance.restless |= restless;
        }
    }

    /// Notes a file that was read after the look.
    pub(super) fn note_glanced(&mut self, print: &Print) {
        let since = self.glance_since();
        self.note_restless(since.is_some_and(|since| print.may_have_changed_since(since)));
    }

    /// The look is over: what it went by beside the files themselves must not have changed either.
    pub(super) fn end_glance(&mut self) {
        let Some(since) = self.glance_since() else {
            return;
        };
        let root = self.root.as_path();
        let files = self.surroundings.files(root).into_iter();
        let files = files.chain(self.repositories.indexes());
        let configuration = self.scopes.configuration.iter();
        let files: Vec<PathBuf> = files
            .chain(configuration.map(|path| self.root.join(path)))
            .collect();
        let changed = files.iter().any(|file| {
            let meta = fs::metadata(file);
            // A git directory gets and loses a lock whenever somebody asks git for anything.
            let meta = meta.ok().filter(|meta| !meta.is_dir());
            meta.is_some_and(|meta| Print::of(&meta).may_have_changed_since(since))
        });
        self.note_restless(changed);
    }

    fn is_still(&self) -> bool {
        self.glance.is_some_and(|glance| {
            let set = Moment::ahead_ns().abs_diff(glance.ahead_ns);
            !glance.restless && Duration::from_nanos(set) < CLOCK_STEADY
        })
    }

    /// As [`Tree::capture`], of the content of when it was looked at, which is before nobody's question but the first; where
    /// that cannot be said, of the present one.
    pub(super) fn capture_at_a_glance(
        &mut self,
        subjects: &[Subject],
        timeout: Duration,
    ) -> Result<(Touches, Vec<View>), CaptureError> {
        let mut found = match self.glance.is_some_and(|glance| glance.is_over) {
            true => self.scan()?,
            false => Touches::default(),
        };
        let captured = self.views(subjects);
        if captured.is_err() {
            // Nobody hears what the scan has found.
            self.untold = Changes::Everything;
        }
        let (late, views) = captured?;
        if !self.doubted && late.is_empty() && self.is_still() {
            return Ok((found, views));
        }
        // Nobody has heard of what these views told.
        for subject in subjects {
            self.journals.remove(subject);
        }
        let watched = self.watch_now()?;
        let (more, views) = self.capture(subjects, timeout)?;
        for touches in [watched, more] {
            found.configuration |= touches.configuration;
            merge(&mut found, touches);
        }
        Ok((found, views))
    }
}
