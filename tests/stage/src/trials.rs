//! Trials that every strategy has to pass, each a transfer under which the server moves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use peregrine::{CloseReason, ConnectionEvent, MigrationEvent, Strategy};

use crate::moves::{AWAY, HOME, Play, Scene, Stage};
use peregrine_sim::{Client, Dice, Filtering, Link, Mapping, Verdict, addr, for_seeds, ms, secs};

/// Two ways to be busy while the server moves: the client only receives, or only sends.
const BUSY: [fn(u64) -> Client; 2] = [Client::download, Client::upload];

/// The server moves under a transfer, and nothing is wrong with the network.
pub fn moves_under_a_transfer(play: Play) {
    for app in BUSY {
        for freeze in [Duration::ZERO, ms(300)] {
            let mut scene = Stage::new(play).client(app(400_000));
            scene.await_connected();
            scene.world.run_for(ms(30));
            scene.relocate(AWAY, freeze);
            assert!(!scene.is_done(), "the server moves in the middle of it");
            scene.run_well(secs(10));
            scene.assert_followed(AWAY);
        }
    }
}

/// The same with so many seeds and 1.5 % lost each way.
pub fn moves_with_a_little_loss(play: Play, seeds: u64) {
    for_seeds(seeds, |seed| {
        let link = Link::rtt(ms(20)).bandwidth(20_000_000).loss(0.015);
        for app in BUSY {
            let mut scene = Stage::new(play).seed(seed).link(link.clone()).client(app(200_000));
            scene.await_connected();
            scene.world.run_for(ms(seed % 40));
            scene.relocate(AWAY, ms(seed * 7 % 200));
            scene.run_well(secs(60));
            scene.assert_followed(AWAY);
        }
    });
}

/// What goes wrong in one run.
#[derive(Debug)]
struct Trouble {
    link: Link,
    freeze: Duration,
    /// Nothing arrives for so long, from so long before the switch on.
    blackhole: Option<(Duration, Duration)>,
    /// The translator forgets, so long after notice was given.
    rebinding: Option<Duration>,
    upload: bool,
}

impl Trouble {
    fn of(seed: u64) -> Self {
        let mut dice = Dice::named(seed, "trouble");
        let mut below = |limit: u64| dice.word() % limit;
        let link = Link::delay(ms(5 + below(30)))
            .bandwidth(5_000_000 + below(20_000_000))
            .loss(below(101) as f64 / 1000.0)
            .reordering(below(201) as f64 / 1000.0, ms(1 + below(30)))
            .duplication(below(101) as f64 / 1000.0);
        Self {
            link,
            freeze: ms(below(3000)),
            blackhole: (below(3) == 0).then(|| (ms(below(200)), ms(50 + below(1500)))),
            rebinding: (below(3) == 0).then(|| ms(below(4000))),
            upload: below(2) == 0,
        }
    }
}

/// Loss, reordering, duplication, outages around the switch, freezes, and a client whose address changes; with so many
/// seeds. Each run ends, and well, but for those in which client and server lose each other (rules, 5).
pub fn moves_in_all_kinds_of_trouble(play: Play, seeds: u64) {
    for_seeds(seeds, |seed| {
        let trouble = Trouble::of(seed);
        let app = if trouble.upload { Client::upload(300_000) } else { Client::download(300_000) };
        let mut stage = Stage::new(play).seed(seed).link(trouble.link.clone());
        if trouble.rebinding.is_some() {
            let filtering =
                if named(play) { Filtering::AddressDependent } else { Filtering::EndpointIndependent };
            stage = stage.behind(filtering).kept_alive();
        }
        let mut scene = stage.client(app);
        scene.await_connected();
        scene.world.run_for(ms(30));
        let client = scene.conn().host;
        if let Some(after) = trouble.rebinding {
            scene.world.plan(after, move |world| world.rebind_nat(client, None));
        }
        scene.prepare(AWAY);
        if let Some((before, length)) = trouble.blackhole {
            let link = trouble.link.clone();
            scene.world.links(link.clone().down());
            scene.world.plan(length, move |world| world.links(link));
            scene.world.run_for(before.min(length));
        }
        scene.world.relocate(scene.server, AWAY, trouble.freeze);
        let may_be_lost = trouble.rebinding.is_some() && !named(play);
        if may_be_lost {
            scene.world.run_until_done(secs(200));
            scene.run_until_settled(secs(200));
        } else {
            scene.run_well(secs(60));
            scene.assert_followed(AWAY);
        }
        scene.assert_one_handshake_each();
    });
}

fn named(play: Play) -> bool {
    !matches!(play.strategy(), Strategy::Symmetric | Strategy::SynchronizedSymmetric)
}

/// A copy of every tenth datagram of the server comes from elsewhere, later than the datagram or sooner: before the
/// move, while it is announced, and after it.
pub fn is_not_led_astray_by_copies(play: Play) {
    for held_up in [false, true] {
        let mut scene = Stage::new(play).client(Client::echoes(60, ms(20)));
        let mut number = 0;
        scene.world.tap(move |_, datagram| {
            let of_the_server = datagram.from == addr(HOME) || datagram.from == addr(AWAY);
            number += usize::from(of_the_server);
            match (of_the_server, number % 10) {
                (true, 0) => Verdict::Copy { from: addr("40.0.0.6:443"), to: datagram.to, after: ms(3) },
                (true, 1) if held_up => Verdict::Delay(ms(8)),
                _ => Verdict::Pass,
            }
        });
        scene.world.run_for(ms(300));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        let plan = scene.plan(AWAY);
        scene.world.prepare(scene.server, plan);
        scene.world.run_for(ms(300));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        scene.world.relocate(scene.server, AWAY, ms(50));
        scene.run_well(secs(20));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(AWAY));
        scene.assert_followed(AWAY);
    }
}

/// How long the `index`th of the first client's requests took.
pub fn took(scene: &Scene, index: usize) -> Duration {
    scene.world.app::<Client>(scene.conn()).served()[index].took
}

/// The paths of the thesis: 122 ms and 13 Mbit/s at home, 18 ms and 100 Mbit/s away.
pub fn thesis(stage: &Stage) -> Scene {
    let home = Link::rtt(ms(122)).bandwidth(13_000_000);
    let mut scene = stage.clone().link(home).client(Client::echoes(20, ms(5)));
    scene.world.links_of("20.0.9.1", Link::rtt(ms(18)).bandwidth(100_000_000));
    scene
}

/// The first request after the move, handed over this long after the server runs away from home, and the yardstick: a
/// later request in the same run.
pub fn first_request(stage: &Stage, after: Duration) -> (Duration, Duration) {
    let mut scene = thesis_idle(stage);
    scene.relocate(AWAY, ms(100));
    scene.world.run_for(after);
    scene.world.ask(scene.conn(), Client::echo());
    scene.world.run_well(secs(10));
    let first = took(&scene, 20);
    scene.run_until_settled(secs(10));
    scene.world.run_for(secs(1));
    scene.world.ask(scene.conn(), Client::echo());
    scene.world.run_well(secs(10));
    (first, took(&scene, 21))
}

/// The thesis' scene after its first twenty requests.
pub fn thesis_idle(stage: &Stage) -> Scene {
    let mut scene = thesis(stage);
    scene.world.run_well(secs(20));
    scene.world.run_for(ms(200));
    scene
}

/// Fifty clients, one round trip: from the notice to the server's readiness.
pub fn is_ready_in_a_round_trip(play: Play) {
    let mut scene = Stage::new(play).link(Link::rtt(ms(18))).clients((0..50).map(|_| Client::idle()));
    scene.world.run_for(secs(1));
    let notice = scene.world.now();
    let took = scene.prepare(AWAY).since(notice);
    assert!(took <= ms(18) + ms(5), "{took:?}");
}

/// The notice, or its acknowledgement, is lost up to three times.
pub fn says_a_lost_notice_again(play: Play) {
    for upstream in [false, true] {
        for losses in 1..=3 {
            let mut scene = Stage::new(play).client(Client::idle());
            scene.world.run_for(secs(1));
            let mut lost = 0;
            scene.world.tap(move |_, datagram| {
                let fits = (datagram.to == addr(HOME)) == upstream;
                lost += usize::from(fits);
                if fits && lost <= losses { Verdict::Drop } else { Verdict::Pass }
            });
            scene.relocate(AWAY, ms(100));
            scene.run_well(secs(10));
            scene.assert_followed(AWAY);
        }
    }
}

/// As [`first_request`], when a translator drops the server's announcement: one probe timeout of the old path and one
/// round trip of the new one more, at most. Returns what it took.
pub fn first_request_unheard(stage: &Stage) -> Duration {
    let mut scene = thesis_idle(stage);
    scene.prepare(AWAY);
    let path = scene.world.connection(scene.conn()).expect("open").path();
    scene.world.relocate(scene.server, AWAY, ms(5));
    scene.world.ask(scene.conn(), Client::echo());
    scene.world.run_well(secs(10));
    let first = took(&scene, 20);
    scene.run_until_settled(secs(10));
    scene.world.run_for(secs(1));
    scene.world.ask(scene.conn(), Client::echo());
    scene.world.run_well(secs(10));
    let yardstick = took(&scene, 21);
    // The variance of a path that hardly varies is small by now; the acknowledgement delay is 25 ms.
    let pto = path.rtt + ms(25) + ms(5);
    assert!(first <= pto + ms(18) + yardstick, "{first:?} against {yardstick:?}, {pto:?}");
    first
}

/// Translators of every kind are passed, whatever the client does: it seeks the server from inside.
pub fn passes_filters(play: Play) {
    for filtering in [Filtering::AddressDependent, Filtering::AddressAndPortDependent] {
        for mapping in [Mapping::EndpointIndependent, Mapping::PerDestination] {
            for app in BUSY {
                let stage = Stage::new(play).behind(filtering).mapping(mapping);
                let mut scene = stage.client(app(400_000));
                scene.await_connected();
                scene.world.run_for(ms(50));
                scene.relocate(AWAY, ms(200));
                scene.run_well(secs(10));
                scene.assert_followed(AWAY);
            }
        }
    }
}

/// The server freezes for ever: the client seeks it, in small datagrams, until the deadline; then both ends end.
pub fn gives_up_at_the_deadline(play: Play) {
    for app in [Client::download(3_000_000), Client::upload(3_000_000)] {
        let mut scene = Stage::new(play).client(app);
        scene.await_connected();
        scene.world.run_for(ms(200));
        scene.prepare(AWAY);
        let members = play.pool().len().max(1);
        let sought = Rc::new(RefCell::new(BTreeMap::new()));
        let count = Rc::clone(&sought);
        let client = scene.world.at(scene.conn().host).address();
        scene.world.tap(move |now, datagram| {
            if datagram.from == client && datagram.to != addr(HOME) {
                assert!(datagram.payload.len() <= 60, "a seek of {} bytes", datagram.payload.len());
                count.borrow_mut().entry(datagram.to).or_insert_with(Vec::new).push(now);
            }
            Verdict::Pass
        });
        scene.world.freeze(scene.server);
        let frozen = scene.world.now();
        scene.world.run_for(secs(100));
        let failed = scene.world.when(scene.conn(), |event| {
            matches!(event, ConnectionEvent::Migration(MigrationEvent::Failed { .. }))
        });
        let failed = failed.expect("the search fails").since(frozen);
        assert!((secs(29)..=secs(31)).contains(&failed), "{failed:?}");
        assert_eq!(scene.world.closed(scene.conn()), Some(&CloseReason::TimedOut));
        let sought = sought.borrow();
        assert_eq!(sought.len(), members);
        let total: usize = sought.values().map(Vec::len).sum();
        // Three quick rounds, and four seeks a second for thirty seconds, each within a round of its own.
        assert!(total <= 3 * members + 125, "{total} seeks");
        assert!(total >= 60, "{total} seeks");
        for seeks in sought.values() {
            assert!(seeks.windows(2).all(|two| two[1] > two[0]), "two seeks in one round");
        }
    }
}

/// Fails when a datagram goes to one of these.
pub fn forbid_datagrams_to(scene: &mut Scene, forbidden: &[&str]) {
    let forbidden: Vec<_> = forbidden.iter().map(|address| addr(address)).collect();
    scene.world.tap(move |_, datagram| {
        assert!(!forbidden.contains(&datagram.to), "a datagram goes to {}", datagram.to);
        Verdict::Pass
    });
}

/// The thesis' conditions with loss, one seed after the other: the server moves between two requests. All recover.
pub fn recovers_always(play: Play, seeds: u64) {
    for_seeds(seeds, |seed| {
        let home = Link::rtt(ms(122)).bandwidth(13_000_000).loss(0.015);
        let mut scene = Stage::new(play).seed(seed).link(home).client(Client::echoes(12, ms(20)));
        scene.world.links_of("20.0.9.1", Link::rtt(ms(18)).bandwidth(100_000_000).loss(0.015));
        scene.await_connected();
        scene.world.run_for(ms(seed % 300));
        scene.relocate(AWAY, ms(100));
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    });
}

/// The first announcements are lost: they are said again, or the client looks for itself.
pub fn survives_lost_announcements(play: Play) {
    for losses in 1..=4 {
        for app in BUSY {
            let mut scene = Stage::new(play).client(app(400_000));
            scene.await_connected();
            scene.world.run_for(ms(50));
            let mut lost = 0;
            scene.world.tap(move |_, datagram| {
                lost += usize::from(datagram.from == addr(AWAY));
                if datagram.from == addr(AWAY) && lost <= losses { Verdict::Drop } else { Verdict::Pass }
            });
            scene.relocate(AWAY, ms(100));
            scene.run_well(secs(10));
            scene.assert_followed(AWAY);
        }
    }
}
