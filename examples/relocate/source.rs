//! What is served: bytes made up as they are read, or a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::scrambled::scrambled;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Where the served bytes come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// As many bytes as asked for, each block of eight different from all others.
    Generated,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Reads from the beginning.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Generated => Ok(Box::new(Generated { at: 0 })),
            Self::File(path) => Ok(Box::new(File::open(path)?)),
        }
    }

    /// The hash of the first `len` bytes.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is shorter.
    pub fn hash(&self, len: u64) -> io::Result<Hash> {
        let mut from = self.open()?.take(len);
        let (mut hash, mut buffer, mut left) = (Sha256::new(), vec![0; 64 << 10], len);
        while left > 0 {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hash.update(&buffer[..read]);
            left -= read as u64;
        }
        Ok(hash.finalize().into())
    }
}

/// Bytes that look random and differ everywhere, so that nothing lost, doubled or swapped goes unnoticed.
#[derive(Debug)]
struct Generated {
    at: u64,
}

impl Read for Generated {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut rest = &mut *out;
        while !rest.is_empty() {
            let word = scrambled(self.at / 8).to_le_bytes();
            let word = &word[(self.at % 8) as usize..];
            let len = word.len().min(rest.len());
            rest[..len].copy_from_slice(&word[..len]);
            rest = &mut rest[len..];
            self.at += len as u64;
        }
        Ok(out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_bytes_do_not_depend_on_how_they_are_read() {
        let mut whole = [0; 100];
        Generated { at: 0 }.read_exact(&mut whole).expect("it never ends");
        let (mut pieces, mut from) = ([0; 100], Generated { at: 0 });
        for piece in pieces.chunks_mut(7) {
            from.read_exact(piece).expect("it never ends");
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn the_hash_of_another_length_is_another() {
        let hash = |len| Source::Generated.hash(len).ok();
        assert_eq!(hash(100_000), hash(100_000));
        assert_ne!(hash(100_000), hash(100_001));
    }
}
