//! Transport parameters: nothing panics, and what was read is what would be written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::internals::{ClientParams, ServerParams};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(params) = ClientParams::decode(bytes) {
        let mut out = Vec::new();
        params.encode(&mut out);
        assert_eq!(ClientParams::decode(&out), Ok(params));
    }
    if let Ok(params) = ServerParams::decode(bytes) {
        let mut out = Vec::new();
        params.encode(&mut out);
        assert_eq!(ServerParams::decode(&out), Ok(params));
    }
});
