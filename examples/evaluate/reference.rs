//! What the thesis measured, on machines: the same questions, put to the system that Peregrine re-creates.

use std::time::Duration;

use stage::moves::Play;

use crate::conditions::{Loss, SECOND_RTT};
use crate::statistics::Summary;
use crate::way::Way;

/// Service time of the first request after the move; `None` for what the thesis did not try.
pub fn first_request(way: Way, loss: Loss) -> Option<Summary> {
    let of = |[mean, median, most, max]: [f64; 4]| Summary { mean, median, most, max };
    let (without, with) = match way {
        Way::Stay => ([20.5, 20.5, 20.9, 21.3], [21.6, 20.5, 20.9, 125.7]),
        Way::Follow { unheard: true, .. } | Way::Reconnect(_) => return None,
        Way::Follow { play, .. } => match play {
            Play::Symmetric => ([20.9, 20.9, 21.2, 21.4], [22.9, 20.9, 21.4, 125.2]),
            Play::Proactive => ([21.4, 21.5, 21.9, 22.3], [25.6, 21.6, 22.0, 153.9]),
            Play::Reactive => ([287.7, 290.6, 300.9, 308.2], [285.7, 284.9, 305.5, 418.5]),
            Play::Pool(1) => ([402.8, 491.9, 518.1, 521.8], [450.6, 498.2, 525.2, 3353.0]),
            Play::Pool(2) => ([575.9, 508.8, 931.6, 935.1], [764.5, 509.0, 934.7, 6558.0]),
            Play::Pool(3) => ([773.1, 509.1, 1735.0, 1747.0], [1596.0, 628.9, 1751.0, 25_789.0]),
            Play::Pool(_) | Play::Synchronized => return None,
        },
    };
    Some(of(match loss {
        Loss::Without => without,
        Loss::With => with,
    }))
}

/// Mean time from the notice to readiness, in milliseconds; `None` for what the thesis did not try.
pub fn readiness(play: Play, rtt: Duration, clients: usize) -> Option<f64> {
    const CLIENTS: [usize; 5] = [1, 10, 20, 30, 50];
    let near = rtt == SECOND_RTT;
    let means = match play {
        Play::Reactive if near => [40.4, 43.7, 45.9, 47.8, 52.4],
        Play::Reactive => [156.4, 158.4, 162.4, 165.7, 167.1],
        Play::Symmetric if near => [0.3, 1.0, 1.5, 2.3, 3.4],
        Play::Symmetric => [0.4, 1.1, 2.1, 3.1, 4.5],
        Play::Proactive | Play::Pool(_) | Play::Synchronized => return None,
    };
    CLIENTS.iter().position(|known| *known == clients).map(|index| means[index])
}
