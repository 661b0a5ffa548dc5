//! A profile as callgrind writes it, with names and positions in full ("Callgrind Format Specification", version 1).
//!
//! What is kept of it is what each function spent itself. What it spent through calls stands in the lines after
//! `calls=`, and is passed over: the functions that were called have it already.

use std::collections::BTreeMap;

/// Why a text is no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line that should not be there.
    #[error("line {0} of the profile cannot be read: {1}")]
    Line(usize, String),
    /// The lines do not add up to what the profile says is their sum; `None` if it says nothing.
    #[error("the lines of the profile add up to {sum} instructions, but it speaks of {stated:?}")]
    Sum {
        /// What they add up to.
        sum: u64,
        /// What is stated.
        stated: Option<u64>,
    },
}

/// Instructions by the function that spent them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    functions: BTreeMap<String, u64>,
}

impl Profile {
    /// Reads what callgrind wrote with `--compress-strings=no --compress-pos=no`.
    ///
    /// # Errors
    ///
    /// The first line that is not understood, or a sum that does not fit: a part of the file is missing.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut profile = Self::default();
        let (mut function, mut is_call, mut stated) = ("", false, None);
        for (at, line) in text.lines().enumerate() {
            let fault = || Fault::Line(at + 1, line.to_owned());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with(|first: char| first.is_ascii_digit()) {
                let cost = cost(line).ok_or_else(fault)?;
                if !std::mem::take(&mut is_call) {
                    *profile.functions.entry(function.to_owned()).or_default() += cost;
                }
                continue;
            }
            let key = line.find([':', '=']).ok_or_else(fault)?;
            let (key, value) = (&line[..=key], line[key + 1..].trim());
            match key {
                "fn=" => function = value,
                "calls=" => is_call = true,
                "totals:" => stated = Some(value.parse().map_err(|_| fault())?),
                "events:" if value != "Ir" => return Err(fault()),
                "positions:" if value != "line" => return Err(fault()),
                "ob=" | "fl=" | "fi=" | "fe=" | "cob=" | "cfi=" | "cfl=" | "cfn=" => {}
                key if key.ends_with(':') => {} // the head has more to say than we ask
                _ => return Err(fault()),
            }
        }
        let sum = profile.total();
        if stated == Some(sum) { Ok(profile) } else { Err(Fault::Sum { sum, stated }) }
    }

    /// Every function, and the instructions it spent itself.
    pub fn functions(&self) -> impl Iterator<Item = (&str, u64)> {
        self.functions.iter().map(|(name, cost)| (name.as_str(), *cost))
    }

    /// All instructions.
    pub fn total(&self) -> u64 {
        self.functions.values().sum()
    }
}

/// The cost in a line of a position and a cost; one that is left out is zero.
fn cost(line: &str) -> Option<u64> {
    let mut words = line.split_ascii_whitespace();
    words.next()?.parse::<u64>().ok()?;
    let cost = words.next().map_or(Some(0), |word| word.parse().ok())?;
    words.next().is_none().then_some(cost)
}
