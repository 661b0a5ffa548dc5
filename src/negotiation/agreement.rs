//! Coming to an agreement: the server selects from an offer, the client confirms the answer
//! (reference, Sections 2.1 and 2.2).
//!
//! *Absent* and *empty* both mean that the connection does not migrate, and are told apart: `None` says that
//! one side did not take part, an [`Agreement`] without strategies that both did and had nothing in common.

use super::{Strategy, StrategySet, Suite};
use crate::error::TransportError;

/// What both sides agreed on (reference, Section 2). Only a negotiation makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Agreement {
    strategies: StrategySet,
}

impl Agreement {
    /// Whether the server may move by this strategy.
    pub const fn permits(self, strategy: Strategy) -> bool {
        self.strategies.contains(strategy)
    }

    /// What was agreed on; empty if there was nothing in common.
    pub const fn strategies(self) -> StrategySet {
        self.strategies
    }
}

/// Negotiation began without a strategy of our own: configuration permits no such thing.
const NOTHING_OF_OUR_OWN: TransportError =
    TransportError::internal("migration is switched on without any strategy");

/// A server's choice among what a client offers, to be sent as its answer; `None` if there is nothing to
/// answer.
///
/// A server that does not migrate ignores an offer as it would any unknown parameter, whatever its bits. Bits
/// that name no strategy are ignored, so that a later client may offer more.
///
/// # Errors
///
/// TRANSPORT_PARAMETER_ERROR if the offer is empty. INTERNAL_ERROR if `enabled` is.
pub fn select(
    enabled: Option<StrategySet>,
    offer: Option<Suite>,
) -> Result<Option<Agreement>, TransportError> {
    let (Some(enabled), Some(offer)) = (enabled, offer) else { return Ok(None) };
    if enabled.is_empty() {
        return Err(NOTHING_OF_OUR_OWN);
    }
    if offer.is_zero() {
        return Err(TransportError::transport_parameter("the client offers no migration strategy"));
    }
    Ok(Some(Agreement { strategies: enabled.intersection(offer.known()) }))
}

/// A client's view of the server's answer; `None` if the server gave none.
///
/// # Errors
///
/// TRANSPORT_PARAMETER_ERROR if the answer came without an offer, or names a strategy that was not offered or
/// that nobody knows. INTERNAL_ERROR if `offered` is empty.
pub fn confirm(
    offered: Option<StrategySet>,
    answer: Option<Suite>,
) -> Result<Option<Agreement>, TransportError> {
    if offered.is_some_and(StrategySet::is_empty) {
        return Err(NOTHING_OF_OUR_OWN);
    }
    let Some(answer) = answer else { return Ok(None) };
    let Some(offered) = offered else {
        return Err(TransportError::transport_parameter("the server answers a suite that was not offered"));
    };
    if answer.has_unknown() {
        return Err(TransportError::transport_parameter("the server names an unknown migration strategy"));
    }
    let strategies = answer.known();
    if strategies.intersection(offered) != strategies {
        return Err(TransportError::transport_parameter("the server names a strategy that was not offered"));
    }
    Ok(Some(Agreement { strategies }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;
    use crate::negotiation::Strategy::{self, Explicit, Pool, Symmetric, SynchronizedSymmetric};

    type Outcome = Result<Option<StrategySet>, Code>;

    const REFUSED: Outcome = Err(Code::TRANSPORT_PARAMETER_ERROR);

    fn set(strategies: &[Strategy]) -> StrategySet {
        strategies.iter().copied().collect()
    }

    fn suite(value: &[u8]) -> Suite {
        Suite::decode(value).expect("one integer")
    }

    fn outcome(result: Result<Option<Agreement>, TransportError>) -> Outcome {
        result.map(|a| a.map(Agreement::strategies)).map_err(|e| e.code)
    }

    fn server(enabled: &[Strategy], offer: &[u8]) -> Outcome {
        outcome(select(Some(set(enabled)), Some(suite(offer))))
    }

    fn client(offered: &[Strategy], answer: &[u8]) -> Outcome {
        outcome(confirm(Some(set(offered)), Some(suite(answer))))
    }

    // ---- the client's side ------------------------------------------------------------------------

    #[test]
    fn a_client_that_offers_an_empty_set_is_our_own_fault() {
        assert_eq!(outcome(confirm(Some(StrategySet::EMPTY), None)), Err(Code::INTERNAL_ERROR));
        assert_eq!(client(&[], &[0]), Err(Code::INTERNAL_ERROR));
    }

    #[test]
    fn a_client_confirms_one_strategy_in_common() {
        assert_eq!(client(&[Explicit, Pool], &[0x1]), Ok(Some(set(&[Explicit]))));
    }

    #[test]
    fn a_client_confirms_several_strategies_in_common() {
        assert_eq!(client(&[Explicit, Pool, Symmetric], &[0x5]), Ok(Some(set(&[Explicit, Symmetric]))));
    }

    #[test]
    fn an_answer_of_zero_is_an_agreement_on_nothing() {
        assert_eq!(client(&[Explicit], &[0x0]), Ok(Some(StrategySet::EMPTY)));
    }

    #[test]
    fn an_answer_that_names_what_was_not_offered_is_refused() {
        assert_eq!(client(&[Explicit, Pool], &[0x4]), REFUSED);
        assert_eq!(client(&[Explicit, Pool], &[0x5]), REFUSED);
    }

    #[test]
    fn an_answer_with_an_unknown_bit_is_refused() {
        assert_eq!(client(&[Explicit, Pool, Symmetric, SynchronizedSymmetric], &[0x10]), REFUSED);
        assert_eq!(client(&[Explicit, Pool, Symmetric, SynchronizedSymmetric], &[0x11]), REFUSED);
        assert_eq!(client(&[Explicit], &[0xe0, 0, 0, 0, 0, 0, 0, 1]), REFUSED);
    }

    #[test]
    fn an_answer_to_a_client_that_offered_nothing_is_refused() {
        for answer in [0x0, 0x1] {
            assert_eq!(outcome(confirm(None, Some(suite(&[answer])))), REFUSED);
        }
    }

    #[test]
    fn a_server_that_does_not_answer_leaves_migration_off() {
        assert_eq!(outcome(confirm(Some(StrategySet::ALL), None)), Ok(None));
        assert_eq!(outcome(confirm(None, None)), Ok(None));
    }

    // ---- the server's side ------------------------------------------------------------------------

    #[test]
    fn a_server_that_permits_an_empty_set_is_our_own_fault() {
        assert_eq!(server(&[], &[0x1]), Err(Code::INTERNAL_ERROR));
    }

    #[test]
    fn a_server_selects_one_strategy_in_common() {
        assert_eq!(server(&[Explicit], &[0x7]), Ok(Some(set(&[Explicit]))));
    }

    #[test]
    fn a_server_selects_several_strategies_in_common() {
        assert_eq!(server(&[Explicit, Symmetric, Pool], &[0xd]), Ok(Some(set(&[Explicit, Symmetric]))));
    }

    #[test]
    fn a_server_with_nothing_in_common_answers_zero() {
        let agreement = select(Some(set(&[Explicit])), Some(suite(&[0x2]))).expect("a proper offer");
        let strategies = agreement.expect("the client takes part").strategies();
        assert!(strategies.is_empty());
        assert_eq!(Suite::from(strategies).bits(), 0);
    }

    #[test]
    fn a_server_answers_the_bits_that_both_know() {
        let agreement = select(Some(set(&[Explicit, Pool, Symmetric])), Some(suite(&[0x3f])));
        let strategies = agreement.expect("a proper offer").expect("both take part").strategies();
        assert_eq!(Suite::from(strategies).bits(), 7);
    }

    #[test]
    fn an_offer_of_zero_is_refused() {
        assert_eq!(server(&[Explicit], &[0x0]), REFUSED);
        assert_eq!(server(&[Explicit], &[0x80, 0, 0, 0]), REFUSED);
    }

    #[test]
    fn unknown_bits_of_an_offer_are_ignored() {
        assert_eq!(server(&[Explicit, Pool], &[0x3f]), Ok(Some(set(&[Explicit, Pool]))));
        assert_eq!(server(&[Explicit], &[0xe0, 0, 0, 0, 0, 0, 0, 1]), Ok(Some(set(&[Explicit]))));
    }

    #[test]
    fn an_offer_of_unknown_bits_alone_has_nothing_in_common() {
        assert_eq!(server(&[Explicit, Pool], &[0x10]), Ok(Some(StrategySet::EMPTY)));
    }

    #[test]
    fn a_client_that_does_not_offer_leaves_migration_off() {
        assert_eq!(outcome(select(Some(StrategySet::ALL), None)), Ok(None));
    }

    #[test]
    fn a_server_that_does_not_migrate_ignores_every_offer() {
        for offer in [0x0, 0x1, 0x3f] {
            assert_eq!(outcome(select(None, Some(suite(&[offer])))), Ok(None));
        }
    }

    #[test]
    fn an_agreement_permits_what_is_in_it() {
        let agreement = select(Some(StrategySet::ALL), Some(suite(&[0x6]))).expect("a proper offer");
        let agreement = agreement.expect("both take part");
        assert!(agreement.permits(Pool) && agreement.permits(Symmetric));
        assert!(!agreement.permits(Explicit) && !agreement.permits(SynchronizedSymmetric));
    }

    proptest! {
        #[test]
        fn what_a_server_selects_its_client_confirms(enabled in 1u8..16, offered in 1u8..16) {
            let (enabled, offered) = (StrategySet(enabled), StrategySet(offered));
            let selected = select(Some(enabled), Some(offered.into())).expect("a proper offer");
            let answer = selected.map(|a| a.strategies().into());
            prop_assert_eq!(confirm(Some(offered), answer), Ok(selected));
        }
    }
}
