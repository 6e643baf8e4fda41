//! Signals as words for the main loop: HUP reloads, TERM and INT drain, a second of them ends at once, USR1 dumps.
//!
//! A thread of its own waits for them, so that a main loop that hangs can still be ended: the third TERM or INT ends the
//! process where it stands, and the next start records what it left.

use crate::limits::SIGNALS_MAX;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals as Source};
use std::io;
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Read configurations again.
    Reload,
    /// End: runs are cancelled and recorded first.
    Drain,
    /// End at once.
    End,
    /// Give running stages no grace; never a signal's own word, but that of a process that hosts a daemon.
    Urge,
    /// Write the state to the log.
    Dump,
}

/// Why signals are not heard.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The system refused the handlers.
    #[error("failed to register signal handlers")]
    Register {
        /// What it said.
        source: io::Error,
    },
    /// The system refused the thread.
    #[error("failed to start the signal thread")]
    Thread {
        /// What it said.
        source: io::Error,
    },
}

/// The signals that this process gets.
#[derive(Debug)]
pub struct Signals {
    receiver: mpsc::Receiver<Signal>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// Begins to listen; has to be the first that starts a thread.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> Result<Self, SignalError> {
        let source = Source::new([SIGHUP, SIGTERM, SIGINT, SIGUSR1])
            .map_err(|source| SignalError::Register { source })?;
        let handle = source.handle();
        let (sender, receiver) = mpsc::channel(SIGNALS_MAX);
        let thread = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || relay(source, &sender))
            .map_err(|source| SignalError::Thread { source })?;
        Ok(Self {
            receiver,
            handle,
            thread: Some(thread),
        })
    }

    /// The next signal; none once the thread has ended.
    pub async fn next(&mut self) -> Option<Signal> {
        self.receiver.recv().await
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell, and a panic in it has been logged.
            drop(thread.join());
        }
    }
}

fn relay(mut source: Source, sender: &mpsc::Sender<Signal>) {
    let mut asked_to_end = 0_u32;
    for number in source.forever() {
        let signal = match number {
            SIGHUP => Signal::Reload,
            SIGUSR1 => Signal::Dump,
            _ => {
                asked_to_end += 1;
                match asked_to_end {
                    1 => Signal::Drain,
                    2 => Signal::End,
                    _ => signal_hook::low_level::exit(128_i32.saturating_add(number)),
                }
            }
        };
        if sender.try_send(signal).is_err() {
            tracing::warn!(?signal, "the main loop is too far behind to hear a signal");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;
    use std::time::Duration;

    #[tokio::test]
    async fn each_signal_has_its_word_and_the_second_term_another() {
        let mut signals = Signals::listen().unwrap();
        for (number, expected) in [
            (SIGHUP, Signal::Reload),
            (SIGUSR1, Signal::Dump),
            (SIGTERM, Signal::Drain),
            (SIGINT, Signal::End),
        ] {
            raise(number).unwrap();
            let heard = tokio::time::timeout(Duration::from_secs(10), signals.next()).await;
            assert_eq!(heard, Ok(Some(expected)));
        }
    }
}
