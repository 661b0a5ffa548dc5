//! The transfer by quinn, on tokio: either end has an endpoint, a socket and a thread with a runtime of its own.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;

use bytes::Bytes;
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connecting, ConnectionError, Endpoint, EndpointConfig, Incoming, MtuDiscoveryConfig,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use quinn_udp::UdpSocketState;
use tokio::task::JoinSet;

use crate::body::Body;
use crate::certificates::SERVER_NAME;
use crate::driver::KERNEL_BUFFER;
use crate::options::Plan;
use crate::report::Leg;
use crate::terms::{self, GLANCE, VERIFIED};
use crate::transfer::{self, Cost, Course, Failure, Job};

/// Pieces of a stream that are taken by one call.
const PIECES: usize = 64;

/// Carries the job out.
///
/// # Errors
///
/// Whatever kept the bytes from arriving as they were sent.
pub fn carry(job: &Job) -> Result<Cost, Failure> {
    let transport = Arc::new(transport(&job.plan)?);
    let (client, server) = (open()?, open()?);
    let to = server.local_addr().map_err(|error| Failure::System("open a socket", error))?;

    let tls = QuicClientConfig::try_from(Arc::clone(&job.certificates.client))
        .map_err(|error| Failure::library("set TLS", error))?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::clone(&transport));
    let source = |course: &Arc<Course>| {
        run(course, async {
            let endpoint = endpoint(client, None, &job.plan)?;
            let mut parts = JoinSet::new();
            for len in job.plan.parts() {
                let connecting = endpoint.connect_with(config.clone(), to, SERVER_NAME);
                let connecting = connecting.map_err(|error| Failure::library("connect", error))?;
                parts.spawn(send(connecting, job.sent.clone(), len));
            }
            all(parts).await
        })
    };

    let tls = QuicServerConfig::try_from(Arc::clone(&job.certificates.server))
        .map_err(|error| Failure::library("set TLS", error))?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(transport);
    let sink = |course: &Arc<Course>| {
        run(course, async {
            let endpoint = endpoint(server, Some(config), &job.plan)?;
            let mut parts = JoinSet::new();
            for _ in 0..job.plan.connections {
                let incoming = endpoint.accept().await.ok_or(Failure::Abandoned)?;
                parts.spawn(receive(incoming, job.wanted.clone(), Arc::clone(course)));
            }
            all(parts).await?;
            // Whoever closes stays until the other end has surely heard it.
            endpoint.wait_idle().await;
            Ok(())
        })
    };
    transfer::carry(job, Leg::Quinn, source, sink).map(|(cost, (), ())| cost)
}

fn transport(plan: &Plan) -> Result<TransportConfig, Failure> {
    let connections = plan.connections;
    let window = VarInt::from_u64(terms::receive_window(connections));
    let window = window.map_err(|error| Failure::library("set a window", error))?;
    let mut congestion = CubicConfig::default();
    congestion.initial_window(terms::CONGESTION_WINDOW);
    let mut config = TransportConfig::default();
    config
        .initial_mtu(terms::DATAGRAM)
        .min_mtu(terms::DATAGRAM)
        .mtu_discovery_config(plan.mtu.map(|bytes| {
            let mut search = MtuDiscoveryConfig::default();
            search.upper_bound(bytes);
            search
        }))
        .congestion_controller_factory(Arc::new(congestion))
        .stream_receive_window(window)
        .receive_window(window)
        .send_window(terms::send_buffer(connections));
    Ok(config)
}

/// A socket with as much room in the kernel as Peregrine's driver asks for.
fn open() -> Result<UdpSocket, Failure> {
    let open = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        let _ = state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER);
        let _ = state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER);
        Ok(socket)
    };
    open().map_err(|error| Failure::System("open a socket", error))
}

fn endpoint(socket: UdpSocket, server: Option<ServerConfig>, plan: &Plan) -> Result<Endpoint, Failure> {
    let mut config = EndpointConfig::default();
    if let Some(bytes) = plan.mtu {
        config
            .max_udp_payload_size(bytes)
            .map_err(|error| Failure::library("set the largest datagram", error))?;
    }
    Endpoint::new(config, server, socket, Arc::new(TokioRuntime))
        .map_err(|error| Failure::System("use a socket", error))
}

/// The runtime of one end, which lives until the end is done or the other one has given up.
fn run(course: &Course, end: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::System("start a runtime", error))?;
    runtime.block_on(async {
        let given_up = async {
            while !course.is_given_up() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        tokio::select! {
            outcome = end => outcome,
            () = given_up => Err(Failure::Abandoned),
        }
    })
}

/// Waits until all parts are through, or one has failed.
async fn all(mut parts: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(part) = parts.join_next().await {
        part.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    }
    Ok(())
}

/// Sends one part, and waits until the server has verified it.
async fn send(connecting: Connecting, body: Body, len: u64) -> Result<(), Failure> {
    let connection = connecting.await.map_err(broken)?;
    let mut stream = connection.open_uni().await.map_err(broken)?;
    let mut offset = 0;
    while offset < len {
        let piece = body.piece(offset, len);
        offset += piece.len() as u64;
        // Of an error `closed` says more.
        if stream.write_chunk(piece).await.is_err() {
            break;
        }
    }
    let _ = stream.finish();
    match connection.closed().await {
        ConnectionError::ApplicationClosed(close) if close.error_code == VarInt::from_u32(VERIFIED) => Ok(()),
        reason => Err(broken(reason)),
    }
}

/// Verifies one part where it lies, and closes the connection that brought it.
async fn receive(incoming: Incoming, body: Body, course: Arc<Course>) -> Result<(), Failure> {
    let connection = incoming.await.map_err(broken)?;
    let mut stream = connection.accept_uni().await.map_err(broken)?;
    let mut pieces = [const { Bytes::new() }; PIECES];
    let mut offset = 0;
    while let Some(count) = stream.read_chunks(&mut pieces).await.map_err(broken)? {
        let before = offset;
        for piece in &mut pieces[..count] {
            let piece = std::mem::take(piece);
            body.verify(offset, &piece).map_err(Failure::Wrong)?;
            offset += piece.len() as u64;
        }
        course.advance(offset - before);
    }
    connection.close(VarInt::from_u32(VERIFIED), b"");
    Ok(())
}

fn broken(why: impl std::error::Error) -> Failure {
    Failure::Broken(why.to_string())
}
