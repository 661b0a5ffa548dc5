//! The TLS exporter: secrets for the application that both sides have and nobody else (RFC 8446, Section 7.5).
//!
//! Kept apart from TLS, since a server drops TLS as soon as its handshake is complete.

use super::schedule::{self, Secret, Suite};
use crate::error::ExportError;

/// Longest label: HKDF's has one byte of length, and six bytes of prefix in it.
const MAX_LABEL: usize = 255 - 6;

/// Exports keying material of one connection.
#[derive(Debug, Clone)]
pub struct Exporter {
    suite: Suite,
    secret: Secret,
}

impl Exporter {
    /// An exporter with this exporter secret of TLS.
    pub fn new(suite: Suite, secret: Secret) -> Self {
        Self { suite, secret }
    }

    /// Fills `out`. No context and an empty one are the same.
    ///
    /// # Errors
    ///
    /// [`ExportError::Length`] and [`ExportError::Label`] for what cannot be derived.
    pub fn export(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), ExportError> {
        if label.is_empty() || label.len() > MAX_LABEL {
            return Err(ExportError::Label);
        }
        let max = self.suite.max_expanded();
        if out.is_empty() || out.len() > max {
            return Err(ExportError::Length { max });
        }
        let of_label = schedule::derive_secret(self.suite, &self.secret, label, b"");
        schedule::expand_into(self.suite, &of_label, b"exporter", context, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporter(byte: u8, suite: Suite) -> Exporter {
        Exporter::new(suite, Secret::new(&[byte; 48][..suite.secret_len()]).expect("a secret fits"))
    }

    fn export(exporter: &Exporter, label: &[u8], context: &[u8], len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        exporter.export(&mut out, label, context).expect("it can be derived");
        out
    }

    #[test]
    fn the_same_is_exported_again_and_something_else_for_everything_else() {
        for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
            let one = exporter(1, suite);
            let value = export(&one, b"label", b"context", 32);
            assert_eq!(export(&one, b"label", b"context", 32), value);
            for other in [
                export(&one, b"other", b"context", 32),
                export(&one, b"label", b"other", 32),
                export(&one, b"label", b"", 32),
                // The length is derived from, too: this is no prefix.
                export(&one, b"label", b"context", 33)[..32].to_vec(),
                export(&exporter(2, suite), b"label", b"context", 32),
            ] {
                assert_ne!(other, value);
            }
        }
    }

    #[test]
    fn what_cannot_be_derived_is_refused() {
        let one = exporter(1, Suite::Aes128Gcm);
        let longest = 255 * 32;
        assert_eq!(one.export(&mut vec![0; longest], b"label", b""), Ok(()));
        let refused = Err(ExportError::Length { max: longest });
        assert_eq!(one.export(&mut vec![0; longest + 1], b"label", b""), refused);
        assert_eq!(one.export(&mut [], b"label", b""), refused);
        assert_eq!(one.export(&mut [0; 8], &[b'x'; 249], b""), Ok(()));
        assert_eq!(one.export(&mut [0; 8], &[b'x'; 250], b""), Err(ExportError::Label));
        assert_eq!(one.export(&mut [0; 8], b"", b""), Err(ExportError::Label));
        let long = exporter(1, Suite::Aes256Gcm);
        assert_eq!(long.export(&mut vec![0; 255 * 48], b"label", b""), Ok(()));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let printed = format!("{:?}", exporter(1, Suite::Aes128Gcm));
        assert_eq!(printed, "Exporter { suite: Aes128Gcm, secret: Secret(..) }");
    }
}
