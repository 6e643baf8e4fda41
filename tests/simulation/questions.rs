//! The judge of answers: one per question, in time, never older than the question, and true.

use crate::fixture::{Content, digest, index, own_pipeline, passes};
use crate::outside::Place;
use orch::engine::ask::{Answer, Ask, Patience, Reply, RunAsk, Scope, Until, Wanted};
use orch::engine::{ProjectId, Standing};
use orch::model::digest::InputDigest;
use orch::model::id::{CaptureId, PipelineId, RequestId, RunId, WorkspaceId};
use orch::model::report::status::Phase;
use orch::model::run::{RunReport, RunStatus, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A question, and what its answer may be about: every content from the question on.
struct Question {
    ask: Ask,
    deadline: Option<Duration>,
    contents: Vec<BTreeSet<InputDigest>>,
    /// The last look that began before it.
    after: CaptureId,
    /// Where no look that began after it has been told yet.
    unseen: BTreeSet<WorkspaceId>,
    /// What was refused when it was asked.
    glances: BTreeSet<WorkspaceId>,
    /// The runs that were red before it; who doubts that is not told so.
    reds: BTreeSet<RunId>,
    must_know: bool,
}

impl Question {
    /// The one workspace that it is about.
    fn workspace(&self) -> Option<WorkspaceId> {
        match &self.ask {
            Ask::Sync { workspace } => *workspace,
            Ask::Verdict { scope, .. } => scope.workspace,
            Ask::Run(ask) => Some(ask.project.workspace),
            Ask::Resume(ask) => Some(ask.project.workspace),
            Ask::Cancel { .. } => None,
        }
    }
}

/// Whether a question of this scope is about a project.
fn covers(scope: &Scope, project: &ProjectId) -> bool {
    scope.workspace.is_none_or(|id| id == project.workspace)
        && (scope.tasks.is_empty() || scope.tasks.contains(&project.task))
}

/// What runs were told to prove, and which evidence of which run is on disk.
pub(crate) type Evidence<'a> = (&'a BTreeSet<(RunId, Verdict)>, &'a BTreeSet<(RunId, bool)>);

#[derive(Default)]
pub(crate) struct Questions {
    open: BTreeMap<RequestId, Question>,
    /// Those who were told that their run is queued, by its id, and whether they are there.
    told: BTreeMap<RequestId, (RunId, RunAsk, bool)>,
    /// Those of them who need not stay any more.
    released: BTreeSet<RequestId>,
    /// What those asked for who left it to itself.
    left: Vec<RunAsk>,
    captures: CaptureId,
    /// What was told in this step.
    verdicts: Vec<Answer>,
    /// Workspaces whose view is being rebuilt.
    blind: BTreeSet<WorkspaceId>,
}

impl Questions {
    pub(crate) fn watched(&mut self, workspace: WorkspaceId, sees: bool) {
        if sees {
            self.blind.remove(&workspace);
        } else {
            self.blind.insert(workspace);
        }
    }

    pub(crate) fn is_blind(&self, workspace: WorkspaceId) -> bool {
        self.blind.contains(&workspace)
    }

    pub(crate) fn saved(&mut self, project: usize, content: InputDigest) {
        for question in self.open.values_mut() {
            question.contents[project].insert(content);
        }
    }

    pub(crate) fn asked(
        &mut self,
        request: RequestId,
        ask: &Ask,
        deadline: Option<Duration>,
        (files, places): (&[Content], &[Place]),
        said: &BTreeSet<(RunId, Verdict)>,
    ) {
        let doubts = matches!(ask, Ask::Verdict { patience, .. } if *patience == Patience::Doubt);
        let reds = said.iter().filter(|(_, verdict)| *verdict == Verdict::Fail);
        // One that was taken up again has said something else since.
        let is_red = |run: &RunId| {
            said.iter()
                .all(|(of, said)| of != run || *said == Verdict::Fail)
        };
        let reds = reds.filter(|(run, _)| doubts && is_red(run));
        let reds = reds.map(|(run, _)| run.clone());
        let contents = files
            .iter()
            .map(|content| BTreeSet::from([digest(content)]));
        let open = places.iter().filter(|place| place.open);
        let question = Question {
            ask: ask.clone(),
            deadline,
            contents: contents.collect(),
            after: self.captures,
            glances: open
                .clone()
                .filter(|place| place.refuses())
                .map(|place| place.id)
                .collect(),
            unseen: open.map(|place| place.id).collect(),
            reds: reds.collect(),
            must_know: false,
        };
        self.open.insert(request, question);
    }

    pub(crate) fn must_know(&mut self) {
        if let Some(mut last) = self.open.last_entry() {
            last.get_mut().must_know = true;
        }
    }

    pub(crate) fn withdrawn(&mut self, request: RequestId) {
        let gone = self.open.remove(&request);
        if let Some(Ask::Run(ask)) = gone.map(|question| question.ask)
            && ask.wanted == Wanted::Detached
        {
            self.left.push(ask);
        }
        if let Some((_, _, is_there)) = self.told.get_mut(&request) {
            *is_there = false;
        }
    }

    /// Whether somebody has asked for a run of this origin, and is there or has left it to itself.
    pub(crate) fn is_wanted(&self, report: &RunReport, project: &ProjectId) -> bool {
        let is_it = |ask: &RunAsk| {
            let own = own_pipeline(index(&project.task));
            let pipeline = ask.pipeline.as_ref().map_or(own, PipelineId::as_str);
            let named = (&ask.parent, &ask.approval_policy);
            ask.project == *project
                && pipeline == report.pipeline.as_str()
                && named == (&report.parent, &report.approval_policy)
        };
        let mut told = self.told.values();
        let told = told.any(|(run, ask, is_there)| {
            *run == report.run && (*is_there || ask.wanted == Wanted::Detached)
        });
        let mut open = self.open.values();
        told || self.left.iter().any(&is_it)
            || open.any(|question| matches!(&question.ask, Ask::Run(ask) if is_it(ask)))
    }

    /// Whether somebody was told of this run and still counts on it.
    pub(crate) fn is_counted_on(&self, run: &RunId) -> bool {
        let mut told = self.told.values();
        told.any(|(other, ask, is_there)| {
            other == run && (*is_there || ask.wanted == Wanted::Detached)
        })
    }

    /// Somebody who was told that his run is queued need not stay for it any more.
    pub(crate) fn released(&mut self, request: RequestId) {
        let told = self.told.get(&request);
        let stays =
            told.is_some_and(|(_, ask, is_there)| *is_there && ask.wanted == Wanted::Attended);
        let first = self.released.insert(request);
        assert!(stays && first, "{request} is let go, and was not held");
    }

    /// Nobody is held for a run that waits no longer, or let go while it waits.
    pub(crate) fn all_released(&self, waits: impl Fn(&RunId) -> bool) {
        for (request, (run, ask, is_there)) in &self.told {
            if *is_there && ask.wanted == Wanted::Attended {
                let released = self.released.contains(request);
                assert_ne!(
                    waits(run),
                    released,
                    "{request} is held for {run} in vain, or not held"
                );
            }
        }
    }

    /// Whether somebody has asked for the end of this run.
    pub(crate) fn is_to_end(&self, run: &RunId) -> bool {
        let mut open = self.open.values();
        open.any(|question| matches!(&question.ask, Ask::Cancel { run: other } if other == run))
    }

    pub(crate) fn looks(&mut self, capture: CaptureId) {
        self.captures = capture;
    }

    pub(crate) fn looked(&mut self, workspace: WorkspaceId, capture: CaptureId) {
        for question in self.open.values_mut() {
            if capture > question.after {
                question.unseen.remove(&workspace);
            }
        }
    }

    pub(crate) fn answered(
        &mut self,
        request: RequestId,
        reply: &Reply,
        contents: &BTreeMap<InputDigest, Content>,
        (said, recorded): Evidence<'_>,
        stale: &BTreeSet<usize>,
    ) {
        let Some(question) = self.open.remove(&request) else {
            panic!("{request} is answered twice, or after it was withdrawn");
        };
        match (reply, &question.ask) {
            (Reply::Denied(denied), _) => {
                assert!(!question.must_know, "refused at rest: {denied:?}");
            }
            (Reply::Verdicts(answers), Ask::Verdict { .. }) => {
                for answer in answers {
                    self.judge_known(answer, stale);
                    judge(&question, answer, contents, said);
                }
                let known = answers.iter().filter(|it| it.verdict != Verdict::Unknown);
                self.verdicts.extend(known.cloned());
            }
            (Reply::Run(report), Ask::Run(ask)) => {
                let named = (&ask.parent, &ask.approval_policy);
                let run = (&report.parent, &report.approval_policy);
                if report.status == RunStatus::Queued {
                    let told = (report.run.clone(), ask.clone(), true);
                    self.told.insert(request, told);
                }
                assert_eq!(run, named, "{request} is told of a run of another origin");
                told_of_run(report, ask.until, recorded);
            }
            (Reply::Run(report), Ask::Resume(ask)) => told_of_run(report, ask.until, recorded),
            (Reply::Cancelled(report), Ask::Cancel { .. }) => {
                let status = report.status;
                assert!(status.is_terminal(), "cancelled, and yet {status:?}");
            }
            (Reply::Synced, Ask::Sync { .. }) => {
                let unseen = &question.unseen;
                assert!(
                    unseen.is_empty(),
                    "synced without a look after the question: {unseen:?}"
                );
            }
            (reply, ask) => panic!("{ask:?} is answered with {reply:?}"),
        }
    }

    /// What is told of each of several is known when all of it is told, whenever it was found.
    fn judge_known(&self, answer: &Answer, stale: &BTreeSet<usize>) {
        let id = &answer.project;
        let touched = stale.contains(&index(&id.task)) || self.is_blind(id.workspace);
        assert!(
            answer.verdict == Verdict::Unknown || !touched,
            "told, although it was touched since: {answer:?}"
        );
    }

    /// A run is taken up again: what was told of it a moment before in the same step was known then, and is no longer.
    pub(crate) fn taken_up(&mut self, run: &RunId) {
        self.verdicts
            .retain(|answer| answer.run.as_ref() != Some(run));
        for question in self.open.values_mut() {
            question.reds.remove(run);
        }
    }

    /// What was told in the step before is what `status` says after it.
    pub(crate) fn look_at_told(&mut self, standings: &BTreeMap<usize, Standing>) {
        for answer in std::mem::take(&mut self.verdicts) {
            let standing = standings.get(&index(&answer.project.task));
            let same = standing.is_some_and(|it| {
                let told = (&answer.project, answer.verdict, answer.input, &answer.run);
                it.fresh && told == (&it.project, it.verdict, it.input, &it.proof)
            });
            assert!(same, "told is {answer:?}, and known {standing:?}");
        }
    }

    /// Nobody waits past his deadline, or for a workspace that does not serve, unless perhaps for the end of a run that is
    /// under way there.
    pub(crate) fn look(
        &self,
        (places, active): (&[Place], &BTreeSet<ProjectId>),
        now: Duration,
        stopping: bool,
    ) {
        for (request, question) in &self.open {
            let late = question.deadline.is_some_and(|deadline| deadline <= now);
            assert!(!late, "{request} waits past its deadline");
            let joined = match &question.ask {
                Ask::Run(ask) => active.contains(&ask.project),
                Ask::Resume(ask) => active.contains(&ask.project),
                Ask::Sync { .. } | Ask::Verdict { .. } | Ask::Cancel { .. } => false,
            };
            let Some(workspace) = question.workspace().filter(|_| !joined && !stopping) else {
                continue;
            };
            let place = places.iter().find(|place| place.id == workspace);
            // Its files may have been mended since: they are looked at first.
            let glances = question.glances.contains(&workspace)
                && place.is_some_and(|place| {
                    let unseen = question.unseen.contains(&workspace);
                    !place.is_gone() && (unseen || !place.sees() || place.looks())
                });
            let refused = place.is_none_or(Place::refuses) && !glances;
            assert!(
                !refused,
                "{request} waits for a workspace that does not serve: {:?}",
                question.ask
            );
        }
    }

    /// Nobody waits for a verdict while all that he asks about is idle, or proven, and no look is under way.
    pub(crate) fn all_wait_for_something(
        &self,
        places: &[Place],
        standings: &BTreeMap<usize, Standing>,
    ) {
        let looks = |standing: &Standing| {
            let id = standing.project.workspace;
            let place = places.iter().find(|place| place.id == id);
            place.is_none_or(|place| !place.sees() || place.refuses() || place.looks())
        };
        for (request, question) in &self.open {
            let Ask::Verdict { scope, .. } = &question.ask else {
                continue;
            };
            let looked_at = |place: &Place| {
                question.glances.contains(&place.id) && (place.looks() || !place.sees())
            };
            if places.iter().any(looked_at) {
                continue;
            }
            let mut about = standings
                .values()
                .filter(|standing| covers(scope, &standing.project));
            let due = |standing: &Standing| {
                let proven = standing.fresh && standing.verdict != Verdict::Error;
                !looks(standing) && (proven || standing.phase == Phase::Idle)
            };
            assert!(
                !about.all(due),
                "{request} waits for nothing: {:?}",
                question.ask
            );
        }
    }

    /// Whether this asks for a verdict, and has run whatever it takes.
    pub(crate) fn is_patient(&self, request: RequestId) -> bool {
        let asked = self.open.get(&request).map(|question| &question.ask);
        matches!(asked, Some(Ask::Verdict { patience, .. }) if patience.runs())
    }

    /// Whether this asks for a run that executes every stage.
    pub(crate) fn is_forced(&self, request: RequestId) -> bool {
        let asked = self.open.get(&request).map(|question| &question.ask);
        matches!(asked, Some(Ask::Run(ask)) if ask.force)
    }

    /// Whether somebody waits for a run to tell the verdict of a project.
    pub(crate) fn is_awaited(&self, project: &ProjectId) -> bool {
        self.open.values().any(|question| {
            matches!(&question.ask, Ask::Verdict { scope, patience } if patience.runs() && covers(scope, project))
        })
    }

    pub(crate) fn all_answered(&self) {
        let open: Vec<&Ask> = self.open.values().map(|question| &question.ask).collect();
        assert!(open.is_empty(), "nobody answered {open:?}");
    }
}

fn judge(
    question: &Question,
    answer: &Answer,
    contents: &BTreeMap<InputDigest, Content>,
    said: &BTreeSet<(RunId, Verdict)>,
) {
    if answer.verdict == Verdict::Unknown {
        assert!(!question.must_know, "unknown at rest: {answer:?}");
        assert!(!answer.green, "green although unknown");
        return;
    }
    let input = answer.input.unwrap();
    let project = index(&answer.project.task);
    assert!(
        question.contents[project].contains(&input),
        "the answer is older than the question"
    );
    let run = answer.run.clone().expect("a verdict names its run");
    assert!(
        !question.reds.contains(&run),
        "red is told to who doubts it, and was not run again: {answer:?}"
    );
    let told = said.contains(&(run, answer.verdict));
    assert!(told, "the run says otherwise: {answer:?}");
    if answer.green {
        let content = &contents[&input];
        assert!(passes(content), "green for {content:?}");
    }
}

/// The evidence is on disk before the answer; an error says that it is not.
fn told_of_run(report: &RunReport, until: Until, recorded: &BTreeSet<(RunId, bool)>) {
    let on_disk = |end| recorded.contains(&(report.run.clone(), end));
    let error = report.verdict == Verdict::Error;
    // One that was ended before it began is nowhere on disk.
    let unseen = report.stages.iter().all(|stage| stage.key.is_none());
    let never = report.status == RunStatus::Cancelled && unseen;
    let waits = report.status == RunStatus::Queued && until == Until::Named;
    assert!(
        error || on_disk(false) || never || waits,
        "an answer about {} before its evidence",
        report.run
    );
    let ended = report.status.is_terminal();
    assert!(
        ended || until == Until::Named,
        "an answer about {} before its end",
        report.run
    );
}
