//! Every bound of the program, with its unit and its reason.
//!
//! Names end in their unit or in `_max`; a `_max` is inclusive. What depends on another bound is checked by a const
//! assertion at the end, so that a change that breaks the relation does not compile.

use std::time::Duration;

/// Bytes of a task id: it is a path component, and file names end at 255 bytes on the file systems that we meet.
pub const TASK_ID_BYTES_MAX: usize = 200;
/// Bytes of a pipeline or stage id: it appears in file names (slug of 80) and in terminal columns.
pub const STAGE_ID_BYTES_MAX: usize = 128;
/// Bytes of a run id: it is a path component.
pub const RUN_ID_BYTES_MAX: usize = 200;
/// Characters of a slug in a log file's name, as the published orchestrator cuts it.
pub const SLUG_CHARS_MAX: usize = 80;
/// UTF-16 units of a stage summary before it is cut, as the published orchestrator cuts it.
pub const SUMMARY_UNITS_MAX: usize = 240;
/// Characters of a detail string in an error file, as the published orchestrator cuts it.
pub const ERROR_DETAIL_CHARS_MAX: usize = 8192;

/// Quiet time after the last change before a run starts, when the configuration names none.
pub const SETTLE_DEFAULT: Duration = Duration::from_millis(20);
/// Longest wait for quiet, when the configuration names none.
pub const SETTLE_MAX_DEFAULT: Duration = Duration::from_secs(2);
/// Longest settle time that a configuration may ask for: past this a forgotten zero is likelier than a wish.
pub const SETTLE_CONFIGURED_MAX: Duration = Duration::from_secs(600);
/// Time between two scans of a polled tree, when the configuration names none.
pub const POLL_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
/// From TERM to KILL, when a stage names none.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(5);
/// Runs kept per project, when the configuration names no number.
pub const RETAIN_RUNS_DEFAULT: u32 = 200;
/// Days that a run is kept, when the configuration names no number.
pub const RETAIN_DAYS_DEFAULT: u32 = 30;

/// Bytes of a configuration file: a larger one is a mistake, and reading it would stall the daemon.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a state file of the daemon that is read whole: the trust store lists the commands of every workspace.
pub const STATE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Registered workspaces.
pub const WORKSPACES_MAX: usize = 1_000;
/// Projects of one workspace.
pub const PROJECTS_MAX: usize = 10_000;
/// Stages of one pipeline: the log file names have two digits before they grow.
pub const STAGES_MAX: usize = 512;
/// Retries that a stage may ask for.
pub const RETRIES_MAX: u32 = 100;
/// Depth of subpipelines below a run.
pub const SUBPIPELINE_DEPTH_MAX: usize = 8;
/// Pipelines of one workspace.
pub const PIPELINES_MAX: usize = 1_000;
/// Stages of all pipelines of one workspace, stage sets expanded: they are held in memory.
pub const STAGES_TOTAL_MAX: usize = 20_000;
/// Stages at once that a configuration may ask for: past this the machine is busy with switching.
pub const JOBS_MAX: u32 = 1_024;
/// Shortest time between two scans of a polled tree: a shorter one leaves no time for anything else.
pub const POLL_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// Longest time between two scans of a polled tree.
pub const POLL_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// Runs that a project may ask to keep.
pub const RETAIN_RUNS_MAX: u32 = 100_000;
/// Days that a project may ask to keep runs: a hundred years.
pub const RETAIN_DAYS_MAX: u32 = 36_500;
/// Longest timeout that a stage may ask for: past a week it is no guardrail.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Longest time from TERM to KILL that a stage may ask for: a shutdown waits for it.
pub const GRACE_MAX: Duration = Duration::from_secs(600);
/// Longest time that a project may give its runs.
pub const SLA_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Bytes of one argument or shell line: Linux refuses longer ones (`MAX_ARG_STRLEN`, with its NUL).
pub const COMMAND_BYTES_MAX: usize = 128 * 1024 - 1;
/// Commands that the trust store lists for a person to compare; the digest covers all.
pub const COMMANDS_LISTED_MAX: usize = 1_000;
/// Characters of a command that such a list shows.
pub const COMMAND_SHOWN_CHARS_MAX: usize = 400;
/// Bytes of a mutex name.
pub const MUTEX_BYTES_MAX: usize = 128;
/// Bytes of a gitignore pattern: a path that it names cannot be longer.
pub const PATTERN_BYTES_MAX: usize = 4_096;
/// Configuration problems that are told at once; past this a person has lost count.
pub const PROBLEMS_MAX: usize = 50;
/// Configuration problems that are held while there may be more: past this they are only counted.
pub const FAULTS_HELD_MAX: usize = 500;
/// Characters of a source line that a configuration problem shows.
pub const SOURCE_LINE_CHARS_MAX: usize = 120;

/// Changed paths that a change set names one by one; past this it says "everything may have changed".
pub const CHANGED_PATHS_MAX: usize = 100_000;
/// Changed paths that a sidecar, an event or a status lists.
pub const CHANGED_PATHS_SHOWN_MAX: usize = 100;

/// Runs in `state.json` and `runs.json`, newest kept: the whole file is rewritten at each run.
pub const SNAPSHOT_RUNS_MAX: usize = 50;
/// Time between two heartbeats of a run, as the manifest says it.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Age at which a heartbeat is stale, as the manifest says it.
pub const HEARTBEAT_STALE: Duration = Duration::from_secs(30);
/// Tries to take a lock that another program holds, before its work is done without it.
pub const LOCK_TRIES_MAX: u32 = 100;
/// Pause between two of these tries: such locks are held for milliseconds.
pub const LOCK_PAUSE: Duration = Duration::from_millis(3);
/// Age at which a lock without a readable owner is taken over, as the published orchestrator does it.
pub const LOCK_STALE: Duration = Duration::from_secs(300);
/// Bytes of one file of evidence that is read whole: the published orchestrator's largest are a few hundred KiB.
pub const EVIDENCE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Log bytes of one stage before the middle is dropped: half for the head, half for the tail.
pub const STAGE_LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Output bytes of one stage that are kept in memory for its summary and its error file.
pub const STAGE_EXCERPT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one inbound message on the socket.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Nesting of one inbound message on the socket.
pub const MESSAGE_DEPTH_MAX: usize = 64;
/// Requests that one connection may have outstanding.
pub const REQUESTS_OUTSTANDING_MAX: usize = 64;
/// Connections that are served at once.
pub const CONNECTIONS_MAX: usize = 1024;
/// Time that a new connection has for its first message.
pub const FIRST_MESSAGE_MAX: Duration = Duration::from_secs(2);
/// Events that a subscriber may lag behind before it is resynchronised.
pub const SUBSCRIBER_EVENTS_MAX: usize = 1024;
/// Inputs that wait for the engine before their senders wait too.
pub const INPUTS_MAX: usize = 4096;

const _: () = assert!(SETTLE_DEFAULT.as_millis() <= SETTLE_MAX_DEFAULT.as_millis());
const _: () = assert!(SETTLE_MAX_DEFAULT.as_millis() <= SETTLE_CONFIGURED_MAX.as_millis());
const _: () = assert!(PROBLEMS_MAX <= FAULTS_HELD_MAX);
const _: () = assert!(GRACE_DEFAULT.as_millis() <= GRACE_MAX.as_millis());
const _: () =
    assert!(RETAIN_RUNS_DEFAULT <= RETAIN_RUNS_MAX && RETAIN_DAYS_DEFAULT <= RETAIN_DAYS_MAX);
const _: () = assert!(
    POLL_INTERVAL_MIN.as_millis() <= POLL_INTERVAL_DEFAULT.as_millis()
        && POLL_INTERVAL_DEFAULT.as_millis() <= POLL_INTERVAL_MAX.as_millis()
);
const _: () = assert!(HEARTBEAT.as_secs() * 2 < HEARTBEAT_STALE.as_secs());
const _: () = assert!(CHANGED_PATHS_SHOWN_MAX <= CHANGED_PATHS_MAX);
