//! Who is where in a storm.

use std::net::SocketAddr;

use peregrine::MigrationTarget;

use sim::addr;

/// Where a server may be: at home, and at two other places.
const V4: [&str; 3] = ["20.0.0.1:443", "20.0.9.1:443", "20.0.9.2:443"];
const V6: [&str; 3] = ["[2a00::1]:443", "[2a00:9::1]:443", "[2a00:9::2]:443"];
/// Where somebody sends copies from.
const STRANGERS: [&str; 2] = ["40.0.0.6:443", "[2a40::6]:443"];
/// What the world sees of clients behind a translator, before it forgets and after.
pub const PUBLIC: [&str; 2] = ["30.0.9.9", "30.0.9.8"];

/// The addresses of one family.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// IPv6, not IPv4.
    pub v6: bool,
    /// Whether clients stand behind a translator.
    pub translated: bool,
}

impl Places {
    /// Where the server is at this place.
    pub fn server(self, place: usize) -> &'static str {
        if self.v6 { V6[place] } else { V4[place] }
    }

    /// Everywhere that the server may be.
    pub fn servers(self) -> [SocketAddr; 3] {
        [0, 1, 2].map(|place| addr(self.server(place)))
    }

    /// What a client is told of that place.
    pub fn target(self, place: usize, dual: bool) -> MigrationTarget {
        both(if dual { [V4[place], V6[place]] } else { [self.server(place); 2] })
    }

    /// What a client is told of a place where nobody is.
    pub fn nowhere(self, number: usize, dual: bool) -> MigrationTarget {
        let (v4, v6) = (format!("20.0.5.{number}:443"), format!("[2a00:5::{number}]:443"));
        match (dual, self.v6) {
            (true, _) => both([&v4, &v6]),
            (false, true) => both([&v6; 2]),
            (false, false) => both([&v4; 2]),
        }
    }

    /// Where a client is when it has moved so often.
    pub fn client(self, number: usize, moved: usize) -> String {
        let number = number + 1;
        match (self.v6, self.translated) {
            (true, _) => format!("[2b00::{moved}:{number}]:5000"),
            (false, true) => format!("10.0.{moved}.{number}:5000"),
            (false, false) => format!("30.0.{moved}.{number}:5000"),
        }
    }

    /// Where somebody sends copies from.
    pub fn stranger(self) -> &'static str {
        STRANGERS[usize::from(self.v6)]
    }
}

fn both(endpoints: [&str; 2]) -> MigrationTarget {
    let find = |v4: bool| endpoints.iter().map(|text| addr(text)).find(|address| address.is_ipv4() == v4);
    let v4 = match find(true) {
        Some(SocketAddr::V4(v4)) => Some(v4),
        Some(SocketAddr::V6(_)) | None => None,
    };
    let v6 = match find(false) {
        Some(SocketAddr::V6(v6)) => Some(v6),
        Some(SocketAddr::V4(_)) | None => None,
    };
    MigrationTarget::new(v4, v6).expect("a whole endpoint")
}
