//! The parts of the work on a packet, and which symbols belong to which.
//!
//! A compiler that puts one function into another moves its time there: the parts are coarse enough to bear that.

/// What a nanosecond was spent on, at both ends together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Cryptography,
    Copies,
    Sending,
    Receiving,
    Allocation,
    Rest,
}

/// What a symbol's name contains, in the order in which it is asked.
const SIGNS: [(&str, Part); 40] = [
    ("ring::", Part::Cryptography),
    ("ring_core", Part::Cryptography),
    ("_aesni", Part::Cryptography),
    ("rustls", Part::Cryptography),
    ("crypto::keys", Part::Cryptography),
    ("mem/mod", Part::Copies),
    ("memmove", Part::Copies),
    ("memcpy", Part::Copies),
    ("memset", Part::Copies),
    ("memcmp", Part::Copies),
    ("malloc", Part::Allocation),
    ("calloc", Part::Allocation),
    ("realloc", Part::Allocation),
    ("free", Part::Allocation),
    ("unlink_chunk", Part::Allocation),
    ("raw_vec", Part::Allocation),
    ("bytes::", Part::Allocation),
    // Peregrine's rooms.
    ("connection::transmit", Part::Sending),
    ("connection::schedule", Part::Sending),
    ("connection::timers", Part::Sending),
    ("packet::writer", Part::Sending),
    ("stream::outbound>::write", Part::Sending),
    ("Endpoint::poll", Part::Sending),
    ("path::validation", Part::Sending),
    ("connection::receive", Part::Receiving),
    ("connection::dispatch", Part::Receiving),
    ("connection::delivery", Part::Receiving),
    ("Endpoint::handle_datagrams", Part::Receiving),
    ("recovery::", Part::Receiving),
    ("stream::", Part::Receiving),
    ("peregrine::frame", Part::Receiving),
    // quinn-proto's.
    ("poll_transmit", Part::Sending),
    ("packet_builder", Part::Sending),
    ("populate_packet", Part::Sending),
    ("send_buffer", Part::Sending),
    ("write_stream_frames", Part::Sending),
    ("can_send", Part::Sending),
    ("pacing", Part::Sending),
    ("quinn_proto::", Part::Receiving),
    ("BTreeMap", Part::Receiving),
];

impl Part {
    /// All, in the order of the picture.
    pub const ALL: [Self; 6] =
        [Self::Cryptography, Self::Copies, Self::Sending, Self::Receiving, Self::Allocation, Self::Rest];

    /// The part that a symbol belongs to.
    pub fn of(symbol: &str) -> Self {
        SIGNS.iter().find(|(sign, _)| symbol.contains(sign)).map_or(Self::Rest, |(_, part)| *part)
    }

    /// What stands in the legend.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cryptography => "cryptography",
            Self::Copies => "copies",
            Self::Sending => "sending",
            Self::Receiving => "receiving and acknowledging",
            Self::Allocation => "allocation",
            Self::Rest => "the rest",
        }
    }
}
