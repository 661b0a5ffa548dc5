//! What must hold in every state, and what must be seen in some.

use stateright::Property;

use super::network::Place;
use super::scenario::{Act, Scenario, State};
use crate::migration::MoveOrder;

pub const VALIDATED: &str = "home moves only to an address that answered";
pub const VISITED: &str = "home is where the server is or was";
pub const ONE_HOME: &str = "there is one home, and one completion for each move";
pub const FAULTLESS: &str = "neither end finds a fault with the other";
pub const ANSWERED: &str =
    "a server's move is complete when its answer arrived, or nobody asked for three PTO";
pub const HEARD: &str = "a server is ready when its client knows";
pub const ALIVE: &str = "readiness waits for no dead connection";
pub const WELL: &str = "all ends well";
pub const MOVED: &str = "every move completes";
pub const RETURNED: &str = "a search ends at home";
pub const GIVEN_UP: &str = "a move that never comes is given up";

pub fn all() -> Vec<Property<Scenario>> {
    vec![
        always(VALIDATED, |_, state| !state.client.leapt),
        always(VISITED, |_, state| state.client.home != Place::Elsewhere),
        always(ONE_HOME, has_one_home),
        always(FAULTLESS, |_, state| !state.client.found_fault),
        always(ANSWERED, |_, state| !state.is_premature),
        always(HEARD, |_, state| !state.is_unheard),
        always(ALIVE, |_, state| state.server.is_open || !state.server.awaits_readiness()),
        always(WELL, |scenario, state| state.calm < scenario.rest || has_ended_well(scenario, state)),
        sometimes(MOVED, has_made_every_move),
        sometimes(RETURNED, |_, state| state.client.said.returned > 0),
        sometimes(GIVEN_UP, |_, state| state.server.said.failed > 0),
    ]
}

type Condition = fn(&Scenario, &State) -> bool;

fn always(name: &'static str, condition: Condition) -> Property<Scenario> {
    Property::always(name, condition)
}

fn sometimes(name: &'static str, condition: Condition) -> Property<Scenario> {
    Property::sometimes(name, condition)
}

fn has_one_home(_: &Scenario, state: &State) -> bool {
    !state.client.has_two_homes()
        && state.client.said.completed <= state.server.moves
        && state.server.said.completed <= state.server.moves
}

fn has_made_every_move(scenario: &Scenario, state: &State) -> bool {
    let moves = scenario.moves();
    moves > 0 && state.client.said.completed == moves && state.server.said.completed == moves
}

/// No deadlock: whoever is left alone comes to an end that the rules permit.
fn has_ended_well(scenario: &Scenario, state: &State) -> bool {
    let State { client, server, .. } = state;
    let is_settled = server.moves == 0 || server.said.settled > 0;
    if state.is_client_gone {
        return is_settled && !server.is_pending();
    }
    if scenario.vanishes {
        // Nobody waits long for one who is gone; those who stay and say nothing end by their idle timers meanwhile.
        return true;
    }
    let is_together = client.is_open && server.is_open && client.home == server.at && client.is_served();
    let is_over = match scenario.acts[..usize::from(state.acts)].last() {
        // The client goes on expecting what was announced: only a move ends that.
        None | Some(Act::Prepare(_) | Act::Cancel | Act::Freeze) => true,
        Some(Act::Move(_) | Act::MoveHastily(_)) => {
            let failed = client.said.failed > 0 && !scenario.freezes();
            !client.expects_a_move() && !failed && server.said.lost == 0
        }
    };
    is_together && is_over && is_settled && client.is_at_rest(state.now) && server.is_at_rest()
}

/// Notes what only the step shows in which something was said.
pub fn watch(scenario: &Scenario, before: &State, after: &mut State) {
    let (was, is) = (before.server.said, after.server.said);
    let is_done = after.server.is_done_with(after.now, after.client.received());
    after.is_premature |= is.completed > was.completed && !is_done;
    if is.ready > was.ready {
        after.is_unheard |= !knows(scenario, after);
    }
}

/// Whether the client knows what the last order wants it to know.
fn knows(scenario: &Scenario, state: &State) -> bool {
    let State { client, server, .. } = state;
    match server.order() {
        Some(MoveOrder::Explicit(target)) => {
            target.like(client.home.address()).is_some_and(|at| client.knows(Place::at(at)))
        }
        Some(MoveOrder::Pool) => scenario.pool.iter().all(|place| client.knows(*place)),
        Some(MoveOrder::SynchronizedSymmetric) => client.expects_a_move(),
        Some(MoveOrder::Symmetric) | None => true,
    }
}
