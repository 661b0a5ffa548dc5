//! The network between client and server: it delivers in any order, and within its means it withholds, copies and forges.

use std::net::SocketAddr;

use smallvec::SmallVec;

/// Where datagrams come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Where the client is.
    Client,
    /// Where the server begins.
    Home,
    /// Where it moves to.
    Away,
    /// Where it moves to from there.
    Beyond,
    /// Where somebody sits who copies datagrams, and answers nothing.
    Elsewhere,
}

impl Place {
    const ALL: [Self; 5] = [Self::Client, Self::Home, Self::Away, Self::Beyond, Self::Elsewhere];

    pub fn address(self) -> SocketAddr {
        SocketAddr::from(([20, 0, 0, self as u8], 443))
    }

    pub fn at(address: SocketAddr) -> Self {
        Self::ALL.into_iter().find(|place| place.address() == address).expect("every address is a place's")
    }
}

/// Packet numbers: nobody sends more than 128 packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Numbers(u128);

impl Numbers {
    pub fn insert(&mut self, number: u8) {
        assert!(number < 128, "the model's packet numbers ran out");
        self.0 |= 1 << number;
    }

    pub fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    /// Whether any is missing below the largest.
    pub fn have_gap(self) -> bool {
        self.0 & self.0.wrapping_add(1) != 0
    }

    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

/// What the model knows of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frame {
    /// All that was received so far.
    Ack(Numbers),
    Ping,
    /// The client's request.
    Request,
    Challenge {
        data: u8,
    },
    Response {
        data: u8,
    },
    /// SERVER_MIGRATION with a target.
    MoveTo(Place),
    /// SERVER_MIGRATION without one.
    Announce,
    Migrated,
    PoolAddress(Place),
}

/// A datagram of one packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    pub from: Place,
    pub to: Place,
    pub number: u8,
    pub frames: SmallVec<[Frame; 3]>,
}

impl Packet {
    /// Whether it is more than an answer, or a question.
    pub fn says_more(&self) -> bool {
        self.frames.iter().any(|frame| !matches!(frame, Frame::Ack(_) | Frame::Ping))
    }

    pub fn is_ack_eliciting(&self) -> bool {
        self.frames.iter().any(|frame| !matches!(frame, Frame::Ack(_)))
    }
}

const ONE: &str = "what happens to a packet happens to one that is there";

/// What is on its way. Lost is what is withheld and never released.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Network {
    /// Arrives before time goes on, in any order.
    flying: Vec<Packet>,
    /// Arrives within so many ticks, or never.
    withheld: Vec<(Packet, u8)>,
}

impl Network {
    pub fn send(&mut self, packets: impl IntoIterator<Item = Packet>) {
        self.flying.extend(packets);
        self.flying.sort_unstable();
    }

    /// Takes a packet that flies, to be delivered.
    pub fn take(&mut self, packet: &Packet) {
        let at = self.flying.iter().position(|known| known == packet).expect(ONE);
        self.flying.remove(at);
    }

    pub fn withhold(&mut self, packet: Packet, ticks: u8) {
        self.take(&packet);
        self.keep(packet, ticks);
    }

    /// Keeps a copy of a packet that flies.
    pub fn keep(&mut self, copy: Packet, ticks: u8) {
        self.withheld.push((copy, ticks));
        self.withheld.sort_unstable();
    }

    pub fn release(&mut self, packet: Packet) {
        let at = self.withheld.iter().position(|(known, _)| *known == packet).expect(ONE);
        self.withheld.remove(at);
        self.send([packet]);
    }

    /// What is too late now never comes.
    pub fn tick(&mut self) {
        self.withheld.retain_mut(|(_, ticks)| {
            *ticks -= 1;
            *ticks > 0
        });
    }

    pub fn flying(&self) -> &[Packet] {
        &self.flying
    }

    pub fn withheld(&self) -> impl Iterator<Item = &Packet> {
        self.withheld.iter().map(|(packet, _)| packet)
    }
}
