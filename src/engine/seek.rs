//! The search for a project's verdict: from a look to a run, and from its end to an answer.
//!
//! Nobody is left behind: whoever waits for a run is answered by its end, or by any look that finds the content proven.

use crate::engine::ProjectId;
use crate::engine::ask::{Answer, Denied, NOT_IN_TIME, NOTHING_PROVEN, Patience, Reply};
use crate::engine::keys::Proof;
use crate::engine::state::Engine;
use crate::engine::waiters::{Need, Sought, Waiter};
use crate::model::config::{Config, Flaky};
use crate::model::id::{RequestId, WorkspaceId};
use crate::model::run::{RunReport, Verdict};
use std::collections::BTreeSet;

/// What is said of a project that no pipeline is run for by itself.
const UNPIPED: &str =
    "the project has no pipeline of its own: name one as `defaultPipeline`, or run one by its name";

/// What is said of a project that went while somebody waited.
const GONE: &str = "the project is no longer configured";

/// What is said of a project whose verdict was found, and may be another one now.
const CHANGED: &str = "its content may have changed meanwhile";

impl Engine {
    /// What is known of a project's content, right after a look; else has it run.
    pub(super) fn seek(
        &mut self,
        request: RequestId,
        id: &ProjectId,
        patience: Patience,
    ) -> Sought {
        if let Some(why) = self.why_not(id, patience) {
            return Sought::Found(self.no_answer(id, &why));
        }
        if self.obstacle(id.workspace).is_some() {
            return self.look_for(request, id);
        }
        let unsure = patience.runs() && self.recheck_for(request, id);
        let Some(project) = self.projects.get(id) else {
            return Sought::Look;
        };
        if !unsure && project.answer().is_some() {
            return Sought::Found(self.answer(id, true));
        }
        if !patience.runs() {
            return Sought::Found(self.no_answer(id, NOTHING_PROVEN));
        }
        if self.default_pipeline(id).is_none() {
            return Sought::Found(self.no_answer(id, UNPIPED));
        }
        self.have_run(id);
        Sought::Run
    }

    /// Has the present content of a project run, unless the run under way may prove it.
    fn have_run(&mut self, id: &ProjectId) {
        let own = self.default_pipeline(id).map(|own| own.id.clone());
        let project = self.projects.get(id);
        let seen = project.and_then(|project| project.known());
        let joins = self.active_root(id).is_some_and(|run| {
            Some(&run.report.pipeline) == own.as_ref()
                && seen.is_some_and(|seen| run.may_prove(seen))
        });
        if let Some(own) = own.filter(|_| !joins) {
            self.pend(id, &own, self.cause_now(id));
        }
    }

    /// Why nothing will be known of a project, however long somebody of this patience waits.
    fn why_not(&self, id: &ProjectId, patience: Patience) -> Option<String> {
        if self.projects.get(id).is_none_or(|project| project.gone) {
            return Some(GONE.to_owned());
        }
        let obstacle = self.obstacle(id.workspace);
        let lasts = obstacle.filter(|obstacle| !patience.runs() || !obstacle.passes());
        lasts.map(|obstacle| obstacle.detail().to_owned())
    }

    /// Whether somebody waits for a run to tell this project's verdict.
    pub(super) fn is_awaited(&self, id: &ProjectId) -> bool {
        self.waiters.awaiting(id).next().is_some()
    }

    pub(super) fn awaiting(&self, id: &ProjectId) -> Vec<RequestId> {
        self.waiters.awaiting(id).collect()
    }

    /// The content was looked at: who waits for a run is answered if it is proven by now, because nothing else would run.
    pub(super) fn answer_proven(&mut self, id: &ProjectId) {
        let serves = self.obstacle(id.workspace).is_none();
        let project = self.projects.get(id).filter(|_| serves);
        if project.is_none_or(|project| project.answer().is_none()) {
            return;
        }
        // It may have been somebody's save, and was not run since for those who wait.
        if self.recheck_for_all(id) {
            return self.have_run(id);
        }
        for request in self.awaiting(id) {
            let found = Sought::Found(self.answer(id, true));
            self.waiters.note(request, id, found);
            self.answer_if_found(request);
        }
    }

    /// The run that was waited for may no longer be the one: who waits for it has the content looked at again.
    pub(super) fn seek_again(&mut self, id: &ProjectId) {
        for request in self.awaiting(id) {
            self.look_again(request, id);
            self.answer_if_found(request);
        }
    }

    fn look_again(&mut self, request: RequestId, id: &ProjectId) {
        let sought = self.look_for(request, id);
        self.waiters.note(request, id, sought);
    }

    /// Wants a look at a project's content for a question; without a pipeline of its own none would be taken.
    pub(super) fn look_for(&mut self, request: RequestId, id: &ProjectId) -> Sought {
        let config = self
            .workspaces
            .get(&id.workspace)
            .and_then(|it| it.config());
        let project = config.and_then(|config| Some((config, config.project(&id.task)?)));
        if project.is_some_and(|(config, project)| config.is_unpiped(project)) {
            return Sought::Found(self.no_answer(id, UNPIPED));
        }
        self.want_own(id, Some(request));
        Sought::Look
    }

    /// A run of a project has ended: answers those who wait for the project's verdict, if this is it.
    pub(super) fn answer_after(&mut self, id: &ProjectId, report: &RunReport) {
        let own = self
            .default_pipeline(id)
            .is_some_and(|own| own.id == report.pipeline);
        if !own {
            return;
        }
        let serves = self.obstacle(id.workspace).is_none();
        // It may have been somebody's save: whoever waits is told so of what is rewritten in one more run, too.
        let is_unsure = serves && report.verdict == Verdict::Unstable;
        if is_unsure && self.recheck_for_all(id) {
            return self.seek_again(id);
        }
        for request in self.awaiting(id) {
            let project = self.projects.get(id).filter(|_| serves);
            let sought = match project.and_then(|project| project.known()) {
                // Touched again meanwhile, or its configuration is being read: looked at again, then judged.
                None => Sought::Look,
                Some(seen) => match project.and_then(|project| project.proof(&seen.keys)) {
                    Some(proof) if proof.run == report.run => Sought::Found(self.answer(id, false)),
                    _ if report.verdict == Verdict::Unknown && report.void.is_none() => {
                        let detail = "its run was ended before it proved anything";
                        Sought::Found(self.no_answer(id, detail))
                    }
                    // A void run says nothing of the present content.
                    _ => Sought::Look,
                },
            };
            match sought {
                Sought::Look => self.look_again(request, id),
                Sought::Run | Sought::Found(_) => self.waiters.note(request, id, sought),
            }
            self.answer_if_found(request);
        }
    }

    /// A question about all projects of a workspace is about those that are configured now, and what was found of them
    /// under another configuration is sought again.
    pub(super) fn ask_anew(&mut self, workspace: WorkspaceId, config: &Config) {
        let configured = config.projects.iter().map(|project| ProjectId {
            workspace,
            task: project.task.clone(),
        });
        let configured: BTreeSet<ProjectId> = configured.collect();
        let asked = self.waiters.iter().filter(|(_, waiter)| {
            matches!(&waiter.need, Need::Verdicts { scope, .. } if scope.tasks.is_empty()
                && scope.workspace.is_none_or(|about| about == workspace))
        });
        let asked: Vec<RequestId> = asked.map(|(request, _)| request).collect();
        for request in asked {
            self.waiters.change(request, |waiter| {
                if let Need::Verdicts { projects, .. } = &mut waiter.need {
                    projects.retain(|id, _| id.workspace != workspace);
                }
            });
            for id in &configured {
                self.look_again(request, id);
            }
            self.answer_if_found(request);
        }
    }

    /// A project is gone: who asked for it by name is refused, unless its whole workspace goes, which the answer tells.
    pub(super) fn answer_gone(&mut self, id: &ProjectId) {
        let closing = self
            .workspaces
            .get(&id.workspace)
            .is_none_or(|workspace| workspace.closing);
        let found = self.no_answer(id, GONE);
        for request in self.waiters.requests() {
            if let Some(Waiter {
                need: Need::Verdicts { projects, .. },
                ..
            }) = self.waiters.get(request)
                && matches!(projects.get(id), Some(Sought::Look | Sought::Run))
            {
                if !closing {
                    self.deny(request, Denied::UnknownProject(id.task.clone()));
                    continue;
                }
                let found = Sought::Found(found.clone());
                self.waiters.note(request, id, found);
            }
            self.answer_if_found(request);
        }
    }

    /// Answers a question of which everything is found, and known at this moment; what is not known any more is sought
    /// again, and takes a look at least before it is asked about here again.
    pub(super) fn answer_if_found(&mut self, request: RequestId) {
        let Some((patience, answers)) = self.found(request) else {
            return;
        };
        let stale = answers.iter().filter(|answer| !self.holds_still(answer));
        let stale: Vec<ProjectId> = stale.map(|answer| answer.project.clone()).collect();
        for id in &stale {
            let sought = self.lose(request, id, patience);
            self.waiters.note(request, id, sought);
        }
        if let Some((_, answers)) = self.found(request) {
            self.reply(request, Reply::Verdicts(answers));
        }
    }

    /// How patient a question is, and its answers once all are there.
    fn found(&self, request: RequestId) -> Option<(Patience, Vec<Answer>)> {
        let Need::Verdicts {
            patience, projects, ..
        } = &self.waiters.get(request)?.need
        else {
            return None;
        };
        let answers = projects.values().map(|sought| match sought {
            Sought::Found(answer) => Some(answer.clone()),
            Sought::Look | Sought::Run => None,
        });
        Some((*patience, answers.collect::<Option<_>>()?))
    }

    /// What was found of a project does not hold any more.
    fn lose(&mut self, request: RequestId, id: &ProjectId, patience: Patience) -> Sought {
        let why = self.why_not(id, patience);
        match (why, patience) {
            (Some(why), _) => Sought::Found(self.no_answer(id, &why)),
            (None, Patience::Answer) => Sought::Found(self.no_answer(id, CHANGED)),
            (None, Patience::Run | Patience::Doubt) => self.look_for(request, id),
        }
    }

    /// The time of a question is over: of several projects, what is known of each by now is told.
    pub(super) fn answer_late(&mut self, request: RequestId) {
        if let Some(Waiter {
            need: Need::Verdicts { projects, .. },
            ..
        }) = self.waiters.get(request)
            && projects.values().any(|it| matches!(it, Sought::Found(_)))
        {
            let answers = projects
                .iter()
                .map(|(id, sought)| self.known_of(id, sought));
            let answers = answers.collect();
            self.reply(request, Reply::Verdicts(answers));
        } else {
            self.deny(request, Denied::TooLate);
        }
    }

    /// What was found of a project and still holds.
    fn known_of(&self, id: &ProjectId, sought: &Sought) -> Answer {
        match sought {
            Sought::Found(answer) if self.holds_still(answer) => answer.clone(),
            Sought::Found(_) => self.no_answer(id, CHANGED),
            Sought::Look | Sought::Run => self.no_answer(id, NOT_IN_TIME),
        }
    }

    /// Whether an answer that was found while others were waited for is still what is known.
    fn holds_still(&self, answer: &Answer) -> bool {
        let id = &answer.project;
        let serves = self.obstacle(id.workspace).is_none();
        let is_known = answer.verdict != Verdict::Unknown;
        !is_known || (serves && self.answer(id, answer.reused) == *answer)
    }

    fn answer(&self, id: &ProjectId, reused: bool) -> Answer {
        let project = self.projects.get(id);
        let seen = project.and_then(|project| project.known());
        let proof = seen.and_then(|seen| project?.proof(&seen.keys));
        let verdict = project.zip(proof);
        let verdict = verdict.map_or(Verdict::Unknown, |(project, proof)| {
            project.verdict_of(proof)
        });
        let flaky = self
            .settings(id)
            .map_or(Flaky::Pass, |settings| settings.flaky);
        Answer {
            project: id.clone(),
            verdict,
            green: verdict.is_green(flaky),
            input: seen.map(|seen| seen.input),
            run: proof.map(|proof| proof.run.clone()),
            reused,
            detail: proof.and_then(|proof| self.why_error(id, proof)),
        }
    }

    /// Why the run of a proof could not be run: a person cannot see it in evidence that is not there.
    fn why_error(&self, id: &ProjectId, proof: &Proof) -> Option<String> {
        let last = self.projects.get(id)?.last.as_ref()?;
        let is_it = proof.verdict == Verdict::Error && last.run.run_id == proof.run;
        last.run.status_detail.clone().filter(|_| is_it)
    }

    pub(super) fn no_answer(&self, id: &ProjectId, detail: &str) -> Answer {
        let seen = self.projects.get(id).and_then(|project| project.known());
        Answer {
            project: id.clone(),
            verdict: Verdict::Unknown,
            green: false,
            input: seen.map(|seen| seen.input),
            run: None,
            reused: false,
            detail: Some(detail.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
