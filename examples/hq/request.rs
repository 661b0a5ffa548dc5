//! HTTP/0.9 as the interop runner speaks it: a stream is `GET /path` and a line's end one way, the file the other.

use std::fmt;

use peregrine::{ReadError, RecvStream, VarInt};

/// What both sides call this protocol (ALPN).
pub const ALPN: &[u8] = b"hq-interop";
/// The most that a client may send on a stream, in bytes.
const LONGEST: usize = 4096;

/// Why a stream is reset instead of answered: the codes of this protocol, which has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What came is no request, or it is too long, or it broke off.
    BadRequest,
    /// No file of this path is served.
    NotFound,
    /// The file cannot be read.
    Unreadable,
    /// The client takes nothing for too long.
    TooSlow,
}

impl Fault {
    const ALL: [Self; 4] = [Self::BadRequest, Self::NotFound, Self::Unreadable, Self::TooSlow];

    /// The code on the wire.
    pub fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::BadRequest => 0x190,
            Self::NotFound => 0x194,
            Self::Unreadable => 0x1f4,
            Self::TooSlow => 0x198,
        })
    }

    /// What a code of the server's means, in words.
    pub fn explain(code: VarInt) -> String {
        match Self::ALL.into_iter().find(|fault| fault.code() == code) {
            Some(fault) => fault.to_string(),
            None => format!("the server broke off with code {code}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest => "the server did not understand the request",
            Self::NotFound => "the server has no such file",
            Self::Unreadable => "the server cannot read the file",
            Self::TooSlow => "the server waited too long for us",
        })
    }
}

/// The request for a path.
pub fn request(path: &str) -> Vec<u8> {
    format!("GET {path}\r\n").into_bytes()
}

/// A request on its way in. Holds at most [`LONGEST`] bytes.
#[derive(Debug, Default)]
pub struct Asking {
    line: Vec<u8>,
    /// The line's end, or the stream's, has come.
    is_complete: bool,
    /// The stream's end has come.
    pub is_over: bool,
    received: usize,
}

impl Asking {
    /// Reads on. What follows the line is thrown away.
    ///
    /// # Errors
    ///
    /// There is too much of it, or the client abandoned it.
    pub fn read(&mut self, mut stream: RecvStream<'_>) -> Result<(), Fault> {
        while !self.is_over {
            match stream.chunk() {
                Ok(Some(bytes)) => {
                    let len = bytes.len();
                    self.push(bytes)?;
                    stream.consume(len);
                }
                Ok(None) => (self.is_complete, self.is_over) = (true, true),
                Err(ReadError::Blocked) => return Ok(()),
                Err(ReadError::Reset(_) | ReadError::Closed) => return Err(Fault::BadRequest),
            }
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.received += bytes.len();
        if self.received > LONGEST {
            return Err(Fault::BadRequest);
        }
        if !self.is_complete {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.line.extend(&bytes[..end.unwrap_or(bytes.len())]);
            self.is_complete = end.is_some();
        }
        Ok(())
    }

    /// The path that is asked for; `None` before its line has ended.
    ///
    /// # Errors
    ///
    /// The line is no request.
    pub fn path(&self) -> Option<Result<&str, Fault>> {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let path = line.strip_prefix(b"GET ").and_then(|path| std::str::from_utf8(path).ok());
        self.is_complete.then(|| path.filter(|path| path.starts_with('/')).ok_or(Fault::BadRequest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for once these pieces have come.
    fn asked(pieces: &[&[u8]]) -> Option<Result<String, Fault>> {
        let mut asking = Asking::default();
        for piece in pieces {
            if let Err(fault) = asking.push(piece) {
                return Some(Err(fault));
            }
        }
        asking.path().map(|path| path.map(str::to_owned))
    }

    #[test]
    fn a_request_is_complete_at_the_end_of_its_line() {
        assert_eq!(asked(&[b"GET /fi", b"le\r"]), None);
        assert_eq!(asked(&[b"GET /fi", b"le\r", b"\n"]), Some(Ok("/file".to_owned())));
        assert_eq!(asked(&[&request("/file")]), Some(Ok("/file".to_owned())));
        assert_eq!(asked(&[b"GET /file\n"]), Some(Ok("/file".to_owned())));
    }

    #[test]
    fn what_follows_the_line_is_ignored() {
        assert_eq!(asked(&[b"GET /a\r\nGET /b\r\n", b"more"]), Some(Ok("/a".to_owned())));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for line in ["", "GET", "GET ", "GET file", "get /file", "PUT /file", "GET  /file"] {
            assert_eq!(asked(&[line.as_bytes(), b"\r\n"]), Some(Err(Fault::BadRequest)), "{line}");
        }
        assert_eq!(asked(&[b"GET /\xff\r\n"]), Some(Err(Fault::BadRequest)));
    }

    #[test]
    fn a_request_has_a_longest_length() {
        assert_eq!(asked(&[b"GET /", &[b'a'; 4089], b"\r\n"]).map(|path| path.is_ok()), Some(true));
        assert_eq!(asked(&[b"GET /", &[b'a'; 4090], b"\r\n"]), Some(Err(Fault::BadRequest)));
        assert_eq!(asked(&[b"GET /a\r\n", &[0; 4096]]), Some(Err(Fault::BadRequest)));
    }

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        for fault in Fault::ALL {
            assert_eq!(Fault::explain(fault.code()), fault.to_string());
        }
        assert_eq!(Fault::explain(VarInt::from_u32(7)), "the server broke off with code 7");
    }
}
