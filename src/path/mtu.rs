//! The search for the largest datagram that a path carries (RFC 8899; RFC 9000, Sections 14.3 and 14.4).
//!
//! Owned by [`Path`](super::Path). Asked which size to probe, told what became of probes and that large packets vanish.
//! Sizes are UDP payload bytes. Knows nothing of packets or of who sends them; a fresh path begins a fresh search.

use std::num::NonZeroU8;
use std::time::Duration;

use crate::net::MIN_DATAGRAM;
use crate::time::Instant;

/// What every path carries that QUIC runs over: both BASE_PLPMTU and MIN_PLPMTU (RFC 9000, Section 14.3).
const BASE: u16 = MIN_DATAGRAM;
/// Probes of one size that must be lost before the path is taken not to carry it (RFC 8899, Section 5.1.2).
const MAX_PROBES: u8 = 3;
/// When it is looked whether the path carries more by now (RFC 8899, Section 5.1.1: PMTU_RAISE_TIMER).
const RAISE_AFTER: Duration = Duration::from_secs(600);
/// Large packets in a row that must vanish, nothing as large that was sent later arriving.
const BLACK_HOLE: u8 = 3;
/// How long a path that deceived us more than once stays at its base.
const MISTRUST: Duration = Duration::from_secs(60);
/// What links and tunnels leave of theirs, smallest first: where a path's limit most likely is.
const KNOWN: [u16; 15] =
    [1232, 1252, 1280, 1372, 1392, 1420, 1444, 1452, 1464, 1472, 1500, 4352, 8952, 8972, 9000];
/// Between sizes as near as this nothing is gained by looking further.
const NEAR: u16 = 16;

/// What a path begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// What it is taken to carry.
    pub first: u16,
    /// What to try before all else: another path of the connection carried it.
    pub hint: Option<u16>,
    /// What is not to be exceeded; `None`: nothing is looked for.
    pub bound: Option<u16>,
}

/// Where the search stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Sizes are probed, one after the other.
    Searching(Search),
    /// The path carries what it carries; from then on it may be more.
    Complete { until: Instant },
    /// Large packets vanished again; until then nothing larger than the base is tried.
    BlackHole { until: Instant },
}

/// A search that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Search {
    hint: Option<u16>,
    /// The probe whose fate is not known.
    flying: Option<u16>,
    /// The smallest size that was lost, and how often.
    lost: Option<(u16, NonZeroU8)>,
}

/// What one ACK, or one timeout, says of large packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vanished {
    /// Packets larger than the base that are lost, none as large that was sent later having arrived; probes apart.
    pub packets: u32,
    /// The smallest of them, in bytes.
    pub smallest: u16,
    /// The largest packet that arrived, in bytes.
    pub largest_acked: u16,
}

/// The largest datagram of one path: how to know more than is known.
#[derive(Debug, Default)]
pub struct Mtu(Option<Box<State>>);

const _: () = assert!(size_of::<Mtu>() <= 8);

/// There is none where nothing is looked for, nor on a path that carries all that is looked for and never failed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    stage: Stage,
    /// What is not to be exceeded.
    bound: u16,
    /// The smallest large packet that vanished.
    suspect: u16,
    /// How many vanished.
    suspects: u8,
    /// How often the path turned out not to carry what it had carried.
    black_holes: u8,
}

impl Mtu {
    /// Begins to search, if there is anything to be found.
    pub fn new(sizes: Sizes) -> Self {
        let bound = sizes.bound.filter(|bound| sizes.first < *bound);
        let search = Search { hint: sizes.hint, ..Search::default() };
        Self(bound.map(|bound| Box::new(State { stage: Stage::Searching(search), ..State::content(bound) })))
    }

    /// The peer takes no larger datagrams; the path carries `size` (RFC 9000, Section 18.2).
    pub fn limit(&mut self, size: u16, bytes: u16) {
        if let Some(state) = &mut self.0 {
            state.bound = state.bound.min(bytes);
        }
        self.0.take_if(|state| state.bound <= size);
    }

    /// Whether there may be something to probe.
    #[inline]
    pub fn is_due(&self, now: Instant) -> bool {
        self.0.as_ref().is_some_and(|state| state.is_due(now))
    }

    /// The next size to probe on a path that carries `size`, and no larger than `room`; `None` if there is nothing to.
    pub fn next(&self, now: Instant, size: u16, room: usize) -> Option<u16> {
        let bytes = self.0.as_ref()?.next(now, size)?;
        let room = u16::try_from(room).unwrap_or(u16::MAX);
        // What is just above tells too little to be worth a datagram.
        (bytes <= room || room.saturating_sub(size) > NEAR).then_some(bytes.min(room))
    }

    /// A probe has left.
    pub fn on_sent(&mut self, bytes: u16) {
        if let Some(state) = &mut self.0 {
            let search = state.search().unwrap_or_default();
            state.stage = Stage::Searching(Search { flying: Some(bytes), ..search });
        }
    }

    /// A probe arrived on a path that carries `size`; what it carries now, if that is more.
    pub fn on_acked(&mut self, now: Instant, size: u16, bytes: u16) -> Option<u16> {
        let state = self.0.as_mut()?;
        // A limit that came meanwhile holds.
        let larger = Some(bytes.min(state.bound)).filter(|bytes| *bytes > size);
        state.on_acked(now, larger.unwrap_or(size), bytes);
        self.0.take_if(|state| state.is_content());
        larger
    }

    /// A probe is lost on a path that carries `size`: by its size, or by chance.
    pub fn on_lost(&mut self, now: Instant, size: u16, bytes: u16) {
        if let Some(state) = &mut self.0 {
            state.on_lost(now, size, bytes);
        }
    }

    /// Whether large packets vanished, and it is not known yet what that means.
    #[inline]
    pub fn suspects(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.suspects > 0)
    }

    /// Large packets vanished, or arrived, on a path that carries `size` and that may be searched up to `bound`; the base
    /// if it does not carry that any more (RFC 8899, Section 4.3).
    ///
    /// What it carried is probed again at once: it may have been down for a moment. A path that was in doubt before has
    /// to wait.
    pub fn on_vanished(&mut self, now: Instant, size: u16, bound: u16, vanished: Vanished) -> Option<u16> {
        let state = self.0.get_or_insert_with(|| Box::new(State::content(bound)));
        let is_black_hole = state.is_black_hole(size, vanished);
        if is_black_hole {
            state.fall(now, size);
        }
        self.0.take_if(|state| state.is_content());
        is_black_hole.then_some(BASE)
    }
}

impl State {
    /// There is nothing to be found.
    fn content(bound: u16) -> Self {
        let stage = Stage::Complete { until: Instant::FAR };
        Self { stage, bound, suspect: 0, suspects: 0, black_holes: 0 }
    }

    fn is_content(&self) -> bool {
        *self == Self { suspect: self.suspect, ..Self::content(self.bound) }
    }

    fn search(&self) -> Option<Search> {
        match self.stage {
            Stage::Searching(search) => Some(search),
            Stage::Complete { .. } | Stage::BlackHole { .. } => None,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Searching(search) => search.flying.is_none(),
            Stage::Complete { until } | Stage::BlackHole { until } => now >= until,
        }
    }

    fn next(&self, now: Instant, size: u16) -> Option<u16> {
        match self.stage {
            Stage::Searching(search) => search.next(size, self.bound),
            Stage::Complete { until } | Stage::BlackHole { until } if now >= until => {
                Search::default().next(size, self.bound)
            }
            Stage::Complete { .. } | Stage::BlackHole { .. } => None,
        }
    }

    /// A probe arrived on a path that carries `size` now.
    fn on_acked(&mut self, now: Instant, size: u16, bytes: u16) {
        let Stage::Searching(search) = &mut self.stage else { return };
        search.flying = search.flying.filter(|flying| *flying != bytes);
        search.hint = search.hint.filter(|hint| *hint > bytes);
        search.lost = search.lost.filter(|(lost, _)| *lost > bytes);
        self.rest(now, size);
    }

    fn on_lost(&mut self, now: Instant, size: u16, bytes: u16) {
        let Stage::Searching(search) = &mut self.stage else { return };
        search.flying = search.flying.filter(|flying| *flying != bytes);
        search.hint = search.hint.filter(|hint| *hint < bytes);
        search.lost = match search.lost {
            Some((lost, times)) if lost == bytes => Some((lost, times.saturating_add(1))),
            Some((lost, times)) if lost < bytes => Some((lost, times)),
            Some(_) | None if bytes > size => Some((bytes, NonZeroU8::MIN)),
            before => before,
        };
        self.rest(now, size);
    }

    /// Ends a search that has nothing left to probe.
    fn rest(&mut self, now: Instant, size: u16) {
        let Some(search) = self.search() else { return };
        if search.flying.is_none() && search.next(size, self.bound).is_none() {
            let until = if size < self.bound { now + RAISE_AFTER } else { Instant::FAR };
            self.stage = Stage::Complete { until };
        }
    }

    /// Whether enough vanished of what the path carried.
    fn is_black_hole(&mut self, size: u16, vanished: Vanished) -> bool {
        if vanished.largest_acked >= self.suspect || size <= BASE {
            self.suspects = 0;
        }
        // Packets of a former size tell nothing of this one.
        if vanished.packets == 0 || vanished.smallest > size || size <= BASE {
            return false;
        }
        let before = if self.suspects > 0 { self.suspect } else { u16::MAX };
        self.suspect = before.min(vanished.smallest);
        self.suspects = self.suspects.saturating_add(u8::try_from(vanished.packets).unwrap_or(u8::MAX));
        self.suspects >= BLACK_HOLE
    }

    /// The path is back at its base, after it carried `size`.
    fn fall(&mut self, now: Instant, size: u16) {
        let flying = self.search().and_then(|search| search.flying);
        self.suspects = 0;
        self.black_holes = self.black_holes.saturating_add(1);
        self.stage = if self.black_holes == 1 {
            Stage::Searching(Search { hint: Some(size), flying, lost: None })
        } else {
            Stage::BlackHole { until: now + MISTRUST }
        };
    }
}

impl Search {
    /// What to probe next on a path that carries `size`.
    ///
    /// First what is hoped for, then halfway to the smallest size that was lost. A loss by chance misleads, and is found
    /// out in the end: the smallest size that was lost counts only after [`MAX_PROBES`].
    fn next(&self, size: u16, bound: u16) -> Option<u16> {
        if self.flying.is_some() || size >= bound {
            return None;
        }
        let Some((lost, times)) = self.lost.filter(|(lost, _)| *lost <= bound) else {
            return Some(self.hint.filter(|hint| (size + 1..bound).contains(hint)).unwrap_or(bound));
        };
        halfway(size, lost).or((times.get() < MAX_PROBES).then_some(lost))
    }
}

/// A size between two, well known if there is one; `None` if they are as good as the same.
fn halfway(carried: u16, lost: u16) -> Option<u16> {
    let from = KNOWN.partition_point(|known| *known <= carried);
    let to = KNOWN.partition_point(|known| *known < lost);
    if let Some(known) = KNOWN.get(from..to).and_then(|known| known.get(known.len() / 2)) {
        return Some(*known);
    }
    let gap = lost.saturating_sub(carried);
    (gap > NEAR.max(carried / 64)).then_some(carried + gap / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_millis(1000 * seconds)
    }

    /// A path that is searched, and what was probed on it.
    struct Trial {
        mtu: Mtu,
        bound: u16,
        size: u16,
        probes: Vec<u16>,
    }

    impl Trial {
        fn new(bound: u16) -> Self {
            let sizes = Sizes { first: BASE, hint: None, bound: Some(bound) };
            Self { mtu: Mtu::new(sizes), bound, size: BASE, probes: Vec::new() }
        }

        /// Searches a path that carries `limit` bytes, and loses a probe that it could carry if `unlucky` says so.
        fn run(&mut self, now: Instant, limit: u16, mut unlucky: impl FnMut() -> bool) -> u16 {
            while let Some(bytes) = self.mtu.next(now, self.size, usize::MAX) {
                assert!(self.mtu.is_due(now));
                self.mtu.on_sent(bytes);
                assert!(!self.mtu.is_due(now), "one at a time");
                self.probes.push(bytes);
                if bytes <= limit && !unlucky() {
                    self.size = self.mtu.on_acked(now, self.size, bytes).unwrap_or(self.size);
                } else {
                    self.mtu.on_lost(now, self.size, bytes);
                }
            }
            self.size
        }

        fn vanish(&mut self, packets: u32, smallest: u16, largest_acked: u16) -> Option<u16> {
            let fallen = self.mtu.on_vanished(
                at(0),
                self.size,
                self.bound,
                Vanished { packets, smallest, largest_acked },
            );
            self.size = fallen.unwrap_or(self.size);
            fallen
        }
    }

    #[test]
    fn a_path_that_carries_the_most_is_found_by_one_probe() {
        let mut trial = Trial::new(9000);
        assert_eq!(trial.run(at(0), 9000, || false), 9000);
        assert_eq!(trial.probes, [9000]);
        assert!(!trial.mtu.is_due(Instant::FAR - Duration::from_secs(1)), "there is nothing above");
    }

    #[test]
    fn well_known_sizes_are_found_to_the_byte() {
        for limit in [1200, 1252, 1452, 1472, 1500, 8952, 8972, 9000] {
            let mut trial = Trial::new(9000);
            assert_eq!(trial.run(at(0), limit, || false), limit);
            assert!(trial.probes.len() <= 14, "{limit}: {:?}", trial.probes);
        }
    }

    #[test]
    fn a_size_is_given_up_after_three_losses() {
        let mut trial = Trial::new(1220);
        assert_eq!(trial.run(at(0), 1219, || false), 1210);
        assert_eq!(trial.probes, [1220, 1210, 1220, 1220]);
    }

    #[test]
    fn the_search_begins_again_after_ten_minutes() {
        let mut trial = Trial::new(1452);
        trial.run(at(0), 1300, || false);
        assert_eq!(trial.mtu.next(at(599), trial.size, usize::MAX), None);
        assert!(!trial.mtu.is_due(at(599)) && trial.mtu.is_due(at(600)));
        assert_eq!(trial.run(at(600), 1452, || false), 1452);
    }

    #[test]
    fn what_another_path_carried_is_tried_first() {
        let mtu = Mtu::new(Sizes { first: BASE, hint: Some(1472), bound: Some(9000) });
        assert_eq!(mtu.next(at(0), BASE, usize::MAX), Some(1472));
        // It is no use if that was the base.
        let mtu = Mtu::new(Sizes { first: BASE, hint: Some(BASE), bound: Some(9000) });
        assert_eq!(mtu.next(at(0), BASE, usize::MAX), Some(9000));
    }

    #[test]
    fn who_does_not_want_it_never_probes() {
        let mtu = Mtu::new(Sizes { first: 1452, hint: None, bound: None });
        assert!(!mtu.is_due(Instant::FAR));
        assert_eq!(mtu.next(Instant::FAR, 1452, usize::MAX), None);
    }

    #[test]
    fn a_probe_fits_in_the_room_there_is() {
        let mtu = Trial::new(9000).mtu;
        assert_eq!(mtu.next(at(0), BASE, 1400), Some(1400));
        assert_eq!(mtu.next(at(0), BASE, 1216), None);
        assert_eq!(mtu.next(at(0), BASE, 100), None);
    }

    #[test]
    fn a_limit_of_the_peer_holds_even_for_a_probe_under_way() {
        let mut trial = Trial::new(9000);
        trial.mtu.limit(BASE, 1300);
        assert_eq!(trial.mtu.next(at(0), BASE, usize::MAX), Some(1300));
        trial.mtu.on_sent(1300);
        trial.mtu.limit(BASE, 1250);
        assert_eq!(trial.mtu.on_acked(at(0), BASE, 1300), Some(1250));
        trial.mtu.limit(BASE, BASE);
        assert!(!trial.mtu.is_due(at(100_000)));
    }

    #[test]
    fn three_large_packets_that_vanish_are_a_black_hole() {
        let mut trial = Trial::new(9000);
        trial.run(at(0), 9000, || false);
        assert_eq!(trial.vanish(2, 9000, 1200), None);
        assert_eq!(trial.vanish(1, 9000, 1400), Some(BASE));
        // What the path carried is tried again at once, and then all the rest.
        trial.probes.clear();
        assert_eq!(trial.run(at(0), 1472, || false), 1472);
        assert_eq!(trial.probes[0], 9000);
    }

    #[test]
    fn an_arrival_of_that_size_clears_the_path() {
        let mut trial = Trial::new(1452);
        trial.run(at(0), 1452, || false);
        assert_eq!(trial.vanish(2, 1452, 0), None);
        assert!(trial.mtu.suspects());
        assert_eq!(trial.vanish(0, 0, 1452), None);
        assert!(!trial.mtu.suspects());
        assert_eq!(trial.vanish(2, 1452, 1451), None);
    }

    #[test]
    fn a_path_that_deceives_twice_is_not_tried_for_a_minute() {
        let mut trial = Trial::new(1452);
        trial.run(at(0), 1452, || false);
        assert_eq!(trial.vanish(3, 1452, 0), Some(BASE));
        assert_eq!(trial.run(at(0), 1452, || false), 1452);
        assert_eq!(trial.vanish(3, 1452, 0), Some(BASE));
        assert!(!trial.mtu.is_due(at(59)));
        assert_eq!(trial.run(at(60), 1300, || false), 1291);
    }

    #[test]
    fn packets_of_a_former_size_tell_nothing() {
        let mut trial = Trial::new(1452);
        trial.run(at(0), 1300, || false);
        assert_eq!(trial.vanish(10, 1452, 0), None);
        assert!(!trial.mtu.suspects());
    }

    proptest! {
        #[test]
        fn the_search_ends_near_what_the_path_carries_whatever_is_lost_by_chance(
            bound in BASE..=65_527,
            share in 0..=1000u32,
            luck in proptest::collection::vec(0..20u8, 400),
        ) {
            let limit = BASE + u16::try_from(u32::from(bound - BASE) * share / 1000).expect("no more than the bound");
            let mut trial = Trial::new(bound);
            // One in twenty, but never two in a row.
            let (mut luck, mut was_lost) = (luck.into_iter(), false);
            let found = trial.run(at(0), limit, || {
                was_lost = luck.next() == Some(0) && !was_lost;
                was_lost
            });
            let near = NEAR.max(found / 64);
            prop_assert!(found <= limit && limit - found <= near, "{found} of {limit}: {:?}", trial.probes);
            prop_assert!(trial.probes.len() <= 100, "{:?}", trial.probes);
        }

        #[test]
        fn no_report_makes_it_probe_what_is_not_to_be_probed(
            bound in BASE..=65_527,
            reports in proptest::collection::vec((0..4u8, any::<u16>(), 0..100_000u64), 0..100),
        ) {
            let (mut mtu, mut size) = (Trial::new(bound).mtu, BASE);
            for (report, bytes, seconds) in reports {
                let now = at(seconds);
                match report {
                    0 => size = mtu.on_acked(now, size, bytes).unwrap_or(size),
                    1 => mtu.on_lost(now, size, bytes),
                    2 => {
                        let vanished = Vanished { packets: 2, smallest: bytes, largest_acked: 0 };
                        size = mtu.on_vanished(now, size, bound, vanished).unwrap_or(size);
                    }
                    _ => {
                        if let Some(bytes) = mtu.next(now, size, bytes.into()) {
                            prop_assert!(bytes > size && bytes <= bound);
                            mtu.on_sent(bytes);
                        }
                    }
                }
                prop_assert!((BASE..=bound).contains(&size));
            }
        }
    }
}
