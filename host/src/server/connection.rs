//! One connection: which version of HTTP it speaks, its requests one by one, and its end.
//!
//! What must hold: whatever the other side does or leaves undone, each wait of it has a bound, and the connection ends.

#[cfg(test)]
mod tests;

use super::Config;
use super::activity::{Activity, Bounds, Overdue};
use super::answer::AnswerBody;
use super::body::RequestBody;
use super::front::{self, BoxError};
use super::stream::Watched;
use super::tls::Tls;
use crate::shutdown::Shutdown;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a client may send of one HTTP/2 stream, and of a connection, before the host has read any of it, in bytes.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// How much of an answer waits for an HTTP/2 client to take it, in bytes.
const SEND_BUFFER_BYTES_MAX: usize = 64 << 10;
/// How many streams that a client reset wait to be seen, and how many the host may have to reset for a client's errors, before the
/// connection ends.
const RESETS_WAITING_MAX: usize = 20;
const ERROR_RESETS_MAX: usize = 100;
/// How often an HTTP/2 client is asked whether it is there, and how long it has to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What the connections of a listener share.
pub(super) struct Protocols {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(config: &Config) -> Self {
        let mut both = auto::Builder::new(TokioExecutor::new());
        both.http1()
            // A client that has sent its whole request and hangs up is no reason to forget the request.
            .half_close(true)
            .max_buf_size(config.head_bytes_max as usize)
            .max_headers(config.headers_max as usize)
            // `Activity` has the time of heads, apart from that of idle connections.
            .header_read_timeout(None);
        both.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.streams_max)
            .max_header_list_size(config.head_bytes_max)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
            .max_pending_accept_reset_streams(RESETS_WAITING_MAX)
            .max_local_error_reset_streams(ERROR_RESETS_MAX)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { http1: both.clone().http1_only(), http2: both.http2_only() }
    }
}

/// Everything that a connection needs to know.
pub(super) struct Context<S> {
    pub(super) config: Arc<Config>,
    pub(super) protocols: Arc<Protocols>,
    pub(super) service: S,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) peer: IpAddr,
    pub(super) crowded: watch::Receiver<bool>,
    pub(super) shutdown: Shutdown,
}

/// Serves a connection until it ends.
pub(super) async fn serve<S, F, B>(stream: TcpStream, mut context: Context<S>)
where
    S: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Answers are small and whole: waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    let activity = Activity::new(Instant::now());
    let write_timeout = Duration::from_millis(context.config.write_timeout_ms);
    let mut stream = Watched::new(stream, activity.clone(), write_timeout);
    if let Some(tls) = context.tls.take() {
        let bounds = Bounds::of_handshake(&context.config, tls.files());
        let accepted = tokio::select! {
            accepted = tls.accept(stream) => accepted,
            why = activity.overdue(bounds, &mut context.crowded) => return said(why),
            () = context.shutdown.wait() => return,
        };
        match accepted {
            Ok((stream, http2)) => {
                activity.begins_now(Instant::now());
                speak(stream, http2, &activity, context).await;
            }
            Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
        }
        return;
    }
    let begins = tokio::select! {
        begins = begins_as_http2(&mut stream) => begins,
        why = activity.overdue(Bounds::of(&context.config, false), &mut context.crowded) => return said(why),
        () = context.shutdown.wait() => return,
    };
    match begins {
        Ok((http2, read_already)) => {
            stream.read_again(read_already);
            speak(stream, http2, &activity, context).await;
        }
        Err(error) => tracing::debug!(%error, "a connection ended before its first request"),
    }
}

/// Whether a connection begins as HTTP/2 does, and what was read to know it.
async fn begins_as_http2(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(bool, Bytes)> {
    let mut read = BytesMut::with_capacity(PREFACE.len());
    while read.len() < PREFACE.len() && PREFACE.starts_with(&read) {
        let left = PREFACE.len() - read.len();
        if (&mut *stream).take(left as u64).read_buf(&mut read).await? == 0 {
            break;
        }
    }
    Ok((read == PREFACE, read.freeze()))
}

/// Answers the requests of a connection, and ends it when it is overdue or the host is told to stop.
async fn speak<S, F, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    activity: &Activity,
    context: Context<S>,
) where
    S: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Context { config, protocols, service, peer, mut crowded, mut shutdown, .. } = context;
    let bounds = Bounds::of(&config, http2);
    let answering = service_fn(|request: Request<Incoming>| {
        let (config, service, under_way) = (config.clone(), service.clone(), activity.begin());
        async move {
            Ok::<Response<AnswerBody>, Infallible>(front::answer(request, peer, &config, under_way, &service).await)
        }
    });
    let protocol = if http2 { &protocols.http2 } else { &protocols.http1 };
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), answering));
    let mut is_ending = false;
    loop {
        let why = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    // With what is below it, which its own words leave out.
                    tracing::debug!(?error, "a connection ended early");
                }
                return;
            }
            why = activity.overdue(bounds, &mut crowded) => Some(why),
            () = shutdown.wait(), if !is_ending => None,
        };
        match why {
            Some(why) if is_ending || !why.gracefully() => return said(why),
            _ => {}
        }
        is_ending = true;
        activity.ends(Instant::now(), bounds);
        connection.as_mut().graceful_shutdown();
    }
}

fn said(why: Overdue) {
    tracing::debug!(?why, "a connection was ended");
}
