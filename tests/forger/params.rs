//! Transport parameters as a list of whatever one likes (RFC 9000, Section 18).

use super::wire::varint;

pub const ORIGINAL_DESTINATION_CONNECTION_ID: u64 = 0x00;
pub const INITIAL_SOURCE_CONNECTION_ID: u64 = 0x0f;
/// The sum of the strategies that are offered or agreed on (reference, Section 1.6).
pub const SERVER_MIGRATION_SUITE: u64 = 0x64;

pub const EXPLICIT: u64 = 1;
pub const POOL: u64 = 2;
pub const SYMMETRIC: u64 = 4;
pub const SYNCHRONIZED: u64 = 8;

/// Transport parameters in the order in which they are said.
#[derive(Debug, Clone, Default)]
pub struct Params {
    entries: Vec<(u64, Vec<u8>)>,
    /// Bytes that are missing at the end.
    cut: usize,
}

impl Params {
    /// What an honest peer says that calls itself `scid` and permits a great deal.
    pub fn honest(scid: &[u8]) -> Self {
        let mut params = Self::default();
        for id in 0x04..=0x07 {
            params = params.integer(id, 1 << 40);
        }
        params
            .integer(0x08, 100)
            .integer(0x09, 100)
            .integer(0x0e, 8)
            .bytes(INITIAL_SOURCE_CONNECTION_ID, scid)
    }

    /// Says an integer; what was said of it before is not.
    pub fn integer(self, id: u64, value: u64) -> Self {
        self.bytes(id, &varint(value))
    }

    /// Says this; what was said of it before is not.
    pub fn bytes(self, id: u64, value: &[u8]) -> Self {
        self.without(id).also(id, value)
    }

    /// Says this as well, perhaps for the second time.
    pub fn also(mut self, id: u64, value: &[u8]) -> Self {
        self.entries.push((id, value.to_vec()));
        self
    }

    /// Does not say this.
    pub fn without(mut self, id: u64) -> Self {
        self.entries.retain(|(other, _)| *other != id);
        self
    }

    /// Leaves the last bytes out.
    pub fn cut(self, bytes: usize) -> Self {
        Self { cut: bytes, ..self }
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let entry =
            |(id, value): &(u64, Vec<u8>)| [varint(*id), varint(value.len() as u64), value.clone()].concat();
        let mut bytes: Vec<u8> = self.entries.iter().flat_map(entry).collect();
        bytes.truncate(bytes.len() - self.cut);
        bytes
    }
}
