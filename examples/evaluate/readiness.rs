//! From the notice to the server's readiness, over the number of its clients: the thesis' experiment 3.
//!
//! Nothing gets lost, no link has a limit and virtual time knows no processors, so one run says all there is: how many
//! round trips are waited for, and whether their number grows with that of the clients.

use std::sync::Arc;
use std::time::Duration;

use peregrine::RelocationPlan;
use sim::{Client, Link, World, secs};
use stage::moves::{AWAY, HOME, Play, Stage};

use crate::conditions::{FIRST_RTT, PATIENCE, SECOND_RTT};
use crate::crew::Crew;

/// Numbers of clients: those of the thesis, and more.
pub const CLIENTS: [usize; 8] = [1, 10, 20, 30, 50, 100, 1000, 10_000];
/// Strategies that differ in what readiness waits for.
pub const PLAYS: [Play; 4] = [Play::Symmetric, Play::Pool(3), Play::Synchronized, Play::Reactive];
/// The round trips of the thesis' two paths.
pub const ROUND_TRIPS: [Duration; 2] = [SECOND_RTT, FIRST_RTT];

/// One server, so many clients, one notice.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub play: Play,
    pub rtt: Duration,
    pub clients: usize,
    /// From the notice to readiness; `None` if it did not come.
    pub took: Option<Duration>,
}

/// All strategies on both paths, for each of these numbers of clients.
pub fn all(crew: Crew, seed: u64, clients: &[usize]) -> Vec<Point> {
    let mut kinds = Vec::new();
    for play in PLAYS {
        for rtt in ROUND_TRIPS {
            kinds.extend(clients.iter().map(|clients| (play, rtt, *clients)));
        }
    }
    // The longest first, so that no processor is left with one of them at the end.
    kinds.sort_by_key(|(_, _, clients)| usize::MAX - clients);
    let mut points = crew.each("readiness", kinds.len(), |number| {
        let (play, rtt, clients) = kinds[number];
        Point { play, rtt, clients, took: run(play, rtt, clients, seed) }
    });
    points.sort_by_key(|point| (PLAYS.iter().position(|play| *play == point.play), point.rtt, point.clients));
    points
}

/// How long it takes from the notice until the server says that all are ready.
pub fn run(play: Play, rtt: Duration, clients: usize, seed: u64) -> Option<Duration> {
    let stage = Stage::new(play).patience(PATIENCE, PATIENCE);
    let mut world = World::seeded(seed);
    world.links(Link::rtt(rtt));
    let server = world.server_with(HOME, stage.server_config());
    let config = stage.client_config(play);
    for number in 0..clients {
        let host = world.client(&format!("30.0.{}.{}:5000", number / 250, 1 + number % 250));
        world.connect_with(host, HOME, Arc::clone(&config), Client::idle());
    }
    world.run_for(secs(5));
    let notice = world.now();
    world.prepare(server, RelocationPlan::uniform(play.order(AWAY)));
    world.run_for(secs(5));
    world.ready(server).map(|ready| ready.since(notice))
}
