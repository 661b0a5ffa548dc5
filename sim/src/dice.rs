//! Repeatable chance: every link and every host has a stream of its own, named after it, so that one more link or one
//! more draw here shifts nothing there.

/// Folds `bytes` into `state` (FNV-1a, a word at a time at the end mixed).
pub(crate) fn fold(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Spreads a word over all its bits (the finalizer of SplitMix64).
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A stream of chance (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The stream of this name under this seed.
    pub fn named(seed: u64, name: &str) -> Self {
        Self(mix(fold(mix(seed ^ 0x5eed), name.as_bytes())))
    }

    /// The next word.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// True with this probability. One word is drawn whatever the probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits: what a double can hold exactly.
        let drawn = (self.word() >> 11) as f64 / (1u64 << 53) as f64;
        drawn < probability
    }
}
