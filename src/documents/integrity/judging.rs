//! What is wrong with the runs of a task: a pure function of its chain and of what there is.
//!
//! Each finding says what to do about it; where only a person can know, that is to look, and then `--adopt`.

use super::chain::Chain;
use super::finding::{EvidenceFinding, EvidenceKind};
use crate::disk::chain::CHAIN;
use crate::model::evidence::{Layout, Link, LinkedFile, Why};
use crate::model::id::{RunId, TaskId};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What there is of a run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The run.
    pub run: RunId,
    /// Whether its directory is there.
    pub there: bool,
    /// Whether a process has noted that it is its.
    pub owned: bool,
    /// What its manifest says.
    pub manifest: SeenManifest,
    /// Its files, or which of them cannot be read and why; none of a run that is held against nothing.
    pub files: Result<Vec<LinkedFile>, (PathBuf, String)>,
}

/// What the manifest of a run says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenManifest {
    /// There is none.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// It is of another run than its directory.
    Other {
        /// The task that it names.
        task: TaskId,
        /// The run that it names.
        run: RunId,
    },
    /// The run is under way.
    UnderWay,
    /// The run has ended.
    Ended,
}

impl Seen {
    /// Whether somebody is at it: it has not ended, or its end is being written.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        let ending = matches!(self.manifest, SeenManifest::Ended | SeenManifest::UnderWay);
        self.owned && ending
    }
}

/// Says what is wrong with the runs of a task.
#[must_use]
pub fn judge(layout: &Layout, task: &TaskId, chain: &Chain, seen: &[Seen]) -> Vec<EvidenceFinding> {
    let mut judging = Judging {
        layout,
        task,
        found: Vec::new(),
    };
    judging.chain(chain);
    for one in seen {
        match chain.newest.get(&one.run) {
            Some((link, before)) => judging.linked(one, link, before.as_ref()),
            None => judging.unlinked(one, chain),
        }
    }
    judging.found
}

struct Judging<'a> {
    layout: &'a Layout,
    task: &'a TaskId,
    found: Vec<EvidenceFinding>,
}

impl Judging<'_> {
    fn chain(&mut self, chain: &Chain) {
        if let Some(broken) = &chain.broken {
            let message = format!(
                "line {}: {}: somebody has changed, removed or added lines; find out who, then `orchctl evidence verify --adopt` begins a new chain",
                broken.line, broken.why
            );
            self.of_chain(EvidenceKind::BrokenLink, message);
        } else if chain.ends_torn {
            let message = "the last line was cut off, as a crash does it: the next start of the daemon, or the next run's end, sets it right";
            self.of_chain(EvidenceKind::Torn, message.to_owned());
        }
        if let Some(why) = &chain.unreadable {
            let message = format!("{why}: correct that, or read it with the version that wrote it");
            self.of_chain(EvidenceKind::Unreadable, message);
        }
    }

    fn linked(&mut self, seen: &Seen, link: &Link, before: Option<&Link>) {
        if !seen.there {
            let message = format!(
                "link {} tells of this run, and it is gone: restore it, or accept that with `orchctl evidence verify --adopt`",
                link.number
            );
            return self.of_run(seen, EvidenceKind::Missing, "", message);
        }
        if self.is_other(seen) || seen.is_under_way() {
            return;
        }
        if link.why == Why::Rebuilt {
            let message = format!(
                "it was damaged and has been made again of what was left (link {}): look at it, then `orchctl evidence verify --adopt`",
                link.number
            );
            self.of_run(seen, EvidenceKind::Changed, "manifest.json", message);
        }
        match &seen.files {
            Err((path, why)) => {
                let message = format!("failed to read `{}`: {why}", path.display());
                self.of_run(seen, EvidenceKind::Unreadable, "", message);
            }
            Ok(files) => self.compare(seen, link, files),
        }
        if let Some(before) = before {
            self.compare_approved(seen, link, before);
        }
    }

    fn compare(&mut self, seen: &Seen, link: &Link, files: &[LinkedFile]) {
        let there: BTreeMap<&str, &LinkedFile> =
            files.iter().map(|it| (it.path.as_str(), it)).collect();
        let told: BTreeMap<&str, &LinkedFile> =
            link.files.iter().map(|it| (it.path.as_str(), it)).collect();
        let number = link.number;
        for (path, file) in &told {
            match there.get(path) {
                Some(found) if found == file => {}
                Some(found) => {
                    let hint = self.hint(seen, path);
                    let message = format!(
                        "it is not what link {number} recorded ({} bytes then, {} now){hint}",
                        file.size, found.size
                    );
                    self.of_run(seen, EvidenceKind::Changed, path, message);
                }
                None => {
                    let message = format!(
                        "link {number} recorded it, and it is gone: restore it, or accept that with `orchctl evidence verify --adopt`"
                    );
                    self.of_run(seen, EvidenceKind::Missing, path, message);
                }
            }
        }
        for path in there.keys().filter(|path| !told.contains_key(*path)) {
            let message = format!(
                "it was not there when link {number} was made: find out who wrote it, then `orchctl evidence verify --adopt`"
            );
            self.of_run(seen, EvidenceKind::Changed, path, message);
        }
    }

    fn hint(&self, seen: &Seen, path: &str) -> &'static str {
        match (path, &seen.manifest) {
            ("manifest.json", SeenManifest::UnderWay) => {
                ": it says that the run is under way, and no daemon has it; if another tool resumes it, ask again when it has ended"
            }
            ("manifest.json" | "orchd.json", _) => {
                ": if another tool has resumed or approved the run that is no damage; look, then `orchctl evidence verify --adopt`"
            }
            _ => ": find out who changed it, then restore it, or `orchctl evidence verify --adopt`",
        }
    }

    /// An approval writes the manifest and the sidecar, and nothing else.
    fn compare_approved(&mut self, seen: &Seen, link: &Link, before: &Link) {
        let is_rest = |it: &&LinkedFile| !matches!(&*it.path, "manifest.json" | "orchd.json");
        let then: Vec<&LinkedFile> = before.files.iter().filter(is_rest).collect();
        let now: Vec<&LinkedFile> = link.files.iter().filter(is_rest).collect();
        let gone = then.iter().filter(|file| !now.contains(file));
        let new = now.iter().filter(|file| {
            let named = |it: &&&LinkedFile| it.path == file.path;
            !then.iter().any(|it| named(&it))
        });
        let paths: Vec<String> = gone.chain(new).map(|file| file.path.clone()).collect();
        for path in paths {
            let message = format!(
                "it was changed between link {} and the approval of link {}: find out by whom, then `orchctl evidence verify --adopt`",
                before.number, link.number
            );
            self.of_run(seen, EvidenceKind::Changed, &path, message);
        }
    }

    fn unlinked(&mut self, seen: &Seen, chain: &Chain) {
        if !seen.there || self.is_other(seen) || seen.is_under_way() {
            return;
        }
        match seen.manifest {
            // It has not begun, or has not ended: nobody owes it a link.
            SeenManifest::Missing | SeenManifest::UnderWay | SeenManifest::Other { .. } => {}
            SeenManifest::Unreadable => {
                let message = "it cannot be read, and the chain tells nothing of this run: the daemon makes it again of what is left".to_owned();
                self.of_run(seen, EvidenceKind::Unreadable, "manifest.json", message);
            }
            SeenManifest::Ended => {
                let message = match chain.removed.get(&seen.run) {
                    Some(number) => format!(
                        "link {number} says that it was removed, and it is there: delete it, or `orchctl evidence verify --adopt`"
                    ),
                    None => "the chain tells nothing of it: it is older than the chain, or of another tool, or its link was cut off; look, then `orchctl evidence verify --adopt`".to_owned(),
                };
                self.of_run(seen, EvidenceKind::Unchained, "", message);
            }
        }
    }

    fn is_other(&mut self, seen: &Seen) -> bool {
        let SeenManifest::Other { task, run } = &seen.manifest else {
            return false;
        };
        let message = format!(
            "it is of run `{run}` of task `{task}`, and lies under run `{}` of task `{}`: move it where it belongs, or delete it",
            seen.run, self.task
        );
        self.of_run(seen, EvidenceKind::WrongTask, "manifest.json", message);
        true
    }

    fn of_run(&mut self, seen: &Seen, kind: EvidenceKind, path: &str, message: String) {
        let mut whole = self.layout.artifact_root(self.task, &seen.run);
        if !path.is_empty() {
            whole = format!("{whole}/{path}");
        }
        self.found.push(EvidenceFinding {
            run_id: Some(seen.run.clone()),
            kind,
            path: whole,
            message,
        });
    }

    fn of_chain(&mut self, kind: EvidenceKind, message: String) {
        self.found.push(EvidenceFinding {
            run_id: None,
            kind,
            path: self.layout.of_task(self.task, CHAIN),
            message,
        });
    }
}
