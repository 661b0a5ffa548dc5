//! This program under callgrind: one run for each number of connections, and a profile for each call of a phase.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Phase;
use super::profile::Profile;
use super::town::Way;

/// Where the profiles are left, for whoever wants to see more of them.
pub const PROFILES: &str = env!("CARGO_TARGET_TMPDIR");

/// Whether valgrind can be run.
pub fn is_there() -> bool {
    let quiet =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// What each phase costs, in instructions for each connection.
///
/// # Errors
///
/// What went wrong, in one line.
pub fn count(way: Way, connections: usize) -> Result<[f64; Phase::ALL.len()], String> {
    let bench = env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let prefix = format!("callgrind.scale.{}.{connections}.out", way.name());
    // Old ones must not be taken for what this run found.
    for old in profiles(&prefix)? {
        fs::remove_file(&old).map_err(|error| format!("{}: {error}", old.display()))?;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    for phase in Phase::ALL {
        let function = phase.function();
        valgrind.args([format!("--zero-before={function}"), format!("--dump-after={function}")]);
    }
    let run = valgrind
        .arg(format!("--callgrind-out-file={}", Path::new(PROFILES).join(&prefix).display()))
        .arg(bench)
        .args([format!("--solo={connections}"), format!("--way={}", way.name())])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    if !run.success() {
        return Err(format!("{connections} connections failed under valgrind ({run}); see above"));
    }
    let mut costs = [0.0; Phase::ALL.len()];
    for profile in profiles(&prefix)? {
        let text = fs::read_to_string(&profile).map_err(|error| format!("{}: {error}", profile.display()))?;
        let fault = |fault| format!("{}: {fault}", profile.display());
        let total: u64 = Profile::parse(&text).map_err(fault)?.functions().map(|(_, cost)| cost).sum();
        // The last one is written when the program ends, and is of no phase.
        let phase = Phase::ALL.into_iter().position(|phase| text.contains(&phase.trigger()));
        if let Some(phase) = phase {
            costs[phase] += total as f64 / connections as f64;
        }
    }
    let missing = Phase::ALL.into_iter().zip(costs).find(|(_, cost)| *cost == 0.0);
    missing.map_or(Ok(costs), |(phase, _)| Err(format!("{phase:?} was not counted")))
}

fn profiles(prefix: &str) -> Result<Vec<PathBuf>, String> {
    let folder = fs::read_dir(PROFILES).map_err(|error| format!("{PROFILES}: {error}"))?;
    let paths = folder.filter_map(|entry| Some(entry.ok()?.path()));
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    Ok(paths.filter(named).collect())
}
