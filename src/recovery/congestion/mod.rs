//! Congestion control of one path (RFC 9002, Section 7): how many bytes may be in flight.
//!
//! A [`Window`] counts what is in flight, knows the recovery period, and asks a [`Controller`] for the rest.
//! The two that come with the library lie in the window itself; another one is boxed.

mod cubic;
mod hystart;
mod new_reno;

use std::time::Duration;

use self::cubic::Cubic;
use self::new_reno::NewReno;
use super::fates::PathFate;
use super::rtt::RttView;
use crate::time::Instant;

/// No window grows beyond; arithmetic on windows cannot overflow then.
const MAX_WINDOW: u64 = 1 << 40;

/// Decides how many bytes may be in flight on one path.
///
/// It is told of at most one congestion event a round trip: the recovery period (RFC 9002, Section 7.3.2) is
/// kept for it. All sizes are bytes of UDP payload.
pub trait Controller: Send + std::fmt::Debug {
    /// Packets sent after the last congestion event were acknowledged.
    fn on_ack(&mut self, ack: &AckReport);
    /// Loss or a CE mark, for the first time since the last reduction.
    fn on_congestion(&mut self, now: Instant);
    /// Everything was lost for long (RFC 9002, Section 7.6): the window is to be at its minimum.
    fn on_persistent(&mut self);
    /// The path carries datagrams of another size now.
    fn on_datagram_size(&mut self, bytes: u16);
    /// The congestion window.
    fn window(&self) -> u64;
    /// Nothing was in flight for long: the window is to be at most so many bytes, or what the controller deems right.
    ///
    /// Does nothing unless said: the pacer lets no burst go whatever the window.
    fn on_rest(&mut self, bytes: u64) {
        let _ = bytes;
    }
    /// Where slow start ends, in bytes; `None` as long as nothing ended it, and unless said.
    fn slow_start_threshold(&self) -> Option<u64> {
        None
    }
}

/// Where congestion control stands (RFC 9002, Section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CongestionStage {
    /// The window doubles each round trip, or grows by a part of that once HyStart++ suspects a queue.
    SlowStart,
    /// The window was reduced, and nothing sent since was acknowledged.
    Recovery,
    /// The window grows slowly.
    Avoidance,
}

/// An acknowledgement as a [`Controller`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckReport {
    /// The time.
    pub now: Instant,
    /// Newly acknowledged bytes.
    pub bytes: u64,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Whether the window was not the limit: it must not grow then (RFC 9002, Section 7.8).
    pub app_limited: bool,
    /// When the newest of the acknowledged packets was sent: tells round trips apart.
    pub newest_sent: Instant,
    /// The last sample of the round-trip time, not smoothed.
    pub latest_rtt: Duration,
}

/// The congestion controllers to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Algorithm {
    /// RFC 9002, Section 7.
    NewReno,
    /// RFC 9438.
    #[default]
    Cubic,
}

#[derive(Debug)]
enum Active {
    NewReno(NewReno),
    Cubic(Cubic),
    Own(Box<dyn Controller>),
}

/// Bytes in flight on one path, and how many may be.
#[derive(Debug)]
pub struct Window {
    in_flight: u64,
    active: Active,
    /// What was sent earlier neither reduces nor enlarges the window: it was reduced since.
    counts_from: Instant,
    datagram_size: u16,
    app_limited: bool,
    /// Whether nothing that was sent since the last reduction is acknowledged.
    recovers: bool,
    /// How often the window was halved since the last packet left, saturated.
    halvings: u8,
}

const _: () = assert!(size_of::<Window>() <= 64);

impl Window {
    /// Begins in slow start with `initial` bytes, or as RFC 9002, Section 7.2 says.
    pub fn new(algorithm: Algorithm, datagram_size: u16, initial: Option<u64>) -> Self {
        let initial = Self::initial(datagram_size, initial);
        let active = match algorithm {
            Algorithm::NewReno => Active::NewReno(NewReno::new(datagram_size, initial)),
            Algorithm::Cubic => Active::Cubic(Cubic::new(datagram_size, initial)),
        };
        Self::with(active, datagram_size)
    }

    /// The window to begin with: `wanted` bytes, or as RFC 9002, Section 7.2 says.
    pub fn initial(datagram_size: u16, wanted: Option<u64>) -> u64 {
        let size = u64::from(datagram_size);
        wanted.unwrap_or((10 * size).min(14_720.max(2 * size))).clamp(2 * size, MAX_WINDOW)
    }

    /// Begins with a controller of the embedder's.
    pub fn with_controller(controller: Box<dyn Controller>, datagram_size: u16) -> Self {
        Self::with(Active::Own(controller), datagram_size)
    }

    fn with(active: Active, datagram_size: u16) -> Self {
        Self {
            in_flight: 0,
            active,
            counts_from: Instant::ZERO,
            datagram_size,
            app_limited: false,
            recovers: false,
            halvings: 0,
        }
    }

    fn controller(&mut self) -> &mut dyn Controller {
        match &mut self.active {
            Active::NewReno(reno) => reno,
            Active::Cubic(cubic) => cubic,
            Active::Own(own) => &mut **own,
        }
    }

    /// The congestion window in bytes.
    #[inline]
    pub fn size(&self) -> u64 {
        match &self.active {
            Active::NewReno(reno) => reno.window(),
            Active::Cubic(cubic) => cubic.window(),
            Active::Own(own) => own.window(),
        }
    }

    /// Bytes in flight.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes that may still be sent.
    #[inline]
    pub fn room(&self) -> u64 {
        self.size().saturating_sub(self.in_flight)
    }

    /// Whether another datagram of full size may be in flight (RFC 9002, Section 7).
    #[inline]
    pub fn has_room(&self) -> bool {
        self.room() >= u64::from(self.datagram_size)
    }

    /// Takes note of a packet in flight, of a probe beyond the window too (RFC 9002, Section 7.5).
    #[inline]
    pub fn on_sent(&mut self, bytes: u64) {
        self.in_flight = self.in_flight.saturating_add(bytes);
        self.halvings = 0;
    }

    /// There is nothing more to send. If the window has room it is not what limits us, and does not grow
    /// (RFC 9002, Section 7.8).
    #[inline]
    pub fn on_nothing_left(&mut self) {
        self.app_limited = self.has_room();
    }

    /// More is to be sent than left: the window limits us, or the pacer, which is as good as the window.
    #[inline]
    pub fn on_more_left(&mut self) {
        self.app_limited = false;
    }

    /// Whether there was nothing to send, though the window had room, when we last looked.
    #[inline]
    pub fn is_app_limited(&self) -> bool {
        self.app_limited
    }

    /// Whether nothing is in flight, and so many bytes might be at once.
    #[inline]
    pub fn rests_above(&self, bytes: u64) -> bool {
        self.in_flight == 0 && self.size() > bytes
    }

    /// Nothing was in flight for so many probe timeouts: what was learned of the path halves with each, down to
    /// `floor` bytes (RFC 2861, Section 3.1). What was taken away before, since the last packet left, counts.
    #[cold]
    pub fn on_rest(&mut self, timeouts: u32, floor: u64) {
        let more = timeouts.saturating_sub(self.halvings.into());
        if more > 0 {
            self.halvings = u8::try_from(timeouts).unwrap_or(u8::MAX);
            let bytes = self.size().checked_shr(more).unwrap_or(0).max(floor);
            self.controller().on_rest(bytes);
        }
    }

    /// The stage of congestion control.
    pub fn stage(&self) -> CongestionStage {
        let size = self.size();
        match self.slow_start_threshold() {
            _ if self.recovers => CongestionStage::Recovery,
            Some(threshold) if size >= threshold => CongestionStage::Avoidance,
            Some(_) | None => CongestionStage::SlowStart,
        }
    }

    /// Where slow start ends, in bytes; `None` as long as nobody knows.
    pub fn slow_start_threshold(&self) -> Option<u64> {
        match &self.active {
            Active::NewReno(reno) => reno.slow_start_threshold(),
            Active::Cubic(cubic) => cubic.slow_start_threshold(),
            Active::Own(own) => own.slow_start_threshold(),
        }
    }

    /// The path carries datagrams of another size now.
    pub fn set_datagram_size(&mut self, bytes: u16) {
        self.datagram_size = bytes;
        self.controller().on_datagram_size(bytes);
    }

    /// Takes in what became of the path's packets; true if that was a new congestion event.
    pub fn on_fate(&mut self, now: Instant, fate: &PathFate, rtt: RttView) -> bool {
        let settled = fate.acked_bytes.saturating_add(fate.lost_bytes).saturating_add(fate.discarded_bytes);
        self.in_flight = self.in_flight.saturating_sub(settled);
        let congested = fate.largest_lost_sent.is_some_and(|sent| self.on_congestion(now, sent));
        if fate.persistent {
            self.controller().on_persistent();
            (self.counts_from, self.recovers) = (Instant::ZERO, false);
            // What the same ACK brings left before: perhaps a whole window whose ACKs were lost.
            return congested;
        }
        let newest = fate.newest_acked_sent.filter(|sent| *sent >= self.counts_from);
        if let Some(newest_sent) = newest
            && fate.acked_bytes > 0
        {
            let (bytes, app_limited) = (fate.acked_bytes, self.app_limited);
            self.recovers = false;
            let RttView { smoothed: rtt, latest: latest_rtt, .. } = rtt;
            let report = AckReport { now, bytes, rtt, app_limited, newest_sent, latest_rtt };
            self.controller().on_ack(&report);
        }
        congested
    }

    /// A packet that was sent at `sent` tells of congestion: it was lost, or its ACK brought another CE mark
    /// (RFC 9002, Section 7.1). True if that is a new congestion event.
    pub fn on_congestion(&mut self, now: Instant, sent: Instant) -> bool {
        if sent < self.counts_from {
            return false;
        }
        self.forgive_before(now);
        self.recovers = true;
        self.controller().on_congestion(now);
        true
    }

    /// Losses of packets sent until `now` are not held against this path: they were sent before anything was known
    /// of it.
    pub fn forgive_before(&mut self, now: Instant) {
        self.counts_from = now + Duration::from_micros(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::Rtt;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn rtt() -> RttView {
        Rtt::new(Duration::from_millis(100)).view(Duration::ZERO)
    }

    fn acked(bytes: u64, sent: Instant) -> PathFate {
        PathFate { acked_bytes: bytes, newest_acked_sent: Some(sent), ..PathFate::default() }
    }

    fn lost(bytes: u64, sent: Instant) -> PathFate {
        PathFate { lost_bytes: bytes, largest_lost_sent: Some(sent), ..PathFate::default() }
    }

    fn reno() -> Window {
        Window::new(Algorithm::NewReno, 1200, None)
    }

    #[test]
    fn it_begins_with_ten_datagrams_but_not_with_more_than_14720_bytes_or_two() {
        assert_eq!(reno().size(), 12_000);
        assert_eq!(Window::new(Algorithm::Cubic, 1500, None).size(), 14_720);
        assert_eq!(Window::new(Algorithm::Cubic, 9000, None).size(), 18_000);
        assert_eq!(Window::new(Algorithm::Cubic, 1200, Some(1)).size(), 2400);
    }

    #[test]
    fn there_is_room_until_a_datagram_would_exceed_the_window() {
        let mut window = reno();
        window.on_sent(10_800);
        assert!(window.has_room());
        window.on_sent(1);
        assert!(!window.has_room());
        window.on_sent(100_000);
        assert_eq!(window.room(), 0);
    }

    #[test]
    fn discarded_packets_make_room_without_a_verdict() {
        let mut window = reno();
        window.on_sent(12_000);
        let fate = PathFate { discarded_bytes: 12_000, ..PathFate::default() };
        assert!(!window.on_fate(at(1), &fate, rtt()));
        assert_eq!((window.in_flight(), window.size()), (0, 12_000));
    }

    #[test]
    fn one_round_trip_has_one_congestion_event() {
        let mut window = reno();
        window.on_sent(12_000);
        assert!(window.on_fate(at(100), &lost(1200, at(10)), rtt()));
        assert!(!window.on_fate(at(110), &lost(1200, at(100)), rtt()));
        assert_eq!(window.size(), 6000);
        assert!(window.on_fate(at(200), &lost(1200, at(101)), rtt()));
        assert_eq!(window.size(), 3000);
    }

    #[test]
    fn what_was_sent_before_a_reduction_does_not_enlarge_the_window() {
        let mut window = reno();
        window.on_sent(12_000);
        window.on_fate(at(100), &lost(1200, at(10)), rtt());
        window.on_fate(at(110), &acked(1200, at(20)), rtt());
        assert_eq!(window.size(), 6000);
        window.on_fate(at(200), &acked(6000, at(101)), rtt());
        assert_eq!(window.size(), 7200);
    }

    #[test]
    fn a_window_that_was_not_used_does_not_grow() {
        let mut window = reno();
        window.on_nothing_left();
        window.on_fate(at(100), &acked(6000, at(1)), rtt());
        assert_eq!(window.size(), 12_000);
        window.on_more_left();
        window.on_fate(at(100), &acked(6000, at(1)), rtt());
        assert_eq!(window.size(), 18_000);
    }

    #[test]
    fn a_window_that_was_just_filled_was_used() {
        let mut window = reno();
        window.on_sent(12_000);
        window.on_nothing_left();
        window.on_fate(at(100), &acked(12_000, at(1)), rtt());
        assert_eq!(window.size(), 24_000);
    }

    #[test]
    fn rest_halves_the_window_each_timeout_down_to_a_floor_and_slow_start_remembers() {
        for (algorithm, threshold) in [(Algorithm::NewReno, 60_000), (Algorithm::Cubic, 84_000)] {
            let mut window = Window::new(algorithm, 1200, Some(120_000));
            window.on_congestion(at(10), at(5));
            let size = window.size();
            assert_eq!(window.slow_start_threshold(), Some(threshold));
            assert!(window.rests_above(12_000));
            window.on_rest(1, 12_000);
            window.on_rest(1, 12_000);
            assert_eq!(window.size(), size / 2, "once a timeout");
            window.on_rest(2, 12_000);
            assert_eq!(window.size(), size / 4);
            assert_eq!(window.slow_start_threshold(), Some(threshold));
            window.on_rest(200, 12_000);
            assert_eq!((window.size(), window.rests_above(12_000)), (12_000, false));
            window.on_sent(12_000);
            window.on_fate(at(300), &acked(12_000, at(200)), rtt());
            assert_eq!(window.size(), 24_000, "slow start, up to what it was");
        }
    }

    #[test]
    fn a_window_that_grew_beyond_its_threshold_comes_back_quickly_to_three_quarters() {
        let mut window = Window::new(Algorithm::Cubic, 1200, Some(24_000));
        window.on_congestion(at(10), at(5));
        for n in 0..1000 {
            let (now, bytes) = (at(100 + 10 * n), window.size() / 10);
            window.on_fate(now, &acked(bytes, at(99 + 10 * n)), rtt());
        }
        let size = window.size();
        assert!(size > 100_000, "{size}");
        window.on_rest(20, 12_000);
        let threshold = window.slow_start_threshold().expect("it left slow start");
        assert!(threshold.abs_diff(size * 3 / 4) < 2, "{threshold} of {size}");
    }

    #[test]
    fn the_stage_is_told() {
        for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
            let mut window = Window::new(algorithm, 1200, None);
            assert_eq!((window.stage(), window.slow_start_threshold()), (CongestionStage::SlowStart, None));
            window.on_fate(at(100), &lost(1200, at(10)), rtt());
            assert_eq!(window.stage(), CongestionStage::Recovery);
            window.on_fate(at(150), &acked(1200, at(20)), rtt());
            assert_eq!(window.stage(), CongestionStage::Recovery);
            window.on_fate(at(250), &acked(1200, at(110)), rtt());
            assert_eq!(window.stage(), CongestionStage::Avoidance);
            let fate = PathFate { persistent: true, ..lost(1200, at(300)) };
            window.on_fate(at(3000), &fate, rtt());
            assert_eq!(window.stage(), CongestionStage::SlowStart);
        }
    }

    #[test]
    fn persistent_congestion_leaves_two_datagrams_and_slow_start() {
        for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
            let mut window = Window::new(algorithm, 1200, Some(120_000));
            let acked = |sent| acked(2400, at(sent));
            let fate = PathFate {
                persistent: true,
                lost_bytes: 12_000,
                largest_lost_sent: Some(at(10)),
                ..acked(40)
            };
            assert!(window.on_fate(at(100), &fate, rtt()));
            assert_eq!(window.size(), 2400);
            window.on_fate(at(200), &acked(50), rtt());
            assert_eq!(window.size(), 4800);
        }
    }

    #[test]
    fn counts_that_contradict_each_other_saturate() {
        let mut window = reno();
        let all = PathFate { acked_bytes: u64::MAX, lost_bytes: u64::MAX, ..acked(u64::MAX, at(5)) };
        window.on_fate(at(10), &all, rtt());
        window.on_sent(u64::MAX);
        window.on_sent(u64::MAX);
        assert_eq!((window.size(), window.room()), (MAX_WINDOW, 0));
    }

    #[test]
    fn an_embedder_may_bring_its_own() {
        #[derive(Debug)]
        struct Fixed(u64);
        impl Controller for Fixed {
            fn on_ack(&mut self, _: &AckReport) {}
            fn on_congestion(&mut self, _: Instant) {
                self.0 /= 3;
            }
            fn on_persistent(&mut self) {}
            fn on_datagram_size(&mut self, _: u16) {}
            fn window(&self) -> u64 {
                self.0
            }
        }
        let mut window = Window::with_controller(Box::new(Fixed(30_000)), 1200);
        assert!(window.on_congestion(at(10), at(5)));
        assert_eq!(window.size(), 10_000);
    }
}
