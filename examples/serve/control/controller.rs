//! One program that steers the server: its commands one after the other, each answered before the next is read.
//!
//! Whoever does not read what he is told is not read from either; what happens meanwhile is not told to him but counted.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use serde_json::json;

use super::lines::{Line, Lines};

/// Bytes that are read at once.
const BITE: usize = 16 << 10;
/// Bytes of events that may wait for a controller.
const EVENTS: usize = 256 << 10;

/// What a controller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// One line, without its end.
    pub line: String,
    /// Whether events are to be told from now on.
    pub subscribes: bool,
}

/// A connection on the control socket.
#[derive(Debug)]
pub struct Controller {
    stream: UnixStream,
    lines: Lines,
    unsent: Vec<u8>,
    is_subscribed: bool,
    /// Events that were not told since too many waited.
    missed: u64,
    /// It has said all that it wants to.
    has_ended: bool,
    /// It is gone.
    is_lost: bool,
    /// When it was last heard, in turns.
    heard: u64,
}

impl Controller {
    /// One that was just accepted.
    ///
    /// # Errors
    ///
    /// The kernel does not let it be read without waiting.
    pub fn new(stream: UnixStream, turn: u64) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            lines: Lines::default(),
            unsent: Vec::new(),
            is_subscribed: false,
            missed: 0,
            has_ended: false,
            is_lost: false,
            heard: turn,
        })
    }

    /// What is waited for: to read, or to be read.
    pub fn interest(&self) -> PollFd<'_> {
        PollFd::new(&self.stream, if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::OUT })
    }

    /// Whether nothing more is to be expected of it, nor to be told.
    pub fn is_over(&self) -> bool {
        self.is_lost || (self.has_ended && self.unsent.is_empty())
    }

    /// How little it would be missed: those that only connected go before those that listen, each by how long ago
    /// anything came.
    pub fn rank(&self) -> (bool, u64) {
        (self.is_subscribed, self.heard)
    }

    /// Reads and answers one command, so that what comes of it is told before the next one; whether there may be more.
    pub fn turn(&mut self, turn: u64, answer: &mut impl FnMut(Line) -> Reply) -> bool {
        self.flush();
        if !self.unsent.is_empty() || self.is_over() {
            return false;
        }
        let Some(line) = self.next_line() else { return false };
        self.heard = turn;
        let Reply { line, subscribes } = answer(line);
        self.is_subscribed |= subscribes;
        self.say(&line);
        true
    }

    fn next_line(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.lines.next() {
                return Some(line);
            }
            let mut bite = [0; BITE];
            match self.stream.read(&mut bite) {
                Ok(0) => {
                    self.has_ended = true;
                    return self.lines.last();
                }
                // What was too long is thrown away as fast as it comes, but not for longer than a turn.
                Ok(len) => {
                    self.lines.push(&bite[..len]);
                    return self.lines.next();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_lost |= error.kind() != io::ErrorKind::WouldBlock;
                    return None;
                }
            }
        }
    }

    /// Tells an event if events were asked for.
    pub fn tell(&mut self, event: &str) {
        if !self.is_subscribed || self.is_over() {
            return;
        }
        self.flush();
        if self.unsent.len() + event.len() > EVENTS {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            let gap = json!({ "event": "missed", "count": std::mem::take(&mut self.missed) });
            self.say(&gap.to_string());
        }
        self.say(event);
    }

    fn say(&mut self, line: &str) {
        self.unsent.extend_from_slice(line.as_bytes());
        self.unsent.push(b'\n');
        self.flush();
    }

    /// Says as much as is taken.
    fn flush(&mut self) {
        while !self.unsent.is_empty() && !self.is_lost {
            match self.stream.write(&self.unsent) {
                Ok(taken) => drop(self.unsent.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.is_lost = true,
            }
        }
    }

    /// Bytes that wait for it.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.unsent.len()
    }
}
