//! Every bound of the program, with its unit and its reason.
//!
//! Names end in their unit or in `_max`; a `_max` is inclusive. What depends on another bound is checked by a const
//! assertion at the end, so that a change that breaks the relation does not compile.

pub mod chain;
pub mod documents;
mod locks;

use std::time::Duration;

pub use locks::{
    LOCK_HANDOVER_PAUSE, LOCK_HANDOVER_PAUSES_MAX, LOCK_NOTE_BYTES_MAX, LOCK_PAUSE, LOCK_STALE,
    LOCK_TRIES_MAX, MUTEX_LOOK_PAUSE, STATE_AGAIN, STATE_LOCK_TRIES_MAX,
};

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
/// Longest waits for quiet that git may put a run off for, while it changes files: past this it has stopped or died.
pub const HOLD_WAITS_MAX: u32 = 10;
/// First and longest time between two looks at whether git still changes files: nothing tells of its end, and what waits
/// then waits an eighth longer than git took.
pub const HOLD_PAUSE: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_millis(250));
/// First and longest time until a workspace that is polled because no watch was left asks for watches again: others give
/// theirs back without a word, and asking costs as many calls as there are directories.
pub const WATCH_AGAIN: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(600));
/// Watches that a user is advised to allow: what most distributions come to; each in use costs the kernel about 1 KiB.
pub const WATCHES_ADVISED: u64 = 524_288;
/// Inotify instances that a user is advised to allow: each program that watches takes one.
pub const INSTANCES_ADVISED: u64 = 512;
/// How long before the end of a wait for quiet its content is looked at: a fraction of `settle_ms`, longer than a look at
/// what a save changes takes, and short, for what changes in it is looked at once more.
pub const FORESIGHT_PART: u32 = 4;
/// As above, for those who wait longer.
pub const FORESIGHT_MAX: Duration = Duration::from_millis(5);
/// Longest settle time that a configuration may ask for: past this a forgotten zero is likelier than a wish.
pub const SETTLE_CONFIGURED_MAX: Duration = Duration::from_secs(600);
/// Time between two scans of a polled tree, when the configuration names none.
pub const POLL_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
/// From TERM to KILL, when a stage names none.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(5);
/// Time between two self-audits of a workspace, when the configuration names none.
pub const AUDIT_DEFAULT: Duration = Duration::from_secs(600);
/// Longest time between two self-audits that a configuration may ask for; past it, `off` says what is meant.
pub const AUDIT_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Directories that a self-audit compares before it pauses, and entries after which it pauses earlier: a few milliseconds,
/// in which a look has to wait. A directory is compared as a whole, so one of 500,000 files takes a second.
pub const AUDIT_SLICE_DIRECTORIES: usize = 64;
/// See [`AUDIT_SLICE_DIRECTORIES`].
pub const AUDIT_SLICE_ENTRIES: usize = 4_096;
/// Time that such a part may take, or wait for its turn, before the next workspace is compared instead: its disk hangs.
pub const AUDIT_PART_MAX: Duration = Duration::from_secs(60);
/// Pause after such a part, in times of what it took: what is left is one hundredth of a core. And the shortest, because
/// giving the part away costs something too.
pub const AUDIT_PAUSE: (u32, Duration) = (120, Duration::from_millis(10));
/// Time that a self-audit waits for the watcher to catch up: past it what differs is left to the next audit.
pub const AUDIT_SYNC_MAX: Duration = Duration::from_secs(1);
/// Missed changes of one directory after which it is compared at each look: two may be chance.
pub const MISSES_POLLED: u32 = 3;
/// Directories of a workspace that are compared at each look.
pub const POLLED_DIRECTORIES_MAX: usize = 64;
/// Directories of a workspace of which it is known how often a change was missed.
pub const MISSING_DIRECTORIES_MAX: usize = 1_000;
/// Runs kept per project, when the configuration names no number.
pub const RETAIN_RUNS_DEFAULT: u32 = 200;
/// Days that a run is kept, when the configuration names no number.
pub const RETAIN_DAYS_DEFAULT: u32 = 30;

/// Bytes of a configuration file: a larger one is a mistake, and reading it would stall the daemon.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Pause before a configuration that cannot be read is read once more: shorter than a wait for quiet, so that nothing
/// runs meanwhile.
pub const CONFIG_PAUSE: Duration = Duration::from_millis(5);
/// Bytes of a state file of the daemon that is read whole: the trust store lists the commands of every workspace.
pub const STATE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Workspaces that are no longer registered of which the trust store remembers what was allowed: those that were allowed
/// last, because a person who adds one again has mostly allowed it not long ago.
pub const FORMER_TRUST_MAX: usize = 200;
/// Commands of stages with one id that are shown as what one of them may have been.
pub const FORMER_SHOWN_MAX: usize = 8;
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
/// Stages that run at once, of all workspaces: each holds a thread and a handful of descriptors from spawn to end.
pub const STAGES_RUNNING_MAX: usize = 1_024;
/// Threads of the blocking pool, made when needed: one per running stage, and enough for the trees and desks of many
/// workspaces beside them, a few of which may hang on a dead disk.
pub const POOL_THREADS_MAX: usize = 1_536;
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
/// Lines of a stage's `toolchain`: each is a program to ask.
pub const TOOLCHAIN_LINES_MAX: usize = 16;
/// Answers about tools that are kept for the next look: those of all stages of a large configuration.
pub const TOOLCHAINS_KEPT_MAX: usize = 1_024;
/// Time for a program to say its version: one that hangs would hold up every look.
pub const PROBE_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes that it may say: a version is a line or two.
pub const PROBE_BYTES_MAX: usize = 64 * 1024;
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
/// Paths that a status names of those that make a project unstable: enough to write a pattern for them.
pub const REWRITTEN_PATHS_SHOWN_MAX: usize = 5;
/// How long a file that is being written is left alone until its writer closes it; as long as things settle by default.
pub const WRITING_MAX: Duration = Duration::from_millis(20);
/// From an unstable run to one more of what it has left: who saves one file during two runs in a row has it run then at
/// the latest, and a formatter that never rests costs one run more for each edit.
pub const UNSTABLE_RECHECK: Duration = Duration::from_secs(20);
/// Runs in a row that `on_busy = "restart"` ends: then one is let end, so that who never stops saving hears something.
pub const RESTARTS_MAX: u32 = 3;
/// The same in time: so many times `settle_max_ms` after the first of them began, the next one is let end.
pub const RESTARTS_SETTLES_MAX: u32 = 10;

/// Looks that events of one workspace may cause without a pause: more than the events of a save by any editor.
pub const LOOKS_AT_ONCE_MAX: u32 = 8;
/// From the beginning of one look to the next where more come: a fraction of `settle_ms`, and long enough to gather what
/// a fast writer makes of a directory.
pub const LOOK_PAUSE: Duration = Duration::from_millis(4);
/// A look that takes no longer has seen what was there when it began: things are quiet since then. A tenth of `settle_ms`.
pub const LOOK_SHORT: Duration = Duration::from_millis(2);
/// Without a look for so long, the next ones come at once again.
pub const LOOK_REST: Duration = Duration::from_millis(15);

/// Paths in doubt per workspace before the watcher says "everything": 32,768 of them are some 4 MiB, and a scan is
/// cheaper than to settle more of them one by one.
pub const DOUBTS_MAX: usize = 32_768;
/// Bytes of a file that is hashed at once when its fingerprint differs; a larger one is hashed when a view needs it.
pub const EAGER_HASH_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes that are read at once while a file is hashed.
pub const HASH_CHUNK_BYTES: usize = 64 * 1024;
/// Files that differ at once and still look like a save, for which the next run is prepared: an editor writes one or a few.
pub const SAVED_FILES_MAX: usize = 16;
/// From the beginning of a run that a change calls for until its names are synced: its first command is started meanwhile.
pub const ANCHOR_PAUSE: Duration = Duration::from_millis(3);
/// Threads that wait for the disk to sync files together: with more of them the disk's flushes do not get fewer.
pub const SYNC_THREADS_MAX: usize = 4;
/// Threads that hash files for one view: more would take the cores from the stages.
pub const HASH_THREADS_MAX: usize = 4;
/// Files that one look hashes ahead of a view: some milliseconds, so that the next look is not kept waiting.
pub const READ_AHEAD_FILES_MAX: usize = 512;
/// Files that wait to be hashed ahead of a view; what is beyond is left to the view: some 4 MiB of paths.
pub const READ_AHEAD_WAITING_MAX: usize = 32_768;
/// Bytes of a file that is hashed when it is first met, while its directory is listed: most files of a workspace, and of
/// a larger one to open it is the lesser part of the work.
pub const SURVEY_HASH_BYTES_MAX: u64 = 16 * 1024;
/// Threads that list directories for one walk, beside the one that watches them.
pub const SURVEY_THREADS_MAX: usize = 4;
/// Directories to list for which one thread is enough: starting another costs as much as listing these.
pub const SURVEY_ALONE_MAX: usize = 8;
/// Directories that are watched before they are listed together: enough to keep the threads busy, and some 100 KiB.
pub const SURVEY_BATCH_DIRECTORIES: usize = 256;
/// Files to hash for which one thread is enough: starting another costs as much as hashing these.
pub const HASH_ALONE_MAX: usize = 16;
/// Files that are read before what they hold is noted: some 1 MiB of hashes and fingerprints.
pub const HASH_BATCH_FILES: usize = 8192;
/// Files of one directory that one thread reads in a row: so that a directory which holds them all is read by several.
pub const HASH_PART_FILES: usize = 64;
/// Times that a file which changes while it is hashed is read before it is given up as still changing.
pub const HASH_ATTEMPTS_MAX: u32 = 3;
/// Files that count as outputs of one stage: past this they are not compared, and the stage is run.
pub const OUTPUT_FILES_MAX: usize = 50_000;
/// Bytes of these files together: some seconds of reading, once.
pub const OUTPUT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Entries of directories that are passed in search of the outputs of one stage: about a second, each time.
pub const OUTPUT_ENTRIES_MAX: usize = 1_000_000;
/// Outputs of a workspace whose hashes are remembered, so that they are not read again: each takes some 200 bytes.
pub const OUTPUTS_KNOWN_MAX: usize = 100_000;
/// Threads that read outputs, beside the one that asks: the cores are the stages'.
pub const OUTPUT_THREADS_MAX: usize = 1;
/// A file changed so shortly before it was hashed may change again without a trace: one tick of a 100 Hz clock.
pub const RACY_MARGIN: Duration = Duration::from_millis(10);
/// The same where the file system keeps whole seconds only: FAT keeps every second one.
pub const RACY_MARGIN_COARSE: Duration = Duration::from_secs(2);
/// Bytes of a stat cache that is read: some 10,000,000 files.
pub const STAT_CACHE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Stat caches below one state directory: those of the roots that were looked at last; `--no-daemon` makes one wherever
/// it is called.
pub const STAT_CACHES_MAX: usize = 256;
/// Entries that are written into a stat cache before a look has its turn: about a millisecond.
pub const KEEP_SLICE_ENTRIES: usize = 4_096;
/// Part of all files that has to be new before a stat cache is written again: to read so many takes about as long as to
/// write them all.
pub const KEEP_PART: u64 = 64;
/// Bytes of a file that cost as much to read again as to open it: what is new of a stat cache is counted in these.
pub const KEEP_READ_BYTES: u64 = 64 * 1024;
/// From one time that a daemon writes a stat cache to the next: whatever a killed one had learned since is read again.
pub const KEEP_PAUSE: Duration = Duration::from_secs(60);
/// Time that an ending daemon has to write its stat caches: a disk that hangs keeps it no longer.
pub const KEEP_END_MAX: Duration = Duration::from_secs(1);
/// Bytes of a file that is filled bit by bit that are written at once.
pub const FILLING_CHUNK_BYTES: usize = 64 * 1024;
/// Steps of the wall clock against the steady one that are none: they are read one after the other.
pub const CLOCK_STEADY: Duration = Duration::from_millis(1);
/// Bytes of an ignore file that are read: a larger one is no ignore file.
pub const IGNORE_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of git's index that are read: some 8,000,000 entries.
pub const INDEX_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of a path in git's index: far beyond what a file system takes.
pub const INDEX_PATH_BYTES_MAX: usize = 64 * 1024;
/// Files of a workspace that are shown because git tracks them though its rules ignore them: each costs some 200 bytes.
pub const TRACKED_HIDDEN_MAX: usize = 1_000_000;
/// Times that a look sorts what is tracked though ignored, while rules come to light by what it shows.
pub const TRACKED_TRIES_MAX: usize = 3;
/// Bytes of a file of git's settings that are read: a larger one is none.
pub const GIT_SETTINGS_BYTES_MAX: u64 = 1024 * 1024;
/// Repositories in a workspace beside those of its projects that are looked into: each takes a watch, and a `stat` a look.
pub const NESTED_REPOSITORIES_MAX: usize = 1_000;
/// Bytes of a file in which git names a directory: beyond the longest path that the kernel takes.
pub const GIT_LINK_BYTES_MAX: u64 = 8 * 1024;
/// Files of git's settings that include each other, one in the next: as many as git allows.
pub const GIT_INCLUDES_MAX: usize = 10;
/// Times that the rules around a workspace are read, and the directories around it watched, while they change under that;
/// after it a later look does so.
pub const SURROUND_TRIES_MAX: u32 = 3;
/// Unreadable files and directories that a workspace names; what lies beyond is only not told.
pub const UNREADABLE_MAX: usize = 1000;

/// Damaged files of one name that are kept when they are set aside: enough to see whether it happens again and again.
pub const CORRUPT_KEPT_MAX: usize = 5;
/// Runs in `state.json` and `runs.json`, newest kept: the whole file is rewritten at each run.
pub const SNAPSHOT_RUNS_MAX: usize = 50;
/// Time between two heartbeats of a run, as the manifest says it.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Age at which a heartbeat is stale, as the manifest says it.
pub const HEARTBEAT_STALE: Duration = Duration::from_secs(30);
/// Bytes of one file of evidence that is read whole: the published orchestrator's largest are a few hundred KiB.
pub const EVIDENCE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Age of a directory's last change before its listing is believed twice: file systems stamp in steps of up to 10 ms.
pub const LISTING_SETTLE: Duration = Duration::from_millis(100);
/// Age of a manifest that cannot be read before it is made again: whoever writes it in place is done by then.
pub const TORN_SETTLE: Duration = Duration::from_secs(1);
/// Rows of the index on disk that stand for nothing before it is written anew.
pub const INDEX_GARBAGE_MIN: usize = 1000;
/// Age of a run directory without a manifest before it is taken for the rest of a run that never began.
pub const UNBORN_RUN: Duration = Duration::from_secs(30);
/// Bytes at the end of `metrics.json` that are searched for the line of a run that ended when its daemon was lost.
pub const METRICS_TAIL_BYTES: u64 = 4 * 1024 * 1024;
/// Depth of directories that are searched for checklists.
pub const CHECKLIST_DEPTH_MAX: usize = 8;
/// Log bytes of one stage before the middle is dropped: half for the head, half for the tail.
pub const STAGE_LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Log bytes that an attempt gets even where earlier attempts have used up the stage's: a failure must be seen.
pub const ATTEMPT_LOG_BYTES_MIN: u64 = 64 * 1024;
/// Bytes that are read from a command at once: what a pipe holds on Linux.
pub const OUTPUT_CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of one line of a log that is read: the longest that a chunk of output can become is about half of it.
pub const LOG_LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that are taken from a pipe once its command is gone: the largest pipe that Linux grants by default.
pub const DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// Time that a command's output may stay open after its exit before what holds it is ended: `> >(tee log)` needs it.
pub const OUTPUT_LINGER: Duration = Duration::from_millis(200);
/// Time that the kernel has to end what was killed before it is left behind, and told.
pub const KILL_WAIT_MAX: Duration = Duration::from_secs(2);
/// First and longest time between two looks at processes that have been told to end.
pub const ENDING_POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// From TERM to KILL for what an interrupted run left behind: nobody waits for its result any more.
pub const LEFTOVER_GRACE: Duration = Duration::from_secs(2);
/// Characters of the line that tells why a stage failed: two terminal lines.
pub const FAILURE_EXCERPT_CHARS_MAX: usize = 160;
/// Bytes at the end of a log in which a start looks for its last line: what that one holds beside the line that tells why
/// the stage failed is short.
pub const LOG_END_BYTES: u64 = 8 * 1024;
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
/// Time that a client goes on looking for a daemon that went away, before it gives up.
pub const RECONNECT_TIME_MAX: Duration = Duration::from_secs(30);
/// Pause before a client looks again, at first; it doubles up to `RECONNECT_PAUSE_MAX`.
pub const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause before a client looks again.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time that a thread which hangs in the file system has before the daemon ends without it: everything is recorded then.
pub const BLOCKED_END_MAX: Duration = Duration::from_secs(2);
/// Runs that are named where a part of an id names several: enough to see what they have in common.
pub const RUNS_NAMED_MAX: usize = 5;
/// Runs that are named as those in which a flaky stage has failed, or passed: the newest say whether it still does.
pub const FLAKY_RUNS_NAMED_MAX: usize = 16;
/// Time after which a client says what it waits for: nobody wonders before, and whatever ends sooner needs no words.
pub const WAITING_TOLD_AFTER: Duration = Duration::from_secs(2);
/// Characters of what git says that are passed on: some lines of it.
pub const GIT_WORDS_CHARS_MAX: usize = 2000;
/// Bytes for which a disk has to have room, else a checkout that failed did so because it is full: some files.
pub const CHECKOUT_ROOM_BYTES: usize = 256 * 1024;
/// Bytes of git's word on what is pushed: some thousand refs. Whoever pushes more at once is told so.
pub const PUSHED_BYTES_MAX: u64 = 1024 * 1024;
/// Time that a daemon has to say what belongs to an answer and is not it (which projects were asked about, why a run is
/// red): somebody waits for the end of it.
pub const SCOPE_TIME_MAX: Duration = Duration::from_secs(2);
/// Time beyond a `--timeout` that the daemon's own word has to come, before the client says that there is none: what was
/// found until then is worth more.
pub const LATE_ANSWER_MAX: Duration = Duration::from_secs(1);
/// Events that a client keeps while it waits for an answer: those of the run that it waits for are the newest.
pub const EVENTS_KEPT_MAX: usize = 1024;
/// Pause before `logs -f` reads on: log bytes are not pushed, and nobody reads faster.
pub const LOG_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's id: it is sent back, and no program needs longer ones.
pub const REQUEST_ID_BYTES_MAX: usize = 256;
/// Time from the first byte of a message to its end: past it, the sender is stuck or trickles on purpose.
pub const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Runs of one project that were asked for by name and wait: each is of another pipeline, parent or policy, so that more
/// are a program that runs wild.
pub const QUEUED_RUNS_MAX: usize = 64;
/// Runs that were queued and never began, and of which it is still known why: enough for whoever was told their ids a
/// while ago.
pub const DROPPED_RUNS_MAX: usize = 256;
/// Pause between two looks whether those who wait for an answer are still there.
pub const ASKERS_PAUSE: Duration = Duration::from_secs(60);
/// Time that a question waits for a workspace which is still being read, if it waits for nothing else: then it is told
/// so, before whoever asked takes the daemon for silent.
pub const READING_WAIT_MAX: Duration = Duration::from_secs(20);
/// Time that a peer has to take a part of an answer: past it, the peer is gone in all but name.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Time that a peer has to take the reason why its connection is being closed.
pub const CLOSING_TIME_MAX: Duration = Duration::from_secs(1);
/// Time that answers are still sent after a peer has closed its side, for one that asks, closes and then reads.
pub const HALF_CLOSED_TIME_MAX: Duration = Duration::from_secs(2);
/// Bytes of a sentence that refuses something: what was asked may be echoed in it, and may have the size of a message.
pub const REFUSAL_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a path that is asked about, as text: it is answered with, and no file is reached by a longer one at once.
pub const PATH_TEXT_BYTES_MAX: usize = 32 * 1024;
/// Deadline that a request may name: a week; a longer one means for ever.
pub const DEADLINE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes of a log that one `logs.read` returns, and of a line of output in it: lines stay whole, so that only one that
/// another tool wrote may exceed it.
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

/// Time that a look waits for the watcher to catch up: past it the look has failed.
pub const CAPTURE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Looks in a row for which the watcher did not catch up in time before it is taken for dead, and another is started: one
/// may have met a machine that was busy. Those that waited at the same time count as one.
pub const SYNCS_LATE_MAX: u32 = 3;
/// Time that the end of a watcher is waited for before the next one begins: one that has much to read still, or hangs, is
/// left to itself.
pub const WATCHER_CLOSE_MAX: Duration = Duration::from_secs(2);
/// First and longest pause before a watcher that has ended again is started again; each is twice the one before. One that
/// has lived for the longest counts as well.
pub const WATCHER_AGAIN: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(60));
/// From a stage's progress to the manifest: a run that is shorter has no manifest in between.
pub const PROGRESS_DELAY: Duration = Duration::from_millis(50);
/// From a change of what is known to `state.json`, unless a run's end writes it before; a verdict that is the
/// present one, or is it no longer, is written at once.
pub const STANDING_DELAY: Duration = Duration::from_millis(100);
/// From one look for a missing root to the next.
pub const ROOT_LOOK_PAUSE: Duration = Duration::from_secs(1);
/// First and longest pause from one look that failed below the root to the next; in between it is as long as they have
/// been failing. Each may read the whole workspace.
pub const FAILED_LOOK_AGAIN: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(60));
/// Sleep of the machine past which everything is looked at again: while it slept others may have changed its disks, and a
/// shorter one the two clocks might not show.
pub const SLEEP_MIN: Duration = Duration::from_millis(100);
/// Longest sleep of the loop when nothing is due.
pub const IDLE_WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Runs that `run.list` answers when the caller names no number.
pub const RUN_LIST_DEFAULT: usize = 50;
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
const _: () = assert!(AUDIT_DEFAULT.as_secs() <= AUDIT_MAX.as_secs() && AUDIT_PAUSE.0 >= 99);
const _: () = assert!(POLLED_DIRECTORIES_MAX <= MISSING_DIRECTORIES_MAX);
const _: () = assert!(JOBS_MAX as usize <= STAGES_RUNNING_MAX);
const _: () = assert!(STAGES_RUNNING_MAX + 256 <= POOL_THREADS_MAX);
const _: () = assert!(STAGES_RUNNING_MAX as u64 * 12 <= FILES_MAX);
const _: () = assert!(HEARTBEAT.as_secs() * 2 < HEARTBEAT_STALE.as_secs());
const _: () = assert!(READING_WAIT_MAX.as_secs() < ANSWER_TIME_MAX.as_secs());
const _: () = assert!(OUTPUT_FILES_MAX < OUTPUTS_KNOWN_MAX);
const _: () = assert!(SUBSCRIBER_EVENTS_MAX >= 2);
const _: () = assert!(CHANGED_PATHS_SHOWN_MAX <= CHANGED_PATHS_MAX);
/// Newest runs of a workspace of which a start makes pointers, summaries and tokens again: as many as are kept by default
/// and some more, at five calls of `stat` each, so that a long history does not hold up a start.
pub const RESTORED_RUNS_MAX: usize = 256;
/// Proofs that a project remembers, so that a content seen before needs no run.
pub const PROOFS_MAX: usize = 64;
/// Runs with a failed stage whose word against stage keys a project remembers: some days of red runs, four times what a
/// start reads of one pipeline, and a few hundred bytes each. What failed before them passes as if it never had.
pub const FAILED_RUNS_MAX: usize = 256;
const _: () = assert!(PROOFS_MAX <= FAILED_RUNS_MAX);
/// Passes of single stages that a project remembers, so that what they depend on needs no run: some weeks of work on a
/// handful of stages, and a few hundred bytes each.
pub const STAGE_PROOFS_MAX: usize = 1_024;
/// Paths of a view that are held against what each stage reads: past this all of them count as affected, which costs
/// taking over less than the look would take longer.
pub const AFFECTED_PATHS_MAX: usize = 1_000;
const _: () = assert!(PROOFS_MAX <= STAGE_PROOFS_MAX && AFFECTED_PATHS_MAX <= CHANGED_PATHS_MAX);
/// Kinds of names that come and go in every run of a project, as far as they are kept: more than any tools make.
pub const HABITS_MAX: usize = 64;
/// Bytes that two such names must share at least: `tmp` and `sed` are names of tools, one byte less is chance.
pub const HABIT_BYTES_MIN: usize = 3;
/// From one KILL to the next, should a process group outlive the first.
pub const KILL_AGAIN: Duration = Duration::from_millis(500);
const _: () = assert!(OUTPUT_CHUNK_BYTES * 8 < LOG_LINE_BYTES_MAX);
const _: () = assert!(LOG_LINE_BYTES_MAX as u64 * 8 <= STAGE_LOG_BYTES_MAX);
const _: () = assert!(FAILURE_EXCERPT_CHARS_MAX as u64 * 4 + 1024 < LOG_END_BYTES);
