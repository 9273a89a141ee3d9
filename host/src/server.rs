//! Accepts inbound HTTP connections, for ingest and for admin alike: bounded in number, each bounded in time, ended gracefully. They speak
//! HTTP/1.1 or HTTP/2, whichever they begin with, over TLS where the listener has it.
//!
//! `listener` and `tls` are where they come in, `crowd` says who may have a connection, `connection` serves one, `activity` says when it has done
//! something for too long, `stream` watches its socket. `front` is what is done with every request and every answer: `head` looks at it,
//! `request_id` names it, `forwarded` says who sent it; `answer` sees that it is taken.

mod activity;
mod answer;
mod body;
mod config;
mod connection;
mod crowd;
mod forwarded;
mod front;
mod head;
mod listener;
mod request_id;
mod stream;
mod tls;

pub use body::{BodyError, RequestBody, read_body};
pub use config::{Config, OutOfBounds};
pub use listener::{ListenError, Listener};
pub use request_id::RequestId;
pub use tls::{Reloaded, Tls, TlsError, TlsFiles};

use crate::shutdown::Shutdown;
use bytes::Bytes;
use connection::{Context, Protocols};
use crowd::Crowd;
use hyper::body::Body;
use hyper::{Request, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Who sent a request. Each request has it among its extensions, but where a listed proxy said what cannot be read: nobody knows it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address that it came from: where it came through listed proxies, that of their client.
    pub address: IpAddr,
}

/// Serves until the signal is given, then lets requests under way finish for at most `drain_timeout_ms`.
///
/// A failing `accept` (too many open files, say) is logged and tried again after a moment: it must not end the host.
pub async fn serve<S, F, B>(listener: &Listener, config: &Config, service: S, mut shutdown: Shutdown)
where
    S: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (config, protocols) = (Arc::new(config.clone()), Arc::new(Protocols::new(config)));
    let mut crowd = Crowd::new(&config);
    let mut connections = JoinSet::new();
    loop {
        // Finished connections are taken off the set as new ones come, so it holds no more than the bound and a few.
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            accepted = listener.socket.accept() => accepted,
            () = crowd.nobody_comes() => continue,
        };
        match accepted {
            Ok((stream, from)) => {
                // An IPv4 address that came by an IPv6 socket is told as what it is.
                let peer = from.ip().to_canonical();
                let Some(of_one) = crowd.enter(peer) else { continue };
                // With the socket in hand: only then somebody waits for a place.
                let place = tokio::select! {
                    biased;
                    () = shutdown.wait() => break,
                    place = crowd.place(of_one) => place,
                };
                // There is none only where the semaphore is closed, which it never is.
                let Some(place) = place else { break };
                let context = Context {
                    config: config.clone(),
                    protocols: protocols.clone(),
                    service: service.clone(),
                    tls: listener.tls().cloned(),
                    peer,
                    crowded: crowd.crowded(),
                    shutdown: shutdown.clone(),
                };
                connections.spawn(async move {
                    connection::serve(stream, context).await;
                    drop(place);
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
