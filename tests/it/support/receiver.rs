//! A receiver of webhooks on loopback: says what it got, and answers as it is told.

use super::PATIENCE;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// One request that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    /// The delivery's id.
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How to answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// With this status, headers and body.
    Status(u16, Vec<(&'static str, String)>, &'static str),
    /// With this status, once there is a permit.
    StatusAfter(u16, Arc<Semaphore>),
    /// With this status and body.
    Body(u16, String),
    /// Not at all: the connection stays open.
    Hang,
}

impl Reply {
    /// With this status alone.
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), "")
    }
}

type Decide = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// A receiver. Dropping it closes its port.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Mutex<mpsc::UnboundedReceiver<Received>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// One that answers everything with 200.
    pub(crate) async fn start() -> Self {
        Self::answering(|_| Reply::status(200)).await
    }

    /// One that answers as `decide` says.
    pub(crate) async fn answering(decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), decide).await
    }

    /// One at this address.
    pub(crate) async fn at(address: SocketAddr, decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let decide: Decide = Arc::new(decide);
        let task = tokio::spawn(async move {
            // Connections end with the receiver: a set of tasks that is dropped is aborted.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, decide) = (sender.clone(), decide.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(request, sender.clone(), decide.clone()));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, received: Mutex::new(received), task }
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request, in the order in which they came.
    ///
    /// # Panics
    /// Where none comes in time.
    pub(crate) async fn next(&self) -> Received {
        let next = async { self.received.lock().await.recv().await.unwrap() };
        tokio::time::timeout(PATIENCE, next).await.expect("a delivery comes in time")
    }

    /// What has come and was not taken yet.
    pub(crate) async fn rest(&self) -> Vec<Received> {
        let mut received = self.received.lock().await;
        std::iter::from_fn(|| received.try_recv().ok()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<Received>,
    decide: Decide,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let received = Received { method: parts.method, path, headers: parts.headers, body };
    let reply = decide(&received);
    let _ = sender.send(received);
    let reply = match reply {
        Reply::StatusAfter(status, gate) => {
            gate.acquire().await.unwrap().forget();
            Reply::status(status)
        }
        reply => reply,
    };
    let (status, headers, body) = match reply {
        Reply::StatusAfter(..) => unreachable!("it has become a status"),
        Reply::Hang => std::future::pending().await,
        Reply::Status(status, headers, body) => (status, headers, Bytes::from_static(body.as_bytes())),
        Reply::Body(status, body) => (status, Vec::new(), Bytes::from(body)),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}
