//! The server's side of a recorded connection: what it said, from where, and what it waited for.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::forger::Params;
use super::forger::wire::Reader;
use super::scripts::hex;

/// What a packet waited for; it was said so long after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// The server's first packet.
    Start,
    /// The request on this stream.
    Asked(u64),
    /// The first challenge after so many moves.
    Challenged(usize),
    /// The packet before, by its place.
    Said(usize),
    /// The client's first packet from another address.
    Came,
    /// The client's close.
    Closed,
}

/// A packet, or what is left of it when it had two causes.
#[derive(Debug, Clone)]
pub struct Said {
    pub number: u64,
    pub from: SocketAddr,
    pub frames: Vec<Vec<u8>>,
    pub cue: Cue,
    pub after: Duration,
}

/// A request of the client's, a time after the server's first packet.
#[derive(Debug, Clone)]
pub struct Request {
    pub stream: u64,
    pub at: Duration,
    pub data: Vec<u8>,
}

/// All that is known of a connection.
#[derive(Debug, Clone)]
pub struct Recording {
    pub client: String,
    pub server: String,
    /// The server's connection ID.
    pub id: Vec<u8>,
    pub params: Params,
    pub requests: Vec<Request>,
    pub moves: Vec<(Duration, SocketAddr)>,
    /// When the client moves, and to where, if it does.
    pub client_move: Option<(Duration, String)>,
    pub closes_at: Duration,
    pub said: Vec<Said>,
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn time(value: &Value) -> Duration {
    Duration::from_micros(number(value))
}

fn address(value: &Value) -> SocketAddr {
    text(value).parse().expect("an address and a port")
}

impl Recording {
    /// With other frames in place of those of this type.
    pub fn with(mut self, kind: u64, others: &str) -> Self {
        for frame in self.said.iter_mut().flat_map(|said| &mut said.frames) {
            if u64::from(frame[0]) == kind {
                *frame = hex(&others
                    .replace("..", &frame[1..].iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
            }
        }
        self
    }

    /// The types of the frames in the packet at this place.
    pub fn kinds(&self, place: usize) -> Vec<u64> {
        self.said[place].frames.iter().map(|frame| u64::from(frame[0])).collect()
    }

    /// Reads it.
    pub fn read(json: &str) -> Self {
        let data: Value = serde_json::from_str(json).expect("JSON");
        let params = list(&data["parameters"]).fold(Params::default(), |params, entry| {
            let entry = hex(text(entry));
            let mut reader = Reader(&entry);
            let id = reader.varint();
            params.also(id, reader.prefixed())
        });
        let requests = list(&data["requests"]).map(|request| Request {
            stream: number(&request["stream"]),
            at: time(&request["at"]),
            data: text(&request["data"]).as_bytes().to_vec(),
        });
        Self {
            client: text(&data["client"]).to_owned(),
            server: text(&data["server"]).to_owned(),
            id: hex(text(&data["id"])),
            params,
            requests: requests.collect(),
            moves: list(&data["moves"]).map(|moved| (time(&moved["at"]), address(&moved["to"]))).collect(),
            client_move: data["client_moves"]
                .get(0)
                .map(|moved| (time(&moved["at"]), text(&moved["to"]).to_owned())),
            closes_at: time(&data["closes_at"]),
            said: list(&data["said"]).map(Said::read).collect(),
        }
    }
}

impl Said {
    fn read(value: &Value) -> Self {
        let when = &value["when"];
        let index = |key: &str| when.get(key).map(|value| usize::try_from(number(value)).expect("a place"));
        let cue = if let Some(stream) = when.get("asked") {
            Cue::Asked(number(stream))
        } else if let Some(moves) = index("challenged") {
            Cue::Challenged(moves)
        } else if let Some(place) = index("said") {
            Cue::Said(place)
        } else if when.get("came").is_some() {
            Cue::Came
        } else if when.get("closed").is_some() {
            Cue::Closed
        } else {
            Cue::Start
        };
        Self {
            number: number(&value["number"]),
            from: address(&value["from"]),
            frames: list(&value["frames"]).map(|frame| hex(text(frame))).collect(),
            cue,
            after: time(if cue == Cue::Start { &when["at"] } else { &when["us"] }),
        }
    }
}
