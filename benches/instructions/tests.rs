//! The gate's own tests: what it reads of a profile, whom it charges, and how it judges.
//!
//! They stand apart, as a benchmark without a harness runs none.

mod cost;
mod profile;
mod record;

use std::collections::BTreeMap;

use cost::{Cost, Unclear};
use profile::{Fault, Profile};
use record::{Record, Verdict};

const HEAD: &str = "# callgrind format\nversion: 1\ncreator: callgrind-3.19.0\n\
    cmd:  ./instructions --solo=bulk\npart: 1\n\npositions: line\nevents: Ir\nsummary: 65\n\n";

fn parse(body: &str) -> Result<Profile, Fault> {
    Profile::parse(&format!("{HEAD}{body}"))
}

/// A profile of functions that call no others.
fn profile(functions: &[(&str, u64)]) -> Profile {
    let lines = functions.iter().map(|(name, cost)| format!("fn={name}\n1 {cost}\n"));
    let total: u64 = functions.iter().map(|(_, cost)| cost).sum();
    parse(&format!("{}totals: {total}\n", lines.collect::<String>())).expect("a profile")
}

fn cost(rest: f64) -> Cost {
    Cost { rest, aead: 6000.0, memcpy: 500.0 }
}

#[test]
fn a_function_has_what_it_spent_itself() {
    let profile = parse(
        "ob=/bench\nfl=bulk.rs\nfn=bulk::send\n10 3\n11 2\ncfn=peregrine::poll\ncalls=1 20 \n12 60\n13\n\n\
         fl=mod.rs\nfn=peregrine::poll\n20 40\nfi=codec.rs\n7 20\nfe=mod.rs\n21 0\n\ntotals: 65\n",
    );
    let functions = profile.as_ref().map(|profile| profile.functions().collect::<Vec<_>>());
    assert_eq!(functions, Ok(vec![("bulk::send", 5), ("peregrine::poll", 60)]));
}

#[test]
fn a_function_in_several_files_is_one() {
    let profile = parse("fl=a.rs\nfn=f\n1 30\nfl=b.rs\nfn=f\n2 35\ntotals: 65\n");
    let functions = profile.as_ref().map(|profile| profile.functions().collect::<Vec<_>>());
    assert_eq!(functions, Ok(vec![("f", 65)]));
}

#[test]
fn a_profile_that_breaks_off_is_refused() {
    assert_eq!(parse("fn=f\n1 30\n"), Err(Fault::Sum { sum: 30, stated: None }));
    assert_eq!(parse("fn=f\n1 30\ntotals: 65\n"), Err(Fault::Sum { sum: 30, stated: Some(65) }));
}

#[test]
fn a_line_that_is_not_understood_is_refused() {
    assert_eq!(parse("fn=f\n+1 30\n"), Err(Fault::Line(12, "+1 30".to_owned())));
    assert_eq!(parse("fn=f\n1 30 2\n"), Err(Fault::Line(12, "1 30 2".to_owned())));
    assert_eq!(parse("jump=1 30\n"), Err(Fault::Line(11, "jump=1 30".to_owned())));
    assert_eq!(Profile::parse("events: Ir Dr\n"), Err(Fault::Line(1, "events: Ir Dr".to_owned())));
}

#[test]
fn instructions_are_divided_by_who_spent_them() {
    let profile = profile(&[
        ("peregrine::endpoint::Endpoint::poll", 3000),
        ("peregrine::memcpy", 600),
        ("peregrine::ring::push", 400),
        ("malloc", 1000),
        ("ring::aead::aes_gcm::seal", 100),
        ("ring_core_0_17_14__aesni_gcm_encrypt", 200),
        ("_aesni_ctr32_ghash_6x", 300),
        ("__memcpy_avx_unaligned_erms", 10),
        ("__memset_avx2_unaligned_erms", 20),
        ("bcmp", 30),
        ("compiler_builtins::mem::memcpy", 40),
    ]);
    assert_eq!(Cost::of(&profile, 10), Ok(Cost { rest: 500.0, aead: 60.0, memcpy: 10.0 }));
}

#[test]
fn an_empty_profile_is_no_cost_of_zero() {
    assert_eq!(Cost::of(&profile(&[("bulk::send", 0)]), 10), Err(Unclear::Nothing));
}

#[test]
fn too_many_instructions_without_a_name_are_refused() {
    let few = profile(&[("f", 996), ("0x00000000000078e0", 4)]);
    assert_eq!(Cost::of(&few, 1), Ok(Cost { rest: 1000.0, aead: 0.0, memcpy: 0.0 }));
    let many = profile(&[("f", 900), ("0x0000000000152a80", 100)]);
    assert_eq!(Cost::of(&many, 1), Err(Unclear::Nameless { share: 0.1 }));
}

#[test]
fn growth_closes_the_gate_above_three_percent() {
    assert_eq!(Verdict::of(cost(1030.0), Some(cost(1000.0))), Verdict::Steady);
    assert_eq!(Verdict::of(cost(1031.0), Some(cost(1000.0))), Verdict::Grown);
    assert!(Verdict::Steady.passes() && !Verdict::Grown.passes());
}

#[test]
fn a_record_that_is_far_too_high_is_pointed_out() {
    assert_eq!(Verdict::of(cost(1000.0), Some(cost(1030.0))), Verdict::Steady);
    assert_eq!(Verdict::of(cost(1000.0), Some(cost(1031.0))), Verdict::Shrunk);
    assert!(Verdict::Shrunk.passes());
}

#[test]
fn what_was_never_recorded_does_not_pass() {
    assert_eq!(Verdict::of(cost(1.0), None), Verdict::Unrecorded);
    assert!(!Verdict::Unrecorded.passes());
}

#[test]
fn the_aead_and_copying_are_not_judged() {
    let dearer = Cost { rest: 1000.0, aead: 12_000.0, memcpy: 1000.0 };
    assert_eq!(Verdict::of(dearer, Some(cost(1000.0))), Verdict::Steady);
}

#[test]
fn what_is_recorded_is_read_again() {
    let costs = BTreeMap::from([("bulk".to_owned(), cost(2861.3)), ("stream".to_owned(), cost(9000.0))]);
    let record = Record { rustc: "rustc 1.95.0 on x86_64-unknown-linux-gnu".to_owned(), costs };
    assert_eq!(Record::from_json(&record.to_json()), Some(record));
}

#[test]
fn what_is_no_record_is_refused() {
    assert_eq!(Record::from_json("{}"), None);
    assert_eq!(Record::from_json(r#"{"rustc": "1", "scenarios": {"bulk": {"rest": 1, "aead": 1}}}"#), None);
}
