//! Other connection IDs for all connections of an endpoint, as when a load balancer's keys change.

use std::sync::Arc;

use super::Endpoint;
use crate::cid::ConnectionIdGenerator;
use crate::error::ConfigError;
use crate::id::ConnectionHandle;

impl Endpoint {
    /// From now on IDs come from `ids`, and peers are told to retire all that they have (RFC 9000, Section 5.1.2).
    ///
    /// The former IDs stay good until a peer retires them, which it does at once if it keeps to the protocol; one that
    /// does not gets new IDs only once, however often this is called. `ids` must know the former IDs for the endpoint's
    /// own as long as connections may have them ([`QuicLbIds::formerly`](crate::QuicLbIds::formerly)).
    ///
    /// # Errors
    ///
    /// A generator of IDs of another length than before: short headers could not be read. Nothing changes then.
    pub fn renew_connection_ids(&mut self, ids: Arc<dyn ConnectionIdGenerator>) -> Result<(), ConfigError> {
        if ids.id_len() != self.config.cid_len {
            return Err(ConfigError {
                setting: "connection_ids",
                reason: "use IDs of the length that the endpoint began with",
            });
        }
        self.issuer = Arc::new(self.issuer.with(ids));
        for (slot, held) in &mut self.slots {
            held.connection.renew_ids(&self.issuer);
            let slot = u32::try_from(slot).expect("connections are fewer than 2^32");
            self.agenda.wake(ConnectionHandle { slot, generation: held.generation });
        }
        Ok(())
    }
}
