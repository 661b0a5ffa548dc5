//! A whole server moves: many clients at once, orders for each, plans taken back, moves that never happen, long freezes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use peregrine::{
    Binding, CloseReason, ConnectionEvent, MigrationError, MigrationEvent, MoveOrder, RelocationError,
    RelocationEvent, RelocationPlan,
};

use sim::{Client, Conn, Filtering, Link, Outcome, Verdict, addr, for_seeds, ms, secs};
use stage::moves::{AWAY, BEYOND, HOME, Play, Scene, Stage, target};

/// The plays of one server without a pool, and one with.
const MIXES: [&[Play]; 2] =
    [&[Play::Reactive, Play::Symmetric, Play::Proactive, Play::Synchronized], &[Play::Pool(3)]];

fn app(number: usize) -> Client {
    match number % 4 {
        0 => Client::download(200_000),
        1 => Client::echoes(30, ms(20)),
        2 => Client::upload(200_000),
        _ => Client::idle(),
    }
}

#[test]
fn one_five_and_twenty_clients_move_at_once_each_by_its_own_strategy() {
    for mix in MIXES {
        for clients in [1, 5, 20] {
            let parts = (0..clients).map(|number| (mix[number % mix.len()], app(number)));
            let mut scene = Stage::new(mix[0]).link(Link::rtt(ms(40)).bandwidth(50_000_000)).cast(parts);
            scene.await_connected();
            scene.world.run_for(ms(10));
            scene.relocate(AWAY, ms(150));
            scene.run_well(secs(20));
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn twenty_clients_move_at_once_with_loss() {
    for_seeds(10, |seed| {
        for mix in MIXES {
            let parts = (0..20).map(|number| (mix[number % mix.len()], app(number)));
            let link = Link::rtt(ms(40)).bandwidth(50_000_000).loss(0.015);
            let mut scene = Stage::new(mix[0]).seed(seed).link(link).cast(parts);
            scene.await_connected();
            scene.relocate(AWAY, ms(150));
            scene.run_well(secs(60));
            scene.assert_followed(AWAY);
        }
    });
}

#[test]
fn what_arrived_while_acknowledgements_found_nobody_is_not_sent_again() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::download(1_500_000));
        scene.await_connected();
        scene.world.run_for(ms(200));
        let sent = Rc::new(Cell::new(0));
        let count = Rc::clone(&sent);
        scene.world.tap(move |_, datagram| {
            count.set(count.get() + if datagram.from == addr(AWAY) { datagram.payload.len() } else { 0 });
            Verdict::Pass
        });
        scene.relocate(AWAY, ms(300));
        let left = 1_500_000 - scene.world.app::<Client>(scene.conn()).received();
        scene.run_well(secs(10));
        scene.assert_followed(AWAY);
        assert!(left > 300_000, "{play:?}: {left} bytes are left");
        // Headers, what goes with the announcement, and what is lost at full queues.
        assert!((sent.get() as u64) < left + left / 10, "{play:?}: {} bytes for {left}", sent.get());
    }
}

#[test]
fn announcements_are_spread() {
    let mut scene = Stage::new(Play::Symmetric).clients((0..20).map(|_| Client::idle()));
    scene.world.run_for(secs(1));
    let plan = RelocationPlan::uniform(MoveOrder::Symmetric).announce_rate(10);
    scene.world.relocate_by(scene.server, plan, AWAY, ms(10));
    let moved = scene.world.now();
    scene.run_well(secs(10));
    scene.assert_followed(AWAY);
    // The last one is announced after two seconds, and a little time passes when all is settled.
    let took = scene.world.now().since(moved);
    assert!((secs(4) - ms(100)..secs(5)).contains(&took), "{took:?}");
}

/// A server that moves again and again, each time by what its client plays.
fn journey(play: Play, places: &[&str]) -> Scene {
    let mut scene = Stage::new(play).client(Client::echoes(40 * places.len(), ms(20)));
    scene.world.run_for(ms(300));
    for (round, to) in (1..).zip(places) {
        scene.relocate(to, ms(100));
        scene.world.run_for(ms(600));
        assert_eq!(scene.completed(scene.conn()), round, "{play:?}: {:?}", scene.said(scene.conn()));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(to));
    }
    scene.run_well(secs(20));
    assert_eq!(scene.settled(), vec![(1, 0); places.len()]);
    scene.assert_one_handshake_each();
    scene
}

#[test]
fn a_server_moves_on_and_back_home() {
    for play in [Play::Reactive, Play::Proactive, Play::Symmetric, Play::Synchronized] {
        journey(play, &[AWAY, BEYOND, HOME, AWAY, HOME]);
    }
}

#[test]
fn one_connection_moves_by_one_strategy_after_the_other() {
    let stage = Stage::new(Play::Symmetric);
    let mut scene = stage.everything().client(Client::echoes(300, ms(20)));
    scene.world.run_for(ms(300));
    let orders = [
        (MoveOrder::Explicit(target(AWAY)), AWAY),
        (MoveOrder::Symmetric, BEYOND),
        (MoveOrder::SynchronizedSymmetric, HOME),
        (MoveOrder::Symmetric, AWAY),
        (MoveOrder::SynchronizedSymmetric, BEYOND),
        (MoveOrder::Explicit(target(HOME)), HOME),
    ];
    for (round, (order, to)) in (1..).zip(orders) {
        scene.world.relocate_by(scene.server, RelocationPlan::uniform(order), to, ms(100));
        scene.world.run_for(ms(600));
        assert_eq!(scene.completed(scene.conn()), round, "{:?}", scene.said(scene.conn()));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(to));
    }
    scene.run_well(secs(20));
    assert_eq!(scene.settled(), [(1, 0); 6]);
}

#[test]
fn without_notice_those_move_that_need_none() {
    let parts = [Play::Symmetric, Play::Reactive, Play::Synchronized, Play::Symmetric];
    let mut scene = Stage::new(Play::Symmetric).cast(parts.map(|play| (play, Client::echoes(50, ms(20)))));
    scene.world.run_for(ms(300));
    scene.world.relocate(scene.server, AWAY, ms(100));
    scene.world.run_until_done(secs(100));
    let outcomes: Vec<bool> =
        scene.conns.iter().map(|conn| scene.world.outcome(*conn) == Outcome::Done).collect();
    assert_eq!(outcomes, [true, false, false, true]);
    scene.run_until_settled(secs(100));
    // Those left behind end later, each by its idle timer.
    assert_eq!(scene.settled(), [(2, 0)]);
}

#[test]
fn a_pool_needs_no_notice() {
    let mut scene = Stage::new(Play::Pool(2)).clients((0..4).map(|_| Client::echoes(50, ms(20))));
    scene.world.run_for(ms(300));
    scene.world.relocate(scene.server, AWAY, ms(100));
    scene.run_well(secs(20));
    scene.assert_followed(AWAY);
}

#[test]
fn a_move_while_preparing_takes_all_that_have_an_order() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).clients([Client::download(500_000), Client::upload(500_000)]);
        scene.await_connected();
        scene.world.run_for(ms(60));
        let plan = scene.plan(AWAY);
        scene.world.prepare(scene.server, plan);
        // The notice has come, or none is needed; its acknowledgement is under way.
        let announces = !matches!(play, Play::Pool(_) | Play::Symmetric);
        for conn in scene.conns.clone().into_iter().filter(|_| announces) {
            let announced = |event: &ConnectionEvent| {
                matches!(event, ConnectionEvent::Migration(MigrationEvent::Announced { .. }))
            };
            scene.world.run_until(|world| world.when(conn, announced).is_some(), secs(1));
        }
        scene.world.relocate(scene.server, AWAY, ms(50));
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn a_plan_that_is_cancelled_leaves_everything_as_it_was() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::echoes(100, ms(20)));
        scene.world.run_for(ms(300));
        scene.prepare(AWAY);
        scene.world.cancel(scene.server);
        scene.world.run_well(secs(20));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        // And it can be given again, and carried out.
        scene.relocate(AWAY, ms(100));
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn a_cancelled_explicit_order_binds_the_next_one() {
    let mut scene = Stage::new(Play::Reactive).everything().client(Client::echoes(100, ms(20)));
    scene.world.run_for(ms(300));
    let far = scene.far_end();
    scene.world.prepare(scene.server, RelocationPlan::uniform(MoveOrder::Explicit(target(AWAY))));
    scene.world.run_until_ready(scene.server, secs(1));
    scene.world.cancel(scene.server);
    for order in [MoveOrder::Explicit(target(BEYOND)), MoveOrder::Symmetric] {
        let refused = scene.world.with(far, |now, connection| connection.migration().prepare(now, order));
        assert_eq!(refused, Err(MigrationError::Bound { to: Binding::SameTarget }));
    }
    scene.world.relocate_by(
        scene.server,
        RelocationPlan::uniform(MoveOrder::Explicit(target(AWAY))),
        AWAY,
        ms(50),
    );
    scene.run_well(secs(20));
    scene.assert_followed(AWAY);
    // Completed, it binds no more.
    scene.world.relocate_by(scene.server, RelocationPlan::uniform(MoveOrder::Symmetric), HOME, ms(50));
    scene.world.run_for(secs(2));
    assert_eq!(scene.completed(scene.conn()), 2);
}

#[test]
fn a_move_that_never_happens_is_reported_at_the_deadline_and_clients_are_admitted_again() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).patience(secs(10), secs(30)).client(Client::echoes(1000, ms(20)));
        scene.world.run_for(ms(300));
        let far = scene.far_end();
        let ready = scene.prepare(AWAY);
        scene.world.run_for(secs(15));
        let failed = MigrationEvent::Failed { strategy: play.strategy(), reason: MigrationError::Deadline };
        assert!(scene.said(far).contains(&failed), "{play:?}: {:?}", scene.said(far));
        let at = scene.world.when(far, |event| *event == ConnectionEvent::Migration(failed));
        let after = at.expect("it failed").since(ready);
        assert!((secs(9)..=secs(12)).contains(&after), "{play:?} {after:?}");
        let newcomer = scene.newcomer(play, Client::echoes(1, Duration::ZERO));
        scene.world.run_well(secs(30));
        assert!(scene.world.is_connected(newcomer));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
    }
}

#[test]
fn a_freeze_of_ten_minutes_is_survived_by_who_is_patient() {
    for play in Play::ALL {
        for app in [Client::download(2_000_000), Client::upload(2_000_000), Client::idle()] {
            let quarter = secs(15 * 60);
            let mut scene = Stage::new(play).patience(quarter, quarter).client(app);
            scene.await_connected();
            scene.world.run_for(ms(150));
            scene.relocate(AWAY, secs(600));
            scene.run_well(secs(60));
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn a_freeze_of_ten_minutes_ends_both_sides_of_who_is_not() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::upload(2_000_000));
        scene.await_connected();
        scene.world.run_for(ms(150));
        let far = scene.far_end();
        scene.relocate(AWAY, secs(600));
        scene.run_out(secs(600));
        assert_eq!(scene.world.closed(scene.conn()), Some(&CloseReason::TimedOut));
        assert!(scene.world.closed(far).is_some());
        assert_eq!(scene.settled(), [(0, 1)], "{play:?}");
        if play != Play::Symmetric {
            let failed = |event: &MigrationEvent| matches!(event, MigrationEvent::Failed { .. });
            assert!(scene.said(scene.conn()).iter().any(failed), "{play:?}: {:?}", scene.said(scene.conn()));
        }
    }
}

#[test]
fn a_client_that_comes_while_the_server_prepares_is_admitted_after_the_move() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::echoes(50, ms(20)));
    scene.world.run_for(ms(300));
    scene.prepare(AWAY);
    let newcomer = scene.newcomer(Play::Symmetric, Client::echoes(1, Duration::ZERO));
    scene.world.run_for(ms(500));
    assert!(!scene.world.is_connected(newcomer) && scene.world.closed(newcomer).is_none());
    scene.world.cancel(scene.server);
    scene.world.run_well(secs(20));
    assert!(scene.world.is_connected(newcomer));
}

#[test]
fn a_client_that_comes_while_the_server_prepares_may_be_refused() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::echoes(50, ms(20)));
    scene.world.run_for(ms(300));
    let plan = RelocationPlan::uniform(MoveOrder::Symmetric).refuse_initials();
    scene.world.prepare(scene.server, plan);
    let newcomer = scene.newcomer(Play::Symmetric, Client::echoes(1, Duration::ZERO));
    scene.world.run_for(ms(500));
    assert!(matches!(scene.world.closed(newcomer), Some(CloseReason::Peer { .. })));
    scene.world.relocate(scene.server, AWAY, ms(50));
    let late = scene.newcomer_at(Play::Symmetric, AWAY, Client::echoes(1, Duration::ZERO));
    scene.world.run_until_done(secs(20));
    assert_eq!(scene.world.outcome(late), Outcome::Done);
    assert_eq!(scene.world.outcome(scene.conn()), Outcome::Done);
}

#[test]
fn connections_that_a_plan_does_not_name_are_told_and_closed() {
    let mut scene = Stage::new(Play::Symmetric).clients((0..3).map(|_| Client::echoes(50, ms(20))));
    scene.world.run_for(ms(300));
    let far = scene.far_end();
    let plan = RelocationPlan::per_connection([(far.handle, MoveOrder::Symmetric)]);
    let plan = plan.close_with(7u32.into(), b"moving house");
    scene.world.prepare(scene.server, plan);
    scene.world.run_until_ready(scene.server, secs(1));
    let ready = RelocationEvent::Ready { prepared: 1, closed: 2 };
    assert_eq!(scene.world.at(scene.server).relocations().last().map(|(_, event)| event), Some(&ready));
    scene.world.relocate(scene.server, AWAY, ms(50));
    scene.world.run_until_done(secs(20));
    let told = CloseReason::Application { code: 7u32.into(), reason: b"moving house".to_vec() };
    let reasons: Vec<_> = scene.conns.iter().map(|conn| scene.world.closed(*conn)).collect();
    assert_eq!(reasons, [None, Some(&told), Some(&told)]);
    assert_eq!(scene.settled(), [(1, 0)]);
}

#[test]
fn laggards_are_closed_at_the_plans_deadline() {
    let mut scene = Stage::new(Play::Reactive).clients((0..2).map(|_| Client::echoes(400, ms(20))));
    scene.world.run_for(ms(300));
    // The second client hears nothing any more.
    scene.world.one_way(Some("20.0.0.1"), Some("30.0.0.2"), Link::rtt(ms(20)).down());
    let plan = scene.plan(AWAY).deadline(secs(2));
    let notice = scene.world.now();
    scene.world.prepare(scene.server, plan);
    let ready = scene.world.run_until_ready(scene.server, secs(5));
    assert!((secs(2)..ms(2100)).contains(&ready.since(notice)));
    let event = RelocationEvent::Ready { prepared: 1, closed: 1 };
    assert_eq!(scene.world.at(scene.server).relocations().last().map(|(_, event)| event), Some(&event));
}

#[test]
fn a_server_without_connections_is_ready_and_settled_at_once() {
    let mut scene = Stage::new(Play::Symmetric).clients([]);
    scene.world.prepare(scene.server, RelocationPlan::uniform(MoveOrder::Symmetric));
    assert_eq!(scene.world.ready(scene.server), Some(scene.world.now()));
    scene.world.relocate(scene.server, AWAY, ms(50));
    assert_eq!(scene.settled(), [(0, 0)]);
}

#[test]
fn a_plan_is_pending_until_it_is_carried_out_or_cancelled_or_given_up() {
    let mut scene =
        Stage::new(Play::Symmetric).patience(secs(10), secs(30)).client(Client::echoes(1000, ms(20)));
    scene.world.run_for(ms(300));
    let pending = |scene: &Scene| scene.world.at(scene.server).endpoint().is_relocation_pending();
    assert!(!pending(&scene));
    scene.prepare(AWAY);
    assert!(pending(&scene));
    scene.world.cancel(scene.server);
    assert!(!pending(&scene));
    scene.prepare(AWAY);
    scene.world.relocate(scene.server, AWAY, ms(50));
    assert!(!pending(&scene));
    scene.world.run_for(secs(2));
    scene.prepare(HOME);
    scene.world.run_for(secs(9));
    assert!(pending(&scene));
    scene.world.run_for(secs(3));
    assert!(!pending(&scene));
}

#[test]
fn a_plan_that_cannot_be_changes_nothing() {
    let mut scene = Stage::new(Play::Reactive).client(Client::echoes(50, ms(20)));
    scene.world.run_for(ms(300));
    let server = scene.server;
    let refused = |scene: &mut Scene, plan: RelocationPlan| {
        scene.world.speak(server, |now, endpoint| endpoint.prepare_relocation(now, plan))
    };
    let elsewhere = RelocationPlan::uniform(MoveOrder::Explicit(target("[2a00::1]:443")));
    assert_eq!(refused(&mut scene, elsewhere), Err(RelocationError::Target));
    let none = scene.world.speak(server, |now, endpoint| endpoint.cancel_relocation(now));
    assert_eq!(none, Err(RelocationError::NotPrepared));
    let plan = scene.plan(AWAY);
    assert_eq!(refused(&mut scene, plan.clone()), Ok(()));
    assert_eq!(refused(&mut scene, plan), Err(RelocationError::Busy));
    scene.world.run_until_ready(server, secs(1));
    scene.world.relocate(server, AWAY, ms(50));
    scene.run_well(secs(10));
    scene.assert_followed(AWAY);
}

#[test]
fn a_server_may_move_between_families_of_its_own_only() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::echoes(50, ms(20)));
    scene.world.run_for(ms(300));
    scene.prepare(AWAY);
    let local =
        peregrine::Local { ip: Some(sim::ip("2a00::1")), ..scene.world.at(scene.server).local(sim_key()) };
    let refused =
        scene.world.speak(scene.server, |now, endpoint| endpoint.relocated(now, &[(sim_key(), local)]));
    assert_eq!(refused, Err(RelocationError::Family));
    scene.world.relocate(scene.server, AWAY, ms(50));
    scene.run_well(secs(10));
    scene.assert_followed(AWAY);
}

fn sim_key() -> peregrine::SocketKey {
    peregrine::SocketKey(0)
}

#[test]
fn clients_behind_one_translator_all_follow() {
    for play in Play::NAMED {
        let stage = Stage::new(play).behind(Filtering::AddressAndPortDependent);
        let mut scene = stage.clients((0..5).map(app));
        scene.await_connected();
        scene.world.run_for(ms(10));
        // In a pool an idle client does not know that its server is away until it has something to say.
        let idle: Vec<Conn> = scene.conns.iter().copied().skip(3).take(1).collect();
        scene.relocate(AWAY, ms(200));
        if matches!(play, Play::Pool(_)) {
            scene.world.run_for(secs(2));
            idle.into_iter().for_each(|conn| scene.world.ask(conn, Client::echo()));
        }
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    }
}
