//! What we wish of the peer's acknowledgements (draft-ietf-quic-ack-frequency, Sections 4, 7 and 8).
//!
//! Owned by the connection once the peer is known to take wishes; asked at most once a round trip whether the wish fits
//! the window. The longest delay that may be in force is what probe timeouts are reckoned with.

use std::time::Duration;

use smallvec::SmallVec;

use crate::frame::{AckFrequency as Frame, Record};
use crate::packet::PacketWriter;
use crate::time::{Instant, micros};

/// ACKs that a window brings at least, unless the peer's usual ones are fewer: HyStart++ wants eight samples a round trip,
/// and no ACK is to set off a burst.
const ACKS_PER_WINDOW: u64 = 16;
/// Packets by which a gap is exceeded before it is told: as many as make a packet lost (RFC 9002, Section 6.1.1).
const REORDERING: u64 = 3;
/// The usual threshold: an ACK for every second packet.
const USUAL: u64 = 1;
/// Delays of ACKs are at most this long (RFC 9000, Section 18.2).
const LONGEST: Duration = Duration::from_millis((1 << 14) - 1);
/// Wishes on their way of which each is remembered; beyond, the oldest ones count as one.
const MAX_OPEN: usize = 4;

/// How often what we send is to be acknowledged, if the peer takes wishes (draft-ietf-quic-ack-frequency).
///
/// Fewer ACKs are less work for both sides and leave a narrow way back free; loss is found as early as without, since a gap
/// that makes a packet lost is still told at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckFrequency {
    packets: u32,
    max_delay: Option<Duration>,
}

impl AckFrequency {
    /// One ACK for so many packets; for fewer as long as the congestion window does not hold sixteen times as many. Zero
    /// is taken for one.
    pub fn every(packets: u32) -> Self {
        Self { packets, max_delay: None }
    }

    /// The longest delay of an ACK. Unless said, as the peer declares it. A round trip is never exceeded, and what the peer
    /// can do never undercut.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = Some(delay);
        self
    }
}

/// One ACK for ten packets.
impl Default for AckFrequency {
    fn default() -> Self {
        Self::every(10)
    }
}

/// What is asked for in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terms {
    threshold: u64,
    delay: Duration,
}

/// Our wish, and what the peer knows of it.
#[derive(Debug)]
pub struct Wishes {
    config: AckFrequency,
    /// The shortest delay that the peer can be asked for.
    min_delay: Duration,
    /// The longest by which the peer delays without a wish.
    declared: Duration,
    /// What was asked for last.
    said: Terms,
    /// To be said, for the first time or again.
    due: bool,
    /// The next frame's number.
    sequence: u64,
    /// The longest delay as the peer is known to have it.
    known: Duration,
    /// Numbers and delays of what was asked for since.
    open: SmallVec<[(u64, Duration); 2]>,
    /// Not before then is the wish looked at again.
    next: Instant,
}

impl Wishes {
    /// Nothing is wished yet; `min_delay` and `declared` are what the peer's transport parameters say.
    pub fn new(config: AckFrequency, min_delay: Duration, declared: Duration) -> Self {
        Self {
            config,
            min_delay,
            declared,
            said: Terms { threshold: USUAL, delay: declared },
            due: false,
            sequence: 0,
            known: declared,
            open: SmallVec::new(),
            next: Instant::ZERO,
        }
    }

    /// The path in use is another one: the wish is looked at again at once.
    pub fn on_new_path(&mut self) {
        self.next = Instant::ZERO;
    }

    /// Looks whether another wish fits a window of so many packets and this round trip better; once a round trip.
    pub fn reconsider(&mut self, now: Instant, window: u64, rtt: Duration) {
        if now < self.next {
            return;
        }
        self.next = now + rtt;
        let terms = self.terms(window, rtt);
        if terms.is_worth_saying(&self.said, self.wanted()) {
            self.said = terms;
            self.due = true;
        }
    }

    fn wanted(&self) -> u64 {
        u64::from(self.config.packets).saturating_sub(1)
    }

    fn terms(&self, window: u64, rtt: Duration) -> Terms {
        let fits = (window / ACKS_PER_WINDOW).saturating_sub(1).max(USUAL);
        let delay = self.config.max_delay.unwrap_or(self.declared).min(rtt).max(self.min_delay);
        Terms { threshold: self.wanted().min(fits), delay: delay.min(LONGEST) }
    }

    /// Writes the wish if it is due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if !self.due {
            return;
        }
        let Terms { threshold, delay } = self.said;
        let sequence = self.sequence;
        let frame = Frame { sequence, threshold, max_ack_delay: micros(delay), reordering: REORDERING };
        if packet.write(&frame).is_ok() {
            self.due = false;
            self.sequence += 1;
            self.open.push((sequence, delay));
            if self.open.len() > MAX_OPEN {
                let (_, oldest) = self.open.remove(0);
                self.open[0].1 = self.open[0].1.max(oldest);
            }
        }
    }

    /// A record of ours was acknowledged: what was asked for before means nothing any more.
    pub fn acked(&mut self, record: &Record) {
        let Record::AckFrequency { sequence } = record else { return };
        if let Some((_, delay)) = self.open.iter().find(|(open, _)| open == sequence) {
            self.known = *delay;
        }
        self.open.retain(|(open, _)| *open > *sequence);
    }

    /// A record of ours was lost: the newest wish is said again, as another frame.
    pub fn lost(&mut self, record: &Record) {
        let Record::AckFrequency { sequence } = record else { return };
        self.due |= sequence + 1 == self.sequence;
    }

    /// The longest by which the peer may delay an ACK: as it is known to have it, or as it was asked for since (draft,
    /// Section 7).
    pub fn max_ack_delay(&self) -> Duration {
        let about = if self.due { self.said.delay } else { Duration::ZERO };
        self.open.iter().map(|(_, delay)| *delay).fold(self.known.max(about), Duration::max)
    }
}

impl Terms {
    /// Whether they differ enough from what was said; thresholds end at `wanted`.
    fn is_worth_saying(&self, said: &Self, wanted: u64) -> bool {
        let (new, old) = (self.threshold, said.threshold);
        let ends = new != old && (new == wanted || new <= USUAL);
        let differs = new.abs_diff(old) * 2 > new.max(old);
        let delays = self.delay.abs_diff(said.delay) * 4 > self.delay.max(said.delay);
        // As long as ACKs are as frequent as usual, their delay matters little.
        ends || differs || delays && (new != USUAL || old != USUAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frames;
    use crate::id::ConnectionId;
    use crate::packet::{Allowance, DatagramWriter, Header};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn wishes(config: AckFrequency) -> Wishes {
        Wishes::new(config, ms(1), ms(25))
    }

    /// What the next packet says: number, threshold, delay in milliseconds.
    fn said(wishes: &mut Wishes) -> Option<(u64, u64, u64)> {
        let (mut buf, mut records) = ([0; 64], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Short { dcid: ConnectionId::EMPTY };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room for a packet");
        wishes.write(&mut packet);
        let draft = packet.finish();
        if !datagram.keep(draft) {
            return None;
        }
        let frame = Frames::new(&buf[2..]).next().expect("a frame").expect("well formed");
        let crate::frame::Frame::AckFrequency(frame) = frame else { panic!("{frame:?}") };
        assert_eq!((frame.reordering, records.len()), (3, 1));
        Some((frame.sequence, frame.threshold, frame.max_ack_delay / 1000))
    }

    #[test]
    fn nothing_is_wished_while_the_window_is_small() {
        let mut wishes = wishes(AckFrequency::every(10));
        wishes.reconsider(at(0), 10, ms(100));
        wishes.reconsider(at(1000), 47, ms(100));
        assert_eq!(said(&mut wishes), None);
    }

    #[test]
    fn the_wish_grows_with_the_window_up_to_what_is_wanted() {
        let mut wishes = wishes(AckFrequency::every(10));
        let mut wish = |now, window| {
            wishes.reconsider(at(now), window, ms(100));
            said(&mut wishes)
        };
        assert_eq!(wish(0, 64), Some((0, 3, 25)));
        assert_eq!(wish(50, 1000), None, "once a round trip");
        assert_eq!(wish(100, 80), None, "little has changed");
        assert_eq!(wish(200, 140), Some((1, 7, 25)));
        assert_eq!(wish(300, 10_000), Some((2, 9, 25)));
        assert_eq!(wish(400, 20_000), None);
        assert_eq!(wish(500, 10), Some((3, 1, 25)));
    }

    #[test]
    fn who_wants_every_packet_acknowledged_says_so_at_once() {
        let mut wishes = wishes(AckFrequency::every(1));
        wishes.reconsider(at(0), 10, ms(100));
        assert_eq!(said(&mut wishes), Some((0, 0, 25)));
    }

    #[test]
    fn the_delay_is_at_most_a_round_trip_and_at_least_what_the_peer_can_do() {
        for (rtt, wanted, delay) in [(100, None, 25), (10, None, 10), (0, None, 1), (80, Some(60), 60)] {
            let config = AckFrequency::every(10);
            let mut wishes = wishes(wanted.map_or(config, |wanted| config.max_delay(ms(wanted))));
            wishes.reconsider(at(0), 1000, ms(rtt));
            assert_eq!(said(&mut wishes), Some((0, 9, delay)), "{rtt} {wanted:?}");
        }
    }

    #[test]
    fn a_lost_wish_is_said_again_unless_a_newer_one_was() {
        let mut wishes = wishes(AckFrequency::every(10));
        wishes.reconsider(at(0), 64, ms(100));
        said(&mut wishes);
        wishes.lost(&Record::AckFrequency { sequence: 0 });
        assert_eq!(said(&mut wishes), Some((1, 3, 25)));
        wishes.lost(&Record::AckFrequency { sequence: 0 });
        assert_eq!(said(&mut wishes), None);
    }

    #[test]
    fn the_longest_delay_that_may_be_in_force_counts() {
        let mut wishes = wishes(AckFrequency::every(10).max_delay(ms(60)));
        assert_eq!(wishes.max_ack_delay(), ms(25));
        wishes.reconsider(at(0), 1000, ms(100));
        said(&mut wishes);
        assert_eq!(wishes.max_ack_delay(), ms(60), "from when it was asked for");
        wishes.acked(&Record::AckFrequency { sequence: 0 });
        assert_eq!(wishes.max_ack_delay(), ms(60));
        wishes.reconsider(at(100), 1000, ms(10));
        said(&mut wishes);
        assert_eq!(wishes.max_ack_delay(), ms(60), "until a shorter one is acknowledged");
        wishes.acked(&Record::AckFrequency { sequence: 1 });
        assert_eq!(wishes.max_ack_delay(), ms(10));
    }

    #[test]
    fn wishes_that_nobody_acknowledges_are_remembered_within_bounds() {
        let mut wishes = wishes(AckFrequency::every(10).max_delay(ms(90)));
        wishes.reconsider(at(0), 1000, ms(100));
        for sequence in 0..100 {
            said(&mut wishes).expect("it is said again");
            wishes.lost(&Record::AckFrequency { sequence });
        }
        assert_eq!((wishes.open.len(), wishes.max_ack_delay()), (MAX_OPEN, ms(90)));
    }

    #[test]
    fn another_path_is_looked_at_without_waiting() {
        let mut wishes = wishes(AckFrequency::every(10));
        wishes.reconsider(at(0), 1000, ms(100));
        said(&mut wishes);
        wishes.on_new_path();
        wishes.reconsider(at(1), 10, ms(100));
        assert_eq!(said(&mut wishes), Some((1, 1, 25)));
    }
}
