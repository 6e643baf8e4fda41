//! Carrying out what the engine decided: looks, evidence, stages, answers, news.
//!
//! Each effect is given away at once (a tree, a desk, a runner, the server) and answered by an arrival; none of them waits.
//! Progress and standings are written late and in their latest state only; the end of a run is written at once.

use crate::daemon::chain::chain;
use crate::daemon::message::{Done, Looked, What};
use crate::daemon::runner;
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::site::{Facts, Readiness};
use crate::daemon::stage;
use crate::daemon::weighing::Weighing;
use crate::engine::ask::Stop;
use crate::engine::{Effect, Input, Record, Standing};
use crate::limits::{ANCHOR_PAUSE, CAPTURE_WAIT_MAX, PROGRESS_DELAY, STANDING_DELAY};
use crate::model::config::Config;
use crate::model::id::{CaptureId, RunId, TaskId, WorkspaceId};
use crate::model::run::{Cause, RunReport};
use crate::model::view::Subject;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A run that is to begin.
#[derive(Debug)]
pub(super) struct Begin {
    report: Box<RunReport>,
    /// It is taken up again.
    resumed: bool,
}

impl Shell {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Capture {
                capture,
                workspace,
                subjects,
            } => {
                self.capture(capture, workspace, subjects);
            }
            Effect::Foresee { report } => self.foresee(report),
            Effect::Begin { report, resumed } => self.begin_watched(Begin { report, resumed }),
            Effect::Record { report } => self.progress(report),
            Effect::End { report, standing } => self.end(report, standing.as_ref()),
            Effect::State {
                workspace,
                standing,
            } => self.state(workspace, &standing),
            Effect::StartStage {
                run,
                config,
                report,
                stage,
            } => {
                self.start_stage(&run, &config, &report, stage);
            }
            Effect::StopStage { run, stage, stop } => {
                if let Some(stopper) = self.stoppers.get(&(run, stage)) {
                    stopper.stop(match stop {
                        Stop::Term => runner::Stop::Term,
                        Stop::Kill => runner::Stop::Kill,
                    });
                }
            }
            Effect::TakeMutex { mutex } => self.want_mutex(mutex),
            Effect::LeaveMutex { mutex } => self.mutexes.leave(&mutex),
            Effect::Weigh {
                weigh,
                workspace,
                run,
                stage,
                base,
                lists,
            } => {
                let asked = Weighing {
                    weigh,
                    run,
                    stage,
                    base,
                    lists,
                };
                self.weigh(workspace, asked);
            }
            Effect::Reply { request, reply } => self.reply(request, reply),
            Effect::Release { request } => drop(self.attended.remove(&request)),
            Effect::Publish { seq, at, news } => {
                self.about.note_seq(seq);
                if let Some(event) = self.event(seq, at, news) {
                    self.feed.publish(&event);
                }
            }
            Effect::Forget { workspace } => self.forget(workspace),
            Effect::Exit => {
                // What this daemon knows and a damaged file does not would go with it.
                self.mend_stores();
                self.exiting = true;
                self.answer_adding_at_end();
            }
        }
    }

    fn capture(&mut self, capture: CaptureId, workspace: WorkspaceId, subjects: Vec<Subject>) {
        let tasks = subjects.iter().map(|subject| subject.task.clone());
        let exhibits = self.exhibits(workspace, &tasks.collect());
        let probing = self.probing(workspace);
        let site = self.sites.get_mut(&workspace);
        let tree = site.and_then(|site| Some((site.next_look(), site.tree.as_mut()?)));
        let Some((look, tree)) = tree else {
            self.inputs.push_back(Input::Captured {
                capture,
                workspace,
                views: None,
            });
            return;
        };
        let has_answered = self.has_answered;
        tree.push(move |tree| {
            if has_answered {
                tree.end_first_question();
            }
            let captured = tree.capture(&subjects, CAPTURE_WAIT_MAX);
            let inspected = exhibits.map(|exhibits| exhibits.inspect());
            let facts = Facts::of(tree);
            let settles = captured.is_ok().then_some(look);
            let mut toolchains = None;
            let (touches, views) = match captured {
                Ok((touches, mut views)) => {
                    toolchains = probing.map(|probing| probing.note(&mut views));
                    (Ok(touches), Some(views))
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "a look at the content failed");
                    (after_failure(error), None)
                }
            };
            let capture = Some((capture, views));
            let looked = Box::new(Looked {
                touches,
                capture,
                inspected: inspected.unwrap_or_default(),
                facts,
                settles,
                examined: false,
                toolchains,
            });
            Some(Done {
                workspace,
                what: What::Looked(looked),
            })
        });
    }

    /// Has the first evidence of a run made ready that begins soon.
    fn foresee(&mut self, report: Box<RunReport>) {
        let clock = self.clock;
        let site = self.sites.get_mut(&report.workspace);
        if let Some(desk) = site.and_then(|site| site.desk.as_mut()) {
            desk.push(move |desk| {
                desk.foresee(&report, clock.wall());
                None
            });
        }
    }

    /// Begins a run, in a workspace that is watched by then: whatever changes from now on may be read by its stages.
    fn begin_watched(&mut self, begin: Begin) {
        let id = begin.report.workspace;
        let site = self.sites.get_mut(&id).filter(|it| it.facts.unwatched);
        let Some(site) = site.filter(|site| site.tree.is_some()) else {
            return self.begin(begin);
        };
        site.unbegun.push(begin);
        if let Some(tree) = site.tree.as_mut().filter(|_| site.unbegun.len() == 1) {
            tree.push(move |tree| {
                let touches = tree.watch_now();
                let looked = Looked::by_itself(touches, Facts::of(tree));
                let what = What::Watched(Box::new(looked));
                Some(Done {
                    workspace: id,
                    what,
                })
            });
        }
    }

    pub(super) fn take_watched(&mut self, id: WorkspaceId, looked: Looked) {
        let is_watched = looked.touches.is_ok();
        // What differs from what was seen is known before anything runs.
        self.take_look(id, looked);
        let site = self.sites.get_mut(&id);
        let unbegun = site.map(|site| std::mem::take(&mut site.unbegun));
        for begin in unbegun.into_iter().flatten() {
            match is_watched {
                true => self.begin(begin),
                false => self.not_recorded(begin.report.run, Record::Begin),
            }
        }
    }

    fn begin(&mut self, Begin { report, resumed }: Begin) {
        let (workspace, run, clock) = (report.workspace, report.run.clone(), self.clock);
        let begun = run.clone();
        let (task, pipeline) = (report.task.clone(), report.pipeline.clone());
        let cause = report.cause;
        let by_change = cause == Cause::Change;
        let passes = self.passes_for(&report);
        let site = self.sites.get_mut(&workspace);
        let changed_file = site.as_ref().map(|site| stage::changed_file(site, &report));
        let desk = site.and_then(|site| {
            site.readiness = Readiness::None;
            site.desk.as_mut()
        });
        let (Some(desk), Some(changed_file)) = (desk, changed_file) else {
            self.not_recorded(run, Record::Begin);
            return;
        };
        desk.push(move |desk| {
            let begun = desk.begin(&report, clock.wall());
            let failure = begun.err().map(|error| chain(&error));
            if let Some(failure) = &failure {
                tracing::error!(run = %report.run, %failure, "a run could not be put on disk");
            } else if let Err(error) = stage::write_changed(&changed_file, &report.unproven) {
                // Stages then find no list at all: nobody takes an old or a torn one for the truth.
                tracing::warn!(run = %report.run, error = %chain(&error), "the list of changed files could not be written");
            }
            let gone = passes.map(|passes| passes.gone()).unwrap_or_default();
            Some(Done { workspace, what: What::Recorded { run, record: Record::Begin, failure, gone } })
        });
        desk.push(move |desk| {
            if by_change {
                // Whoever saved waits for the first command, and on few cores this would be in its way.
                std::thread::sleep(ANCHOR_PAUSE);
            }
            if !resumed && desk.holds(&begun) {
                tracing::info!(run = %begun, %task, %pipeline, ?cause, "a run has begun");
            }
            if let Err(error) = desk.anchor(&begun) {
                tracing::error!(run = %begun, error = %chain(&error), "the beginning of a run could not be put on disk");
            }
            desk.let_go();
            None
        });
    }

    fn progress(&mut self, report: Box<RunReport>) {
        let at = self.clock.tick().after(PROGRESS_DELAY);
        if let Some(site) = self.sites.get_mut(&report.workspace) {
            site.progress.insert(report.run.clone(), report);
            site.flush_by(at);
        }
    }

    fn end(&mut self, report: Box<RunReport>, standing: Option<&Standing>) {
        let (workspace, run, clock) = (report.workspace, report.run.clone(), self.clock);
        let now = clock.wall();
        let Some(site) = self
            .sites
            .get_mut(&workspace)
            .filter(|site| site.desk.is_some())
        else {
            self.not_recorded(run, Record::End);
            return;
        };
        site.progress.remove(&run);
        let state = standing.filter(|_| !site.spots.is_checkout());
        let state = state.map(|standing| site.task_state(standing, now));
        if let Some(state) = &state {
            site.states.remove(&report.task);
            site.calls_present(state, &report.task);
        }
        let Some(desk) = site.desk.as_mut() else {
            return;
        };
        desk.push(move |desk| {
            let ended = desk.end(&report, state.as_ref(), clock.wall());
            let failure = ended.err().map(|error| chain(&error));
            match &failure {
                None => {
                    tracing::info!(run = %report.run, status = ?report.status, verdict = ?report.verdict, "a run has ended");
                }
                Some(failure) => {
                    tracing::error!(run = %report.run, %failure, "the end of a run could not be recorded");
                }
            }
            let gone = BTreeSet::new();
            Some(Done { workspace, what: What::Recorded { run, record: Record::End, failure, gone } })
        });
        desk.push(|desk| {
            desk.let_go();
            None
        });
    }

    fn state(&mut self, workspace: WorkspaceId, standing: &Standing) {
        let (now, tick) = (self.clock.wall(), self.clock.tick());
        // Between its beginning and its answer one that is asked once knows nothing that anybody reads.
        let asked_once = self.tenancy == Tenancy::Hosted;
        let site = self.sites.get_mut(&workspace);
        // What is known of a checkout is not what is known of the present content.
        if let Some(site) = site.filter(|site| !site.spots.is_checkout()) {
            let state = site.task_state(standing, now);
            let was = site.calls_present(&state, &standing.project.task);
            site.states.insert(standing.project.task.clone(), state);
            // What the file calls present and is not any more must not stand there a moment longer, and what was proven
            // before is looked up there by whoever is told so.
            let at_once = was != standing.fresh.then_some(standing.verdict);
            site.flush_by(if at_once && !asked_once {
                tick
            } else {
                tick.after(STANDING_DELAY)
            });
        }
    }

    fn start_stage(&mut self, run: &RunId, config: &Config, report: &RunReport, index: usize) {
        let Some(site) = self.sites.get(&report.workspace) else {
            return;
        };
        let around = stage::runs_around(self.tenancy);
        let Some(mut attempt) = stage::attempt(site, config, report, index, around) else {
            return;
        };
        attempt.mutex = self.mutexes.hold_of(stage::mutex(config, report, index));
        let (stopper, ending) = runner::start(attempt, self.clock).split();
        self.stoppers.insert((run.clone(), index), stopper);
        let (out, workspace, run) = (self.out.clone(), report.workspace, run.clone());
        self.children.spawn(async move {
            let ending = Box::new(ending.await);
            let what = What::StageEnded {
                run,
                stage: index,
                ending,
            };
            // The loop that does not hear it has ended.
            drop(out.send(Done { workspace, what }).await);
        });
    }

    fn not_recorded(&mut self, run: RunId, record: Record) {
        let failure = Some("the workspace is not there".to_owned());
        self.inputs.push_back(Input::Recorded {
            run,
            record,
            failure,
        });
    }

    /// Says of every run under way that its owner lives.
    pub(super) fn beat(&mut self) {
        let clock = self.clock;
        let active: BTreeSet<WorkspaceId> =
            self.engine.runs().map(|report| report.workspace).collect();
        for id in active {
            if let Some(desk) = self.sites.get_mut(&id).and_then(|site| site.desk.as_mut()) {
                desk.push(move |desk| {
                    if let Err(error) = desk.heartbeat(clock.wall()) {
                        tracing::warn!(error = %chain(&error), "a heartbeat could not be written");
                    }
                    None
                });
            }
        }
    }

    /// Removes the runs of a task that are beyond its bounds.
    pub(super) fn retain(&mut self, workspace: WorkspaceId, task: TaskId) {
        let clock = self.clock;
        let active = self.engine.runs().map(|report| &report.run);
        // What proves the present content would only have to run again.
        let present = self.engine.present_proofs(workspace);
        let present = present.map(|(_, proof)| &proof.run);
        // The sidecar of a run under way does not name yet what it has taken over.
        let reused = self.engine.runs().flat_map(|report| &report.stages);
        let reused = reused.filter_map(|stage| stage.reused_from.as_ref());
        let active: Vec<RunId> = active.chain(present).chain(reused).cloned().collect();
        let site = self.sites.get_mut(&workspace);
        // How much is kept is for the workspace's own configuration to say, not for that of a commit.
        let Some(site) = site.filter(|site| !site.spots.is_checkout()) else {
            return;
        };
        let keep = site.config.as_ref().map(|config| config.settings.retain);
        let (Some(keep), Some(desk)) = (keep, site.desk.as_mut()) else {
            return;
        };
        desk.push(move |desk| {
            let gone = desk.retain(&task, keep, &active, clock.wall());
            match &gone {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => tracing::info!(task = %task, runs = gone.len(), "old runs were removed"),
                Err(error) => tracing::warn!(task = %task, error = %chain(error), "old runs could not be removed"),
            }
            let gone = gone.map(|gone| gone.into_iter().collect());
            let gone = gone.map_err(|error| chain(&error));
            let what = What::Removed { task, gone };
            Some(Done { workspace, what })
        });
    }

    pub(super) fn take_removed(
        &mut self,
        id: WorkspaceId,
        task: TaskId,
        gone: Result<BTreeSet<RunId>, String>,
    ) {
        let Some(site) = self.sites.get_mut(&id) else {
            return;
        };
        match gone {
            Err(why) => drop(site.unremoved.insert(task, why)),
            Ok(runs) => {
                site.unremoved.remove(&task);
                if !runs.is_empty() {
                    self.discard(id, runs);
                }
            }
        }
    }
}

/// What a failed look tells of the root.
fn after_failure(
    error: crate::daemon::tree::CaptureError,
) -> Result<crate::model::view::Touches, crate::daemon::tree::TreeError> {
    use crate::daemon::tree::CaptureError;
    match error {
        CaptureError::Tree(error) => Err(error),
        CaptureError::Unsynced(_) => Ok(crate::model::view::Touches::default()),
    }
}

/// The configuration that a shell runs: as it was read, or with nothing that starts by itself.
pub(super) fn quiet(config: &Config) -> Arc<Config> {
    let mut quiet = config.clone();
    quiet.settings.on_start = crate::model::config::OnStart::Wait;
    Arc::new(quiet)
}
