//! How we come by the secrets of TLS: rustls tells them to a key log, and this is one.
//!
//! Made for one connection, put before the embedder's log in that connection's copy of the configuration. What is
//! heard is wiped as soon as it has become keys.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::KeyLog;

use super::exporter::Exporter;
use super::{KeyRing, Level, Secret, Suite};
use crate::id::Side;
use crate::packet::Version;

/// Hears the secrets of one connection, and passes them on.
pub struct SecretLog {
    next: Arc<dyn KeyLog>,
    heard: Mutex<Heard>,
}

/// What was told and not used yet.
#[derive(Default)]
struct Heard {
    client_handshake: Option<Secret>,
    server_handshake: Option<Secret>,
    client_traffic: Option<Secret>,
    server_traffic: Option<Secret>,
    exporter: Option<Secret>,
}

impl Heard {
    fn slot(&mut self, label: &str) -> Option<&mut Option<Secret>> {
        match label {
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Some(&mut self.client_handshake),
            "SERVER_HANDSHAKE_TRAFFIC_SECRET" => Some(&mut self.server_handshake),
            "CLIENT_TRAFFIC_SECRET_0" => Some(&mut self.client_traffic),
            "SERVER_TRAFFIC_SECRET_0" => Some(&mut self.server_traffic),
            "EXPORTER_SECRET" => Some(&mut self.exporter),
            _ => None,
        }
    }
}

impl SecretLog {
    /// A log before `next`, which is the embedder's.
    pub fn before(next: &Arc<dyn KeyLog>) -> Self {
        Self { next: Arc::clone(next), heard: Mutex::default() }
    }

    /// Nobody panics while holding it, and if so, secrets are still secrets.
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes keys of the secrets of a level, which are forgotten then.
    pub fn keys(&self, level: Level, side: Side, version: Version, suite: Suite) -> Option<KeyRing> {
        let mut heard = self.lock();
        let (client, server) = match level {
            Level::Initial => return None,
            Level::Handshake => (heard.client_handshake.take()?, heard.server_handshake.take()?),
            Level::OneRtt => (heard.client_traffic.take()?, heard.server_traffic.take()?),
        };
        let (ours, theirs) = match side {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        Some(match level {
            Level::Initial | Level::Handshake => KeyRing::handshake(version, suite, &ours, &theirs),
            Level::OneRtt => KeyRing::one_rtt(version, suite, ours, theirs),
        })
    }

    /// What exports keying material, once there is a secret for it; taken from here.
    pub fn exporter(&self, suite: Suite) -> Option<Exporter> {
        Some(Exporter::new(suite, self.lock().exporter.take()?))
    }
}

impl KeyLog for SecretLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        if let Some(slot) = self.lock().slot(label) {
            *slot = Secret::new(secret);
        }
        if self.next.will_log(label) {
            self.next.log(label, client_random, secret);
        }
    }

    fn will_log(&self, label: &str) -> bool {
        Heard::default().slot(label).is_some() || self.next.will_log(label)
    }
}

impl fmt::Debug for SecretLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretLog(..)")
    }
}
