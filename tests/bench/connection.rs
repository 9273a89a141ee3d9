//! A connection of HTTP/1.1 over loopback with as little around it as can be: a benchmark measures the host, not the load.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// One connection, kept open.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, address: address.to_owned() }
    }

    /// Posts JSON, and gives the status when the whole answer is there.
    pub(crate) async fn post(&mut self, path: &str, json: Bytes) -> StatusCode {
        let request = Request::post(path).header("host", &self.address).header("content-type", "application/json");
        let response = self.sender.send_request(request.body(Full::new(json)).unwrap()).await.unwrap();
        let status = response.status();
        response.into_body().collect().await.unwrap();
        status
    }
}
