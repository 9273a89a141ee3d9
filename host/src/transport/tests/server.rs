//! A server on loopback that does with each connection what a test says, and tells what reached it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: mpsc::UnboundedReceiver<String>,
    _accepting: JoinSet<()>,
}

/// Answers every request of a connection with this status, these headers (each with its line end) and this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

impl Server {
    /// A server that gives each request this answer, byte for byte.
    pub(crate) async fn start(answer: String) -> Self {
        let answer: Arc<str> = answer.into();
        let (seen, requests) = mpsc::unbounded_channel();
        Self::run(requests, move |mut stream| {
            let (answer, seen) = (Arc::clone(&answer), seen.clone());
            async move {
                while let Some(request) = read_request(&mut stream).await? {
                    // A test that does not look at requests has let go of the other end.
                    let _ = seen.send(request);
                    stream.write_all(answer.as_bytes()).await?;
                }
                Ok(())
            }
        })
        .await
    }

    /// A server that does this with each connection, once a request has come in, and then closes it.
    pub(crate) async fn with<F>(behave: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let (_, requests) = mpsc::unbounded_channel();
        Self::run(requests, move |mut stream| {
            let behave = behave.clone();
            async move {
                read_request(&mut stream).await?;
                behave(stream).await
            }
        })
        .await
    }

    async fn run<F>(requests: mpsc::UnboundedReceiver<String>, behave: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                serving.spawn(behave(stream));
            }
        });
        Self { address, connections, requests, _accepting: accepting }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The next request, head and body.
    pub(crate) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    /// Whether no request has come that was not asked for.
    pub(crate) fn no_more_requests(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// Whether nothing reached it: no connection and no request.
    pub(crate) fn untouched(&mut self) -> bool {
        self.connections() == 0 && self.no_more_requests()
    }
}

/// One request with its body; none where the connection ends before it.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(Some(text));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}
