//! How the daemon itself is: what it can tell of its watching, its disk and its workspaces.
//!
//! It only looks: what it finds wrong it names with a fix, and mends nothing by itself.

use crate::daemon::auditing::check_misses;
use crate::daemon::chain::chain;
use crate::daemon::shell::Shell;
use crate::daemon::store::{Condition, StoreError};
use crate::daemon::watcher::Limit;
use crate::model::id::TaskId;
use crate::model::path::{RootPath, quoted};
use crate::model::report::status::WorkspaceState;
use crate::model::report::{DoctorAnswer, DoctorCheck, Health};

impl Shell {
    pub(super) fn doctor(&mut self) -> DoctorAnswer {
        let mut checks = vec![
            self.check_daemon(),
            self.check_watches(),
            self.check_stores(),
        ];
        checks.extend(self.check_watcher());
        checks.extend(self.check_log());
        let workspaces = self.engine.workspaces();
        let ids: Vec<_> = workspaces.iter().map(|workspace| workspace.id).collect();
        drop(workspaces);
        for id in ids {
            let site = self.sites.get(&id);
            let found = site.map(|site| (site.root.clone(), site.facts.remedy.clone()));
            let Some(((root, remedy), state)) = found.zip(self.standing_of(id)) else {
                continue;
            };
            let mut check = check_workspace(&root.to_string(), state.0, state.1);
            check.fix = check.fix.or(remedy);
            checks.push(check);
            let misses = self.sites.get(&id);
            checks.extend(misses.and_then(|site| check_misses(&root, site)));
            let odd = self.sites.get(&id).and_then(|site| site.loaded.as_ref());
            let odd = odd.into_iter().flat_map(|loaded| &loaded.config.warnings);
            checks.extend(odd.map(|warning| check_oddity(&root, warning.clone())));
            let unremoved = self.sites.get(&id).map(|site| &site.unremoved);
            let unremoved = unremoved.into_iter().flatten();
            checks.extend(unremoved.map(|(task, why)| check_evidence(&root, task, why)));
        }
        DoctorAnswer { checks }
    }

    fn check_daemon(&self) -> DoctorCheck {
        DoctorCheck {
            id: "service".to_owned(),
            state: Health::Ok,
            detail: format!(
                "orchd {}, pid {}, up for {} s, {}, {} under way",
                env!("CARGO_PKG_VERSION"),
                self.about.pid,
                self.about.uptime_ms() / 1000,
                counted(self.sites.len(), "workspace", "workspaces"),
                counted(self.engine.runs().count(), "run", "runs"),
            ),
            fix: None,
        }
    }

    /// That lines of the log were dropped; nothing where it is whole.
    fn check_log(&self) -> Option<DoctorCheck> {
        let losses = self.log.as_ref()?.losses();
        let lines = losses.lines()?;
        let (queue, day, disk) = (losses.queue_lines, losses.day_lines, losses.disk_lines);
        Some(DoctorCheck {
            id: "log".to_owned(),
            state: Health::Warn,
            detail: format!(
                "{lines} lines of the daemon's log were dropped: {day} beyond the day's size, {queue} that came too fast, {disk} that the disk refused"
            ),
            fix: Some(
                "start the daemon with less in ORCHD_LOG, or make room on the disk".to_owned(),
            ),
        })
    }

    fn check_watches(&self) -> DoctorCheck {
        let used: usize = self.sites.values().map(|site| site.facts.watches).sum();
        let (directories, files) =
            self.sites
                .values()
                .fold((0, 0), |(directories, files), site| {
                    (
                        directories + site.facts.directories,
                        files + site.facts.files,
                    )
                });
        let limit = Limit::watches();
        let allowed = usize::try_from(limit.value()).unwrap_or(usize::MAX);
        // Where there is no limit to read, there is none to come near to.
        let near = allowed > 0 && used.saturating_mul(10) > allowed.saturating_mul(9);
        let of = match allowed {
            0 => String::new(),
            allowed => format!(" of {allowed} that this user may have"),
        };
        DoctorCheck {
            id: "watches".to_owned(),
            state: if near { Health::Warn } else { Health::Ok },
            detail: format!(
                "{}{of}, for {} and {}",
                counted(used, "watch", "watches"),
                counted(directories, "directory", "directories"),
                counted(files, "file", "files"),
            ),
            fix: near.then(|| limit.remedy(directories)),
        }
    }

    fn check_stores(&self) -> DoctorCheck {
        let (registry, trust) = (self.registry.kept(), self.trust.kept());
        let found = [
            (registry.path(), registry.condition()),
            (trust.path(), trust.condition()),
        ];
        let aside = [registry.set_aside(), trust.set_aside()];
        // One that somebody has looked at and deleted is no longer of interest.
        let mut aside = aside.into_iter().flatten().filter(|it| it.path.exists());
        for (path, condition) in &found {
            match condition {
                Err(error) => {
                    let fix = "put the file right, then `orchctl reload`";
                    return check_state(Health::Fail, chain(error), Some(fix));
                }
                Ok(Condition::Damaged) => {
                    let detail = format!(
                        "{} is damaged; what this daemon knows of it stands",
                        path.display()
                    );
                    let fix = "`orchctl reload` sets it aside and writes it anew";
                    return check_state(Health::Warn, detail, Some(fix));
                }
                Ok(Condition::Whole | Condition::Missing) => {}
            }
        }
        if let Some(aside) = aside.next() {
            let detail = format!("a damaged file was set aside as {}", aside.path.display());
            let fix = match aside.known {
                true => "nothing was lost: look at it, then delete it",
                false => {
                    "add and allow again what `orchctl list` does not show, look at it, then delete it"
                }
            };
            return check_state(Health::Warn, detail, Some(fix));
        }
        let detail = format!(
            "trust and registry in {} are readable",
            self.state.display()
        );
        check_state(Health::Ok, detail, None)
    }

    /// Reads the daemon's own files again; what is damaged of them is set aside and written anew, later where another
    /// program keeps the lock.
    pub(super) fn mend_stores(&mut self) {
        let now = self.clock.wall();
        for refreshed in [self.registry.glance(now), self.trust.glance(now)] {
            let Err(error) = refreshed else { continue };
            tracing::error!(error = %chain(&error), "state of the daemon cannot be read");
            if matches!(error, StoreError::Held { .. }) {
                self.mend_later();
            }
        }
        // Somebody asks for it, or it is the last time.
        if let Some(due) = self.errands.mend_at {
            self.mend_due(due);
        }
    }
}

fn check_state(state: Health, detail: String, fix: Option<&str>) -> DoctorCheck {
    DoctorCheck {
        id: "state".to_owned(),
        state,
        detail,
        fix: fix.map(str::to_owned),
    }
}

/// That something of a configuration is not as its writer may think.
fn check_oddity(root: &RootPath, detail: String) -> DoctorCheck {
    DoctorCheck {
        id: format!("configuration {root}"),
        state: Health::Warn,
        detail,
        fix: None,
    }
}

/// That old runs stay, because nobody knows whether they are cited, or the disk keeps them.
fn check_evidence(root: &RootPath, task: &TaskId, why: &str) -> DoctorCheck {
    DoctorCheck {
        id: format!("evidence {root}"),
        state: Health::Warn,
        detail: format!("old runs of `{task}` are not removed: {why}"),
        fix: Some(
            "put right what is named, or move it away: they go after the task's next run"
                .to_owned(),
        ),
    }
}

fn check_workspace(root: &str, state: WorkspaceState, detail: Option<String>) -> DoctorCheck {
    let (health, fix) = match state {
        WorkspaceState::Watching => (Health::Ok, None),
        WorkspaceState::Rescanning | WorkspaceState::Polling => (Health::Warn, None),
        WorkspaceState::Missing => (
            Health::Warn,
            Some(format!(
                "bring it back, or `orchctl remove {}`",
                quoted(root)
            )),
        ),
        WorkspaceState::Untrusted => (
            Health::Warn,
            Some(format!("orchctl allow {}", quoted(root))),
        ),
        WorkspaceState::Invalid => (
            Health::Fail,
            Some("correct the file that is named".to_owned()),
        ),
    };
    let word = match state {
        WorkspaceState::Watching => "watching",
        WorkspaceState::Rescanning => "rescanning",
        WorkspaceState::Polling => "polling",
        WorkspaceState::Missing => "missing",
        WorkspaceState::Untrusted => "untrusted",
        WorkspaceState::Invalid => "invalid",
    };
    let detail = detail.map_or_else(|| word.to_owned(), |detail| format!("{word}: {detail}"));
    DoctorCheck {
        id: format!("workspace {root}"),
        state: health,
        detail,
        fix,
    }
}

/// A number with its noun.
fn counted(number: usize, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{number} {noun}")
}
