//! One library's profile: what share of the time each part took.

use std::fmt;

use super::part::Part;

/// Where the nanoseconds of one library's packet go.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub name: String,
    /// What a packet costs at both ends together.
    pub nanoseconds: f64,
    /// Nanoseconds of each part, in the order of [`Part::ALL`].
    parts: [f64; Part::ALL.len()],
}

impl Profile {
    /// Reads lines like `12.37%  [.] symbol`; others are passed over. `None` if there is no such line.
    pub fn read(name: &str, nanoseconds: f64, text: &str) -> Option<Self> {
        let mut shares = [0.0; Part::ALL.len()];
        for (share, symbol) in text.lines().filter_map(line) {
            shares[Part::of(symbol) as usize] += share;
        }
        let all: f64 = shares.iter().sum();
        let parts = shares.map(|share| nanoseconds * share / all);
        (all > 0.0).then(|| Self { name: name.to_owned(), nanoseconds, parts })
    }

    /// The parts and their nanoseconds.
    pub fn parts(&self) -> impl Iterator<Item = (Part, f64)> + '_ {
        Part::ALL.into_iter().zip(self.parts)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12} {:>6.0} ns a packet:", self.name, self.nanoseconds)?;
        self.parts().try_for_each(|(part, nanoseconds)| write!(f, "  {} {nanoseconds:.0}", part.name()))
    }
}

/// A share in percent and a symbol.
fn line(line: &str) -> Option<(f64, &str)> {
    let (share, rest) = line.trim_start().split_once('%')?;
    let (_, symbol) = rest.split_once(']')?;
    Some((share.parse().ok()?, symbol.trim()))
}
