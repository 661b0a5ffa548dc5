//! Our server is told one thing after another, sensible or not, and no client of mvfst's has a reason to close.

use peregrine::{MigrationConfig, MoveOrder};

use super::client::{AWAY, BEYOND, Client, HOME};
use super::model::SYMMETRIC;
use super::orders::{all, both_families, explicit, pooled};
use sim::{Dice, addr, for_seeds, ms, secs};

/// Something that an operator does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Orders(MoveOrder),
    Cancels,
    /// Moves the server, if its client can follow there.
    Moves(&'static str),
    /// The client asks for something.
    IsAsked,
    /// The next datagrams that the client says are lost, or those that it would hear.
    Mutes,
    Deafens,
}

fn steps() -> Vec<Step> {
    let orders = [
        explicit(AWAY),
        explicit(BEYOND),
        explicit("[::1]:6001"),
        MoveOrder::Explicit(both_families()),
        MoveOrder::Pool,
        MoveOrder::Symmetric,
        MoveOrder::SynchronizedSymmetric,
    ];
    let places = [AWAY, BEYOND, HOME].map(Step::Moves);
    let others = [Step::Cancels, Step::IsAsked, Step::Mutes, Step::Deafens];
    orders.into_iter().map(Step::Orders).chain(places).chain(others).collect()
}

impl Client {
    /// Whether an order for where the server is would go out: the server knows its address, and not its port.
    fn is_there(&self, order: MoveOrder) -> bool {
        let MoveOrder::Explicit(target) = order else { return false };
        target.v4().is_some_and(|v4| self.world.at(self.server).address() == v4.into())
    }

    /// Whether a client could follow there: it looks there, or hears the server wherever it is, or sees no move at all.
    fn may_follow(&self, to: &str) -> bool {
        let (here, to) = (self.world.at(self.server).address(), addr(to));
        let hears = !self.model.was_told_where() && (self.model.agreed_on(SYMMETRIC) || self.is_ready());
        (here == to || hears || self.model.would_look_at(to)) && !self.model.is_validating()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Orders(order) if self.is_there(order) => {}
            Step::Orders(order) => drop(self.order(order)),
            Step::Cancels => drop(self.try_cancel()),
            Step::Moves(to) if self.may_follow(to) => {
                self.server_moves(to);
                self.run_for(ms(500));
                self.asks();
                self.run_for(secs(2));
            }
            Step::Moves(_) => {}
            Step::IsAsked => drop(self.asks()),
            Step::Mutes => self.mute_for = 1,
            Step::Deafens => self.deaf_for = 1,
        }
    }
}

fn plays(seed: u64) {
    let mut dice = Dice::named(seed, "operator");
    let mut below = |bound: usize| usize::try_from(dice.word() % bound as u64).expect("a small number");
    let offer = below(16) as u64;
    let permits: MigrationConfig = if below(3) == 0 { pooled(&[AWAY, BEYOND]) } else { all() };
    let mut client = Client::offering((offer > 0).then_some(offer), permits);
    let (steps, gap) = (steps(), [3, 30, 200, 700][below(4)]);
    let mut taken = Vec::new();
    for _ in 0..=below(6) {
        let step = steps[below(steps.len())];
        taken.push(step);
        client.take(step);
        client.run_for(ms(gap));
    }
    client.run_for(ms(500));
    assert_eq!(client.close, None, "seed {seed}: offer {offer}, {gap} ms: {taken:?} {client:?}");
    client.goes_on();
}

#[test]
fn no_client_has_a_reason_to_close_whatever_the_server_is_told() {
    for_seeds(300, plays);
}
