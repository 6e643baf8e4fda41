//! What blocking work brings back: taken home, told to the engine, answered.

use crate::daemon::configuration::{ConfigurationError, Loaded};
use crate::daemon::evidence::{Desk, Known as DiskKnown, Recovery};
use crate::daemon::lend::Lent;
use crate::daemon::lifecycle::chain;
use crate::daemon::message::{Done, Looked, Then, What};
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::site::{Prepared, scopes};
use crate::daemon::tree::{Tree, TreeError};
use crate::daemon::trust::Trust as Trusted;
use crate::engine::keys::Proof;
use crate::engine::{Input, Known, Latest, Record, Setup, Trust, Watch};
use crate::limits::{CONFIG_PAUSE, HEARTBEAT_STALE, ROOT_LOOK_PAUSE};
use crate::model::id::{TaskId, WorkspaceId};
use crate::model::report::status::{Failure, LastRun};
use crate::model::time::Tick;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Done {
    pub(super) fn tree_back(workspace: WorkspaceId, tree: Box<Tree>) -> Self {
        Self {
            workspace,
            what: What::TreeBack(tree),
        }
    }

    pub(super) fn desk_back(workspace: WorkspaceId, desk: Box<Desk>) -> Self {
        Self {
            workspace,
            what: What::DeskBack(desk),
        }
    }
}

impl Shell {
    pub(super) fn take(&mut self, done: Done) {
        let Done {
            workspace: id,
            what,
        } = done;
        match what {
            What::Prepared(prepared) => self.take_prepared(id, *prepared),
            What::TreeBack(tree) => match self.sites.get_mut(&id).and_then(|s| s.tree.as_mut()) {
                Some(lent) => {
                    lent.bring_back(tree);
                    // What was marked while it was away has woken nobody.
                    self.examine_doubts();
                }
                // Removed while it was away.
                None => tree.close(),
            },
            What::DeskBack(desk) => {
                if let Some(lent) = self.sites.get_mut(&id).and_then(|site| site.desk.as_mut()) {
                    lent.bring_back(desk);
                }
            }
            What::Looked(looked) => self.take_look(id, *looked),
            What::Recorded {
                run,
                record,
                failure,
            } => {
                if record == Record::End
                    && let Some(task) = self.engine.run(&run).map(|report| report.task.clone())
                {
                    self.retain(id, task);
                }
                self.inputs.push_back(Input::Recorded {
                    run,
                    record,
                    failure,
                });
            }
            What::StageEnded { run, stage, ending } => {
                self.stoppers.remove(&(run.clone(), stage));
                self.inputs.push_back(Input::StageEnded {
                    run,
                    stage,
                    ending: *ending,
                });
            }
            What::Loaded {
                loaded,
                known,
                then,
            } => self.take_loaded(id, *loaded, &known, then),
            What::Rechecked(recovery) => self.note_recovery(id, &recovery),
            What::Runs { request, rows } => self.take_rows(request, rows),
            What::Found { request, found } => self.take_found(id, request, found),
            What::Reopened {
                request,
                run,
                reopened,
            } => {
                self.take_reopened(id, request, run, *reopened);
            }
            What::Answered { request, answer } => self.answer(request, *answer),
        }
    }

    fn take_prepared(&mut self, id: WorkspaceId, prepared: Prepared) {
        let Prepared {
            desk,
            recovery,
            loaded,
            tree,
            facts,
        } = prepared;
        let Some(site) = self.sites.get_mut(&id).filter(|site| !site.closing) else {
            if let Ok(tree) = tree {
                tree.close();
            }
            return;
        };
        site.preparing = false;
        if site.desk.is_none() {
            site.desk = Some(Lent::new(desk));
        }
        site.facts = facts;
        match tree {
            Ok(tree) => {
                site.tree = Some(Lent::new(tree));
                site.look_at = None;
                self.note_recovery(id, &recovery);
                self.take_configuration(id, loaded, &recovery.known);
                self.note_watch(id);
            }
            Err(error) => self.note_missing(id, &error),
        }
        self.answer_added(id);
        let parked = self
            .sites
            .get_mut(&id)
            .map(|site| std::mem::take(&mut site.parked));
        for asked in parked.unwrap_or_default() {
            self.hear(asked);
        }
    }

    /// The files cannot be looked at: they are looked for until they are back.
    fn note_missing(&mut self, id: WorkspaceId, error: &TreeError) {
        let at = self.clock.tick().after(ROOT_LOOK_PAUSE);
        if let Some(site) = self.sites.get_mut(&id) {
            site.look_at = Some(at);
        }
        let watch = Watch::Missing {
            detail: chain(error),
        };
        self.inputs.push_back(Input::Watched {
            workspace: id,
            watch,
        });
    }

    fn note_watch(&mut self, id: WorkspaceId) {
        let tick = self.clock.tick();
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let watch = site.facts.watch();
        site.look_at = match &watch {
            Watch::Polling { .. } => {
                let pause = site
                    .config
                    .as_ref()
                    .map(|config| config.settings.poll_interval);
                Some(tick.after(pause.unwrap_or(crate::limits::POLL_INTERVAL_DEFAULT)))
            }
            Watch::Watching | Watch::Rescanning { .. } | Watch::Missing { .. } => None,
        };
        self.inputs.push_back(Input::Watched {
            workspace: id,
            watch,
        });
    }

    fn note_recovery(&mut self, id: WorkspaceId, recovery: &Recovery) {
        for run in &recovery.interrupted {
            tracing::warn!(%run, "a run was interrupted when its daemon was lost; it is cancelled now");
        }
        let again = self.clock.tick().after(HEARTBEAT_STALE);
        if let Some(site) = self.sites.get_mut(&id) {
            site.recheck_at = (!recovery.alive.is_empty()).then_some(again);
        }
    }

    /// Looks again at runs that somebody else seemed to own.
    pub(super) fn recheck_due(&mut self, now: Tick) {
        let clock = self.clock;
        for (id, site) in &mut self.sites {
            let id = *id;
            let due = site.recheck_at.take_if(|at| *at <= now).is_some();
            if let Some(desk) = site.desk.as_mut().filter(|_| due) {
                desk.push(move |desk| {
                    let recovery = desk.recover(&[], clock.wall()).unwrap_or_default();
                    crate::daemon::site::end_leftovers(&recovery, clock);
                    Some(Done {
                        workspace: id,
                        what: What::Rechecked(recovery),
                    })
                });
            }
        }
    }

    fn take_look(&mut self, id: WorkspaceId, looked: Looked) {
        let Looked {
            touches,
            capture,
            facts,
        } = looked;
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        site.facts = facts;
        if capture.is_none() {
            site.examining = false;
        }
        let mut reload = false;
        match touches {
            Ok(touches) => {
                reload = touches.configuration;
                self.note_watch(id);
                if !touches.projects.is_empty() {
                    let projects = touches.projects;
                    self.inputs.push_back(Input::Touched {
                        workspace: id,
                        projects,
                    });
                }
            }
            Err(error) => self.note_missing(id, &error),
        }
        if let Some((capture, views)) = capture {
            self.inputs.push_back(Input::Captured {
                capture,
                workspace: id,
                views,
            });
        }
        if reload {
            self.reload(id, Then::Rest);
        }
    }

    /// Looks at the workspaces that have doubts.
    pub(super) fn examine_doubts(&mut self) {
        for id in self.watcher.ready() {
            if self.watcher.has_lost(id) {
                let detail = "events were lost; everything is looked at again".to_owned();
                let watch = Watch::Rescanning { detail };
                self.inputs.push_back(Input::Watched {
                    workspace: id,
                    watch,
                });
            }
            self.examine(id);
        }
    }

    fn examine(&mut self, id: WorkspaceId) {
        let Some(site) = self.sites.get_mut(&id).filter(|site| !site.examining) else {
            return;
        };
        let Some(tree) = site.tree.as_mut() else {
            return;
        };
        site.examining = true;
        tree.push(move |tree| {
            let touches = tree.examine();
            let facts = crate::daemon::site::Facts::of(tree);
            let looked = Box::new(Looked {
                touches,
                capture: None,
                facts,
            });
            Some(Done {
                workspace: id,
                what: What::Looked(looked),
            })
        });
    }

    /// Looks at a workspace that is polled or whose root is missing.
    pub(super) fn look_again(&mut self, id: WorkspaceId) {
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        site.look_at = None;
        if site.tree.is_some() {
            self.examine(id);
        } else if site.root.as_path().is_dir() {
            self.prepare(id);
        } else {
            site.look_at = Some(self.clock.tick().after(ROOT_LOOK_PAUSE));
        }
    }

    /// Reads a workspace's configuration again, and what the evidence says of its tasks.
    pub(super) fn reload(&mut self, id: WorkspaceId, then: Then) {
        let clock = self.clock;
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let (root, task) = (site.root.clone(), site.task.clone());
        let held: Vec<TaskId> = site
            .config
            .iter()
            .flat_map(|c| crate::daemon::site::tasks(c))
            .collect();
        let Some(desk) = site.desk.as_mut() else {
            return;
        };
        desk.push(move |desk| {
            let mut loaded = crate::daemon::configuration::load(&root, task.as_ref());
            if loaded.is_err() && matches!(then, Then::Rest) {
                // A file that is written in place is empty for a moment.
                std::thread::sleep(CONFIG_PAUSE);
                loaded = crate::daemon::configuration::load(&root, task.as_ref());
            }
            let tasks = loaded
                .iter()
                .flat_map(|loaded| crate::daemon::site::tasks(&loaded.config));
            let new: Vec<TaskId> = tasks.filter(|task| !held.contains(task)).collect();
            let known = if new.is_empty() {
                BTreeMap::new()
            } else {
                desk.recover(&new, clock.wall()).unwrap_or_default().known
            };
            let what = What::Loaded {
                loaded: Box::new(loaded),
                known,
                then,
            };
            Some(Done {
                workspace: id,
                what,
            })
        });
    }

    pub(super) fn reload_all(&mut self) {
        let ids: Vec<WorkspaceId> = self.sites.keys().copied().collect();
        ids.into_iter().for_each(|id| self.reload(id, Then::Rest));
    }

    fn take_loaded(
        &mut self,
        id: WorkspaceId,
        loaded: Result<Loaded, ConfigurationError>,
        known: &BTreeMap<TaskId, DiskKnown>,
        then: Then,
    ) {
        self.take_configuration(id, loaded, known);
        match then {
            Then::Rest => {}
            Then::Reload(request) => self.take_reloaded(id, request),
            Then::Allow(asked) => self.allow(id, *asked),
        }
    }

    /// Takes a configuration into force, or tells why it is not.
    pub(super) fn take_configuration(
        &mut self,
        id: WorkspaceId,
        loaded: Result<Loaded, ConfigurationError>,
        known: &BTreeMap<TaskId, DiskKnown>,
    ) {
        let hosted = self.tenancy == Tenancy::Hosted;
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let loaded = match loaded {
            Ok(loaded) => Arc::new(loaded),
            Err(error) => {
                let detail = chain(&error);
                tracing::warn!(root = %site.root, %detail, "the configuration is refused");
                site.refused = Some(detail.clone());
                self.inputs.push_back(Input::Misconfigured {
                    workspace: id,
                    detail,
                });
                return;
            }
        };
        for warning in &loaded.config.warnings {
            tracing::warn!(root = %site.root, %warning, "the configuration is odd");
        }
        let same = site.loaded.as_ref() == Some(&loaded) && site.refused.is_none();
        site.refused = None;
        site.loaded = Some(Arc::clone(&loaded));
        let config = match hosted {
            true => crate::daemon::effects::quiet(&loaded.config),
            false => Arc::new(loaded.config.clone()),
        };
        if site.config.as_ref() != Some(&config) {
            let scopes = scopes(&site.root, &site.spots, Some(&loaded));
            if let Some(tree) = site.tree.as_mut() {
                tree.push(move |tree| {
                    let touches = tree.configure(scopes);
                    let facts = crate::daemon::site::Facts::of(tree);
                    let failed = touches.err().map(Err);
                    let touches = failed.unwrap_or_else(|| Ok(Default::default()));
                    let looked = Looked {
                        touches,
                        capture: None,
                        facts,
                    };
                    Some(Done {
                        workspace: id,
                        what: What::Looked(Box::new(looked)),
                    })
                });
            }
        }
        site.config = Some(config);
        let known = known
            .iter()
            .map(|(task, known)| (task.clone(), engine_known(known, &loaded, task)));
        let known = known.collect();
        if !same {
            self.configure(id, known);
        }
    }

    /// Tells the engine the configuration that is in force, and whether it may run.
    pub(super) fn configure(&mut self, id: WorkspaceId, known: BTreeMap<TaskId, Known>) {
        let trust = self.trust_of(id);
        let Some(config) = self.sites.get(&id).and_then(|site| site.config.clone()) else {
            return;
        };
        let setup = Setup {
            config,
            trust,
            known,
        };
        self.inputs.push_back(Input::Configured {
            workspace: id,
            setup,
        });
    }

    fn trust_of(&mut self, id: WorkspaceId) -> Trust {
        let Some(site) = self.sites.get(&id) else {
            return untrusted("it is not registered");
        };
        let Some(loaded) = &site.loaded else {
            return untrusted("it could not be read");
        };
        if let Err(error) = self.trust.refresh(self.clock.wall()) {
            return untrusted(&chain(&error));
        }
        match self
            .trust
            .check(&site.root, loaded.command_set, &loaded.commands)
        {
            Trusted::Allowed => Trust::Allowed,
            Trusted::Never => untrusted(&format!(
                "the commands of `{}` have not been allowed: run `orchctl allow {}`",
                site.root, site.root
            )),
            Trusted::Changed { diff, .. } => {
                let lines = diff.lines();
                let what = if lines.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", lines.join("; "))
                };
                untrusted(&format!(
                    "the commands of `{}` have changed since they were allowed{what}: run `orchctl allow {}`",
                    site.root, site.root
                ))
            }
        }
    }
}

fn untrusted(detail: &str) -> Trust {
    Trust::Untrusted {
        detail: detail.to_owned(),
    }
}

/// What the evidence says of a task, in the engine's words.
fn engine_known(known: &DiskKnown, loaded: &Loaded, task: &TaskId) -> Known {
    let pipeline = loaded.config.project(task).map(|project| &project.pipeline);
    let proofs = known.proofs.iter().filter(|(id, _)| Some(*id) == pipeline);
    let proofs = proofs.filter_map(|(_, proof)| {
        let keys: Option<Vec<_>> = proof.stages.iter().map(|stage| stage.key).collect();
        Some(Proof {
            keys: keys?,
            verdict: proof.verdict,
            run: proof.run.clone(),
        })
    });
    let last = known.last.as_ref().map(|last| Latest {
        run: LastRun {
            run_id: last.record.run_id.clone(),
            status: last.record.status,
            status_detail: last.status_detail.clone(),
            started_at: last.record.started_at,
            completed_at: last.record.completed_at,
            duration_ms: last.record.duration_ms,
            manifest: last.record.manifest.clone(),
            cause: last.record.cause,
        },
        failure: last.failure.as_ref().map(|failure| Failure {
            stage: failure.stage.clone(),
            exit_code: failure.exit_code.and_then(|code| i32::try_from(code).ok()),
            excerpt: failure.excerpt.clone(),
            log_path: failure.log_path.clone(),
        }),
    });
    Known {
        last,
        proofs: proofs.collect(),
    }
}
