//! ^C as something to wait for, beside the socket.
//!
//! A command that shows things until ^C ends well on it; a command that waits for a run lets go of it. The handler only
//! writes a byte into a pipe, and [`wait`] sleeps on that pipe and the socket at once: nothing polls, nothing is torn.

use crate::client::clock::Deadline;
use interprocess::local_socket::Stream;
use std::io;

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woke {
    /// There is something to read, or the other side is gone.
    Readable,
    /// ^C, or TERM.
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
        let mut handlers = Vec::new();
        for signal in [SIGINT, SIGTERM] {
            handlers.push(signal_hook::low_level::pipe::register(
                signal,
                sender.try_clone()?,
            )?);
        }
        Ok(Self { pipe, handlers })
    }

    /// Sleeps for `span`, or until ^C; says whether it was ^C.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub fn sleep(&self, span: std::time::Duration) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let deadline = Deadline::after(span);
        loop {
            let left = deadline
                .left()
                .and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], left.as_ref()) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(unix)]
impl Drop for Interrupts {
    fn drop(&mut self) {
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

    /// Sleeps for `span`.
    ///
    /// # Errors
    /// Never.
    pub fn sleep(&self, span: std::time::Duration) -> io::Result<bool> {
        std::thread::sleep(span);
        Ok(false)
    }
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
    let readable =
        |flags: PollFlags| flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
    loop {
        let mut fds = vec![PollFd::new(socket, PollFlags::IN)];
        fds.extend(interrupts.map(|caught| PollFd::new(&caught.pipe, PollFlags::IN)));
        let left = deadline
            .left()
            .and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => return Ok(Woke::TimedOut),
            Ok(_) if fds.get(1).is_some_and(|fd| readable(fd.revents())) => {
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
