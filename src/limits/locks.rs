//! Bounds of locks: how long one is tried for, and what is believed of one that is held.
//!
//! Each is given on by `limits`, where it is found by everybody.

use std::time::Duration;

/// Tries to take a lock that another program holds, before its work is done without it.
pub const LOCK_TRIES_MAX: u32 = 100;
/// Pause between two of these tries: such locks are held for milliseconds.
pub const LOCK_PAUSE: Duration = Duration::from_millis(3);
/// Tries, with that pause between them, to take the lock of a state file: longer than others take to write one.
pub const STATE_LOCK_TRIES_MAX: u32 = 300;
/// From one time when a damaged state file could not be written anew, because another program keeps its lock, to the next.
pub const STATE_AGAIN: Duration = Duration::from_secs(2);
/// Tries, with that pause between them, to keep a run's directory from others: longer than a slow disk takes to write a run's
/// end.
pub const KEPT_TRIES_MAX: u32 = 700;
/// Age at which a lock without a readable owner is taken over, as the published orchestrator does it.
pub const LOCK_STALE: Duration = Duration::from_secs(300);
/// Pauses that a starting daemon makes while nobody answers for the lock that somebody holds: five seconds in all.
pub const LOCK_HANDOVER_PAUSES_MAX: u32 = 500;
/// One of these pauses: from fork to exec, and from a closed socket to the process's end, it is milliseconds.
pub const LOCK_HANDOVER_PAUSE: Duration = Duration::from_millis(10);
/// Bytes of the note in a lock file: a process id and a version, or the name of a mutex.
pub const LOCK_NOTE_BYTES_MAX: u64 = 256;
/// From one look whether another process still holds a mutex to the next: a stage takes seconds, and a look some
/// microseconds, so that who waits for hours uses a thousandth of a core. It is the same for all who wait, whoever came
/// first: nobody has better chances of being the next.
pub const MUTEX_LOOK_PAUSE: Duration = Duration::from_millis(50);
