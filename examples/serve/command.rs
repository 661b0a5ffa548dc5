//! What a controller may ask for, read from one line of JSON: strictly, so that a slip of the pen moves no server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use peregrine::{ConnectionId, MigrationTarget, MoveOrder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::complaint::{Complaint, Kind};
use crate::way::Way;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Tell all clients that the server is going to move.
    Prepare {
        /// Which move is meant: the last one, to be answered again, or the next one.
        number: Option<u64>,
        /// What is to be prepared.
        notice: Notice,
    },
    /// The server has moved.
    Relocated {
        /// Which move is meant.
        number: Option<u64>,
        /// Where to listen from now on; `None`: where it does, or on the socket that came along with the process.
        listen: Option<SocketAddr>,
    },
    /// The server does not move after all.
    Cancel {
        /// Which move is meant.
        number: Option<u64>,
    },
    /// How do things stand?
    Status,
    /// Tell what happens from now on.
    Subscribe,
}

/// How a move is to be prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who moves how.
    pub orders: Orders,
    /// Connections that are not ready by then are closed.
    pub deadline: Option<Duration>,
    /// Connections that cannot follow their order are left as they are, not closed.
    pub keep_unfit: bool,
    /// New clients are refused until the move is over, not ignored.
    pub refuse_initials: bool,
    /// Announcements a second after the move; `None`: as many as is usual.
    pub announce_rate: Option<u32>,
}

/// Who moves how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orders {
    /// All in the same way.
    Uniform(MoveOrder),
    /// Each in a way of its own; who is not named is closed.
    PerConnection(BTreeMap<ConnectionId, MoveOrder>),
}

impl Command {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, Complaint> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| Complaint::new(Kind::NotJson, format!("this is no JSON: {error}")))?;
        let no_command =
            || Complaint::new(Kind::NoCommand, r#"say what is to be done, as in {"command":"status"}"#);
        let Value::Object(mut fields) = value else { return Err(no_command()) };
        let Some(Value::String(name)) = fields.remove("command") else { return Err(no_command()) };
        match name.as_str() {
            "prepare" => {
                let fields: Prepare = read(fields)?;
                Ok(Self::Prepare { number: fields.number, notice: fields.notice()? })
            }
            "relocated" => {
                let Relocated { number, listen } = read(fields)?;
                Ok(Self::Relocated { number, listen })
            }
            "cancel" => read(fields).map(|Cancel { number }| Self::Cancel { number }),
            "status" => read(fields).map(|Nothing {}| Self::Status),
            "subscribe" | "events" => read(fields).map(|Nothing {}| Self::Subscribe),
            _ => Err(Complaint::new(
                Kind::UnknownCommand,
                format!("`{name}` is none of prepare, status, relocated, cancel and subscribe"),
            )),
        }
    }
}

fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Complaint> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| bad_field(error.to_string()))
}

fn bad_field(message: impl Into<String>) -> Complaint {
    Complaint::new(Kind::BadField, message)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(rename = "move")]
    number: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Relocated {
    #[serde(rename = "move")]
    number: Option<u64>,
    listen: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prepare {
    #[serde(rename = "move")]
    number: Option<u64>,
    strategy: Option<Way>,
    target: Option<Places>,
    connections: Option<Vec<Named>>,
    deadline_ms: Option<u64>,
    #[serde(default)]
    keep_unfit: bool,
    #[serde(default)]
    refuse_initials: bool,
    announce_rate: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
    strategy: Way,
    target: Option<Places>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a target is an address as in \"10.0.0.2:4433\", or a list of one of each family"
)]
enum Places {
    One(SocketAddr),
    Each(Vec<SocketAddr>),
}

impl Prepare {
    fn notice(self) -> Result<Notice, Complaint> {
        let orders = match (self.strategy, self.connections) {
            (Some(way), None) => Orders::Uniform(order(way, self.target)?),
            (None, Some(named)) if self.target.is_none() => Orders::PerConnection(each(named)?),
            (None, Some(_)) => return Err(bad_field("each connection has a target of its own, or none")),
            (None, None) => return Err(bad_field("missing field `strategy`, or `connections`")),
            (Some(_), Some(_)) => {
                return Err(bad_field("`strategy` is for all connections, `connections` for each: say one"));
            }
        };
        Ok(Notice {
            orders,
            deadline: self.deadline_ms.map(Duration::from_millis),
            keep_unfit: self.keep_unfit,
            refuse_initials: self.refuse_initials,
            announce_rate: self.announce_rate,
        })
    }
}

fn each(named: Vec<Named>) -> Result<BTreeMap<ConnectionId, MoveOrder>, Complaint> {
    let mut orders = BTreeMap::new();
    for Named { id, strategy, target } in named {
        let known = connection_id(&id).ok_or_else(|| bad_field(format!("`{id}` is no connection's id")))?;
        if orders.insert(known, order(strategy, target)?).is_some() {
            return Err(bad_field(format!("`{id}` is named twice")));
        }
    }
    Ok(orders)
}

fn order(way: Way, places: Option<Places>) -> Result<MoveOrder, Complaint> {
    let target = places.map(target).transpose()?;
    way.order(target).ok_or_else(|| match target {
        None => bad_field("missing field `target`: explicit says where to"),
        Some(_) => bad_field(format!("`target` is not for {}: clients are not told", way.name())),
    })
}

fn target(places: Places) -> Result<MigrationTarget, Complaint> {
    let places = match places {
        Places::One(place) => vec![place],
        Places::Each(places) => places,
    };
    target_of(&places).map_err(bad_field)
}

/// The target that is one address, or one of each family.
///
/// # Errors
///
/// What cannot be told to clients.
pub fn target_of(places: &[SocketAddr]) -> Result<MigrationTarget, &'static str> {
    if places.iter().any(|place| place.ip().is_unspecified() || place.port() == 0) {
        return Err("a target has an address and a port, neither of them zero");
    }
    let v4 = |place: &SocketAddr| if let SocketAddr::V4(v4) = place { Some(*v4) } else { None };
    let v6 = |place: &SocketAddr| if let SocketAddr::V6(v6) = place { Some(*v6) } else { None };
    let (v4, v6): (Vec<_>, Vec<_>) =
        (places.iter().filter_map(v4).collect(), places.iter().filter_map(v6).collect());
    if v4.len() > 1 || v6.len() > 1 {
        return Err("a target has one address of each family at most");
    }
    MigrationTarget::new(v4.first().copied(), v6.first().copied()).ok_or("a target has an address")
}

/// Reads the hexadecimal digits of an ID.
fn connection_id(digits: &str) -> Option<ConnectionId> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    ConnectionId::new(&bytes?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &str) -> Kind {
        Command::parse(line.as_bytes()).expect_err(line).kind()
    }

    fn notice(orders: Orders) -> Notice {
        Notice { orders, deadline: None, keep_unfit: false, refuse_initials: false, announce_rate: None }
    }

    #[test]
    fn a_command_is_read_with_all_that_it_says() {
        let target = target_of(&["10.0.0.2:4433".parse().expect("one")]).expect("a target");
        let line = br#"{"command":"prepare","strategy":"explicit","target":"10.0.0.2:4433"}"#;
        let notice_of = notice(Orders::Uniform(MoveOrder::Explicit(target)));
        assert_eq!(Command::parse(line), Ok(Command::Prepare { number: None, notice: notice_of }));

        let line = br#"{"command":"prepare","move":3,"strategy":"pool","deadline_ms":1500,"keep_unfit":true,
            "refuse_initials":true,"announce_rate":100}"#;
        let notice_of = Notice {
            deadline: Some(Duration::from_millis(1500)),
            keep_unfit: true,
            refuse_initials: true,
            announce_rate: Some(100),
            ..notice(Orders::Uniform(MoveOrder::Pool))
        };
        assert_eq!(Command::parse(line), Ok(Command::Prepare { number: Some(3), notice: notice_of }));

        let line = br#"{"command":"relocated","listen":"[::1]:4433"}"#;
        let listen = Some("[::1]:4433".parse().expect("an address"));
        assert_eq!(Command::parse(line), Ok(Command::Relocated { number: None, listen }));
        let line = br#"{"command":"relocated","move":1}"#;
        assert_eq!(Command::parse(line), Ok(Command::Relocated { number: Some(1), listen: None }));
        assert_eq!(Command::parse(br#"{"command":"cancel"}"#), Ok(Command::Cancel { number: None }));
        assert_eq!(Command::parse(br#"{"command":"status"}"#), Ok(Command::Status));
        assert_eq!(Command::parse(br#"{"command":"events"}"#), Ok(Command::Subscribe));
    }

    #[test]
    fn each_connection_may_have_an_order_of_its_own() {
        let line = br#"{"command":"prepare","connections":[{"id":"0102","strategy":"symmetric"},
            {"id":"ff","strategy":"explicit","target":["10.0.0.2:1","[fd00::2]:2"]}]}"#;
        let target =
            target_of(&["10.0.0.2:1".parse().expect("one"), "[fd00::2]:2".parse().expect("another")]);
        let id = |bytes: &[u8]| ConnectionId::new(bytes).expect("short");
        let orders = Orders::PerConnection(BTreeMap::from([
            (id(&[1, 2]), MoveOrder::Symmetric),
            (id(&[255]), MoveOrder::Explicit(target.expect("a target"))),
        ]));
        assert_eq!(Command::parse(line), Ok(Command::Prepare { number: None, notice: notice(orders) }));
    }

    #[test]
    fn what_is_no_command_is_told_apart() {
        for line in ["", "hello", "{", "{\"command\":\"status\"} {}", "\u{1}", &"[".repeat(1000)] {
            assert_eq!(kind(line), Kind::NotJson, "{line}");
        }
        assert_eq!(Command::parse(b"\xff\xfe").expect_err("no text").kind(), Kind::NotJson);
        for line in ["1", "null", "[]", "{}", r#""status""#, r#"{"command":1}"#, r#"{"command":null}"#] {
            assert_eq!(kind(line), Kind::NoCommand, "{line}");
        }
        for line in [r#"{"command":"dance"}"#, r#"{"command":""}"#, r#"{"command":"STATUS"}"#] {
            assert_eq!(kind(line), Kind::UnknownCommand, "{line}");
        }
    }

    #[test]
    fn fields_are_all_there_and_known_and_of_their_types() {
        for fields in [
            "",
            r#","strategy":"swim""#,
            r#","strategy":1"#,
            r#","strategy":"explicit""#,
            r#","strategy":"explicit","target":7"#,
            r#","strategy":"explicit","target":"nowhere""#,
            r#","strategy":"explicit","target":"0.0.0.0:4433""#,
            r#","strategy":"explicit","target":"10.0.0.2:0""#,
            r#","strategy":"explicit","target":[]"#,
            r#","strategy":"explicit","target":["10.0.0.2:1","10.0.0.3:1"]"#,
            r#","strategy":"pool","target":"10.0.0.2:4433""#,
            r#","strategy":"pool","deadline_ms":"soon""#,
            r#","strategy":"pool","deadline_ms":-1"#,
            r#","strategy":"pool","deadline":1"#,
            r#","strategy":"pool","keep_unfit":"yes""#,
            r#","strategy":"pool","announce_rate":4294967296"#,
            r#","strategy":"pool","move":-1"#,
            r#","strategy":"pool","connections":[]"#,
            r#","connections":{}"#,
            r#","connections":[{"strategy":"pool"}]"#,
            r#","connections":[{"id":"01"}]"#,
            r#","connections":[{"id":"0","strategy":"pool"}]"#,
            r#","connections":[{"id":"","strategy":"pool"}]"#,
            r#","connections":[{"id":"zz","strategy":"pool"}]"#,
            r#","connections":[{"id":"+1","strategy":"pool"}]"#,
            r#","connections":[{"id":"01","strategy":"explicit"}]"#,
            r#","connections":[{"id":"01","strategy":"pool"},{"id":"01","strategy":"symmetric"}]"#,
            r#","connections":[],"target":"10.0.0.2:4433""#,
        ] {
            assert_eq!(kind(&format!(r#"{{"command":"prepare"{fields}}}"#)), Kind::BadField, "{fields}");
        }
        for line in [
            r#"{"command":"relocated","listen":1}"#,
            r#"{"command":"relocated","listen":"10.0.0.2"}"#,
            r#"{"command":"relocated","to":"10.0.0.2:1"}"#,
            r#"{"command":"cancel","move":"last"}"#,
            r#"{"command":"status","verbose":true}"#,
            r#"{"command":"subscribe","to":"all"}"#,
        ] {
            assert_eq!(kind(line), Kind::BadField, "{line}");
        }
    }
}
