//! The peer's connection IDs that we give back (RFC 9000, Sections 5.1.2 and 19.16).
//!
//! Kept as sets of sequence numbers: a number is owed once, however often the peer repeats itself, and
//! RETIRE_CONNECTION_ID is written from the set.

use crate::frame::{Record, RetireConnectionId};
use crate::packet::PacketWriter;
use crate::range_set::RangeSet;

/// What was given back, what the peer has not acknowledged of it, and what is still to be said.
#[derive(Debug, Default)]
pub(super) struct Retirements(Option<Box<Books>>);

const _: () = assert!(size_of::<Retirements>() <= 8);

/// There are none as long as nothing was ever given back.
#[derive(Debug, Default)]
struct Books {
    /// Everything ever given back.
    all: RangeSet,
    /// Of these, what is not acknowledged, and how many that are.
    pending: RangeSet,
    pending_count: usize,
    /// Of these, what is to be said.
    due: RangeSet,
}

impl Retirements {
    /// Gives an ID back; nothing changes if it was before.
    pub(super) fn insert(&mut self, sequence: u64) {
        let books = self.0.get_or_insert_default();
        if books.all.insert_one(sequence) {
            books.pending.insert_one(sequence);
            books.pending_count += 1;
            books.due.insert_one(sequence);
        }
    }

    /// Whether an ID was ever given back.
    pub(super) fn contains(&self, sequence: u64) -> bool {
        self.0.as_ref().is_some_and(|books| books.all.contains(sequence))
    }

    /// Whether more than `bound` are not acknowledged, or the numbers have more than `bound` runs with holes
    /// between.
    pub(super) fn exceed(&self, bound: usize) -> bool {
        self.0.as_ref().is_some_and(|books| books.pending_count > bound || books.all.len() > bound)
    }

    /// Says what is to be said.
    #[inline]
    pub(super) fn write(&mut self, packet: &mut PacketWriter<'_>) {
        let Some(books) = &mut self.0 else { return };
        while let Some(sequence) = books.due.min() {
            if packet.write(&RetireConnectionId { sequence }).is_err() {
                return;
            }
            books.due.remove(sequence..sequence + 1);
        }
    }

    /// The peer knows.
    pub(super) fn acked(&mut self, record: &Record) {
        let Record::RetireConnectionId { sequence } = *record else { return };
        let Some(books) = &mut self.0 else { return };
        if books.pending.contains(sequence) {
            books.pending.remove(sequence..sequence + 1);
            books.pending_count -= 1;
            books.due.remove(sequence..sequence + 1);
        }
    }

    /// The peer may not know: it is said again.
    pub(super) fn lost(&mut self, record: &Record) {
        let Record::RetireConnectionId { sequence } = *record else { return };
        let Some(books) = &mut self.0 else { return };
        if books.pending.contains(sequence) {
            books.due.insert_one(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnectionId;
    use crate::packet::{Allowance, DatagramWriter, Header};

    /// What is said in a packet with room for `room` bytes of frames.
    fn said(retirements: &mut Retirements, room: usize) -> Vec<u64> {
        let mut buf = vec![0; 1 + 1 + room + 16];
        let mut records = Vec::new();
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Short { dcid: ConnectionId::EMPTY };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room for a packet");
        retirements.write(&mut packet);
        let draft = packet.finish();
        datagram.keep(draft);
        records
            .into_iter()
            .map(|record| {
                let Record::RetireConnectionId { sequence } = record else { panic!("{record:?}") };
                sequence
            })
            .collect()
    }

    #[test]
    fn what_is_given_back_is_said_once_and_again_only_when_lost() {
        let mut retirements = Retirements::default();
        [7, 3, 7].into_iter().for_each(|sequence| retirements.insert(sequence));
        assert_eq!(said(&mut retirements, 100), [3, 7]);
        assert_eq!(said(&mut retirements, 100), [0; 0]);
        retirements.acked(&Record::RetireConnectionId { sequence: 3 });
        [3, 7, 9].into_iter().for_each(|sequence| retirements.lost(&Record::RetireConnectionId { sequence }));
        assert_eq!(said(&mut retirements, 100), [7]);
    }

    #[test]
    fn what_was_thought_lost_and_is_acknowledged_is_not_said_again() {
        let mut retirements = Retirements::default();
        retirements.insert(5);
        said(&mut retirements, 100);
        retirements.lost(&Record::RetireConnectionId { sequence: 5 });
        retirements.acked(&Record::RetireConnectionId { sequence: 5 });
        assert_eq!(said(&mut retirements, 100), [0; 0]);
    }

    #[test]
    fn what_was_acknowledged_is_never_given_back_again() {
        let mut retirements = Retirements::default();
        retirements.insert(5);
        said(&mut retirements, 100);
        retirements.acked(&Record::RetireConnectionId { sequence: 5 });
        retirements.insert(5);
        assert!(retirements.contains(5));
        assert_eq!(said(&mut retirements, 100), [0; 0]);
    }

    #[test]
    fn what_does_not_fit_waits_for_the_next_packet() {
        let mut retirements = Retirements::default();
        (0..5).for_each(|sequence| retirements.insert(sequence));
        assert_eq!(said(&mut retirements, 2 * 2 + 1), [0, 1]);
        assert_eq!(said(&mut retirements, 100), [2, 3, 4]);
    }

    #[test]
    fn too_many_at_a_time_and_too_many_holes_are_both_noticed() {
        let mut retirements = Retirements::default();
        (0..4).for_each(|sequence| retirements.insert(sequence));
        assert!(!retirements.exceed(4) && retirements.exceed(3));
        (0..4).for_each(|sequence| retirements.acked(&Record::RetireConnectionId { sequence }));
        assert!(!retirements.exceed(1));
        [10, 12, 14].into_iter().for_each(|sequence| {
            retirements.insert(sequence);
            retirements.acked(&Record::RetireConnectionId { sequence });
        });
        assert!(!retirements.exceed(4) && retirements.exceed(3));
    }
}
