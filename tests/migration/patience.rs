//! How long a client waits for its server, and on which paths (migration rules, 2.7, 3.1 and 4.8).

use std::cell::RefCell;
use std::rc::Rc;

use peregrine::MigrationEvent;

use sim::{Client, Clock, Link, Verdict, addr, ms, secs};
use stage::moves::{AWAY, Play, Stage};

#[test]
fn many_probe_timeouts_in_a_row_do_not_end_a_connection_whose_server_moves() {
    for play in Play::ALL {
        for app in [Client::upload(2_000_000), Client::download(2_000_000), Client::echoes(400, ms(20))] {
            // Who was told of a move does not end by his idle timer either.
            let idle = if play == Play::Symmetric { secs(30) } else { secs(10) };
            let mut scene = Stage::new(play).patience(secs(30), idle).client(app);
            scene.await_connected();
            scene.world.run_for(ms(150));
            // At a round trip of 20 ms seven probe timeouts are over after six seconds.
            scene.relocate(AWAY, secs(25));
            scene.run_well(secs(30));
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn a_path_of_a_second_and_a_half_is_proved_though_the_first_challenge_is_lost() {
    for play in Play::ALL {
        for losses in [0, 1] {
            let mut scene = Stage::new(play).client(Client::echoes(40, ms(20)));
            scene.world.links_of("20.0.9.1", Link::rtt(ms(1500)));
            scene.await_connected();
            scene.world.run_for(ms(100));
            scene.prepare(AWAY);
            let mut lost = 0;
            scene.world.tap(move |_, datagram| {
                lost += usize::from(datagram.to == addr(AWAY));
                if datagram.to == addr(AWAY) && lost <= losses { Verdict::Drop } else { Verdict::Pass }
            });
            scene.world.relocate(scene.server, AWAY, ms(100));
            scene.run_well(secs(120));
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn a_clock_that_jumps_over_the_freeze_ends_no_connection() {
    for play in Play::ALL {
        for app in [Client::upload(2_000_000), Client::download(2_000_000), Client::idle()] {
            let quarter = secs(15 * 60);
            let mut scene = Stage::new(play).patience(quarter, quarter).client(app);
            scene.await_connected();
            scene.world.run_for(ms(150));
            scene.prepare(AWAY);
            scene.world.freeze(scene.server);
            scene.world.move_to(scene.server, AWAY);
            scene.world.run_for(secs(600));
            // The restored process finds its host's clock ten minutes ahead.
            scene.world.thaw_with(scene.server, Clock::Jumps);
            scene.world.relocated(scene.server);
            scene.run_well(secs(60));
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn an_announcement_of_an_hour_ago_costs_a_question_now_and_then_and_still_holds() {
    let stage = Stage::new(Play::Synchronized).patience(secs(30), secs(120));
    let mut scene = stage.client(Client::idle());
    scene.await_connected();
    scene.prepare(AWAY);
    let far = scene.far_end();
    let sent = Rc::new(RefCell::new(0));
    let (seen, client) = (Rc::clone(&sent), scene.world.at(scene.conn().host).address());
    scene.world.tap(move |_, datagram| {
        *seen.borrow_mut() += usize::from(datagram.from == client);
        Verdict::Pass
    });
    scene.world.run_for(secs(3600));
    // Every 15 seconds at most, besides the acknowledgements of what the server asks.
    assert!(*sent.borrow() < 3600 / 5, "{}", sent.borrow());
    // The server had to give that move up, and orders it anew; it says nothing twice.
    assert!(scene.said(far).iter().any(|event| matches!(event, MigrationEvent::Failed { .. })));
    scene.relocate(AWAY, ms(50));
    scene.run_well(secs(10));
    scene.assert_followed(AWAY);
}
