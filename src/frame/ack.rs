//! ACK (RFC 9000, Section 19.3): read as borrowed ranges, written from a [`RangeSet`].

use std::ops::RangeInclusive;

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};
use crate::range_set::RangeSet;
use crate::varint::size;

/// Counts of ECN marks that the peer has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EcnCounts {
    /// Packets marked ECT(0).
    pub ect0: u64,
    /// Packets marked ECT(1).
    pub ect1: u64,
    /// Packets marked CE.
    pub ce: u64,
}

/// A received ACK. Its ranges were checked when it was read and are walked lazily: a claim allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The largest packet number acknowledged.
    pub largest: u64,
    /// Time between receipt of `largest` and this ACK, not yet scaled by the peer's exponent.
    pub delay: u64,
    /// ECN counts, if the frame has them.
    pub ecn: Option<EcnCounts>,
    first: u64,
    ranges: &'a [u8],
}

impl<'a> Ack<'a> {
    pub(super) fn read(ecn: bool, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const BELOW_ZERO: Malformed = Malformed("an ACK range reaches below packet number zero");
        let largest = reader.varint()?;
        let delay = reader.varint()?;
        let count = reader.varint()?;
        let first = reader.varint()?;
        let mut smallest = largest.checked_sub(first).ok_or(BELOW_ZERO)?;
        let before = reader.rest();
        for _ in 0..count {
            let gap = reader.varint()?;
            let len = reader.varint()?;
            let largest = smallest.checked_sub(gap).and_then(|v| v.checked_sub(2)).ok_or(BELOW_ZERO)?;
            smallest = largest.checked_sub(len).ok_or(BELOW_ZERO)?;
        }
        let ranges = before.get(..before.len() - reader.len()).unwrap_or_default();
        let ecn = if ecn {
            Some(EcnCounts { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? })
        } else {
            None
        };
        Ok(Self { largest, delay, ecn, first, ranges })
    }

    /// The acknowledged numbers as ranges, from the largest down.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + use<'a> {
        let first = self.largest.saturating_sub(self.first)..=self.largest;
        let mut reader = Reader::new(self.ranges);
        let mut smallest = *first.start();
        let rest = std::iter::from_fn(move || {
            let gap = reader.varint().ok()?;
            let len = reader.varint().ok()?;
            let largest = smallest.checked_sub(gap)?.checked_sub(2)?;
            smallest = largest.checked_sub(len)?;
            Some(smallest..=largest)
        });
        std::iter::once(first).chain(rest)
    }
}

/// An ACK to send: the newest `limit` ranges of a set that is not empty.
#[derive(Debug, Clone, Copy)]
pub struct AckOut<'a> {
    /// The received packet numbers.
    pub ranges: &'a RangeSet,
    /// How many ranges to report at most, from the largest down; at least one.
    pub limit: usize,
    /// Time since the largest was received, scaled by our exponent.
    pub delay: u64,
    /// ECN counts, if marks were seen.
    pub ecn: Option<EcnCounts>,
    /// Whether a packet is worth sending for it.
    pub due: bool,
}

impl AckOut<'_> {
    /// Calls `each` with the fields of the frame in order.
    fn fields(&self, mut each: impl FnMut(u64)) {
        let count = self.ranges.len().min(self.limit.max(1));
        let mut ranges = self.ranges.iter().rev().take(count);
        let Some(first) = ranges.next() else { return };
        each(if self.ecn.is_some() { 0x03 } else { 0x02 });
        each(first.end - 1);
        each(self.delay);
        each(count as u64 - 1);
        each(first.end - 1 - first.start);
        let mut smallest = first.start;
        for range in ranges {
            each(smallest - range.end - 1);
            each(range.end - 1 - range.start);
            smallest = range.start;
        }
        if let Some(ecn) = self.ecn {
            [ecn.ect0, ecn.ect1, ecn.ce].into_iter().for_each(each);
        }
    }
}

impl Encode for AckOut<'_> {
    fn encoded_len(&self) -> usize {
        let mut len = 0;
        self.fields(|field| len += size(field));
        len
    }

    fn encode(&self, out: &mut Writer<'_>) {
        self.fields(|field| out.varint(field));
    }
}

impl Outgoing for AckOut<'_> {
    const ACK_ELICITING: bool = false;
    fn carries(&self) -> bool {
        self.due
    }
    fn record(&self) -> Option<Record> {
        self.ranges.max().map(|largest| Record::Ack { largest })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::super::tests::{encode, read, refused};
    use super::*;

    fn set(ranges: &[RangeInclusive<u64>]) -> RangeSet {
        let mut set = RangeSet::new();
        for range in ranges {
            set.insert(*range.start()..range.end() + 1);
        }
        set
    }

    #[test]
    fn an_ack_counts_down_from_the_largest() {
        let ranges = set(&[70..=73, 85..=90, 94..=94, 96..=100]);
        let ack = AckOut { ranges: &ranges, limit: 64, delay: 10, ecn: None, due: true };
        let bytes = [0x02, 0x40, 100, 10, 3, 4, 0, 0, 2, 5, 10, 3];
        assert_eq!(encode(&ack), bytes);
        let frames = read(&bytes).expect("an ACK");
        let [Frame::Ack(ack)] = frames[..] else { panic!("{frames:?}") };
        assert_eq!((ack.largest, ack.delay, ack.ecn), (100, 10, None));
        assert_eq!(ack.ranges().collect::<Vec<_>>(), [96..=100, 94..=94, 85..=90, 70..=73]);
    }

    #[test]
    fn an_ack_names_the_newest_ranges_and_the_marks_it_saw() {
        let ranges = set(&[1..=1, 3..=3, 5..=5]);
        let ecn = Some(EcnCounts { ect0: 1, ect1: 2, ce: 3 });
        let ack = AckOut { ranges: &ranges, limit: 2, delay: 0, ecn, due: true };
        assert_eq!(encode(&ack), [0x03, 5, 0, 1, 0, 0, 0, 1, 2, 3]);
        assert_eq!(ack.record(), Some(Record::Ack { largest: 5 }));
        // Nobody is told nothing: at least one range is named.
        assert_eq!(encode(&AckOut { limit: 0, ecn: None, ..ack }), [0x02, 5, 0, 0, 0]);
    }

    #[test]
    fn an_ack_below_packet_number_zero_is_refused() {
        assert!(refused(&[0x02, 1, 0, 0, 2]));
        assert!(refused(&[0x02, 5, 0, 1, 4, 0, 0]));
        assert!(refused(&[0x02, 5, 0, 1, 3, 0, 1]));
        assert!(read(&[0x02, 5, 0, 1, 3, 0, 0]).is_ok());
    }

    #[test]
    fn a_claim_of_endless_ranges_is_refused_by_the_bytes_that_are_there() {
        let max = [0xff; 8];
        assert!(refused(&[&[0x02][..], &max, &[0], &max, &[0], &[0; 1100]].concat()));
    }
}
