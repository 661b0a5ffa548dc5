//! A path through the model, as a script that the simulator can play to real endpoints.
//!
//! One line for each act of the operator and for each trouble; all else comes by itself. A datagram is known by where it
//! comes from and goes to, and by how many were sent there since the last act.

use stateright::Path;

use super::network::Packet;
use super::scenario::{Act, Event, State};

/// The script of a path.
pub fn script(path: Path<State, Event>) -> String {
    let mut lines = Vec::new();
    let (mut sent, mut before): (Vec<Packet>, usize) = (Vec::new(), 0);
    for (state, event) in path.into_vec() {
        for packet in state.network.flying().iter().chain(state.network.withheld()) {
            if !sent.contains(packet) {
                sent.push(packet.clone());
            }
        }
        let Some(event) = event else { continue };
        lines.extend(line(&event, &sent[before..]));
        if matches!(event, Event::Act(_)) {
            before = sent.len();
        }
    }
    lines.join("\n") + "\n"
}

fn line(event: &Event, sent: &[Packet]) -> Option<String> {
    let datagram = |packet: &Packet| {
        let same = |other: &&Packet| {
            (other.from, other.to) == (packet.from, packet.to) && other.number <= packet.number
        };
        format!("{:?} {:?} {}", packet.from, packet.to, sent.iter().filter(same).count()).to_lowercase()
    };
    match event {
        Event::Act(Act::Prepare(_)) => Some("prepare".to_owned()),
        Event::Act(Act::Cancel) => Some("cancel".to_owned()),
        Event::Act(Act::Freeze) => Some("freeze".to_owned()),
        Event::Act(Act::Move(place) | Act::MoveHastily(place)) => {
            Some(format!("move {place:?}").to_lowercase())
        }
        Event::Request => Some("request".to_owned()),
        Event::Withhold(packet) => Some(format!("withhold {}", datagram(packet))),
        Event::Copy(packet) => Some(format!("copy {}", datagram(packet))),
        Event::Forge(packet) => Some(format!("forge {}", datagram(packet))),
        Event::Release(_) => Some("release".to_owned()),
        Event::Vanish => Some("vanish".to_owned()),
        Event::Deliver(_) | Event::Tick => None,
    }
}
