//! The runner's two measurements: goodput alone on the link, and beside another flow.

use peregrine::ServerConfig;

use crate::lab::{Keep, LIMIT, Lab, MB, link, report};
use crate::tls::Tls;
use sim::{Client, Outcome, secs, tls};

/// 10 MB, as the runner's.
#[test]
fn goodput() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    lab.fetch(Client::download(10 * MB).then_close());
    let goodput = lab.goodput(10 * MB);
    report("goodput", Some(format!("{goodput:.2} Mbit/s")));
    assert!(goodput > 8.5, "{goodput} of 10 Mbit/s");
}

/// 5 MB instead of the runner's 25, and instead of its TCP flow another QUIC connection, both with CUBIC: it runs between
/// the same two addresses, and so through the same queue, from before the transfer until after it.
#[test]
fn crosstraffic() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    let (server, client) = ("193.167.100.100:5201", "193.167.0.100:5201");
    lab.world.server_with(server, ServerConfig::new(tls::server()));
    let rival = lab.world.client(client);
    let rival = lab.world.connect(rival, server, Client::download(40 * MB));
    lab.world.run_for(secs(2));
    let conn = lab.connect(Client::download(5 * MB));
    lab.world.run_until(|world| world.outcome(conn) != Outcome::Running, LIMIT);
    assert_eq!(lab.world.outcome(conn), Outcome::Done);
    assert_eq!(lab.world.outcome(rival), Outcome::Running, "the rival was there all the time");
    let goodput = lab.goodput(5 * MB);
    report("crosstraffic", Some(format!("{goodput:.2} Mbit/s")));
    assert!(goodput > 2.5, "{goodput} of 10 Mbit/s, of which a half would be fair");
}
