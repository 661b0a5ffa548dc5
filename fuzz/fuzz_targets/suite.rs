//! The migration suite: nothing panics, it is read as written, and nothing is agreed on that was not offered and enabled.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peregrine::internals::{ClientParams, Common, Suite, confirm, select};
use peregrine::{Strategy, StrategySet};

#[derive(Debug, Arbitrary)]
struct Case {
    value: Vec<u8>,
    own: u8,
}

fn strategies(bits: u8) -> StrategySet {
    let chosen = |(index, _): &(usize, Strategy)| bits & (1 << index) != 0;
    Strategy::ALL.into_iter().enumerate().filter(chosen).map(|(_, strategy)| strategy).collect()
}

/// The suite after a journey in transport parameters.
fn carried(suite: Suite) -> Option<Suite> {
    let mut bytes = Vec::new();
    ClientParams { common: Common::default(), suite_offer: Some(suite) }.encode(&mut bytes);
    ClientParams::decode(&bytes).ok().and_then(|params| params.suite_offer)
}

fuzz_target!(|case: Case| {
    let Ok(suite) = Suite::decode(&case.value) else { return };
    assert_eq!(carried(suite), Some(suite));
    let own = strategies(case.own);
    if let Ok(Some(agreement)) = select(Some(own), Some(suite)) {
        assert_eq!(agreement.strategies(), own.intersection(suite.known()));
        let answer = Suite::from(agreement.strategies());
        let offered = suite.known();
        let taken = offered.is_empty() || confirm(Some(offered), Some(answer)).is_ok();
        assert!(taken, "an answer we give is one we take");
    }
    if let Ok(Some(agreement)) = confirm(Some(own), Some(suite)) {
        assert_eq!(agreement.strategies(), own.intersection(agreement.strategies()));
        assert!(!suite.has_unknown());
    }
    assert!(matches!(select(None, Some(suite)), Ok(None)), "who does not migrate does not read");
});
