//! The connection IDs we issue: which the peer has, which it is yet to be told of, how many more it needs.
//!
//! The first, with sequence number 0, is in every handshake packet; the others go out in NEW_CONNECTION_ID
//! frames (RFC 9000, Section 5.1.1). Whoever owns this draws the IDs and their tokens when
//! [`LocalIds::wanted`] says so.

use crate::error::TransportError;
use crate::frame::{NewConnectionId, Record, RetireConnectionId};
use crate::id::{ConnectionId, ResetToken, SpaceId};
use crate::packet::PacketWriter;

/// Spare IDs that the peer is given when nothing else was said: one to answer our move with, one for its own.
const DEFAULT_TARGET: u32 = 2;

/// The limit of a peer that has not named its own (RFC 9000, Section 18.2).
const DEFAULT_LIMIT: u32 = 2;

/// Whether the peer has heard of an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// To be said, for the first time or again.
    Due(ResetToken),
    /// Said, and not known to be lost.
    Said(ResetToken),
    /// The peer has it. The ID of the handshake begins here.
    Known,
}

/// An ID that is active: packets for it are for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Issued {
    sequence: u64,
    id: ConnectionId,
    announced: Announced,
    /// The peer is to retire it; those before it as well.
    is_outdated: bool,
}

/// All IDs by which the peer may call us.
///
/// A flood of RETIRE_CONNECTION_ID gains nothing: a repetition is ignored, an ID that was never said cannot
/// be retired, and each that is retired is replaced once, so a peer gets `target` IDs for a round trip of its
/// own.
#[derive(Debug)]
pub struct LocalIds {
    /// The active ones in ascending order of their sequence numbers.
    active: Vec<Issued>,
    next: u64,
    /// One above the highest sequence number that was ever said.
    unsaid: u64,
    /// The peer is to retire all below, which is said with those above.
    retire_prior_to: u64,
    limit: u32,
    target: u32,
    /// How many are to be said.
    due: u32,
    /// Length of each of them, in bytes.
    len: u8,
}

const _: () = assert!(size_of::<LocalIds>() <= 64 && size_of::<Issued>() <= 48);

impl LocalIds {
    /// Begins with the ID of the handshake. If it has no bytes, no other is ever issued.
    pub fn new(first: ConnectionId) -> Self {
        Self {
            active: vec![Issued { sequence: 0, id: first, announced: Announced::Known, is_outdated: false }],
            next: 1,
            unsaid: 1,
            retire_prior_to: 0,
            limit: DEFAULT_LIMIT,
            target: DEFAULT_TARGET,
            due: 0,
            len: u8::try_from(first.len()).expect("an ID has at most 20 bytes"),
        }
    }

    /// The active IDs, oldest first.
    pub fn ids(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.active.iter().map(|issued| issued.id)
    }

    /// Length of each of our IDs, in bytes; known even when the peer has retired the last of them.
    #[inline]
    pub fn id_len(&self) -> usize {
        self.len.into()
    }

    /// Sets how many spare IDs the peer should have besides the one it uses; fewer takes none back.
    pub fn set_target(&mut self, spare: usize) {
        self.target = u32::try_from(spare).unwrap_or(u32::MAX);
    }

    /// The peer keeps no more than `limit` IDs (`active_connection_id_limit`).
    pub fn on_peer_limit(&mut self, limit: u64) {
        self.limit = u32::try_from(limit).unwrap_or(u32::MAX);
    }

    /// How many IDs to issue now, within the peer's limit.
    pub fn wanted(&self) -> usize {
        if self.len == 0 {
            return 0;
        }
        let goal = usize::try_from(self.target.saturating_add(1).min(self.limit)).unwrap_or(usize::MAX);
        // Outdated ones do not count, since the peer retires them as it learns of others (RFC 9000, Section 5.1.1); but
        // if it does not, no third generation is issued.
        let room = goal.saturating_mul(2).saturating_sub(self.active.len());
        goal.saturating_sub(self.active.len() - self.outdated()).min(room)
    }

    /// All IDs issued so far are to be retired by the peer, which is said with the next ones that are issued (RFC 9000,
    /// Section 5.1.2). They stay active until then.
    pub fn outdate(&mut self) {
        self.active.iter_mut().for_each(|issued| issued.is_outdated = true);
    }

    /// How many of the active ones the peer is to retire.
    fn outdated(&self) -> usize {
        self.active.partition_point(|issued| issued.is_outdated)
    }

    /// Issues an ID: packets for it are for us from now on.
    pub fn issue(&mut self, id: ConnectionId, token: ResetToken) {
        if let Some(outdated) = self.outdated().checked_sub(1).and_then(|last| self.active.get(last)) {
            self.retire_prior_to = outdated.sequence + 1;
        }
        // They are few and stay for long: the list has no room to spare.
        self.active.reserve_exact(1);
        self.active.push(Issued {
            sequence: self.next,
            id,
            announced: Announced::Due(token),
            is_outdated: false,
        });
        self.next += 1;
        self.due += 1;
    }

    /// Issues an ID that the peer is told of in the handshake, with its server's preferred address.
    pub fn issue_in_handshake(&mut self, id: ConnectionId) {
        self.active.reserve_exact(1);
        self.active.push(Issued { sequence: self.next, id, announced: Announced::Known, is_outdated: false });
        self.next += 1;
        self.unsaid = self.next;
    }

    /// How many IDs the peer was given beyond the one it uses. Those that are still to be said or to be retired do not
    /// count.
    pub fn spare_issued(&self) -> usize {
        let said = self.active.partition_point(|issued| issued.sequence < self.unsaid);
        said.saturating_sub(self.outdated()).saturating_sub(1)
    }

    /// The peer will not use one of our IDs any more. Returns it, for the endpoint to forget; `None` if it
    /// was retired before. `arrived_on` is the ID that the packet was sent to.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION for an ID that was never said, the one the packet came on, and any if ours has no
    /// bytes (RFC 9000, Section 19.16).
    pub fn on_retire(
        &mut self,
        frame: &RetireConnectionId,
        arrived_on: &[u8],
    ) -> Result<Option<ConnectionId>, TransportError> {
        if self.len == 0 {
            return Err(TransportError::protocol_violation("our connection ID has no bytes and stays"));
        }
        if frame.sequence >= self.unsaid {
            return Err(TransportError::protocol_violation("a connection ID that was not issued is retired"));
        }
        let Some(at) = self.position(frame.sequence) else { return Ok(None) };
        let retired = self.active[at];
        if *retired.id == *arrived_on {
            return Err(TransportError::protocol_violation(
                "the connection ID of the packet itself is retired",
            ));
        }
        self.active.remove(at);
        self.due -= u32::from(matches!(retired.announced, Announced::Due(_)));
        Ok(Some(retired.id))
    }

    /// Writes NEW_CONNECTION_ID for those the peer is still to be told of.
    #[inline]
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if self.due > 0 && packet.space() == SpaceId::Data {
            self.write_due(packet);
        }
    }

    fn write_due(&mut self, packet: &mut PacketWriter<'_>) {
        for issued in &mut self.active {
            let Announced::Due(token) = issued.announced else { continue };
            let Issued { sequence, id, .. } = *issued;
            let retire_prior_to = self.retire_prior_to.min(sequence);
            if packet.write(&NewConnectionId { sequence, retire_prior_to, id, token }).is_err() {
                return;
            }
            issued.announced = Announced::Said(token);
            self.unsaid = self.unsaid.max(sequence + 1);
            self.due -= 1;
        }
    }

    /// The peer has an ID.
    pub fn acked(&mut self, record: &Record) {
        let Some(at) = self.recorded(record) else { return };
        self.due -= u32::from(matches!(self.active[at].announced, Announced::Due(_)));
        self.active[at].announced = Announced::Known;
    }

    /// What told the peer of an ID was lost: it is said again, if it is still active and unknown.
    pub fn lost(&mut self, record: &Record) {
        let Some(at) = self.recorded(record) else { return };
        if let Announced::Said(token) = self.active[at].announced {
            self.active[at].announced = Announced::Due(token);
            self.due += 1;
        }
    }

    fn recorded(&self, record: &Record) -> Option<usize> {
        let Record::NewConnectionId { sequence } = record else { return None };
        self.position(*sequence)
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        self.active.binary_search_by_key(&sequence, |issued| issued.sequence).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;
    use crate::frame::{Frame, Frames};
    use crate::packet::{Allowance, DatagramWriter, Header, Version};

    fn id(n: u64) -> ConnectionId {
        ConnectionId::new(&n.to_be_bytes()).expect("eight bytes")
    }

    fn token(n: u64) -> ResetToken {
        ResetToken([n.to_be_bytes(), n.to_be_bytes()].concat().try_into().expect("sixteen bytes"))
    }

    fn issue_wanted(ids: &mut LocalIds) -> usize {
        let wanted = ids.wanted();
        for _ in 0..wanted {
            ids.issue(id(ids.next), token(ids.next));
        }
        wanted
    }

    /// IDs of a peer with this limit, as many issued as wanted.
    fn ids(limit: u64, target: usize) -> LocalIds {
        let mut ids = LocalIds::new(id(0));
        ids.on_peer_limit(limit);
        ids.set_target(target);
        issue_wanted(&mut ids);
        ids
    }

    /// The sequence numbers said in a packet with room for `room` bytes of frames.
    fn said(ids: &mut LocalIds, room: usize) -> Vec<u64> {
        let mut buf = vec![0; 9 + 1 + room + 16];
        let mut records = Vec::new();
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Short { dcid: id(77) };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room for a packet");
        ids.write(&mut packet);
        let draft = packet.finish();
        datagram.keep(draft);
        let payload = datagram.drafts().first().map(|draft| draft.payload_at..draft.end);
        drop(datagram);
        let payload = payload.map_or(&[][..], |range| &buf[range]);
        let frames: Vec<Frame<'_>> = Frames::new(payload).map(|f| f.expect("our own frames")).collect();
        let sequences: Vec<u64> = frames
            .iter()
            .map(|frame| {
                let Frame::NewConnectionId(new) = frame else { panic!("{frame:?}") };
                assert_eq!((new.id, new.token), (id(new.sequence), token(new.sequence)));
                assert_eq!(new.retire_prior_to, ids.retire_prior_to.min(new.sequence));
                new.sequence
            })
            .collect();
        let recorded: Vec<Record> =
            sequences.iter().map(|&sequence| Record::NewConnectionId { sequence }).collect();
        assert_eq!(records, recorded);
        sequences
    }

    fn retire(ids: &mut LocalIds, sequence: u64, arrived_on: u64) -> Result<Option<ConnectionId>, Code> {
        ids.on_retire(&RetireConnectionId { sequence }, &id(arrived_on)).map_err(|e| e.code)
    }

    #[test]
    fn no_more_are_issued_than_the_peer_keeps_and_we_want() {
        assert_eq!(LocalIds::new(id(0)).wanted(), 1);
        assert_eq!(ids(2, 8).ids().count(), 2);
        assert_eq!(ids(100, 8).ids().count(), 9);
        assert_eq!(ids(u64::MAX, 3).ids().count(), 4);
    }

    #[test]
    fn raising_the_target_wants_more_and_lowering_it_takes_none_back() {
        let mut ids = ids(10, 2);
        ids.set_target(5);
        assert_eq!(issue_wanted(&mut ids), 3);
        ids.set_target(0);
        assert_eq!((ids.wanted(), ids.ids().count()), (0, 6));
    }

    #[test]
    fn an_id_of_the_handshake_counts_and_is_not_said_again() {
        let mut ids = LocalIds::new(id(0));
        ids.issue_in_handshake(id(1));
        assert_eq!((ids.wanted(), ids.spare_issued()), (0, 1));
        ids.on_peer_limit(10);
        assert_eq!(issue_wanted(&mut ids), 1);
        assert_eq!(said(&mut ids, 1200), [2]);
        assert_eq!(retire(&mut ids, 1, 0), Ok(Some(id(1))));
    }

    #[test]
    fn outdated_ids_are_replaced_and_stay_until_the_peer_retires_them() {
        let mut ids = ids(10, 2);
        assert_eq!(said(&mut ids, 1200), [1, 2]);
        ids.outdate();
        assert_eq!((ids.spare_issued(), issue_wanted(&mut ids)), (0, 3));
        assert_eq!((said(&mut ids, 1200), ids.retire_prior_to), (vec![3, 4, 5], 3));
        assert_eq!((ids.ids().count(), ids.spare_issued()), (6, 2));
        (0..3).for_each(|sequence| assert_eq!(retire(&mut ids, sequence, 3), Ok(Some(id(sequence)))));
        assert_eq!((ids.wanted(), ids.ids().count(), ids.outdated()), (0, 3, 0));
    }

    #[test]
    fn an_outdated_id_that_the_peer_may_not_know_is_still_said() {
        let mut ids = ids(10, 1);
        assert_eq!(said(&mut ids, 1200), [1]);
        ids.outdate();
        issue_wanted(&mut ids);
        ids.lost(&Record::NewConnectionId { sequence: 1 });
        // That it is outdated is said with those that come after it: no frame retires its own ID.
        assert_eq!(said(&mut ids, 1200), [1, 2, 3]);
    }

    #[test]
    fn a_peer_that_retires_nothing_gets_no_third_generation() {
        let mut ids = ids(10, 2);
        assert_eq!(said(&mut ids, 1200), [1, 2]);
        for _ in 0..10 {
            ids.outdate();
            issue_wanted(&mut ids);
        }
        assert_eq!(ids.ids().count(), 6);
        // One that does gets the newest, one for each that it retires.
        assert_eq!((said(&mut ids, 1200), ids.retire_prior_to), (vec![3, 4, 5], 3));
        (0..3).for_each(|sequence| assert!(retire(&mut ids, sequence, 5).is_ok_and(|id| id.is_some())));
        assert_eq!(issue_wanted(&mut ids), 3);
        assert_eq!((said(&mut ids, 1200), ids.retire_prior_to), (vec![6, 7, 8], 6));
    }

    #[test]
    fn an_id_without_bytes_stays_the_only_one() {
        let mut ids = LocalIds::new(ConnectionId::EMPTY);
        ids.on_peer_limit(10);
        assert_eq!((ids.wanted(), ids.id_len(), ids.spare_issued()), (0, 0, 0));
        let refused = ids.on_retire(&RetireConnectionId { sequence: 0 }, &ConnectionId::EMPTY);
        assert_eq!(refused.map_err(|e| e.code), Err(Code::PROTOCOL_VIOLATION));
    }

    #[test]
    fn each_is_said_once_and_again_only_when_lost() {
        let mut ids = ids(10, 3);
        assert_eq!(said(&mut ids, 1200), [1, 2, 3]);
        assert_eq!(said(&mut ids, 1200), [0; 0]);
        ids.acked(&Record::NewConnectionId { sequence: 1 });
        (1..=3).for_each(|sequence| ids.lost(&Record::NewConnectionId { sequence }));
        assert_eq!(said(&mut ids, 1200), [2, 3]);
    }

    #[test]
    fn what_was_thought_lost_and_is_acknowledged_is_not_said_again() {
        let mut ids = ids(10, 1);
        assert_eq!(said(&mut ids, 1200), [1]);
        ids.lost(&Record::NewConnectionId { sequence: 1 });
        ids.acked(&Record::NewConnectionId { sequence: 1 });
        assert_eq!(said(&mut ids, 1200), [0; 0]);
        ids.lost(&Record::NewConnectionId { sequence: 1 });
        assert_eq!(said(&mut ids, 1200), [0; 0]);
    }

    #[test]
    fn what_does_not_fit_waits_for_the_next_packet() {
        let mut ids = ids(10, 3);
        assert_eq!(said(&mut ids, 2 * 28), [1, 2]);
        assert_eq!(ids.spare_issued(), 2);
        assert_eq!(said(&mut ids, 2 * 28), [3]);
        assert_eq!(ids.spare_issued(), 3);
    }

    #[test]
    fn nothing_is_said_in_a_handshake_packet() {
        let mut ids = ids(10, 1);
        let (mut buf, mut records) = ([0; 1200], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Handshake { version: Version::V1, dcid: id(77), scid: id(0) };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room for a packet");
        ids.write(&mut packet);
        assert!(!packet.carries());
    }

    #[test]
    fn a_retired_id_is_forgotten_and_replaced_once() {
        let mut ids = ids(10, 2);
        said(&mut ids, 1200);
        assert_eq!(retire(&mut ids, 0, 1), Ok(Some(id(0))));
        assert_eq!(ids.wanted(), 1);
        assert_eq!(retire(&mut ids, 0, 1), Ok(None));
        assert_eq!(issue_wanted(&mut ids), 1);
        assert_eq!(said(&mut ids, 1200), [3]);
        assert_eq!(ids.ids().collect::<Vec<_>>(), [id(1), id(2), id(3)]);
    }

    #[test]
    fn retiring_what_was_never_said_is_a_violation() {
        let mut ids = ids(10, 3);
        assert_eq!(retire(&mut ids, 1, 0), Err(Code::PROTOCOL_VIOLATION));
        said(&mut ids, 28);
        assert_eq!(retire(&mut ids, 2, 0), Err(Code::PROTOCOL_VIOLATION));
        assert_eq!(retire(&mut ids, 1, 0), Ok(Some(id(1))));
        assert_eq!(retire(&mut ids, u64::MAX, 0), Err(Code::PROTOCOL_VIOLATION));
    }

    #[test]
    fn retiring_the_id_a_packet_came_on_is_a_violation() {
        let mut ids = ids(10, 1);
        said(&mut ids, 1200);
        assert_eq!(retire(&mut ids, 1, 1), Err(Code::PROTOCOL_VIOLATION));
        assert_eq!(retire(&mut ids, 1, 0), Ok(Some(id(1))));
    }

    #[test]
    fn an_id_retired_before_its_repetition_is_not_repeated() {
        let mut ids = ids(10, 2);
        said(&mut ids, 1200);
        ids.lost(&Record::NewConnectionId { sequence: 1 });
        assert_eq!(retire(&mut ids, 1, 0), Ok(Some(id(1))));
        assert_eq!(said(&mut ids, 1200), [0; 0]);
        ids.lost(&Record::NewConnectionId { sequence: 1 });
        ids.acked(&Record::NewConnectionId { sequence: 1 });
        assert_eq!(said(&mut ids, 1200), [0; 0]);
    }

    #[test]
    fn the_length_outlives_the_last_id() {
        let mut ids = ids(1, 0);
        assert_eq!(retire(&mut ids, 0, 99), Ok(Some(id(0))));
        assert_eq!((ids.ids().count(), ids.id_len()), (0, 8));
        assert_eq!(ids.wanted(), 1);
    }

    #[test]
    fn a_peer_that_retires_all_it_gets_holds_no_more_of_our_memory() {
        let mut ids = ids(8, 7);
        for _ in 0..1000 {
            said(&mut ids, 1200);
            let newest = ids.active.last().expect("it came on one").sequence;
            for sequence in 0..newest {
                assert!(retire(&mut ids, sequence, newest).is_ok());
            }
            assert_eq!(issue_wanted(&mut ids), 7);
            assert_eq!(ids.active.len(), 8);
        }
    }

    proptest! {
        #[test]
        fn the_peer_never_has_more_than_its_limit(
            limit in 2u64..12,
            target in 0usize..12,
            ops in prop::collection::vec((0u8..5, 0u64..40), 0..80),
        ) {
            let mut ids = ids(limit, target);
            for (op, n) in ops {
                match op {
                    0 => { issue_wanted(&mut ids); }
                    1 => { said(&mut ids, usize::try_from(n * 5 + 4).expect("small")); }
                    2 => { let _ = retire(&mut ids, n, 0); }
                    3 => ids.acked(&Record::NewConnectionId { sequence: n }),
                    _ => ids.lost(&Record::NewConnectionId { sequence: n }),
                }
                let due = ids.active.iter().filter(|i| matches!(i.announced, Announced::Due(_))).count();
                prop_assert_eq!(ids.due as usize, due);
                prop_assert!(ids.active.len() as u64 <= limit);
                prop_assert!(ids.spare_issued() < ids.active.len());
            }
        }
    }
}
