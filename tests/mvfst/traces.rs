//! The model held against every connection that was recorded of the client: where each of its packets went, what it
//! challenged, what it told its application, and how it closed.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::Value;

use super::model::{self, Close, Deed, Model, agree};
use super::scripts::hex;

/// A recorded client under way.
struct Trace {
    name: String,
    model: Model,
    /// What the model has told its application and the recording has not yet.
    told: VecDeque<String>,
    /// The close that is due.
    close: Option<Close>,
    /// A challenge is due.
    challenges: bool,
    /// The probe timeout of the next gap was told already.
    probed: bool,
    last: Option<u64>,
    /// Packets compared.
    compared: usize,
}

fn text<'a>(event: &'a Value, key: &str) -> Option<&'a str> {
    event[key].as_str()
}

fn address(event: &Value, key: &str) -> SocketAddr {
    text(event, key).expect("a text").parse().expect("an address and a port")
}

impl Trace {
    fn new(trace: &Value) -> Self {
        let agreed = agree(trace["offer"].as_u64(), trace["answer"].as_u64()).expect("it was content");
        Self {
            name: text(trace, "scenario").expect("a text").to_owned(),
            model: Model::new(address(trace, "server"), agreed),
            told: VecDeque::new(),
            close: None,
            challenges: false,
            probed: false,
            last: None,
            compared: 0,
        }
    }

    /// Whether the connection goes on.
    fn sees(&mut self, event: &Value) -> bool {
        if let Some(frames) = text(event, "heard") {
            return self.hears(address(event, "from"), event["number"].as_u64().expect("a number"), frames);
        }
        match text(event, "told") {
            Some(what) => self.tells(what),
            None => return self.sends(event),
        }
        true
    }

    fn does(&mut self, deeds: Result<Vec<Deed>, Close>) -> bool {
        match deeds {
            Ok(deeds) => deeds.into_iter().all(|deed| match deed {
                Deed::Tell(what) => {
                    self.told.push_back(what);
                    true
                }
                Deed::Challenge => {
                    self.challenges = true;
                    true
                }
                Deed::Answer(_) => true,
                Deed::End => false,
            }),
            Err(close) => {
                self.close = Some(close);
                true
            }
        }
    }

    fn hears(&mut self, from: SocketAddr, number: u64, frames: &str) -> bool {
        let frames = model::frames(&hex(frames)).expect("whole frames");
        let deeds = self.model.on_packet(from, number, &frames);
        self.does(deeds)
    }

    fn tells(&mut self, what: &str) {
        if what.starts_with("onServerMigrationProbingStarted") && self.told.is_empty() {
            self.probed = true;
            let deeds = self.model.on_probe_timeout();
            self.does(deeds);
        }
        // The recording names the strategy as well.
        let strategies = ["Explicit ", "Pool of Addresses "];
        let what = strategies.iter().fold(what.to_owned(), |what, strategy| what.replace(strategy, ""));
        assert_eq!(self.told.pop_front(), Some(what), "{}", self.name);
    }

    fn sends(&mut self, event: &Value) -> bool {
        let number = event["number"].as_u64().expect("a number");
        let is_probe = self.last.is_some_and(|last| number > last + 1);
        self.last = Some(number);
        if is_probe && !self.probed {
            let deeds = self.model.on_probe_timeout();
            self.does(deeds);
        }
        self.probed = false;
        if let Some(reason) = text(event, "reason") {
            let code = event["code"].as_u64().expect("a number");
            let close = self.close.take().unwrap_or_else(|| self.closes_by_time());
            assert_eq!((close.code, &*close.reason), (code, reason), "{}", self.name);
        }
        assert_eq!(address(event, "to"), self.model.home, "{} {number}", self.name);
        self.compared += 1;
        if let Some(data) = text(event, "challenge") {
            assert!(self.challenges || self.model.is_validating(), "{} {number}", self.name);
            self.challenges = false;
            self.model.challenges_with(hex(data).try_into().expect("eight bytes"));
        }
        text(event, "reason").is_none() && event["ends"].is_null()
    }

    /// Nothing that it heard has made it close: a path was not validated, or there was nobody to look for.
    fn closes_by_time(&mut self) -> Close {
        if self.model.is_validating() {
            return self.model.gives_up();
        }
        self.model.on_probe_timeout().expect_err("it has a reason")
    }
}

#[test]
fn the_model_goes_where_the_client_went_in_every_recording() {
    let data: Value = serde_json::from_str(include_str!("../data/mvfst/client-traces.json")).expect("JSON");
    let traces = data["traces"].as_array().expect("a list");
    let mut compared = 0;
    for recorded in traces {
        let mut trace = Trace::new(recorded);
        let events = recorded["events"].as_array().expect("a list");
        let _ = events.iter().all(|event| trace.sees(event));
        assert!(trace.told.is_empty() && !trace.challenges, "{}: {:?}", trace.name, trace.told);
        compared += trace.compared;
    }
    assert_eq!((traces.len(), compared), (27, 302));
}
