//! Accepts inbound HTTP connections, for ingest and for admin alike: bounded in number, each bounded in time, ended gracefully.

mod body;

pub use body::{BodyError, RequestBody, read_body};

use crate::shutdown::Shutdown;
use body::Leftover;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long a request's first line and headers may be together, in bytes; a longer one is answered with 431.
const REQUEST_HEAD_BYTES_MAX: usize = 64 * 1024;

/// How a listener behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many connections may be open at once; further ones wait in the kernel's queue. 1 to 1,000,000; by itself 10,000.
    pub connections_max: u32,
    /// How long a request's headers may take to arrive, which also bounds how long an idle connection stays open. By itself 30,000.
    pub header_timeout_ms: u64,
    /// How long a request's body may take to arrive. By itself 30,000.
    pub body_timeout_ms: u64,
    /// How long requests under way may take to finish after the host was told to stop. By itself 10,000.
    pub drain_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            connections_max: 10_000,
            header_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            drain_timeout_ms: 10_000,
        }
    }
}

/// Who sent a request. Each request has it among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address that it came from.
    pub address: IpAddr,
}

/// Serves until the signal is given, then lets requests under way finish for at most `drain_timeout_ms`.
///
/// A failing `accept` (too many open files, say) is logged and tried again after a moment: it must not end the host.
pub async fn serve<S, F, B>(listener: &TcpListener, config: &Config, service: S, mut shutdown: Shutdown)
where
    S: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let permits = Arc::new(Semaphore::new(config.connections_max as usize));
    let mut connections = JoinSet::new();
    loop {
        // Finished connections are taken off the set as new ones come, so it holds no more than the bound and a few.
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                // An IPv4 address that came by an IPv6 socket is told as what it is.
                let peer = Peer { address: from.ip().to_canonical() };
                let connection = connection(stream, peer, config.clone(), service.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let drain = Duration::from_millis(config.drain_timeout_ms);
    if tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(
            open = connections.len(),
            drain_timeout_ms = config.drain_timeout_ms,
            "connections cut at shutdown"
        );
    }
}

async fn connection<S, F, B>(stream: TcpStream, peer: Peer, config: Config, service: S, mut shutdown: Shutdown)
where
    S: Fn(Request<RequestBody>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Answers are small and whole: waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (left, awaits_reader) = (Leftover::default(), request.headers().contains_key(EXPECT));
        let response = service(request.map(|body| RequestBody::new(body, awaits_reader, left.clone())));
        async move {
            let response = response.await;
            left.discard().await;
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client that has sent its whole request and hangs up is no reason to forget the request.
        .half_close(true)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
