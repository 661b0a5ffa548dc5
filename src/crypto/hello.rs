//! A client's first TLS message, read only as far as its transport parameters (RFC 8446, Section 4.1.2; RFC 9001,
//! Section 8.2).
//!
//! A server's own parameters depend on the client's, and rustls wants them before it reads a byte. So the ClientHello
//! is kept until it is whole, the one extension is found, and rustls gets all of it afterwards; what is wrong with
//! the rest is for rustls to say.

use std::ops::Range;

use crate::codec::{Reader, Truncated};
use crate::error::{Code, TransportError};

/// The longest ClientHello that is kept, in bytes; rustls reads none that is longer.
pub const MAX_HELLO: usize = 0xffff + HEADER_LEN;

/// Type and length of a handshake message.
const HEADER_LEN: usize = 4;

/// The handshake type of a ClientHello.
const CLIENT_HELLO: u8 = 1;

/// The extension that carries transport parameters.
const QUIC_TRANSPORT_PARAMETERS: u16 = 0x39;

/// TLS alerts (RFC 8446, Section 6.2).
const UNEXPECTED_MESSAGE: u8 = 10;
const ILLEGAL_PARAMETER: u8 = 47;
const DECODE_ERROR: u8 = 50;
const MISSING_EXTENSION: u8 = 109;

/// A ClientHello that may not be whole yet.
#[derive(Debug, Default)]
pub struct ClientHello {
    bytes: Vec<u8>,
    /// Where in `bytes` the transport parameters stand, once the message is whole.
    params: Option<Range<usize>>,
}

fn alert(alert: u8, reason: &'static str) -> TransportError {
    TransportError { code: Code::crypto(alert), frame: 0, reason }
}

impl ClientHello {
    /// Takes the next bytes of the client's handshake in; those after the ClientHello are kept as they are.
    ///
    /// # Errors
    ///
    /// A TLS alert if this is no ClientHello, cannot be read, or has no transport parameters.
    /// CRYPTO_BUFFER_EXCEEDED if it is longer than [`MAX_HELLO`], or says it will be.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        if self.bytes.len() + bytes.len() > MAX_HELLO {
            return Err(TransportError::crypto_buffer_exceeded("a ClientHello longer than is kept"));
        }
        self.bytes.extend_from_slice(bytes);
        if self.params.is_none() {
            self.params = self.scan()?;
        }
        Ok(())
    }

    /// The client's transport parameters, once the message is whole.
    pub fn params(&self) -> Option<&[u8]> {
        self.bytes.get(self.params.clone()?)
    }

    /// All that was kept, for TLS to read.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Finds the transport parameters; `None` if the message is not whole.
    fn scan(&self) -> Result<Option<Range<usize>>, TransportError> {
        let mut message = Reader::new(&self.bytes);
        if message.u8().is_ok_and(|kind| kind != CLIENT_HELLO) {
            return Err(alert(UNEXPECTED_MESSAGE, "the first TLS message is not a ClientHello"));
        }
        let Ok([high, middle, low]) = message.array() else { return Ok(None) };
        let len = usize::from(middle) << 8 | usize::from(low);
        if high != 0 {
            return Err(TransportError::crypto_buffer_exceeded("a ClientHello longer than is kept"));
        }
        let Ok(body) = message.bytes(len) else { return Ok(None) };
        let found = find_params(body)
            .map_err(|Truncated| alert(DECODE_ERROR, "a ClientHello that cannot be read"))?;
        match found {
            Found::Once(range) => Ok(Some(HEADER_LEN + range.start..HEADER_LEN + range.end)),
            Found::Twice => Err(alert(ILLEGAL_PARAMETER, "a ClientHello with transport parameters twice")),
            Found::Never => Err(alert(MISSING_EXTENSION, "a ClientHello without transport parameters")),
        }
    }
}

/// How often an extension was found, and where.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Never,
    Once(Range<usize>),
    Twice,
}

/// Where in the body of a ClientHello the transport parameters stand.
fn find_params(body: &[u8]) -> Result<Found, Truncated> {
    let mut reader = Reader::new(body);
    let _version_and_random = reader.bytes(2 + 32)?;
    let session_id_len = reader.u8()?;
    let _session_id = reader.bytes(session_id_len.into())?;
    let suites_len = reader.u16()?;
    let _suites = reader.bytes(suites_len.into())?;
    let compressions_len = reader.u8()?;
    let _compressions = reader.bytes(compressions_len.into())?;
    if reader.is_empty() {
        // Before TLS 1.3 a ClientHello could do without extensions.
        return Ok(Found::Never);
    }
    let extensions_len = reader.u16()?;
    let extensions_end = body.len() - reader.len() + usize::from(extensions_len);
    let mut extensions = Reader::new(reader.bytes(extensions_len.into())?);
    let mut found = Found::Never;
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let len = usize::from(extensions.u16()?);
        extensions.bytes(len)?;
        if kind == QUIC_TRANSPORT_PARAMETERS {
            let end = extensions_end - extensions.len();
            found = if found == Found::Never { Found::Once(end - len..end) } else { Found::Twice };
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ClientHello with these extensions, all else as short as it may be.
    fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let mut list = Vec::new();
        for (kind, body) in extensions {
            list.extend(kind.to_be_bytes());
            list.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
            list.extend(*body);
        }
        let mut body = vec![3, 3];
        body.extend([0xaa; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(u16::try_from(list.len()).expect("short").to_be_bytes());
        body.extend(list);
        let mut message = vec![1, 0];
        message.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
        message.extend(body);
        message
    }

    fn refused(bytes: &[u8]) -> Code {
        ClientHello::default().push(bytes).expect_err("it is no good").code
    }

    #[test]
    fn the_parameters_are_found_among_other_extensions() {
        let mut scanned = ClientHello::default();
        let message = hello(&[(0x2b, &[2, 3, 4]), (0x39, b"params"), (0, &[])]);
        assert_eq!(scanned.push(&message), Ok(()));
        assert_eq!(scanned.params(), Some(&b"params"[..]));
        assert_eq!(scanned.into_bytes(), message);
    }

    #[test]
    fn a_hello_in_fragments_is_read_when_the_last_one_comes() {
        let message = hello(&[(0x39, b"params")]);
        let (last, fragments) = message.split_last().expect("it is not empty");
        let mut scanned = ClientHello::default();
        for byte in fragments {
            assert_eq!(scanned.push(&[*byte]), Ok(()));
            assert_eq!(scanned.params(), None);
        }
        assert_eq!(scanned.push(&[*last]), Ok(()));
        assert_eq!(scanned.params(), Some(&b"params"[..]));
    }

    #[test]
    fn a_hello_without_parameters_is_missing_an_extension() {
        assert_eq!(refused(&hello(&[(0x2b, &[2, 3, 4])])), Code::crypto(109));
    }

    #[test]
    fn empty_parameters_are_parameters() {
        let mut scanned = ClientHello::default();
        assert_eq!(scanned.push(&hello(&[(0x39, &[])])), Ok(()));
        assert_eq!(scanned.params(), Some(&[][..]));
    }

    #[test]
    fn parameters_twice_are_illegal() {
        assert_eq!(refused(&hello(&[(0x39, b"a"), (0x39, b"b")])), Code::crypto(47));
    }

    #[test]
    fn another_message_is_unexpected_from_its_first_byte_on() {
        assert_eq!(refused(&[2]), Code::crypto(10));
    }

    #[test]
    fn a_length_beyond_64_kib_is_refused_before_the_bytes_come() {
        assert_eq!(refused(&[1, 1, 0, 0]), Code::CRYPTO_BUFFER_EXCEEDED);
        assert_eq!(ClientHello::default().push(&[1, 0, 0xff, 0xff]), Ok(()));
        assert_eq!(refused(&[1; MAX_HELLO + 1]), Code::CRYPTO_BUFFER_EXCEEDED);
    }

    #[test]
    fn a_hello_whose_insides_are_cut_does_not_decode() {
        let message = hello(&[(0x39, b"params")]);
        // All but the cut where extensions would begin, which is a whole hello of an older TLS.
        for len in (0..message.len() - HEADER_LEN).filter(|len| *len != 41) {
            let mut cut = vec![1, 0];
            cut.extend(u16::try_from(len).expect("short").to_be_bytes());
            cut.extend(&message[HEADER_LEN..HEADER_LEN + len]);
            assert_eq!(refused(&cut), Code::crypto(50), "cut to {len} bytes");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_scanned_without_a_panic(
            tail in prop::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..300),
        ) {
            let mut message = vec![1, 0];
            message.extend(u16::try_from(tail.len()).expect("short").to_be_bytes());
            message.extend(tail);
            let _ = ClientHello::default().push(&message);
        }
    }
}
