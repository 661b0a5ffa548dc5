//! One small run of each experiment, and a judge that can say no.

use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use sim::ms;
use stage::moves::Play;

use crate::conditions::{COLD, FIRST_RTT, Loss, Pace, SECOND_RTT, TRIGGER};
use crate::crew::Crew;
use crate::first::{self, Run, Series};
use crate::goodput::{self, Course, LEAVES};
use crate::options::{Experiment, Plan};
use crate::readiness::{self, Point};
use crate::recovery::{self, Tally};
use crate::results::Results;
use crate::target::{self, Target};
use crate::way::{Cue, SILENCE, Way, follow, unheard};
use crate::{report, run};

fn crew(threads: usize) -> Crew {
    Crew(NonZero::new(threads).expect("some threads"))
}

fn first(way: Way, pace: Pace) -> Run {
    first::run(way, Loss::Without, pace, TRIGGER, 1)
}

fn took(way: Way, pace: Pace) -> Duration {
    first(way, pace).took.expect("it is answered")
}

// ---- first requests ----------------------------------------------------------------------------------

#[test]
fn without_a_move_a_request_takes_a_round_trip_and_its_bytes_a_moment() {
    let took = took(Way::Stay, Pace::Steady);
    assert!((SECOND_RTT..SECOND_RTT + ms(1)).contains(&took), "{took:?}");
}

#[test]
fn after_a_move_a_request_in_rhythm_takes_as_long_as_without() {
    let still = took(Way::Stay, Pace::Steady);
    for play in Play::ALL {
        let run = first(follow(play), Pace::Steady);
        let took = run.took.expect("it is answered");
        assert!(run.moved && took <= still + ms(1), "{play:?}: {took:?}");
    }
}

#[test]
fn at_once_it_waits_for_the_announcement_and_a_challenge() {
    let took = took(follow(Play::Symmetric), Pace::Hasty);
    assert!((ms(45)..ms(47)).contains(&took), "{took:?}");
}

#[test]
fn unheard_it_waits_for_a_probe_timeout_and_a_challenge() {
    let run = first(unheard(Play::Pool(2)), Pace::Steady);
    assert!((FIRST_RTT..ms(180)).contains(&run.pto), "{run:?}");
    assert!(run.took >= Some(run.pto + 2 * SECOND_RTT) && run.took < Some(run.pto + ms(38)), "{run:?}");
}

#[test]
fn who_connects_anew_takes_as_long_as_it_took_to_learn_that_it_must() {
    let told = took(Way::Reconnect(Cue::Told), Pace::Steady);
    assert!((SECOND_RTT..SECOND_RTT + ms(1)).contains(&told), "the request is in the first flight: {told:?}");
    assert_eq!(took(Way::Reconnect(SILENCE), Pace::Steady), ms(1000) + told);
    assert_eq!(took(Way::Reconnect(Cue::Idle), Pace::Steady), ms(30_000) + told);
    assert!(!first(Way::Reconnect(Cue::Told), Pace::Steady).moved);
}

// ---- the others --------------------------------------------------------------------------------------

#[test]
fn readiness_waits_for_one_round_trip_where_something_is_announced() {
    for clients in [1, 3] {
        assert_eq!(readiness::run(Play::Symmetric, SECOND_RTT, clients, 1), Some(Duration::ZERO));
        assert_eq!(readiness::run(Play::Reactive, SECOND_RTT, clients, 1), Some(SECOND_RTT));
        assert_eq!(readiness::run(Play::Synchronized, FIRST_RTT, clients, 1), Some(FIRST_RTT));
    }
}

#[test]
fn a_download_pauses_while_the_server_is_nowhere_and_goes_on() {
    let end = LEAVES + COLD + ms(500);
    let course = goodput::run(follow(Play::Symmetric), Loss::With, 1, end);
    assert_eq!(course.received.len(), 299);
    // What was under way when the server left still arrives.
    assert_eq!(course.by(LEAVES + ms(100)), course.by(LEAVES + COLD));
    assert!(course.by(LEAVES) > 0 && course.by(end) > course.by(LEAVES + COLD));
    let pause = course.pause().expect("it goes on");
    assert!((ms(20)..=ms(200)).contains(&pause), "{pause:?}");
}

#[test]
fn who_connects_anew_goes_on_where_it_was() {
    // Its first flight may be lost, and is sent again after a second.
    let end = LEAVES + COLD + ms(1500);
    let course = goodput::run(Way::Reconnect(Cue::Told), Loss::With, 1, end);
    assert!(course.received.is_sorted());
    assert!(course.by(end) > course.by(LEAVES + COLD) + 100_000);
}

#[test]
fn rates_are_of_what_came_within_the_window() {
    let received = vec![0, 25_000, 50_000, 50_000];
    let course = Course { way: Way::Stay, loss: Loss::Without, received };
    let rates: Vec<_> = course.rates(2).collect();
    assert_eq!(rates, [(ms(40), 5.0), (ms(60), 10.0), (ms(80), 5.0)]);
}

#[test]
fn the_number_of_threads_does_not_show() {
    let runs = |threads| recovery::all(crew(threads), 7, 2).into_iter().map(|tally| tally.runs);
    let (one, three): (Vec<_>, Vec<_>) = (runs(1).collect(), runs(3).collect());
    assert_eq!(one, three);
    assert!(one.iter().flatten().all(|run| run.moved && run.took.is_some()));
}

// ---- the judge ---------------------------------------------------------------------------------------

const GOOD: Run = Run { took: Some(ms_of(18)), pto: ms_of(150), rtt: ms_of(18), moved: true };

const fn ms_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// All targets of first requests, of which those of one way and pace take so long.
fn judged(way: Way, pace: Pace, took: Option<Duration>) -> Vec<Target> {
    let mut all = Vec::new();
    for other in Way::ALL {
        for each in Pace::ALL {
            let run = if (other, each) == (way, pace) { Run { took, ..GOOD } } else { GOOD };
            all.push(Series { way: other, loss: Loss::Without, pace: each, runs: vec![GOOD, run] });
        }
    }
    target::of_first_requests(&all)
}

fn missed(targets: &[Target]) -> Vec<&str> {
    targets.iter().filter(|target| !target.is_met()).map(|target| &*target.what).collect()
}

#[test]
fn a_request_that_takes_a_millisecond_more_is_good_and_two_are_not() {
    let way = follow(Play::Symmetric);
    assert!(missed(&judged(way, Pace::Steady, Some(ms(19)))).is_empty());
    let targets = judged(way, Pace::Steady, Some(ms(20)));
    assert_eq!(missed(&targets), ["Symmetric: first request in rhythm above no move"]);
    let target = targets.iter().find(|target| !target.is_met()).expect("one is missed");
    assert_eq!((target.figure, target.limit), (2.0, 1.0));
}

#[test]
fn a_request_whose_server_is_not_heard_may_take_a_probe_timeout_and_a_round_trip_more() {
    let way = unheard(Play::Reactive);
    for pace in Pace::ALL {
        assert!(missed(&judged(way, pace, Some(ms(186)))).is_empty());
        assert_eq!(missed(&judged(way, pace, Some(ms(187)))).len(), 1);
    }
}

#[test]
fn no_answer_is_never_good() {
    assert_eq!(missed(&judged(follow(Play::Pool(3)), Pace::Steady, None)).len(), 1);
}

#[test]
fn a_larger_pool_must_not_cost_more_than_a_small_one() {
    let missed_by = |took| missed(&judged(unheard(Play::Pool(8)), Pace::Hasty, Some(took))).join(", ");
    assert_eq!(missed_by(ms(19)), "");
    assert_eq!(missed_by(ms(20)), "pools of [1, 2, 3, 8], unheard, at once: apart");
}

#[test]
fn one_connection_that_does_not_recover_is_one_too_many() {
    let tally = |run| Tally { way: follow(Play::Proactive), runs: vec![GOOD, GOOD, run] };
    assert!(missed(&target::of_recovery(&[tally(GOOD)])).is_empty());
    for bad in [Run { took: None, ..GOOD }, Run { moved: false, ..GOOD }] {
        let tally = tally(bad);
        assert_eq!(tally.lost().collect::<Vec<_>>(), [2]);
        let targets = target::of_recovery(&[tally]);
        assert_eq!(missed(&targets), ["Explicit, proactive: never recovered, of 3"]);
    }
}

#[test]
fn readiness_is_judged_by_the_round_trip() {
    let judge = |play, took| {
        let point = Point { play, rtt: SECOND_RTT, clients: 50, took };
        missed(&target::of_readiness(&[point])).is_empty()
    };
    assert!(judge(Play::Reactive, Some(ms(23))) && !judge(Play::Reactive, Some(ms(24))));
    assert!(judge(Play::Symmetric, Some(Duration::ZERO)) && !judge(Play::Symmetric, Some(ms(1))));
    assert!(!judge(Play::Synchronized, None));
}

#[test]
fn a_missed_target_is_said_so() {
    let target = Target { what: "haste".to_owned(), unit: "ms", figure: 2.0, limit: 1.0 };
    let table = report::of_targets(&[target]).to_string();
    assert!(table.contains("| haste  |   2.00 |    1.00 |   ms | MISSED |"), "{table}");
}

// ---- what comes out ----------------------------------------------------------------------------------

fn plan(experiments: Vec<Experiment>) -> Plan {
    Plan { experiments, seed: 1, runs: 1, seeds: 2, clients: 50, crew: crew(2), json: false, svg: None }
}

#[test]
fn json_is_a_line_for_each_series_and_each_target() {
    let plan = Plan { json: true, ..plan(vec![Experiment::Recovery]) };
    let mut out = Vec::new();
    assert!(run(&plan, &mut out).expect("it runs"), "all recover");
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (series, targets) = lines.split_at(Way::following().count());
    assert!(series.iter().all(|line| line["runs"] == 2 && line["never_recovered"] == Value::Array(vec![])));
    assert_eq!(targets.len(), series.len());
    assert!(targets.iter().all(|line| line["met"] == true && line["figure"] == 0.0));
}

#[test]
fn the_same_seed_says_the_same() {
    let said = |seed| {
        let mut out = Vec::new();
        run(&Plan { seed, ..plan(vec![Experiment::Recovery]) }, &mut out).expect("it runs");
        String::from_utf8(out).expect("tables are UTF-8")
    };
    let first = said(3);
    assert_eq!(first, said(3));
    assert!(first.contains("2 seeds from 3") && first.contains("| Symmetric "), "{first}");
    assert_ne!(first, said(5));
}

#[test]
fn every_experiment_has_its_picture() {
    let folder: PathBuf = std::env::temp_dir().join(format!("evaluate-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let series = |way| Series { way, loss: Loss::Without, pace: Pace::Steady, runs: vec![GOOD] };
    let point = Point { play: Play::Reactive, rtt: SECOND_RTT, clients: 50, took: Some(SECOND_RTT) };
    let received = vec![0, 1000, 2000, 4000, 8000, 9000];
    let course = Course { way: Way::Stay, loss: Loss::With, received };
    let tally = Tally { way: follow(Play::Symmetric), runs: vec![GOOD; 3] };
    let all = [
        (Results::FirstRequests(Way::ALL.map(series).into()), "first-request.svg", "Pool of 8, unheard"),
        (Results::Readiness(vec![point]), "readiness.svg", "Explicit, reactive, the thesis"),
        (Results::Goodput(vec![course]), "goodput.svg", "is back"),
        (Results::Recovery(vec![tally]), "recovery.svg", "Symmetric"),
    ];
    for (results, name, words) in all {
        results.draw(&folder).expect("it is drawn");
        let svg = fs::read_to_string(folder.join(name)).expect("a picture");
        assert!(svg.starts_with("<svg") && svg.contains(words), "{name}");
    }
    fs::remove_dir_all(folder).expect("the folder is ours");
}
