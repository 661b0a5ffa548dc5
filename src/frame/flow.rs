//! Flow control: MAX_DATA, MAX_STREAM_DATA, MAX_STREAMS and their *_BLOCKED counterparts
//! (RFC 9000, Sections 19.9 to 19.14).

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};
use crate::id::{Dir, StreamId};
use crate::varint::size;

/// The largest number of streams that can be permitted: beyond it a stream ID would not fit.
pub const MAX_STREAMS: u64 = 1 << 60;

macro_rules! limit_frame {
    ($(#[$doc:meta])* $name:ident, $code:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// Bytes on all streams together.
            pub limit: u64,
        }

        impl $name {
            pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self { limit: reader.varint()? })
            }
        }

        impl Encode for $name {
            fn encoded_len(&self) -> usize {
                1 + size(self.limit)
            }

            fn encode(&self, out: &mut Writer<'_>) {
                out.u8($code);
                out.varint(self.limit);
            }
        }

        impl Outgoing for $name {
            fn record(&self) -> Option<Record> {
                Some(Record::$name { limit: self.limit })
            }
        }
    };
}

macro_rules! stream_limit_frame {
    ($(#[$doc:meta])* $name:ident, $code:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// Which stream.
            pub id: StreamId,
            /// Bytes on that stream.
            pub limit: u64,
        }

        impl $name {
            pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self { id: StreamId::from_wire(reader.varint()?), limit: reader.varint()? })
            }
        }

        impl Encode for $name {
            fn encoded_len(&self) -> usize {
                1 + size(self.id.into_inner()) + size(self.limit)
            }

            fn encode(&self, out: &mut Writer<'_>) {
                out.u8($code);
                out.varint(self.id.into_inner());
                out.varint(self.limit);
            }
        }

        impl Outgoing for $name {
            fn record(&self) -> Option<Record> {
                Some(Record::$name { id: self.id, limit: self.limit })
            }
        }
    };
}

macro_rules! stream_count_frame {
    ($(#[$doc:meta])* $name:ident, $code:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// Which kind of streams.
            pub dir: Dir,
            /// How many over the connection's life.
            pub limit: u64,
        }

        impl $name {
            pub(super) fn read(dir: Dir, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                let limit = reader.varint()?;
                if limit > MAX_STREAMS {
                    return Err(Malformed("the number of streams is above 2^60"));
                }
                Ok(Self { dir, limit })
            }
        }

        impl Encode for $name {
            fn encoded_len(&self) -> usize {
                1 + size(self.limit)
            }

            fn encode(&self, out: &mut Writer<'_>) {
                out.u8(match self.dir {
                    Dir::Bi => $code,
                    Dir::Uni => $code + 1,
                });
                out.varint(self.limit);
            }
        }

        impl Outgoing for $name {
            fn record(&self) -> Option<Record> {
                Some(Record::$name { dir: self.dir, limit: self.limit })
            }
        }
    };
}

limit_frame!(
    /// The connection's window is raised to `limit`.
    MaxData, 0x10
);
limit_frame!(
    /// The sender would send more, were `limit` higher.
    DataBlocked, 0x14
);
stream_limit_frame!(
    /// A stream's window is raised to `limit`.
    MaxStreamData, 0x11
);
stream_limit_frame!(
    /// The sender would send more on a stream, were `limit` higher.
    StreamDataBlocked, 0x15
);
stream_count_frame!(
    /// The number of streams the peer may open is raised to `limit`.
    MaxStreams, 0x12
);
stream_count_frame!(
    /// The peer would open more streams, were `limit` higher.
    StreamsBlocked, 0x16
);
