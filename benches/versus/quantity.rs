//! What is measured, in which unit.

/// One quantity of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Stream data carried in a second of processor time.
    Speed,
    /// Processor time for one MiB of stream data.
    Cost,
    /// Stream data carried in a second of virtual time.
    Goodput,
    /// Streams in a second of processor time.
    Streams,
    /// Processor time of a request and its response.
    Request,
    /// Unreliable datagrams in a second of processor time.
    Messages,
    /// Handshakes in a second of processor time.
    Handshakes,
    /// Heap of an idle connection at the client.
    ClientHeap,
    /// Heap of an idle connection at the server.
    ServerHeap,
    /// Allocations of both ends for one datagram.
    Allocations,
}

impl Quantity {
    /// Its name for a machine.
    pub fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Cost => "cost",
            Self::Goodput => "goodput",
            Self::Streams => "streams",
            Self::Request => "request",
            Self::Messages => "messages",
            Self::Handshakes => "handshakes",
            Self::ClientHeap => "client-heap",
            Self::ServerHeap => "server-heap",
            Self::Allocations => "allocations",
        }
    }

    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Speed | Self::Goodput => "MiB/s",
            Self::Cost => "µs/MiB",
            Self::Streams => "streams/s",
            Self::Request => "µs/request",
            Self::Messages => "messages/s",
            Self::Handshakes => "handshakes/s",
            Self::ClientHeap | Self::ServerHeap => "kB/connection",
            Self::Allocations => "allocations/datagram",
        }
    }

    /// What the unit leaves open.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Speed | Self::Streams | Self::Messages | Self::Handshakes => "of processor time",
            Self::Cost | Self::Request => "of processor time, less is better",
            Self::Goodput => "of virtual time",
            Self::ClientHeap => "at the client, less is better",
            Self::ServerHeap => "at the server, less is better",
            Self::Allocations => "of both ends, less is better",
        }
    }
}

/// What one run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Each of its quantities.
    pub figures: Vec<(Quantity, f64)>,
    /// Datagrams of both directions.
    pub datagrams: u64,
}

/// A figure with about four digits.
pub fn number(figure: f64) -> String {
    match figure {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        1.0.. => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}
