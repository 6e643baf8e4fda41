//! An approval is written: three fields into the run's manifest, then all of it into the sidecar.
//!
//! One counts only where both files tell it, so whatever is cut off in between is honoured by nobody, and the same call again
//! makes it whole. Meanwhile the run's directory is kept from a daemon that would take the run up again or ends it; another
//! tool asks for no lock, so the files are held against what was read before they are replaced, and looked at once more then.

use super::files::{MANIFEST, RunFiles, SIDECAR, Text, UnreadError};
use super::red::{Red, Unfit};
use crate::disk::chain::{self, ChainError};
use crate::disk::durable::{Dir, DurableError, Staged};
use crate::disk::places::EvidencePlaces;
use crate::documents::integrity::{self, EvidenceKind};
use crate::documents::records;
use crate::documents::shelf::Shelf;
use crate::limits::RUNS_NAMED_MAX;
use crate::limits::documents::{APPROVAL_TEXT_BYTES_MAX, APPROVALS_MAX};
use crate::model::evidence::{
    Approval, Manifest, RecordedApproval, Sidecar, Why, counted, dated, document,
};
use crate::model::id::{RunId, StageId, TaskId};
use crate::model::path::RootPath;
use crate::model::time::{Day, Timestamp};
use serde_json::{Map, Value};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What somebody wants to approve, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The run: any part of its id that names no other.
    pub run: String,
    /// Who approves.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The stages that it is for; none for the whole run.
    pub scope: Vec<StageId>,
    /// The last day, in UTC, on which it is honoured.
    pub until: Option<Day>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// The task of the run.
    pub task: TaskId,
    /// The approval.
    pub approval: Approval,
    /// The stages that it accepts.
    pub stages: Vec<StageId>,
    /// Whether anything was written: the same had not been approved before.
    pub written: bool,
}

/// Why nothing was approved.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// Nobody has a reason to give.
    #[error("--{flag} is empty")]
    Blank {
        /// The flag.
        flag: &'static str,
    },
    /// Somebody tells a novel.
    #[error("--{flag} has more than {APPROVAL_TEXT_BYTES_MAX} bytes")]
    Long {
        /// The flag.
        flag: &'static str,
    },
    /// It would never be honoured.
    #[error("--until {until} is over: today is {today}, in UTC")]
    Past {
        /// What was named.
        until: Day,
        /// The day.
        today: Day,
    },
    /// There is no such run.
    #[error("the workspace has no run with `{}` in its id", .part.escape_debug())]
    NoRun {
        /// What was named.
        part: String,
    },
    /// There are several.
    #[error("`{}` names more than one run: {}", .part.escape_debug(), .among.join(", "))]
    Runs {
        /// What was named.
        part: String,
        /// The first of them.
        among: Vec<String>,
    },
    /// One of its files tells nothing.
    #[error("`{}` cannot be read", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: UnreadError,
    },
    /// There is nothing to accept.
    #[error("run {run} cannot be approved: {source}")]
    Unfit {
        /// The run.
        run: RunId,
        /// Why.
        source: Unfit,
    },
    /// It was approved more often than anybody reads.
    #[error("run {run} has {APPROVALS_MAX} approvals already")]
    Full {
        /// The run.
        run: RunId,
    },
    /// Somebody else keeps the run.
    #[error("another program writes run {run}, and does not come to an end")]
    Busy {
        /// The run.
        run: RunId,
    },
    /// Its files are not what was recorded: nobody knows what would be approved.
    #[error("run {run} is not as it was recorded: `{path}`: {message}")]
    Tampered {
        /// The run.
        run: RunId,
        /// The file.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// It is approved, and the task's chain could not be told.
    #[error("run {run} is approved, and the chain of its task could not be told")]
    Unlinked {
        /// The run.
        run: RunId,
        /// Why.
        source: ChainError,
    },
    /// Another tool has written it meanwhile.
    #[error("run {run} was written by another program meanwhile")]
    Changed {
        /// The run.
        run: RunId,
    },
    /// The disk says no.
    #[error(transparent)]
    Disk(#[from] DurableError),
}

impl ApproveError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Blank { flag: "as" } => Some("name who approves: --as NAME"),
            Self::Blank { .. } => Some("say why this is good enough: --reason TEXT"),
            Self::Long { .. } => Some("say it shorter, and where more is written"),
            Self::Past { .. } => Some("name a day that is not over, or leave --until out"),
            Self::NoRun { .. } | Self::Runs { .. } => Some("see them with `orchctl runs`"),
            Self::Unread { .. } => {
                Some("have the content run again, and approve that run: `orchctl gate`")
            }
            Self::Unfit { source, .. } => Some(source.hint()),
            Self::Full { .. } => Some("have the content run again, and approve that run"),
            Self::Busy { .. } | Self::Changed { .. } => Some("ask again"),
            Self::Tampered { .. } => {
                Some("have the content run again: `orchctl gate`; or see `orchctl evidence verify`")
            }
            Self::Unlinked { .. } => Some("ask again: it is told then"),
            Self::Disk(_) => None,
        }
    }
}

/// Approves a run of the workspace at `root`, or finds that the same was approved before. Its configuration is not asked: a
/// run is what its files say.
///
/// # Errors
/// As [`approve`], and when the directory of all runs cannot be opened.
pub fn approve_at(root: &RootPath, wish: &Wish, now: Timestamp) -> Result<Approved, ApproveError> {
    let runs = EvidencePlaces::of(root).open_runs(root)?;
    // Where the configuration cannot be read there is no name for a finding; a gate needs it, too.
    let shelf = Shelf::open(root, None).ok();
    give(runs.as_ref(), shelf.as_ref(), wish, now)
}

/// Refuses a run whose files are others than its task's chain says, unless an approval is all that the chain lacks.
fn refuse_tampered(
    shelf: &Shelf,
    runs: &Dir,
    task: &TaskId,
    run: &RunId,
) -> Result<(), ApproveError> {
    let found = integrity::of_run(shelf, task, run).unwrap_or_default();
    let wrong = found.into_iter().find(|it| match it.kind {
        EvidenceKind::Changed | EvidenceKind::Missing | EvidenceKind::WrongTask => true,
        EvidenceKind::BrokenLink
        | EvidenceKind::Unchained
        | EvidenceKind::Torn
        | EvidenceKind::Unreadable => false,
    });
    let Some(wrong) = wrong else {
        return Ok(());
    };
    let record = records::one(shelf, task, run.clone());
    let newest = record.sidecar().and_then(|it| it.approvals.last());
    let owed = newest.map(|approval| approval.timestamp);
    if owed.is_some() && chain::linked_at(runs, task, run)? < owed {
        return Ok(());
    }
    Err(ApproveError::Tampered {
        run: run.clone(),
        path: wrong.path,
        message: wrong.message,
    })
}

/// Approves a run below the directory of all runs, or finds that the same was approved before.
///
/// # Errors
/// When there is nothing that could be approved, or it cannot be written; then no gate honours it.
pub fn approve(runs: Option<&Dir>, wish: &Wish, now: Timestamp) -> Result<Approved, ApproveError> {
    give(runs, None, wish, now)
}

/// As [`approve`]; through a shelf the run is held against its chain first.
fn give(
    runs: Option<&Dir>,
    shelf: Option<&Shelf>,
    wish: &Wish,
    now: Timestamp,
) -> Result<Approved, ApproveError> {
    let today = Day::of(now);
    check(wish, today)?;
    let no_run = || ApproveError::NoRun {
        part: wish.run.clone(),
    };
    let runs = runs.ok_or_else(no_run)?;
    let (task, run) = find(runs, &wish.run)?;
    let files = RunFiles::open(runs, &task, &run)?.ok_or_else(no_run)?;
    let kept = files.dir.keep();
    if kept.is_none() {
        return Err(ApproveError::Busy { run });
    }
    let read = Read::of(&files)?;
    if let Some(shelf) = shelf {
        refuse_tampered(shelf, runs, &task, &run)?;
    }
    let (approval, written) = carry_out(&files, &read, &run, (wish, now))?;
    // Also where an earlier call came no further than the files.
    if written || chain::linked_at(runs, &task, &run)? < Some(approval.timestamp) {
        let linked = chain::append(runs, &task, &run, Why::Approved, now);
        linked.map_err(|source| ApproveError::Unlinked {
            run: run.clone(),
            source,
        })?;
    }
    Ok(Approved {
        task,
        stages: approval.stages.iter().map(|it| it.id.clone()).collect(),
        approval: Approval::of(&run, &approval),
        written,
    })
}

fn check(wish: &Wish, today: Day) -> Result<(), ApproveError> {
    for (flag, text) in [("as", &wish.actor), ("reason", &wish.reason)] {
        if text.trim().is_empty() {
            return Err(ApproveError::Blank { flag });
        }
        if text.len() > APPROVAL_TEXT_BYTES_MAX {
            return Err(ApproveError::Long { flag });
        }
    }
    match wish.until {
        Some(until) if until < today => Err(ApproveError::Past { until, today }),
        Some(_) | None => Ok(()),
    }
}

/// The run with this id, else the only one with this in its id.
fn find(runs: &Dir, part: &str) -> Result<(TaskId, RunId), ApproveError> {
    let part = part.strip_suffix("/manifest.json").unwrap_or(part);
    let part = part.rsplit('/').next().unwrap_or(part);
    let mut found: Vec<(TaskId, RunId)> = Vec::new();
    for name in runs.list()? {
        let Some(task) = name.to_str().and_then(|name| TaskId::parse(name).ok()) else {
            continue;
        };
        // A directory that cannot be opened holds no run that could be approved.
        let cli = runs.descend(&Path::new(task.as_str()).join("cli"));
        let names = cli.ok().flatten().and_then(|cli| cli.list().ok());
        let names = names.unwrap_or_default();
        let ids = records::newest(names.iter().map(AsRef::as_ref)).into_iter();
        let fit = ids.filter(|run| !part.is_empty() && run.as_str().contains(part));
        found.extend(fit.map(|run| (task.clone(), run)));
    }
    if found.iter().any(|(_, run)| run.as_str() == part) {
        found.retain(|(_, run)| run.as_str() == part);
    }
    let part = part.to_owned();
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(ApproveError::NoRun { part }),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            let among = found.iter().take(RUNS_NAMED_MAX);
            let among = among
                .map(|(task, run)| format!("{run} of {task}"))
                .collect();
            Err(ApproveError::Runs { part, among })
        }
    }
}

/// What the files of a run say, and what in it can be accepted.
struct Read {
    manifest: Text<Manifest>,
    sidecar: Text<Sidecar>,
    red: Red,
}

impl Read {
    fn of(files: &RunFiles) -> Result<Self, ApproveError> {
        let unread = |name: &str, source| ApproveError::Unread {
            path: files.dir.path().join(name),
            source,
        };
        let manifest = files.manifest();
        let manifest = manifest.map_err(|source| unread(MANIFEST, source))?;
        let sidecar = match files.sidecar() {
            Err(UnreadError::Missing) => None,
            read => Some(read.map_err(|source| unread(SIDECAR, source))?),
        };
        let unfit = |source| ApproveError::Unfit {
            run: manifest.value.run_id.clone(),
            source,
        };
        let told = sidecar.as_ref().map(|it| &it.value);
        let red = Red::of(&manifest.value, told).map_err(unfit)?;
        let sidecar = sidecar.ok_or(Unfit::OtherTool).map_err(unfit)?;
        Ok(Self {
            manifest,
            sidecar,
            red,
        })
    }

    /// The approval, as it was given before or is to be written.
    fn approval(&self, wish: &Wish, now: Timestamp) -> Result<RecordedApproval, Unfit> {
        let told = &self.manifest.value.approvals;
        let recorded = &self.sidecar.value.approvals;
        let stages = self.red.accept(&self.manifest.value, &wish.scope)?;
        let (actor, reason) = (wish.actor.trim(), wish.reason.trim());
        let approval = RecordedApproval {
            actor: actor.to_owned(),
            timestamp: dated((actor, reason), told, recorded, now),
            reason: reason.to_owned(),
            stages,
            whole: wish.scope.is_empty(),
            until: wish.until,
            input_digest: self.red.input,
        };
        let is_same = |other: &&RecordedApproval| {
            let timestamp = other.timestamp;
            **other
                == RecordedApproval {
                    timestamp,
                    ..approval.clone()
                }
        };
        let before = recorded.iter().find(is_same).cloned();
        Ok(before.unwrap_or(approval))
    }
}

/// Writes what the two files lack of an approval; tells it, and whether there was anything to write.
fn carry_out(
    files: &RunFiles,
    read: &Read,
    run: &RunId,
    (wish, now): (&Wish, Timestamp),
) -> Result<(RecordedApproval, bool), ApproveError> {
    let approval = read.approval(wish, now);
    let approval = approval.map_err(|source| ApproveError::Unfit {
        run: run.clone(),
        source,
    })?;
    let in_manifest = approval.stands_in(&read.manifest.value.approvals);
    let in_sidecar = read.sidecar.value.approvals.contains(&approval);
    if in_manifest && in_sidecar {
        return Ok((approval, false));
    }
    let most = read.manifest.value.approvals.len();
    if most.max(read.sidecar.value.approvals.len()) >= APPROVALS_MAX {
        return Err(ApproveError::Full { run: run.clone() });
    }
    let mut staged: Vec<Staged> = Vec::new();
    if !in_manifest {
        let text = with_approval(&read.manifest.bytes, approval.brief(), Some(now));
        staged.push(files.dir.stage_like(OsStr::new(MANIFEST), &text)?);
    }
    if !in_sidecar {
        let whole = serde_json::to_value(&approval).unwrap_or_default();
        let text = with_approval(&read.sidecar.bytes, whole, None);
        staged.push(files.dir.stage_like(OsStr::new(SIDECAR), &text)?);
    }
    Staged::sync_all(&mut staged)?;
    let changed = || ApproveError::Changed { run: run.clone() };
    let is_as_read =
        files.stamp(MANIFEST) == read.manifest.stamp && files.stamp(SIDECAR) == read.sidecar.stamp;
    if !is_as_read {
        return Err(changed());
    }
    // The manifest first: what is cut off here stands in it alone, and counts for nobody.
    for file in staged {
        drop(file.place()?);
    }
    files.dir.sync()?;
    let manifest = files.manifest().map_err(|_| changed())?.value;
    let sidecar = files.sidecar().map_err(|_| changed())?.value;
    let is_told = counted(&manifest, &sidecar).any(|it| *it == approval);
    match is_told {
        true => Ok((approval, true)),
        false => Err(changed()),
    }
}

/// A document with one more approval; whatever else it says stays, in its order.
fn with_approval(bytes: &[u8], approval: Value, updated_at: Option<Timestamp>) -> Vec<u8> {
    // It was read as an object before.
    let mut whole: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
    match whole.get_mut("approvals") {
        Some(Value::Array(all)) => all.push(approval),
        Some(_) | None => drop(whole.insert("approvals".to_owned(), Value::from(vec![approval]))),
    }
    if let Some(now) = updated_at {
        let now = Value::from(now.to_string());
        drop(whole.insert("updated_at".to_owned(), now));
    }
    document(&whole)
}
