use std::sync::Arc;

use peregrine::{
    ClientConfig, Connection, Dir, Instant, MigrationConfig, MoveOrder, RelocationPlan, ServerConfig,
    Strategy, StreamEvent,
};
use peregrine_sim::{App, Link, Outcome, World, addr, for_seeds, ms, secs, tls};

/// Plays a ball to and fro: who gets it plays it back, marked one higher, until it is marked 100.
#[derive(Debug)]
struct Player {
    serves: bool,
    /// The mark of the ball that is to come.
    expects: u8,
}

impl App for Player {
    fn on_connected(&mut self, _: Instant, connection: &mut Connection) {
        if self.serves {
            let id = connection.open(Dir::Bi).expect("the peer allows a stream");
            connection.send(id).expect("it is ours").write(&[1]).expect("there is room for a byte");
        }
    }

    fn on_stream(&mut self, _: Instant, connection: &mut Connection, event: StreamEvent) {
        let id = match event {
            StreamEvent::Opened { .. } => connection.accept(Dir::Bi),
            StreamEvent::Readable { id } => Some(id),
            _ => None,
        };
        let mut ball = [0];
        while let Some(id) = id
            && let Some(Ok(Some(1))) = connection.recv(id).map(|mut stream| stream.read(&mut ball))
        {
            assert_eq!(ball[0], self.expects, "the right ball, once");
            self.expects += 2;
            if ball[0] < 100 {
                let mut stream = connection.send(id).expect("both play on it");
                stream.write(&[ball[0] + 1]).expect("there is room for a byte");
            }
        }
    }

    fn outcome(&self) -> Outcome {
        if self.expects > 100 { Outcome::Done } else { Outcome::Running }
    }
}

#[test]
fn the_rally_goes_on_while_the_server_moves() {
    let migration = || MigrationConfig::new(Strategy::Symmetric.into());
    for_seeds(20, |seed| {
        let mut world = World::seeded(seed);
        world.links(Link::rtt(ms(20)).bandwidth(10_000_000).loss(0.02));

        let config = ServerConfig::new(tls::server()).migration(migration()).expect("a permit");
        let server = world.serve("45.0.0.1:443", config, || Player { serves: false, expects: 1 });

        let client = world.client("30.0.0.1:5000");
        let config = ClientConfig::new(tls::client()).migration(migration()).expect("an offer");
        let player = Player { serves: true, expects: 2 };
        let conn = world.connect_with(client, "45.0.0.1:443", Arc::new(config), player);

        world.run_until(|world| world.app::<Player>(conn).expects > 20, secs(60)); // some balls
        let plan = RelocationPlan::uniform(MoveOrder::Symmetric);
        world.relocate_by(server, plan, "45.0.0.2:443", ms(500)); // notice, freeze, move, thaw

        world.run_well(secs(60));
        assert_eq!(world.app::<Player>(conn).expects, 102);
        assert_eq!(world.connection(conn).expect("it is open").remote(), addr("45.0.0.2:443"));
    });
}
