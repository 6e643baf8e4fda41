//! Which configuration is in force, and whether it may run: read, compared, trusted, told to the engine.
//!
//! A bad file keeps the last good configuration, and its workspace is told to be misconfigured until it is mended. The
//! trust store is read again each time, because another process may have allowed or denied meanwhile.

use crate::daemon::chain::chain;
use crate::daemon::evidence::Known as DiskKnown;
use crate::daemon::message::{Done, Looked, Then, What};
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::site::{scopes, tasks};
use crate::daemon::store::StoreError;
use crate::daemon::trust::Trust as Trusted;
use crate::disk::configuration::{ConfigurationError, Loaded};
use crate::engine::keys::Proof;
use crate::engine::{Input, Known, Latest, Setup, Trust, Watch};
use crate::limits::CONFIG_PAUSE;
use crate::model::digest::StageKey;
use crate::model::evidence::SidecarStage;
use crate::model::id::{Seq, TaskId, WorkspaceId};
use crate::model::report::status::{Failure, LastRun};
use crate::model::run::{Outcome, Verdict};
use crate::model::view::Touches;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Shell {
    /// Reads a workspace's configuration again, and what the evidence says of its tasks.
    pub(super) fn reload(&mut self, id: WorkspaceId, then: Then) {
        let clock = self.clock;
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        let (root, task) = (site.spots.ground.root.clone(), site.task.clone());
        let held: Vec<TaskId> = site.config.iter().flat_map(|c| tasks(c)).collect();
        let Some(desk) = site.desk.as_mut() else {
            return;
        };
        desk.push(move |desk| {
            let mut loaded = crate::disk::configuration::load(&root, task.as_ref());
            if loaded.is_err() && matches!(then, Then::Rest | Then::Lift) {
                // A file that is written in place is empty for a moment.
                std::thread::sleep(CONFIG_PAUSE);
                loaded = crate::disk::configuration::load(&root, task.as_ref());
            }
            let tasks = loaded.iter().flat_map(|loaded| tasks(&loaded.config));
            let new: Vec<TaskId> = tasks.filter(|task| !held.contains(task)).collect();
            let known = if new.is_empty() {
                BTreeMap::new()
            } else {
                crate::daemon::site::recover(desk, &new, clock).known
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
        self.mend_stores();
        let ids: Vec<WorkspaceId> = self.sites.keys().copied().collect();
        for id in ids {
            self.reload(id, Then::Rest);
            self.watch_again(id);
        }
    }

    /// Asks for watches again where the kernel refused them: somebody may have raised the limit.
    fn watch_again(&mut self, id: WorkspaceId) {
        let Some(site) = self.sites.get_mut(&id).filter(|site| site.facts.refused) else {
            return;
        };
        let look = site.next_look();
        let Some(tree) = site.tree.as_mut() else {
            return;
        };
        tree.push(move |tree| {
            let touches = tree.watch_again().transpose()?;
            let settles = touches.is_ok().then_some(look);
            let facts = crate::daemon::site::Facts::of(tree);
            let looked = Looked {
                settles,
                ..Looked::by_itself(touches, facts)
            };
            Some(Done {
                workspace: id,
                what: What::Looked(Box::new(looked)),
            })
        });
        let detail = "watches are asked for again, and everything is looked at".to_owned();
        self.inputs.push_back(Input::Watched {
            workspace: id,
            watch: Watch::Rescanning { detail },
        });
    }

    pub(super) fn take_loaded(
        &mut self,
        id: WorkspaceId,
        loaded: Result<Loaded, ConfigurationError>,
        known: &BTreeMap<TaskId, DiskKnown>,
        then: Then,
    ) {
        self.take_configuration(id, loaded, known);
        match then {
            Then::Rest => {}
            Then::Lift => {
                if let Some(site) = self.sites.get_mut(&id) {
                    site.rereads = site.rereads.saturating_sub(1);
                }
                self.note_watch(id);
            }
            Then::Reload(request) => {
                self.watch_again(id);
                self.take_reloaded(id, request);
            }
            Then::Allow(request, wanted) => self.allow(id, request, wanted),
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
                let detail = chain(&site.spots.ground.as_git_names(error));
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
            if let Some(config) = &site.config {
                site.evidenced.extend(tasks(config));
            }
            let evidenced = &site.evidenced;
            let scopes = scopes(&site.spots, evidenced, Some(&loaded));
            if let Some(tree) = site.tree.as_mut() {
                tree.push(move |tree| {
                    let touches = tree.configure(scopes);
                    let facts = crate::daemon::site::Facts::of(tree);
                    // That everything may differ is known with the configuration.
                    let touches = touches.map(|touches| Touches {
                        configuration: touches.configuration,
                        ..Touches::default()
                    });
                    let looked = Looked::by_itself(touches, facts);
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
        let Some(site) = self.sites.get(&id) else {
            return;
        };
        let refused = site.refused.clone();
        let Some(config) = site.config.clone() else {
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
        if let Some(detail) = refused {
            // It is the last good one that was told again.
            self.inputs.push_back(Input::Misconfigured {
                workspace: id,
                detail,
            });
        }
    }

    /// Takes in what another program has allowed or taken back, before anything is begun or told that relies on it. What
    /// a damaged file said stands.
    pub(super) fn mind_trust(&mut self) {
        if self.exiting || !self.trust.was_changed() {
            return;
        }
        let open = self.sites.iter().filter(|(_, site)| !site.closing);
        let ids: Vec<WorkspaceId> = open.map(|(id, _)| *id).collect();
        for id in ids {
            let trust = self.trust_of(id);
            if self.engine.trust(id).is_some_and(|known| *known != trust) {
                self.configure(id, BTreeMap::new());
            }
        }
        self.settle();
    }

    pub(super) fn trust_of(&mut self, id: WorkspaceId) -> Trust {
        match self.trust.glance(self.clock.wall()) {
            Ok(()) => {}
            Err(error @ StoreError::Held { .. }) => {
                self.mend_later();
                let detail = chain(&error);
                return untrusted(&format!(
                    "the file of what is allowed is damaged, and is written anew as soon as its lock is free: {detail}"
                ));
            }
            Err(error) => return untrusted(&chain(&error)),
        }
        let Some(site) = self.sites.get(&id) else {
            return untrusted("it is not registered");
        };
        let Some(loaded) = &site.loaded else {
            return untrusted("it could not be read");
        };
        match self
            .trust
            .check(&site.root, loaded.command_set, &loaded.commands)
        {
            Trusted::Allowed => Trust::Allowed,
            Trusted::Never => Trust::Denied {
                detail: format!(
                    "the commands of `{}` have not been allowed: run `orchctl allow {}`",
                    site.root,
                    site.root.quoted()
                ),
            },
            Trusted::Changed { diff } => {
                let lines = diff.lines();
                let what = if lines.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", lines.join("; "))
                };
                if let Some(judged) = &site.spots.ground.judged {
                    return untrusted(&format!(
                        "the commands in {judged} are others than those that were allowed for `{}`{what}: where they lie in the working tree, run `orchctl allow {}`",
                        site.root,
                        site.root.quoted()
                    ));
                }
                untrusted(&format!(
                    "the commands of `{}` have changed since they were allowed{what}: run `orchctl allow {}`",
                    site.root,
                    site.root.quoted()
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

/// The keys on which the stages of a run have passed.
fn passed_on(stages: &[SidecarStage]) -> BTreeSet<StageKey> {
    let passed = stages.iter();
    let passed = passed.filter(|stage| stage.outcome == Outcome::Passed);
    passed.flat_map(SidecarStage::keys).collect()
}

/// What the evidence says of a task, in the engine's words.
fn engine_known(known: &DiskKnown, loaded: &Loaded, task: &TaskId) -> Known {
    let pipeline = loaded.config.project(task).map(|project| &project.pipeline);
    let proofs = pipeline.and_then(|pipeline| known.proofs.get(pipeline));
    let newest_first = proofs.into_iter().flatten();
    let proofs = newest_first.rev().filter_map(|proof| {
        let keys = proof.stages.iter().map(SidecarStage::content_key);
        let keys: Option<Vec<_>> = keys.collect();
        let mut outcomes = proof.stages.iter().map(|stage| stage.outcome);
        let timed_out = outcomes.any(|outcome| outcome == Outcome::TimedOut);
        Some(Proof {
            keys: keys?,
            verdict: proof.verdict,
            on: passed_on(&proof.stages),
            run: proof.run.clone(),
            timed_out: timed_out && proof.verdict == Verdict::Fail,
            confirmed: false,
            told: Seq::default(),
        })
    });
    let last = pipeline.and_then(|pipeline| known.last.get(pipeline));
    let last = last.map(|last| Latest {
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
            name: failure.name.clone(),
            exit_code: failure.exit_code.and_then(|code| i32::try_from(code).ok()),
            excerpt: failure.excerpt.clone(),
            log_path: failure.log_path.clone(),
            run_id: failure.run_id.clone(),
        }),
    });
    Known {
        last,
        proofs: proofs.collect(),
        history: known.history.clone(),
        proven: known.proven.clone(),
    }
}
