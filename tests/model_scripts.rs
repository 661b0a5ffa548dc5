//! The troubles by which the model checker catches a mutant, played to real endpoints in the simulator: these are no
//! mutants, and get through.
//!
//! The scripts are those that the checker finds (`src/migration/model/`), which compares them with these files. A line is
//! an act, or what happens to a datagram: where it comes from, where it goes to, and how many were sent there since the
//! last act.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use sim::{Client, Datagram, Verdict, addr, ms, secs};
use stage::moves::{AWAY, HOME, Play, Scene, Stage};

/// Where somebody sits who copies datagrams.
const ELSEWHERE: &str = "40.0.0.1:443";
const CLIENT: &str = "30.0.0.1:5000";

/// What happens to one datagram.
#[derive(Debug, Clone, PartialEq)]
struct Trouble {
    kind: String,
    from: SocketAddr,
    to: SocketAddr,
    /// Its number among those sent there since the last act.
    nth: usize,
}

fn place(word: &str) -> SocketAddr {
    addr(match word {
        "client" => CLIENT,
        "home" => HOME,
        "away" => AWAY,
        _ => panic!("no such place: {word}"),
    })
}

/// The network's part of a script: the troubles to come since the last act.
#[derive(Debug, Default)]
struct Part {
    troubles: Vec<Trouble>,
    sent: Vec<(SocketAddr, SocketAddr)>,
}

impl Part {
    fn on_datagram(&mut self, datagram: &Datagram) -> Verdict {
        let link = (datagram.from, datagram.to);
        self.sent.push(link);
        let nth = self.sent.iter().filter(|sent| **sent == link).count();
        let meant = |trouble: &Trouble| (trouble.from, trouble.to) == link && trouble.nth == nth;
        let Some(at) = self.troubles.iter().position(meant) else { return Verdict::Pass };
        match self.troubles.remove(at).kind.as_str() {
            "withhold" => Verdict::Drop,
            "copy" => Verdict::Copy { from: datagram.from, to: datagram.to, after: ms(300) },
            "forge" => Verdict::Copy { from: addr(ELSEWHERE), to: datagram.to, after: ms(0) },
            kind => panic!("no such trouble: {kind}"),
        }
    }
}

/// Plays a script to a server and a client that agreed on this strategy.
fn perform(play: Play, script: &str) -> Scene {
    let mut scene = Stage::new(play).client(Client::idle());
    scene.await_connected();
    scene.world.run_for(secs(1));
    let part = Rc::new(RefCell::new(Part::default()));
    let tapped = Rc::clone(&part);
    scene.world.tap(move |_, datagram| tapped.borrow_mut().on_datagram(datagram));
    let lines: Vec<Vec<&str>> = script.lines().map(|line| line.split_whitespace().collect()).collect();
    for (number, line) in lines.iter().enumerate() {
        let troubles = lines[number + 1..].iter().map_while(|line| match line[..] {
            [kind, from, to, nth] => {
                let nth = nth.parse().expect("a number");
                Some(Trouble { kind: kind.to_owned(), from: place(from), to: place(to), nth })
            }
            _ => None,
        });
        let act = Part { troubles: troubles.collect(), sent: Vec::new() };
        match line[..] {
            ["prepare"] => {
                *part.borrow_mut() = act;
                scene.prepare(AWAY);
            }
            ["move", "away"] => {
                *part.borrow_mut() = act;
                scene.world.freeze(scene.server);
                scene.world.move_to(scene.server, AWAY);
                scene.world.thaw(scene.server);
                scene.world.relocated(scene.server);
            }
            // What was withheld is late; here it is lost.
            [_, _, _, _] | ["release"] => continue,
            _ => panic!("no such line: {line:?}"),
        }
        scene.world.run_for(secs(5));
        assert_eq!(part.borrow().troubles, [], "it never came to this");
    }
    scene
}

#[test]
fn a_copied_packet_moves_no_client() {
    let script = include_str!("data/model/completes_on_the_first_packet");
    perform(Play::Symmetric, script).assert_followed(AWAY);
}

#[test]
fn a_client_does_not_leap_in_silence() {
    let script = include_str!("data/model/leaps_in_silence");
    let scene = perform(Play::Reactive, script);
    let connection = scene.world.connection(scene.conn()).expect("it is open");
    assert_eq!(connection.remote(), addr(HOME));
}

#[test]
fn a_client_seeks_until_it_is_answered() {
    let script = include_str!("data/model/seeks_once");
    perform(Play::Reactive, script).assert_followed(AWAY);
}

#[test]
fn a_server_announces_itself_until_it_is_heard() {
    let script = include_str!("data/model/announces_once");
    perform(Play::Symmetric, script).assert_followed(AWAY);
}

#[test]
fn a_server_that_is_challenged_waits_for_its_answer_to_arrive() {
    let script = include_str!("data/model/ends_when_challenged");
    perform(Play::Reactive, script).assert_followed(AWAY);
}
