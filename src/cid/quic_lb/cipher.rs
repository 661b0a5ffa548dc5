//! The ciphers that hide a server ID and a nonce in a connection ID (draft-ietf-quic-load-balancers, Section 5.4).
//!
//! Sixteen bytes are one AES block; any other length is a Feistel network of four rounds, each an AES block of one half.
//! Everything works in place, on as many bytes as the configuration says.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

/// Most bytes that are encrypted: a connection ID but for its first octet.
pub const MAX_LEN: usize = 19;

/// Length of a half, in bytes: of the longest text rounded up.
const HALF: usize = MAX_LEN.div_ceil(2);

/// The length that is one AES block.
const BLOCK: usize = 16;

/// Half of a text, and zeros; half a byte of each if the text is of odd length.
type Half = [u8; HALF];

/// AES-128 under one key.
#[derive(Clone)]
pub struct Cipher(Aes128);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

impl Cipher {
    /// A cipher with this key.
    pub fn new(key: &[u8; 16]) -> Self {
        Self(Aes128::new(&(*key).into()))
    }

    /// Encrypts a text of at most [`MAX_LEN`] bytes.
    pub fn encrypt(&self, text: &mut [u8]) {
        if let Ok(block) = <&mut [u8; BLOCK]>::try_from(&mut *text) {
            return self.0.encrypt_block(block.into());
        }
        let (mut left, mut right) = split(text);
        self.pass(1, text.len(), &left, &mut right, Side::Right);
        self.pass(2, text.len(), &right, &mut left, Side::Left);
        self.pass(3, text.len(), &left, &mut right, Side::Right);
        self.pass(4, text.len(), &right, &mut left, Side::Left);
        join(&left, &right, text);
    }

    /// Decrypts a text of at most [`MAX_LEN`] bytes; only its first `wanted` bytes are right afterwards.
    pub fn decrypt(&self, text: &mut [u8], wanted: usize) {
        if let Ok(block) = <&mut [u8; BLOCK]>::try_from(&mut *text) {
            return self.0.decrypt_block(block.into());
        }
        let (mut left, mut right) = split(text);
        self.pass(4, text.len(), &right, &mut left, Side::Left);
        self.pass(3, text.len(), &left, &mut right, Side::Right);
        self.pass(2, text.len(), &right, &mut left, Side::Left);
        // Section 5.5.2: what is wholly in the left half is known after three passes.
        if wanted > text.len() / 2 {
            self.pass(1, text.len(), &left, &mut right, Side::Right);
        }
        join(&left, &right, text);
    }

    /// One round: `onto`, which is the half on this side, is masked with the other one, expanded and encrypted.
    fn pass(&self, number: u8, len: usize, other: &Half, onto: &mut Half, side: Side) {
        let mut block = [0; BLOCK];
        block[..HALF].copy_from_slice(other);
        block[BLOCK - 2] = u8::try_from(len).expect("a text has at most 19 bytes");
        block[BLOCK - 1] = number;
        self.0.encrypt_block((&mut block).into());
        onto.iter_mut().zip(block).take(len.div_ceil(2)).for_each(|(byte, mask)| *byte ^= mask);
        side.trim(onto, len);
    }
}

/// Which half.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Side {
    /// Clears the half byte in the middle that belongs to the other side, if the text is of odd length.
    fn trim(self, half: &mut Half, len: usize) {
        if len % 2 == 1 {
            match self {
                Self::Left => half[len / 2] &= 0xf0,
                Self::Right => half[0] &= 0x0f,
            }
        }
    }
}

fn split(text: &[u8]) -> (Half, Half) {
    let (mut left, mut right) = ([0; HALF], [0; HALF]);
    let half = text.len().div_ceil(2);
    left.iter_mut().zip(text).take(half).for_each(|(to, from)| *to = *from);
    right.iter_mut().zip(text.iter().skip(text.len() - half)).for_each(|(to, from)| *to = *from);
    Side::Left.trim(&mut left, text.len());
    Side::Right.trim(&mut right, text.len());
    (left, right)
}

fn join(left: &Half, right: &Half, text: &mut [u8]) {
    let half = text.len().div_ceil(2);
    let second = text.len() - half;
    text.fill(0);
    text.iter_mut().zip(left).take(half).for_each(|(to, from)| *to = *from);
    // The byte in the middle, if there is one, has half of each.
    text.iter_mut().skip(second).zip(right).take(half).for_each(|(to, from)| *to |= *from);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_draft_is_encrypted_as_it_says() {
        let cipher = Cipher::new(&0xfdf7_26a9_893e_c05c_0632_d395_6680_baf0_u128.to_be_bytes());
        let mut text = [0x31, 0x44, 0x1a, 0x9c, 0x69, 0xc2, 0x75];
        cipher.encrypt(&mut text);
        assert_eq!(text, [0x67, 0x94, 0x7d, 0x29, 0xbe, 0x05, 0x4a]);
    }

    #[test]
    fn halves_of_an_odd_text_share_its_middle_byte() {
        let (left, right) = split(&[0x70, 0x40, 0xb8, 0x1b, 0x55, 0xcc, 0xf3]);
        assert_eq!(left, [0x70, 0x40, 0xb8, 0x10, 0, 0, 0, 0, 0, 0]);
        assert_eq!(right, [0x0b, 0x55, 0xcc, 0xf3, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", Cipher::new(&[0xab; 16])), "Cipher(..)");
    }

    proptest! {
        #[test]
        fn what_is_encrypted_is_decrypted(key: [u8; 16], text in prop::collection::vec(any::<u8>(), 0..=19)) {
            let cipher = Cipher::new(&key);
            let mut changed = text.clone();
            cipher.encrypt(&mut changed);
            prop_assert!(text.len() < 8 || changed != text);
            for wanted in [text.len() / 2, text.len()] {
                let mut back = changed.clone();
                cipher.decrypt(&mut back, wanted);
                prop_assert_eq!(&back[..wanted], &text[..wanted]);
            }
        }
    }
}
