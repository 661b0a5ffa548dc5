//! Which tests stand in the sources of this repository, for lists that name them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of the tests in a Rust source, `proptest!` ones too; those that are ignored do not count.
pub fn tests_of(source: &str) -> BTreeSet<&str> {
    let mut tests = BTreeSet::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in source.lines().map(str::trim) {
        is_test |= line == "#[test]";
        is_ignored |= line.starts_with("#[ignore");
        if line.starts_with("#[") || line.starts_with("//") {
            continue;
        }
        let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
        tests.extend(name.filter(|_| is_test && !is_ignored));
        (is_test, is_ignored) = (false, false);
    }
    tests
}

/// The text of a file of the repository, named from its root.
///
/// # Panics
///
/// If there is none.
pub fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a file of the repository has a test of this name that runs.
pub fn has_test(file: &str, name: &str) -> bool {
    let exists = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file).is_file();
    exists && tests_of(&read(file)).contains(name)
}
