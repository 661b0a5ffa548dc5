//! Challenges that give a client something to say which would say nothing (server-migration rules, 3.1 and 3.6).
//!
//! An mvfst client answers each with RETIRE_CONNECTION_ID and PATH_RESPONSE, and what it has in flight makes it look for
//! its server, or find that its server has not moved. It takes another of our IDs each time, and closes for want of one.

use super::Connection;
use crate::id::SpaceId;

impl Connection {
    /// Challenges home, unless the client may have no spare ID of ours left.
    pub(super) fn prompt(&mut self) {
        if (self.steering.prompts as usize) < self.local_ids.spare_issued() {
            self.steering.prompts += 1;
            self.challenge_home();
        }
    }

    /// Challenges home if packets of the client's are missing.
    pub(super) fn pull_back(&mut self) {
        if self.spaces.get(SpaceId::Data).is_some_and(|space| space.received.has_gaps()) {
            self.prompt();
        }
    }

    /// Sends a challenge on home.
    pub(super) fn challenge_home(&mut self) {
        let data = self.rng.bytes();
        self.paths.home_mut().validation.want(data);
    }
}
