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
/// Projects of one workspace.
pub const PROJECTS_MAX: usize = 10_000;
/// Stages of one pipeline: the log file names have two digits before they grow.
pub const STAGES_MAX: usize = 512;
/// Retries that a stage may ask for.
pub const RETRIES_MAX: u32 = 100;
/// Depth of subpipelines below a run.
pub const SUBPIPELINE_DEPTH_MAX: usize = 8;

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
/// Bytes of one message that the client takes from the daemon: a status of the most projects fits.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a request's id: it is sent back, and no program needs longer ones.
pub const REQUEST_ID_BYTES_MAX: usize = 256;
/// Time from the first byte of a message to its end: past it, the sender is stuck or trickles on purpose.
pub const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Time that a peer has to take a part of an answer: past it, the peer is gone in all but name.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Time that a peer has to take the reason why its connection is being closed.
pub const CLOSING_TIME_MAX: Duration = Duration::from_secs(1);
/// Time that answers are still sent after a peer has closed its side, for one that asks, closes and then reads.
pub const HALF_CLOSED_TIME_MAX: Duration = Duration::from_secs(2);
/// Deadline that a request may name: a week; a longer one means for ever.
pub const DEADLINE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes of a log that one `logs.read` returns: lines stay whole, so that a longer one may exceed it.
pub const LOG_READ_BYTES_MAX: u64 = 256 * 1024;
/// Runs that one `run.list` returns.
pub const RUN_LIST_MAX: u32 = 10_000;
/// Bytes of a socket's path on Linux: `sun_path` has 108, the last is NUL.
pub const SOCKET_PATH_BYTES_MAX_LINUX: usize = 107;
/// Bytes of a socket's path on macOS: `sun_path` has 104, the last is NUL.
pub const SOCKET_PATH_BYTES_MAX_MACOS: usize = 103;
/// Pause of the listener after a failed accept, which is mostly a want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time between two looks at whether socket and lock are still ours: somebody may have deleted their directory.
pub const SOCKET_CHECK: Duration = Duration::from_secs(10);
/// Signals that wait for the main loop: it takes them at once, and a person sends few.
pub const SIGNALS_MAX: usize = 16;
/// File descriptors that the daemon asks for: connections, watches, logs and pipes of the runs beside each other.
pub const FILES_MAX: u64 = 16_384;
/// Bytes of the note in a lock file: a process id and a version.
pub const LOCK_NOTE_BYTES_MAX: u64 = 256;
/// Time that the parent of `orchd --detach` waits for the socket to answer.
pub const DETACH_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes of the daemon's log files of one day: the rest of that day is dropped and counted.
pub const LOG_DAY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Days of the daemon's logs that are kept.
pub const LOG_DAYS_MAX: usize = 7;
/// Lines of the daemon's log that wait for the disk before further ones are dropped and counted.
pub const LOG_LINES_WAITING_MAX: usize = 16_384;
/// Inputs that wait for the engine before their senders wait too.
pub const INPUTS_MAX: usize = 4096;

const _: () = assert!(SETTLE_DEFAULT.as_millis() <= SETTLE_MAX_DEFAULT.as_millis());
const _: () = assert!(SETTLE_MAX_DEFAULT.as_millis() <= SETTLE_CONFIGURED_MAX.as_millis());
const _: () = assert!(HEARTBEAT.as_secs() * 2 < HEARTBEAT_STALE.as_secs());
const _: () = assert!(SUBSCRIBER_EVENTS_MAX >= 2);
const _: () = assert!(CHANGED_PATHS_SHOWN_MAX <= CHANGED_PATHS_MAX);
