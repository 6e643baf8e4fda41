//! Taking a run up again: its files are read first, then the engine is asked.
//!
//! What the files say of its stages is all that a resume knows of them.

use crate::daemon::evidence::{Reopened, ReopenedStage};
use crate::daemon::lookup::internal;
use crate::daemon::message::{Done, What};
use crate::daemon::shell::Shell;
use crate::daemon::waiting::Purpose;
use crate::engine::ask::{Ask, KeptStage, ResumeAsk, Until};
use crate::engine::{Input, ProjectId};
use crate::model::id::{RequestId, RunId, WorkspaceId};
use crate::model::run::{ChildReport, Outcome};
use crate::wire::call;
use crate::wire::refusal::{ErrorKind, Refusal};
use std::time::Duration;

impl Shell {
    pub(super) fn reopen(
        &mut self,
        id: WorkspaceId,
        run: RunId,
        request: RequestId,
        resume: call::RunResume,
    ) {
        if self.engine.run(&run).is_some() {
            let refusal = Refusal::new(ErrorKind::Busy, format!("run {run} is under way"))
                .hint(format!("wait for it, or `orchctl cancel {run}`"));
            return self.answer(request, Err(refusal));
        }
        let clock = self.clock;
        if let Some(waiting) = self.waiting.get_mut(&request) {
            waiting.purpose = Purpose::Resume(Box::new(resume));
        }
        let Some((_, desk)) = self.desk_for(id, request) else {
            return;
        };
        desk.push(move |desk| {
            let reopened = desk
                .reopen(&run, clock.wall())
                .map_err(|error| internal(&error));
            let reopened = Box::new(reopened);
            Some(Done {
                workspace: id,
                what: What::Reopened {
                    request,
                    run,
                    reopened,
                },
            })
        });
    }

    pub(in crate::daemon) fn take_reopened(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        run: &RunId,
        reopened: Result<Reopened, Refusal>,
    ) {
        let purpose = self
            .waiting
            .get_mut(&request)
            .map(|waiting| std::mem::replace(&mut waiting.purpose, Purpose::Plain));
        let Some(Purpose::Resume(resume)) = purpose else {
            return;
        };
        let ask = reopened.and_then(|reopened| resume_ask(id, run, reopened, *resume));
        match ask {
            Ok(ask) => {
                let ask = Ask::Resume(Box::new(ask));
                self.inputs.push_back(Input::Asked {
                    request,
                    ask,
                    deadline: None,
                });
            }
            Err(refusal) => self.answer(request, Err(refusal)),
        }
    }
}

fn resume_ask(
    workspace: WorkspaceId,
    run: &RunId,
    reopened: Reopened,
    resume: call::RunResume,
) -> Result<ResumeAsk, Refusal> {
    if resume
        .token
        .as_ref()
        .is_some_and(|token| token.trim() != reopened.resume_token)
    {
        return Err(
            Refusal::new(ErrorKind::Untrusted, "Resume token mismatch.").hint(format!(
                "the token of run {run} stands in its `.resume-token`"
            )),
        );
    }
    if reopened.owned {
        return Err(Refusal::new(
            ErrorKind::Busy,
            format!("run {run} is under way in another process"),
        ));
    }
    Ok(ResumeAsk {
        project: ProjectId {
            workspace,
            task: reopened.task,
        },
        run: run.clone(),
        pipeline: reopened.pipeline,
        parent: reopened.parent,
        approval_policy: reopened.approval_policy,
        started_at: reopened.started_at,
        stages: reopened.stages.into_iter().map(kept_stage).collect(),
        children: reopened
            .children
            .into_iter()
            .map(|child| ChildReport {
                run: child.run_id,
                pipeline: child.pipeline_id,
                status: child.status,
                failed: None,
            })
            .collect(),
        actor: resume.actor.unwrap_or_else(|| "cli".to_owned()),
        reason: resume.reason.unwrap_or_else(|| "manual-resume".to_owned()),
        until: if resume.wait {
            Until::Ended
        } else {
            Until::Named
        },
    })
}

/// A stage as its run's files have it.
fn kept_stage(stage: ReopenedStage) -> KeptStage {
    KeptStage {
        id: stage.id,
        child: stage.child,
        status: stage.status,
        started_at: stage.started_at,
        completed_at: stage.completed_at,
        exit_code: stage.exit_code.and_then(|code| i32::try_from(code).ok()),
        summary: stage.summary,
        outcome: stage.outcome.unwrap_or(Outcome::None),
        content_key: stage.content_key,
        key: stage.key,
        below: stage.below,
        input: stage.input,
        reused_from: stage.reused_from,
        attempts: stage.attempts,
        duration: Duration::from_millis(stage.duration_ms),
        log_bytes: stage.log_bytes,
        truncated: stage.truncated,
    }
}
