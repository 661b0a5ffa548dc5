//! Transport parameters (RFC 9000, Section 18), and the migration suite among them (reference, Section 1.6).
//!
//! What only a server may send cannot be said with [`ClientParams`]. Values are checked when they are read;
//! the connection IDs are compared with those of the packets by `validate_ids`, since only the connection
//! knows these.

mod entries;
#[cfg(test)]
mod mvfst_tests;
mod preferred;
#[cfg(test)]
mod tests;
mod version_information;

use std::time::Duration;

pub use preferred::PreferredAddress;
pub use version_information::VersionInformation;

use crate::error::TransportError;
use crate::id::{ConnectionId, ResetToken};
use crate::negotiation::Suite;
use entries::{Entries, Entry, put, put_integer};

const ORIGINAL_DESTINATION_CONNECTION_ID: u64 = 0x00;
const MAX_IDLE_TIMEOUT: u64 = 0x01;
const STATELESS_RESET_TOKEN: u64 = 0x02;
const MAX_UDP_PAYLOAD_SIZE: u64 = 0x03;
const INITIAL_MAX_DATA: u64 = 0x04;
const INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: u64 = 0x05;
const INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: u64 = 0x06;
const INITIAL_MAX_STREAM_DATA_UNI: u64 = 0x07;
const INITIAL_MAX_STREAMS_BIDI: u64 = 0x08;
const INITIAL_MAX_STREAMS_UNI: u64 = 0x09;
const ACK_DELAY_EXPONENT: u64 = 0x0a;
const MAX_ACK_DELAY: u64 = 0x0b;
const DISABLE_ACTIVE_MIGRATION: u64 = 0x0c;
const PREFERRED_ADDRESS: u64 = 0x0d;
const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
const INITIAL_SOURCE_CONNECTION_ID: u64 = 0x0f;
const RETRY_SOURCE_CONNECTION_ID: u64 = 0x10;
const VERSION_INFORMATION: u64 = 0x11;
const MAX_DATAGRAM_FRAME_SIZE: u64 = 0x20;
const SERVER_MIGRATION_SUITE: u64 = 0x64;
const GREASE_QUIC_BIT: u64 = 0x2ab2;
const MIN_ACK_DELAY: u64 = 0xff04_de1b;

/// Smallest limit on UDP payloads that may be declared, in bytes.
const MIN_UDP_PAYLOAD: u64 = 1200;
/// More streams than this have no stream ID (RFC 9000, Section 4.6).
const MAX_STREAMS: u64 = 1 << 60;
/// Largest exponent for ACK delays.
const MAX_EXPONENT: u8 = 20;
/// ACK delays are below this many milliseconds.
const ACK_DELAY_BOUND: u64 = 1 << 14;

/// How many limits a server that accepts 0-RTT data must not lower.
pub const LIMITS: usize = 8;

/// What both sides declare. Times are sent in whole milliseconds, rounded up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// Time without a packet after which the sender gives up; zero: never.
    pub max_idle_timeout: Duration,
    /// Largest UDP payload the sender receives, in bytes; at least 1200.
    pub max_udp_payload_size: u64,
    /// Bytes the peer may send on all streams together.
    pub initial_max_data: u64,
    /// Bytes the peer may send on a bidirectional stream that the sender opens.
    pub initial_max_stream_data_bidi_local: u64,
    /// Bytes the peer may send on a bidirectional stream that the peer opens.
    pub initial_max_stream_data_bidi_remote: u64,
    /// Bytes the peer may send on a unidirectional stream.
    pub initial_max_stream_data_uni: u64,
    /// Bidirectional streams the peer may open; at most 2^60.
    pub initial_max_streams_bidi: u64,
    /// Unidirectional streams the peer may open; at most 2^60.
    pub initial_max_streams_uni: u64,
    /// The delay in the sender's ACK frames is in units of 2 to this power microseconds; at most 20.
    pub ack_delay_exponent: u8,
    /// Longest time by which the sender delays an ACK; below 2^14 ms.
    pub max_ack_delay: Duration,
    /// Whether the peer must stay at its address as long as it talks to the address of the handshake.
    pub disable_active_migration: bool,
    /// How many of the peer's connection IDs the sender keeps; at least 2.
    pub active_connection_id_limit: u64,
    /// The connection ID the sender chose for itself; its absence is an error to `validate_ids`.
    pub initial_source_connection_id: Option<ConnectionId>,
    /// Largest DATAGRAM frame the sender takes, in bytes; 0: none (RFC 9221, Section 3).
    pub max_datagram_frame_size: u64,
    /// Shortest delay of an ACK that the sender can be asked for, at most its max_ack_delay, sent in microseconds;
    /// `None`: it takes no wishes (draft-ietf-quic-ack-frequency, Section 3). Never to be remembered for early data.
    pub min_ack_delay: Option<Duration>,
    /// The version the sender has chosen, and those it could have; `None`: it knows no negotiation of versions.
    pub version_information: Option<VersionInformation>,
    /// Whether the sender takes packets whatever their second bit (RFC 9287).
    pub grease_quic_bit: bool,
}

/// What holds when nothing is said (RFC 9000, Section 18.2).
impl Default for Common {
    fn default() -> Self {
        Self {
            max_idle_timeout: Duration::ZERO,
            max_udp_payload_size: 65_527,
            initial_max_data: 0,
            initial_max_stream_data_bidi_local: 0,
            initial_max_stream_data_bidi_remote: 0,
            initial_max_stream_data_uni: 0,
            initial_max_streams_bidi: 0,
            initial_max_streams_uni: 0,
            ack_delay_exponent: 3,
            max_ack_delay: Duration::from_millis(25),
            disable_active_migration: false,
            active_connection_id_limit: 2,
            initial_source_connection_id: None,
            max_datagram_frame_size: 0,
            min_ack_delay: None,
            version_information: None,
            grease_quic_bit: false,
        }
    }
}

impl Common {
    /// The limits that bound a client's 0-RTT data: a server that accepts such data must not have lowered any of them
    /// (RFC 9000, Section 7.4.1; RFC 9221, Section 3).
    pub fn limits(&self) -> [u64; LIMITS] {
        [
            self.active_connection_id_limit,
            self.initial_max_data,
            self.initial_max_stream_data_bidi_local,
            self.initial_max_stream_data_bidi_remote,
            self.initial_max_stream_data_uni,
            self.initial_max_streams_bidi,
            self.initial_max_streams_uni,
            self.max_datagram_frame_size,
        ]
    }

    /// What a server must keep to while it accepts 0-RTT data: the limits, and that it takes datagrams as large as before,
    /// since larger ones would be lost and their data sent again.
    pub fn promises(&self) -> Box<[u64]> {
        self.limits().into_iter().chain([self.max_udp_payload_size]).collect()
    }

    /// Compares a server's new parameters with `remembered` ones under which it accepted 0-RTT data.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if a limit was lowered.
    pub fn keeps(&self, remembered: &[u64; LIMITS]) -> Result<(), TransportError> {
        if self.limits().iter().zip(remembered).any(|(now, then)| now < then) {
            return Err(TransportError::protocol_violation(
                "0-RTT was accepted under a limit that was lowered",
            ));
        }
        Ok(())
    }

    /// Takes a parameter over if it is one of these; whether it is.
    fn take(&mut self, entry: &Entry<'_>) -> Result<bool, TransportError> {
        match entry.id {
            MAX_IDLE_TIMEOUT => self.max_idle_timeout = Duration::from_millis(entry.integer()?),
            MAX_UDP_PAYLOAD_SIZE => {
                let size = entry.integer()?;
                self.max_udp_payload_size =
                    demand(size >= MIN_UDP_PAYLOAD, size, "max_udp_payload_size is below 1200")?;
            }
            INITIAL_MAX_DATA => self.initial_max_data = entry.integer()?,
            INITIAL_MAX_STREAM_DATA_BIDI_LOCAL => {
                self.initial_max_stream_data_bidi_local = entry.integer()?
            }
            INITIAL_MAX_STREAM_DATA_BIDI_REMOTE => {
                self.initial_max_stream_data_bidi_remote = entry.integer()?
            }
            INITIAL_MAX_STREAM_DATA_UNI => self.initial_max_stream_data_uni = entry.integer()?,
            INITIAL_MAX_STREAMS_BIDI => self.initial_max_streams_bidi = streams(entry)?,
            INITIAL_MAX_STREAMS_UNI => self.initial_max_streams_uni = streams(entry)?,
            ACK_DELAY_EXPONENT => {
                let exponent = u8::try_from(entry.integer()?).unwrap_or(u8::MAX);
                self.ack_delay_exponent =
                    demand(exponent <= MAX_EXPONENT, exponent, "ack_delay_exponent is above 20")?;
            }
            MAX_ACK_DELAY => {
                let millis = entry.integer()?;
                let millis = demand(millis < ACK_DELAY_BOUND, millis, "max_ack_delay is 2^14 or more")?;
                self.max_ack_delay = Duration::from_millis(millis);
            }
            DISABLE_ACTIVE_MIGRATION => self.disable_active_migration = entry.flag()?,
            ACTIVE_CONNECTION_ID_LIMIT => {
                let limit = entry.integer()?;
                self.active_connection_id_limit =
                    demand(limit >= 2, limit, "active_connection_id_limit is below 2")?;
            }
            INITIAL_SOURCE_CONNECTION_ID => {
                self.initial_source_connection_id = Some(entry.connection_id()?);
            }
            MAX_DATAGRAM_FRAME_SIZE => self.max_datagram_frame_size = entry.integer()?,
            MIN_ACK_DELAY => self.min_ack_delay = Some(Duration::from_micros(entry.integer()?)),
            VERSION_INFORMATION => {
                self.version_information = Some(VersionInformation::decode(entry.bytes())?);
            }
            GREASE_QUIC_BIT => self.grease_quic_bit = entry.flag()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Appends all of them, those with default values too; max_datagram_frame_size only if it is not 0,
    /// and min_ack_delay only if there is one.
    fn encode(&self, out: &mut Vec<u8>) {
        put_integer(out, MAX_IDLE_TIMEOUT, millis(self.max_idle_timeout));
        put_integer(out, MAX_UDP_PAYLOAD_SIZE, self.max_udp_payload_size);
        put_integer(out, INITIAL_MAX_DATA, self.initial_max_data);
        put_integer(out, INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, self.initial_max_stream_data_bidi_local);
        put_integer(out, INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, self.initial_max_stream_data_bidi_remote);
        put_integer(out, INITIAL_MAX_STREAM_DATA_UNI, self.initial_max_stream_data_uni);
        put_integer(out, INITIAL_MAX_STREAMS_BIDI, self.initial_max_streams_bidi);
        put_integer(out, INITIAL_MAX_STREAMS_UNI, self.initial_max_streams_uni);
        put_integer(out, ACK_DELAY_EXPONENT, self.ack_delay_exponent.into());
        put_integer(out, MAX_ACK_DELAY, millis(self.max_ack_delay).min(ACK_DELAY_BOUND - 1));
        if self.disable_active_migration {
            put(out, DISABLE_ACTIVE_MIGRATION, b"");
        }
        put_integer(out, ACTIVE_CONNECTION_ID_LIMIT, self.active_connection_id_limit);
        if let Some(id) = &self.initial_source_connection_id {
            put(out, INITIAL_SOURCE_CONNECTION_ID, id);
        }
        if self.max_datagram_frame_size > 0 {
            put_integer(out, MAX_DATAGRAM_FRAME_SIZE, self.max_datagram_frame_size);
        }
        if let Some(delay) = self.min_ack_delay {
            put_integer(out, MIN_ACK_DELAY, u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
        }
        if let Some(information) = &self.version_information {
            put(out, VERSION_INFORMATION, &information.encode());
        }
        if self.grease_quic_bit {
            put(out, GREASE_QUIC_BIT, b"");
        }
    }

    /// What only the whole list can be wrong about.
    fn check(&self) -> Result<(), TransportError> {
        let holds = self.min_ack_delay.is_none_or(|delay| delay <= self.max_ack_delay);
        demand(holds, (), "min_ack_delay is above max_ack_delay")
    }

    /// The peer's own ID must be the one its packets came from (RFC 9000, Section 7.3).
    fn validate_id(&self, scid: ConnectionId) -> Result<(), TransportError> {
        match self.initial_source_connection_id {
            Some(id) if id == scid => Ok(()),
            Some(_) => mismatch("initial_source_connection_id is not the one the packets came from"),
            None => mismatch("initial_source_connection_id is missing"),
        }
    }
}

/// What a client declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientParams {
    /// What both sides declare.
    pub common: Common,
    /// The migration strategies offered; `None`: server migration is not supported.
    pub suite_offer: Option<Suite>,
}

impl ClientParams {
    /// Reads what a client sent. Unknown parameters are ignored.
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR for a list that is malformed, a parameter that is repeated or that only a
    /// server may send, a value that is malformed or out of its range, and version_information without the
    /// version chosen among those available.
    pub fn decode(bytes: &[u8]) -> Result<Self, TransportError> {
        let mut params = Self { common: Common::default(), suite_offer: None };
        for entry in Entries::new(bytes) {
            let entry = entry?;
            if params.common.take(&entry)? {
                continue;
            }
            match entry.id {
                ORIGINAL_DESTINATION_CONNECTION_ID
                | STATELESS_RESET_TOKEN
                | PREFERRED_ADDRESS
                | RETRY_SOURCE_CONNECTION_ID => {
                    return Err(TransportError::transport_parameter(
                        "a client sent what only a server may send",
                    ));
                }
                SERVER_MIGRATION_SUITE => params.suite_offer = Some(Suite::decode(entry.bytes())?),
                _ => {} // RFC 9000, Section 7.4.2: what is not understood is ignored.
            }
        }
        params.common.check()?;
        // RFC 9368, Section 4: a server takes this for a failure to parse.
        if params.common.version_information.as_ref().is_some_and(|versions| !versions.is_of_a_client()) {
            return mismatch("a client chose a version that is not available");
        }
        Ok(params)
    }

    /// Appends the parameters, the migration suite last, as the reference has it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.common.encode(out);
        encode_suite(self.suite_offer, out);
    }

    /// Compares the client's ID with `scid`, which its Initial packets came from.
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR if it is missing or another (RFC 9000, Section 7.3).
    pub fn validate_ids(&self, scid: ConnectionId) -> Result<(), TransportError> {
        self.common.validate_id(scid)
    }
}

/// What a server declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerParams {
    /// What both sides declare.
    pub common: Common,
    /// The ID that the client's very first Initial went to; its absence is an error to `validate_ids`.
    pub original_destination_connection_id: Option<ConnectionId>,
    /// The token of the server's ID of the handshake; `None`: that ID is never reset.
    pub stateless_reset_token: Option<ResetToken>,
    /// Where the server would rather be.
    pub preferred_address: Option<PreferredAddress>,
    /// The ID that a Retry came from, if there was one.
    pub retry_source_connection_id: Option<ConnectionId>,
    /// The migration strategies selected from the client's offer; `None`: no answer.
    pub suite_answer: Option<Suite>,
}

impl ServerParams {
    /// Reads what a server sent. Unknown parameters are ignored.
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR for a list that is malformed, a parameter that is repeated, a value that is
    /// malformed or out of its range, and a preferred address from a server whose connection ID has no bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, TransportError> {
        let mut params = Self {
            common: Common::default(),
            original_destination_connection_id: None,
            stateless_reset_token: None,
            preferred_address: None,
            retry_source_connection_id: None,
            suite_answer: None,
        };
        for entry in Entries::new(bytes) {
            let entry = entry?;
            if params.common.take(&entry)? {
                continue;
            }
            match entry.id {
                ORIGINAL_DESTINATION_CONNECTION_ID => {
                    params.original_destination_connection_id = Some(entry.connection_id()?);
                }
                STATELESS_RESET_TOKEN => params.stateless_reset_token = Some(entry.token()?),
                PREFERRED_ADDRESS => {
                    params.preferred_address = Some(PreferredAddress::decode(entry.bytes())?);
                }
                RETRY_SOURCE_CONNECTION_ID => {
                    params.retry_source_connection_id = Some(entry.connection_id()?);
                }
                SERVER_MIGRATION_SUITE => params.suite_answer = Some(Suite::decode(entry.bytes())?),
                _ => {} // RFC 9000, Section 7.4.2: what is not understood is ignored.
            }
        }
        params.common.check()?;
        let nameless = params.common.initial_source_connection_id == Some(ConnectionId::EMPTY);
        if nameless && params.preferred_address.is_some() {
            return mismatch("a server without a connection ID prefers another address");
        }
        Ok(params)
    }

    /// Appends the parameters, the migration suite last, as the reference has it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(id) = &self.original_destination_connection_id {
            put(out, ORIGINAL_DESTINATION_CONNECTION_ID, id);
        }
        self.common.encode(out);
        if let Some(token) = &self.stateless_reset_token {
            put(out, STATELESS_RESET_TOKEN, &token.0);
        }
        if let Some(preferred) = &self.preferred_address {
            preferred.encode(|value| put(out, PREFERRED_ADDRESS, value));
        }
        if let Some(id) = &self.retry_source_connection_id {
            put(out, RETRY_SOURCE_CONNECTION_ID, id);
        }
        encode_suite(self.suite_answer, out);
    }

    /// Compares the three IDs with those of the packets: `first_dcid` is where our first Initial went, `scid`
    /// where the server's came from, `retry` where its Retry came from, if there was one.
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR if one is missing, another, or there without a reason (RFC 9000, Section
    /// 7.3).
    pub fn validate_ids(
        &self,
        first_dcid: ConnectionId,
        scid: ConnectionId,
        retry: Option<ConnectionId>,
    ) -> Result<(), TransportError> {
        self.common.validate_id(scid)?;
        match self.original_destination_connection_id {
            Some(id) if id == first_dcid => {}
            Some(_) => return mismatch("original_destination_connection_id is not the one we chose"),
            None => return mismatch("original_destination_connection_id is missing"),
        }
        match (self.retry_source_connection_id, retry) {
            (None, None) => Ok(()),
            (Some(id), Some(retry)) if id == retry => Ok(()),
            (Some(_), Some(_)) => mismatch("retry_source_connection_id is not where the Retry came from"),
            (None, Some(_)) => mismatch("retry_source_connection_id is missing"),
            (Some(_), None) => mismatch("retry_source_connection_id without a Retry"),
        }
    }
}

fn encode_suite(suite: Option<Suite>, out: &mut Vec<u8>) {
    if let Some(suite) = suite {
        put_integer(out, SERVER_MIGRATION_SUITE, suite.bits());
    }
}

fn demand<T>(holds: bool, value: T, reason: &'static str) -> Result<T, TransportError> {
    if holds { Ok(value) } else { Err(TransportError::transport_parameter(reason)) }
}

fn mismatch<T>(reason: &'static str) -> Result<T, TransportError> {
    Err(TransportError::transport_parameter(reason))
}

fn streams(entry: &Entry<'_>) -> Result<u64, TransportError> {
    let count = entry.integer()?;
    demand(count <= MAX_STREAMS, count, "more than 2^60 streams are permitted")
}

/// Whole milliseconds, rounded up: a timeout below one must not be sent as none.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}
