//! ^C as something to wait for, beside the socket.
//!
//! A command that shows things until ^C ends well on it; a command that waits for a run lets go of it. The handler only
//! writes a byte into a pipe, and [`wait`] sleeps on that pipe and the socket at once: nothing polls, nothing is torn.
//! A command that shows things also ends when nobody reads them any more (`orchctl events | head -1`), and not only at
//! the next thing to show, which may never come. Before the first of these and after the last, ^C ends the process, as it
//! does without any handler: nobody who is not listened to is ignored.

use crate::client::clock::Deadline;
use interprocess::local_socket::Stream;
use std::io;
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::{Arc, OnceLock};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woke {
    /// There is something to read, or the other side is gone.
    Readable,
    /// ^C, or TERM, or nobody reads what is shown.
    Interrupted,
    /// The deadline passed.
    TimedOut,
}

/// Catches ^C and TERM for as long as it lives.
#[derive(Debug)]
pub struct Interrupts {
    #[cfg(unix)]
    pipe: std::os::unix::net::UnixStream,
    #[cfg(unix)]
    handlers: Vec<signal_hook::SigId>,
    #[cfg(unix)]
    readers: Readers,
    /// Nobody listens: ^C is the system's.
    #[cfg(unix)]
    unheard: Arc<AtomicBool>,
    /// Somebody else listens.
    #[cfg(unix)]
    handed_over: bool,
}

/// Whether a command goes on when nobody reads its standard output any more.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readers {
    Needed,
    Unneeded,
}

#[cfg(unix)]
impl Interrupts {
    /// Begins to catch.
    ///
    /// # Errors
    /// When the system refuses a pipe or a handler.
    pub fn catch() -> io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let (pipe, sender) = std::os::unix::net::UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let unheard = unheard()?;
        let mut handlers = Vec::new();
        for signal in [SIGINT, SIGTERM] {
            handlers.push(signal_hook::low_level::pipe::register(
                signal,
                sender.try_clone()?,
            )?);
        }
        unheard.store(false, Ordering::SeqCst);
        Ok(Self {
            pipe,
            handlers,
            readers: Readers::Unneeded,
            unheard,
            handed_over: false,
        })
    }

    /// Begins to catch, and takes it for an interrupt too when nobody reads the standard output any more.
    ///
    /// # Errors
    /// When the system refuses a pipe or a handler.
    pub fn catch_for_readers() -> io::Result<Self> {
        let mut caught = Self::catch()?;
        caught.readers = Readers::Needed;
        Ok(caught)
    }

    /// What ends a wait.
    fn watched<'a>(&'a self, output: &'a io::Stdout) -> Vec<rustix::event::PollFd<'a>> {
        use rustix::event::{PollFd, PollFlags};
        let mut fds = vec![PollFd::new(&self.pipe, PollFlags::IN)];
        if self.readers == Readers::Needed && is_heard(output) {
            // Asked for nothing, it tells errors only: a pipe whose reader is gone.
            fds.push(PollFd::new(output, PollFlags::empty()));
        }
        fds
    }

    /// Leaves ^C to somebody else in this process, who listens already.
    pub fn hand_over(mut self) {
        self.handed_over = true;
    }

    /// Sleeps until there is something to read from `input`, or until ^C; says whether it was ^C.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub fn wait_for_input(&self, input: &io::Stdin) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, poll};
        let output = io::stdout();
        loop {
            let mut fds = self.watched(&output);
            let own = fds.len();
            fds.push(PollFd::new(input, PollFlags::IN));
            match poll(&mut fds, None) {
                Ok(_) => return Ok(fds.iter().take(own).any(|fd| !fd.revents().is_empty())),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Sleeps for `span`, or until ^C; says whether it was ^C.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub fn sleep(&self, span: std::time::Duration) -> io::Result<bool> {
        use rustix::event::{Timespec, poll};
        let deadline = Deadline::after(span);
        let output = io::stdout();
        loop {
            let left = deadline
                .left()
                .and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut self.watched(&output), left.as_ref()) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Whether nobody listens: a handler that was taken back leaves a signal that does nothing, unless it is told to do what
/// the system would.
///
/// # Errors
/// When the system refuses a handler.
#[cfg(unix)]
fn unheard() -> io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    static UNHEARD: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(unheard) = UNHEARD.get() {
        return Ok(Arc::clone(unheard));
    }
    let unheard = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&unheard))?;
    }
    Ok(Arc::clone(UNHEARD.get_or_init(|| unheard)))
}

#[cfg(unix)]
impl Drop for Interrupts {
    fn drop(&mut self) {
        self.unheard.store(!self.handed_over, Ordering::SeqCst);
        for handler in self.handlers.drain(..) {
            signal_hook::low_level::unregister(handler);
        }
    }
}

#[cfg(not(unix))]
impl Interrupts {
    /// Catches nothing here: ^C ends the process.
    ///
    /// # Errors
    /// Never.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {})
    }

    /// As [`Interrupts::catch`].
    ///
    /// # Errors
    /// Never.
    pub fn catch_for_readers() -> io::Result<Self> {
        Self::catch()
    }

    /// There is nothing to leave to anybody.
    pub fn hand_over(self) {}

    /// Leaves waiting to the read itself.
    ///
    /// # Errors
    /// Never.
    pub fn wait_for_input(&self, _input: &io::Stdin) -> io::Result<bool> {
        Ok(false)
    }

    /// Sleeps for `span`.
    ///
    /// # Errors
    /// Never.
    pub fn sleep(&self, span: std::time::Duration) -> io::Result<bool> {
        std::thread::sleep(span);
        Ok(false)
    }
}

/// Whether the system tells of an output whose reader is gone. poll of macOS takes every device for broken, terminals
/// and `/dev/null` among them.
#[cfg(unix)]
fn is_heard(output: &io::Stdout) -> bool {
    use rustix::fs::{FileType, fstat};
    let device = || {
        fstat(output)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice)
    };
    !(cfg!(target_vendor = "apple") && device())
}

/// Sleeps until there is something to read, ^C, or the deadline.
///
/// # Errors
/// When the system cannot wait.
#[cfg(unix)]
pub fn wait(
    stream: &Stream,
    interrupts: Option<&Interrupts>,
    deadline: Deadline,
) -> io::Result<Woke> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let Stream::UdSocket(socket) = stream;
    let output = io::stdout();
    loop {
        let mut fds = vec![PollFd::new(socket, PollFlags::IN)];
        fds.extend(interrupts.iter().flat_map(|caught| caught.watched(&output)));
        let left = deadline
            .left()
            .and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => return Ok(Woke::TimedOut),
            Ok(_) if fds.iter().skip(1).any(|fd| !fd.revents().is_empty()) => {
                return Ok(Woke::Interrupted);
            }
            Ok(_) => return Ok(Woke::Readable),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Leaves waiting to the read itself, within the deadline.
///
/// # Errors
/// When the stream takes no timeout.
#[cfg(not(unix))]
pub fn wait(
    stream: &Stream,
    _interrupts: Option<&Interrupts>,
    deadline: Deadline,
) -> io::Result<Woke> {
    use interprocess::local_socket::traits::Stream as _;
    stream.set_recv_timeout(deadline.left())?;
    Ok(Woke::Readable)
}
