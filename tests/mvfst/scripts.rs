//! The model held against the recording: 44 scripted servers, and what the client of mvfst's made of each.

use std::net::SocketAddr;

use serde_json::Value;

use super::forger::wire;
use super::model::{self, Close, Deed, Model, agree};

/// Probe timeouts after which a client is taken not to find its server any more.
const MAX_PROBES: usize = 7;
/// Where the scripted server begins.
const HOME: &str = "127.0.0.1:6000";

/// One thing that a server does.
#[derive(Debug, Clone)]
pub enum Step {
    /// It says these frames in a packet of their own.
    Says(Vec<u8>),
    /// It is at another address from now on.
    IsAt(SocketAddr),
    /// The client's application asks for something.
    IsAsked,
}

/// A script and what came of it.
#[derive(Debug, Clone)]
pub struct Script {
    pub name: String,
    pub offer: Option<u64>,
    pub answer: Option<u64>,
    pub steps: Vec<Step>,
    pub outcome: Outcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The close, where it went, and in what kind of packet.
    pub close: Option<(Close, SocketAddr, String)>,
    pub callbacks: Vec<String>,
    pub challenged: Vec<SocketAddr>,
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|value| text(value).to_owned()).collect()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// Bytes in hexadecimal.
pub fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// All scripts of the recording.
pub fn recorded() -> Vec<Script> {
    let data = include_str!("../data/mvfst/client-reactions.json");
    let data: Value = serde_json::from_str(data).expect("JSON");
    data["scripts"].as_array().expect("a list").iter().map(Script::read).collect()
}

impl Script {
    fn read(value: &Value) -> Self {
        let step = |step: &Value| match (step.get("says"), step.get("is_at")) {
            (Some(frames), _) => Step::Says(hex(text(frames))),
            (_, Some(at)) => Step::IsAt(address(text(at))),
            _ => Step::IsAsked,
        };
        let close = value["close"].as_object().map(|close| {
            assert_eq!(close["frame"], wire::CONNECTION_CLOSE, "that client always names this type");
            let code = close["code"].as_u64().expect("a number");
            let said = Close { code, reason: text(&close["reason"]).to_owned() };
            (said, address(text(&close["to"])), text(&close["packet"]).to_owned())
        });
        let challenged = texts(&value["challenged"]).iter().map(|text| address(text)).collect();
        Self {
            name: text(&value["script"]).to_owned(),
            offer: value["offer"].as_u64(),
            answer: value["answer"].as_u64(),
            steps: value["server"].as_array().expect("a list").iter().map(step).collect(),
            outcome: Outcome { close, callbacks: texts(&value["callbacks"]), challenged },
        }
    }

    /// What the model makes of it.
    fn play(&self) -> Outcome {
        let mut outcome = Outcome { close: None, callbacks: Vec::new(), challenged: Vec::new() };
        match agree(self.offer, self.answer) {
            Ok(agreed) => {
                let mut stage =
                    Play { model: Model::new(address(HOME), agreed), at: address(HOME), number: 0 };
                let end = stage.play(&self.steps, &mut outcome);
                outcome.close = end.err().map(|close| (close, stage.model.home, "1-RTT".to_owned()));
            }
            Err(close) => outcome.close = Some((close, address(HOME), "Handshake".to_owned())),
        }
        outcome
    }
}

/// A script under way.
struct Play {
    model: Model,
    /// Where the server is.
    at: SocketAddr,
    number: u64,
}

impl Play {
    fn play(&mut self, steps: &[Step], outcome: &mut Outcome) -> Result<(), Close> {
        for (index, step) in steps.iter().enumerate() {
            match step {
                Step::Says(frames) => self.says(frames, outcome)?,
                Step::IsAt(address) => {
                    self.at = *address;
                    if !steps[index..].iter().any(|step| matches!(step, Step::Says(_))) {
                        self.says(&[wire::PING as u8], outcome)?;
                    }
                }
                Step::IsAsked => self.is_asked(outcome)?,
            }
        }
        Ok(())
    }

    fn says(&mut self, frames: &[u8], outcome: &mut Outcome) -> Result<(), Close> {
        self.number += 1;
        for deed in self.model.on_packet(self.at, self.number, &model::frames(frames)?)? {
            match deed {
                Deed::Tell(what) => outcome.callbacks.push(what),
                Deed::Challenge => {
                    outcome.challenged.push(self.model.home);
                    self.model.challenges_with([7; 8]);
                    if self.model.home == self.at {
                        self.says(&[&[wire::PATH_RESPONSE as u8][..], &[7; 8]].concat(), outcome)?;
                    }
                }
                Deed::Answer(_) | Deed::End => panic!("no script has this: {deed:?}"),
            }
        }
        Ok(())
    }

    /// The client asks until it is answered.
    fn is_asked(&mut self, outcome: &mut Outcome) -> Result<(), Close> {
        for _ in 0..MAX_PROBES {
            if self.model.home == self.at {
                return self.says(&wire::stream_end(0, 0, b"echo"), outcome);
            }
            for deed in self.model.on_probe_timeout()? {
                let Deed::Tell(what) = deed else { panic!("a probe timeout does no more: {deed:?}") };
                outcome.callbacks.push(what);
            }
        }
        Ok(())
    }
}

#[test]
fn the_model_does_what_the_client_was_seen_to_do_in_every_script() {
    let scripts = recorded();
    assert_eq!(scripts.len(), 44);
    for script in scripts {
        assert_eq!(script.play(), script.outcome, "{}", script.name);
    }
}
