//! What is told of several projects once all is found, and when the time of a question is over.
//!
//! The engine alone: of two projects one is proven first, and the other one's run goes on.

use super::*;
use crate::engine::ask::{Ask, Scope};
use crate::engine::trial::{
    WORKSPACE, config, configured, exited, opened, project, recorded, step, step_at,
};
use crate::engine::{Effect, Input, Record, Watch};
use crate::model::evidence::Layout;
use crate::model::id::RunId;
use crate::model::path::RootPath;
use crate::model::run::{Changed, Exit};
use crate::model::time::Tick;
use crate::model::view::View;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const TEXT: &str = "[workspace]\non_start = false\njobs = 2\n\
                    [[project]]\ntask = 'a'\npath = 'a'\n[[project]]\ntask = 'b'\npath = 'b'\n\
                    [[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'make'\n";
const TIME: Duration = Duration::from_millis(100);

/// An engine that was asked for the verdicts of both projects, whose runs are under way.
fn asked() -> (Engine, [RunId; 2]) {
    asked_about(&[])
}

fn asked_about(tasks: &[&str]) -> (Engine, [RunId; 2]) {
    let mut engine = opened(TEXT);
    let request = RequestId(1);
    let tasks = tasks.iter().map(|task| project(task).task);
    let scope = Scope {
        workspace: None,
        tasks: tasks.collect(),
    };
    let ask = Ask::Verdict {
        scope,
        patience: Patience::Run,
    };
    let deadline = Some(Tick::new(TIME));
    let question = Input::Asked {
        request,
        ask,
        deadline,
    };
    step(&mut engine, question);
    let of = |task| {
        engine
            .active_root(&project(task))
            .unwrap()
            .report
            .run
            .clone()
    };
    let runs = ["a", "b"].map(of);
    for run in &runs {
        step(&mut engine, recorded(run, Record::Begin));
    }
    (engine, runs)
}

fn touched(task: &str, at: Duration) -> Input {
    let file = crate::model::path::RelPath::parse(&format!("{task}/f")).unwrap();
    Input::Touched {
        workspace: WORKSPACE,
        projects: BTreeMap::from([(project(task).task, Changed::Paths(vec![file]))]),
        at: Tick::new(at),
    }
}

fn end(engine: &mut Engine, run: &RunId, code: i32) -> Vec<Effect> {
    let mut effects = step(engine, exited(run, Exit::Code(code)));
    effects.extend(step(engine, recorded(run, Record::End)));
    effects
}

/// Of a project: its verdict, the run that proves it, and why nothing is known.
type Told = (Verdict, Option<RunId>, Option<String>);

fn replied(effects: Vec<Effect>) -> Option<Reply> {
    effects.into_iter().find_map(|effect| {
        let Effect::Reply { reply, .. } = effect else {
            return None;
        };
        Some(reply)
    })
}

/// What is told when the time is over.
fn told(engine: &mut Engine) -> Result<Vec<Told>, Denied> {
    let effects = step_at(
        engine,
        TIME,
        Input::Woke {
            unsure: BTreeSet::new(),
        },
    );
    let reply = replied(effects);
    if let Some(Reply::Denied(denied)) = reply {
        return Err(denied);
    }
    let Some(Reply::Verdicts(answers)) = reply else {
        panic!("{reply:?}");
    };
    let told = |answer: Answer| (answer.verdict, answer.run, answer.detail);
    Ok(answers.into_iter().map(told).collect())
}

fn unknown(why: &str) -> Told {
    (Verdict::Unknown, None, Some(why.to_owned()))
}

#[test]
fn who_asks_about_several_is_told_what_is_known_when_the_time_is_over() {
    for (code, verdict) in [(0, Verdict::Pass), (1, Verdict::Fail)] {
        let (mut engine, [run, _]) = asked();
        end(&mut engine, &run, code);
        let known = (verdict, Some(run), None);
        assert_eq!(told(&mut engine), Ok(vec![known, unknown(NOT_IN_TIME)]));
    }
}

#[test]
fn what_may_have_changed_meanwhile_is_not_told() {
    let (mut engine, [run, _]) = asked();
    end(&mut engine, &run, 0);
    // So late that it has not become quiet before the time is over.
    let late = TIME.saturating_sub(Duration::from_millis(1));
    step_at(&mut engine, late, touched("a", late));
    let changed = unknown("its content may have changed meanwhile");
    assert_eq!(told(&mut engine), Ok(vec![changed, unknown(NOT_IN_TIME)]));
}

#[test]
fn who_would_be_told_of_nothing_is_told_that_there_was_no_answer() {
    let (mut engine, _) = asked();
    assert_eq!(told(&mut engine), Err(Denied::TooLate));
}

#[test]
fn whose_pipeline_goes_while_he_waits_is_told_so() {
    for tasks in [&[][..], &["a", "b"]] {
        let (mut engine, runs) = asked_about(tasks);
        let mut unpiped = config(TEXT);
        for project in &mut unpiped.projects {
            project.pipeline = crate::model::id::PipelineId::parse("gone").unwrap();
        }
        let mut effects = step(&mut engine, configured(unpiped));
        for run in &runs {
            effects.extend(end(&mut engine, run, 0));
        }
        let reply = replied(effects);
        let Some(Reply::Verdicts(answers)) = reply else {
            panic!("{tasks:?}: {reply:?}");
        };
        let told: Vec<_> = answers
            .into_iter()
            .map(|it| (it.verdict, it.detail))
            .collect();
        let unpiped = (Verdict::Unknown, Some(UNPIPED.to_owned()));
        assert_eq!(told, [unpiped.clone(), unpiped], "{tasks:?}");
    }
}

#[test]
fn what_was_found_first_is_looked_at_again_where_it_may_have_changed_since() {
    let (mut engine, [first, last]) = asked();
    end(&mut engine, &first, 0);
    step(&mut engine, touched("a", Duration::ZERO));
    step(&mut engine, exited(&last, Exit::Code(0)));
    let now = engine.now;
    let effects = engine.step(now, recorded(&last, Record::End));
    assert_eq!(replied(effects.clone()), None);
    let look = effects.into_iter().find_map(|effect| {
        let Effect::Capture {
            capture, subjects, ..
        } = effect
        else {
            return None;
        };
        Some((capture, subjects))
    });
    let (capture, subjects) = look.unwrap();
    let tasks: Vec<_> = subjects.iter().map(|it| it.task.clone()).collect();
    assert_eq!(tasks, [project("a").task]);
    let captured = Input::Captured {
        capture,
        workspace: WORKSPACE,
        views: Some(subjects.into_iter().map(View::still).collect()),
    };
    let Some(Reply::Verdicts(answers)) = replied(step(&mut engine, captured)) else {
        panic!("it is proven by now");
    };
    let told: Vec<_> = answers.into_iter().map(|it| (it.verdict, it.run)).collect();
    let passed = |run| (Verdict::Pass, Some(run));
    assert_eq!(told, [passed(first), passed(last)]);
}

#[test]
fn who_asks_while_a_new_configuration_is_read_is_not_told_of_the_old_one() {
    let mut engine = opened(TEXT);
    let mut unpiped = config(TEXT);
    for project in &mut unpiped.projects {
        project.pipeline = crate::model::id::PipelineId::parse("gone").unwrap();
    }
    step(&mut engine, configured(unpiped));
    let rescanning = Watch::Rescanning {
        detail: "its configuration is being read".to_owned(),
    };
    let watched = Input::Watched {
        workspace: WORKSPACE,
        watch: rescanning,
    };
    let now = engine.now;
    engine.step(now, watched);
    let scope = Scope {
        workspace: None,
        tasks: Vec::new(),
    };
    let question = Input::Asked {
        request: RequestId(1),
        ask: Ask::Verdict {
            scope,
            patience: Patience::Run,
        },
        deadline: None,
    };
    let effects = engine.step(now, question);
    assert_eq!(replied(effects), None);
    let mut effects = step(&mut engine, configured(config(TEXT)));
    let watched = Input::Watched {
        workspace: WORKSPACE,
        watch: Watch::Watching,
    };
    effects.extend(step(&mut engine, watched));
    let begun = |effect: &&Effect| matches!(effect, Effect::Begin { .. });
    assert_eq!(effects.iter().filter(begun).count(), 2, "{effects:?}");
}

/// A refused workspace's files are looked at before it is said to be refused; it goes before they have been.
#[test]
fn a_root_that_goes_is_the_answer_of_its_own_projects_alone() {
    let (mut engine, runs) = asked();
    for run in &runs {
        end(&mut engine, run, 1);
    }
    let other = WorkspaceId(2);
    let root = RootPath::new(Path::new("/other")).unwrap();
    let layout = Layout::new(".runs");
    let (workspace, detail) = (other, "no such directory".to_owned());
    for input in [
        Input::Opened {
            workspace,
            root,
            layout,
        },
        Input::Misconfigured {
            workspace,
            detail: "line 3: unknown key".to_owned(),
        },
        Input::Watched {
            workspace,
            watch: Watch::Watching,
        },
    ] {
        step(&mut engine, input);
    }
    let scope = Scope {
        workspace: None,
        tasks: Vec::new(),
    };
    let question = Input::Asked {
        request: RequestId(9),
        ask: Ask::Verdict {
            scope,
            patience: Patience::Run,
        },
        deadline: None,
    };
    let now = engine.now;
    let effects = engine.step(now, question);
    assert_eq!(replied(effects), None, "its files may have been mended");
    let watch = Watch::Missing { detail };
    let gone = Input::Watched { workspace, watch };
    let Some(Reply::Verdicts(answers)) = replied(step(&mut engine, gone)) else {
        panic!("the other workspace has its verdicts");
    };
    let told: Vec<_> = answers.into_iter().map(|it| it.verdict).collect();
    assert_eq!(told, [Verdict::Fail, Verdict::Fail]);
}
