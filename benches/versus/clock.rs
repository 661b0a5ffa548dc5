//! The two clocks of a run: the virtual one that both libraries are told, and the processor time they cost.

use std::time::Duration;

use cpu_time::ProcessTime;

/// Virtual time since the pair began.
pub type Now = Duration;

/// How long a byte is on the wire: 10 Gbit/s, so that time passes while data flows.
const PER_BYTE: Duration = Duration::from_nanos(1);

/// The time that `bytes` spend on the wire.
pub fn on_the_wire(bytes: usize) -> Duration {
    PER_BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// Processor time of this process, user and system, since it was started.
///
/// Everything measured runs on one thread, so other users of the machine disturb it through caches alone.
#[derive(Debug, Clone, Copy)]
pub struct Processor(ProcessTime);

impl Processor {
    /// Starts to count.
    pub fn start() -> Self {
        Self(ProcessTime::now())
    }

    /// What was spent since.
    pub fn spent(&self) -> Duration {
        self.0.elapsed()
    }
}
