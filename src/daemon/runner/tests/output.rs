//! What becomes of output: bytes, long and short, and logs that cannot be written.
//!
//! The log has to give back exactly what was written, or say what is missing.

use super::*;
use crate::limits::{STAGE_EXCERPT_BYTES_MAX, STAGE_LOG_BYTES_MAX};

#[tokio::test]
async fn any_bytes_are_kept_exactly() {
    let bench = Bench::new();
    let ending = ended(bench.shell("head -c 1000000 /dev/urandom | tee copy")).await;
    assert_eq!(ending.log_bytes, 1_000_000);
    assert!(bench.logged(Stream::Stdout) == fs::read(bench.path("copy")).unwrap());
}

#[tokio::test]
async fn a_hundred_thousand_short_lines_are_kept_exactly() {
    let bench = Bench::new();
    let ending = ended(bench.shell("seq 100000; seq 100000 >&2")).await;
    let lines: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(bench.logged(Stream::Stdout), lines.as_bytes());
    assert_eq!(bench.logged(Stream::Stderr), lines.as_bytes());
    assert_eq!(ending.stdout, lines[..STAGE_EXCERPT_BYTES_MAX]);
    assert_eq!(
        ending.stderr,
        lines[lines.len() - STAGE_EXCERPT_BYTES_MAX..]
    );
    assert_eq!(ending.log_bytes, 2 * lines.len() as u64);
}

#[tokio::test]
async fn a_character_that_comes_in_pieces_is_one() {
    let bench = Bench::new();
    ended(bench.shell("printf 'a\\342\\202'; sleep 0.05; printf '\\254b\\342'")).await;
    assert_eq!(bench.logged(Stream::Stdout), b"a\xe2\x82\xacb\xe2");
    let text = fs::read_to_string(bench.path("run/runner.ndjson")).unwrap();
    assert!(text.contains("€b"), "{text}");
    // Only the beginning that nothing completes is no text.
    assert_eq!(text.matches("base64").count(), 1);
}

/// 96 MB on one line: the head and the tail stay, the file keeps its limit, every byte is accounted for.
#[tokio::test]
async fn an_endless_line_is_cut_in_the_middle() {
    let bench = Bench::new();
    let ending = ended(bench.shell("yes | tr -d '\\n' | head -c 96000000; printf end")).await;
    assert_eq!(ending.exit, Exit::Code(0));
    assert_eq!((ending.log_bytes, ending.truncated), (96_000_003, true));
    let events = bench.events();
    let dropped = events.iter().find_map(|event| {
        if let LogEvent::Truncated { dropped_bytes } = event {
            return Some(*dropped_bytes);
        }
        None
    });
    let kept = bench.logged(Stream::Stdout);
    assert_eq!(dropped.unwrap() + kept.len() as u64, 96_000_003);
    assert!(kept.starts_with(b"yyyy") && kept.ends_with(b"yyend"));
    let size = fs::metadata(bench.path("run/runner.ndjson")).unwrap().len();
    assert!(size <= STAGE_LOG_BYTES_MAX + 4096, "{size}");
    assert!(size >= STAGE_LOG_BYTES_MAX * 7 / 10, "{size}");
}

#[tokio::test]
async fn a_second_attempt_appends_and_counts_on() {
    let bench = Bench::new();
    let mut attempt = bench.shell("echo again");
    attempt.log.attempts_max = 2;
    let first = ended(attempt.clone()).await;
    attempt.log.attempt = 2;
    attempt.earlier = Written {
        bytes: first.log_bytes,
        truncated: true,
    };
    let second = ended(attempt).await;
    assert_eq!((second.log_bytes, second.truncated), (12, true));
    assert_eq!(bench.logged(Stream::Stdout), b"again\nagain\n");
    let mut attempts = Vec::new();
    for event in bench.events() {
        if let LogEvent::Start { attempt, .. } = event {
            attempts.push(attempt);
        }
    }
    assert_eq!(attempts, [1, 2]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_leaves_the_command_alone_and_is_told() {
    let bench = Bench::new();
    let mut attempt = bench.shell("head -c 3000000 /dev/zero; touch done; echo x >&2; exit 5");
    attempt.log.run = PathBuf::from("/dev/full");
    let ending = ended(attempt).await;
    assert_eq!((ending.exit, ending.log_bytes), (Exit::Code(5), 3_000_002));
    let told = ending.unrecorded.unwrap();
    assert!(
        told.starts_with("failed to write log `/dev/full`: No space left"),
        "{told}"
    );
    assert!(bench.path("done").exists());
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_keeps_the_command_from_running() {
    let bench = Bench::new();
    bench.touch("file");
    let mut attempt = bench.shell("touch done");
    attempt.log.stage = bench.path("file/01-test.ndjson");
    let ending = ended(attempt).await;
    let Exit::Unspawnable(reason) = &ending.exit else {
        panic!("{:?}", ending.exit);
    };
    assert!(
        reason.starts_with("its result could not be recorded: failed to open log"),
        "{reason}"
    );
    assert!(ending.unrecorded.unwrap().contains("Not a directory"));
    assert!(!Path::new(&bench.path("done")).exists());
}

/// The loop goes on while a command writes as fast as it can.
#[tokio::test]
async fn a_fast_writer_does_not_hold_up_the_loop() {
    let bench = Bench::new();
    let clock = Clock::start();
    let (stopper, ending) = start(bench.shell("echo up > said; exec yes"), clock).split();
    bench.said().await;
    let mut longest = Duration::ZERO;
    for _ in 0..1000 {
        let before = clock.tick();
        tokio::task::yield_now().await;
        longest = longest.max(clock.tick().since(before));
    }
    stopper.stop(Stop::Kill);
    assert_eq!(within(ending).await.exit, Exit::Signal(9));
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}
