//! What a server does while it waits for its client (server-migration rules, 3.6).

use super::*;

fn asked_at(server: &mut Server, end: u64) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some(due) = server.due(&facts()).filter(|due| *due <= at(end)) {
        let now = due.as_micros() / 1000;
        if step(server, now, ServerInput::Due).contains(&Action::Ask) {
            times.push(now);
            step(server, now, ServerInput::Arrived { says_more: false });
        }
    }
    times
}

#[test]
fn a_silent_client_is_asked_while_it_is_told_ever_more_rarely() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    assert_eq!(asked_at(&mut server, 8000), [500, 1500, 3500, 5500, 7500]);
}

#[test]
fn after_a_cancel_it_is_asked_every_five_seconds_at_last() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    server.cancel(at(0)).unwrap();
    assert_eq!(asked_at(&mut server, 18_000), [500, 1500, 3500, 7500, 12_500, 17_500]);
}

#[test]
fn nobody_is_asked_for_a_symmetric_order() {
    let mut server = server(&[Symmetric]);
    prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
    assert!(asked_at(&mut server, 8000).is_empty());
}

#[test]
fn a_client_that_answers_by_no_more_than_an_ack_is_pulled_back() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    let ack = ServerInput::Arrived { says_more: false };
    assert!(step(&mut server, 100, ack).is_empty(), "nobody asked");
    assert_eq!(step(&mut server, 600, ServerInput::Due), [Action::Ask]);
    assert_eq!(step(&mut server, 620, ack), [Action::PullBack]);
    assert!(step(&mut server, 640, ServerInput::Arrived { says_more: true }).is_empty());
    assert!(step(&mut server, 660, ack).is_empty(), "it has said more since");
}
