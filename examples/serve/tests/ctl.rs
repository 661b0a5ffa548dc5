//! `serve ctl` as scripts use it: by its exit status.

use serde_json::json;

use super::{LARGE, Served, scene};
use crate::process::{self, Process};

#[test]
fn a_script_moves_a_server() {
    let served = Served::start(&[2 * LARGE], "");
    let mut events = Process::start(served.steer("events"));
    let visit = served.visit(0, "--migrate");
    // With sorted fields, this is how it begins.
    assert!(events.line("{\"event\":\"connection\",").contains("\"what\":\"connected\""));
    let away = served.away(2);
    let (status, said) = served.ctl(&format!("prepare --strategy explicit --target {away} --wait"));
    assert_eq!((status, &said[0]), (0, &json!({ "ok": true, "answer": "prepare", "move": 1 })));
    assert_eq!((&said[1]["state"], &said[1]["prepared"]), (&json!("ready"), &json!(1)));
    let (status, said) = served.ctl("status");
    assert_eq!((status, &said[0]["state"]), (0, &json!("ready")));
    let (status, said) = served.ctl(&format!("relocated --listen {away} --wait"));
    assert_eq!((status, &said[1]["state"], &said[1]["moved"]), (0, &json!("settled"), &json!(1)));
    served.see_off(visit);
    events.line("{\"event\":\"settled\",");
}

#[test]
fn it_tells_by_its_status_what_went_wrong() {
    let served = Served::start(&[], "--patience 1s");
    let refused = |line: &str| {
        let (status, said) = served.ctl(line);
        (status, said[0]["error"].as_str().map(str::to_owned))
    };
    assert_eq!(refused("cancel"), (1, Some("not_prepared".to_owned())));
    assert_eq!(refused("relocated --listen 192.0.2.1:4433"), (1, Some("cannot_listen".to_owned())));
    assert_eq!(refused("prepare --strategy explicit"), (1, Some("bad_field".to_owned())));
    assert_eq!(refused("prepare --connection ff=symmetric"), (1, Some("unknown_connection".to_owned())));
    assert_eq!(served.ctl("prepare").0, 2);
    assert_eq!(served.ctl("prepare --strategy swim").0, 2);
    // Prepared, and called off; and prepared once more, and nobody comes.
    assert_eq!(served.ctl("prepare --strategy symmetric --wait").0, 0);
    assert_eq!(served.ctl("cancel").0, 0);
    assert_eq!(served.ctl("cancel").0, 0);
    let nowhere = process::program("serve ctl --control /nowhere/at/all status").output();
    assert_eq!(nowhere.expect("it can be run").status.code(), Some(3));
}

#[test]
fn a_wait_has_an_end() {
    let (served, mut phone, visit) = scene(LARGE, "");
    // Nobody follows.
    visit.stop();
    let (status, _) = served.ctl(&format!("relocated --listen {} --wait=300ms", served.away(2)));
    assert_eq!(status, 4);
    visit.signal(rustix::process::Signal::CONT);
    assert_eq!(phone.event("settled")["moved"], 1);
    served.see_off(visit);
}

#[test]
fn when_it_exits_nothing_of_it_is_left_at_the_server() {
    let served = Served::start(&[], "");
    let before = served.process.open_files();
    for _ in 0..10 {
        assert_eq!(served.ctl("status").0, 0);
        assert_eq!(served.process.open_files(), before);
    }
}
