//! Which addresses a server may send its clients to (server-migration rules, 2.11; RFC 9000, Section 21.5).
//!
//! With the migration frames a server chooses where a client sends. The client asks its policy before any
//! datagram goes to an address that the server named or showed; the default keeps a server on the Internet
//! from reaching into the networks its clients live in. A refusal is never told to the peer, or it would map
//! those networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Decides whether a client may send to an address that its server named or showed (rules, 2.11; reference, W3).
pub trait AddressPolicy: Send + Sync {
    /// Whether a client that reaches its server at `current` may send to `target`.
    ///
    /// Asked once for each candidate, before the first datagram. An address it refuses counts as never
    /// announced; the connection goes on.
    fn permits(&self, current: SocketAddr, target: SocketAddr) -> bool;
}

/// Permits what a host can have for its own, in no narrower scope than the server address in use.
///
/// Scopes widen from loopback over link-local and private (RFC 1918, 100.64/10, unique-local) to global.
/// Refused whatever the address in use: port 0, unspecified, multicast, broadcast, reserved and documentation
/// addresses. An IPv6 address that stands for an IPv4 address (IPv4-mapped, NAT64, 6to4) is judged as that
/// one. A server in use at an address that is itself of no scope counts as global.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DefaultPolicy;

impl AddressPolicy for DefaultPolicy {
    fn permits(&self, current: SocketAddr, target: SocketAddr) -> bool {
        let needed = Scope::of(current.ip()).unwrap_or(Scope::Global);
        target.port() != 0 && Scope::of(target.ip()).is_some_and(|scope| scope >= needed)
    }
}

/// How far an address reaches, from the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Loopback,
    LinkLocal,
    Private,
    Global,
}

impl Scope {
    /// The scope of an address; `None` if no host has it for its own.
    fn of(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        match ip.octets() {
            // This network; documentation (RFC 5737); multicast; reserved, and broadcast.
            [0, ..] | [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => None,
            [127, ..] => Some(Self::Loopback),
            [169, 254, ..] => Some(Self::LinkLocal),
            // RFC 1918, and what lies behind a carrier's NAT (RFC 6598).
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Some(Self::Private),
            // Protocol assignments (RFC 6890) and benchmarks (RFC 2544): not routed between networks.
            [192, 0, 0, _] | [198, 18..=19, ..] => Some(Self::Private),
            _ => Some(Self::Global),
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Option<Self> {
        match ip.segments() {
            // IPv4-mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
            [0, 0, 0, 0, 0, 0xffff, high, low]
            | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
            | [0x2002, high, low, ..] => {
                Self::of_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
            }
            [0, 0, 0, 0, 0, 0, 0, 1] => Some(Self::Loopback),
            // NAT64 within one network (RFC 8215): where the IPv4 address stands is that network's choice.
            [0x64, 0xff9b, 1, ..] => Some(Self::Private),
            // Unspecified, IPv4-compatible and the reserved rest of ::/8; discard-only (RFC 6666).
            [0..=0xff, ..] | [0x100, 0, 0, 0, ..] => None,
            // Documentation (RFC 3849, RFC 9637); multicast.
            [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0xff00..=0xffff, ..] => None,
            [0xfe80..=0xfebf, ..] => Some(Self::LinkLocal),
            // Unique-local (RFC 4193), and site-local before it.
            [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some(Self::Private),
            _ => Some(Self::Global),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOOPBACK: &[&str] = &["127.0.0.1:443", "127.255.255.254:443", "[::1]:443"];
    const LINK_LOCAL: &[&str] = &["169.254.169.254:443", "[fe80::1]:443", "[febf:ffff::1]:443"];
    const PRIVATE: &[&str] = &[
        "10.0.0.1:443",
        "172.16.0.1:443",
        "172.31.255.254:443",
        "192.168.0.1:443",
        "100.64.0.1:443",
        "100.127.255.254:443",
        "192.0.0.8:443",
        "198.18.0.1:443",
        "198.19.255.254:443",
        "[fc00::1]:443",
        "[fdff:ffff::1]:443",
        "[fec0::1]:443",
        "[64:ff9b:1::1]:443",
    ];
    const GLOBAL: &[&str] = &[
        "8.8.8.8:443",
        "100.63.255.255:443",
        "100.128.0.1:443",
        "172.15.255.255:443",
        "172.32.0.1:443",
        "192.167.255.255:443",
        "192.169.0.1:443",
        "198.17.255.255:443",
        "198.20.0.1:443",
        "223.255.255.254:443",
        "[2001:db7::1]:443",
        "[2a00:1450::1]:443",
        "[2606:4700::1111]:443",
    ];

    fn permits(current: &str, target: &str) -> bool {
        DefaultPolicy.permits(current.parse().unwrap(), target.parse().unwrap())
    }

    #[test]
    fn a_server_on_the_internet_sends_its_clients_nowhere_else() {
        for target in GLOBAL {
            assert!(permits("9.9.9.9:443", target), "{target}");
            assert!(permits("[2620:fe::9]:443", target), "{target}");
        }
        for target in [LOOPBACK, LINK_LOCAL, PRIVATE].concat() {
            assert!(!permits("9.9.9.9:443", target), "{target}");
            assert!(!permits("[2620:fe::9]:443", target), "{target}");
        }
    }

    #[test]
    fn a_server_moves_within_its_scope_and_to_wider_ones_but_not_to_narrower_ones() {
        let scopes = [LOOPBACK, LINK_LOCAL, PRIVATE, GLOBAL];
        for (from, currents) in scopes.iter().enumerate() {
            for (to, targets) in scopes.iter().enumerate() {
                for (current, target) in currents.iter().flat_map(|c| targets.iter().map(move |t| (c, t))) {
                    assert_eq!(permits(current, target), to >= from, "{current} to {target}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_hosts_own_address_is_refused_even_to_a_server_on_loopback() {
        for target in [
            "0.0.0.0:443",
            "0.1.2.3:443",
            "224.0.0.1:443",
            "239.255.255.255:443",
            "240.0.0.1:443",
            "255.255.255.255:443",
            "192.0.2.1:443",
            "198.51.100.1:443",
            "203.0.113.1:443",
            "[::]:443",
            "[ff02::1]:443",
            "[ff0e::1]:443",
            "[2001:db8::1]:443",
            "[3fff:fff::1]:443",
            "[100::1]:443",
        ] {
            assert!(!permits("127.0.0.1:443", target), "{target}");
            assert!(!permits("[::1]:443", target), "{target}");
        }
    }

    #[test]
    fn port_zero_is_refused() {
        assert!(!permits("9.9.9.9:443", "8.8.8.8:0"));
        assert!(!permits("127.0.0.1:443", "127.0.0.1:0"));
        assert!(!permits("[2620:fe::9]:443", "[2606:4700::1111]:0"));
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_judged_as_itself() {
        for prefix in ["::ffff:", "64:ff9b::"] {
            for inside in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1"] {
                let target = format!("[{prefix}{inside}]:443");
                assert!(!permits("[2620:fe::9]:443", &target), "{target}");
            }
            assert!(permits("[2620:fe::9]:443", &format!("[{prefix}8.8.8.8]:443")));
            assert!(!permits("[::1]:443", &format!("[{prefix}255.255.255.255]:443")));
        }
        assert!(!permits("[2620:fe::9]:443", "[2002:7f00:1::1]:443"), "6to4 of 127.0.0.1");
        assert!(permits("[2620:fe::9]:443", "[2002:808:808::1]:443"), "6to4 of 8.8.8.8");
    }

    #[test]
    fn an_ipv4_compatible_address_is_no_way_round() {
        assert!(!permits("[2620:fe::9]:443", "[::127.0.0.1]:443"));
        assert!(!permits("[2620:fe::9]:443", "[::8.8.8.8]:443"));
    }

    #[test]
    fn a_server_reached_by_a_mapped_address_is_in_the_scope_of_the_embedded_one() {
        assert!(permits("[::ffff:10.0.0.1]:443", "[::ffff:192.168.0.1]:443"));
        assert!(permits("[64:ff9b::10.0.0.1]:443", "[fd00::1]:443"));
        assert!(!permits("[::ffff:9.9.9.9]:443", "[::ffff:192.168.0.1]:443"));
    }

    #[test]
    fn a_server_at_an_address_of_no_scope_counts_as_global() {
        assert!(permits("192.0.2.1:443", "8.8.8.8:443"));
        assert!(!permits("192.0.2.1:443", "10.0.0.1:443"));
        assert!(!permits("192.0.2.1:443", "192.0.2.1:443"));
    }

    proptest! {
        /// If the two spellings of one address were judged differently, one would be the way in.
        #[test]
        fn an_ipv4_address_and_its_mapped_form_are_permitted_alike(
            current: Ipv4Addr, target: Ipv4Addr, port: u16,
        ) {
            let plain = |ip: Ipv4Addr| SocketAddr::new(ip.into(), port);
            let mapped = |ip: Ipv4Addr| SocketAddr::new(ip.to_ipv6_mapped().into(), port);
            let answer = DefaultPolicy.permits(plain(current), plain(target));
            prop_assert_eq!(DefaultPolicy.permits(plain(current), mapped(target)), answer);
            prop_assert_eq!(DefaultPolicy.permits(mapped(current), plain(target)), answer);
        }
    }
}
