//! How attempts end: exits, signals, requests to stop, and what a command leaves behind.
//!
//! After each of them nobody of the command's group may be left.

use super::*;

#[tokio::test]
async fn an_exit_is_what_the_shell_says() {
    let bench = Bench::new();
    let ending = ended(bench.shell("echo out; echo 'error: x' >&2; exit 3")).await;
    assert_eq!(ending.exit, Exit::Code(3));
    assert_eq!(
        (ending.stdout.as_str(), ending.stderr.as_str()),
        ("out\n", "error: x\n")
    );
    assert_eq!((ending.log_bytes, ending.truncated), (13, false));
    assert_eq!(ending.excerpt.as_deref(), Some("error: x"));
    assert_eq!(ending.unrecorded, None);
    let events = bench.events();
    assert!(
        matches!(&events[0], LogEvent::Start { command, attempt: 1 } if command.contains("exit 3"))
    );
    let LogEvent::End(end) = &events[events.len() - 1] else {
        panic!("the last line is {:?}", events.last());
    };
    assert_eq!((end.exit_code, end.signal.as_deref()), (Some(3), None));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_command_gets_its_directory_its_environment_no_input_and_a_group_of_its_own() {
    let bench = Bench::new();
    let script = "pwd; echo $PWD; echo $GREETING $ORCHD_RUN_ID $ORCHD_STAGE; cat; \
                  grep -E '^Sig(Blk|Ign)' /proc/self/status; [ $(ps -o pgid= -p $$) = $$ ] && echo leads";
    let attempt = bench.shell(script);
    let run = attempt.run.clone();
    let ending = ended(attempt).await;
    let dir = bench.dir.path().display();
    let (before, rest) = ending.stdout.split_once("SigBlk:\t").unwrap();
    assert_eq!(before, format!("{dir}\n{dir}\nmoin {run} test\n"));
    let (blocked, rest) = rest.split_once("\nSigIgn:\t").unwrap();
    let (ignored, leads) = rest.split_once('\n').unwrap();
    assert_eq!((blocked, leads), ("0000000000000000", "leads\n"));
    // SIGPIPE ends a stage's `yes | head` although this process ignores it.
    let sigpipe = 1 << 12;
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & sigpipe, 0);
}

#[tokio::test]
async fn a_stage_whose_mutex_cannot_be_taken_is_not_run_and_says_why() {
    let bench = Bench::new();
    let refused = Attempt {
        mutex: Hold::Refused("no room".to_owned()),
        ..bench.shell("touch ran")
    };
    let ending = ended(refused).await;
    let said = "its mutex cannot be taken: no room";
    assert_eq!(ending.exit, Exit::Unspawnable(said.to_owned()));
    assert!(!bench.path("ran").exists());
    let events = bench.events();
    let LogEvent::End(end) = &events[events.len() - 1] else {
        panic!("the last line is {:?}", events.last());
    };
    assert_eq!(end.error.as_deref(), Some(said));
}

#[tokio::test]
async fn arguments_are_executed_as_they_are() {
    let bench = Bench::new();
    let argv = ["printf", "%s|", "a b", "$HOME;", ""].map(str::to_owned);
    let ending = ended(bench.attempt(CommandLine::Argv(argv.to_vec()))).await;
    assert_eq!(ending.stdout, "a b|$HOME;||");
}

#[tokio::test]
async fn a_signal_is_never_a_success() {
    let bench = Bench::new();
    let ending = ended(bench.shell("kill -SEGV $$")).await;
    assert_eq!(
        (&ending.exit, ending.exit.code()),
        (&Exit::Signal(11), Some(139))
    );
    let events = bench.events();
    let LogEvent::End(end) = &events[events.len() - 1] else {
        panic!("the last line is {:?}", events.last());
    };
    assert_eq!(
        (end.exit_code, end.signal.as_deref()),
        (Some(139), Some("SIGSEGV"))
    );
}

#[tokio::test]
async fn what_cannot_be_started_says_what_is_missing() {
    let bench = Bench::new();
    let argv = CommandLine::Argv(vec!["no-such-program".to_owned()]);
    let lost = Attempt {
        cwd: bench.path("gone"),
        ..bench.shell("true")
    };
    bench.touch("data");
    let data = CommandLine::Argv(vec!["./data".to_owned()]);
    for (attempt, said) in [
        (
            bench.attempt(argv),
            "program `no-such-program` was not found",
        ),
        (lost, "gone` does not exist"),
        (
            bench.attempt(data),
            "`./data` could not be started: Permission denied",
        ),
    ] {
        let ending = ended(attempt).await;
        let Exit::Unspawnable(reason) = &ending.exit else {
            panic!("{:?}", ending.exit);
        };
        assert!(reason.contains(said), "{reason}");
        assert_eq!(ending.exit.code(), None);
        let events = bench.events();
        let LogEvent::End(end) = &events[events.len() - 1] else {
            panic!("the last line is {:?}", events.last());
        };
        assert_eq!((end.exit_code, &end.error), (None, &Some(reason.clone())));
    }
}

#[tokio::test]
async fn term_ends_the_whole_group() {
    let bench = Bench::new();
    let running = start(
        bench.shell("sleep 1000 & echo $! > said; wait"),
        Clock::start(),
    );
    let sleeper = bench.named().await;
    running.stopper.stop(Stop::Term);
    assert_eq!(end_of(running).await.exit, Exit::Signal(15));
    assert!(!sleeper.lives());
}

#[tokio::test]
async fn a_request_before_the_start_is_not_lost() {
    let bench = Bench::new();
    let running = start(bench.shell("sleep 1000"), Clock::start());
    running.stopper.stop(Stop::Term);
    assert_eq!(end_of(running).await.exit, Exit::Signal(15));
}

#[tokio::test]
async fn dropping_the_stopper_stops_nothing() {
    let bench = Bench::new();
    let (stopper, ending) = start(bench.shell("echo up > said; exit 4"), Clock::start()).split();
    drop(stopper);
    assert_eq!(bench.said().await, "up");
    assert_eq!(within(ending).await.exit, Exit::Code(4));
}

#[tokio::test]
async fn kill_ends_what_ignores_term() {
    let bench = Bench::new();
    let script = "trap '' TERM; sleep 1000 & echo $! > said; while :; do sleep 1; done";
    let (stopper, ending) = start(bench.shell(script), Clock::start()).split();
    let sleeper = bench.named().await;
    stopper.stop(Stop::Term);
    assert!(sleeper.lives());
    stopper.stop(Stop::Kill);
    assert_eq!(within(ending).await.exit, Exit::Signal(9));
    assert!(!sleeper.lives());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stopped_command_takes_term() {
    let bench = Bench::new();
    let script = "echo $$ > said; kill -STOP $$; exit 0";
    let running = start(bench.shell(script), Clock::start());
    let pid = bench.named().await.pid;
    let stopped = || {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .unwrap()
            .contains(") T ")
    };
    within(async {
        while !stopped() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.stopper.stop(Stop::Term);
    assert_eq!(end_of(running).await.exit, Exit::Signal(15));
}

#[tokio::test]
async fn a_command_that_tidies_up_on_term_is_heard() {
    let bench = Bench::new();
    let script = "trap 'echo tidied; exit 7' TERM; echo up > said; while :; do sleep 0.01; done";
    let running = start(bench.shell(script), Clock::start());
    bench.said().await;
    running.stopper.stop(Stop::Term);
    let ending = end_of(running).await;
    assert_eq!(
        (ending.exit, ending.stdout.as_str()),
        (Exit::Code(7), "tidied\n")
    );
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_is_not_waited_for() {
    let bench = Bench::new();
    let clock = Clock::start();
    let running = start(bench.shell("sleep 1000 & echo $! > said; echo hi"), clock);
    let sleeper = bench.named().await;
    let ending = end_of(running).await;
    assert_eq!(
        (ending.exit, ending.stdout.as_str()),
        (Exit::Code(0), "hi\n")
    );
    assert!(!sleeper.lives());
    assert!(clock.tick().since_start() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_grandchild_that_ignores_term_is_killed_after_the_grace() {
    let bench = Bench::new();
    let script = "sh -c 'trap \"\" TERM; echo $$ > said; while :; do sleep 1; done' & wait_for=$!; \
                  while [ ! -e go ]; do sleep 0.01; done; exit 0";
    let running = start(bench.shell(script), Clock::start());
    let stubborn = bench.named().await;
    bench.touch("go");
    assert_eq!(end_of(running).await.exit, Exit::Code(0));
    assert!(!stubborn.lives());
}

#[tokio::test]
async fn a_grandchild_without_the_output_is_ended_too() {
    let bench = Bench::new();
    let script = "sleep 1000 >/dev/null 2>&1 & echo $! > said";
    let running = start(bench.shell(script), Clock::start());
    let sleeper = bench.named().await;
    assert_eq!(end_of(running).await.exit, Exit::Code(0));
    assert!(!sleeper.lives());
}

#[tokio::test]
async fn what_a_grandchild_says_just_after_the_exit_is_kept() {
    let bench = Bench::new();
    // The pipe has an end once the shell, and with it its only writer, is gone.
    let script = "(read _ < said; echo late) & exec 3> said; echo early";
    let ending = ended(bench.shell(script)).await;
    assert_eq!(ending.stdout, "early\nlate\n");
}

/// Leaves the group and the session, and its parent exits, as daemons do it.
const ESCAPE: &str = "setsid sh -c 'echo $$ > said; exec sleep 1000'";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_left_the_group_with_the_output_is_found() {
    let bench = Bench::new();
    let running = start(bench.shell(&format!("{ESCAPE} & echo hi")), Clock::start());
    let escaped = bench.named().await;
    let ending = end_of(running).await;
    assert_eq!(
        (ending.exit, ending.stdout.as_str()),
        (Exit::Code(0), "hi\n")
    );
    assert!(!escaped.lives());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stopped_stage_takes_along_who_left_the_group() {
    let bench = Bench::new();
    let script = format!("({ESCAPE} >/dev/null 2>&1 &); sleep 1000");
    let running = start(bench.shell(&script), Clock::start());
    let escaped = bench.named().await;
    running.stopper.stop(Stop::Term);
    assert_eq!(end_of(running).await.exit, Exit::Signal(15));
    assert!(!escaped.lives());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn another_stage_of_the_run_is_left_alone() {
    let bench = Bench::new();
    let other = Attempt {
        stage: StageId::parse("other").unwrap(),
        ..bench.shell("echo $$ > said; exec sleep 1000")
    };
    let other = start(other, Clock::start());
    let neighbour = bench.named().await;
    let running = start(bench.shell("sleep 1000"), Clock::start());
    running.stopper.stop(Stop::Kill);
    assert_eq!(end_of(running).await.exit, Exit::Signal(9));
    assert!(neighbour.lives());
    other.stopper.stop(Stop::Kill);
    assert_eq!(end_of(other).await.exit, Exit::Signal(9));
}

#[tokio::test]
async fn a_build_server_outlives_a_stage_that_ends_by_itself() {
    let bench = Bench::new();
    let script = format!("({ESCAPE} >/dev/null 2>&1 &) ; while [ ! -e go ]; do sleep 0.01; done");
    let running = start(bench.shell(&script), Clock::start());
    let server = bench.named().await;
    bench.touch("go");
    assert_eq!(end_of(running).await.exit, Exit::Code(0));
    assert!(server.lives());
}
