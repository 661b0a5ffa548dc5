//! Randomness as the embedder provides it.
//!
//! An [`Endpoint`](crate::Endpoint) is handed one source and forks it for each connection, so that a simulation with
//! a seed repeats itself however its connections interleave. Key exchange inside TLS draws on the system's entropy;
//! everything else comes from here.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

/// A source of random bytes.
pub trait Rng: Send {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// Makes an independent source, deterministic if this one is.
    fn fork(&mut self) -> Box<dyn Rng>;
}

impl dyn Rng + '_ {
    /// Draws an array of random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// Draws a number below `bound`, which must not be zero; the bias is below 2^-32 for every bound used here.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let wide = u64::from_be_bytes(self.bytes());
        let reduced = wide % u64::from(bound.max(1));
        u32::try_from(reduced).expect("a remainder is below its divisor")
    }
}

/// The operating system's randomness: the source for every real endpoint.
pub struct SystemRng(SystemRandom);

impl SystemRng {
    /// Opens the system's source.
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemRng {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SystemRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemRng")
    }
}

impl Rng for SystemRng {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out).expect("the operating system provides randomness");
    }

    fn fork(&mut self) -> Box<dyn Rng> {
        Box::new(Self::new())
    }
}

/// A repeatable source for simulations and tests. **Never** use it on a network: its output is predictable.
#[derive(Debug, Clone)]
pub struct SeededRng(u64);

impl SeededRng {
    /// A source whose whole output follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64: one addition and two multiplications a word.
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let word = self.word().to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn fork(&mut self) -> Box<dyn Rng> {
        Box::new(Self::new(self.word()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (mut a, mut b) = (SeededRng::new(7), SeededRng::new(7));
        let (a, b): (&mut dyn Rng, &mut dyn Rng) = (&mut a, &mut b);
        assert_eq!(a.bytes::<32>(), b.bytes::<32>());
    }

    #[test]
    fn a_fork_differs_from_its_parent() {
        let mut parent = SeededRng::new(7);
        let mut fork = parent.fork();
        let parent: &mut dyn Rng = &mut parent;
        assert_ne!(parent.bytes::<16>(), fork.bytes::<16>());
    }

    #[test]
    fn a_bounded_number_stays_below_its_bound() {
        let mut rng = SeededRng::new(1);
        let rng: &mut dyn Rng = &mut rng;
        assert!((0..1000).all(|_| rng.below(10) < 10));
    }
}
