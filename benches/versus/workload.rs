//! What the applications of both ends do, and what a run of it came to.

use std::time::Duration;

use super::clock::{Now, Processor};
use super::content::{Inbox, Look, Supply, beginning};
use super::fault::Fault;
use super::pair::Pair;
use super::peer::{News, Peer, Way};
use super::terms::Terms;
use super::wire::Wire;

/// How long the sides have to finish their handshake over a long wire, or their search for larger datagrams.
const PAUSE: Duration = Duration::from_secs(1);

/// Which side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The client does.
    Up,
    /// The server does.
    Down,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Processor time of both ends together.
    pub spent: Duration,
    /// Virtual time that passed.
    pub passed: Duration,
    /// Datagrams of both directions.
    pub datagrams: u64,
}

/// The clocks of a run that has begun.
struct Begun {
    processor: Processor,
    now: Now,
    datagrams: u64,
}

impl Begun {
    fn with<P>(pair: &Pair<P>) -> Self {
        Self { processor: Processor::start(), now: pair.now, datagrams: pair.datagrams }
    }

    fn end<P>(&self, pair: &Pair<P>) -> Outcome {
        let spent = self.processor.spent();
        Outcome { spent, passed: pair.now - self.now, datagrams: pair.datagrams - self.datagrams }
    }
}

/// One stream carries bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    /// Length of the stream.
    pub mib: u64,
    /// Who sends.
    pub direction: Direction,
}

impl Bulk {
    /// Length of the stream in bytes.
    pub fn bytes(&self) -> u64 {
        self.mib << 20
    }

    /// On a new connection over a short wire.
    pub fn run<P: Peer>(&self, terms: &Terms, look: Look) -> Result<Outcome, Fault> {
        let mut pair = Pair::<P>::new(terms, Wire::Short);
        let links = pair.connect()?;
        self.carry(&mut pair, links, look)
    }

    /// On a new connection over a long wire, whose losses follow from `seed`.
    pub fn run_far<P: Peer>(&self, terms: &Terms, seed: u64, look: Look) -> Result<Outcome, Fault> {
        let mut pair = Pair::<P>::new(terms, Wire::long(seed));
        let links = pair.connect()?;
        pair.rest(PAUSE)?;
        self.carry(&mut pair, links, look)
    }

    /// On a new connection over a short wire, each side of which has searched its path for larger datagrams before.
    pub fn run_searched<P: Peer>(&self, terms: &Terms, look: Look) -> Result<Outcome, Fault> {
        let mut pair = Pair::<P>::new(terms, Wire::Short);
        let links = pair.connect()?;
        pair.rest(PAUSE)?;
        self.carry(&mut pair, links, look)
    }

    /// On a connection that there is.
    pub fn carry<P: Peer>(
        &self,
        pair: &mut Pair<P>,
        links: [P::Link; 2],
        look: Look,
    ) -> Result<Outcome, Fault> {
        let (from, to) = match self.direction {
            Direction::Up => (0, 1),
            Direction::Down => (1, 0),
        };
        let (mut supply, mut inbox) = (Supply::new(self.bytes()), Inbox::<P>::new(look, self.bytes()));
        let begun = Begun::with(pair);
        let stream = pair.sides[from].open(links[from], Way::One).expect("one stream is permitted");
        let mut is_written = supply.pour(&mut pair.sides[from], links[from], stream);
        let mut has_ended = false;
        while !has_ended {
            pair.advance()?;
            while let Some(news) = pair.news(from)? {
                if matches!(news, News::Writable(..)) && !is_written {
                    is_written = supply.pour(&mut pair.sides[from], links[from], stream);
                }
            }
            while let Some(news) = pair.news(to)? {
                if let News::Readable(link, stream) = news {
                    has_ended |= inbox.read(&mut pair.sides[to], link, stream)?;
                }
            }
        }
        let outcome = begun.end(pair);
        arrived(inbox.received, self.bytes())?;
        Ok(outcome)
    }
}

fn arrived(received: u64, expected: u64) -> Result<(), Fault> {
    if received == expected { Ok(()) } else { Err(Fault::Length { received, expected }) }
}

/// Unreliable datagrams from the client to the server, one after the other as fast as they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Messages {
    /// How many.
    pub total: u64,
    /// Bytes of each.
    pub len: usize,
}

impl Messages {
    /// On a new connection over a short wire, which loses none.
    pub fn run<P: Peer>(&self, terms: &Terms, look: Look) -> Result<Outcome, Fault> {
        let mut pair = Pair::<P>::new(terms, Wire::Short);
        let [client, server] = pair.connect()?;
        let message = beginning(self.len);
        let begun = Begun::with(&pair);
        let (mut sent, mut received, mut wrong) = (0, 0, None);
        while received < self.total {
            while sent < self.total && pair.sides[0].send_datagram(client, &message) {
                sent += 1;
            }
            pair.advance()?;
            for side in [0, 1] {
                while pair.news(side)?.is_some() {}
            }
            pair.sides[1].receive_datagrams(server, |data| {
                match look {
                    Look::Glance => {
                        std::hint::black_box((data.first(), data.last()));
                    }
                    Look::Compare if data == message => {}
                    Look::Compare => wrong = wrong.or(Some(received)),
                }
                received += 1;
            });
        }
        let outcome = begun.end(&pair);
        match wrong {
            Some(at) => Err(Fault::Corrupt { at }),
            None => arrived(received, self.total).map(|()| outcome),
        }
    }
}

/// Requests and responses, each on a bidirectional stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    /// Connections.
    pub links: usize,
    /// Streams that each connection has open at a time.
    pub at_a_time: usize,
    /// Requests on all connections together.
    pub total: usize,
    /// Bytes of a request.
    pub request: usize,
    /// Bytes of a response.
    pub response: usize,
}

impl Requests {
    /// On new connections over a short wire; making them is no part of what is measured.
    pub fn run<P: Peer>(&self, terms: &Terms, look: Look) -> Result<Outcome, Fault> {
        let mut pair = Pair::<P>::new(terms, Wire::Short);
        let links = pair.connect_all(self.links)?;
        let [mut answers, mut questions] =
            [self.response, self.request].map(|len| Inbox::<P>::new(look, len as u64));
        let begun = Begun::with(&pair);
        // Connections that may ask once more, as often as they stand here.
        let mut turns: Vec<P::Link> =
            links.iter().copied().cycle().take(self.links * self.at_a_time).collect();
        let mut waiting = Vec::new();
        let (mut asked, mut answered) = (0, 0);
        while answered < self.total {
            while asked < self.total
                && let Some(link) = turns.pop()
            {
                if self.ask(&mut pair.sides[0], link) {
                    asked += 1;
                } else {
                    waiting.push(link);
                }
            }
            turns.append(&mut waiting);
            pair.advance()?;
            while let Some(news) = pair.news(1)? {
                if let News::Readable(link, stream) = news
                    && questions.read(&mut pair.sides[1], link, stream)?
                {
                    say(&mut pair.sides[1], link, stream, self.response);
                }
            }
            while let Some(news) = pair.news(0)? {
                if let News::Readable(link, stream) = news
                    && answers.read(&mut pair.sides[0], link, stream)?
                {
                    answered += 1;
                    turns.push(link);
                }
            }
        }
        let outcome = begun.end(&pair);
        arrived(questions.received, (self.request * self.total) as u64)?;
        arrived(answers.received, (self.response * self.total) as u64)?;
        Ok(outcome)
    }

    /// Sends a request on a new stream; false if the server does not permit one now.
    fn ask<P: Peer>(&self, client: &mut P, link: P::Link) -> bool {
        let Some(stream) = client.open(link, Way::Both) else { return false };
        say(client, link, stream, self.request);
        true
    }
}

/// Writes a short message and ends the stream.
fn say<P: Peer>(peer: &mut P, link: P::Link, stream: P::Stream, len: usize) {
    let mut message = beginning(len);
    peer.write(link, stream, &mut message);
    assert!(message.is_empty(), "a short message fits");
    peer.finish(link, stream);
}

/// Full handshakes one after the other, each until nobody has anything left to say.
pub fn handshakes<P: Peer>(terms: &Terms, count: u32) -> Result<Outcome, Fault> {
    let mut pair = Pair::<P>::new(terms, Wire::Short);
    pair.connect()?;
    let begun = Begun::with(&pair);
    for _ in 0..count {
        pair.connect()?;
    }
    Ok(begun.end(&pair))
}

/// Resumed handshakes one after the other, each with an early request and its response, until nobody has anything left
/// to say.
pub fn early_requests<P: Peer>(terms: &Terms, count: u32, look: Look) -> Result<Outcome, Fault> {
    const REQUEST: usize = 256;
    const RESPONSE: usize = 1024;
    let mut pair = Pair::<P>::new(terms, Wire::Short);
    pair.connect()?;
    let [mut answers, mut questions] = [RESPONSE, REQUEST].map(|len| Inbox::<P>::new(look, len as u64));
    let begun = Begun::with(&pair);
    for _ in 0..count {
        let link = pair.sides[0].connect(pair.now);
        let stream = pair.sides[0].open(link, Way::Both).ok_or(Fault::Late)?;
        say(&mut pair.sides[0], link, stream, REQUEST);
        let (mut is_asked, mut is_answered, mut is_known) = (false, false, false);
        while !(is_answered && is_known) {
            pair.advance()?;
            while let Some(news) = pair.news(1)? {
                match news {
                    News::Readable(link, stream) => {
                        if questions.read(&mut pair.sides[1], link, stream)? {
                            is_asked = true;
                            say(&mut pair.sides[1], link, stream, RESPONSE);
                        }
                    }
                    News::Connected(_) if !is_asked => return Err(Fault::Late),
                    News::Connected(_) => is_known = true,
                    News::Writable(..) | News::MayOpen(_) | News::Lost(_) => {}
                }
            }
            while let Some(news) = pair.news(0)? {
                if let News::Readable(link, stream) = news {
                    is_answered |= answers.read(&mut pair.sides[0], link, stream)?;
                }
            }
        }
        pair.fall_silent();
    }
    let outcome = begun.end(&pair);
    arrived(questions.received, REQUEST as u64 * u64::from(count))?;
    arrived(answers.received, RESPONSE as u64 * u64::from(count))?;
    Ok(outcome)
}
