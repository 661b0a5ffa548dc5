//! The smallest protocol that moves bytes: a client opens a stream and says `GET 4096`, the server answers with
//! that many bytes of what it serves, and both are done with the stream.

use std::io::{self, Read};

use peregrine::{ReadError, RecvStream, SendStream, VarInt, WriteError};

/// What both sides call this protocol (ALPN).
pub const ALPN: &[u8] = b"get";

/// The longest request there is: `GET ` and the digits of the largest number.
const LONGEST_REQUEST: usize = 24;
/// Bytes that wait between what is served and the stream.
const CHUNK: usize = 64 << 10;
/// The code under which the server refuses a stream.
const REFUSED: VarInt = VarInt::from_u32(1);

/// What came is no request, or the stream broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// The request for `len` bytes.
pub fn request(len: u64) -> String {
    format!("GET {len}")
}

/// A request that is still coming in, at the server.
#[derive(Debug, Default)]
pub struct Asking {
    text: Vec<u8>,
}

impl Asking {
    /// Reads on; the number of bytes asked for once the request is complete.
    ///
    /// # Errors
    ///
    /// [`Refused`], and the stream should be.
    pub fn read(&mut self, mut stream: RecvStream<'_>) -> Result<Option<u64>, Refused> {
        loop {
            match stream.chunk() {
                Ok(Some(bytes)) if self.text.len() + bytes.len() <= LONGEST_REQUEST => {
                    self.text.extend_from_slice(bytes);
                    let len = bytes.len();
                    stream.consume(len);
                }
                Ok(None) => {
                    let text =
                        std::str::from_utf8(&self.text).ok().and_then(|text| text.strip_prefix("GET "));
                    return text.and_then(|len| len.parse().ok()).map(Some).ok_or(Refused);
                }
                Err(ReadError::Blocked) => return Ok(None),
                Ok(Some(_)) | Err(ReadError::Reset(_) | ReadError::Closed) => return Err(Refused),
            }
        }
    }
}

/// An answer that is still going out, at the server.
pub struct Answer {
    from: Box<dyn Read>,
    /// Bytes that were not read yet.
    left: u64,
    chunk: Vec<u8>,
    /// How many of `chunk` the stream has taken.
    taken: usize,
}

impl Answer {
    /// The answer with the first `len` bytes that `from` yields.
    pub fn new(from: Box<dyn Read>, len: u64) -> Self {
        Self { from, left: len, chunk: Vec::with_capacity(CHUNK), taken: 0 }
    }

    /// Writes on; whether the answer is complete.
    ///
    /// # Errors
    ///
    /// What is served cannot be read, or is shorter than was promised; the stream is reset then.
    pub fn write(&mut self, mut stream: SendStream<'_>) -> io::Result<bool> {
        loop {
            if self.taken == self.chunk.len() {
                if self.left == 0 {
                    // The client may have stopped reading meanwhile; the answer is complete either way.
                    let _ = stream.finish();
                    return Ok(true);
                }
                if let Err(error) = self.refill() {
                    refuse(stream);
                    return Err(error);
                }
            }
            match stream.write(&self.chunk[self.taken..]) {
                Ok(taken) => self.taken += taken,
                Err(WriteError::Blocked) => return Ok(false),
                Err(WriteError::Stopped(_) | WriteError::Closed) => return Ok(true),
            }
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let len = self.left.min(CHUNK as u64);
        self.chunk.resize(usize::try_from(len).unwrap_or(CHUNK), 0);
        self.from.read_exact(&mut self.chunk)?;
        (self.taken, self.left) = (0, self.left - len);
        Ok(())
    }
}

/// Tells the client that it gets no (further) answer.
pub fn refuse(mut stream: SendStream<'_>) {
    // An error means that the stream is over already, which is as good.
    let _ = stream.reset(REFUSED);
}
