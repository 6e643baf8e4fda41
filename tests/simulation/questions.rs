//! The judge of answers: one per question, in time, never older than the question, and true.

use crate::fixture::{Content, digest, index, passes};
use crate::outside::Place;
use orch::engine::ask::{Answer, Ask, Patience, Reply, Scope, Until};
use orch::engine::{ProjectId, Standing};
use orch::model::digest::InputDigest;
use orch::model::id::{CaptureId, RequestId, RunId, WorkspaceId};
use orch::model::report::status::Phase;
use orch::model::run::{RunReport, Verdict};
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
    must_know: bool,
}

impl Question {
    fn about_one(&self) -> bool {
        matches!(&self.ask, Ask::Verdict { scope, .. } if scope.tasks.len() == 1)
    }

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
    captures: CaptureId,
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
    ) {
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
        self.open.remove(&request);
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
                    let known = answer.verdict != Verdict::Unknown;
                    // Who asks about several may have been told of this one before.
                    let alone = question.about_one() && self.is_blind(answer.project.workspace);
                    assert!(
                        !alone || !known,
                        "a verdict is told while the view is being rebuilt"
                    );
                    judge(&question, answer, contents, said);
                }
            }
            (Reply::Run(report), Ask::Run(ask)) => {
                let named = (&ask.parent, &ask.approval_policy);
                let run = (&report.parent, &report.approval_policy);
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

    /// Whether somebody waits for a run to tell the verdict of a project.
    pub(crate) fn is_awaited(&self, project: &ProjectId) -> bool {
        self.open.values().any(|question| {
            matches!(&question.ask, Ask::Verdict { scope, patience: Patience::Run } if covers(scope, project))
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
    assert!(
        error || on_disk(false),
        "an answer about {} before its evidence",
        report.run
    );
    let ended = report.status.is_terminal();
    assert!(
        ended || until == Until::Begun,
        "an answer about {} before its end",
        report.run
    );
}
