//! A server of mvfst's before our client: it says what was recorded, packet by packet, when its cues come.
//!
//! As recorded are its transport parameters (but for the original destination ID), its connection IDs, its packet numbers
//! with their gaps, its addresses, the order and the bytes of all frames, and the time from each cue to what it says.
//! Rewritten are the data of PATH_RESPONSE and the ranges of ACK frames; where our client challenges before it asks, the
//! two answers that shared a packet are said in two. What the recorded client did not say is answered as everything
//! else: ack-eliciting packets by an ACK after 20 ms, further challenges by ACK, RETIRE_CONNECTION_ID and PATH_RESPONSE.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, CloseReason, Connection, ConnectionEvent, Dir, Instant, MigrationConfig, MigrationEvent,
    StreamEvent, StreamId, VarInt,
};

use super::forger::wire::{self, Heard};
use super::forger::{Draft, Forger, Setup, Space, ids};
use super::recording::{Cue, Recording, Said};
use sim::{App, Conn, Datagram, Link, Outcome, Verdict, World, addr, tls};

const ORIGINAL_DESTINATION_CONNECTION_ID: u64 = 0x00;
/// A tick: half of the recorded round trip.
const TICK: Duration = Duration::from_micros(100);
const ACK_DELAY: Duration = Duration::from_millis(20);
/// Time after the client's close.
const CODA: Duration = Duration::from_millis(500);

/// The client's application: keeps what it is answered.
#[derive(Debug, Default)]
pub struct Asker {
    answers: BTreeMap<StreamId, (Vec<u8>, bool)>,
}

impl App for Asker {
    fn on_connected(&mut self, _: Instant, _: &mut Connection) {}

    fn on_stream(&mut self, _: Instant, connection: &mut Connection, event: StreamEvent) {
        let StreamEvent::Readable { id } = event else { return };
        let Some(mut stream) = connection.recv(id) else { return };
        let (answer, ended) = self.answers.entry(id).or_default();
        let mut buffer = [0; 100];
        loop {
            match stream.read(&mut buffer) {
                Ok(Some(len)) => answer.extend(&buffer[..len]),
                Ok(None) => return *ended = true,
                Err(_) => return,
            }
        }
    }

    fn on_closed(&mut self, _: &CloseReason) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _: Instant, _: &mut Connection) {}

    fn outcome(&self) -> Outcome {
        Outcome::Running
    }
}

/// What our client sent, from where and to where.
type Tape = Rc<RefCell<VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>>>;

/// The server, and the world with our client in it.
pub struct Server {
    pub world: World,
    pub conn: Conn,
    recording: Recording,
    forger: Forger,
    tape: Tape,
    /// Where it is, and how often it has moved.
    at: SocketAddr,
    moves: usize,
    /// Where the client is.
    client: SocketAddr,
    client_moved: bool,
    /// When it said its first packet.
    start: Option<Instant>,
    /// By place: when each packet was said, and how often it had moved.
    said: BTreeMap<usize, (Instant, usize)>,
    /// When cues came.
    cues: Vec<(Cue, Instant)>,
    asked: usize,
    /// Challenges to be answered, and when.
    challenges: VecDeque<([u8; 8], Instant)>,
    /// Challenges heard: when, and how often it had moved.
    challenged: Vec<(Instant, usize)>,
    /// Numbers of packets with PATH_RESPONSE, and how often it had moved.
    answered: Vec<(u64, usize)>,
    /// The client's ID in use, by its number.
    client_id: u64,
    last_number: Option<u64>,
    ack_due: Option<Instant>,
    closed: bool,
}

impl Server {
    /// Before a client of ours that offers this and has said hello.
    pub fn before(recording: Recording, offer: MigrationConfig) -> Self {
        let mut world = World::new();
        world.links(Link::delay(TICK));
        let tape = Tape::default();
        let sent = Rc::clone(&tape);
        let client = addr(&recording.client);
        let later = recording.client_move.as_ref().map(|(_, to)| addr(to));
        world.tap(move |_, Datagram { from, to, payload, .. }| {
            if *from == client || Some(*from) == later {
                sent.borrow_mut().push_back((*from, *to, payload.clone()));
            }
            Verdict::Pass
        });
        let host = world.client(&recording.client);
        let config = ClientConfig::new(tls::client()).migration(offer).expect("an offer that can be");
        let conn = world.connect_with(host, &recording.server, Arc::new(config), Asker::default());
        let hello = tape.borrow().front().expect("a client says hello").2.clone();
        let (params, (dcid, _)) = (recording.params.clone(), ids(&hello));
        let mut setup =
            Setup::params(move |_| params.clone().bytes(ORIGINAL_DESTINATION_CONNECTION_ID, &dcid));
        setup.scid.clone_from(&recording.id);
        let mut forger = Forger::server(&setup, &hello);
        forger.number_from(recording.said[0].number);
        let at = addr(&recording.server);
        Self {
            world,
            conn,
            recording,
            forger,
            tape,
            at,
            moves: 0,
            client,
            client_moved: false,
            start: None,
            said: BTreeMap::new(),
            cues: Vec::new(),
            asked: 0,
            challenges: VecDeque::new(),
            challenged: Vec::new(),
            answered: Vec::new(),
            client_id: 0,
            last_number: None,
            ack_due: None,
            closed: false,
        }
    }

    /// Plays the whole recording.
    pub fn play(&mut self) {
        while self.start.is_none_or(|start| self.world.now() < start + self.recording.closes_at + CODA) {
            assert!(self.world.now() < Instant::ZERO + Duration::from_secs(10), "it does not come to an end");
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.world.run_for(TICK);
        let sent = std::mem::take(&mut *self.tape.borrow_mut());
        for (from, to, datagram) in sent {
            if to == self.at {
                self.hears(from, &datagram);
            }
        }
        for space in [Space::Initial, Space::Handshake] {
            for datagram in self.forger.flush(space) {
                self.sends(self.at, datagram);
            }
        }
        if self.start.is_none() && self.forger.can_speak(Space::OneRtt) && self.client_is_done() {
            self.start = Some(self.world.now());
            self.cues.push((Cue::Start, self.world.now()));
        }
        let Some(start) = self.start else { return };
        self.moves_and_asks(start);
        self.speaks();
    }

    fn client_is_done(&self) -> bool {
        self.forger.crypto_read(Space::Handshake) > 0
    }

    /// What the recorded applications did by themselves.
    fn moves_and_asks(&mut self, start: Instant) {
        let now = self.world.now();
        if let Some((at, to)) = self.recording.moves.get(self.moves)
            && start + *at <= now
        {
            self.at = *to;
            self.moves += 1;
        }
        if let Some(request) = self.recording.requests.get(self.asked)
            && start + request.at <= now
            && self.world.is_connected(self.conn)
        {
            let request = request.clone();
            self.asked += 1;
            self.world.with(self.conn, |_, connection| {
                let id = connection.open(Dir::Bi).expect("it is permitted");
                assert_eq!(id.into_inner(), request.stream);
                let mut stream = connection.send(id).expect("it is open");
                assert_eq!(stream.write(&request.data), Ok(request.data.len()));
                stream.finish().expect("it is open");
            });
        }
        if let Some((at, to)) = self.recording.client_move.clone()
            && !self.client_moved
            && start + at <= now
        {
            self.client_moved = true;
            self.world.rebind(self.conn, &to).expect("it may move");
        }
        if !self.closed && start + self.recording.closes_at <= now {
            self.closed = true;
            self.world.with(self.conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
        }
    }

    // ---- listening ----------------------------------------------------------------------------

    fn hears(&mut self, from: SocketAddr, datagram: &[u8]) {
        let now = self.world.now();
        let known = self.forger.heard.len();
        self.forger.take(datagram);
        let heard: Vec<_> = self.forger.heard[known..].to_vec();
        if from != self.client {
            // It closes when a client comes with nothing but probing frames.
            assert!(heard.iter().any(|(_, frame)| !is_probing(frame)), "{heard:?} is no way to move");
            self.client = from;
            self.cues.push((Cue::Came, now));
        }
        for (_, frame) in heard.iter().filter(|(space, _)| *space == Space::OneRtt) {
            if frame.elicits() {
                self.ack_due.get_or_insert(now + ACK_DELAY);
            }
            match frame.kind {
                wire::STREAM_FIN => self.cues.push((Cue::Asked(frame.words[0]), now)),
                wire::PATH_CHALLENGE => {
                    self.challenged.push((now, self.moves));
                    self.cues.push((Cue::Challenged(self.moves), now));
                    self.challenges.push_back((data_of(frame), now));
                }
                wire::APPLICATION_CLOSE => self.cues.push((Cue::Closed, now)),
                _ => {}
            }
        }
    }

    /// When a cue came first.
    fn came(&self, cue: Cue) -> Option<Instant> {
        match cue {
            Cue::Said(place) => self.said.get(&place).map(|(at, _)| *at),
            cue => self.cues.iter().find(|(known, _)| *known == cue).map(|(_, at)| *at),
        }
    }

    // ---- speaking -----------------------------------------------------------------------------

    /// Says what is due.
    fn speaks(&mut self) {
        let now = self.world.now();
        for place in 0..self.recording.said.len() {
            let said = &self.recording.said[place];
            let due = self.came(said.cue).is_some_and(|came| came + said.after <= now);
            if due && !self.said.contains_key(&place) {
                let said = said.clone();
                self.said.insert(place, (now, self.moves));
                self.says(&said);
            }
        }
        // The recording answers one challenge after each move; more are answered alike.
        let (moves, answered) = (self.moves, self.answered.iter().any(|(_, moves)| *moves == self.moves));
        let unrecorded = moves == 0 || answered;
        if unrecorded && !self.challenges.is_empty() {
            let retire = wire::words(&[wire::RETIRE_CONNECTION_ID, self.client_id]);
            let answer = [&[wire::PATH_RESPONSE as u8][..], &[0; 8]].concat();
            let frames = vec![vec![wire::ACK as u8], retire, answer];
            let number = self.last_number.expect("it has spoken") + 1;
            self.says(&Said { number, from: self.at, frames, cue: Cue::Start, after: Duration::ZERO });
        }
        if self.ack_due.is_some_and(|at| at <= now) {
            let number = self.last_number.expect("it has spoken") + 1;
            let frames = vec![vec![wire::ACK as u8]];
            self.says(&Said { number, from: self.at, frames, cue: Cue::Start, after: Duration::ZERO });
        }
    }

    /// Says a packet, with what must be rewritten in it.
    fn says(&mut self, said: &Said) {
        let mut payload = Vec::new();
        let next = self.last_number.map_or(said.number, |last| last + 1);
        let number = said.number.max(next);
        for frame in &said.frames {
            match u64::from(frame[0]) {
                wire::ACK => {
                    payload.extend(self.forger.ack_of_all(Space::OneRtt));
                    self.ack_due = None;
                }
                wire::PATH_RESPONSE => {
                    let (data, _) = self.challenges.pop_front().expect("somebody asked");
                    payload.extend([&[wire::PATH_RESPONSE as u8][..], &data].concat());
                    self.answered.push((number, self.moves));
                    let next = self.forger.ids.range(self.client_id + 1..).next();
                    let (sequence, id) = next.expect("the client has issued enough of them");
                    (self.client_id, self.forger.dcid) = (*sequence, id.clone());
                }
                _ => payload.extend(frame),
            }
        }
        if payload.is_empty() {
            return;
        }
        self.last_number = Some(number);
        let draft = Draft { number: Some(number), ..Draft::new(&payload) };
        let datagram = self.forger.seal_small(Space::OneRtt, draft);
        self.sends(said.from, datagram);
    }

    fn sends(&mut self, from: SocketAddr, datagram: Vec<u8>) {
        self.world.inject(Datagram::new(from, self.client, datagram));
    }

    // ---- what came of it ----------------------------------------------------------------------

    /// Everything recorded was said, our client has followed each move and was answered, and the server knows it.
    #[track_caller]
    pub fn was_followed(&self) {
        let unsaid: Vec<_> =
            (0..self.recording.said.len()).filter(|place| !self.said.contains_key(place)).collect();
        assert!(
            unsaid.is_empty(),
            "never said: {unsaid:?} of {:?}\n{:?}",
            self.recording.said,
            self.said().collect::<Vec<_>>()
        );
        let completed = self.said().filter_map(|event| match event {
            MigrationEvent::Completed { address, .. } => address,
            _ => None,
        });
        let places: Vec<_> = self.recording.moves.iter().map(|(_, to)| *to).collect();
        assert_eq!(completed.collect::<Vec<_>>(), places);
        let app = self.world.app::<Asker>(self.conn);
        let answers: Vec<_> = app.answers.values().cloned().collect();
        let echoes =
            self.recording.requests.iter().map(|request| ([b"echo ", &*request.data].concat(), true));
        assert_eq!(answers, echoes.collect::<Vec<_>>());
        for moves in 1..=places.len() {
            let mut answers = self.answered.iter().filter(|(_, after)| *after == moves);
            assert!(answers.any(|(number, _)| self.is_acknowledged(*number)), "move {moves} is not over");
        }
        let closed = self.world.closed(self.conn);
        assert!(matches!(closed, Some(CloseReason::Local { .. })), "{closed:?}");
    }

    fn is_acknowledged(&self, number: u64) -> bool {
        self.forger.heard.iter().any(|(_, frame)| frame.acknowledges(number))
    }

    /// How many datagrams it could not read.
    pub fn unreadable(&self) -> usize {
        self.forger.unreadable.len()
    }

    /// How many of our client's IDs it keeps: those it was given, but for those before the one in use.
    pub fn kept_ids(&self) -> u64 {
        self.forger.ids.len() as u64 + 1 - self.client_id
    }

    /// How many challenges came while a move was announced and not done.
    pub fn challenges_too_early(&self) -> usize {
        let announces = |place: &usize| self.recording.kinds(*place).contains(&wire::SERVER_MIGRATION);
        let announced: Vec<_> =
            self.said.iter().filter(|(place, _)| announces(place)).map(|(_, when)| when).collect();
        let early = |(at, moves): &&(Instant, usize)| {
            announced.iter().any(|(since, before)| at >= since && moves == before)
        };
        self.challenged.iter().filter(early).count()
    }

    /// What our client said of the server's moves.
    pub fn said(&self) -> impl Iterator<Item = MigrationEvent> {
        self.world.at(self.conn.host).said(self.conn.handle).filter_map(|(_, event)| match event {
            ConnectionEvent::Migration(event) => Some(*event),
            _ => None,
        })
    }
}

/// Whether a frame says no more than that a path exists (RFC 9000, Section 9.1).
fn is_probing(frame: &Heard) -> bool {
    matches!(frame.kind, wire::PATH_CHALLENGE | wire::PATH_RESPONSE | wire::NEW_CONNECTION_ID)
}

fn data_of(frame: &Heard) -> [u8; 8] {
    frame.data.as_slice().try_into().expect("eight bytes")
}
