//! Packets, ACKs and timeouts against a clock of literals (RFC 9002, Appendix A).

mod acks;
mod loss;
mod model;
mod moving;
mod probes;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::fates::PathFate;
use super::*;
use crate::codec::{Encode, Writer};
use crate::error::Code;
use crate::frame::{AckOut, Frame, Frames};
use crate::id::StreamId;
use crate::range_set::RangeSet;

const HOME: PathId = PathId(0);
const OTHER: PathId = PathId(1);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A recovery whose paths all have a round trip of 80 ms that varies by 10: packets are lost by time after 90
/// ms, a PTO is 120 ms and 145 with the peer's delay.
struct Bench {
    recovery: Recovery,
    rtt: RttView,
    fates: Fates,
}

fn bench() -> Bench {
    let rtt = RttView {
        smoothed: ms(80),
        variance: ms(10),
        min: ms(80),
        latest: ms(80),
        max_ack_delay: ms(25),
        has_sample: true,
    };
    Bench { recovery: Recovery::new(), rtt, fates: Fates::default() }
}

fn record(number: u64) -> Record {
    Record::MaxData { limit: number }
}

impl Bench {
    fn rules(&self) -> PtoRules {
        PtoRules {
            rtt: self.rtt,
            handshake_confirmed: true,
            has_handshake_keys: false,
            peer_validated: true,
            may_send: true,
            max_spacing: None,
        }
    }

    /// Sends an ack-eliciting packet of 1000 bytes whose record bears its number.
    fn send(&mut self, now: Instant) -> u64 {
        self.send_on(HOME, now)
    }

    /// Sends one packet at each of these milliseconds.
    fn send_each(&mut self, millis: impl IntoIterator<Item = u64>) {
        for time in millis {
            self.send(at(time));
        }
    }

    fn send_on(&mut self, path: PathId, now: Instant) -> u64 {
        self.send_as(path, now, 1000)
    }

    /// Sends such a packet of another size.
    fn send_sized(&mut self, now: Instant, len: u16) -> u64 {
        self.send_as(HOME, now, len)
    }

    fn send_as(&mut self, path: PathId, now: Instant, len: u16) -> u64 {
        let number = self.recovery.next_number(SpaceId::Data);
        let sent = Sent { number, path, len, ack_eliciting: true, in_flight: true, marked: false };
        self.recovery.on_sent(now, SpaceId::Data, sent, &[record(number)]);
        number
    }

    /// Sends a probe of the MTU, of 1400 bytes.
    fn probe_mtu(&mut self, now: Instant) -> u64 {
        let number = self.recovery.next_number(SpaceId::Data);
        let sent =
            Sent { number, path: HOME, len: 1400, ack_eliciting: false, in_flight: true, marked: false };
        let record = Record::MtuProbe { path: HOME, bytes: 1400 };
        self.recovery.on_sent(now, SpaceId::Data, sent, &[record]);
        number
    }

    /// Sends a packet that is nothing but an ACK.
    fn send_ack(&mut self, now: Instant) -> u64 {
        let number = self.recovery.next_number(SpaceId::Data);
        let sent =
            Sent { number, path: HOME, len: 40, ack_eliciting: false, in_flight: false, marked: false };
        self.recovery.on_sent(now, SpaceId::Data, sent, &[Record::Ack { largest: number }]);
        number
    }

    /// Sends a padded packet that is an ACK otherwise: it is in flight and asks for nothing.
    fn send_padding(&mut self, now: Instant) {
        let number = self.recovery.next_number(SpaceId::Data);
        let sent =
            Sent { number, path: HOME, len: 1200, ack_eliciting: false, in_flight: true, marked: false };
        self.recovery.on_sent(now, SpaceId::Data, sent, &[]);
    }

    /// Sends a seek to another path.
    fn seek(&mut self, now: Instant) -> u64 {
        let number = self.recovery.next_number(SpaceId::Data);
        let sent =
            Sent { number, path: OTHER, len: 50, ack_eliciting: true, in_flight: false, marked: false };
        self.recovery.on_sent(now, SpaceId::Data, sent, &[]);
        number
    }

    fn ack(&mut self, now: Instant, ranges: &[RangeInclusive<u64>]) -> Result<(), TransportError> {
        let rtt = self.rtt;
        self.ack_seeing(now, ranges, |_| rtt)
    }

    fn ack_seeing(
        &mut self,
        now: Instant,
        ranges: &[RangeInclusive<u64>],
        view: impl Fn(PathId) -> RttView,
    ) -> Result<(), TransportError> {
        let mut set = RangeSet::new();
        ranges.iter().for_each(|range| {
            set.insert(*range.start()..range.end() + 1);
        });
        let out = AckOut { ranges: &set, limit: usize::MAX, delay: 0, ecn: None, due: true };
        let mut bytes = vec![0; out.encoded_len()];
        out.encode(&mut Writer::new(&mut bytes));
        let frame = Frames::new(&bytes).next().expect("one frame").expect("well formed");
        let Frame::Ack(ack) = frame else { panic!("{frame:?}") };
        self.fates.clear();
        self.recovery.on_ack(now, SpaceId::Data, &ack, view, &mut self.fates)
    }

    fn timeout(&mut self, now: Instant) -> Option<Timeout> {
        self.fates.clear();
        let rtt = self.rtt;
        self.recovery.on_timeout(now, &self.rules(), |_| rtt, &mut self.fates)
    }

    fn deadline(&self) -> Option<Instant> {
        self.recovery.deadline(&self.rules())
    }

    fn acked(&self) -> Vec<u64> {
        numbers(&self.fates.acked)
    }

    fn lost(&self) -> Vec<u64> {
        numbers(&self.fates.lost)
    }

    fn fate(&self, path: PathId) -> PathFate {
        self.fates.paths.iter().find(|(id, _)| *id == path).map(|(_, fate)| *fate).unwrap_or_default()
    }
}

/// The packets whose records these are.
fn numbers(records: &[Record]) -> Vec<u64> {
    let number = |record: &Record| match *record {
        Record::MaxData { limit } => Some(limit),
        _ => None,
    };
    records.iter().filter_map(number).collect()
}
