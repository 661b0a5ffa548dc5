//! This program under valgrind: one run for each part, which counts what happens inside one function.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::cost::Cost;
use super::profile::Profile;
use super::scenario::{Part, Scenario};

/// Where the profiles are left, for whoever wants to see more of them.
pub const PROFILES: &str = env!("CARGO_TARGET_TMPDIR");

/// Whether valgrind can be run.
pub fn is_there() -> bool {
    let quiet =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Runs a workload and returns what a unit costs inside of one part.
///
/// # Errors
///
/// What went wrong, in one line.
pub fn count(scenario: Scenario, part: Part) -> Result<Cost, String> {
    let name = part.name;
    let bench = env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let profile = Path::new(PROFILES).join(format!("callgrind.{name}.out"));
    // An old one must not be taken for what this run found.
    let _ = fs::remove_file(&profile);
    let run = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .args(["--collect-atstart=no", &format!("--toggle-collect={}", part.function)])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(bench)
        .arg(format!("--solo={}", scenario.name()))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    let units = String::from_utf8_lossy(&run.stdout);
    let units = match units.trim().parse() {
        Ok(units) if run.status.success() && units > 0 => units,
        _ => return Err(format!("{name} failed under valgrind ({}); see above", run.status)),
    };
    let text = fs::read_to_string(&profile).map_err(|error| format!("{}: {error}", profile.display()))?;
    let profile = Profile::parse(&text).map_err(|fault| format!("{name}: {fault}"))?;
    Cost::of(&profile, units).map_err(|unclear| format!("{name}: {unclear}"))
}
