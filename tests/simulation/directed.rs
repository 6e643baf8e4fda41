//! Single scenes to the letter: what the engine does about each input, in order, and nothing else.
//!
//! The scenes stand in `scenes/`, one file each; `bench` plays their inputs, and what it gives back has to be the file.

use crate::bench::{play, project};
use crate::fixture::{SETTLE_MAX, command, pipeline_id, sequence, stage, sub};
use orch::model::config::{Action, Command, Config, OnBusy, Order, Project, Settings, Stage};
use orch::model::path::RelPath;
use std::time::Duration;

fn plain(id: &str) -> Stage {
    stage(id, &[], Action::Command(command("true")))
}

fn config(on_busy: OnBusy, stages: Vec<Stage>) -> Config {
    Config {
        settings: Settings {
            settle_max: SETTLE_MAX,
            ..Settings::default()
        },
        projects: vec![Project {
            task: project().task,
            path: RelPath::root(),
            pipeline: pipeline_id("main"),
            on_busy,
            required: Vec::new(),
            sla: None,
            waivers: Vec::new(),
        }],
        pipelines: vec![
            sequence("main", stages),
            sequence("child", vec![plain("deep")]),
        ],
        templates: Vec::new(),
        warnings: Vec::new(),
    }
}

fn build(command: Command) -> Config {
    let build = stage("build", &[], Action::Command(command));
    config(OnBusy::Queue, vec![build])
}

fn usual() -> Config {
    build(command("true"))
}

fn restarting() -> Config {
    config(OnBusy::Restart, vec![plain("build")])
}

fn timed() -> Config {
    build(Command {
        timeout: Some(Duration::from_millis(50)),
        ..command("true")
    })
}

fn retried() -> Config {
    build(Command {
        retries: 1,
        ..command("true")
    })
}

fn allowed() -> Config {
    let lint = Command {
        allow_failure: true,
        ..command("true")
    };
    let lint = stage("lint", &[], Action::Command(lint));
    config(OnBusy::Queue, vec![lint, plain("build")])
}

fn optional() -> Config {
    config(OnBusy::Queue, vec![stage("smoke", &[], sub("child", true))])
}

fn two() -> Config {
    config(OnBusy::Queue, vec![plain("lint"), plain("build")])
}

/// The first stage declares outputs, which the second one waits for.
fn leaving() -> Config {
    let build = Command {
        outputs: vec!["dist".to_owned()],
        ..command("true")
    };
    let build = stage("build", &[], Action::Command(build));
    config(OnBusy::Queue, vec![build, plain("test")])
}

/// Three stages, of which the first and the last declare the same outputs, and the second a part of them.
fn sharing() -> Config {
    let writes = |id: &str, outputs: &str| {
        let command = Command {
            outputs: vec![outputs.to_owned()],
            ..command("true")
        };
        stage(id, &[], Action::Command(command))
    };
    let stages = [("build", "dist"), ("lint", "dist/lint"), ("test", "dist")];
    let stages = stages.map(|(id, outputs)| writes(id, outputs));
    config(OnBusy::Queue, stages.to_vec())
}

fn leaving_below() -> Config {
    let mut config = leaving();
    let nested = nested();
    config.pipelines[0].stages[1] = nested.pipelines[0].stages[1].clone();
    config
        .pipelines
        .extend(nested.pipelines.into_iter().skip(1));
    config
}

fn nested() -> Config {
    let below = stage("below", &[], sub("child", false));
    config(OnBusy::Queue, vec![plain("build"), below])
}

fn nested_flaky() -> Config {
    let deep = Command {
        retries: 1,
        ..command("true")
    };
    let mut config = nested();
    config.pipelines[1] = sequence("child", vec![stage("deep", &[], Action::Command(deep))]);
    config
}

fn doubled() -> Config {
    let twin = |id: &str| stage(id, &[], sub("child", false));
    let last = stage(
        "build",
        &["left", "right"],
        Action::Command(command("true")),
    );
    let mut config = config(OnBusy::Queue, vec![twin("left"), twin("right"), last]);
    config.pipelines[0].order = Order::Graph;
    config
}

fn doubled_optional() -> Config {
    let twin = |id: &str| stage(id, &[], sub("child", true));
    let mut config = config(OnBusy::Queue, vec![twin("left"), twin("right")]);
    config.pipelines[0].order = Order::Graph;
    config
}

/// Both stages name one mutex.
fn locked() -> Config {
    let under = |id: &str| {
        let command = Command {
            mutex: Some("m".to_owned()),
            ..command("true")
        };
        stage(id, &[], Action::Command(command))
    };
    let mut config = config(OnBusy::Queue, vec![under("left"), under("right")]);
    config.pipelines[0].order = Order::Graph;
    config
}

fn unpiped() -> Config {
    let mut config = usual();
    config.projects[0].pipeline = pipeline_id("nowhere");
    config
}

macro_rules! scenes {
    ($($name:ident: $config:ident,)*) => {
        $(
            #[test]
            fn $name() {
                let scene = include_str!(concat!("scenes/", stringify!($name), ".txt"));
                let went = play($config(), scene);
                assert_eq!(went, scene, "the scene went otherwise:\n{went}");
            }
        )*
    };
}

scenes! {
    touch: usual,
    settle: usual,
    foreseen: usual,
    foreseen_in_vain: usual,
    foreseen_late: usual,
    foreseen_unsure: usual,
    foreseen_and_changed_meanwhile: usual,
    foreseen_and_put_back: usual,
    foreseen_and_asked: usual,
    polled: usual,
    scanned: usual,
    checkout: usual,
    rebase: usual,
    stale_lock: usual,
    asked_in_a_rebase: usual,
    behind_a_rebase: usual,
    restart: restarting,
    queue: usual,
    timeout: timed,
    retries: retried,
    allowed_to_fail: allowed,
    optional_child: optional,
    resume: two,
    gate: usual,
    shared: usual,
    formatter: usual,
    unstable: usual,
    saved_twice: usual,
    saved_twice_and_asked: usual,
    waited_through_two_saves: usual,
    cancel: usual,
    refused: usual,
    mended: usual,
    refused_below_a_run: usual,
    shutdown: usual,
    behind_a_change: usual,
    renamed: usual,
    replaced: usual,
    discarded: usual,
    put_back: usual,
    repiped: usual,
    reread: usual,
    overtaken: usual,
    denied: two,
    taken_up_late: two,
    asked_after_a_save: usual,
    restarted_by_itself: restarting,
    restarted_by_hand: restarting,
    restarted_for_too_long: restarting,
    unstable_above_a_child: nested,
    flaky_below: nested_flaky,
    twins: doubled,
    named: usual,
    resumed_elsewhere: two,
    unstable_of_what_ran: usual,
    more_time: timed,
    more_time_meanwhile: timed,
    other_needs: two,
    failed_before: usual,
    not_failed_before: usual,
    late_before: timed,
    failed_below_before: optional,
    failed_beside: doubled_optional,
    queued: usual,
    queued_in_order: usual,
    queued_by_one_look: usual,
    queued_before_a_change: usual,
    queued_and_cancelled: usual,
    queued_and_left: usual,
    queued_over_a_change: usual,
    queued_and_next: usual,
    queued_and_refused: usual,
    queued_at_the_end: usual,
    named_only: unpiped,
    mutex: locked,
    mutex_elsewhere: locked,
    mutex_taken_over: locked,
    child_and_no_root: nested,
    queued_and_put_back: usual,
    joined_in_vain: usual,
    saved_twice_beside_another: usual,
    saved_twice_and_asked_beside_another: usual,
    saved_twice_and_put_back: usual,
    doubted: two,
    doubted_and_put_back: usual,
    taken_over: two,
    taken_over_after_a_void_run: two,
    failed_since_in_a_void_run: two,
    taken_over_unless_forced: two,
    taken_over_with_outputs: leaving,
    taken_over_by_a_child: nested,
    outputs_that_do_not_lie_still: leaving,
    outputs_that_cannot_be_weighed: leaving,
    outputs_that_change_while_a_stage_waits: leaving,
    outputs_that_never_lie_still: leaving,
    outputs_that_are_shared: sharing,
    outputs_that_are_shared_and_spoiled: sharing,
    outputs_that_stray_below: leaving_below,
    came_and_went: usual,
    came_and_went_twice: usual,
    came_and_went_below: nested,
    cancelled_while_weighing: leaving,
    taken_over_from_a_resumed_run: two,
    weighed_before_a_resume: leaving,
    not_taken_over_once_it_failed: two,
    not_taken_over_without_evidence: two,
}
