//! The PATH_CHALLENGE exchange of one path (RFC 9000, Section 8.2).
//!
//! Keeps the challenges that may still be answered and the answers that are owed. Who wants a path proved, how often it
//! is asked and what follows is decided elsewhere; only [`Validation::begin`] repeats itself, for a server that follows
//! its client. Random bytes come in as values.

use std::time::Duration;

use smallvec::SmallVec;

use crate::frame::{PathChallenge, PathResponse};
use crate::id::PacketNumber;
use crate::packet::PacketWriter;
use crate::time::Instant;

/// Challenges of one path that stay answerable; an older one is forgotten.
const MAX_ANSWERABLE: usize = 8;
/// Answers owed on one path; the oldest is forgotten when a peer asks more often than it lets us speak.
const MAX_OWED: usize = 4;
/// How often a path that was begun is asked before it is given up.
const ATTEMPTS: u32 = 3;

/// A challenge that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    data: [u8; 8],
    at: Instant,
    /// The number of its packet, if that was of full size.
    padded: Option<PacketNumber>,
}

/// What an answer proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The time since the challenge was sent.
    pub rtt: Duration,
    /// Whether the challenge travelled in a datagram of at least 1200 bytes, so that the path is known to carry them.
    pub padded: bool,
}

/// What is due when a validation that repeats itself comes to its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing: the deadline lies ahead, or there is none.
    Nothing,
    /// The next challenge is wanted.
    Again,
    /// The path did not answer.
    Failed,
}

/// Attempts of a validation that repeats itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attempts {
    made: u32,
    next: Instant,
    spacing: Duration,
}

/// Challenges sent and answers owed.
#[derive(Debug, Default)]
pub struct Validation(Option<Box<Exchange>>);

const _: () = assert!(size_of::<Validation>() <= 8);

/// What is under way: nothing on almost every path, almost all the time.
#[derive(Debug, Default)]
struct Exchange {
    wanted: Option<[u8; 8]>,
    sent: SmallVec<[Sent; 1]>,
    owed: SmallVec<[[u8; 8]; 1]>,
    attempts: Option<Attempts>,
}

impl Exchange {
    fn is_over(&self) -> bool {
        self.wanted.is_none() && self.sent.is_empty() && self.owed.is_empty() && self.attempts.is_none()
    }
}

impl Validation {
    /// Nothing is asked and nothing owed.
    pub fn new() -> Self {
        Self::default()
    }

    fn exchange(&mut self) -> &mut Exchange {
        self.0.get_or_insert_default()
    }

    /// Forgets an exchange that is over.
    fn rest(&mut self) {
        if self.0.as_ref().is_some_and(|exchange| exchange.is_over()) {
            self.0 = None;
        }
    }

    /// Wants one challenge with this data sent; it replaces one that was not sent yet.
    pub fn want(&mut self, data: [u8; 8]) {
        self.exchange().wanted = Some(data);
    }

    /// Wants the path proved: asks now and twice more, the wait doubling from `pto`.
    pub fn begin(&mut self, now: Instant, data: [u8; 8], pto: Duration) {
        self.want(data);
        self.exchange().attempts = Some(Attempts { made: 1, next: now + pto, spacing: pto });
    }

    /// Whether a path that was begun is to be asked once more because its peer spoke: each challenge may be lost, and a
    /// peer that only listens gives few occasions. So often that all stay answerable for a whole wait.
    pub fn may_repeat(&self, now: Instant) -> bool {
        let Some(Exchange { wanted: None, sent, attempts: Some(attempts), .. }) = self.0.as_deref() else {
            return false;
        };
        let gap = attempts.spacing / MAX_ANSWERABLE as u32;
        sent.last().is_none_or(|sent| now.since(sent.at) >= gap)
    }

    /// Whether a challenge waits to be sent.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(|exchange| exchange.wanted.is_some())
    }

    /// Whether an answer waits to be sent.
    #[inline]
    pub fn is_owed(&self) -> bool {
        self.0.as_ref().is_some_and(|exchange| !exchange.owed.is_empty())
    }

    /// The peer asks: its data is to be sent back on this path.
    pub fn on_challenge(&mut self, data: [u8; 8]) {
        let owed = &mut self.exchange().owed;
        if owed.contains(&data) {
            return;
        }
        if owed.len() == MAX_OWED {
            owed.remove(0);
        }
        owed.push(data);
    }

    /// The peer answers: what that proves, if it answers a challenge of this path.
    pub fn on_response(&mut self, now: Instant, data: [u8; 8]) -> Option<Answer> {
        let exchange = self.0.as_mut()?;
        let sent = *exchange.sent.iter().find(|sent| sent.data == data)?;
        **exchange = Exchange { owed: std::mem::take(&mut exchange.owed), ..Exchange::default() };
        self.rest();
        Some(Answer { rtt: now.since(sent.at), padded: sent.padded.is_some() })
    }

    /// Writes the answers owed, then the challenge wanted; what does not fit waits.
    #[inline]
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        let Some(exchange) = &mut self.0 else { return };
        exchange.owed.retain(|data| packet.write(&PathResponse { data: *data }).is_err());
        if let Some(data) = exchange.wanted {
            // It is taken for sent when the datagram is complete: only then its size is known.
            let _ = packet.write(&PathChallenge { data });
        }
        self.rest();
    }

    /// Whether a challenge of full size is among these packets: the path is known to carry as much, answer or not.
    pub fn is_carried(&self, has: impl Fn(PacketNumber) -> bool) -> bool {
        let sent = self.0.iter().flat_map(|exchange| &exchange.sent);
        sent.filter_map(|sent| sent.padded).any(has)
    }

    /// The datagram that [`Validation::write`] wrote into is complete; `padded` names its packet if it is of full size.
    #[inline]
    pub fn on_sent(&mut self, now: Instant, padded: Option<PacketNumber>) {
        let Some(exchange) = &mut self.0 else { return };
        let Some(data) = exchange.wanted.take() else { return };
        if exchange.sent.len() == MAX_ANSWERABLE {
            exchange.sent.remove(0);
        }
        exchange.sent.push(Sent { data, at: now, padded });
    }

    /// When [`Validation::expire`] is to be called.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.0.as_ref()?.attempts?.next)
    }

    /// The deadline may have come; [`Expiry::Again`] is to be followed by [`Validation::want`].
    pub fn expire(&mut self, now: Instant) -> Expiry {
        let Some(exchange) = &mut self.0 else { return Expiry::Nothing };
        let Some(attempts) = &mut exchange.attempts else { return Expiry::Nothing };
        if now < attempts.next {
            return Expiry::Nothing;
        }
        if attempts.made == ATTEMPTS {
            (exchange.attempts, exchange.wanted) = (None, None);
            self.rest();
            return Expiry::Failed;
        }
        attempts.made += 1;
        attempts.spacing = attempts.spacing.saturating_mul(2);
        attempts.next = now + attempts.spacing;
        Expiry::Again
    }

    /// Forgets everything asked and owed: this end of the path is another now.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Record;
    use crate::id::ConnectionId;
    use crate::packet::{Allowance, DatagramWriter, Header};

    const PTO: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn sent(validation: &mut Validation) -> Vec<Record> {
        let (mut buf, mut records) = ([0; 1200], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Short { dcid: ConnectionId::EMPTY };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Seek).expect("1200 bytes hold a packet");
        validation.write(&mut packet);
        let draft = packet.finish();
        datagram.keep(draft);
        records
    }

    #[test]
    fn an_answer_proves_the_path_and_measures_it() {
        let mut validation = Validation::new();
        validation.want([1; 8]);
        sent(&mut validation);
        validation.on_sent(at(10), Some(7));
        assert!(validation.is_carried(|number| number == 7) && !validation.is_carried(|number| number == 8));
        assert_eq!(validation.on_response(at(30), [2; 8]), None);
        let rtt = Duration::from_millis(20);
        assert_eq!(validation.on_response(at(30), [1; 8]), Some(Answer { rtt, padded: true }));
        assert_eq!(validation.on_response(at(40), [1; 8]), None);
    }

    #[test]
    fn an_earlier_challenge_stays_answerable() {
        let mut validation = Validation::new();
        for number in 0..4 {
            validation.want([number; 8]);
            validation.on_sent(at(number.into()), None);
        }
        assert!(validation.on_response(at(9), [1; 8]).is_some());
    }

    #[test]
    fn a_flood_of_challenges_is_answered_for_the_newest_four() {
        let mut validation = Validation::new();
        (0..100).for_each(|number| validation.on_challenge([number; 8]));
        assert_eq!(sent(&mut validation).len(), 4);
        assert!(!validation.is_owed());
    }

    #[test]
    fn an_honest_pair_of_challenges_is_answered_whole() {
        let mut validation = Validation::new();
        validation.on_challenge([1; 8]);
        validation.on_challenge([1; 8]);
        validation.on_challenge([2; 8]);
        assert_eq!(sent(&mut validation), [Record::PathResponse, Record::PathResponse]);
    }

    #[test]
    fn an_exchange_that_is_over_holds_no_memory() {
        let mut validation = Validation::new();
        validation.on_challenge([1; 8]);
        validation.want([2; 8]);
        sent(&mut validation);
        validation.on_sent(at(0), None);
        assert!(validation.0.is_some());
        assert!(validation.on_response(at(10), [2; 8]).is_some());
        assert!(validation.0.is_none());
        validation.on_challenge([1; 8]);
        sent(&mut validation);
        assert!(validation.0.is_none());
    }

    #[test]
    fn a_path_that_was_begun_is_asked_again_when_its_peer_speaks_but_not_at_every_word() {
        let mut validation = Validation::new();
        assert!(!validation.may_repeat(at(0)), "nobody wants it proved");
        validation.begin(at(0), [0; 8], PTO);
        assert!(!validation.may_repeat(at(0)), "the first challenge waits");
        validation.on_sent(at(0), None);
        assert!(!validation.may_repeat(at(12)));
        assert!(validation.may_repeat(at(13)));
        assert!(validation.on_response(at(20), [0; 8]).is_some());
        assert!(!validation.may_repeat(at(50)));
    }

    #[test]
    fn three_silent_attempts_fail_the_path() {
        let mut validation = Validation::new();
        validation.begin(at(0), [0; 8], PTO);
        assert_eq!(validation.expire(at(99)), Expiry::Nothing);
        assert_eq!(validation.expire(at(100)), Expiry::Again);
        assert_eq!(validation.deadline(), Some(at(300)));
        assert_eq!(validation.expire(at(300)), Expiry::Again);
        assert_eq!(validation.expire(at(700)), Expiry::Failed);
        assert_eq!(validation.deadline(), None);
    }
}
