//! The frames of server migration: SERVER_MIGRATION, SERVER_MIGRATED, POOL_MIGRATION_ADDRESS
//! (reference, Sections 1.1 to 1.5).
//!
//! The two that carry addresses are always 25 bytes: type, IPv4 address and port, IPv6 address and port. A family
//! that is not used is all zeros.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Truncated, Writer};

/// Length of the two frames that carry addresses.
const ADDRESS_FRAME_LEN: usize = 25;

/// Where a server will be, or may be: an IPv4 endpoint, an IPv6 endpoint, or both.
///
/// Kept as it stands on the wire, half-filled families included: an address without a port, or a port without an
/// address, is not an endpoint of that family but tells this value from an empty one (reference, Section 1.2).
/// Ordered as the reference orders: IPv4 address, IPv4 port, IPv6 address, IPv6 port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigrationTarget {
    v4: Ipv4Addr,
    v4_port: u16,
    v6: Ipv6Addr,
    v6_port: u16,
}

impl MigrationTarget {
    /// The target with these endpoints; `None` if neither is usable (address unspecified, or port 0).
    pub fn new(v4: Option<SocketAddrV4>, v6: Option<SocketAddrV6>) -> Option<Self> {
        let v4 = v4.filter(|a| !a.ip().is_unspecified() && a.port() != 0);
        let v6 = v6.filter(|a| !a.ip().is_unspecified() && a.port() != 0);
        if v4.is_none() && v6.is_none() {
            return None;
        }
        Some(Self {
            v4: v4.map_or(Ipv4Addr::UNSPECIFIED, |a| *a.ip()),
            v4_port: v4.map_or(0, |a| a.port()),
            v6: v6.map_or(Ipv6Addr::UNSPECIFIED, |a| *a.ip()),
            v6_port: v6.map_or(0, |a| a.port()),
        })
    }

    /// The target with this one endpoint; `None` if it is unspecified or has port 0.
    pub fn single(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V4(v4) => Self::new(Some(v4), None),
            SocketAddr::V6(v6) => Self::new(None, Some(v6)),
        }
    }

    /// The IPv4 endpoint, if there is a whole one.
    pub fn v4(&self) -> Option<SocketAddrV4> {
        let whole = !self.v4.is_unspecified() && self.v4_port != 0;
        whole.then(|| SocketAddrV4::new(self.v4, self.v4_port))
    }

    /// The IPv6 endpoint, if there is a whole one.
    pub fn v6(&self) -> Option<SocketAddrV6> {
        let whole = !self.v6.is_unspecified() && self.v6_port != 0;
        whole.then(|| SocketAddrV6::new(self.v6, self.v6_port, 0, 0))
    }

    /// The endpoint of the same family as `current`; a link-local one is on the same link.
    pub fn like(&self, current: SocketAddr) -> Option<SocketAddr> {
        match current {
            SocketAddr::V4(_) => self.v4().map(SocketAddr::V4),
            SocketAddr::V6(current) => {
                let mut v6 = self.v6()?;
                if v6.ip().is_unicast_link_local() {
                    v6.set_scope_id(current.scope_id());
                }
                Some(SocketAddr::V6(v6))
            }
        }
    }

    /// Whether one of its endpoints is `address`.
    pub fn names(&self, address: SocketAddr) -> bool {
        self.like(address).is_some_and(|own| own.ip() == address.ip() && own.port() == address.port())
    }

    /// All 24 bytes zero: on the wire, no target at all.
    fn is_zero(&self) -> bool {
        self.v4.is_unspecified() && self.v4_port == 0 && self.v6.is_unspecified() && self.v6_port == 0
    }

    /// Reads the 24 bytes; `None` if all are zero.
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Truncated> {
        let target = Self {
            v4: reader.array::<4>()?.into(),
            v4_port: reader.u16()?,
            v6: reader.array::<16>()?.into(),
            v6_port: reader.u16()?,
        };
        Ok((!target.is_zero()).then_some(target))
    }

    fn write(target: Option<Self>, out: &mut Writer<'_>) {
        let Some(target) = target else { return out.zeros(ADDRESS_FRAME_LEN - 1) };
        out.bytes(&target.v4.octets());
        out.u16(target.v4_port);
        out.bytes(&target.v6.octets());
        out.u16(target.v6_port);
    }
}

impl fmt::Debug for MigrationTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MigrationTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v4(), self.v6()) {
            (Some(v4), None) => write!(f, "{v4}"),
            (None, Some(v6)) => write!(f, "{v6}"),
            _ => write!(f, "{}:{}||[{}]:{}", self.v4, self.v4_port, self.v6, self.v6_port),
        }
    }
}

/// A server's announcement that it is going to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerMigration {
    /// All zeros on the wire: a move is coming (Synchronized Symmetric).
    Announce,
    /// The server will be there (Explicit).
    MoveTo(MigrationTarget),
}

impl ServerMigration {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(MigrationTarget::read(reader)?.map_or(Self::Announce, Self::MoveTo))
    }
}

/// An address that the server may move to; `None` is the all-zero value, which no server should send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolMigrationAddress {
    /// The address.
    pub target: Option<MigrationTarget>,
}

impl PoolMigrationAddress {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { target: MigrationTarget::read(reader)? })
    }
}

/// SERVER_MIGRATION to be sent, belonging to the connection's migration number `migration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendServerMigration {
    /// What it says.
    pub frame: ServerMigration,
    /// Whose it is.
    pub migration: u32,
}

impl Encode for SendServerMigration {
    fn encoded_len(&self) -> usize {
        ADDRESS_FRAME_LEN
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x32);
        let target = match self.frame {
            ServerMigration::Announce => None,
            ServerMigration::MoveTo(target) => Some(target),
        };
        MigrationTarget::write(target, out);
    }
}

impl Outgoing for SendServerMigration {
    fn record(&self) -> Option<Record> {
        Some(Record::ServerMigration { migration: self.migration })
    }
}

/// SERVER_MIGRATED to be sent, belonging to the connection's migration number `migration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendServerMigrated {
    /// Whose it is.
    pub migration: u32,
}

impl Encode for SendServerMigrated {
    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x33);
    }
}

impl Outgoing for SendServerMigrated {
    fn record(&self) -> Option<Record> {
        Some(Record::ServerMigrated { migration: self.migration })
    }
}

/// POOL_MIGRATION_ADDRESS to be sent: the pool's member number `member`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendPoolAddress {
    /// The address.
    pub target: MigrationTarget,
    /// Its index in the configured pool.
    pub member: u16,
}

impl Encode for SendPoolAddress {
    fn encoded_len(&self) -> usize {
        ADDRESS_FRAME_LEN
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x34);
        MigrationTarget::write(Some(self.target), out);
    }
}

impl Outgoing for SendPoolAddress {
    fn record(&self) -> Option<Record> {
        Some(Record::PoolMigrationAddress { member: self.member })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::super::tests::{read, resent, target};
    use super::*;

    #[test]
    fn a_target_of_one_family_has_that_one_alone() {
        let v4 = MigrationTarget::single("192.0.2.7:6666".parse().expect("an address")).expect("usable");
        assert_eq!((v4.v4(), v4.v6()), (Some("192.0.2.7:6666".parse().expect("an endpoint")), None));
        let v6 = MigrationTarget::single("[::1]:5001".parse().expect("an address")).expect("usable");
        assert_eq!((v6.v4(), v6.v6()), (None, Some("[::1]:5001".parse().expect("an endpoint"))));
        assert_eq!(v4, target(Some("192.0.2.7:6666"), None));
        assert_eq!(v6, target(None, Some("[::1]:5001")));
    }

    #[test]
    fn a_target_of_both_families_keeps_all_four_members() {
        let both = target(Some("127.0.0.1:5000"), Some("[::1]:5001"));
        assert_eq!(both.v4(), Some("127.0.0.1:5000".parse().expect("an endpoint")));
        assert_eq!(both.v6(), Some("[::1]:5001".parse().expect("an endpoint")));
    }

    #[test]
    fn a_target_of_both_families_answers_in_the_family_asked_for() {
        let both = target(Some("127.0.0.1:5000"), Some("[::1]:5001"));
        let like = |text: &str| both.like(text.parse().expect("an address")).map(|a| a.to_string());
        assert_eq!(like("10.0.0.1:1"), Some("127.0.0.1:5000".to_owned()));
        assert_eq!(like("[2001:db8::1]:1"), Some("[::1]:5001".to_owned()));
        assert!(both.names("[::1]:5001".parse().expect("an address")));
        assert!(!both.names("127.0.0.1:5001".parse().expect("an address")));
        assert_eq!(both.to_string(), "127.0.0.1:5000||[::1]:5001");
    }

    #[test]
    fn a_link_local_endpoint_is_on_the_link_in_use() {
        let home = "[fe80::1%3]:443".parse().expect("an address");
        let near = target(None, Some("[fe80::2]:443"));
        assert_eq!(near.like(home), Some("[fe80::2%3]:443".parse().expect("an address")));
        assert!(near.names("[fe80::2%3]:443".parse().expect("an address")));
        let far = target(None, Some("[2001:db8::2]:443"));
        assert_eq!(far.like(home), Some("[2001:db8::2]:443".parse().expect("an address")));
    }

    #[test]
    fn a_target_without_a_usable_endpoint_cannot_be_made() {
        for text in ["0.0.0.0:1", "127.0.0.1:0", "[::]:1", "[::1]:0"] {
            assert_eq!(MigrationTarget::single(text.parse().expect("an address")), None);
        }
        assert_eq!(MigrationTarget::new(None, None), None);
    }

    #[test]
    fn half_an_endpoint_is_no_endpoint_and_yet_not_nothing() {
        for half in
            [[&[127, 0, 0, 1, 0, 0][..], &[0; 18]].concat(), [&[0, 0, 0, 0, 0, 1][..], &[0; 18]].concat()]
        {
            let bytes = [&[0x32][..], &half].concat();
            let frames = read(&bytes).expect("every 24 bytes are a target");
            let [Frame::ServerMigration(ServerMigration::MoveTo(target))] = frames[..] else {
                panic!("{frames:?}")
            };
            assert_eq!((target.v4(), target.v6()), (None, None));
            assert_eq!(resent(&frames[0]).0, bytes);
        }
    }

    #[test]
    fn the_three_frames_take_25_1_and_25_bytes_and_leave_a_record_each() {
        let both = target(Some("127.0.0.1:5000"), Some("[::1]:5001"));
        let moving = SendServerMigration { frame: ServerMigration::MoveTo(both), migration: 7 };
        let empty = SendServerMigration { frame: ServerMigration::Announce, migration: 7 };
        let migrated = SendServerMigrated { migration: 7 };
        let pool = SendPoolAddress { target: both, member: 3 };
        assert_eq!([moving.encoded_len(), empty.encoded_len()], [25, 25]);
        assert_eq!([migrated.encoded_len(), pool.encoded_len()], [1, 25]);
        assert_eq!(moving.record(), Some(Record::ServerMigration { migration: 7 }));
        assert_eq!(empty.record(), Some(Record::ServerMigration { migration: 7 }));
        assert_eq!(migrated.record(), Some(Record::ServerMigrated { migration: 7 }));
        assert_eq!(pool.record(), Some(Record::PoolMigrationAddress { member: 3 }));
    }

    #[test]
    fn targets_are_ordered_by_ipv4_before_ipv6() {
        let ascending = [
            target(None, Some("[::1]:1")),
            target(Some("10.0.0.1:1"), None),
            target(Some("10.0.0.1:1"), Some("[::1]:1")),
            target(Some("10.0.0.1:2"), None),
            target(Some("10.0.0.2:1"), None),
        ];
        assert!(ascending.is_sorted());
    }
}
