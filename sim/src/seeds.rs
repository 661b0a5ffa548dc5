//! Seeds, and what the environment says of them.

/// The seed of worlds that are not given one.
const SEED: u64 = 1;

/// The number in this environment variable.
fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// The seed that `SIM_SEED` asks for.
fn wanted_seed() -> Option<u64> {
    number_in("SIM_SEED")
}

/// The seed that `SIM_SEED` asks for, or the usual one.
pub(crate) fn usual_seed() -> u64 {
    wanted_seed().unwrap_or(SEED)
}

/// Runs this under the seeds 1 to `count`, or to what `SIM_SEEDS` says instead; or only under the one that `SIM_SEED` names.
///
/// # Panics
///
/// When such a variable is set and is no number, and as `run` does.
pub fn for_seeds(count: u64, run: impl Fn(u64)) {
    match wanted_seed() {
        Some(seed) => run(seed),
        None => (1..=number_in("SIM_SEEDS").unwrap_or(count)).for_each(run),
    }
}
