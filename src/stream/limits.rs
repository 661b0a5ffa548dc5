//! The limits of a whole connection, both ways: bytes and numbers of streams (RFC 9000, Section 4).
//!
//! All that can make one due to be said passes through here, so that one flag answers for six limits in the packets,
//! nearly all, that have none to say.

use super::flow::{Credit, Exceeded, Quota, Window};
use crate::frame;
use crate::id::Dir;
use crate::packet::{Full, PacketWriter};

/// What we permit the peer, and what it permits us.
#[derive(Debug)]
#[repr(C)] // The flag first: beside what else is asked for every packet.
pub struct Limits {
    /// Whether one of them may be due.
    may_be_due: bool,
    /// What the peer may send on all streams together.
    window: Window,
    /// What we may send on all streams together; spent when bytes are written.
    credit: Credit,
    /// By direction: streams that the peer may open.
    quotas: [Quota; 2],
    /// By direction: streams that we may open.
    credits: [Credit; 2],
}

impl Limits {
    /// Nothing permitted yet by the peer; by us, `receive_window` bytes and by direction `max_streams`.
    pub fn new(receive_window: u64, max_streams: [u64; 2]) -> Self {
        Self {
            may_be_due: false,
            window: Window::new(receive_window),
            credit: Credit::default(),
            quotas: max_streams.map(Quota::new),
            credits: Default::default(),
        }
    }

    /// How many received bytes may wait.
    pub fn receive_window(&self) -> u64 {
        self.window.size()
    }

    /// The peer used `more` bytes of its credit.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if it had not as many.
    #[inline]
    pub fn receive(&mut self, more: u64) -> Result<(), Exceeded> {
        self.window.receive(more)
    }

    /// Received bytes need no memory any more.
    #[inline]
    pub fn consume(&mut self, bytes: u64) {
        self.window.consume(bytes);
        self.may_be_due |= self.window.due().is_some();
    }

    /// Whether the peer may open the stream with this index.
    #[inline]
    pub fn permits(&self, dir: Dir, index: u64) -> bool {
        self.quotas[dir as usize].permits(index)
    }

    /// A stream of the peer is over.
    #[inline]
    pub fn close(&mut self, dir: Dir) {
        let quota = &mut self.quotas[dir as usize];
        quota.close();
        self.may_be_due |= quota.due().is_some();
    }

    /// How many bytes we may send.
    #[inline]
    pub fn room(&self) -> u64 {
        self.credit.room()
    }

    /// Bytes were written.
    #[inline]
    pub fn spend(&mut self, bytes: u64) {
        self.credit.spend(bytes);
    }

    /// Bytes that were written will not be sent.
    pub fn refund(&mut self, bytes: u64) {
        self.credit.refund(bytes);
    }

    /// There is not enough credit, or something else keeps us from writing.
    pub fn want(&mut self) {
        self.credit.want();
        self.may_be_due |= self.credit.blocked().is_some();
    }

    /// The peer raises the limit of bytes.
    pub fn raise(&mut self, limit: u64) {
        self.credit.raise(limit);
    }

    /// The index of a stream that we may open; `None` until the peer permits another, and it is told that we wait.
    pub fn open(&mut self, dir: Dir) -> Option<u64> {
        let credit = &mut self.credits[dir as usize];
        if credit.room() == 0 {
            credit.want();
            self.may_be_due |= credit.blocked().is_some();
            return None;
        }
        let index = credit.used();
        credit.spend(1);
        Some(index)
    }

    /// Whether more streams are wanted than the peer permits.
    pub fn wants_streams(&self) -> bool {
        self.credits.iter().any(Credit::is_wanted)
    }

    /// The peer raises the limit of streams. Returns whether that was waited for.
    pub fn raise_streams(&mut self, dir: Dir, limit: u64) -> bool {
        self.credits[dir as usize].raise(limit)
    }

    /// A server that took nothing permits `max_data` bytes, of which `used` are spent; whether or not that is as much as
    /// was permitted before.
    pub fn restart(&mut self, max_data: u64, used: u64) {
        self.credit = Credit::new(max_data);
        self.credit.spend(used);
    }

    /// It permits so many streams, perhaps fewer than we have. Returns whether more was waited for and is there.
    pub fn replace_streams(&mut self, dir: Dir, limit: u64) -> bool {
        let credit = &mut self.credits[dir as usize];
        let is_there = credit.replace(limit);
        if credit.used() > limit {
            credit.want();
        }
        self.may_be_due |= credit.blocked().is_some();
        is_there
    }

    /// Whether the peer permits us the stream with this index.
    pub fn is_permitted(&self, dir: Dir, index: u64) -> bool {
        let credit = &self.credits[dir as usize];
        index < credit.limit()
    }

    /// Writes the limits that are due; `is_all_sent`: whether no data waits that credit was spent for.
    #[inline]
    pub fn write(&mut self, packet: &mut PacketWriter<'_>, is_all_sent: bool) -> Result<(), Full> {
        if self.may_be_due { self.write_due(packet, is_all_sent) } else { Ok(()) }
    }

    fn write_due(&mut self, packet: &mut PacketWriter<'_>, is_all_sent: bool) -> Result<(), Full> {
        if let Some(limit) = self.window.due() {
            packet.write(&frame::MaxData { limit })?;
            self.window.said(limit);
        }
        for dir in [Dir::Bi, Dir::Uni] {
            let quota = &mut self.quotas[dir as usize];
            if let Some(limit) = quota.due() {
                packet.write(&frame::MaxStreams { dir, limit })?;
                quota.said(limit);
            }
            let credit = &mut self.credits[dir as usize];
            if let Some(limit) = credit.blocked() {
                packet.write(&frame::StreamsBlocked { dir, limit })?;
                credit.said(limit);
            }
        }
        // Credit is spent when bytes are written: what was written must go first before we are blocked.
        if let Some(limit) = self.credit.blocked().filter(|_| is_all_sent) {
            packet.write(&frame::DataBlocked { limit })?;
            self.credit.said(limit);
        }
        self.may_be_due = self.credit.blocked().is_some();
        Ok(())
    }

    /// The peer knows how many streams it may open.
    pub fn streams_acked(&mut self, dir: Dir, limit: u64) {
        let quota = &mut self.quotas[dir as usize];
        quota.acked(limit);
        self.may_be_due |= quota.due().is_some();
    }

    /// MAX_DATA was lost.
    pub fn max_data_lost(&mut self, limit: u64) {
        self.may_be_due |= self.window.lost(limit);
    }

    /// DATA_BLOCKED was lost.
    pub fn data_blocked_lost(&mut self, limit: u64) {
        self.may_be_due |= self.credit.lost(limit);
    }

    /// MAX_STREAMS was lost.
    pub fn max_streams_lost(&mut self, dir: Dir, limit: u64) {
        let quota = &mut self.quotas[dir as usize];
        quota.lost(limit);
        self.may_be_due |= quota.due().is_some();
    }

    /// STREAMS_BLOCKED was lost.
    pub fn streams_blocked_lost(&mut self, dir: Dir, limit: u64) {
        self.may_be_due |= self.credits[dir as usize].lost(limit);
    }
    /// What the peer may send.
    #[cfg(test)]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// What we may send.
    #[cfg(test)]
    pub fn credit(&self) -> &Credit {
        &self.credit
    }
}
