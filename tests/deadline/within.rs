//! No test waits for ever: what might, is done on a thread of its own and given up on after a deadline.
//!
//! A file of several test programs, each of which takes it in by its path. The thread that is given up on is left
//! behind; it goes with the program.

use std::sync::mpsc;
use std::time::Duration;

/// The longest that any wait of a test may take, on a loaded machine; only a failure takes that long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What `work` gives; the test fails if that does not come in time, or `work` itself has failed.
pub(crate) fn within<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    let got = receive.recv_timeout(DEADLINE);
    got.unwrap_or_else(|error| panic!("{what}: {error}"))
}
