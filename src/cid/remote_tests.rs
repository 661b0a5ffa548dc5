//! The IDs we may use, by honest peers and by others.

use proptest::prelude::*;

use super::remote::Bound;
use super::{RemoteIds, Replaced, TokenChange};
use crate::error::Code;
use crate::frame::{NewConnectionId, Record};
use crate::id::{ConnectionId, ResetToken};
use crate::net::{FourTuple, Local, SocketKey};
use crate::packet::{Allowance, DatagramWriter, Header};

const LIMIT: u64 = 4;

fn id(n: u64) -> ConnectionId {
    ConnectionId::new(&n.to_be_bytes()).expect("eight bytes")
}

fn token(n: u64) -> ResetToken {
    ResetToken([n.to_be_bytes(), n.to_be_bytes()].concat().try_into().expect("sixteen bytes"))
}

fn at(host: u8) -> FourTuple {
    FourTuple { local: Local::default(), remote: ([10, 0, 0, host], 443).into() }
}

/// The path to this host from another socket of ours.
fn from_other_socket(host: u8) -> FourTuple {
    FourTuple { local: Local { socket: SocketKey(1), ip: None }, ..at(host) }
}

fn frame(sequence: u64, retire_prior_to: u64) -> NewConnectionId {
    NewConnectionId { sequence, retire_prior_to, id: id(sequence), token: token(sequence) }
}

fn give(ids: &mut RemoteIds, sequence: u64, retire_prior_to: u64) -> Result<Replaced, Code> {
    ids.on_new(&frame(sequence, retire_prior_to)).map_err(|e| e.code)
}

/// IDs of a peer that issued `spare` besides the one of the handshake.
fn ids(spare: u64) -> RemoteIds {
    let mut ids = RemoteIds::new(id(0), LIMIT);
    ids.set_handshake_token(token(0));
    for sequence in 1..=spare {
        assert_eq!(give(&mut ids, sequence, 0), Ok(Replaced::default()));
    }
    ids
}

/// The sequence numbers given back in one packet.
fn said(ids: &mut RemoteIds) -> Vec<u64> {
    let (mut buf, mut records) = ([0; 1200], Vec::new());
    let mut datagram = DatagramWriter::new(&mut buf, &mut records);
    let header = Header::Short { dcid: ids.current() };
    let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room for a packet");
    ids.write(&mut packet);
    let draft = packet.finish();
    datagram.keep(draft);
    let sequence = |record| match record {
        Record::RetireConnectionId { sequence } => sequence,
        other => panic!("{other:?}"),
    };
    records.into_iter().map(sequence).collect()
}

fn acked(ids: &mut RemoteIds, sequences: impl IntoIterator<Item = u64>) {
    sequences.into_iter().for_each(|sequence| ids.acked(&Record::RetireConnectionId { sequence }));
}

fn tokens(ids: &RemoteIds) -> Vec<ResetToken> {
    ids.tokens().collect()
}

fn changes(ids: &mut RemoteIds) -> Vec<TokenChange> {
    std::iter::from_fn(|| ids.poll_token()).collect()
}

fn bound(ids: &mut RemoteIds, host: u8) -> Option<ConnectionId> {
    ids.bind(at(host)).map(|bound| bound.id)
}

// ---- the handshake ----------------------------------------------------------------------------------

#[test]
fn the_peers_own_choice_replaces_the_first_id() {
    let mut ids = RemoteIds::new(id(99), LIMIT);
    ids.set_handshake_id(id(0));
    ids.set_handshake_token(token(0));
    assert_eq!((ids.current(), ids.handshake_id()), (id(0), id(0)));
    assert_eq!(ids.token_of_current(), Some(token(0)));
    assert_eq!(changes(&mut ids), [TokenChange::Watch(token(0))]);
}

#[test]
fn the_handshakes_id_is_remembered_when_another_is_in_use() {
    let mut ids = ids(1);
    assert_eq!(ids.rotate(), Some(id(1)));
    assert_eq!((ids.current(), ids.handshake_id()), (id(1), id(0)));
}

// ---- issuing ----------------------------------------------------------------------------------------

#[test]
fn a_repeated_frame_changes_nothing() {
    let mut ids = ids(2);
    for _ in 0..100 {
        assert_eq!(give(&mut ids, 2, 0), Ok(Replaced::default()));
    }
    assert_eq!(ids.spare(), 2);
}

#[test]
fn the_handshakes_own_id_may_be_repeated() {
    let mut ids = ids(0);
    assert_eq!(give(&mut ids, 0, 0), Ok(Replaced::default()));
    let mut other = frame(0, 0);
    other.token = token(9);
    assert_eq!(ids.on_new(&other).map_err(|e| e.code), Err(Code::PROTOCOL_VIOLATION));
}

#[test]
fn a_second_id_number_zero_is_ignored_as_mvfst_clients_send_one() {
    let mut ids = ids(0);
    for n in [77, 78] {
        let first_spare = NewConnectionId { sequence: 0, retire_prior_to: 0, id: id(n), token: token(n) };
        assert_eq!(ids.on_new(&first_spare), Ok(Replaced::default()));
    }
    assert_eq!((ids.spare(), ids.current()), (0, id(0)));
    assert_eq!(give(&mut ids, 1, 0), Ok(Replaced::default()));
    assert_eq!((ids.spare(), said(&mut ids)), (1, vec![]));
}

#[test]
fn a_contradiction_is_a_violation() {
    let contradictions = [
        NewConnectionId { id: id(9), ..frame(1, 0) },
        NewConnectionId { token: token(9), ..frame(1, 0) },
        NewConnectionId { id: id(1), ..frame(3, 0) },
        NewConnectionId { id: id(0), ..frame(3, 0) },
        NewConnectionId { token: token(1), ..frame(3, 0) },
        NewConnectionId { token: token(0), ..frame(3, 0) },
    ];
    for contradiction in contradictions {
        let refused = ids(2).on_new(&contradiction).map_err(|e| e.code);
        assert_eq!(refused, Err(Code::PROTOCOL_VIOLATION), "{contradiction:?}");
    }
}

#[test]
fn one_more_than_the_limit_is_an_error() {
    let mut ids = ids(LIMIT - 1);
    assert_eq!(give(&mut ids, LIMIT, 0), Err(Code::CONNECTION_ID_LIMIT_ERROR));
}

#[test]
fn an_id_that_retires_another_does_not_exceed_the_limit() {
    let mut ids = ids(LIMIT - 1);
    let replaced = give(&mut ids, LIMIT, 1).expect("within the limit");
    assert_eq!(replaced.current, Some(id(1)));
    assert_eq!(said(&mut ids), [0]);
}

#[test]
fn a_peer_without_connection_ids_may_not_issue_any() {
    let mut ids = RemoteIds::new(id(99), LIMIT);
    ids.set_handshake_id(ConnectionId::EMPTY);
    assert_eq!(give(&mut ids, 1, 0), Err(Code::PROTOCOL_VIOLATION));
    assert_eq!(ids.bind(at(2)), Some(Bound { id: ConnectionId::EMPTY, is_used: true }));
    assert_eq!((ids.rotate(), ids.spare()), (None, 0));
    ids.release(at(2));
    assert_eq!(said(&mut ids), [0; 0]);
}

// ---- retiring ---------------------------------------------------------------------------------------

#[test]
fn the_id_in_use_is_replaced_when_it_is_retired() {
    let mut ids = ids(2);
    let replaced = give(&mut ids, 3, 2).expect("an honest frame");
    assert_eq!((replaced.current, ids.current(), ids.spare()), (Some(id(2)), id(2), 1));
    assert_eq!(said(&mut ids), [0, 1]);
}

#[test]
fn an_id_below_what_was_retired_is_given_back_at_once() {
    let mut ids = ids(0);
    assert!(give(&mut ids, 3, 3).is_ok());
    for _ in 0..3 {
        assert_eq!(give(&mut ids, 2, 0), Ok(Replaced::default()));
    }
    assert_eq!(said(&mut ids), [0, 2]);
    acked(&mut ids, [0, 2]);
    assert_eq!(give(&mut ids, 2, 0), Ok(Replaced::default()));
    assert_eq!((said(&mut ids), ids.spare()), (vec![], 0));
}

#[test]
fn a_smaller_retire_prior_to_has_no_effect() {
    let mut ids = ids(0);
    assert!(give(&mut ids, 3, 3).is_ok());
    assert_eq!(give(&mut ids, 4, 1), Ok(Replaced::default()));
    assert_eq!(give(&mut ids, 2, 2), Ok(Replaced::default()));
    assert_eq!((ids.current(), ids.spare()), (id(3), 1));
}

#[test]
fn with_no_other_the_retired_id_stays_in_use_until_one_comes() {
    let mut ids = ids(1);
    assert_eq!(bound(&mut ids, 2), Some(id(1)));
    ids.mark_used(at(2));
    // The peer repeats an ID that is bound elsewhere, and wants the one in use back.
    let replaced = give(&mut ids, 1, 1).expect("a repeated frame may retire more");
    assert_eq!(replaced, Replaced::default());
    assert!(ids.is_overdue());
    assert_eq!((ids.current(), said(&mut ids)), (id(0), vec![]));
    let replaced = give(&mut ids, 2, 1).expect("an honest frame");
    assert_eq!((replaced.current, ids.current(), ids.is_overdue()), (Some(id(2)), id(2), false));
    assert_eq!(said(&mut ids), [0]);
}

#[test]
fn an_overdue_id_is_given_back_when_a_bound_one_is_adopted() {
    let mut ids = ids(1);
    assert_eq!(bound(&mut ids, 2), Some(id(1)));
    assert!(give(&mut ids, 1, 1).is_ok() && ids.is_overdue());
    assert_eq!(ids.adopt(at(2), at(1)), Some(id(1)));
    assert_eq!((ids.is_overdue(), said(&mut ids)), (false, vec![0]));
}

#[test]
fn retired_bound_ids_are_replaced_after_the_one_in_use() {
    let mut ids = ids(2);
    assert_eq!((bound(&mut ids, 2), bound(&mut ids, 3)), (Some(id(1)), Some(id(2))));
    let replaced = give(&mut ids, 7, 7).expect("an honest frame");
    assert_eq!(replaced.current, Some(id(7)));
    assert_eq!(replaced.bound.as_slice(), [(at(2), None), (at(3), None)]);
    assert_eq!((ids.bound(at(2)), said(&mut ids)), (None, vec![0, 1, 2]));
    assert_eq!(give(&mut ids, 8, 7), Ok(Replaced::default()));
    assert_eq!(bound(&mut ids, 3), Some(id(8)));
}

#[test]
fn a_retired_bound_id_gets_a_spare_one() {
    let mut ids = ids(1);
    assert_eq!(bound(&mut ids, 2), Some(id(1)));
    assert!(give(&mut ids, 3, 0).is_ok() && give(&mut ids, 4, 0).is_ok());
    let replaced = give(&mut ids, 5, 3).expect("an honest frame");
    assert_eq!(replaced.current, Some(id(3)));
    assert_eq!(replaced.bound.as_slice(), [(at(2), Some(id(4)))]);
}

#[test]
fn a_peer_may_replace_all_its_ids_over_and_over() {
    let mut ids = ids(LIMIT - 1);
    for round in 1..500 {
        let first = round * LIMIT;
        for sequence in first..first + LIMIT {
            assert!(give(&mut ids, sequence, first).is_ok());
        }
        assert_eq!((ids.current(), ids.spare()), (id(first), 3));
        let said = said(&mut ids);
        assert_eq!(said.len(), 4);
        acked(&mut ids, said);
    }
}

#[test]
fn a_peer_that_retires_without_hearing_of_it_is_stopped_at_twice_the_limit() {
    let mut ids = ids(0);
    for sequence in 1..=2 * LIMIT {
        assert!(give(&mut ids, sequence, sequence).is_ok(), "{sequence}");
    }
    assert_eq!(give(&mut ids, 100, 100), Err(Code::CONNECTION_ID_LIMIT_ERROR));
}

#[test]
fn a_peer_that_issues_what_it_retired_before_is_stopped_at_twice_the_limit() {
    let mut ids = ids(0);
    assert!(give(&mut ids, 1 << 40, 1 << 40).is_ok());
    for sequence in 1..2 * LIMIT {
        assert!(give(&mut ids, sequence, 0).is_ok(), "{sequence}");
    }
    assert_eq!(give(&mut ids, 1000, 0), Err(Code::CONNECTION_ID_LIMIT_ERROR));
}

#[test]
fn a_peer_whose_numbers_are_full_of_holes_is_stopped_at_twice_the_limit() {
    let mut ids = ids(0);
    let stopped = (1..100).find(|n| {
        let refused = give(&mut ids, 2 * n, 2 * n) == Err(Code::CONNECTION_ID_LIMIT_ERROR);
        let said = said(&mut ids);
        acked(&mut ids, said);
        refused
    });
    assert_eq!(stopped, Some(2 * LIMIT + 1));
}

#[test]
fn a_reset_to_the_largest_number_ends_well() {
    let mut ids = ids(0);
    let last = (1 << 62) - 1;
    assert_eq!(give(&mut ids, last, last).map(|replaced| replaced.current), Ok(Some(id(last))));
    assert_eq!(said(&mut ids), [0]);
}

// ---- candidate addresses ----------------------------------------------------------------------------

#[test]
fn an_address_keeps_its_id_however_often_it_is_sought() {
    let mut ids = ids(2);
    for _ in 0..100 {
        assert_eq!(bound(&mut ids, 2), Some(id(1)));
        ids.mark_used(at(2));
    }
    assert_eq!(ids.bound(at(2)), Some(Bound { id: id(1), is_used: true }));
    assert_eq!((ids.spare(), said(&mut ids)), (1, vec![]));
}

#[test]
fn two_addresses_never_share_an_id_and_a_third_gets_none() {
    let mut ids = ids(2);
    assert_eq!(
        (bound(&mut ids, 2), bound(&mut ids, 3), bound(&mut ids, 4)),
        (Some(id(1)), Some(id(2)), None)
    );
    assert_eq!((ids.current(), ids.spare(), ids.rotate()), (id(0), 0, None));
}

#[test]
fn an_id_that_was_never_shown_is_spare_again() {
    let mut ids = ids(1);
    assert_eq!(bound(&mut ids, 2), Some(id(1)));
    ids.release(at(2));
    assert_eq!((ids.spare(), ids.bound(at(2)), said(&mut ids)), (1, None, vec![]));
    assert_eq!(bound(&mut ids, 3), Some(id(1)));
}

#[test]
fn an_id_that_was_shown_is_given_back_with_its_address() {
    let mut ids = ids(2);
    assert_eq!((bound(&mut ids, 2), bound(&mut ids, 3)), (Some(id(1)), Some(id(2))));
    ids.mark_used(at(2));
    ids.release(at(2));
    ids.unbind_and_retire(at(3));
    ids.unbind_and_retire(at(4));
    assert_eq!((ids.spare(), said(&mut ids)), (0, vec![1, 2]));
}

#[test]
fn adoption_keeps_the_old_id_for_the_former_home() {
    let mut ids = ids(2);
    assert_eq!(bound(&mut ids, 2), Some(id(1)));
    ids.mark_used(at(2));
    assert_eq!(ids.adopt(at(2), at(1)), Some(id(1)));
    assert_eq!((ids.current(), bound(&mut ids, 1), said(&mut ids)), (id(1), Some(id(0)), vec![]));
    // Back again, and forth: nothing is used up.
    assert_eq!(ids.adopt(at(1), at(2)), Some(id(0)));
    assert_eq!(ids.adopt(at(2), at(1)), Some(id(1)));
    ids.unbind_and_retire(at(1));
    assert_eq!((said(&mut ids), ids.spare()), (vec![0], 1));
}

#[test]
fn a_host_is_shown_another_id_from_another_socket() {
    let mut ids = ids(3);
    let [one, other] = [at(1), from_other_socket(1)].map(|path| ids.bind(path).expect("one is spare").id);
    assert_ne!(one, other);
    assert_eq!(ids.bind(at(1)).map(|bound| bound.id), Some(one));
}

#[test]
fn a_place_that_is_left_gives_back_what_was_shown_from_there_alone() {
    let mut ids = ids(3);
    for path in [at(1), at(2), from_other_socket(1)] {
        ids.bind(path);
    }
    ids.mark_used(at(1));
    ids.mark_used(from_other_socket(1));
    ids.leave(Local::default());
    assert_eq!((said(&mut ids), ids.spare()), (vec![1], 1));
    assert!(ids.bound(from_other_socket(1)).is_some_and(|bound| bound.is_used));
}

#[test]
fn a_path_whose_own_end_changes_is_shown_another_id_if_there_is_one() {
    let mut ids = ids(2);
    ids.bind(at(1));
    ids.mark_used(at(1));
    assert_eq!(ids.carry_over(at(1), from_other_socket(1)), Some(id(2)));
    assert_eq!(said(&mut ids), [1]);
    assert_eq!(ids.carry_over(from_other_socket(1), at(1)), None);
    assert_eq!(ids.bound(at(1)), Some(Bound { id: id(2), is_used: true }));
}

#[test]
fn adoption_of_an_address_without_an_id_of_its_own_changes_nothing() {
    let mut ids = ids(0);
    assert_eq!(ids.adopt(at(2), at(1)), None);
    ids.unbind_and_retire(at(1));
    assert_eq!((ids.current(), said(&mut ids)), (id(0), vec![]));
}

#[test]
fn adoption_in_place_gives_the_old_id_back() {
    let mut ids = ids(1);
    assert_eq!(bound(&mut ids, 1), Some(id(1)));
    assert_eq!(ids.adopt(at(1), at(1)), Some(id(1)));
    assert_eq!(said(&mut ids), [0]);
}

#[test]
fn rotation_gives_the_old_id_back_and_leaves_bound_ones_alone() {
    let mut ids = ids(2);
    assert_eq!(bound(&mut ids, 2), Some(id(1)));
    assert_eq!(ids.rotate(), Some(id(2)));
    assert_eq!((ids.current(), said(&mut ids)), (id(2), vec![0]));
    assert_eq!(ids.rotate(), None);
}

// ---- stateless resets -------------------------------------------------------------------------------

#[test]
fn only_tokens_of_ids_in_use_are_a_reset() {
    let mut ids = ids(3);
    assert_eq!(bound(&mut ids, 2), Some(id(1)));
    assert_eq!((bound(&mut ids, 3), tokens(&ids)), (Some(id(2)), vec![token(0)]));
    ids.mark_used(at(2));
    assert_eq!(tokens(&ids), [token(0), token(1)]);
    let hits: Vec<bool> = (0..5).map(|n| ids.is_reset(&token(n))).collect();
    assert_eq!(hits, [true, true, false, false, false]);
}

#[test]
fn a_peer_that_gave_no_token_cannot_reset() {
    let ids = RemoteIds::new(id(0), LIMIT);
    assert!(!ids.is_reset(&ResetToken([0; 16])));
    assert_eq!(ids.tokens().count(), 0);
}

#[test]
fn the_endpoint_is_told_of_every_token_that_comes_and_goes() {
    use TokenChange::{Forget, Watch};
    let mut ids = ids(3);
    assert_eq!(changes(&mut ids), [Watch(token(0))]);
    bound(&mut ids, 2);
    assert_eq!(changes(&mut ids), []);
    ids.mark_used(at(2));
    ids.mark_used(at(2));
    assert_eq!(changes(&mut ids), [Watch(token(1))]);
    ids.adopt(at(2), at(1));
    assert_eq!(changes(&mut ids), []);
    ids.unbind_and_retire(at(1));
    assert_eq!(changes(&mut ids), [Forget(token(0))]);
    ids.rotate();
    assert_eq!(changes(&mut ids), [Watch(token(2)), Forget(token(1))]);
    assert!(give(&mut ids, 5, 5).is_ok());
    assert_eq!(changes(&mut ids), [Watch(token(5)), Forget(token(2))]);
    assert_eq!(tokens(&ids), [token(5)]);
}

#[test]
fn an_endpoint_that_does_not_ask_is_told_no_more_than_the_difference() {
    let mut ids = ids(0);
    changes(&mut ids);
    for sequence in 1..1000 {
        assert!(give(&mut ids, sequence, sequence).is_ok());
        let said = said(&mut ids);
        acked(&mut ids, said);
    }
    assert_eq!(changes(&mut ids), [TokenChange::Forget(token(0)), TokenChange::Watch(token(999))]);
}

// ---- anything at all --------------------------------------------------------------------------------

#[derive(Debug, Clone)]
enum Op {
    New(u64, u64),
    Bind(u8),
    Use(u8),
    Release(u8),
    Unbind(u8),
    Adopt(u8, u8),
    Rotate,
    Say,
    Acked(u64),
    Lost(u64),
}

fn any_op() -> impl Strategy<Value = Op> {
    let (host, number) = (0u8..6, 0u64..24);
    prop_oneof![
        4 => (number.clone(), 0u64..24).prop_map(|(n, back)| Op::New(n, n.saturating_sub(back))),
        2 => host.clone().prop_map(Op::Bind),
        1 => host.clone().prop_map(Op::Use),
        1 => host.clone().prop_map(Op::Release),
        1 => host.clone().prop_map(Op::Unbind),
        1 => (host.clone(), host).prop_map(|(to, from)| Op::Adopt(to, from)),
        1 => Just(Op::Rotate),
        1 => Just(Op::Say),
        1 => number.clone().prop_map(Op::Acked),
        1 => number.prop_map(Op::Lost),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_bounds_hold_and_the_endpoint_knows(ops in prop::collection::vec(any_op(), 0..120)) {
        let mut ids = ids(0);
        let mut table: Vec<ResetToken> = Vec::new();
        let mut pending: Vec<u64> = Vec::new();
        for op in ops {
            match op {
                Op::New(sequence, retire) => {
                    if give(&mut ids, sequence, retire).is_err() {
                        return Ok(());
                    }
                }
                Op::Bind(host) => { ids.bind(at(host)); }
                Op::Use(host) => ids.mark_used(at(host)),
                Op::Release(host) => ids.release(at(host)),
                Op::Unbind(host) => ids.unbind_and_retire(at(host)),
                Op::Adopt(to, from) => { ids.adopt(at(to), at(from)); }
                Op::Rotate => { ids.rotate(); }
                Op::Say => {
                    let said = said(&mut ids);
                    prop_assert!(said.iter().all(|n| id(*n) != ids.current()));
                    pending.extend(said);
                }
                Op::Acked(n) => acked(&mut ids, pending.iter().copied().filter(|p| *p == n)),
                Op::Lost(n) => ids.lost(&Record::RetireConnectionId { sequence: n }),
            }
            // Each ID at one address, none of them in use here.
            let held: Vec<ConnectionId> =
                (0..6).filter_map(|host| ids.bound(at(host))).map(|bound| bound.id).collect();
            prop_assert!(held.iter().all(|id| *id != ids.current()));
            prop_assert!(held.iter().enumerate().all(|(i, id)| !held[..i].contains(id)));
            prop_assert!(held.len() + ids.spare() < LIMIT as usize + 2);
            for change in changes(&mut ids) {
                match change {
                    TokenChange::Watch(token) => table.push(token),
                    TokenChange::Forget(token) => {
                        let known = table.iter().position(|t| *t == token);
                        table.remove(known.expect("only what was watched is forgotten"));
                    }
                }
            }
            let in_use = tokens(&ids);
            prop_assert_eq!(table.len(), in_use.len());
            prop_assert!(in_use.iter().all(|token| table.contains(token)));
        }
    }
}
