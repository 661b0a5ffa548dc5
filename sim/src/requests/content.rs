//! Stream data that proves itself: every byte follows from a key and its offset, so that a byte lost, doubled, moved or
//! taken from another stream is seen where it arrives.

use peregrine::{ReadError, RecvStream, SendStream, WriteError};

use crate::dice::mix;

/// Fills `out` with the content of `key` from `offset` on.
pub fn fill(key: u64, offset: u64, out: &mut [u8]) {
    let mut word = [0; 8];
    let mut index = u64::MAX;
    for (at, byte) in (offset..).zip(out) {
        if at / 8 != index {
            index = at / 8;
            word = mix(key ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes();
        }
        *byte = word[(at % 8) as usize];
    }
}

/// A head in clear, and content behind it, on their way into a stream.
#[derive(Debug)]
pub(crate) struct Outgoing {
    head: Vec<u8>,
    key: u64,
    content: u64,
    /// Bytes written, head and content.
    written: u64,
    finished: bool,
}

impl Outgoing {
    /// `head`, then `content` bytes of the content of `key`, then the end.
    pub(crate) fn new(head: Vec<u8>, key: u64, content: u64) -> Self {
        Self { head, key, content, written: 0, finished: false }
    }

    /// Writes as much as the stream takes.
    ///
    /// # Errors
    ///
    /// What the stream says, but for [`WriteError::Blocked`]: that only means "later".
    pub(crate) fn advance(&mut self, stream: &mut SendStream<'_>) -> Result<(), WriteError> {
        let total = self.head.len() as u64 + self.content;
        let mut buffer = [0; 4096];
        while self.written < total {
            let len = usize::try_from(total - self.written).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..len];
            self.fill(piece);
            match stream.write(piece) {
                Ok(taken) => self.written += taken as u64,
                Err(WriteError::Blocked) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if !self.finished {
            stream.finish()?;
            self.finished = true;
        }
        Ok(())
    }

    fn fill(&self, piece: &mut [u8]) {
        let head = self.head.get(usize::try_from(self.written).unwrap_or(usize::MAX)..).unwrap_or_default();
        let from_head = head.len().min(piece.len());
        let (front, back) = piece.split_at_mut(from_head);
        front.copy_from_slice(&head[..from_head]);
        fill(self.key, (self.written + from_head as u64).saturating_sub(self.head.len() as u64), back);
    }

    /// Whether everything was written, and the end too.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }
}

/// How far reading has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to come.
    Waiting,
    /// There may be more already; the allowance is used up.
    Sated,
    /// All of it came, and the end.
    Complete,
    /// The stream was reset, or what came is not what was to come.
    Broken(String),
}

/// Content on its way out of a stream, checked byte by byte.
#[derive(Debug)]
pub(crate) struct Incoming {
    key: u64,
    content: u64,
    read: u64,
}

impl Incoming {
    /// Exactly `content` bytes of the content of `key` are to come.
    pub(crate) fn new(key: u64, content: u64) -> Self {
        Self { key, content, read: 0 }
    }

    /// How many bytes came and were right.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// Reads what lies ready, at most about `allowance` bytes.
    pub(crate) fn advance(&mut self, stream: &mut RecvStream<'_>, allowance: usize) -> Progress {
        let mut allowance = allowance;
        let mut expected = Vec::new();
        loop {
            if allowance == 0 {
                return Progress::Sated;
            }
            let chunk = match stream.chunk() {
                Ok(Some(chunk)) => &chunk[..chunk.len().min(allowance)],
                Ok(None) if self.read == self.content => return Progress::Complete,
                Ok(None) => {
                    return Progress::Broken(format!("it ended at {} of {}", self.read, self.content));
                }
                Err(ReadError::Blocked) => return Progress::Waiting,
                Err(error) => return Progress::Broken(error.to_string()),
            };
            expected.resize(chunk.len(), 0);
            fill(self.key, self.read, &mut expected);
            if chunk != expected {
                let wrong = chunk.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or_default();
                return Progress::Broken(format!("byte {} is wrong", self.read + wrong as u64));
            }
            let len = chunk.len();
            self.read += len as u64;
            if self.read > self.content {
                return Progress::Broken(format!("{} bytes came, {} were to come", self.read, self.content));
            }
            stream.consume(len);
            allowance -= len;
        }
    }
}
