//! The transfer by Peregrine, on the driver of the examples: either end has an endpoint, a socket and a thread.

mod sink;
mod source;

use std::net::Ipv4Addr;
use std::sync::Arc;

use peregrine::{
    ClientConfig, Endpoint, EndpointConfig, Event, FourTuple, Instant, ServerConfig, SocketKey, SystemRng,
    TransportConfig,
};

use self::sink::Sink;
use self::source::Source;
use crate::certificates::SERVER_NAME;
use crate::driver::{Driver, Traffic};
use crate::options::Plan;
use crate::report::Leg;
use crate::terms::{self, GLANCE};
use crate::transfer::{self, Cost, Course, Failure, Job};

/// Datagrams the library may write at once: as many as a train can have.
const BURST: usize = 64;
/// The only socket of either driver.
const SOCKET: SocketKey = SocketKey(0);

/// What is done with an endpoint.
trait Application {
    /// Something happened.
    fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint, event: Event);

    /// Whether nothing is left to do.
    ///
    /// # Errors
    ///
    /// It will never be.
    fn is_done(&mut self, endpoint: &Endpoint) -> Result<bool, Failure>;
}

/// Carries the job out; also returns what the drivers of client and server did.
///
/// # Errors
///
/// Whatever kept the bytes from arriving as they were sent.
pub fn carry(job: &Job) -> Result<(Cost, Traffic, Traffic), Failure> {
    let transport = Arc::new(transport(&job.plan)?);
    let (client, server) = (open()?, open()?);
    let path = FourTuple { local: client.local(SOCKET), remote: server.address(SOCKET) };

    let config = ClientConfig::new(Arc::clone(&job.certificates.client)).transport(Arc::clone(&transport));
    let source = |course: &Arc<Course>| {
        let config = Arc::new(config);
        let mut endpoint = Endpoint::new(EndpointConfig::client(), Box::new(SystemRng::default()));
        let connect = |len| {
            let handle = endpoint.connect(client.now(), path, Arc::clone(&config), SERVER_NAME);
            handle.map(|handle| (handle, len)).map_err(|error| Failure::library("connect", error))
        };
        let parts = job.plan.parts().map(connect).collect::<Result<_, _>>()?;
        let source = Source::new(&job.sent, parts);
        run(client, endpoint, source, course)
    };
    let config = ServerConfig::new(Arc::clone(&job.certificates.server)).transport(transport);
    let sink = |course: &Arc<Course>| {
        let config = EndpointConfig::server(Arc::new(config));
        let endpoint = Endpoint::new(config, Box::new(SystemRng::default()));
        run(server, endpoint, Sink::new(&job.wanted, job.plan.connections, course), course)
    };
    transfer::carry(job, Leg::Peregrine, source, sink)
}

fn transport(plan: &Plan) -> Result<TransportConfig, Failure> {
    let connections = plan.connections;
    TransportConfig::builder()
        .datagram_size(terms::DATAGRAM)
        .mtu_discovery(plan.mtu)
        .burst(BURST)
        .initial_window(Some(terms::CONGESTION_WINDOW))
        .stream_receive_window(terms::receive_window(connections))
        .receive_window(terms::receive_window(connections))
        .send_buffer(terms::send_buffer(connections))
        .build()
        .map_err(|error| Failure::library("set the transport", error))
}

fn open() -> Result<Driver, Failure> {
    let mut driver = Driver::starting_at(Instant::ZERO);
    driver.bind((Ipv4Addr::LOCALHOST, 0).into()).map_err(|error| Failure::System("open a socket", error))?;
    Ok(driver)
}

/// The loop of one end.
fn run(
    mut driver: Driver,
    mut endpoint: Endpoint,
    mut application: impl Application,
    course: &Course,
) -> Result<Traffic, Failure> {
    loop {
        let wake = driver
            .speak(&mut endpoint, |now, endpoint, event| application.on_event(now, endpoint, event))
            .unwrap_or(Instant::FAR);
        if application.is_done(&endpoint)? {
            return Ok(driver.traffic());
        }
        if course.is_given_up() {
            return Err(Failure::Abandoned);
        }
        driver
            .receive(Some(wake.min(driver.now() + GLANCE)), |now, arrival, datagrams| {
                endpoint.handle_datagrams(now, arrival, datagrams);
            })
            .map_err(|error| Failure::System("receive", error))?;
        endpoint.handle_timeout(driver.now());
    }
}
