//! The floor: ring seals and opens every packet in place and makes both header-protection masks; nothing else.

use std::time::Duration;

use ring::aead::quic::{self, HeaderProtectionKey};
use ring::aead::{
    AES_128_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey,
};

use super::clock::Processor;
use super::terms::{Cipher, Terms};

/// A short header with an 8-byte connection ID and a packet number of two bytes.
const HEADER: usize = 1 + 8 + 2;
/// A STREAM frame without a length, far into the stream.
const FRAME: usize = 1 + 1 + 4;
/// Where the sample begins that masks the header.
const SAMPLE: usize = 1 + 8 + 4;

/// One direction's keys.
struct Keys {
    packet: LessSafeKey,
    header: HeaderProtectionKey,
}

impl Keys {
    fn new(cipher: Cipher) -> Self {
        let (packet, header) = match cipher {
            Cipher::Aes128Gcm => (&AES_128_GCM, &quic::AES_128),
            Cipher::Chacha20 => (&CHACHA20_POLY1305, &quic::CHACHA20),
        };
        let secret = [0x5a; 32];
        let unbound = UnboundKey::new(packet, &secret[..packet.key_len()]).expect("the key's length");
        let header = HeaderProtectionKey::new(header, &secret[..packet.key_len()]).expect("the key's length");
        Self { packet: LessSafeKey::new(unbound), header }
    }

    fn mask(&self, packet: &mut [u8]) {
        let mask = self.header.new_mask(&packet[SAMPLE..SAMPLE + 16]).expect("the sample's length");
        packet[0] ^= mask[0] & 0x1f;
        packet[9] ^= mask[1];
        packet[10] ^= mask[2];
    }

    fn seal(&self, number: u64, packet: &mut [u8]) {
        let (header, rest) = packet.split_at_mut(HEADER);
        let (payload, tag) = rest.split_at_mut(rest.len() - MAX_TAG_LEN);
        let sealed = self.packet.seal_in_place_separate_tag(nonce(number), Aad::from(header), payload);
        tag.copy_from_slice(sealed.expect("a datagram can be sealed").as_ref());
        self.mask(packet);
    }

    fn open(&self, number: u64, packet: &mut [u8]) {
        self.mask(packet);
        let (header, sealed) = packet.split_at_mut(HEADER);
        self.packet.open_in_place(nonce(number), Aad::from(header), sealed).expect("it was sealed so");
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Carries `bytes` of stream data in full datagrams, a train at a time. Returns the processor time and the datagrams.
pub fn bulk(terms: &Terms, bytes: u64) -> (Duration, u64) {
    let size = usize::from(terms.size);
    let packets = bytes.div_ceil((size - HEADER - FRAME - MAX_TAG_LEN) as u64);
    let keys = Keys::new(terms.cipher);
    let mut train = vec![0x40; size * terms.burst];
    let processor = Processor::start();
    let mut sealed = 0;
    while sealed < packets {
        let numbers = sealed..packets.min(sealed + terms.burst as u64);
        for (number, packet) in numbers.clone().zip(train.chunks_exact_mut(size)) {
            keys.seal(number, packet);
        }
        for (number, packet) in numbers.clone().zip(train.chunks_exact_mut(size)) {
            keys.open(number, packet);
        }
        sealed = numbers.end;
    }
    let spent = processor.spent();
    std::hint::black_box(&train);
    (spent, packets)
}
