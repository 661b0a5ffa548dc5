//! Machines that break a rule: the checker must find each out, or its silence means nothing.

/// The rule that is broken. A mutant is made of the true machine, and of wrong words in its ear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// A client that takes an address for home because a packet came from there.
    CompletesOnTheFirstPacket,
    /// A client that takes an announced address for home because home is silent.
    LeapsInSilence,
    /// A client for which no frame is late.
    BelievesLateFrames,
    /// A client whose challenges are sent once.
    SeeksOnce,
    /// A server that ends its move on any PATH_RESPONSE, though it is of the time before the move.
    EndsOnAnyResponse,
    /// A server that ends its move when it is challenged, and does not wait until its answer is acknowledged.
    EndsWhenChallenged,
    /// A server that announces itself once.
    AnnouncesOnce,
    /// A server that is ready when its notice is sent.
    IsReadyUnheard,
    /// An endpoint that goes on waiting for a connection that ended.
    WaitsForTheDead,
}
