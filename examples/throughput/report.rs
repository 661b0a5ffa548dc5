//! What is printed: a row a library, the two ratios, and how much one system call carries.

use std::fmt;

use crate::driver::Traffic;
use crate::transfer::Cost;

/// How many times as much as quinn Peregrine is to carry in a second of processor time.
const GOAL: f64 = 1.5;

/// Who ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// This library.
    Peregrine,
    /// The other one.
    Quinn,
}

impl Leg {
    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peregrine => "peregrine",
            Self::Quinn => "quinn",
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    size: u64,
    costs: Vec<(Leg, Cost)>,
    /// The client's and the server's.
    traffic: [Traffic; 2],
}

impl Report {
    /// Nothing yet, of transfers of so many bytes.
    pub fn new(size: u64) -> Self {
        Self { size, costs: Vec::new(), traffic: Default::default() }
    }

    /// A transfer was verified, and this is what it cost.
    pub fn add(&mut self, leg: Leg, cost: Cost) {
        self.costs.push((leg, cost));
    }

    /// What the drivers of client and server did in it, where they are ours.
    pub fn count(&mut self, client: Traffic, server: Traffic) {
        let [clients, servers] = self.traffic;
        self.traffic = [clients + client, servers + server];
    }

    /// MiB in a second of wall time.
    fn rates(&self, leg: Leg) -> Spread {
        let mebibytes = self.size as f64 / f64::from(1 << 20);
        Spread::of(self.costs_of(leg).map(|cost| mebibytes / cost.wall.as_secs_f64()))
    }

    /// Seconds of processor time for a GiB.
    fn efforts(&self, leg: Leg) -> Spread {
        let gibibytes = self.size as f64 / f64::from(1 << 30);
        Spread::of(self.costs_of(leg).map(|cost| cost.processor.as_secs_f64() / gibibytes))
    }

    fn costs_of(&self, leg: Leg) -> impl Iterator<Item = Cost> {
        self.costs.iter().filter(move |(of, _)| *of == leg).map(|(_, cost)| *cost)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, effort) = ("MiB/s", "CPU s/GiB");
        let spread = "least - most";
        writeln!(f, "{:10} {rate:>8} {spread:>15} {effort:>12} {spread:>17}", "")?;
        for leg in [Leg::Peregrine, Leg::Quinn] {
            let (rate, effort) = (self.rates(leg), self.efforts(leg));
            write!(f, "{:10} {:>8.0} {:>8.0} - {:4.0}", leg.name(), rate.median, rate.least, rate.most)?;
            writeln!(f, " {:>12.3} {:>9.3} - {:5.3}", effort.median, effort.least, effort.most)?;
        }
        let faster = self.rates(Leg::Peregrine).median / self.rates(Leg::Quinn).median;
        let cheaper = self.efforts(Leg::Quinn).median / self.efforts(Leg::Peregrine).median;
        writeln!(f, "peregrine : quinn = {faster:.2} in wall time, {cheaper:.2} in bytes per CPU second")?;
        let verdict = if cheaper >= GOAL { "met" } else { "missed" };
        writeln!(f, "goal: at least {GOAL} x quinn per CPU second: {verdict}")?;

        writeln!(
            f,
            "\n{:26} {:>9} {:>12} {:>18}",
            "peregrine's driver", "calls", "datagrams", "datagrams a call"
        )?;
        let [client, server] = self.traffic;
        for (who, calls, datagrams) in [
            ("client sends (sendmsg)", client.sends, client.sent),
            ("server receives (recvmmsg)", server.receives, server.received),
            ("server sends", server.sends, server.sent),
            ("client receives", client.receives, client.received),
        ] {
            let a_call = datagrams as f64 / calls as f64;
            writeln!(f, "{who:26} {calls:>9} {datagrams:>12} {a_call:>18.1}")?;
        }
        write!(f, "{:26} {:>9}", "both wait (poll)", (client + server).waits)
    }
}

/// The same quantity in all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Self { least: at(0), median, most: at(last) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cost(wall_millis: u64, processor_millis: u64) -> Cost {
        Cost { wall: Duration::from_millis(wall_millis), processor: Duration::from_millis(processor_millis) }
    }

    fn report(peregrine_millis: u64) -> String {
        let mut report = Report::new(1 << 30);
        for millis in [9000, peregrine_millis, 1] {
            report.add(Leg::Peregrine, cost(500, millis));
            report.add(Leg::Quinn, cost(1000, 3000));
        }
        report.to_string()
    }

    #[test]
    fn medians_are_compared() {
        assert!(report(1000).contains("peregrine : quinn = 2.00 in wall time, 3.00 in bytes per CPU second"));
    }

    #[test]
    fn the_goal_is_met_or_missed() {
        assert!(report(2000).contains("per CPU second: met"));
        assert!(report(2001).contains("per CPU second: missed"));
    }
}
