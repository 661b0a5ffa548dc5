//! What can go wrong: faults of the peer, the end of a connection, and wrong use of the API.

use std::fmt;

use crate::varint::VarInt;

/// A transport error code (RFC 9000, Section 20.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(u64);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            fn name(self) -> Option<&'static str> {
                match self { $(Self::$name => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

codes! {
    /// Closed without an error.
    NO_ERROR = 0x00;
    /// The endpoint cannot go on for a reason of its own.
    INTERNAL_ERROR = 0x01;
    /// The server refuses the connection.
    CONNECTION_REFUSED = 0x02;
    /// More data than was permitted.
    FLOW_CONTROL_ERROR = 0x03;
    /// More streams than were permitted.
    STREAM_LIMIT_ERROR = 0x04;
    /// A frame for a stream in a state that does not permit it.
    STREAM_STATE_ERROR = 0x05;
    /// The end of a stream contradicts what came before.
    FINAL_SIZE_ERROR = 0x06;
    /// A frame that cannot be read.
    FRAME_ENCODING_ERROR = 0x07;
    /// Transport parameters that cannot be read or must not be.
    TRANSPORT_PARAMETER_ERROR = 0x08;
    /// More connection IDs than were permitted.
    CONNECTION_ID_LIMIT_ERROR = 0x09;
    /// Something else that the protocol forbids.
    PROTOCOL_VIOLATION = 0x0a;
    /// A token that is not valid.
    INVALID_TOKEN = 0x0b;
    /// The application asked to close during the handshake.
    APPLICATION_ERROR = 0x0c;
    /// More CRYPTO data than can be kept.
    CRYPTO_BUFFER_EXCEEDED = 0x0d;
    /// A key update that breaks the rules of RFC 9001, Section 6.
    KEY_UPDATE_ERROR = 0x0e;
    /// An AEAD limit was reached (RFC 9001, Section 6.6).
    AEAD_LIMIT_REACHED = 0x0f;
    /// No usable path is left.
    NO_VIABLE_PATH = 0x10;
    /// The negotiation of versions was tampered with, or contradicts itself (RFC 9368, Section 4).
    VERSION_NEGOTIATION_ERROR = 0x11;
}

impl Code {
    /// The code that carries a TLS alert (RFC 9001, Section 4.8).
    pub const fn crypto(alert: u8) -> Self {
        Self(0x0100 | alert as u64)
    }

    /// The code a CONNECTION_CLOSE frame names.
    pub const fn from_wire(value: u64) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn into_inner(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.0) {
            (Some(name), _) => f.write_str(name),
            (None, alert @ 0x100..=0x1ff) => write!(f, "TLS alert {}", alert & 0xff),
            (None, other) => write!(f, "unknown code {other:#x}"),
        }
    }
}

/// A fault of the peer that ends the connection, and how CONNECTION_CLOSE will say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct TransportError {
    /// What kind of fault.
    pub code: Code,
    /// Type of the frame at fault as CONNECTION_CLOSE carries it, 0 if unknown.
    pub frame: u64,
    /// For the person who reads a log.
    pub reason: &'static str,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        impl TransportError {
            $($(#[$doc])* pub const fn $name(reason: &'static str) -> Self {
                Self { code: Code::$code, frame: 0, reason }
            })*
        }
    };
}

faults! {
    /// A fault of our own.
    internal => INTERNAL_ERROR;
    /// More data than was permitted.
    flow_control => FLOW_CONTROL_ERROR;
    /// More streams than were permitted.
    stream_limit => STREAM_LIMIT_ERROR;
    /// A frame that the stream's state does not permit.
    stream_state => STREAM_STATE_ERROR;
    /// A stream that ends in two places.
    final_size => FINAL_SIZE_ERROR;
    /// A frame that cannot be read.
    frame_encoding => FRAME_ENCODING_ERROR;
    /// Transport parameters that must not be.
    transport_parameter => TRANSPORT_PARAMETER_ERROR;
    /// Too many connection IDs.
    connection_id_limit => CONNECTION_ID_LIMIT_ERROR;
    /// Anything else that is forbidden.
    protocol_violation => PROTOCOL_VIOLATION;
    /// Too much CRYPTO data.
    crypto_buffer_exceeded => CRYPTO_BUFFER_EXCEEDED;
    /// A key update against the rules.
    key_update => KEY_UPDATE_ERROR;
    /// Too many packets under one key.
    aead_limit_reached => AEAD_LIMIT_REACHED;
    /// Versions that were not negotiated as they should have been.
    version_negotiation => VERSION_NEGOTIATION_ERROR;
}

impl TransportError {
    /// The same fault, naming the frame that caused it.
    #[must_use]
    pub const fn in_frame(mut self, frame: u64) -> Self {
        self.frame = frame;
        self
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Our application closed it.
    #[error("closed by this application with code {code}")]
    Local {
        /// The application's code.
        code: VarInt,
    },
    /// The peer's application closed it.
    #[error("closed by the peer's application with code {code}: {}", String::from_utf8_lossy(.reason))]
    Application {
        /// The peer application's code.
        code: VarInt,
        /// What the peer said about it, as bytes.
        reason: Vec<u8>,
    },
    /// The peer's transport closed it.
    #[error("closed by the peer with {code}: {}", String::from_utf8_lossy(.reason))]
    Peer {
        /// The peer's error code.
        code: Code,
        /// Type of the frame the peer objects to, 0 if unknown.
        frame: u64,
        /// What the peer said about it, as bytes.
        reason: Vec<u8>,
    },
    /// The peer broke the protocol, or its certificate did not verify.
    #[error("ended by a fault: {0}")]
    Fault(TransportError),
    /// Nothing was heard for the idle timeout (RFC 9000, Section 10.1).
    #[error("nothing was heard from the peer for the idle timeout")]
    TimedOut,
    /// The handshake did not complete in time.
    #[error("the handshake did not complete in time")]
    HandshakeTimedOut,
    /// The peer has lost the connection's state (RFC 9000, Section 10.3).
    #[error("the peer has lost this connection (stateless reset)")]
    Reset,
    /// The server speaks no version that this client does: it answered by Version Negotiation (RFC 9368, Section 2.1).
    #[error("the server speaks no version in common; it named {offered:x?}")]
    NoCommonVersion {
        /// The first versions it named, 16 at most, reserved ones among them.
        offered: Vec<u32>,
    },
    /// The server moves away and this connection does not go with it.
    #[error("closed because the server moves away: {0}")]
    NotMoved(MigrationError),
}

/// Why a connection could not be begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The server name is neither a DNS name nor an IP address.
    #[error("`{0}` is not a valid server name; use a DNS name or an IP address")]
    ServerName(String),
    /// The remote address is unspecified or has port 0.
    #[error("{0} cannot be connected to; use a concrete address and a port other than 0")]
    Address(std::net::SocketAddr),
    /// TLS refused the configuration.
    #[error("TLS refused to begin: {0}")]
    Tls(String),
}

/// Why a client that waits was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// It was answered, has waited for too long, or had to make room.
    #[error("the client does not wait any more")]
    Unknown,
    /// There are as many connections as there may be, or the endpoint is about to move.
    #[error("no connections are admitted now; accept it later, or refuse it")]
    NotAdmitted,
    /// What it sent is not an Initial packet of a client's.
    #[error("no packet of the client is authentic")]
    Undecryptable,
}

/// Why a client that waits was not asked to prove its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    /// It was answered, has waited for too long, or had to make room.
    #[error("the client does not wait any more")]
    Unknown,
    /// It has proved it.
    #[error("the client's address is proved already; accept or refuse it")]
    Validated,
    /// Too many answers wait to be sent.
    #[error("too many answers wait to be sent; poll the endpoint first")]
    Busy,
}

/// A handle that names no client that waits: it was answered, has waited for too long, or had to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client does not wait any more")]
pub struct UnknownIncoming;

/// Why bytes were not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Flow control or the send buffer is full; wait for [`StreamEvent::Writable`](crate::StreamEvent::Writable).
    #[error("the stream cannot take more now; wait for Writable")]
    Blocked,
    /// The peer asked us to stop with this code, and the stream was reset with it.
    #[error("the peer stopped reading with code {0}; nothing more can be sent on this stream")]
    Stopped(VarInt),
    /// The stream was finished or reset, or is unknown.
    #[error("the stream is closed for sending")]
    Closed,
}

/// Why nothing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing lies ready; wait for [`StreamEvent::Readable`](crate::StreamEvent::Readable).
    #[error("nothing to read now; wait for Readable")]
    Blocked,
    /// The peer abandoned the stream with this code.
    #[error("the peer reset the stream with code {0}")]
    Reset(VarInt),
    /// The stream was read to its end or stopped, or is unknown.
    #[error("the stream is closed for reading")]
    Closed,
}

/// Why a datagram was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendDatagramError {
    /// The send queue is full; wait for [`DatagramsUnblocked`](crate::ConnectionEvent::DatagramsUnblocked).
    #[error("the queue of datagrams is full; wait for DatagramsUnblocked")]
    Blocked,
    /// It is longer than the peer, the path or the send queue takes now.
    #[error("the datagram is too large; send at most {max} bytes")]
    TooLarge {
        /// The longest that would be taken, in bytes.
        max: usize,
    },
    /// The peer takes no datagrams, or the handshake has not yet said so.
    #[error("the peer takes no datagrams on this connection")]
    Unsupported,
}

/// Why a client stays where it is. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The handshake is not confirmed (RFC 9000, Section 9).
    #[error("the handshake is not confirmed; a client stays at its address until then")]
    NotConfirmed,
    /// The server said disable_active_migration.
    #[error("the server wants its clients to stay at their addresses")]
    Forbidden,
    /// The server has issued no connection ID that was not used on another path (RFC 9000, Section 9.5), or uses none.
    #[error("the server has given no connection ID for another path; try again later")]
    NoConnectionId,
    /// The address has another family than the server's.
    #[error("the server is not reached from an address of this family")]
    Family,
    /// The path exists already.
    #[error("this path is in use or being probed already")]
    Known,
    /// Too many paths are being probed, or the server is about to move.
    #[error("too many paths are being probed, or the server is about to move; try again later")]
    Busy,
    /// A server does not move by this call.
    #[error("only a client moves by this call")]
    WrongSide,
    /// The connection is closing or closed.
    #[error("the connection is closed")]
    Closed,
}

/// Why the keys were not updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyUpdateError {
    /// The handshake is not confirmed: the peer may have no other keys yet (RFC 9001, Section 6.1).
    #[error("the handshake is not confirmed; try again when it is")]
    NotConfirmed,
    /// The peer has acknowledged nothing that had the present keys: it may not have them (RFC 9001, Section 6.1).
    #[error("the peer has not acknowledged the present keys; try again when it has")]
    Unacknowledged,
    /// The peer may still keep the keys before the present ones (RFC 9001, Section 6.5).
    #[error("the last update is less than three probe timeouts ago; try again later")]
    TooSoon,
    /// The connection is closing or closed.
    #[error("the connection is closed")]
    Closed,
}

/// Why no keying material was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// There is nothing to export before the handshake is complete.
    #[error("the handshake is not complete; wait for Connected")]
    HandshakeNotComplete,
    /// A label is 1 to 249 bytes long.
    #[error("the label cannot be used; use 1 to 249 bytes")]
    Label,
    /// Nothing, or more than the cipher suite's hash can give.
    #[error("this much cannot be exported; ask for 1 to {max} bytes")]
    Length {
        /// The most there is, in bytes.
        max: usize,
    },
}

/// Why a server migration did not begin, or did not succeed (reference, Section 4.3; rules, 3.5 and 4). What to do about
/// each stands in `docs/migration.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MigrationError {
    /// There is no suite: one side did not offer it, or nothing was in common.
    #[error("server migration was not negotiated on this connection")]
    Disabled,
    /// The handshake is not complete.
    #[error("the handshake is not complete; wait for Connected")]
    HandshakeNotComplete,
    /// The suite does not contain this strategy.
    #[error("the peers did not agree on this strategy")]
    NotAgreed,
    /// An order is pending.
    #[error("a move is in progress; wait for Completed or Failed, or cancel it")]
    Busy,
    /// Pool addresses were sent, and Pool answers alone.
    #[error("this connection has a pool and moves by no other strategy")]
    PoolOnly,
    /// A Pool order on a connection that has no pool.
    #[error("no pool address was configured for this connection")]
    EmptyPool,
    /// The target is the current address, or has no address of the family in use.
    #[error("the target is not usable from the address in use")]
    Target,
    /// A cancelled order binds the next one (server-migration rules, 3.5).
    #[error("a cancelled order binds this connection: {to:?}")]
    Bound {
        /// What the next order must be.
        to: Binding,
    },
    /// There is no move to cancel or to carry out.
    #[error("no move was ordered")]
    NotOrdered,
    /// The two ends of a move must be of one address family.
    #[error("a move to another address family is not possible")]
    Family,
    /// This call belongs to the other side.
    #[error("this call belongs to the other side of the connection")]
    WrongSide,
    /// The deadline passed.
    #[error("the migration deadline passed without an answer")]
    Deadline,
    /// The new path failed and there was no other to go back to.
    #[error("the new path could not be validated")]
    PathFailed,
    /// The connection is closing or closed.
    #[error("the connection is closed")]
    Closed,
}

/// What a cancelled order still permits, until a migration has completed (rules, 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Explicit to the same target.
    SameTarget,
    /// Synchronized Symmetric again, or Symmetric.
    SynchronizedOrSymmetric,
}

/// Why a relocation could not be begun, carried out or cancelled (rules, 4). Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelocationError {
    /// A handle of the plan names no connection.
    #[error("the plan names a connection that does not exist (any more)")]
    UnknownConnection,
    /// An order's target suits none of its connections.
    #[error("the plan has a target that suits no connection named")]
    Target,
    /// A relocation is being prepared already.
    #[error("a relocation is being prepared; cancel it first")]
    Busy,
    /// There is nothing to cancel.
    #[error("no relocation is being prepared")]
    NotPrepared,
    /// The new local address has another family.
    #[error("a relocation to another address family is not possible")]
    Family,
}

/// Why a configuration cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigError {
    /// Which setting.
    pub setting: &'static str,
    /// What would be right.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_prints_its_name_its_alert_or_its_number() {
        assert_eq!(Code::PROTOCOL_VIOLATION.to_string(), "PROTOCOL_VIOLATION");
        assert_eq!(Code::crypto(48).to_string(), "TLS alert 48");
        assert_eq!(Code::from_wire(0x4000).to_string(), "unknown code 0x4000");
    }

    #[test]
    fn a_fault_says_what_and_why() {
        let fault = TransportError::flow_control("the stream's window is exceeded").in_frame(8);
        assert_eq!(fault.to_string(), "FLOW_CONTROL_ERROR: the stream's window is exceeded");
        assert_eq!(fault.frame, 8);
    }
}
