//! How all paths behave while a scenario lasts.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use sim::{Dice, Link, Verdict, World, ms};

/// What is wrong with every path, all the time.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Round trip in ms.
    rtt: u64,
    /// Mbit/s.
    rate: u64,
    /// Datagrams of a hundred that are lost.
    loss: u64,
    /// Datagrams of a hundred that are overtaken, that come twice, and that are damaged.
    late: u64,
    twice: u64,
    damaged: u64,
    /// One datagram of so many comes up to three seconds late.
    spike: Option<u64>,
}

impl Weather {
    /// 20 ms and 20 Mbit/s, and nothing is wrong.
    pub fn fair() -> Self {
        Self { rtt: 20, rate: 20, loss: 0, late: 0, twice: 0, damaged: 0, spike: None }
    }

    /// Often fair, sometimes foul.
    pub fn draw(dice: &mut Dice) -> Self {
        let mut below = |limit: u64| dice.word() % limit;
        let loss = match below(6) {
            0 | 1 => 0,
            2 | 3 => below(6),
            4 => below(16),
            _ => below(31),
        };
        Self {
            rtt: 2 + below(150),
            rate: 2 + below(30),
            loss,
            late: if below(2) == 0 { below(30) } else { 0 },
            twice: if below(2) == 0 { below(20) } else { 0 },
            damaged: if below(3) == 0 { below(10) } else { 0 },
            spike: (below(4) == 0).then(|| 10 + below(60)),
        }
    }

    /// The round trip.
    pub fn round_trip(&self) -> Duration {
        ms(self.rtt)
    }

    /// Whether all that is sent arrives, and in order.
    pub fn is_dry(&self) -> bool {
        self.loss == 0 && self.late == 0 && self.damaged == 0 && self.spike.is_none()
    }

    /// A path in this weather.
    pub fn link(&self) -> Link {
        let part = |of_a_hundred: u64| of_a_hundred as f64 / 100.0;
        Link::rtt(self.round_trip())
            .bandwidth(self.rate * 1_000_000)
            .loss(part(self.loss))
            .reordering(part(self.late), ms(20))
            .duplication(part(self.twice))
            .corruption(part(self.damaged))
    }

    /// Sets it on all paths of a world, until it is calm.
    pub fn set(&self, world: &mut World, seed: u64, calm: &Rc<Cell<bool>>) {
        world.links(self.link());
        let Some(spike) = self.spike else { return };
        let (mut dice, calm) = (Dice::named(seed, "spikes"), Rc::clone(calm));
        world.tap(move |_, _| {
            let (hit, by) = (dice.word().is_multiple_of(spike), dice.word() % 3000);
            if hit && !calm.get() { Verdict::Delay(ms(by)) } else { Verdict::Pass }
        });
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rtt, rate, loss, late, twice, damaged, spike } = self;
        write!(
            f,
            "{rtt} ms, {rate} Mbit/s, {loss} % lost, {late} % late, {twice} % twice, {damaged} % damaged"
        )?;
        if let Some(spike) = spike {
            write!(f, ", one of {spike} up to 3 s late")?;
        }
        Ok(())
    }
}
