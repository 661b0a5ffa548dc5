//! The command line.

use clap::{Parser, ValueEnum};

use super::case::{Amount, Case, Workload};
use super::report::Leg;
use super::terms::Cipher;

/// Measures Peregrine against quinn-proto and the floor.
#[derive(Debug, Parser)]
#[command(name = "versus")]
pub struct Args {
    /// Fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// One JSON object a line instead of tables.
    #[arg(long)]
    pub json: bool,
    /// Only these workloads.
    #[arg(long, value_enum)]
    only: Vec<Workload>,
    /// UDP payload of a full datagram in bytes, 1200 to 9000.
    #[arg(long, default_values_t = [1200, 1452])]
    size: Vec<u32>,
    /// The cipher. Without it: AES-128-GCM for everything, and ChaCha20 for bulk transfers unless in the short form.
    #[arg(long, value_enum)]
    cipher: Vec<Cipher>,
    /// Datagrams in one train at most, 1 to 64.
    #[arg(long, default_value_t = 32)]
    burst: usize,
    /// MiB that a bulk transfer carries, 1 to 4096. Without it 256, or 32 with losses; in the short form 64, or 4.
    #[arg(long)]
    mib: Option<u64>,
    /// Timed runs of each leg, 1 to 99. Without it 7, in the short form 3; never more than 3 with 10000 connections.
    #[arg(long)]
    reps: Option<usize>,
    /// What the losses of the first run follow from; the next run has the next number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this leg: for a profiler.
    #[arg(long, value_enum)]
    solo: Option<Solo>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A leg that may run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Solo {
    Peregrine,
    Quinn,
    Floor,
}

impl Args {
    /// The cases to be run, in their order.
    ///
    /// # Errors
    ///
    /// What cannot be run, in one line.
    pub fn cases(&self) -> Result<Vec<Case>, String> {
        self.check()?;
        let amount = Amount { quick: self.quick, mib: self.mib, reps: self.reps, seed: self.seed };
        let mut cases = Vec::new();
        for cipher in self.ciphers() {
            for &size in &self.size {
                let size = u16::try_from(size).expect("it was checked");
                let workloads =
                    Workload::value_variants().iter().filter(|workload| self.runs(**workload, cipher));
                cases.extend(
                    workloads.map(|workload| Case::new(*workload, size, self.burst, cipher, &amount)),
                );
            }
        }
        if cases.is_empty() {
            return Err("--solo floor: there is a floor only for bulk-up and bulk-down".to_owned());
        }
        Ok(cases)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(size) = self.size.iter().find(|size| !(1200..=9000).contains(*size)) {
            return Err(format!("--size {size}: use 1200 to 9000 bytes"));
        }
        if !(1..=64).contains(&self.burst) {
            return Err(format!("--burst {}: use 1 to 64 datagrams", self.burst));
        }
        if let Some(mib) = self.mib.filter(|mib| !(1..=4096).contains(mib)) {
            return Err(format!("--mib {mib}: use 1 to 4096"));
        }
        if let Some(reps) = self.reps.filter(|reps| !(1..=99).contains(reps)) {
            return Err(format!("--reps {reps}: use 1 to 99"));
        }
        Ok(())
    }

    fn ciphers(&self) -> Vec<Cipher> {
        match (self.cipher.is_empty(), self.quick) {
            (false, _) => self.cipher.clone(),
            (true, true) => vec![Cipher::Aes128Gcm],
            (true, false) => vec![Cipher::Aes128Gcm, Cipher::Chacha20],
        }
    }

    fn runs(&self, workload: Workload, cipher: Cipher) -> bool {
        let is_wanted = match self.only.is_empty() {
            true => !self.quick || workload != Workload::TenThousandConnections,
            false => self.only.contains(&workload),
        };
        let has_cipher = cipher == Cipher::Aes128Gcm || !self.cipher.is_empty() || workload.is_bulk();
        let has_leg = self.solo != Some(Solo::Floor) || workload.is_bulk();
        is_wanted && has_cipher && has_leg
    }

    /// Who runs.
    pub fn legs(&self) -> Vec<Leg> {
        match self.solo {
            None => vec![Leg::Peregrine, Leg::Quinn, Leg::Floor],
            Some(Solo::Peregrine) => vec![Leg::Peregrine],
            Some(Solo::Quinn) => vec![Leg::Quinn],
            Some(Solo::Floor) => vec![Leg::Floor],
        }
    }
}
