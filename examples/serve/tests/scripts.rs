//! The scripts that come along, `examples/orchestrate.sh` and `examples/criu.sh`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::{LARGE, Served, scene};
use crate::folder::Folder;

const ORCHESTRATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/orchestrate.sh");
const CRIU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/criu.sh");

/// An executable that is this program, as scripts want to have it: with its arguments.
fn executable(folder: &Folder, name: &str) -> std::path::PathBuf {
    let tests = std::env::current_exe().expect("it has a name");
    let test = "--exact tests::the_program --nocapture --quiet";
    let script = format!("#!/bin/sh\nBE_THE_PROGRAM=\"{name} $*\" exec {} {test}\n", tests.display());
    let file = folder.write(name, script.as_bytes());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    file
}

fn orchestrate(served: &Served, prepare: &str, relocated: &str, mover: &str) -> Output {
    let folder = Folder::new();
    let mut command = Command::new(ORCHESTRATE);
    command.arg(executable(&folder, "serve")).arg(served.control()).args([prepare, relocated, mover]);
    command.output().expect("there is a bash")
}

#[test]
fn the_orchestrator_moves_a_server_and_moves_it_again() {
    let (served, mut phone, visit) = scene(2 * LARGE, "");
    let mut places = Vec::new();
    for (strategy, host) in [("explicit", 2), ("symmetric", 3)] {
        let place = served.away(host);
        let target = if strategy == "explicit" { format!(" --target {place}") } else { String::new() };
        let prepare = format!("--strategy {strategy}{target}");
        let done = orchestrate(&served, &prepare, &format!("--listen {place}"), "true");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(phone.status()["listening"], place.to_string());
        places.push(place);
    }
    assert_eq!(phone.status()["move"], 2);
    let said = served.see_off(visit);
    for place in places {
        assert!(said.contains(&format!("goes on at {place}")), "{said}");
    }
}

#[test]
fn the_orchestrator_calls_off_a_move_that_cannot_be_made() {
    let (served, mut phone, visit) = scene(2 * LARGE, "");
    let failed = orchestrate(&served, "--strategy symmetric", "", "false");
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(phone.status()["state"], "cancelled");
    let refused = orchestrate(&served, "--strategy explicit --target [fd00::2]:1", "", "true");
    assert_eq!(refused.status.code(), Some(1));
    served.see_off(visit);
}

/// Runs `criu.sh` with these programs.
fn criu(folder: &Folder, arguments: &str, criu: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(CRIU);
    command.args(arguments.split_whitespace()).env("CRIU", criu);
    command.env("SERVE", executable(folder, "serve")).env("HQ", executable(folder, "hq"));
    let Output { status, stdout, stderr } = command.output().expect("there is a bash");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_move_by_criu_is_skipped_with_a_word_on_what_is_missing() {
    let folder = Folder::new();
    let old = folder.write("criu", b"#!/bin/sh\necho Version: 3.17.1\n");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    for (criu_named, why) in [(folder.path().join("nothing"), "criu is missing"), (old, "CRIU is 3.17.1")] {
        let (status, said) = criu(&folder, "", &criu_named);
        assert_eq!(status, Some(77), "{said}");
        // Without root it does not come so far as to miss CRIU.
        let is_told = said.contains(why) || said.contains("root is needed") || said.contains("is missing");
        assert!(said.contains("skipped: ") && is_told, "{said}");
    }
}

#[test]
#[ignore = "needs root, and makes network namespaces"]
fn a_server_whose_host_gets_another_address_is_followed() {
    let folder = Folder::new();
    for strategy in ["explicit", "pool", "symmetric", "synchronized"] {
        let (status, said) =
            criu(&folder, &format!("--rebind --back --strategy {strategy}"), Path::new("criu"));
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("arrived as they were"), "{said}");
    }
}

#[test]
#[ignore = "needs root and CRIU 4.2, or CRIU_4_2 that names it"]
fn a_server_that_criu_moves_to_another_host_is_followed() {
    let folder = Folder::new();
    let named = std::env::var("CRIU_4_2").unwrap_or_else(|_| "criu".to_owned());
    for strategy in ["explicit", "pool", "symmetric", "synchronized"] {
        let (status, said) =
            criu(&folder, &format!("--back --clients 3 --mib 32 --strategy {strategy}"), Path::new(&named));
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("arrived as they were"), "{said}");
    }
}
