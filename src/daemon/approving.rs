//! Gates that are red, and pass by what somebody has approved.
//!
//! Only a gate asks for this, and only where it is red: `status`, `wait`, events and evidence tell what stages have said. What
//! was approved is read from the evidence, outside of the loop, and judged by `documents`; the engine knows nothing of it.

use crate::daemon::clock::Clock;
use crate::daemon::evidence::Base;
use crate::daemon::message::{Done, What};
use crate::daemon::shell::Shell;
use crate::documents::approvals::look::{RedGate, approved};
use crate::engine::ask::Answer as Found;
use crate::model::id::RequestId;
use crate::model::report::GateAnswer;
use crate::model::run::Verdict;
use crate::model::time::Day;

/// A red project in an answer: its place there, and where the evidence stands that may have it pass.
struct Red {
    place: usize,
    runs: Base,
    gate: RedGate,
}

impl Shell {
    /// Tells a gate what was found; what is red is first held against what was approved.
    pub(super) fn tell_gate(&mut self, request: RequestId, found: &[Found]) {
        let answer = self.gate_answer(found);
        let red = found.iter().enumerate();
        let red: Vec<Red> = red.filter_map(|(place, it)| self.red(place, it)).collect();
        let Some(workspace) = found.first().map(|it| it.project.workspace) else {
            return self.answer(request, Ok(answer.into()));
        };
        if red.is_empty() {
            return self.answer(request, Ok(answer.into()));
        }
        let (clock, out) = (self.clock, self.out.clone());
        // A disk that hangs holds up nobody but who asked; the loop that does not hear it has ended.
        drop(tokio::task::spawn_blocking(move || {
            let answer = Box::new(Ok(with_approvals(answer, &red, clock).into()));
            let what = What::Answered { request, answer };
            drop(out.blocking_send(Done { workspace, what }));
        }));
    }

    /// A project that is red for what its stages have said of known content.
    fn red(&self, place: usize, found: &Found) -> Option<Red> {
        let site = self.sites.get(&found.project.workspace)?;
        let (input, run) = found.input.zip(found.run.clone())?;
        (found.verdict == Verdict::Fail).then(|| Red {
            place,
            runs: Base::new(&site.root, &site.spots.evidence().runs_dir),
            gate: RedGate {
                task: found.project.task.clone(),
                input,
                run,
            },
        })
    }
}

/// The answer, with those of its projects green that approvals cover.
fn with_approvals(answer: GateAnswer, red: &[Red], clock: Clock) -> GateAnswer {
    let today = Day::of(clock.wall());
    let mut projects = answer.projects;
    for one in red {
        let (Some(project), Ok(Some(runs))) = (projects.get_mut(one.place), one.runs.open()) else {
            continue;
        };
        let approvals = approved(&runs, &one.gate, today);
        if !approvals.is_empty() {
            tracing::info!(task = %one.gate.task, run = %one.gate.run, "a gate passes by what was approved");
            project.verdict = Verdict::Pass;
            project.approved = approvals;
        }
    }
    GateAnswer::of(projects)
}
