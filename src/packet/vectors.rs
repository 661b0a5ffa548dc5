//! Published vectors, for the tests of several parts.

use serde_json::Value;

/// A file of published vectors.
pub(crate) fn vector(name: &str) -> Value {
    let text = match name {
        "rfc9001_appendix_a.json" => include_str!("../../tests/data/vectors/rfc9001_appendix_a.json"),
        "rfc9369_appendix_a.json" => include_str!("../../tests/data/vectors/rfc9369_appendix_a.json"),
        "rfc9000_numbers.json" => include_str!("../../tests/data/vectors/rfc9000_numbers.json"),
        "key_update_chain.json" => include_str!("../../tests/data/vectors/key_update_chain.json"),
        other => panic!("no vectors named {other}"),
    };
    serde_json::from_str(text).expect("the vectors are JSON")
}

/// The bytes of a string of hexadecimal digits.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().expect("a string");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}
