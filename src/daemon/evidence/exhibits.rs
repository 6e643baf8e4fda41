//! Whether evidence that answers questions is still there and still says what it proved.
//!
//! `.runs` is not watched, so it is looked at when it is needed: a `stat` each for a manifest and a sidecar that nobody
//! has written since they were read, and reading both where somebody has. Another tool may add to a manifest; only one
//! that is gone, cannot be read, or stands otherwise proves nothing any more, and so does a run without the sidecar that
//! says of which content it tells. Nothing is written here.

use super::ReadError;
use super::files::{MANIFEST, SIDECAR, read_manifest, read_sidecar, run_path};
use super::places::{Base, Places};
use crate::disk::durable::{Dir, DurableError, Stamp};
use crate::model::id::{RunId, TaskId};
use crate::model::path::RootPath;
use crate::model::run::{RunStatus, Verdict};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::path::Path;

/// A run that proves something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhibit {
    /// Its task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// What it proves.
    pub verdict: Verdict,
    /// Its files when they were read last; none if they have not been read yet.
    pub stamps: Option<Stamps>,
}

/// The files of a run that a proof stands on, as they stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// Its manifest.
    pub manifest: Stamp,
    /// Its sidecar.
    pub sidecar: Stamp,
}

/// The runs of one workspace that prove something.
#[derive(Clone, Debug)]
pub struct Exhibits {
    runs: Base,
    all: Vec<Exhibit>,
}

/// What became of exhibits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Runs that prove nothing any more.
    pub gone: BTreeSet<RunId>,
    /// Runs whose files were read, and as what they stood there.
    pub read: Vec<(TaskId, RunId, Stamps)>,
}

impl Exhibits {
    /// Runs whose evidence stands below a workspace's places.
    #[must_use]
    pub fn new(root: &RootPath, places: &Places, all: Vec<Exhibit>) -> Self {
        Self {
            runs: Base::new(root, &places.runs_dir),
            all,
        }
    }

    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Looks at the files of each. A workspace whose root is missing is not judged: its evidence may come back.
    #[must_use]
    pub fn inspect(&self) -> Inspected {
        let mut inspected = Inspected::default();
        if self.all.is_empty() {
            return inspected;
        }
        let runs = match self.runs.open() {
            Ok(runs) => runs,
            Err(error) if error.is_missing() || is_shortage(&error) => return inspected,
            Err(_) => None,
        };
        for exhibit in &self.all {
            let found = runs.as_ref().map(|runs| look(runs, exhibit));
            match found.unwrap_or(Found::Gone) {
                Found::Same => {}
                Found::Read(stamps) => {
                    let (task, run) = (exhibit.task.clone(), exhibit.run.clone());
                    inspected.read.push((task, run, stamps));
                }
                Found::Gone => {
                    inspected.gone.insert(exhibit.run.clone());
                }
            }
        }
        inspected
    }
}

enum Found {
    Same,
    Read(Stamps),
    Gone,
}

fn look(runs: &Dir, exhibit: &Exhibit) -> Found {
    let path = run_path(&exhibit.task, &exhibit.run);
    let stamp = |name| runs.stamp(&path.join(name));
    // The stamps are taken first: a file that is replaced between the two is read again next time.
    let (Some(manifest), Some(sidecar)) = (stamp(MANIFEST), stamp(SIDECAR)) else {
        return Found::Gone;
    };
    let stamps = Stamps { manifest, sidecar };
    if exhibit.stamps == Some(stamps) {
        return Found::Same;
    }
    match stands(runs, &path, exhibit) {
        Ok(true) => Found::Read(stamps),
        Err(ReadError::Disk(error)) if is_shortage(&error) => Found::Same,
        Ok(false) | Err(_) => Found::Gone,
    }
}

/// Whether a manifest still says how its run ended, and the sidecar what that proves.
fn stands(runs: &Dir, path: &Path, exhibit: &Exhibit) -> Result<bool, ReadError> {
    let run = runs.descend(path)?.ok_or(ReadError::Missing)?;
    let manifest = read_manifest(&run)?;
    let sidecar = read_sidecar(&run)?;
    let own = manifest.task_id == exhibit.task && manifest.run_id == exhibit.run;
    // A pass on what failed in an earlier run is flaky, whatever its own daemon knew of that.
    let good = matches!(sidecar.verdict, Verdict::Pass | Verdict::Flaky);
    Ok(own
        && match exhibit.verdict {
            Verdict::Pass | Verdict::Flaky => {
                manifest.status == RunStatus::Succeeded && good && sidecar.proves()
            }
            Verdict::Fail => {
                manifest.status == RunStatus::Failed
                    && sidecar.verdict == Verdict::Fail
                    && sidecar.proves()
            }
            Verdict::Unstable | Verdict::Error | Verdict::Unknown => manifest.status.is_terminal(),
        })
}

/// Whether it is the daemon that lacks something, which says nothing of the evidence.
pub(super) fn is_shortage(error: &DurableError) -> bool {
    let errno = Errno::from_io_error(&error.source);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}
