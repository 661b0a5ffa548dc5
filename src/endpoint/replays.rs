//! Which tokens of NEW_TOKEN were used here: each proves an address once (RFC 9000, Section 8.1.4).
//!
//! Two generations of salts, each as long as a token lives, so that a token is remembered until it has expired. A full
//! generation takes nothing more in, and whoever comes then proves its address in another way. Bound: twice
//! [`MAX_USED`] words, in a tree whose shape no client chooses.

use std::collections::BTreeSet;

use crate::crypto::SALT_LEN;

/// Tokens that are believed in one generation, at most.
const MAX_USED: usize = 1 << 15;

/// The tokens that were used.
#[derive(Debug, Default)]
pub struct Replays {
    /// When the younger generation began, in microseconds.
    since: u64,
    young: BTreeSet<u64>,
    old: BTreeSet<u64>,
}

/// Salts are random: eight bytes of them tell tokens apart.
fn name(salt: &[u8; SALT_LEN]) -> u64 {
    salt.first_chunk().map_or(0, |front| u64::from_be_bytes(*front))
}

impl Replays {
    /// Time has passed, and a token lives `lifetime` microseconds.
    fn turn(&mut self, now: u64, lifetime: u64) {
        let age = now.saturating_sub(self.since);
        if age < lifetime {
            return;
        }
        self.since = now;
        self.old = std::mem::take(&mut self.young);
        if age / 2 >= lifetime {
            self.old.clear();
        }
    }

    /// Whether a token with this salt, which lives `lifetime` microseconds, may still prove something.
    pub fn permits(&mut self, now: u64, lifetime: u64, salt: &[u8; SALT_LEN]) -> bool {
        self.turn(now, lifetime);
        let name = name(salt);
        self.young.len() < MAX_USED && !self.young.contains(&name) && !self.old.contains(&name)
    }

    /// A token that lives `lifetime` microseconds has proved what it can.
    pub fn on_used(&mut self, now: u64, lifetime: u64, salt: &[u8; SALT_LEN]) {
        self.turn(now, lifetime);
        if self.young.len() < MAX_USED {
            self.young.insert(name(salt));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt(number: u64) -> [u8; SALT_LEN] {
        let mut salt = [9; SALT_LEN];
        salt[..8].copy_from_slice(&number.to_be_bytes());
        salt
    }

    #[test]
    fn a_token_is_used_once() {
        let mut replays = Replays::default();
        assert!(replays.permits(5, 100, &salt(7)));
        replays.on_used(5, 100, &salt(7));
        assert!(!replays.permits(6, 100, &salt(7)));
        assert!(replays.permits(6, 100, &salt(8)));
    }

    #[test]
    fn a_token_is_remembered_for_a_lifetime_and_forgotten_after_two_more() {
        let mut replays = Replays::default();
        replays.on_used(99, 100, &salt(1));
        replays.on_used(100, 100, &salt(2));
        assert!(!replays.permits(199, 100, &salt(1)), "it lives until 199");
        replays.on_used(200, 100, &salt(3));
        assert!(replays.permits(200, 100, &salt(1)), "it has expired");
        assert!(!replays.permits(200, 100, &salt(2)));
        assert!(replays.permits(1000, 100, &salt(3)));
    }

    #[test]
    fn when_it_is_full_nobody_is_believed_until_a_generation_has_gone() {
        let mut replays = Replays::default();
        for number in 0..40_000 {
            replays.on_used(0, 100, &salt(number));
        }
        assert_eq!(replays.young.len(), 32_768);
        assert!(!replays.permits(99, 100, &salt(50_000)));
        assert!(replays.permits(100, 100, &salt(50_000)) && !replays.permits(100, 100, &salt(1)));
    }
}
