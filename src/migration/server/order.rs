//! What each order asks of a server: its strategy, and what the client is told before the move and after it
//! (server-migration rules, 3.1).

use crate::frame::ServerMigration;
use crate::migration::MoveOrder;
use crate::negotiation::Strategy;

impl MoveOrder {
    /// The strategy it asks for.
    pub fn strategy(self) -> Strategy {
        match self {
            Self::Explicit(_) => Strategy::Explicit,
            Self::Pool => Strategy::Pool,
            Self::Symmetric => Strategy::Symmetric,
            Self::SynchronizedSymmetric => Strategy::SynchronizedSymmetric,
        }
    }

    /// What the client is told beforehand.
    pub(super) fn notice(self) -> Option<ServerMigration> {
        match self {
            Self::Explicit(target) => Some(ServerMigration::MoveTo(target)),
            Self::SynchronizedSymmetric => Some(ServerMigration::Announce),
            Self::Pool | Self::Symmetric => None,
        }
    }

    /// Whether the client is told afterwards by SERVER_MIGRATED, or by a PING: an mvfst client with an Explicit or Pool
    /// state takes the frame for a violation.
    pub(super) fn says_migrated(self) -> bool {
        match self {
            Self::Symmetric | Self::SynchronizedSymmetric => true,
            Self::Explicit(_) | Self::Pool => false,
        }
    }
}
