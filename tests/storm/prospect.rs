//! Who must outlive a move, by the rules: whoever is not told so here may be lost, but must end.

use sim::Filtering;
use stage::moves::Play;

use super::run::Run;
use super::scenario::{End, Move, Scenario};
use super::trouble::Trouble;

/// Whether a client must follow its server in this move; `ready`: its connection was when the server froze.
pub fn follows(run: &Run, step: &Move, client: usize, ready: bool) -> bool {
    let play = step.plays[client];
    let unannounced = step.end == End::Unannounced;
    match play {
        Play::Pool(_) => run.pool_names(step.to) && (ready || unannounced && run.knows_pool(client)),
        Play::Reactive | Play::Proactive => ready,
        Play::Synchronized | Play::Symmetric => {
            ready && is_seen_by_all(&run.scenario) && !is_displaced(run, client)
        }
    }
}

/// Whether anybody may send to the clients (rules, 5: else Symmetric cannot pass).
fn is_seen_by_all(scenario: &Scenario) -> bool {
    scenario.nat.is_none_or(|(filtering, _)| filtering == Filtering::EndpointIndependent)
}

/// Whether a client may only listen, at an address that its translator has forgotten: whoever asks for signs of life would
/// learn of it.
pub fn is_deaf(scenario: &Scenario, client: usize) -> bool {
    let mut troubles = scenario.moves.iter().flat_map(|step| &step.troubles);
    let forgets = troubles.any(|(_, trouble)| matches!(trouble, Trouble::Rebinding { .. }));
    forgets && scenario.nat.is_some() && !scenario.parts[client].kept_alive
}

/// Whether the server may freeze with a wrong address of its client (rules, 5: neither knows the other then).
fn is_displaced(run: &Run, client: usize) -> bool {
    let mut troubles = run.scenario.moves.iter().flat_map(|step| &step.troubles);
    troubles.any(|(_, trouble)| trouble.displaces(client))
}

/// Whether no connection ID may be seen on two paths: of those shown to servers, and of those that servers show.
///
/// Nobody copies or translates, and nobody moves so much, or loses so much, that no spare ID is there. A server that
/// leaves a client behind shows it what it showed before.
pub fn keeps_ids_apart(scenario: &Scenario) -> (bool, bool) {
    let mut troubles = scenario.moves.iter().flat_map(|step| &step.troubles);
    let spends = |trouble: &Trouble| match trouble {
        Trouble::Blackhole(..)
        | Trouble::Lost(..)
        | Trouble::Late(..)
        | Trouble::Roaming { .. }
        | Trouble::Probing { .. }
        | Trouble::Copies { .. } => true,
        Trouble::Rebinding { .. }
        | Trouble::KeyUpdate { .. }
        | Trouble::SeekNow { .. }
        | Trouble::Asking { .. }
        | Trouble::Newcomer => false,
    };
    let up =
        scenario.weather.is_dry() && scenario.nat.is_none() && !troubles.any(|(_, trouble)| spends(trouble));
    let all_follow = matches!(&scenario.moves[..], [only] if only.end == End::Carried && only.patient);
    (up, up && all_follow)
}
