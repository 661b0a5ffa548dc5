//! Guards the direction of imports: a file may use its own folder, the layers below it, and the few named edges.
//!
//! Rust permits cycles between modules, so this test reads the sources and compares every `crate::` path with a table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The modules of each layer, lowest first.
const LAYERS: [&[&str]; 6] = [
    &["time", "rng", "varint", "codec", "range_set", "id", "net", "error", "stats"],
    &["frame", "packet", "params", "negotiation"],
    &["crypto", "recovery", "stream", "path", "cid", "migration", "datagram"],
    &["connection", "event", "config"],
    &["endpoint"],
    &["internals"],
];

/// Edges within a layer, and the two settings-and-errors edges that point up: each is named here or does not exist.
const EDGES: [(&str, &str); 12] = [
    ("varint", "codec"),
    ("codec", "varint"),
    ("id", "codec"),
    ("net", "id"),
    ("error", "id"),
    ("error", "varint"),
    ("packet", "frame"),
    ("params", "negotiation"),
    ("path", "recovery"),
    ("connection", "event"),
    ("connection", "config"),
    ("event", "connection"),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn may_import(from: &str, to: &str) -> bool {
    match (layer(from), layer(to)) {
        (Some(own), Some(other)) => from == to || other < own || EDGES.contains(&(from, to)),
        _ => false,
    }
}

/// The first segments after `crate::` in the code of a file, comments and tests apart.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.split("crate::").skip(1))
        .map(segment)
        .filter(|name| !name.is_empty())
        .collect()
}

fn segment(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn visit(dir: &Path, module: Option<&str>, faults: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("the sources can be listed") {
        let path = entry.expect("a folder's entry can be read").path();
        let stem =
            path.file_stem().and_then(|stem| stem.to_str()).expect("sources have plain names").to_owned();
        let module = module.unwrap_or(&stem);
        if path.is_dir() {
            visit(&path, Some(module), faults);
        } else if module != "lib" {
            let source = fs::read_to_string(&path).expect("a source can be read");
            // A name in capitals is an item that the crate's root re-exports: documentation, not an import.
            let wrong = imports(&source).into_iter().filter(|to| !may_import(module, to));
            faults.extend(wrong.map(|to| format!("{}: {module} must not use {to}", path.display())));
        }
    }
}

#[test]
fn every_import_points_down_or_is_named() {
    let mut faults = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_import_that_points_up_is_found() {
    assert!(!may_import("frame", "connection"));
    assert!(!may_import("stream", "recovery"));
    assert!(may_import("path", "recovery"));
    let found = imports("use crate::endpoint::Router;\n// crate::path is only talked about\n");
    assert_eq!(found, BTreeSet::from(["endpoint".to_owned()]));
}
