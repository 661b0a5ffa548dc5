//! The connection IDs we may use: the one in use, those bound to other addresses, the spare ones, and those
//! to be given back (RFC 9000, Sections 5.1.2, 9.5 and 19.15).
//!
//! An ID is shown on one path only: from one of our places to one of the peer's. A path other than home has an ID
//! *bound* to it for as long as it may be used, so that looking for a moved server at one place in vain, time and
//! again, uses up one ID and no more (server-migration rules, 2.10).

use smallvec::SmallVec;

use super::retirements::Retirements;
use super::tokens::{TokenChange, TokenChanges};
use crate::error::TransportError;
use crate::frame::{NewConnectionId, Record};
use crate::id::{ConnectionId, ResetToken, SpaceId};
use crate::net::{FourTuple, Local};
use crate::packet::PacketWriter;

/// How many IDs may wait to be given back, and how many holes the numbers of those given back may have, in
/// multiples of our limit: what RFC 9000, Section 5.1.2 asks to bear at least. An honest peer keeps within
/// one limit of both.
const MAX_RETIREMENTS: usize = 2;

/// An ID of the peer and what came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    sequence: u64,
    id: ConnectionId,
    token: Option<ResetToken>,
}

/// Where an ID other than the one in use stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// For whoever needs one.
    Spare,
    /// Kept for a path, not shown there yet.
    Reserved(FourTuple),
    /// Shown on a path.
    Shown(FourTuple),
}

impl Place {
    fn path(self) -> Option<FourTuple> {
        match self {
            Self::Spare => None,
            Self::Reserved(path) | Self::Shown(path) => Some(path),
        }
    }
}

/// The ID for packets on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The ID.
    pub id: ConnectionId,
    /// Whether it was shown there already ([`RemoteIds::mark_used`]).
    pub is_used: bool,
}

/// What the peer made us change: packets under an ID that was replaced here would break the protocol.
#[must_use]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replaced {
    /// The ID to use from now on instead of the one in use.
    pub current: Option<ConnectionId>,
    /// Paths whose bound ID was retired, each with its next one. `None`: there is none to be had, so
    /// nothing may be sent there until [`RemoteIds::bind`] finds one.
    pub bound: SmallVec<[(FourTuple, Option<ConnectionId>); 1]>,
}

/// All IDs by which we may call the peer.
///
/// It lies in memory as it is written here: what is asked for every datagram comes first.
#[derive(Debug)]
#[repr(C)]
pub struct RemoteIds {
    tokens: TokenChanges,
    /// What was given back. A late copy of its frame changes nothing.
    retired: Retirements,
    current: Entry,
    /// The rest, in ascending order of their sequence numbers.
    others: Vec<(Entry, Place)>,
    limit: usize,
    /// IDs below are to be retired, whenever they come.
    retire_prior_to: u64,
    handshake_id: ConnectionId,
    /// The peer has retired the one in use and left us no other: it is used, and not given back, until one
    /// comes.
    is_overdue: bool,
}

const _: () = assert!(size_of::<RemoteIds>() <= 136);

impl RemoteIds {
    /// Begins with the ID that packets go to at first; `limit` is our `active_connection_id_limit`.
    pub fn new(first: ConnectionId, limit: u64) -> Self {
        Self {
            tokens: TokenChanges::default(),
            retired: Retirements::default(),
            current: Entry { sequence: 0, id: first, token: None },
            others: Vec::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            retire_prior_to: 0,
            handshake_id: first,
            is_overdue: false,
        }
    }

    // ---- the handshake ------------------------------------------------------------------------------

    /// The peer's source connection ID of the handshake.
    pub fn handshake_id(&self) -> ConnectionId {
        self.handshake_id
    }

    /// The peer chose an ID for itself, or a Retry chose one for the next attempt: it has sequence number 0.
    pub fn set_handshake_id(&mut self, id: ConnectionId) {
        self.handshake_id = id;
        if self.current.sequence == 0 {
            self.current.id = id;
        }
    }

    /// The token of the handshake's ID, from the server's transport parameters.
    pub fn set_handshake_token(&mut self, token: ResetToken) {
        if self.current.sequence == 0 && self.current.token.is_none() {
            self.current.token = Some(token);
            self.tokens.watch(Some(token));
        }
    }

    // ---- the ID in use ------------------------------------------------------------------------------

    /// The ID in use.
    pub fn current(&self) -> ConnectionId {
        self.current.id
    }

    #[cfg(test)]
    /// The token of the ID in use, if the peer gave one.
    pub fn token_of_current(&self) -> Option<ResetToken> {
        self.current.token
    }

    #[cfg(test)]
    /// Whether the peer has retired the ID in use and no other could take its place. The next frame that
    /// brings one does, and [`Self::rotate`] if one became spare.
    pub fn is_overdue(&self) -> bool {
        self.is_overdue
    }

    /// Changes to a spare ID and gives the old one back: for a server that is about to be seen at a new
    /// address (RFC 9000, Section 9.5). `None`, and no change, if there is no spare one.
    pub fn rotate(&mut self) -> Option<ConnectionId> {
        let at = self.others.iter().position(|(_, place)| *place == Place::Spare)?;
        let old = self.put_in_use(at);
        self.give_back(old);
        Some(self.current.id)
    }

    /// The ID bound to `path` becomes the one in use, and the one in use so far stays bound to `before`
    /// until [`Self::unbind_and_retire`]. `None`, and no change, if none is bound there: the one in use is
    /// used there too.
    pub fn adopt(&mut self, path: FourTuple, before: FourTuple) -> Option<ConnectionId> {
        let at = self.position_of(path)?;
        // One that the peer wants back may not be used any more, not even to take leave.
        let is_done = self.is_overdue || path.matches(before);
        let old = self.put_in_use(at);
        if is_done {
            self.give_back(old)
        } else {
            self.keep(old, Place::Shown(before))
        }
        Some(self.current.id)
    }

    // ---- other paths --------------------------------------------------------------------------------

    /// Binds an ID to `path`, the same one every time it is asked; `None` if none is spare. Toward a peer
    /// whose ID has no bytes that one serves everywhere.
    pub fn bind(&mut self, path: FourTuple) -> Option<Bound> {
        if self.current.id.is_empty() {
            return Some(Bound { id: self.current.id, is_used: true });
        }
        if let Some(bound) = self.bound(path) {
            return Some(bound);
        }
        let (entry, place) = self.others.iter_mut().find(|(_, place)| *place == Place::Spare)?;
        *place = Place::Reserved(path);
        Some(Bound { id: entry.id, is_used: false })
    }

    /// The ID bound to `path`.
    pub fn bound(&self, path: FourTuple) -> Option<Bound> {
        let (entry, place) = self.others.get(self.position_of(path)?)?;
        Some(Bound { id: entry.id, is_used: matches!(place, Place::Shown(_)) })
    }

    /// A packet goes out on `path` under the ID bound to it: nobody else will have that ID, and its token
    /// counts.
    pub fn mark_used(&mut self, path: FourTuple) {
        let Some(at) = self.position_of(path) else { return };
        let (entry, place) = &mut self.others[at];
        if let Place::Reserved(path) = *place {
            *place = Place::Shown(path);
            self.tokens.watch(entry.token);
        }
    }

    /// `path` is not to be used any more. Its ID is spare again if it was never shown there, else it is
    /// given back.
    pub fn release(&mut self, path: FourTuple) {
        self.release_where(|bound| bound.matches(path));
    }

    /// Nothing is sent from this place of ours any more: what [`Self::release`] does for each path from there.
    pub fn leave(&mut self, local: Local) {
        self.release_where(|bound| bound.local.matches(local));
    }

    fn release_where(&mut self, ends: impl Fn(FourTuple) -> bool) {
        let mut at = 0;
        while let Some((_, place)) = self.others.get_mut(at) {
            match *place {
                Place::Reserved(path) if ends(path) => *place = Place::Spare,
                Place::Shown(path) if ends(path) => {
                    let (entry, _) = self.others.remove(at);
                    self.give_back(entry);
                    continue;
                }
                Place::Spare | Place::Reserved(_) | Place::Shown(_) => {}
            }
            at += 1;
        }
    }

    /// This end of `from` is another now, which makes it `to`: the ID for it is a fresh one, and the one before is given
    /// back. `None` if none is spare: the one shown there stays bound to it.
    pub fn carry_over(&mut self, from: FourTuple, to: FourTuple) -> Option<ConnectionId> {
        if self.has_spare() {
            // First bound and then released: what was never shown on `from` is not taken for fresh.
            let bound = self.bind(to)?;
            self.mark_used(to);
            self.release(from);
            return Some(bound.id);
        }
        if let Some(at) = self.position_of(from) {
            self.others[at].1 = Place::Shown(to);
        }
        None
    }

    /// `path` is done with: the ID bound to it is given back.
    pub fn unbind_and_retire(&mut self, path: FourTuple) {
        while let Some(at) = self.position_of(path) {
            let (entry, place) = self.others.remove(at);
            match place {
                Place::Shown(_) => self.give_back(entry),
                Place::Spare | Place::Reserved(_) => self.retired.insert(entry.sequence),
            }
        }
    }

    /// Whether an ID is neither in use nor bound.
    pub fn has_spare(&self) -> bool {
        self.others.iter().any(|(_, place)| *place == Place::Spare)
    }

    #[cfg(test)]
    /// How many IDs are neither in use nor bound.
    pub fn spare(&self) -> usize {
        self.others.iter().filter(|(_, place)| *place == Place::Spare).count()
    }

    // ---- stateless resets ---------------------------------------------------------------------------

    /// The tokens of all IDs in use, here and on other paths.
    pub fn tokens(&self) -> impl Iterator<Item = ResetToken> + '_ {
        let shown = self.others.iter().filter(|(_, place)| matches!(place, Place::Shown(_)));
        self.current.token.into_iter().chain(shown.filter_map(|(entry, _)| entry.token))
    }

    /// Whether a datagram that ends with `token` is a reset of this connection. Takes the same time whichever
    /// token it is, if any (RFC 9000, Section 10.3.1).
    pub fn is_reset(&self, token: &ResetToken) -> bool {
        self.tokens().fold(false, |hit, known| hit | (known == *token))
    }

    /// The next change of [`Self::tokens`] that the endpoint was not told of.
    #[inline]
    pub fn poll_token(&mut self) -> Option<TokenChange> {
        self.tokens.poll()
    }

    // ---- what the peer says -------------------------------------------------------------------------

    /// The peer issues an ID and perhaps retires others. The ID of a preferred address is taken in the same
    /// way, with sequence number 1. Costs at most a look at each ID we hold.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if the peer's ID has no bytes, or if an ID, a number or a token is used a second
    /// time in another combination; CONNECTION_ID_LIMIT_ERROR if there are more than our limit, or too many
    /// to give back.
    pub fn on_new(&mut self, frame: &NewConnectionId) -> Result<Replaced, TransportError> {
        if self.current.id.is_empty() {
            let reason = "a connection ID from a peer whose ID has no bytes";
            return Err(TransportError::protocol_violation(reason));
        }
        // An mvfst client counts its first spare ID as number 0, which the handshake's has (rules, section
        // 5).
        if frame.sequence == 0 && frame.id != self.handshake_id {
            return Ok(Replaced::default());
        }
        let is_new = self.is_new(frame)?;
        let mut replaced = Replaced::default();
        if frame.retire_prior_to > self.retire_prior_to {
            self.retire_prior_to = frame.retire_prior_to;
            self.retire_below(&mut replaced);
        }
        if is_new {
            let entry = Entry { sequence: frame.sequence, id: frame.id, token: Some(frame.token) };
            if frame.sequence < self.retire_prior_to {
                self.retired.insert(frame.sequence);
            } else {
                self.keep(entry, Place::Spare);
            }
        }
        self.replace(&mut replaced);
        self.check_limits()?;
        Ok(replaced)
    }

    /// Whether the frame says something that we have not known; an error if it contradicts what we know.
    fn is_new(&self, frame: &NewConnectionId) -> Result<bool, TransportError> {
        let at = self.others.binary_search_by_key(&frame.sequence, |(entry, _)| entry.sequence);
        let known = match at {
            Ok(at) => self.others.get(at).map(|(entry, _)| entry),
            Err(_) => Some(&self.current).filter(|current| current.sequence == frame.sequence),
        };
        if let Some(known) = known {
            if known.id != frame.id || known.token.is_some_and(|token| token != frame.token) {
                let reason = "a connection ID's number is used for another ID or token";
                return Err(TransportError::protocol_violation(reason));
            }
            return Ok(false);
        }
        // A late copy: what it said of the ID was forgotten with it.
        if self.retired.contains(frame.sequence) {
            return Ok(false);
        }
        let clash = |entry: &Entry| entry.id == frame.id || entry.token == Some(frame.token);
        if clash(&self.current) || self.others.iter().any(|(entry, _)| clash(entry)) {
            let reason = "a connection ID or a reset token is issued twice";
            return Err(TransportError::protocol_violation(reason));
        }
        Ok(true)
    }

    /// Retires what the peer wants back; the one in use is only marked.
    fn retire_below(&mut self, replaced: &mut Replaced) {
        let below = self.others.partition_point(|(entry, _)| entry.sequence < self.retire_prior_to);
        for (entry, place) in self.others.drain(..below) {
            if matches!(place, Place::Shown(_)) {
                self.tokens.forget(entry.token);
            }
            replaced.bound.extend(place.path().map(|path| (path, None)));
            self.retired.insert(entry.sequence);
        }
        self.is_overdue |= self.current.sequence < self.retire_prior_to;
    }

    /// Finds others for the IDs that were retired, first of all for the one in use.
    fn replace(&mut self, replaced: &mut Replaced) {
        if self.is_overdue {
            replaced.current = self.rotate();
        }
        for (path, id) in &mut replaced.bound {
            *id = self.bind(*path).map(|bound| bound.id);
        }
    }

    fn check_limits(&self) -> Result<(), TransportError> {
        let active = self.others.len() + usize::from(!self.is_overdue);
        if active > self.limit {
            return Err(TransportError::connection_id_limit("more connection IDs than we keep"));
        }
        if self.retired.exceed(self.limit.saturating_mul(MAX_RETIREMENTS)) {
            return Err(TransportError::connection_id_limit("too many connection IDs to give back"));
        }
        Ok(())
    }

    // ---- giving back --------------------------------------------------------------------------------

    /// Writes RETIRE_CONNECTION_ID for those to be given back. The one in use is never among them, so no
    /// packet sent under it retires its own ID.
    #[inline]
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if packet.space() == SpaceId::Data {
            self.retired.write(packet);
        }
    }

    /// The peer knows that an ID is given back.
    pub fn acked(&mut self, record: &Record) {
        self.retired.acked(record);
    }

    /// What gave an ID back was lost: it is said again.
    pub fn lost(&mut self, record: &Record) {
        self.retired.lost(record);
    }

    // ---- among ourselves ----------------------------------------------------------------------------

    /// Puts one of the others in use and returns the one that was.
    fn put_in_use(&mut self, at: usize) -> Entry {
        let (entry, place) = self.others.remove(at);
        match place {
            Place::Shown(_) => {}
            Place::Spare | Place::Reserved(_) => self.tokens.watch(entry.token),
        }
        self.is_overdue = false;
        std::mem::replace(&mut self.current, entry)
    }

    /// Gives back an ID that was in use.
    fn give_back(&mut self, entry: Entry) {
        self.tokens.forget(entry.token);
        self.retired.insert(entry.sequence);
    }

    fn keep(&mut self, entry: Entry, place: Place) {
        let at = self.others.partition_point(|(other, _)| other.sequence < entry.sequence);
        // They are few and stay for long: the list has no room to spare.
        self.others.reserve_exact(1);
        self.others.insert(at, (entry, place));
    }

    fn position_of(&self, path: FourTuple) -> Option<usize> {
        self.others.iter().position(|(_, place)| place.path().is_some_and(|bound| bound.matches(path)))
    }
}
