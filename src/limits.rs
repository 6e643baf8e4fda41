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

/// Paths in doubt per workspace before the watcher says "everything": 32,768 of them are some 4 MiB, and a scan is
/// cheaper than to settle more of them one by one.
pub const DOUBTS_MAX: usize = 32_768;
/// Bytes of a file that is hashed at once when its fingerprint differs; a larger one is hashed when a view needs it.
pub const EAGER_HASH_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes that are read at once while a file is hashed.
pub const HASH_CHUNK_BYTES: usize = 64 * 1024;
/// Threads that hash files for one view: more would take the cores from the stages.
pub const HASH_THREADS_MAX: usize = 4;
/// Files to hash for which one thread is enough: starting another costs as much as hashing these.
pub const HASH_ALONE_MAX: usize = 16;
/// Files whose paths are made at once to be hashed: some 1 MiB of paths.
pub const HASH_BATCH_FILES: usize = 4096;
/// Times that a file which changes while it is hashed is read before it is given up as still changing.
pub const HASH_ATTEMPTS_MAX: u32 = 3;
/// A file changed so shortly before it was hashed may change again without a trace: one tick of a 100 Hz clock.
pub const RACY_MARGIN: Duration = Duration::from_millis(10);
/// The same where the file system keeps whole seconds only: FAT keeps every second one.
pub const RACY_MARGIN_COARSE: Duration = Duration::from_secs(2);
/// Bytes of an ignore file that are read: a larger one is no ignore file.
pub const IGNORE_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Unreadable files and directories that a workspace names; what lies beyond is only not told.
pub const UNREADABLE_MAX: usize = 1000;

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
/// Inputs that wait for the engine before their senders wait too.
pub const INPUTS_MAX: usize = 4096;

const _: () = assert!(SETTLE_DEFAULT.as_millis() <= SETTLE_MAX_DEFAULT.as_millis());
const _: () = assert!(SETTLE_MAX_DEFAULT.as_millis() <= SETTLE_CONFIGURED_MAX.as_millis());
const _: () = assert!(HEARTBEAT.as_secs() * 2 < HEARTBEAT_STALE.as_secs());
const _: () = assert!(CHANGED_PATHS_SHOWN_MAX <= CHANGED_PATHS_MAX);
