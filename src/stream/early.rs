//! Streams that a client began in 0-RTT, when the server's real limits come (RFC 9000, Section 7.4.1).
//!
//! If the server took what was sent, its limits can only have grown. If not, everything is sent again as if it had been
//! written now, and what exceeds the new limits waits until they are raised: the application has been told that it was
//! written. Such a stream takes no more before that, since it has no credit.

use super::limits::Limits;
use super::send::SendHalf;
use super::stream::WAITING;
use super::{PeerLimits, Streams};
use crate::id::{Dir, Side, StreamId};

/// Whether a stream of ours was opened under a higher limit than the peer's present one.
pub fn is_ahead(limits: &Limits, side: Side, id: StreamId) -> bool {
    id.initiator() == side && !limits.is_permitted(id.dir(), id.index())
}

impl Streams {
    /// The server took what was sent early: its limits, none of them lower, hold for streams that exist too.
    pub fn on_early_accepted(&mut self, limits: PeerLimits) {
        self.on_peer_params(limits);
        for slot in self.occupied() {
            let Some(limit) = self.slots.get(slot as usize).and_then(|stream| self.first_limit(stream.id))
            else {
                continue;
            };
            if self.send_half(slot).is_some_and(|(half, _)| half.raise(limit)) {
                self.list_waiting(slot);
            }
        }
    }

    /// The server took nothing of what was sent early, all of which is reported lost; these are its limits.
    pub fn on_early_rejected(&mut self, limits: PeerLimits) {
        self.first_limits = limits.into();
        let max_streams = [(Dir::Bi, limits.max_streams_bidi), (Dir::Uni, limits.max_streams_uni)];
        for (dir, limit) in max_streams {
            self.events.available[dir as usize] |= self.shared.limits.replace_streams(dir, limit);
        }
        let mut left = limits.max_data;
        for slot in self.occupied() {
            let Some(id) = self.slots.get(slot as usize).map(|stream| stream.id) else { continue };
            let is_permitted = !is_ahead(&self.shared.limits, self.side, id);
            self.holds_back |= !is_permitted;
            let limit = if is_permitted { self.first_limit(id) } else { Some(0) };
            let (Some(limit), Some((half, shared))) = (limit, self.send_half(slot)) else { continue };
            left -= half.restart(&mut shared.blocks, limit, left, is_permitted);
            self.holds_back |= self.send_half(slot).is_some_and(|(half, _)| half.is_held());
            self.list_again(slot);
        }
        self.shared.limits.restart(limits.max_data, limits.max_data - left);
        if self.holds_back {
            self.shared.limits.want();
        }
    }

    /// A limit was raised: what waited for that goes on.
    #[inline]
    pub fn let_go(&mut self) {
        if self.holds_back {
            self.let_go_of_all();
        }
    }

    #[cold]
    fn let_go_of_all(&mut self) {
        self.holds_back = false;
        for slot in self.occupied() {
            let Some(id) = self.slots.get(slot as usize).map(|stream| stream.id) else { continue };
            if is_ahead(&self.shared.limits, self.side, id) {
                self.holds_back = true;
                continue;
            }
            let (Some(limit), Some((half, shared))) = (self.first_limit(id), self.send_half(slot)) else {
                continue;
            };
            let wakes = half.raise(limit);
            half.refill(shared);
            self.holds_back |= self.send_half(slot).is_some_and(|(half, _)| half.is_held());
            if wakes {
                self.list_waiting(slot);
            }
            self.list_again(slot);
        }
    }

    /// The slots in use.
    fn occupied(&self) -> Vec<u32> {
        self.slots.iter().filter_map(|(slot, _)| u32::try_from(slot).ok()).collect()
    }

    fn list_again(&mut self, slot: u32) {
        if self.send_half(slot).is_some_and(|(half, _)| SendHalf::has_pending(half)) {
            self.list_data(slot);
        }
        self.list_control(slot);
    }

    /// The application waits for room on a stream, and there is some.
    fn list_waiting(&mut self, slot: u32) {
        if self.slots.get_mut(slot as usize).is_some_and(|stream| stream.enlist(WAITING)) {
            self.events.waiting.push_back(slot);
        }
    }
}
