//! A run whose manifest is in a desk's hands: what is known of it between two writes.
//!
//! From its beginning to its recorded end. What another tool wrote into the manifest meanwhile is taken over before each
//! write; nothing is written here but the error files of its stages.

use super::files::Files;
use super::finish::Ending;
use super::places::Grown;
use super::spare::Spare;
use crate::disk::durable::DurableError;
use crate::model::evidence::{ErrorFile, Layout, Manifest, Sidecar, Why};
use crate::model::run::RunReport;
use crate::model::time::Timestamp;

/// A run whose manifest is in our hands.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) manifest: Manifest,
    pub(super) sidecar: Option<Sidecar>,
    pub(super) guardrails_required: Option<bool>,
    pub(super) anchor: Anchor,
    pub(super) ending: Ending,
    /// What its link will say of its end.
    pub(super) why: Why,
}

/// Whether the names of a run that has begun survive a power cut.
#[derive(Debug)]
pub(super) enum Anchor {
    /// They do, once this is synced.
    Loose(Grown, Option<Box<Spare>>),
    /// They do.
    Held,
    /// Nobody knows.
    Lost,
}

impl Open {
    /// Whether it has not ended: of one whose end could not be written, nobody lives any more.
    pub(super) fn is_under_way(&self) -> bool {
        self.ending == Ending::New
    }

    /// Its manifest, where all of its files are gone.
    pub(super) fn anew(&self) -> Manifest {
        let mut manifest = self.manifest.clone();
        let stages = manifest.commands.iter_mut();
        stages.for_each(|stage| stage.error_file = None);
        manifest
    }

    /// Takes over what another tool has written into the manifest meanwhile and we would overwrite.
    pub(super) fn take_over(&mut self, files: &Files) {
        if let Ok(found) = files.read_manifest() {
            self.manifest.approvals = found.approvals;
            self.manifest.rest = found.rest;
        }
    }
}

pub(super) fn write_errors(
    files: &Files,
    report: &RunReport,
    manifest: &mut Manifest,
    layout: &Layout,
    now: Timestamp,
) -> Result<Grown, DurableError> {
    let mut grown = Grown::default();
    for (place, stage) in report.stages.iter().enumerate() {
        let index = place.saturating_add(1);
        let Some(command) = manifest.commands.get_mut(place) else {
            continue;
        };
        if command.error_file.is_some() {
            continue;
        }
        if let Some(error) = ErrorFile::of(report, stage, index, now) {
            files.write_error(&error, &mut grown)?;
            command.error_file =
                Some(layout.error_file(&report.task, &report.run, index, &stage.id));
        }
    }
    Ok(grown)
}
