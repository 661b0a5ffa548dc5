//! The server: one socket, one endpoint, one desk, until it is stopped.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use peregrine::{Endpoint, EndpointConfig, Instant, ServerConfig, SocketKey, SystemRng, Version};

use crate::case::Versions;
use crate::desk::Desk;
use crate::driver::Driver;
use crate::moving::Mover;
use crate::plan::{Certificate, ServerPlan};
use crate::root::Root;
use crate::terms;
use crate::tls::{self, Identity, Secrets};

/// Serves until the process is stopped.
///
/// # Errors
///
/// What keeps it from beginning, or a socket that is beyond use.
pub fn run(plan: ServerPlan) -> Result<(), String> {
    let root = Root::new(&plan.root);
    let root = root.map_err(|error| format!("cannot serve {}: {error}", plan.root.display()))?;
    let key_log = plan.key_log.as_deref().map(Secrets::append).transpose()?;
    let identity = match &plan.certificate {
        Certificate::Files { chain, key } => Identity::read(chain, key)?,
        Certificate::MadeInto(file) => Identity::make(file)?,
    };
    let tls = tls::server(identity, plan.part.cipher, key_log)?;

    let mut driver = Driver::starting_at(Instant::ZERO);
    let socket = bind(&mut driver, &plan)?;
    let config = prefer(&mut driver, &plan, socket, settings(&plan, tls)?)?;
    let mut endpoint = EndpointConfig::server(Arc::new(config)).max_connections(terms::CONNECTIONS);
    if plan.part.retry {
        endpoint = endpoint.half_open_limit(0);
    }
    let endpoint = Endpoint::new(endpoint, Box::new(SystemRng::default()));
    println!("listening on {}", driver.address(socket));
    if let Certificate::MadeInto(file) = &plan.certificate {
        println!("clients trust this server by --ca {}", file.display());
    }
    serve(driver, endpoint, socket, Desk::new(root), plan.migrate.map(Mover::new))
}

/// Binds to the first address of those that will do.
fn bind(driver: &mut Driver, plan: &ServerPlan) -> Result<SocketKey, String> {
    let mut complaint = "there is no address to listen on".to_owned();
    for address in &plan.listen {
        match driver.bind(*address) {
            Ok(socket) => return Ok(socket),
            Err(error) => complaint = format!("cannot listen on {address}: {error}"),
        }
    }
    Err(complaint)
}

/// Opens a socket wherever clients are to come after the handshake.
fn prefer(
    driver: &mut Driver,
    plan: &ServerPlan,
    listening: SocketKey,
    mut config: ServerConfig,
) -> Result<ServerConfig, String> {
    let mut places = plan.preferred.clone();
    if places.is_empty() && plan.part.preferred {
        places = own_addresses(driver.address(listening).ip());
    }
    for place in places {
        let socket = driver.bind(place).map_err(|error| format!("cannot listen on {place}: {error}"))?;
        let local = driver.local(socket);
        config = match driver.address(socket) {
            SocketAddr::V4(place) => config.preferred_v4(place, local),
            SocketAddr::V6(place) => config.preferred_v6(place, local),
        }
        .map_err(|error| error.to_string())?;
        println!("clients are to come to {}", driver.address(socket));
    }
    Ok(config)
}

/// The address that is listened on; if that is any, one of each family that others can reach us at. Any port will do.
fn own_addresses(listening: IpAddr) -> Vec<SocketAddr> {
    if !listening.is_unspecified() {
        return vec![(listening, 0).into()];
    }
    // Addresses for documentation: nothing is sent there, but the kernel says from where it would be.
    let routes = [
        (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from(([192, 0, 2, 1], 9))),
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into()),
    ];
    let from = |(any, there): (SocketAddr, SocketAddr)| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(there).ok()?;
        Some((socket.local_addr().ok()?.ip(), 0).into())
    };
    routes.into_iter().filter_map(from).collect()
}

fn settings(plan: &ServerPlan, tls: Arc<rustls::ServerConfig>) -> Result<ServerConfig, String> {
    let transport = terms::transport().build().map_err(|error| error.to_string())?;
    let mut config = ServerConfig::new(tls).transport(Arc::new(transport));
    config = match plan.part.versions {
        Versions::Both | Versions::BeginReserved => Ok(config),
        Versions::PreferSecond => config.versions(&[Version::V2, Version::V1]),
        Versions::Only(version) => config.versions(&[version]),
    }
    .map_err(|error| error.to_string())?;
    if let Some(order) = &plan.migrate {
        config = config.migration(order.permission()).map_err(|error| error.to_string())?;
    }
    Ok(config.early_data(plan.part.zero_rtt))
}

fn serve(
    mut driver: Driver,
    mut endpoint: Endpoint,
    socket: SocketKey,
    mut desk: Desk,
    mut mover: Option<Mover>,
) -> Result<(), String> {
    let broken = |error: io::Error| format!("the socket is broken: {error}");
    let mut wake = None;
    loop {
        let own = [wake, desk.deadline(), mover.as_ref().and_then(Mover::deadline)];
        let until = own.into_iter().flatten().min();
        driver
            .receive(until, |now, arrival, datagrams| endpoint.handle_datagrams(now, arrival, datagrams))
            .map_err(broken)?;
        let now = driver.now();
        endpoint.handle_timeout(now);
        desk.clean(now, &mut endpoint);
        wake = driver.speak(&mut endpoint, |now, endpoint, event| {
            desk.on_event(now, endpoint, &event);
            if let Some(mover) = &mut mover {
                mover.on_event(now, &event);
            }
        });
        if let Some(mover) = &mut mover
            && mover.steer(&mut driver, &mut endpoint, socket)?
        {
            wake = Some(driver.now());
        }
    }
}
