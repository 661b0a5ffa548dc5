//! What a unit of work costs, in instructions: those of the AEAD and of copying apart, as they are not the library's.

use std::ops::Add;

use super::profile::Profile;

/// The share of instructions in functions without a name that is too much to ignore.
const NAMELESS: f64 = 0.005;

/// The C library's functions that copy, fill and compare memory, whichever processor they are made for.
const MEMORY: [&str; 6] = ["memcpy", "mempcpy", "memmove", "memset", "memcmp", "bcmp"];
/// Where ring's functions begin; those in assembly have local names too.
const RING: [&str; 5] = ["ring::", "<ring::", "ring_core", "_aesni_", "_vpaes_"];

/// Instructions a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// What is left: the library, allocations, and what drives it.
    pub rest: f64,
    /// ring: packets sealed and opened, headers masked.
    pub aead: f64,
    /// Memory copied, filled and compared.
    pub memcpy: f64,
}

/// Nothing can be said of a profile.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unclear {
    /// It is empty.
    #[error("nothing was counted: the function that should be is not called by its name")]
    Nothing,
    /// It does not say who spent much of it.
    #[error(
        "{:.1} % of the instructions belong to functions without a name; install the C library's debugging symbols \
         (libc6-dbg on Debian and Ubuntu)",
        share * 100.0
    )]
    Nameless {
        /// How much, of one.
        share: f64,
    },
}

/// Who spends instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spender {
    Aead,
    Memory,
    /// Valgrind found no name, only an address.
    Nameless,
    Rest,
}

impl Spender {
    fn of(function: &str) -> Self {
        let is_memory = |name: &str| MEMORY.iter().any(|memory| name.starts_with(memory));
        if RING.iter().any(|ring| function.starts_with(ring)) {
            Self::Aead
        } else if function.starts_with("compiler_builtins::mem::")
            || is_memory(function.trim_start_matches('_'))
        {
            Self::Memory
        } else if function.starts_with("0x") {
            Self::Nameless
        } else {
            Self::Rest
        }
    }
}

impl Cost {
    /// Divides a profile by the units of work that were done.
    ///
    /// # Errors
    ///
    /// A profile that does not tell who spent what.
    pub fn of(profile: &Profile, units: u64) -> Result<Self, Unclear> {
        let (mut cost, mut nameless) = (Self { rest: 0.0, aead: 0.0, memcpy: 0.0 }, 0.0);
        let total = profile.total() as f64;
        if total == 0.0 {
            return Err(Unclear::Nothing);
        }
        for (function, spent) in profile.functions() {
            let spent = spent as f64 / units as f64;
            match Spender::of(function) {
                Spender::Aead => cost.aead += spent,
                Spender::Memory => cost.memcpy += spent,
                Spender::Rest => cost.rest += spent,
                Spender::Nameless => {
                    nameless += spent;
                    cost.rest += spent;
                }
            }
        }
        let share = nameless * units as f64 / total;
        if share > NAMELESS { Err(Unclear::Nameless { share }) } else { Ok(cost) }
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (rest, aead) = (self.rest + other.rest, self.aead + other.aead);
        Self { rest, aead, memcpy: self.memcpy + other.memcpy }
    }
}
