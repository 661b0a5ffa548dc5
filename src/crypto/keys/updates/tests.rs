//! Updates that we begin, those that cross the peer's, and who may begin when.

use proptest::prelude::*;

use super::*;
use crate::crypto::keys::tests::{DROPPED, PTO, STANDING, at, fault, open, pair, pair_of, sealed};
use crate::crypto::schedule::Suite;
use crate::error::Code;
use crate::id::{ConnectionId, Side};

/// The peer says, in its packet `carrier`, that it has `newest`.
fn acked(ring: &mut KeyRing, now: u64, carrier: PacketNumber, newest: PacketNumber) -> Result<(), Code> {
    ring.on_acked(at(now), carrier, newest, || PTO).map_err(|fault| fault.code)
}

/// Two rings that have each received packet 0 of the other.
fn met_of(suite: Suite) -> (KeyRing, KeyRing) {
    let (mut a, mut b) = pair_of(suite);
    assert_eq!(open(&mut b, &sealed(&mut a, 0), 0, at(0)), Ok((0, false)));
    assert_eq!(open(&mut a, &sealed(&mut b, 0), 0, at(0)), Ok((0, false)));
    (a, b)
}

fn met() -> (KeyRing, KeyRing) {
    met_of(Suite::Aes128Gcm)
}

/// Two rings in the phase that `a` began at 0, which has sealed no packet in it; the first would be 10.
fn pair_with_an_update() -> (KeyRing, KeyRing) {
    let (mut a, b) = met();
    assert_eq!(acked(&mut a, 0, 0, 0), Ok(()));
    assert_eq!(a.update(at(0), 1, 10), Ok(()));
    (a, b)
}

#[test]
fn the_first_update_waits_for_an_acknowledgement_and_no_longer() {
    let (mut a, _) = met();
    assert_eq!(a.update(at(0), 0, 1), Err(KeyUpdateError::Unacknowledged));
    assert_eq!(acked(&mut a, 7, 0, 0), Ok(()));
    assert_eq!(a.update(at(7), 1, 1), Ok(()));
}

#[test]
fn another_update_waits_until_the_peer_has_no_older_keys() {
    let (mut a, mut b) = pair_with_an_update();
    assert_eq!(a.update(at(5000), 1, 10), Err(KeyUpdateError::Unacknowledged));
    assert_eq!(open(&mut b, &sealed(&mut a, 10), 10, at(0)), Ok((10, true)));
    assert_eq!(open(&mut a, &sealed(&mut b, 1), 1, at(40)), Ok((1, false)));
    // The peer is known to follow; what it has of ours is another question.
    assert_eq!(a.update(at(5000), 2, 11), Err(KeyUpdateError::Unacknowledged));
    assert_eq!(acked(&mut a, 50, 1, 9), Ok(()));
    assert_eq!(a.update(at(5000), 2, 11), Err(KeyUpdateError::Unacknowledged));
    assert_eq!(acked(&mut a, 60, 1, 10), Ok(()));
    assert_eq!(a.update(at(359), 2, 11), Err(KeyUpdateError::TooSoon));
    // More of the same does not put it off.
    assert_eq!(acked(&mut a, 100, 1, 11), Ok(()));
    assert_eq!(a.update(at(360), 2, 12), Ok(()));
}

#[test]
fn who_follows_an_update_may_begin_the_next_by_the_same_rule() {
    let (mut a, mut b) = pair_with_an_update();
    assert_eq!(open(&mut b, &sealed(&mut a, 10), 10, at(0)), Ok((10, true)));
    assert_eq!(b.update(at(5000), 11, 1), Err(KeyUpdateError::Unacknowledged));
    let first = STANDING.next_number;
    assert_eq!(acked(&mut b, 80, 11, first - 1), Ok(()));
    assert_eq!(b.update(at(5000), 11, 1), Err(KeyUpdateError::Unacknowledged));
    assert_eq!(acked(&mut b, 80, 11, first), Ok(()));
    assert_eq!(b.update(at(379), 11, first + 1), Err(KeyUpdateError::TooSoon));
    assert_eq!(b.update(at(380), 11, first + 1), Ok(()));
}

#[test]
fn until_the_peer_follows_its_old_key_is_kept_however_long_it_takes() {
    let (mut a, mut b) = pair_with_an_update();
    assert_eq!(a.deadline(), None);
    a.expire(at(1_000_000));
    assert_eq!(open(&mut a, &sealed(&mut b, 1), 1, at(1_000_000)), Ok((1, false)));
}

#[test]
fn once_the_peer_has_followed_its_old_key_is_kept_for_three_probe_timeouts() {
    let (mut a, mut b) = pair_with_an_update();
    let delayed = [sealed(&mut b, 1), sealed(&mut b, 2)];
    assert_eq!(open(&mut b, &sealed(&mut a, 10), 0, at(0)), Ok((10, true)));
    assert_eq!(open(&mut a, &sealed(&mut b, 3), 1, at(500)), Ok((3, false)));
    assert_eq!(a.deadline(), Some(at(800)));
    assert_eq!(open(&mut a, &delayed[0], 4, at(799)), Ok((1, false)));
    assert_eq!(open(&mut a, &delayed[1], 4, at(800)), DROPPED);
    a.expire(at(800));
    assert_eq!(a.deadline(), None);
}

#[test]
fn updates_that_cross_are_one() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        let (mut a, mut b) = met_of(suite);
        let old = [sealed(&mut a, 1), sealed(&mut b, 1)];
        for ring in [&mut a, &mut b] {
            assert_eq!(acked(ring, 0, 0, 0), Ok(()));
            assert_eq!(ring.update(at(0), 1, 2), Ok(()));
        }
        assert_eq!(open(&mut b, &old[0], 1, at(20)), Ok((1, false)));
        assert_eq!(open(&mut a, &old[1], 1, at(20)), Ok((1, false)));
        assert_eq!(open(&mut b, &sealed(&mut a, 2), 2, at(21)), Ok((2, false)));
        assert_eq!(open(&mut a, &sealed(&mut b, 2), 2, at(21)), Ok((2, false)));
        for ring in [&mut a, &mut b] {
            assert_eq!(acked(ring, 40, 3, 2), Ok(()));
            assert_eq!(ring.update(at(339), 3, 3), Err(KeyUpdateError::TooSoon));
        }
        assert_eq!(a.update(at(340), 3, 3), Ok(()));
        assert_eq!(open(&mut b, &sealed(&mut a, 3), 3, at(360)), Ok((3, true)));
        assert_eq!(open(&mut a, &sealed(&mut b, 3), 3, at(380)), Ok((3, false)));
    }
}

#[test]
fn a_copy_from_the_phase_before_does_not_open_again_as_one_of_the_next() {
    let (mut a, mut b) = pair_with_an_update();
    let old = sealed(&mut b, 1);
    assert_eq!(open(&mut b, &sealed(&mut a, 10), 0, at(0)), Ok((10, true)));
    assert_eq!(open(&mut a, &sealed(&mut b, 2), 1, at(40)), Ok((2, false)));
    a.expire(at(340));
    assert_eq!(open(&mut a, &old, 3, at(340)), DROPPED);
    assert_eq!((a.phase, a.deadline()), (true, None));
}

#[test]
fn an_old_key_that_acknowledges_what_had_the_new_one_is_an_error() {
    let (mut a, mut b) = pair_with_an_update();
    assert_eq!(open(&mut a, &sealed(&mut b, 1), 1, at(0)), Ok((1, false)));
    assert_eq!(acked(&mut a, 0, 1, 9), Ok(()));
    assert_eq!(acked(&mut a, 0, 1, 10), Err(Code::KEY_UPDATE_ERROR));
}

#[test]
fn an_old_key_that_acknowledges_too_much_is_an_error_even_when_it_comes_late() {
    let (mut a, mut b) = pair_with_an_update();
    let late = sealed(&mut b, 1);
    assert_eq!(open(&mut b, &sealed(&mut a, 10), 0, at(0)), Ok((10, true)));
    assert_eq!(open(&mut a, &sealed(&mut b, 2), 1, at(40)), Ok((2, false)));
    assert_eq!(acked(&mut a, 40, 2, 10), Ok(()));
    assert_eq!(open(&mut a, &late, 3, at(41)), Ok((1, false)));
    assert_eq!(acked(&mut a, 41, 1, 9), Ok(()));
    assert_eq!(acked(&mut a, 41, 1, 11), Err(Code::KEY_UPDATE_ERROR));
}

#[test]
fn an_older_key_above_a_newer_one_is_an_error_in_an_update_of_ours() {
    let (mut a, mut b) = pair_with_an_update();
    let older = sealed(&mut b, 8);
    assert_eq!(open(&mut a, &older, 1, at(0)), Ok((8, false)));
    assert_eq!(open(&mut b, &sealed(&mut a, 10), 0, at(0)), Ok((10, true)));
    assert_eq!(fault(open(&mut a, &sealed(&mut b, 7), 9, at(40))), Code::KEY_UPDATE_ERROR);
}

#[test]
fn a_peer_that_updates_again_before_we_spoke_in_a_phase_of_both_is_in_error() {
    let (mut a, mut b) = pair_with_an_update();
    b.force_update();
    assert_eq!(open(&mut a, &sealed(&mut b, 1), 1, at(0)), Ok((1, false)));
    b.force_update();
    assert_eq!(fault(open(&mut a, &sealed(&mut b, 2), 2, at(0))), Code::KEY_UPDATE_ERROR);
}

#[test]
fn a_key_asks_to_be_replaced_after_so_many_packets() {
    let (mut a, _) = met();
    a.wear_after(2);
    assert!(!a.is_worn());
    let _ = sealed(&mut a, 1);
    assert!(a.is_worn());
    assert_eq!(a.check(), Ok(()));
    assert_eq!(acked(&mut a, 0, 0, 0), Ok(()));
    assert_eq!(a.update(at(0), 0, 2), Ok(()));
    assert!(!a.is_worn());
}

#[test]
fn a_key_asks_to_be_replaced_long_before_it_is_used_up() {
    for (suite, asks_at) in
        [(Suite::Aes128Gcm, 1 << 22), (Suite::Aes256Gcm, 1 << 22), (Suite::ChaCha20Poly1305, 1 << 61)]
    {
        let (mut a, _) = pair_of(suite);
        a.wear_after(1 << 62);
        a.sealed = asks_at - 1;
        assert!(!a.is_worn());
        a.sealed = asks_at;
        assert!(a.is_worn());
        assert_eq!(a.check(), Ok(()));
    }
}

#[test]
fn keys_of_the_handshake_are_never_replaced() {
    let dcid = ConnectionId::new(&[7; 8]).expect("a connection ID");
    let mut ring = KeyRing::initial(crate::packet::Version::V1, &dcid, Side::Client);
    ring.wear_after(1);
    ring.sealed = 1000;
    assert!(!ring.is_worn());
    assert_eq!(ring.update(at(0), 0, 1), Err(KeyUpdateError::Unacknowledged));
}

/// One side of an honest connection.
struct End {
    ring: KeyRing,
    /// The number of its next packet.
    next: PacketNumber,
    /// One above the largest number it received.
    expected: PacketNumber,
    /// The largest number that the other has acknowledged.
    acked: Option<PacketNumber>,
}

/// A packet on its way to the other side, which acknowledges what its sender had received.
struct Flying {
    bytes: Vec<u8>,
    ack: Option<PacketNumber>,
    until: Instant,
}

impl End {
    fn new(ring: KeyRing) -> Self {
        Self { ring, next: 0, expected: 0, acked: None }
    }

    fn say(&mut self, now: Instant) -> Flying {
        let bytes = sealed(&mut self.ring, self.next);
        self.next += 1;
        // No packet takes longer than two probe timeouts.
        Flying { bytes, ack: self.expected.checked_sub(1), until: now + PTO * 2 }
    }

    fn hear(&mut self, now: Instant, mut packet: Flying) {
        self.ring.expire(now);
        let standing = Standing { pto: PTO, next_number: self.next };
        let opened = self.ring.open(&mut packet.bytes, 9, self.expected, now, || standing);
        let number = opened.expect("an honest packet that is not too late opens").number;
        self.expected = self.expected.max(number + 1);
        if packet.ack > self.acked {
            self.acked = packet.ack;
            let newest = packet.ack.expect("it is above none");
            assert_eq!(self.ring.on_acked(now, number, newest, || PTO), Ok(()));
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// An end says something.
    Say(usize),
    /// Something that an end said arrives, the first or any other.
    Arrive(usize, usize),
    /// Something that an end said is lost.
    Lose(usize, usize),
    /// An end wants another key phase.
    Update(usize),
    /// Milliseconds pass.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let end = 0..2_usize;
    prop_oneof![
        6 => end.clone().prop_map(Step::Say),
        6 => (end.clone(), 0..4_usize).prop_map(|(end, which)| Step::Arrive(end, which)),
        1 => (end.clone(), 0..4_usize).prop_map(|(end, which)| Step::Lose(end, which)),
        4 => end.prop_map(Step::Update),
        4 => (1..120_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn honest_ends_that_update_whenever_they_may_read_each_other(steps in prop::collection::vec(step(), 0..400)) {
        let (a, b) = pair();
        let mut ends = [End::new(a), End::new(b)];
        let mut flying = [Vec::new(), Vec::new()];
        let mut now = 0;
        for step in steps {
            flying.iter_mut().for_each(|flying: &mut Vec<Flying>| flying.retain(|packet| at(now) < packet.until));
            match step {
                Step::Say(end) => flying[end].push(ends[end].say(at(now))),
                Step::Arrive(end, which) if which < flying[end].len() => {
                    ends[1 - end].hear(at(now), flying[end].remove(which));
                }
                Step::Lose(end, which) if which < flying[end].len() => drop(flying[end].remove(which)),
                Step::Arrive(..) | Step::Lose(..) => {}
                Step::Update(end) => {
                    let End { ring, next, expected, .. } = &mut ends[end];
                    let _ = ring.update(at(now), *expected, *next);
                }
                Step::Wait(millis) => now += millis,
            }
        }
        let counts = ends.map(|end| end.ring.updates.expect("1-RTT keys").count);
        prop_assert!(counts[0].abs_diff(counts[1]) <= 1, "{counts:?}");
    }
}
