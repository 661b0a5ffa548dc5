//! Key logs: how we come by the secrets of TLS, since rustls tells them to such a log, and how the embedder's log hears
//! of those that follow.
//!
//! A [`SecretLog`] is made for one connection and put before the embedder's log in that connection's copy of the
//! configuration. What is heard is wiped as soon as it has become keys. An [`UpdateLog`] goes on where rustls ends.

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
    client_early: Option<Secret>,
    client_handshake: Option<Secret>,
    server_handshake: Option<Secret>,
    client_traffic: Option<Secret>,
    server_traffic: Option<Secret>,
    exporter: Option<Secret>,
    /// By which a log tells connections apart; `None` before the first secret.
    client_random: Option<[u8; 32]>,
}

impl Heard {
    fn slot(&mut self, label: &str) -> Option<&mut Option<Secret>> {
        match label {
            "CLIENT_EARLY_TRAFFIC_SECRET" => Some(&mut self.client_early),
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

    /// Makes keys of the secret of 0-RTT, which is forgotten then; `None` if none was told.
    pub fn early_keys(&self, version: Version, suite: Suite) -> Option<KeyRing> {
        let secret = self.lock().client_early.take()?;
        Some(KeyRing::early(version, suite, &secret))
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
            Level::OneRtt => {
                let mut ring = KeyRing::one_rtt(version, suite, ours, theirs);
                if let Some(client_random) = heard.client_random
                    && self.next.will_log("CLIENT_TRAFFIC_SECRET_1")
                {
                    ring.log_updates(UpdateLog { log: Arc::clone(&self.next), client_random, side });
                }
                ring
            }
        })
    }

    /// What exports keying material, once there is a secret for it; taken from here.
    pub fn exporter(&self, suite: Suite) -> Option<Exporter> {
        Some(Exporter::new(suite, self.lock().exporter.take()?))
    }
}

impl KeyLog for SecretLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut heard = self.lock();
        heard.client_random = client_random.try_into().ok();
        if let Some(slot) = heard.slot(label) {
            *slot = Secret::new(secret);
        }
        drop(heard);
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

/// Tells the embedder's log the secrets after key updates, as rustls told it those before.
pub struct UpdateLog {
    log: Arc<dyn KeyLog>,
    client_random: [u8; 32],
    /// Which one is ours.
    side: Side,
}

impl UpdateLog {
    /// The traffic secrets after so many updates.
    pub fn tell(&self, updates: u64, ours: &Secret, theirs: &Secret) {
        let (client, server) = match self.side {
            Side::Client => (ours, theirs),
            Side::Server => (theirs, ours),
        };
        for (side, secret) in [("CLIENT", client), ("SERVER", server)] {
            let label = format!("{side}_TRAFFIC_SECRET_{updates}");
            if self.log.will_log(&label) {
                self.log.log(&label, &self.client_random, secret.as_bytes());
            }
        }
    }
}

impl fmt::Debug for UpdateLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpdateLog(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Standing;
    use crate::packet::Version;
    use crate::packet::vectors::{hex, vector};
    use crate::time::Instant;

    /// Label, client random and secret.
    type Line = (String, Vec<u8>, Vec<u8>);

    /// Writes everything down; or nothing, and cannot bear to be told.
    #[derive(Debug, Default)]
    struct Notes {
        deaf: bool,
        lines: Mutex<Vec<Line>>,
    }

    impl KeyLog for Notes {
        fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
            assert!(!self.deaf, "{label}");
            let line = (label.to_owned(), client_random.to_vec(), secret.to_vec());
            self.lines.lock().expect("nobody panics").push(line);
        }

        fn will_log(&self, _: &str) -> bool {
            !self.deaf
        }
    }

    /// A server's ring that hears of its secrets by a log before `notes`, and follows three updates of RFC 9001's labels.
    fn follow_the_chain(notes: &Arc<Notes>) -> Vec<Vec<u8>> {
        let vector = vector("key_update_chain.json");
        let cases = vector["cases"].as_array().expect("a list");
        let of_version_1 =
            |case: &&serde_json::Value| case["version"] == "0x00000001" && case["aead"] == "aes256gcm";
        let generations = cases.iter().find(of_version_1).expect("such a case")["generations"].clone();
        let generations = generations.as_array().expect("a list");
        let secrets: Vec<_> = generations.iter().map(|generation| hex(&generation["secret"])).collect();
        let log = SecretLog::before(&(Arc::clone(notes) as Arc<dyn KeyLog>));
        log.log("CLIENT_TRAFFIC_SECRET_0", &[9; 32], &secrets[0]);
        log.log("SERVER_TRAFFIC_SECRET_0", &[9; 32], &[1; 48]);
        let ring = log.keys(Level::OneRtt, Side::Server, Version::V1, Suite::Aes256Gcm);
        let mut ring = ring.expect("both secrets were told");
        for generation in generations {
            let number = generation["packet_number"].as_u64().expect("a number");
            let mut packet = hex(&generation["packet"]);
            let opened = ring.open(&mut packet, 9, number, Instant::ZERO, Standing::default);
            opened.expect("it is authentic");
            // Something was said in this phase, so that the next one is no surprise.
            seal(&mut ring);
        }
        secrets
    }

    fn seal(ring: &mut KeyRing) {
        let draft = crate::packet::Draft {
            space: crate::id::SpaceId::Data,
            number: 0,
            start: 0,
            number_at: 1,
            payload_at: 5,
            end: 24,
            ack_eliciting: true,
            in_flight: true,
            probing: false,
            is_long: false,
            records: 0..0,
        };
        ring.seal(&draft, &mut [0x43; 40]).expect("the key is fresh");
    }

    #[test]
    fn the_embedders_log_hears_of_every_phase_under_its_number() {
        let notes = Arc::new(Notes::default());
        let secrets = follow_the_chain(&notes);
        let lines = notes.lines.lock().expect("nobody panics");
        let labels: Vec<_> = lines.iter().map(|(label, _, _)| label.as_str()).collect();
        let expected = ["0", "1", "2", "3"]
            .map(|n| [format!("CLIENT_TRAFFIC_SECRET_{n}"), format!("SERVER_TRAFFIC_SECRET_{n}")]);
        assert_eq!(labels, expected.concat());
        assert!(lines.iter().all(|(_, client_random, _)| *client_random == [9; 32]));
        let clients: Vec<_> = lines.iter().step_by(2).map(|(_, _, secret)| secret.clone()).collect();
        assert_eq!(clients, secrets);
    }

    #[test]
    fn a_log_that_wants_to_hear_nothing_is_told_nothing() {
        let notes = Arc::new(Notes { deaf: true, ..Notes::default() });
        follow_the_chain(&notes);
    }
}
