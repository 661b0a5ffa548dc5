//! What a load balancer knows: which server the packets of a connection ID go to (draft-ietf-quic-load-balancers,
//! Sections 4 and 5.5).
//!
//! Keeps no state of connections. Who is behind a server ID, and where packets go whose ID tells nothing, is up to the
//! load balancer.

use super::{QuicLbConfig, ServerId, UNROUTABLE, codepoint_of};

/// The configurations that are in use, each at its codepoint.
///
/// With [`peek`](crate::peek) it is the heart of a load balancer:
///
/// ```
/// # use peregrine::{QuicLbConfig, QuicLbRouter, ServerId, peek};
/// let mut router = QuicLbRouter::new();
/// router.insert(QuicLbConfig::new(0, 1, 6)?.key([7; 16]));
///
/// let server_of = |datagram: &[u8]| -> Option<ServerId> {
///     router.server_id_of(&peek(datagram, router.id_len())?)
/// };
/// // Of the first packet of a connection: by its address then.
/// # let datagram = [0xff; 40];
/// assert_eq!(server_of(&datagram), None);
/// # Ok::<(), peregrine::QuicLbError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct QuicLbRouter {
    configs: [Option<QuicLbConfig>; UNROUTABLE as usize],
}

impl QuicLbRouter {
    /// Knows no configuration: nothing is routable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration into use before servers do (Section 3.1). Returns the one that had its codepoint, whose
    /// IDs are not routable any more.
    pub fn insert(&mut self, config: QuicLbConfig) -> Option<QuicLbConfig> {
        let place = self.configs.get_mut(usize::from(config.codepoint)).expect("a codepoint is below 7");
        place.replace(config)
    }

    /// Takes the configuration at a codepoint out of use, once the last connection has left it.
    pub fn remove(&mut self, codepoint: u8) -> Option<QuicLbConfig> {
        self.configs.get_mut(usize::from(codepoint))?.take()
    }

    /// How many bytes of a short header may be a connection ID: those of the longest configuration, for
    /// [`peek`](crate::peek). Zero without a configuration.
    pub fn id_len(&self) -> usize {
        self.configs.iter().flatten().map(QuicLbConfig::id_len).max().unwrap_or_default()
    }

    /// The server that issued a connection ID; `id` may have more bytes than that.
    ///
    /// `None` if the ID is not routable (Section 4.1): its codepoint is in no use, or it is too short. Random bytes such
    /// as a client's first connection ID may decode to a server ID that nobody has: route those as the others, by
    /// address (Section 4.3).
    pub fn server_id_of(&self, id: &[u8]) -> Option<ServerId> {
        let config = self.configs.get(usize::from(codepoint_of(id)?))?.as_ref()?;
        config.open(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cid::generator::ConnectionIdGenerator;
    use crate::cid::quic_lb::{QuicLbIds, UnroutableIds};
    use crate::id::ConnectionId;
    use crate::packet::peek;
    use crate::rng::SeededRng;

    fn config(codepoint: u8, nonce_len: usize) -> QuicLbConfig {
        QuicLbConfig::new(codepoint, 2, nonce_len).expect("it can be").key([codepoint; 16])
    }

    fn server(byte: u8) -> ServerId {
        ServerId::new(&[byte; 2]).expect("two bytes")
    }

    fn id(config: QuicLbConfig, byte: u8) -> ConnectionId {
        let mut rng = SeededRng::new(byte.into());
        QuicLbIds::new(config, server(byte), &mut rng).expect("two bytes").generate(&mut rng)
    }

    #[test]
    fn ids_lead_to_their_servers_under_any_configuration_in_use() {
        let mut router = QuicLbRouter::new();
        assert!(router.insert(config(0, 4)).is_none() && router.insert(config(6, 14)).is_none());
        for byte in 0..100 {
            assert_eq!(router.server_id_of(&id(config(0, 4), byte)), Some(server(byte)));
            assert_eq!(router.server_id_of(&id(config(6, 14), byte)), Some(server(byte)));
        }
    }

    #[test]
    fn an_id_of_no_configuration_is_not_routable() {
        let mut router = QuicLbRouter::new();
        let old = id(config(0, 4), 1);
        assert_eq!(router.server_id_of(&old), None);
        router.insert(config(0, 4));
        router.insert(config(1, 4));
        assert!(router.remove(0).is_some() && router.remove(0).is_none());
        assert_eq!(router.server_id_of(&old), None);
        assert!(router.remove(7).is_none() && router.remove(255).is_none());
        let unroutable = UnroutableIds::new(8).expect("eight").generate(&mut SeededRng::new(1));
        assert_eq!(router.server_id_of(&unroutable), None);
    }

    #[test]
    fn a_configuration_takes_the_place_of_another_at_its_codepoint() {
        let mut router = QuicLbRouter::new();
        router.insert(config(0, 4));
        let replaced = router.insert(config(0, 9)).expect("there was one");
        assert_eq!(replaced.nonce_len(), 4);
        assert_eq!(router.server_id_of(&id(config(0, 4), 1)), None);
        assert_eq!(router.server_id_of(&id(config(0, 9), 1)), Some(server(1)));
    }

    #[test]
    fn a_short_header_is_peeked_at_with_the_longest_length() {
        let mut router = QuicLbRouter::new();
        assert_eq!(router.id_len(), 0);
        [config(0, 4), config(1, 12)].into_iter().for_each(|config| drop(router.insert(config)));
        assert_eq!(router.id_len(), 15);
        let datagram = [&[0x40][..], &id(config(0, 4), 3), &[0xee; 20]].concat();
        let peeked = peek(&datagram, router.id_len()).expect("the shortest packet is longer");
        assert_eq!(router.server_id_of(&peeked), Some(server(3)));
    }

    proptest! {
        #[test]
        fn whatever_comes_from_outside_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..=260)) {
            let mut router = QuicLbRouter::new();
            router.insert(config(0, 4).encode_length());
            router.insert(QuicLbConfig::new(1, 4, 12).expect("it can be").key([1; 16]));
            router.insert(QuicLbConfig::new(2, 15, 4).expect("it can be").key([1; 16]));
            router.insert(QuicLbConfig::new(3, 1, 4).expect("it can be"));
            let codepoint = bytes.first().map(|first| first >> 5);
            let found = router.server_id_of(&bytes);
            prop_assert!(found.is_none() || codepoint.is_some_and(|codepoint| codepoint < 4));
        }
    }
}
