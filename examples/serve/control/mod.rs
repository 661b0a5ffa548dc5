//! The socket on which the server is steered: a file that nobody else may open, and a bounded number of controllers.
//!
//! Never waited for: the server looks here when the kernel says that there is something, and goes on.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;

pub use controller::Reply;
pub use lines::{LONGEST, Line};

use controller::Controller;

mod controller;
mod lines;

/// Controllers at a time. One more takes the place of the one that was silent for longest.
const CONTROLLERS: usize = 16;
/// What the owner may not do with the socket's file, and others may not at all: it is made with mode 0600.
const MASK: Mode = Mode::from_raw_mode(0o177);

/// The control socket.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, by which it is known again.
    file: Option<(u64, u64)>,
    controllers: Vec<Controller>,
    /// An open file of no use but to be closed when clients have so many open that no controller could come in.
    spare: Option<File>,
    turns: u64,
    /// Whether a controller was left with commands of which the kernel will not tell again.
    has_more: bool,
}

impl Control {
    /// Opens the socket; a file that a server has left there, who is no more, is put away.
    ///
    /// # Errors
    ///
    /// A server listens there, or it is no socket, or it cannot be made.
    pub fn open(path: &Path) -> Result<Self, String> {
        let unusable =
            |what: &dyn std::fmt::Display| format!("cannot be steered at {}: {what}", path.display());
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(unusable(&"there is a file, and it is no socket"));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(unusable(&"another server listens there"));
            }
            fs::remove_file(path).map_err(|error| unusable(&error))?;
        }
        let before = rustix::process::umask(MASK);
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = listener.map_err(|error| unusable(&error))?;
        listener.set_nonblocking(true).map_err(|error| unusable(&error))?;
        let (path, controllers, spare) = (path.to_owned(), Vec::new(), None);
        let mut control = Self { listener, path, file: None, controllers, spare, turns: 0, has_more: false };
        control.look_at_file();
        control.tidy_up();
        Ok(control)
    }

    /// Learns which file is its own: one that was restored with its process is another than the one that was made.
    pub fn look_at_file(&mut self) {
        self.file = identity(&self.path);
    }

    /// What is waited for.
    pub fn interests(&self) -> impl Iterator<Item = PollFd<'_>> {
        let listening = PollFd::new(&self.listener, PollFlags::IN);
        std::iter::once(listening).chain(self.controllers.iter().map(Controller::interest))
    }

    /// Whether there is something to do without waiting.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// Lets in who wants to be, and answers one command of each.
    pub fn turn(&mut self, mut answer: impl FnMut(Line) -> Reply) {
        self.turns += 1;
        self.has_more = false;
        self.let_in();
        for controller in &mut self.controllers {
            self.has_more |= controller.turn(self.turns, &mut answer);
        }
        self.tidy_up();
    }

    /// Tells an event, one line, to whoever asked for events.
    pub fn publish(&mut self, event: &str) {
        self.controllers.iter_mut().for_each(|controller| controller.tell(event));
        self.tidy_up();
    }

    /// Hangs up on those who are through, and takes what they held before a client does.
    fn tidy_up(&mut self) {
        self.controllers.retain(|controller| !controller.is_over());
        if self.spare.is_none() {
            self.spare = File::open("/dev/null").ok();
        }
    }

    fn let_in(&mut self) {
        for _ in 0..CONTROLLERS {
            // Asked first: when too many files are open, to accept fails whether or not there is anybody.
            if !self.is_knocked_at() {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if self.controllers.len() >= CONTROLLERS {
                        self.dismiss();
                    }
                    self.controllers.extend(Controller::new(stream, self.turns).ok());
                }
                Err(_) if self.spare.take().is_some() => {}
                Err(_) => self.dismiss(),
            }
        }
        self.has_more = true;
    }

    fn is_knocked_at(&self) -> bool {
        let mut door = [PollFd::new(&self.listener, PollFlags::IN)];
        poll(&mut door, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|knocking| knocking > 0)
    }

    /// Hangs up on the controller that would be missed least.
    fn dismiss(&mut self) {
        let idlest = self.controllers.iter().enumerate().min_by_key(|(_, controller)| controller.rank());
        if let Some((place, _)) = idlest {
            self.controllers.remove(place);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Not if it is another server's by now: this one may be the copy that was left behind.
        if self.file.is_some() && self.file == identity(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests;
