//! The probe timeout (RFC 9002, Section 6.2): when to ask for an acknowledgement that does not come.
//!
//! One back-off for all spaces. Nothing is armed or stopped: the deadline follows from what is in flight, and
//! from the [`PtoRules`] that the caller states each time.

use std::time::Duration;

use super::rtt::{GRANULARITY, RttView};
use crate::id::SpaceId;
use crate::time::Instant;

/// The back-off stops doubling here.
const MAX_EXPONENT: u32 = 10;
/// No probe waits longer.
const MAX_SPACING: Duration = Duration::from_secs(60);

/// What the probe timeout depends on and other parts know.
#[derive(Debug, Clone, Copy)]
pub struct PtoRules {
    /// The round trip of the path in use.
    pub rtt: RttView,
    /// Whether the handshake is confirmed: before, 1-RTT packets are not probed for (Section 6.2.1).
    pub handshake_confirmed: bool,
    /// Whether Handshake keys exist: a client that must prove its address then sends Handshake, else Initial.
    pub has_handshake_keys: bool,
    /// Whether the peer is known to have validated our address and to wait for nothing: true at a server, and at a
    /// client once the handshake is confirmed. Until then a client probes with nothing in flight.
    pub peer_validated: bool,
    /// Whether a probe could be sent at all: false at a server that has spent three times what it received.
    pub may_send: bool,
    /// The longest time between two probes, if it is shorter than usual: while a move is announced.
    pub max_spacing: Option<Duration>,
}

impl PtoRules {
    /// The timeout of a space after `count` timeouts in a row.
    pub fn period(&self, space: SpaceId, count: u32) -> Duration {
        let base = self.rtt.pto_base(space);
        let longest = self.max_spacing.unwrap_or(MAX_SPACING).clamp(GRANULARITY, MAX_SPACING);
        base.saturating_mul(1 << count.min(MAX_EXPONENT)).min(longest)
    }

    /// When which space is to be probed (Appendix A.8); `awaiting_since` is when each space's last
    /// ack-eliciting packet was sent if one is in flight, `last_event` when anything last happened to the
    /// timer.
    pub fn deadline(
        &self,
        count: u32,
        awaiting_since: impl Fn(SpaceId) -> Option<Instant>,
        last_event: Instant,
    ) -> Option<(Instant, SpaceId)> {
        if !self.may_send {
            return None;
        }
        let probed =
            SpaceId::ALL.into_iter().filter(|space| *space != SpaceId::Data || self.handshake_confirmed);
        let due = |space| Some((awaiting_since(space)? + self.period(space, count), space));
        let first = probed.filter_map(due).min();
        if first.is_some() || self.peer_validated {
            return first;
        }
        // Section 6.2.2.1: the server may be waiting for us to pay for its answer.
        let space = if self.has_handshake_keys { SpaceId::Handshake } else { SpaceId::Initial };
        Some((last_event + self.period(space, count), space))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::Rtt;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// A round trip of 100 ms that varies by 50: 300 ms without and 325 with the peer's delay.
    fn rules() -> PtoRules {
        let mut rtt = Rtt::new(ms(333));
        rtt.on_sample(ms(100), ms(0), true);
        PtoRules {
            rtt: rtt.view(ms(25)),
            handshake_confirmed: true,
            has_handshake_keys: false,
            peer_validated: true,
            may_send: true,
            max_spacing: None,
        }
    }

    #[test]
    fn it_doubles_ten_times_and_ends_at_a_minute() {
        assert_eq!(rules().period(SpaceId::Data, 0), ms(325));
        assert_eq!(rules().period(SpaceId::Data, 1), ms(650));
        assert_eq!(rules().period(SpaceId::Data, 7), ms(41_600));
        assert_eq!(rules().period(SpaceId::Data, 8), ms(60_000));
        assert_eq!(rules().period(SpaceId::Data, u32::MAX), ms(60_000));
        let tiny = RttView { smoothed: ms(1), variance: ms(0), max_ack_delay: ms(0), ..rules().rtt };
        assert_eq!(PtoRules { rtt: tiny, ..rules() }.period(SpaceId::Data, 12), ms(2_048));
    }

    #[test]
    fn a_caller_may_cap_the_spacing() {
        let rules = PtoRules { max_spacing: Some(ms(1000)), ..rules() };
        assert_eq!((rules.period(SpaceId::Data, 1), rules.period(SpaceId::Data, 2)), (ms(650), ms(1000)));
    }

    #[test]
    fn the_earliest_space_is_probed_and_only_data_waits_for_the_peers_delay() {
        let since = |space| (space != SpaceId::Initial).then_some(at(10));
        assert_eq!(rules().deadline(0, since, at(0)), Some((at(310), SpaceId::Handshake)));
        let since = |space| (space == SpaceId::Data).then_some(at(10));
        assert_eq!(rules().deadline(1, since, at(0)), Some((at(660), SpaceId::Data)));
    }

    #[test]
    fn data_is_not_probed_for_before_the_handshake_is_confirmed() {
        let rules = PtoRules { handshake_confirmed: false, ..rules() };
        assert_eq!(rules.deadline(0, |space| (space == SpaceId::Data).then_some(at(10)), at(0)), None);
    }

    #[test]
    fn a_client_with_nothing_in_flight_probes_until_the_server_trusts_its_address() {
        let rules = PtoRules { peer_validated: false, handshake_confirmed: false, ..rules() };
        assert_eq!(rules.deadline(0, |_| None, at(50)), Some((at(350), SpaceId::Initial)));
        let rules = PtoRules { has_handshake_keys: true, ..rules };
        assert_eq!(rules.deadline(1, |_| None, at(50)), Some((at(650), SpaceId::Handshake)));
    }

    #[test]
    fn a_server_that_may_not_send_has_no_timer() {
        let rules = PtoRules { may_send: false, ..rules() };
        assert_eq!(rules.deadline(0, |_| Some(at(10)), at(0)), None);
    }
}
