//! How a server ends, and what it leaves behind.

use rustix::process::Signal;

use super::{LARGE, Served, scene};

#[test]
fn a_server_that_is_told_to_end_says_goodbye_and_puts_its_socket_away() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(&[LARGE], "");
        let mut phone = served.call().listening();
        let visit = served.visit(0, "--migrate");
        phone.event("connected");
        served.process.signal(signal);
        assert_eq!(served.process.wait(), Some(0));
        assert!(visit.end().expect_err("it is closed").contains("the server ends"));
        assert!(!served.control().exists());
    }
}

/// A process that is frozen, copied and thawed elsewhere, and then ended here: were it heard, clients would take their
/// connections for closed.
#[test]
fn a_server_that_was_about_to_move_ends_without_a_word() {
    let (mut served, mut phone, visit) = scene(LARGE, "");
    assert_eq!(phone.ask(r#"{"command":"prepare","strategy":"synchronized"}"#)["ok"], true);
    phone.event("ready");
    served.process.signal(Signal::TERM);
    assert_eq!(served.process.wait(), Some(0));
    // It goes on listening; nobody has told it to stop.
    std::thread::sleep(std::time::Duration::from_millis(300));
    visit.signal(Signal::TERM);
    let why = visit.end().expect_err("it was ended");
    assert!(!why.contains("the server ends"), "{why}");
}

#[test]
fn a_server_that_died_leaves_a_socket_that_the_next_one_puts_away() {
    let mut served = Served::start(&[1000], "");
    served.process.signal(Signal::KILL);
    assert_eq!(served.process.wait(), None);
    assert!(served.control().exists());
    let Served { places, .. } = served;
    let again = Served::at("127.0.0.1:0", places, "");
    assert_eq!(again.call().status()["state"], "home");
    again.visit(0, "").end().expect("it is fetched");
}
