//! Moves while clients fetch, by every strategy.

use serde_json::json;

use super::{LARGE, Phone, Served, scene};

/// Moves a server to 127.0.0.2 while a client fetches, and returns what the client said.
fn move_while_fetching(served: &Served, client: &str, strategy: &str, target: bool) -> String {
    let mut phone: Phone = served.call().listening();
    let visit = served.visit(0, client);
    phone.event("connected");
    let away = served.away(2);
    let target = if target { format!(r#","target":"{away}""#) } else { String::new() };
    let prepared = phone.ask(&format!(r#"{{"command":"prepare","strategy":"{strategy}"{target}}}"#));
    assert_eq!(prepared, json!({ "ok": true, "answer": "prepare", "move": 1 }));
    let ready = phone.event("ready");
    let ready = if ready["event"] == "connection" { phone.event("ready") } else { ready };
    assert_eq!((&ready["prepared"], &ready["closed"]), (&json!(1), &json!(0)), "{ready}");
    let moved = phone.ask(&format!(r#"{{"command":"relocated","listen":"{away}"}}"#));
    assert_eq!(moved, json!({ "ok": true, "answer": "relocated", "move": 1 }));
    let settled = phone.event("settled");
    assert_eq!((&settled["moved"], &settled["lost"]), (&json!(1), &json!(0)), "{settled}");
    let status = phone.status();
    assert_eq!(status["listening"], away.to_string());
    served.see_off(visit)
}

#[test]
fn a_client_follows_by_each_strategy_and_gets_its_file() {
    for (strategy, client, target) in [
        ("explicit", "--migrate", true),
        ("explicit", "--migrate=proactive", true),
        ("symmetric", "--migrate", false),
        ("synchronized", "--migrate", false),
    ] {
        let served = Served::start(&[LARGE], "");
        let said = move_while_fetching(&served, client, strategy, target);
        let words = format!("goes on at {} ({strategy})\n", served.away(2));
        assert!(said.contains(&words), "{strategy} {client}: {said}");
    }
}

#[test]
fn a_client_finds_the_server_in_a_pool_of_one_and_of_three() {
    for hosts in [&[2][..], &[4, 3, 2]] {
        let places = crate::places::Places::new();
        places.files(&[LARGE]);
        // The pool is named before the server runs: its port has to be known.
        let port = std::net::UdpSocket::bind("127.0.0.2:0").and_then(|socket| socket.local_addr());
        let port = port.expect("there is a free one").port();
        let pool: Vec<String> = hosts.iter().map(|host| format!("--pool 127.0.0.{host}:{port}")).collect();
        let served = Served::at(&format!("127.0.0.1:{port}"), places, &pool.join(" "));
        let said = move_while_fetching(&served, "--migrate", "pool", false);
        for host in hosts {
            let words = format!("the server may move to {}\n", served.away(*host));
            assert!(said.contains(&words), "{said}");
        }
        assert!(said.contains(&format!("goes on at {} (pool)\n", served.away(2))), "{said}");
    }
}

#[test]
fn a_server_of_all_addresses_stays_where_it_is_told_nothing_of_a_place() {
    let places = crate::places::Places::new();
    places.files(&[LARGE]);
    let served = Served::at("0.0.0.0:0", places, "");
    let mut phone = served.call().listening();
    let visit = served.visit(0, "--migrate");
    phone.event("connected");
    let before = phone.status();
    assert_eq!(phone.ask(r#"{"command":"prepare","strategy":"symmetric"}"#)["ok"], true);
    // Its socket gets all options again, and the connection goes on by whatever address the kernel chooses.
    assert_eq!(phone.ask(r#"{"command":"relocated"}"#)["ok"], true);
    assert_eq!(phone.event("settled")["moved"], 1);
    assert_eq!(phone.status()["listening"], before["listening"]);
    served.see_off(visit);
}

#[test]
fn a_server_of_both_families_moves_a_client_of_ipv4_to_a_target_of_ipv4() {
    let places = crate::places::Places::new();
    places.files(&[LARGE]);
    let served = Served::at("[::]:0", places, "");
    let mut phone = served.call().listening();
    let visit = served.visit(0, "--migrate");
    phone.event("connected");
    let away = served.away(2);
    let prepared = phone
        .ask(&format!(r#"{{"command":"prepare","strategy":"explicit","target":["{away}","[fd00::2]:1"]}}"#));
    assert_eq!(prepared["ok"], true, "{prepared}");
    phone.event("ready");
    assert_eq!(phone.status()["connections"][0]["local"], "127.0.0.1");
    // What it is told reaches it on the same socket: the server of all addresses has this one too.
    assert_eq!(phone.ask(r#"{"command":"relocated"}"#)["ok"], true);
    assert_eq!(phone.event("settled")["moved"], 1);
    served.see_off(visit);
}

#[test]
fn a_server_moves_twice_and_back_without_notice() {
    let (served, mut phone, visit) = scene(2 * LARGE, "");
    for (number, host) in (1..).zip([2, 3, 1]) {
        let place = served.away(host);
        let moved = phone.ask(&format!(r#"{{"command":"relocated","listen":"{place}"}}"#));
        assert_eq!(moved, json!({ "ok": true, "answer": "relocated", "move": number }));
        let settled = phone.event("settled");
        assert_eq!((&settled["move"], &settled["moved"]), (&json!(number), &json!(1)), "{settled}");
    }
    let said = served.see_off(visit);
    for host in [2, 3, 1] {
        assert!(said.contains(&format!("goes on at {} (symmetric)\n", served.away(host))), "{said}");
    }
}

#[test]
fn each_connection_has_an_order_of_its_own_and_who_is_not_named_is_closed() {
    let served = Served::start(&[LARGE, LARGE + 1, LARGE + 2], "");
    let mut phone = served.call().listening();
    let mut come = |file| {
        let visit = served.visit(file, "--migrate");
        (visit, phone.event("connected")["id"].as_str().expect("a name").to_owned())
    };
    let ((one, first), (two, second), (three, third)) = (come(0), come(1), come(2));
    let away = served.away(2);
    let unknown =
        phone.ask(r#"{"command":"prepare","connections":[{"id":"00112233","strategy":"symmetric"}]}"#);
    assert_eq!(unknown["error"], "unknown_connection");
    let prepared = phone.ask(&format!(
        r#"{{"command":"prepare","connections":[{{"id":"{first}","strategy":"symmetric"}},{{"id":"{second}","strategy":"explicit","target":"{away}"}}]}}"#,
    ));
    assert_eq!(prepared["ok"], true, "{prepared}");
    let ready = loop {
        let ready = phone.event("ready");
        if ready["event"] == "ready" {
            break ready;
        }
    };
    assert_eq!((&ready["prepared"], &ready["closed"]), (&json!(2), &json!(1)), "{ready}");
    let status = phone.status();
    let ids: Vec<_> = status["connections"].as_array().expect("a list").iter().map(|c| &c["id"]).collect();
    assert!(ids.contains(&&json!(first)) && ids.contains(&&json!(second)) && !ids.contains(&&json!(third)));
    assert_eq!(phone.ask(&format!(r#"{{"command":"relocated","listen":"{away}"}}"#))["ok"], true);
    assert_eq!(phone.event("settled")["moved"], 2);
    let [one, two] = [one.end().expect("it is fetched"), two.end().expect("it is fetched")];
    assert!(one.contains(&format!("goes on at {away} (symmetric)\n")), "{one}");
    assert!(two.contains(&format!("goes on at {away} (explicit)\n")), "{two}");
    assert!(three.end().expect_err("it is closed").contains("server migrated"));
    served.assert_fetched(&[0, 1]);
}
