//! What makes a run worth nothing.

/// Why a run has no figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A connection is over, and should not be.
    #[error("a connection was lost: {0}")]
    Lost(String),
    /// What was read is not what was written.
    #[error("byte {at} of a stream is not the one that was sent")]
    Corrupt { at: u64 },
    /// A stream ended too early or too late, or bytes were read twice.
    #[error("{received} bytes arrived where {expected} were sent")]
    Length { received: u64, expected: u64 },
    /// Bytes are on their way, and nobody will send them.
    #[error("both sides wait, and neither has set a timer")]
    Silent,
    /// A request could not be made before the handshake was complete, or was not read before.
    #[error("early data was not offered, or not taken")]
    Late,
}
