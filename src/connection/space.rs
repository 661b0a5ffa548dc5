//! Packet number spaces: keys, what was received, and the handshake's bytes, as one thing.
//!
//! A space exists exactly as long as its keys do (RFC 9001, Section 4.9), so keys without a space cannot be said.

use std::time::Duration;

use crate::crypto::{CryptoStream, KeyRing};
use crate::id::SpaceId;
use crate::recovery::Received;

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

/// The three spaces. The two of the handshake are boxed, since they are gone soon.
#[derive(Debug)]
#[repr(C)]
pub struct Spaces {
    initial: Option<Box<Space>>,
    handshake: Option<Box<Space>>,
    /// Spaces whose keys came and went.
    discarded: [bool; 3],
    data: Option<Space>,
}

impl Spaces {
    /// Begins with the Initial space.
    pub fn new(initial: Space) -> Self {
        Self { initial: Some(Box::new(initial)), handshake: None, data: None, discarded: [false; 3] }
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
            SpaceId::Data => self.data = Some(space),
        }
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
