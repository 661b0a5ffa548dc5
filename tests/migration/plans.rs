//! Plans that cannot be carried out, whole or by some of their connections (migration rules, 4.1).

use std::time::Duration;

use peregrine::{
    CloseReason, ConnectionHandle, MigrationError, MigrationEvent, MigrationTarget, MoveOrder,
    RelocationError, RelocationEvent, RelocationPlan, Strategy,
};

use sim::{Client, Conn, Outcome, addr, ms, secs};
use stage::moves::{AWAY, BEYOND, HOME, Play, Scene, Stage, target};

const V6: &str = "[2a00::1]:443";

fn explicit(to: &str) -> MoveOrder {
    MoveOrder::Explicit(target(to))
}

/// Asks the server for a plan that it refuses with this error; nothing is different from before then.
fn is_refused(scene: &mut Scene, plan: RelocationPlan, error: RelocationError) {
    let server = scene.server;
    let said: Vec<_> = scene.conns.iter().map(|conn| scene.said(*conn)).collect();
    let told = scene.world.at(server).relocations().count();
    let refused = scene.world.speak(server, |now, endpoint| endpoint.prepare_relocation(now, plan));
    assert_eq!(refused, Err(error));
    let none = scene.world.speak(server, |now, endpoint| endpoint.cancel_relocation(now));
    assert_eq!(none, Err(RelocationError::NotPrepared));
    scene.world.run_for(secs(1));
    assert_eq!(scene.world.at(server).relocations().count(), told);
    let after: Vec<_> = scene.conns.iter().map(|conn| scene.said(*conn)).collect();
    assert_eq!(after, said);
}

/// The server moves away as if nothing had been asked of it, and all its clients follow.
fn moves_all_the_same(mut scene: Scene) {
    scene.relocate(AWAY, ms(50));
    scene.run_well(secs(20));
    scene.assert_followed(AWAY);
}

fn busy(clients: usize) -> Scene {
    let mut scene = Stage::new(Play::Reactive).clients((0..clients).map(|_| Client::echoes(300, ms(20))));
    scene.await_connected();
    scene
}

/// The server's ends of all connections, in the clients' order.
fn handles(scene: &Scene) -> Vec<ConnectionHandle> {
    let far = |conn: &Conn| scene.world.server_side(*conn).expect("the server has it too").handle;
    scene.conns.iter().map(far).collect()
}

#[test]
fn a_plan_that_names_a_connection_that_is_over_is_refused() {
    let mut scene = busy(2);
    let [first, stale] = handles(&scene)[..] else { panic!("two clients") };
    let gone = scene.conns.pop().expect("two clients");
    scene.world.with(gone, |now, connection| connection.close(now, 0u32.into(), b"bye"));
    scene.world.run_for(secs(2));
    let plan = RelocationPlan::per_connection([(first, explicit(AWAY)), (stale, explicit(AWAY))]);
    is_refused(&mut scene, plan, RelocationError::UnknownConnection);
}

#[test]
fn a_plan_that_names_a_connection_that_never_was_is_refused() {
    let unknown = handles(&busy(2))[1];
    let mut scene = busy(1);
    let plan = RelocationPlan::per_connection([(unknown, explicit(AWAY))]);
    is_refused(&mut scene, plan, RelocationError::UnknownConnection);
    moves_all_the_same(scene);
}

#[test]
fn a_target_of_zeros_cannot_even_be_made() {
    for zero in ["0.0.0.0:0", "0.0.0.0:443", "20.0.9.1:0", "[::]:0", "[::]:443", "[2a00::1]:0"] {
        assert_eq!(MigrationTarget::single(addr(zero)), None, "{zero}");
    }
    assert_eq!(MigrationTarget::new(None, None), None);
}

#[test]
fn a_target_of_a_family_that_no_client_uses_is_refused() {
    let mut scene = busy(2);
    is_refused(&mut scene, RelocationPlan::uniform(explicit(V6)), RelocationError::Target);
    let [first, second] = handles(&scene)[..] else { panic!("two clients") };
    let plan = RelocationPlan::per_connection([(first, explicit(V6)), (second, explicit(AWAY))]);
    is_refused(&mut scene, plan, RelocationError::Target);
    moves_all_the_same(scene);
}

#[test]
fn a_target_where_the_server_is_already_is_refused() {
    let mut scene = busy(2);
    is_refused(&mut scene, RelocationPlan::uniform(explicit(HOME)), RelocationError::Target);
    moves_all_the_same(scene);
}

#[test]
fn a_target_where_an_explicit_order_has_brought_the_server_is_refused_and_its_former_place_is_not() {
    let mut scene = busy(1);
    scene.relocate(AWAY, ms(50));
    scene.world.run_for(secs(1));
    is_refused(&mut scene, RelocationPlan::uniform(explicit(AWAY)), RelocationError::Target);
    scene.relocate(HOME, ms(50));
    scene.run_well(secs(20));
    assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
}

#[test]
fn another_port_of_the_same_host_is_another_address() {
    let mut scene = busy(1);
    let far = scene.far_end();
    let order = |scene: &mut Scene, to: &str| {
        scene.world.with(far, |now, connection| connection.migration().prepare(now, explicit(to)))
    };
    assert_eq!(order(&mut scene, HOME), Err(MigrationError::Target));
    assert_eq!(order(&mut scene, "20.0.0.1:444"), Ok(()));
}

/// Three clients with an Explicit plan, of which the middle one agreed on Symmetric alone.
fn one_that_cannot_follow() -> Scene {
    let app = || Client::echoes(100, ms(20));
    let plays = [Play::Reactive, Play::Symmetric, Play::Reactive];
    let mut scene = Stage::new(Play::Reactive).cast(plays.map(|play| (play, app())));
    scene.await_connected();
    scene
}

/// What the clients that can follow say of the move, each of them, and nothing else.
fn followed_quietly(scene: &Scene) -> bool {
    let announced = MigrationEvent::Announced { strategy: Strategy::Explicit };
    let completed = MigrationEvent::Completed { strategy: Strategy::Explicit, address: Some(addr(AWAY)) };
    [0, 2].into_iter().all(|number| {
        let said = scene.said(scene.conns[number]);
        let is_of_the_move = |event: &MigrationEvent| {
            *event == announced || *event == completed || matches!(event, MigrationEvent::Seeking { .. })
        };
        said.contains(&announced)
            && said.contains(&completed)
            && said.iter().all(is_of_the_move)
            && scene.world.outcome(scene.conns[number]) == Outcome::Done
    })
}

#[test]
fn a_connection_that_cannot_follow_its_order_fails_and_is_closed_and_no_other_notices() {
    let mut scene = one_that_cannot_follow();
    let far = scene.world.server_side(scene.conns[1]).expect("the server has it too");
    let plan = RelocationPlan::uniform(explicit(AWAY)).close_with(7u32.into(), b"moving house");
    scene.world.relocate_by(scene.server, plan, AWAY, ms(50));
    scene.world.run_until_done(secs(20));
    let failed = MigrationEvent::Failed { strategy: Strategy::Explicit, reason: MigrationError::NotAgreed };
    assert_eq!(scene.said(far), [failed]);
    assert_eq!(scene.world.closed(far), Some(&CloseReason::NotMoved(MigrationError::NotAgreed)));
    let told = CloseReason::Application { code: 7u32.into(), reason: b"moving house".to_vec() };
    assert_eq!(scene.world.closed(scene.conns[1]), Some(&told));
    let ready = RelocationEvent::Ready { prepared: 2, closed: 1 };
    assert!(scene.world.at(scene.server).relocations().any(|(_, event)| *event == ready));
    assert!(followed_quietly(&scene));
}

#[test]
fn a_connection_that_cannot_follow_its_order_is_left_as_it_is_if_the_plan_says_so() {
    let mut scene = one_that_cannot_follow();
    let plan = RelocationPlan::uniform(explicit(AWAY)).keep_unfit();
    scene.world.prepare(scene.server, plan);
    scene.world.run_until_ready(scene.server, secs(1));
    let ready = RelocationEvent::Ready { prepared: 2, closed: 0 };
    assert!(scene.world.at(scene.server).relocations().any(|(_, event)| *event == ready));
    scene.world.run_for(secs(1));
    let left = scene.conns[1];
    assert!(scene.world.closed(left).is_none() && scene.said(left).is_empty());
    scene.world.relocate(scene.server, AWAY, ms(50));
    scene.world.run_until_done(secs(20));
    assert!(followed_quietly(&scene));
    // Symmetric needs no order: the one that was left follows, too.
    assert_eq!(scene.world.outcome(left), Outcome::Done);
}

#[test]
fn a_connection_bound_by_a_cancelled_order_fails_with_the_binding() {
    let mut scene = busy(2);
    let far = scene.far_end();
    scene.world.with(far, |now, connection| {
        connection.migration().prepare(now, explicit(BEYOND)).expect("agreed on");
        connection.migration().cancel(now).expect("not carried out");
    });
    scene.world.prepare(scene.server, RelocationPlan::uniform(explicit(AWAY)));
    scene.world.run_for(secs(1));
    let bound = MigrationError::Bound { to: peregrine::Binding::SameTarget };
    let failed = MigrationEvent::Failed { strategy: Strategy::Explicit, reason: bound };
    assert!(scene.said(far).contains(&failed), "{:?}", scene.said(far));
    assert!(scene.world.closed(scene.conns[0]).is_some());
    assert!(scene.world.closed(scene.conns[1]).is_none());
}

#[test]
fn a_connection_in_its_handshake_is_closed_with_the_plans_words() {
    let mut scene = busy(1);
    let newcomer = scene.newcomer(Play::Reactive, Client::echoes(1, Duration::ZERO));
    // Its first flight is there, and the answer is under way.
    scene.world.run_for(ms(12));
    assert_eq!(scene.world.at(scene.server).endpoint().connections().count(), 2);
    scene.world.prepare(scene.server, RelocationPlan::uniform(explicit(AWAY)));
    scene.world.run_until_ready(scene.server, secs(1));
    let ready = RelocationEvent::Ready { prepared: 1, closed: 1 };
    assert!(scene.world.at(scene.server).relocations().any(|(_, event)| *event == ready));
    scene.world.run_for(secs(1));
    assert!(scene.world.closed(newcomer).is_some());
    assert!(scene.world.closed(scene.conn()).is_none());
}
