//! A client and a server of one library, the wire between them, and their time.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::clock::Now;
use super::fault::Fault;
use super::peer::{News, Peer};
use super::terms::Terms;
use super::wire::Wire;

/// So many connections take long enough to show how far they are.
const MANY: usize = 1000;

/// What [`Pair::news`] brings: a connection that is lost is a fault instead.
type NewsOf<P> = News<<P as Peer>::Link, <P as Peer>::Stream>;

/// Both endpoints; the client is the first side.
#[derive(Debug)]
pub struct Pair<P> {
    pub sides: [P; 2],
    pub now: Now,
    /// Datagrams sent so far, both ways.
    pub datagrams: u64,
    wire: Wire,
}

impl<P: Peer> Pair<P> {
    /// Two that do not know each other yet.
    pub fn new(terms: &Terms, wire: Wire) -> Self {
        Self { sides: P::pair(terms), now: Now::from_secs(1), datagrams: 0, wire }
    }

    /// Connects once and lets the wire fall silent; returns the connection's name at each side.
    pub fn connect(&mut self) -> Result<[P::Link; 2], Fault> {
        let client = self.sides[0].connect(self.now);
        let (mut known, mut confirmed) = (None, false);
        let server = loop {
            if let (Some(server), true) = (known, confirmed) {
                break server;
            }
            self.advance()?;
            while let Some(news) = self.news(0)? {
                confirmed |= matches!(news, News::Connected(_));
            }
            while let Some(news) = self.news(1)? {
                if let News::Connected(link) = news {
                    known = Some(link);
                }
            }
        };
        self.fall_silent();
        Ok([client, server])
    }

    /// Carries datagrams until nobody has any to send.
    pub fn fall_silent(&mut self) {
        while self.carry() {}
    }

    /// Connects so often; returns the connections' names at the client.
    pub fn connect_all(&mut self, count: usize) -> Result<Vec<P::Link>, Fault> {
        let bar = if count < MANY { ProgressBar::hidden() } else { ProgressBar::new(count as u64) };
        let style = ProgressStyle::with_template("connecting {bar:40} {pos} of {len}");
        let bar = bar.with_style(style.expect("the template is well-formed"));
        let links = (0..count).map(|_| self.connect().inspect(|_| bar.inc(1)).map(|[client, _]| client));
        let links = links.collect();
        bar.finish_and_clear();
        links
    }

    /// The next thing the application of a side should know.
    ///
    /// # Errors
    ///
    /// A connection is lost.
    pub fn news(&mut self, side: usize) -> Result<Option<NewsOf<P>>, Fault> {
        match self.sides[side].news() {
            Some(News::Lost(reason)) => Err(Fault::Lost(reason)),
            news => Ok(news),
        }
    }

    /// Lets each side send, and the other take in what arrives. Returns whether there was anything.
    fn carry(&mut self) -> bool {
        let sent = self.wire.carry(&mut self.now, &mut self.sides);
        self.datagrams += sent.unwrap_or(0);
        sent.is_some()
    }

    /// The next time at which something happens.
    fn next(&mut self) -> Option<Now> {
        self.sides.iter_mut().filter_map(P::wake).chain(self.wire.due()).min()
    }

    /// It is at least so late now.
    fn reach(&mut self, time: Now) {
        self.now = self.now.max(time);
        for side in &mut self.sides {
            side.expire(self.now);
        }
    }

    /// Carries datagrams; if there are none, time passes instead until something happens.
    ///
    /// # Errors
    ///
    /// Nothing ever will.
    pub fn advance(&mut self) -> Result<(), Fault> {
        if !self.carry() {
            let next = self.next().ok_or(Fault::Silent)?;
            self.reach(next);
        }
        Ok(())
    }

    /// Lets so much time pass while the applications do nothing.
    pub fn rest(&mut self, span: Duration) -> Result<(), Fault> {
        let until = self.now + span;
        loop {
            while self.carry() {}
            for side in [0, 1] {
                while self.news(side)?.is_some() {}
            }
            match self.next().filter(|next| *next <= until) {
                Some(next) => self.reach(next),
                None => break,
            }
        }
        self.reach(until);
        Ok(())
    }
}
