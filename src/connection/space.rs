//! Packet number spaces: keys, what was received, and the handshake's bytes, as one thing.
//!
//! A space exists exactly as long as its keys do (RFC 9001, Section 4.9), so keys without a space cannot be said.

use std::time::Duration;

use crate::crypto::{CryptoStream, KeyRing};
use crate::frame::PacketKind;
use crate::id::SpaceId;
use crate::recovery::Received;
use crate::time::Instant;

/// One packet number space; what is asked at every visit before the keys.
#[derive(Debug)]
#[repr(C)]
pub struct Space {
    /// Duplicate filter and acknowledgements.
    pub received: Received,
    /// The handshake at this level.
    pub crypto: CryptoStream,
    /// How many probes are due (RFC 9002, Section 6.2.4).
    pub probes: u8,
    /// Keys of both directions.
    pub keys: KeyRing,
}

impl Space {
    /// A space that begins with its keys.
    pub fn new(id: SpaceId, keys: KeyRing, max_ack_delay: Duration) -> Self {
        Self { keys, received: Received::new(id, max_ack_delay), crypto: CryptoStream::new(), probes: 0 }
    }
}

/// Where the keys of 0-RTT packets are (RFC 9001, Sections 4.6 and 4.9.3).
#[derive(Debug)]
pub enum EarlyKeys {
    /// There are none, or none any more.
    None,
    /// A client sends with them: they are the keys of the Data space until those of 1-RTT take their place.
    Sending,
    /// A server receives with them.
    Receiving(Box<Receiving>),
}

/// A server's keys of 0-RTT packets.
#[derive(Debug)]
pub struct Receiving {
    /// The keys.
    pub keys: KeyRing,
    /// When they are discarded; `None` before the handshake is complete.
    pub until: Option<Instant>,
}

/// The three spaces. The two of the handshake are boxed, since they are gone soon.
#[derive(Debug)]
#[repr(C)]
pub struct Spaces {
    initial: Option<Box<Space>>,
    handshake: Option<Box<Space>>,
    early: EarlyKeys,
    /// Spaces whose keys came and went.
    discarded: [bool; 3],
    data: Option<Space>,
}

impl Spaces {
    /// Begins with the Initial space.
    pub fn new(initial: Space) -> Self {
        Self {
            initial: Some(Box::new(initial)),
            handshake: None,
            early: EarlyKeys::None,
            data: None,
            discarded: [false; 3],
        }
    }

    /// The space, if its keys exist.
    #[inline]
    pub fn get(&self, id: SpaceId) -> Option<&Space> {
        match id {
            SpaceId::Data => self.data.as_ref(),
            SpaceId::Initial => self.initial.as_deref(),
            SpaceId::Handshake => self.handshake.as_deref(),
        }
    }

    /// The space, if its keys exist.
    #[inline]
    pub fn get_mut(&mut self, id: SpaceId) -> Option<&mut Space> {
        match id {
            SpaceId::Data => self.data.as_mut(),
            SpaceId::Initial => self.initial.as_deref_mut(),
            SpaceId::Handshake => self.handshake.as_deref_mut(),
        }
    }

    /// Whether the keys exist.
    pub fn has(&self, id: SpaceId) -> bool {
        self.get(id).is_some()
    }

    /// Whether the keys existed and were discarded.
    pub fn is_discarded(&self, id: SpaceId) -> bool {
        self.discarded[id as usize]
    }

    /// Whether the spaces of the handshake are gone.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.initial.is_none() && self.handshake.is_none()
    }

    /// Puts a new space in.
    pub fn insert(&mut self, id: SpaceId, space: Space) {
        match id {
            SpaceId::Initial => self.initial = Some(Box::new(space)),
            SpaceId::Handshake => self.handshake = Some(Box::new(space)),
            SpaceId::Data => {
                self.data = Some(space);
                if let EarlyKeys::Sending = self.early {
                    self.early = EarlyKeys::None;
                }
            }
        }
    }

    /// A client begins the Data space, with keys for 0-RTT.
    pub fn begin_sending_early(&mut self, space: Space) {
        self.data = Some(space);
        self.early = EarlyKeys::Sending;
    }

    /// A client has no use for these keys any more, and none for 1-RTT yet: there is no Data space.
    pub fn end_sending_early(&mut self) {
        if let EarlyKeys::Sending = self.early {
            self.data = None;
            self.early = EarlyKeys::None;
        }
    }

    /// A server takes 0-RTT packets from now on.
    pub fn begin_receiving_early(&mut self, keys: KeyRing) {
        self.early = EarlyKeys::Receiving(Box::new(Receiving { keys, until: None }));
    }

    /// Whether a client's packets in the Data space are of 0-RTT.
    #[inline]
    pub fn sends_early(&self) -> bool {
        matches!(self.early, EarlyKeys::Sending)
    }

    /// Whether data flows before the handshake is complete.
    #[inline]
    pub fn has_early_keys(&self) -> bool {
        !matches!(self.early, EarlyKeys::None)
    }

    /// What opens packets of this type, and what was received in their space; `None` if there are no keys.
    #[inline(always)]
    pub fn receiving(&mut self, kind: PacketKind) -> Option<(&mut KeyRing, &mut Received)> {
        let space = match kind {
            PacketKind::OneRtt => self.data.as_mut(),
            PacketKind::Initial => self.initial.as_deref_mut(),
            PacketKind::Handshake => self.handshake.as_deref_mut(),
            PacketKind::ZeroRtt => {
                let (EarlyKeys::Receiving(early), Some(space)) = (&mut self.early, &mut self.data) else {
                    return None;
                };
                return Some((&mut early.keys, &mut space.received));
            }
        };
        space.map(|space| (&mut space.keys, &mut space.received))
    }

    /// Whether a server takes 0-RTT packets.
    pub fn receives_early(&self) -> bool {
        matches!(self.early, EarlyKeys::Receiving(_))
    }

    /// No 0-RTT packet is sent any more: the server's keys for those that are on the way are kept until then.
    pub fn end_receiving_early(&mut self, at: Instant) {
        if let EarlyKeys::Receiving(receiving) = &mut self.early {
            receiving.until = Some(at);
        }
    }

    /// When a server's keys of 0-RTT packets are to be discarded.
    #[inline]
    pub fn early_deadline(&self) -> Option<Instant> {
        match &self.early {
            EarlyKeys::Receiving(receiving) => receiving.until,
            EarlyKeys::None | EarlyKeys::Sending => None,
        }
    }

    /// Discards keys whose time has come. Returns whether a server's keys of 0-RTT packets are among them.
    pub fn expire(&mut self, now: Instant) -> bool {
        let is_early_over = self.early_deadline().is_some_and(|until| until <= now);
        if is_early_over {
            self.early = EarlyKeys::None;
        }
        let spaces = [self.initial.as_deref_mut(), self.handshake.as_deref_mut(), self.data.as_mut()];
        spaces.into_iter().flatten().for_each(|space| space.keys.expire(now));
        is_early_over
    }

    /// Discards a space of the handshake with its keys; whether there was one.
    pub fn discard(&mut self, id: SpaceId) -> bool {
        let had = match id {
            SpaceId::Initial => self.initial.take().is_some(),
            SpaceId::Handshake => self.handshake.take().is_some(),
            SpaceId::Data => self.data.take().is_some(),
        };
        self.discarded[id as usize] |= had;
        had
    }

    /// The spaces that exist, in the order of a datagram.
    pub fn iter(&self) -> impl Iterator<Item = (SpaceId, &Space)> {
        SpaceId::ALL.into_iter().filter_map(|id| self.get(id).map(|space| (id, space)))
    }
}
