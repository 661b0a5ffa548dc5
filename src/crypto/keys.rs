//! The keys of one packet number space, both directions: seal, open, keep the limits (RFC 9001, Sections 5 and 6).
//!
//! What every packet touches lies in the ring itself; what only a key update needs is boxed apart. Opening takes the
//! same steps in the same order whatever the packet turns out to be: unmask, expand the number, pick a key that is
//! there already, decrypt, and only then judge (Section 9.5).

mod updates;

use std::fmt;
use std::ops::Range;

use super::schedule::{HeaderKey, PacketKey, Schedule, Secret, Suite};
use crate::error::TransportError;
use crate::id::{ConnectionId, PacketNumber, Side};
use crate::packet::{Draft, Version, number};
use crate::stats::DropReason;
use crate::time::Instant;

pub use updates::Standing;
use updates::{Previous, Turn, Updates};

/// Packets a key still seals when [`KeyRing::check`] says it is used up: enough to say so, and to repeat it.
const FAREWELLS: u64 = 1024;

/// Set in the first byte of a long header.
const LONG: u8 = 0x80;

/// The bit of a short header that names the key phase.
const KEY_PHASE: u8 = 0x04;

/// Keys of both directions of one packet number space; what is asked of every packet before the long keys.
#[repr(C)]
pub struct KeyRing {
    schedule: Schedule,
    /// The key phase bit of both directions.
    phase: bool,
    /// The lowest number opened in this phase, the largest there can be before: what is lower and of the other phase is
    /// older.
    lowest: PacketNumber,
    /// Packets sealed in this phase.
    sealed: u64,
    /// How many of them call for another phase, or for the end.
    worn_at: u64,
    /// Below all numbers sealed in this phase, above all sealed before.
    first: PacketNumber,
    turn: Turn,
    /// Only 1-RTT keys are ever updated.
    updates: Option<Box<Updates>>,
    previous: Option<Box<Previous>>,
    /// Packets that did not open, in all phases.
    failed: u64,
    receiving_header: HeaderKey,
    receiving: PacketKey,
    sending: PacketKey,
    sending_header: HeaderKey,
}

/// Which key opens a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Previous,
    Current,
    Next,
}

/// An authentic packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its full number.
    pub number: PacketNumber,
    /// Where in the packet its payload stands, decrypted; may be empty.
    pub payload: Range<usize>,
    /// Whether it was the first of a key phase that the peer began. Our sending keys are of that phase now, too.
    pub key_updated: bool,
}

/// Why a packet was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// It is not authentic: anybody may have sent it.
    Dropped(DropReason),
    /// It is authentic and breaks the rules, or one failure too many was counted: the connection ends.
    Fault(TransportError),
}

impl KeyRing {
    /// The keys of Initial packets, from the ID that the client's first one goes to (RFC 9001, Section 5.2).
    ///
    /// `side` is ours.
    pub fn initial(version: Version, dcid: &ConnectionId, side: Side) -> Self {
        let schedule = Schedule::new(version, Suite::Aes128Gcm);
        let (ours, theirs) =
            (schedule.initial_secret(dcid, side), schedule.initial_secret(dcid, side.other()));
        Self::new(schedule, &ours, &theirs)
    }

    /// The keys of 0-RTT packets, from the early traffic secret of TLS: a client only seals with them, a server only
    /// opens.
    pub fn early(version: Version, suite: Suite, secret: &Secret) -> Self {
        Self::new(Schedule::new(version, suite), secret, secret)
    }

    /// The keys of Handshake packets, from the handshake traffic secrets of TLS.
    pub fn handshake(version: Version, suite: Suite, ours: &Secret, theirs: &Secret) -> Self {
        Self::new(Schedule::new(version, suite), ours, theirs)
    }

    /// The keys of 1-RTT packets, from the first application traffic secrets of TLS.
    pub fn one_rtt(version: Version, suite: Suite, ours: Secret, theirs: Secret) -> Self {
        let schedule = Schedule::new(version, suite);
        let mut ring = Self::new(schedule, &ours, &theirs);
        let next = schedule.packet_key(&schedule.next_secret(&theirs));
        let updates = Updates { sending: ours, receiving: theirs, next, floor: 0, count: 0, log: None };
        ring.updates = Some(Box::new(updates));
        ring
    }

    fn new(schedule: Schedule, ours: &Secret, theirs: &Secret) -> Self {
        let (sending, sending_header) = schedule.keys(ours);
        let (receiving, receiving_header) = schedule.keys(theirs);
        Self {
            sending,
            receiving,
            sending_header,
            receiving_header,
            schedule,
            phase: false,
            lowest: PacketNumber::MAX,
            sealed: 0,
            worn_at: schedule.suite().max_sealed() - FAREWELLS,
            first: 0,
            turn: Turn::Unacknowledged,
            failed: 0,
            updates: None,
            previous: None,
        }
    }

    // ---- out ----------------------------------------------------------------------------------

    /// Whether the sending key calls for attention, to be asked before packets are composed: for an
    /// [update](Self::update), or, as [`KeyRing::check`] says, for the end.
    #[inline]
    pub fn is_worn(&self) -> bool {
        self.sealed >= self.worn_at
    }

    /// Whether the sending key may go on.
    ///
    /// # Errors
    ///
    /// AEAD_LIMIT_REACHED shortly before the key is used up (RFC 9001, Section 6.6): a thousand packets are left in
    /// which to say so.
    pub fn check(&self) -> Result<(), TransportError> {
        if self.sealed >= self.schedule.suite().max_sealed() - FAREWELLS {
            return Err(TransportError::aead_limit_reached("this key has sealed as many packets as it may"));
        }
        Ok(())
    }

    /// Protects a packet in place: sets its key phase, encrypts its payload, masks its header.
    ///
    /// `packet` is what [`DatagramWriter::seal`](crate::packet::DatagramWriter::seal) hands out.
    ///
    /// # Errors
    ///
    /// AEAD_LIMIT_REACHED if the key is used up. The packet is wiped then, since its plaintext must not be sent; it
    /// does not come to this if [`KeyRing::check`] was heeded.
    #[inline(always)]
    pub fn seal(&mut self, draft: &Draft, packet: &mut [u8]) -> Result<(), TransportError> {
        if self.sealed >= self.schedule.suite().max_sealed() {
            packet.fill(0);
            return Err(TransportError::aead_limit_reached("a packet after the last that this key may seal"));
        }
        self.sealed += 1;
        let (number_at, payload_at) = (draft.number_at - draft.start, draft.payload_at - draft.start);
        let long = packet[0] & LONG != 0;
        if !long && self.phase {
            packet[0] |= KEY_PHASE;
        }
        let (header, rest) = packet.split_at_mut(payload_at);
        let (payload, tag) = rest.split_last_chunk_mut().expect("a packet has room for its tag");
        *tag = self.sending.seal(draft.number, header, payload);
        // The sample begins where the payload would if the number had four bytes (RFC 9001, Section 5.4.2).
        let sample = packet[number_at + 4..].first_chunk().expect("a packet is long enough to be sampled");
        let mask = self.sending_header.mask(sample);
        packet[0] ^= mask[0] & first_byte_mask(long);
        for (byte, mask) in packet[number_at..payload_at].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        Ok(())
    }

    // ---- in -----------------------------------------------------------------------------------

    /// Opens a packet in place.
    ///
    /// `expected` is one above the largest number received in this space, and `standing` is asked if the packet is the
    /// first of a key phase. The bytes of a packet that does not open are lost.
    ///
    /// # Errors
    ///
    /// [`OpenError::Dropped`] if the packet is not authentic. [`OpenError::Fault`] with PROTOCOL_VIOLATION for
    /// reserved bits, KEY_UPDATE_ERROR for an update against the rules, AEAD_LIMIT_REACHED for a forgery too many.
    #[inline(always)]
    pub fn open(
        &mut self,
        bytes: &mut [u8],
        number_at: usize,
        expected: PacketNumber,
        now: Instant,
        standing: impl FnOnce() -> Standing,
    ) -> Result<Opened, OpenError> {
        let unmasked = self.unmask(bytes, number_at).ok_or(OpenError::Dropped(DropReason::Undecryptable))?;
        let Unmasked { first, truncated, payload_at } = unmasked;
        let number = number::expand(truncated, payload_at - number_at, expected);
        let generation = self.generation(first, number, now);
        let (header, sealed) = bytes.split_at_mut(payload_at);
        let Some(len) = self.key(generation).open(number, header, sealed) else {
            return Err(self.on_failed());
        };
        let reserved = if first & LONG != 0 { 0x0c } else { 0x18 };
        if first & reserved != 0 {
            let fault = TransportError::protocol_violation("reserved bits of a header are set");
            return Err(OpenError::Fault(fault));
        }
        match generation {
            Generation::Current if number >= self.lowest => {}
            Generation::Current => self.on_lowest(number, now, standing).map_err(OpenError::Fault)?,
            Generation::Previous => self.on_delayed(number),
            Generation::Next => self.follow(number, expected, now, standing()).map_err(OpenError::Fault)?,
        }
        let key_updated = generation == Generation::Next;
        Ok(Opened { number, payload: payload_at..payload_at + len, key_updated })
    }

    /// Removes header protection; `None` if the packet is too short to be sampled, and so too short to be authentic.
    #[inline]
    fn unmask(&self, bytes: &mut [u8], number_at: usize) -> Option<Unmasked> {
        let (header, rest) = bytes.split_at_mut_checked(number_at)?;
        let first = header.first_mut()?;
        let (number, after) = rest.split_first_chunk_mut::<4>()?;
        let mask = self.receiving_header.mask(after.first_chunk()?);
        *first ^= mask[0] & first_byte_mask(*first & LONG != 0);
        let len = usize::from(*first & 0x03) + 1;
        let mut truncated = 0;
        for (byte, mask) in number.iter_mut().zip(&mask[1..]).take(len) {
            *byte ^= mask;
            truncated = truncated << 8 | u32::from(*byte);
        }
        Some(Unmasked { first: *first, truncated, payload_at: number_at + len })
    }

    /// Which key a packet asks for (RFC 9001, Section 6.5).
    #[inline]
    fn generation(&self, first: u8, number: PacketNumber, now: Instant) -> Generation {
        let phase = first & KEY_PHASE != 0;
        match self.updates {
            Some(_) if first & LONG == 0 && phase != self.phase => match &self.previous {
                Some(previous) if number < self.lowest && previous.opens_at(now) => Generation::Previous,
                _ => Generation::Next,
            },
            _ => Generation::Current,
        }
    }

    #[inline]
    fn key(&self, generation: Generation) -> &PacketKey {
        match generation {
            Generation::Current => &self.receiving,
            Generation::Next => self.updates.as_ref().map_or(&self.receiving, |updates| &updates.next),
            Generation::Previous => self.previous.as_ref().map_or(&self.receiving, |previous| &previous.key),
        }
    }

    /// A packet did not open. Forgeries are counted over all phases.
    #[cold]
    fn on_failed(&mut self) -> OpenError {
        self.failed = self.failed.saturating_add(1);
        if self.failed > self.schedule.suite().max_failed() {
            let fault =
                TransportError::aead_limit_reached("more packets failed to open than the AEAD permits");
            return OpenError::Fault(fault);
        }
        OpenError::Dropped(DropReason::Undecryptable)
    }

    // ---- time ---------------------------------------------------------------------------------

    /// When the keys of the phase before are to be discarded.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        self.previous.as_ref().and_then(|previous| previous.until)
    }

    /// Discards keys whose time has come.
    pub fn expire(&mut self, now: Instant) {
        self.previous.take_if(|previous| !previous.opens_at(now));
    }
}

/// What removing header protection shows.
struct Unmasked {
    first: u8,
    truncated: u32,
    payload_at: usize,
}

/// Which bits of the first byte are protected.
#[inline]
const fn first_byte_mask(long: bool) -> u8 {
    if long { 0x0f } else { 0x1f }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("suite", &self.schedule.suite())
            .field("updates", &self.updates.as_ref().map_or(0, |updates| updates.count))
            .field("sealed", &self.sealed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
