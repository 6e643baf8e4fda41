//! What a stage's log holds, byte for byte, when it is short, long, torn, or cannot be written.
//!
//! Real files, and a decoder that is the client's own.

use super::read::{LogSlice, ReadLogError};
use super::*;
use crate::disk::durable::Dir;
use crate::model::log::decode;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

fn plan(dir: &Path) -> LogPlan {
    LogPlan {
        stage: dir.join("commands/03-test.ndjson"),
        run: dir.join("runner.ndjson"),
        index: 3,
        attempt: 1,
        attempts_max: 1,
    }
}

fn ended(code: i32) -> LogEnd {
    LogEnd {
        exit_code: Some(code),
        ..LogEnd::default()
    }
}

fn events(path: &Path) -> Vec<LogEvent<'static>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| decode(line).unwrap().event)
        .collect()
}

fn output_of(events: &[LogEvent<'_>]) -> Vec<u8> {
    let mut all = Vec::new();
    for event in events {
        if let LogEvent::Output { bytes, .. } = event {
            all.extend_from_slice(bytes);
        }
    }
    all
}

#[test]
fn both_files_get_the_same_lines_and_only_their_owner_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path());
    for attempt in 1..=2 {
        let again = LogPlan {
            attempt,
            attempts_max: 2,
            ..plan.clone()
        };
        let mut logs = StageLogs::open(again, Clock::start()).unwrap();
        logs.start("npm test");
        logs.output(Stream::Stderr, b"oops\n");
        let outcome = logs.finish(ended(1));
        assert!(!outcome.truncated && outcome.failure.is_none());
    }
    let stage = fs::read(&plan.stage).unwrap();
    assert_eq!(stage, fs::read(&plan.run).unwrap());
    let events = events(&plan.stage);
    assert_eq!(events.len(), 6);
    let second = LogEvent::Start {
        command: "npm test".into(),
        attempt: 2,
    };
    assert_eq!(events[3], second);
    let end = LogEnd {
        attempt: 2,
        ..ended(1)
    };
    assert_eq!(events[5], LogEvent::End(end));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&plan.stage), mode(&plan.run)), (0o600, 0o600));
}

#[test]
fn of_too_long_an_output_the_head_and_the_tail_are_kept_and_the_rest_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let plan = LogPlan {
        attempts_max: 128,
        ..plan(dir.path())
    };
    let budget = STAGE_LOG_BYTES_MAX / 128;
    let mut logs = StageLogs::open(plan.clone(), Clock::start()).unwrap();
    let mut whole = Vec::new();
    logs.start("x");
    for number in 0..40_000_u32 {
        let line = format!("line {number}\n").into_bytes();
        logs.output(Stream::Stdout, &line);
        whole.extend_from_slice(&line);
    }
    let before_end = fs::metadata(&plan.stage).unwrap().len();
    assert!(before_end <= budget / 2 + 200, "{before_end}");
    assert!(logs.finish(ended(0)).truncated);

    let events = events(&plan.stage);
    let cut = events
        .iter()
        .position(|event| matches!(event, LogEvent::Truncated { .. }))
        .unwrap();
    let (head, tail) = (output_of(&events[..cut]), output_of(&events[cut..]));
    assert!(whole.starts_with(&head) && whole.ends_with(&tail));
    let missing = (whole.len() - head.len() - tail.len()) as u64;
    let told = LogEvent::Truncated {
        dropped_bytes: missing,
    };
    assert_eq!(events[cut], told);
    let size = fs::metadata(&plan.stage).unwrap().len();
    assert!(size <= budget + 1024, "{size}");
    assert!(size >= budget * 7 / 10, "{size}");
    assert_eq!(fs::read(&plan.stage).unwrap(), fs::read(&plan.run).unwrap());
    let names = fs::read_dir(dir.path().join("commands")).unwrap().count();
    assert_eq!(names, 1, "the spill files have no names");
}

#[test]
fn what_overflows_the_head_only_is_all_there() {
    let dir = tempfile::tempdir().unwrap();
    let plan = LogPlan {
        attempts_max: 128,
        ..plan(dir.path())
    };
    let budget = STAGE_LOG_BYTES_MAX / 128;
    let mut logs = StageLogs::open(plan.clone(), Clock::start()).unwrap();
    let mut whole = Vec::new();
    // A bit more than the head and one of the two spill files hold.
    while (whole.len() as u64) < budget / 2 + budget * 3 / 10 {
        let chunk = vec![b'a' + u8::try_from(whole.len() / 5000 % 26).unwrap(); 5000];
        logs.output(Stream::Stdout, &chunk);
        whole.extend_from_slice(&chunk);
    }
    assert!(!logs.finish(ended(0)).truncated);
    assert_eq!(output_of(&events(&plan.stage)), whole);
}

#[test]
fn a_later_attempt_gets_what_earlier_ones_left_and_never_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plan = LogPlan {
        attempt: 2,
        attempts_max: 2,
        ..plan(dir.path())
    };
    fs::create_dir_all(plan.stage.parent().unwrap()).unwrap();
    let full = File::create(&plan.stage).unwrap();
    full.set_len(STAGE_LOG_BYTES_MAX).unwrap();
    let mut logs = StageLogs::open(plan.clone(), Clock::start()).unwrap();
    for _ in 0..100 {
        logs.output(Stream::Stdout, &[b'x'; 4096]);
    }
    assert!(logs.finish(ended(0)).truncated);
    let grown = fs::metadata(&plan.stage).unwrap().len() - STAGE_LOG_BYTES_MAX;
    assert!(
        grown > ATTEMPT_LOG_BYTES_MIN / 2 && grown < ATTEMPT_LOG_BYTES_MIN + 8192,
        "{grown}"
    );
}

#[test]
fn a_torn_line_does_not_swallow_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path());
    fs::create_dir_all(plan.stage.parent().unwrap()).unwrap();
    File::create(&plan.stage)
        .unwrap()
        .write_all(b"{\"type\":\"comm")
        .unwrap();
    let mut logs = StageLogs::open(plan.clone(), Clock::start()).unwrap();
    logs.start("x");
    logs.finish(ended(0));
    let text = fs::read_to_string(&plan.stage).unwrap();
    assert_eq!(text.lines().next(), Some("{\"type\":\"comm"));
    assert_eq!(text.lines().filter(|line| decode(line).is_ok()).count(), 2);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_once_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let plan = LogPlan {
        run: PathBuf::from("/dev/full"),
        ..plan(dir.path())
    };
    let mut logs = StageLogs::open(plan, Clock::start()).unwrap();
    logs.start("x");
    logs.output(Stream::Stdout, b"y");
    let failure = logs.finish(ended(0)).failure.unwrap();
    assert_eq!(failure.to_string(), "failed to write log `/dev/full`");
    let cause = std::error::Error::source(&failure).unwrap().to_string();
    assert!(cause.contains("No space left"), "{cause}");
}

fn read_log(path: &Path, offset: u64, bytes_max: usize) -> Result<LogSlice, ReadLogError> {
    let dir = Dir::open(path.parent().unwrap()).unwrap();
    read::read_log(&dir, path.file_name().unwrap(), offset, bytes_max)
}

#[test]
fn reading_takes_whole_lines_only_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    assert_eq!(read_log(&path, 0, 100).unwrap(), LogSlice::default());
    let mut file = File::create(&path).unwrap();
    file.write_all(b"one\ntwo\nthr").unwrap();
    let slice = read_log(&path, 0, 1000).unwrap();
    assert_eq!(slice.lines, ["one", "two"]);
    assert_eq!((slice.next_offset, slice.size), (8, 11));
    assert!(read_log(&path, 8, 1000).unwrap().lines.is_empty());
    file.write_all(b"ee\n").unwrap();
    assert_eq!(read_log(&path, 8, 1000).unwrap().lines, ["three"]);
    let small = read_log(&path, 0, 1).unwrap();
    assert_eq!((small.lines.len(), small.next_offset), (1, 4));
    assert_eq!(read_log(&path, 0, 8).unwrap().lines.len(), 2);
    assert_eq!(read_log(&path, 99, 8).unwrap().next_offset, 14);
    let refused = |path: &Path| {
        let error = read_log(path, 0, 8).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    };
    let [link, pipe, directory] = ["link", "pipe", "directory"].map(|name| dir.path().join(name));
    std::os::unix::fs::symlink("log", &link).unwrap();
    crate::disk::configuration::tests::fifo(&pipe);
    fs::create_dir(&directory).unwrap();
    [link, pipe, directory]
        .iter()
        .for_each(|path| refused(path));
}

#[test]
fn a_line_that_no_log_of_ours_has_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = File::create(&path).unwrap();
    file.write_all(&vec![b'x'; 3 * 1024 * 1024]).unwrap();
    assert_eq!(read_log(&path, 0, 100).unwrap().next_offset, 0);
    file.write_all(b"\nnext\n").unwrap();
    assert_eq!(read_log(&path, 0, 100).unwrap().lines, ["next"]);
}

#[test]
fn output_that_would_be_a_line_beyond_what_is_read_at_once_is_several() {
    let dir = tempfile::tempdir().unwrap();
    for (name, output) in [
        ("controls", vec![1_u8; 64 * 1024]),
        ("none", vec![0xff; 64 * 1024]),
        ("text", "\u{1}ä".repeat(20 * 1024).into_bytes()),
    ] {
        let plan = plan(&dir.path().join(name));
        let mut logs = StageLogs::open(plan.clone(), Clock::start()).unwrap();
        logs.output(Stream::Stdout, &output);
        assert!(logs.finish(ended(0)).failure.is_none());
        let whole = fs::read_to_string(&plan.stage).unwrap();
        let longest = whole.lines().map(str::len).max().unwrap() as u64;
        assert!(longest < LOG_READ_BYTES_MAX, "{name}: {longest}");
        assert_eq!(output_of(&events(&plan.stage)), output, "{name}");
        let odd = whole.contains("base64");
        assert_eq!(odd, name == "none", "{name} is cut between characters");
    }
}
