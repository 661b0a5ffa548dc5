//! Whatever the wire does, what is written on one side is read on the other.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn byte_at(id: StreamId, offset: usize) -> u8 {
    (offset as u64 * 7 + id.into_inner() * 13 + (offset as u64 >> 8)).to_le_bytes()[0]
}

/// One end: its streams, what it has written and read on each, and its packets under way.
struct End {
    streams: Streams,
    written: BTreeMap<StreamId, usize>,
    read: BTreeMap<StreamId, (Vec<u8>, bool)>,
    flight: Vec<Sent>,
}

impl End {
    fn new(side: Side) -> Self {
        let limits = StreamLimits { max_bidi: 8, max_uni: 8, receive_window: 40_000, ..LIMITS };
        let limits = StreamLimits { stream_receive_window: 15_000, send_buffer: 30_000, ..limits };
        let (written, read) = (BTreeMap::new(), BTreeMap::new());
        Self { streams: streams(side, limits, limits), written, read, flight: Vec::new() }
    }

    fn open(&mut self, dir: Dir) {
        if let Some(id) = self.streams.open(dir) {
            self.written.insert(id, 0);
            if dir == Dir::Bi {
                self.read.insert(id, (Vec::new(), false));
            }
        }
    }

    fn write(&mut self, n: usize, len: usize) {
        let Some((id, written)) = self.written.iter_mut().nth(n) else { return };
        let Some(mut stream) = self.streams.send(*id) else { return };
        let text: Vec<u8> = (*written..*written + len).map(|offset| byte_at(*id, offset)).collect();
        let taken = if n < 4 { stream.write(&text) } else { stream.write_chunk(&mut Bytes::from(text)) };
        *written += taken.unwrap_or(0);
    }

    fn finish(&mut self, n: usize) {
        if let Some(id) = self.written.keys().nth(n) {
            self.streams.send(*id).and_then(|mut stream| stream.finish().ok());
        }
    }

    fn read(&mut self) {
        while self.streams.poll_event().is_some() {}
        for dir in [Dir::Bi, Dir::Uni] {
            while let Some(id) = self.streams.accept(dir) {
                self.read.insert(id, (Vec::new(), false));
                if dir == Dir::Bi {
                    self.written.insert(id, 0);
                }
            }
        }
        for (id, (bytes, ended)) in &mut self.read {
            let (more, end) = read(&mut self.streams, *id);
            bytes.extend(more);
            *ended |= end;
        }
    }

    fn send(&mut self, size: usize) {
        self.flight.extend(send(&mut self.streams, size));
    }

    /// A packet of this end arrives at the other, which may not learn of it, or is lost, which may not be true.
    fn resolve(
        &mut self,
        other: &mut Self,
        n: usize,
        arrives: bool,
        acked: bool,
    ) -> Result<(), TransportError> {
        if self.flight.is_empty() {
            return Ok(());
        }
        let sent = self.flight.swap_remove(n % self.flight.len());
        if arrives {
            receive(&mut other.streams, &sent.payload)?;
        }
        if arrives && acked {
            ack(&mut self.streams, &sent)
        } else {
            lose(&mut self.streams, &sent)
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(ops in prop::collection::vec((0u8..10, any::<bool>(), 0usize..8, 1usize..9000), 0..300)) {
        let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
        for (op, swap, n, len) in ops {
            let (one, other) = if swap { (&mut server, &mut client) } else { (&mut client, &mut server) };
            match op {
                0 => one.open(if n % 2 == 0 { Dir::Bi } else { Dir::Uni }),
                1 | 2 => one.write(n, len),
                3 => one.finish(n),
                4 => one.read(),
                5 | 6 => one.send(100 + len % 1400),
                _ => prop_assert_eq!(one.resolve(other, n, op != 7, op != 8), Ok(())),
            }
        }
        // Now the wire is kind: everything is finished, and arrives.
        for _ in 0..60 {
            for swap in [false, true] {
                let (one, other) = if swap { (&mut server, &mut client) } else { (&mut client, &mut server) };
                (0..40).for_each(|n| one.finish(n));
                (0..50).for_each(|_| one.send(1200));
                while !one.flight.is_empty() {
                    prop_assert_eq!(one.resolve(other, 0, true, true), Ok(()));
                }
                one.read();
                other.read();
            }
        }
        for (from, to) in [(&client, &server), (&server, &client)] {
            for (id, written) in &from.written {
                let expected: Vec<u8> = (0..*written).map(|offset| byte_at(*id, offset)).collect();
                let (bytes, ended) = to.read.get(id).cloned().unwrap_or_default();
                prop_assert!(bytes == expected && ended, "stream {}: {} of {}", id, bytes.len(), written);
            }
            prop_assert!(from.streams.slots.is_empty() && !from.streams.is_receiving());
            prop_assert_eq!(from.streams.shared.limits.window().waiting(), 0);
        }
    }

    #[test]
    fn arbitrary_frames_never_panic(frames in prop::collection::vec((0u8..9, 0u64..64, any::<u64>(), 0usize..40), 0..200)) {
        let mut server = server();
        server.open(Dir::Bi);
        server.open(Dir::Uni);
        for (kind, id, value, len) in frames {
            let id = StreamId::from_wire(if id > 60 { value >> 2 } else { id });
            let bytes = [7; 40];
            let near = value % 3000;
            let result = match kind {
                0 => server.on_stream(&data(id, near, &bytes[..len], value % 7 == 0)),
                1 => server.on_reset_stream(&frame::ResetStream { id, code: value >> 2, final_size: near }),
                2 => server.on_stop_sending(&frame::StopSending { id, code: value >> 2 }),
                3 => server.on_max_stream_data(&frame::MaxStreamData { id, limit: value >> 2 }),
                4 => server.on_max_data(&frame::MaxData { limit: value >> 2 }),
                5 => server.on_stream_data_blocked(&frame::StreamDataBlocked { id, limit: value >> 2 }),
                6 => {
                    server.send(id).map(|mut stream| (stream.write(&bytes[..len]), stream.finish().is_ok()));
                    Ok(())
                }
                7 => {
                    server.recv(id).map(|mut stream| stream.stop(number(1)));
                    server.send(id).map(|mut stream| stream.reset(number(1)));
                    Ok(())
                }
                _ => {
                    while let Some(id) = server.accept(if value % 2 == 0 { Dir::Bi } else { Dir::Uni }) {
                        read(&mut server, id);
                    }
                    events(&mut server);
                    for _ in 0..value % 4 {
                        let Some(sent) = send(&mut server, 1200) else { break };
                        if value % 3 == 0 { ack(&mut server, &sent) } else { lose(&mut server, &sent) }
                    }
                    Ok(())
                }
            };
            if result.is_err() {
                break;
            }
        }
    }
}

#[test]
fn bulk_fills_packets_with_one_frame_each() {
    let mut client = client();
    let id = client.open(Dir::Uni).expect("credit");
    write(&mut client, id, &[0; 256 << 10]);
    let packets: Vec<_> = std::iter::from_fn(|| send(&mut client, 1200)).collect();
    let frames: usize = packets.iter().map(|sent| sent.records.len()).sum();
    assert!(
        packets.len() <= 225 && frames <= packets.len() + 3,
        "{} packets, {frames} frames",
        packets.len()
    );
}

#[test]
fn a_packet_that_may_carry_nothing_changes_nothing() {
    let mut client = client();
    let id = client.open(Dir::Uni).expect("credit");
    write(&mut client, id, b"data");
    let (mut buf, mut records) = ([0; 1200], Vec::new());
    let mut datagram = DatagramWriter::new(&mut buf, &mut records);
    let header = Header::Short { dcid: ConnectionId::EMPTY };
    let mut packet = datagram.begin(&header, 0, None, Allowance::AckOnly).expect("room");
    client.write_control(&mut packet);
    client.write(&mut packet);
    assert!(packet.finish().is_none() && client.has_data_to_send());
    assert_eq!(said(&mut client), ["STREAM"]);
}
