//! The anti-amplification budget of an unproven address (RFC 9000, Section 8.1).
//!
//! Told of every datagram in and out by [`Path`](super::Path), asked before each one out. All amounts are UDP payload
//! bytes. Knows nothing of packets or time.

/// How much more may be sent than was received.
const FACTOR: u64 = 3;

/// What may still be sent to an address that has not proved to be the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Three times what came, less what went: negative if it was overdrawn.
    balance: i64,
}

impl Budget {
    /// Nothing came yet, so nothing may go.
    pub fn new() -> Self {
        Self::default()
    }

    /// A datagram came from there: counted once, however many packets it holds.
    pub fn on_received(&mut self, bytes: u64) {
        self.balance = self.balance.saturating_add_unsigned(bytes.saturating_mul(FACTOR));
    }

    /// A datagram went there.
    pub fn on_sent(&mut self, bytes: u64) {
        self.balance = self.balance.saturating_sub_unsigned(bytes);
    }

    /// Bytes that may still go.
    pub fn remaining(&self) -> u64 {
        u64::try_from(self.balance).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bytes_may_go_for_each_that_came() {
        let mut budget = Budget::new();
        assert_eq!(budget.remaining(), 0);
        budget.on_received(1200);
        assert_eq!(budget.remaining(), 3600);
        budget.on_sent(3000);
        assert_eq!(budget.remaining(), 600);
    }

    #[test]
    fn what_was_overdrawn_is_paid_back_first() {
        let mut budget = Budget::new();
        budget.on_sent(45);
        budget.on_received(10);
        assert_eq!(budget.remaining(), 0);
        budget.on_received(10);
        assert_eq!(budget.remaining(), 15);
    }

    #[test]
    fn it_saturates() {
        let mut budget = Budget::new();
        budget.on_received(u64::MAX);
        budget.on_received(u64::MAX);
        assert_eq!(budget.remaining(), i64::MAX as u64);
    }
}
