//! The signals by which the server is told to end, as something that can be waited for.

use std::io::Read;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Whether it is time to end.
#[derive(Debug)]
pub struct Ending {
    told: UnixStream,
}

impl Ending {
    /// Listens for SIGINT and SIGTERM.
    ///
    /// # Errors
    ///
    /// The system has no room for it.
    pub fn new() -> std::io::Result<Self> {
        let (told, tell) = UnixStream::pair()?;
        told.set_nonblocking(true)?;
        pipe::register(SIGINT, tell.try_clone()?)?;
        pipe::register(SIGTERM, tell)?;
        Ok(Self { told })
    }

    /// What is waited for.
    pub fn interest(&self) -> PollFd<'_> {
        PollFd::new(&self.told, PollFlags::IN)
    }

    /// Whether such a signal has come.
    pub fn has_come(&mut self) -> bool {
        self.told.read(&mut [0]).is_ok()
    }
}
