//! HTTP/1.1 as bytes: whatever one wants to write, right or wrong, and what comes back.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How long an exchange is waited for. A bound for failures: a host that is well answers, or closes, long before.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// The answers, in their order; those with a status below 200 too.
    pub(crate) answers: Vec<Answer>,
    /// Whether the host closed the connection in time.
    pub(crate) closed: bool,
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, which is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Heard {
    /// The statuses of the final answers.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).filter(|status| *status >= 200).collect()
    }
}

/// Connects to `address` from `from`, an address of this machine's loopback.
pub(crate) async fn connect_from(address: &str, from: [u8; 4]) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(address.parse().map_err(io::Error::other)?).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Writes all of it, says that this is all, and hears what there is until the host closes.
pub(crate) async fn exchange(address: &str, bytes: &[u8]) -> Heard {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A host that has seen enough may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    hear(&mut stream).await
}

/// Hears what there is until the host closes.
pub(crate) async fn hear(stream: &mut TcpStream) -> Heard {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let (mut answers, rest) = answers(&bytes);
    // To HEAD there is a length and no body. What was cut short is told by its length.
    answers.extend(head_of(&rest).map(|(answer, _)| answer));
    // A reset is an end, too.
    Heard { answers, closed: read.is_ok() }
}

/// Hears one final answer, of a connection that may stay open.
pub(crate) async fn hear_one(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap_or(0);
            bytes.extend_from_slice(&piece[..read]);
            let whole = answers(&bytes).0.into_iter().find(|answer| answer.status >= 200);
            if whole.is_some() || read == 0 {
                return whole;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.ok().flatten()
}

/// The whole answers in some bytes, and what is behind them.
fn answers(mut bytes: &[u8]) -> (Vec<Answer>, Vec<u8>) {
    let mut found = Vec::new();
    while let Some((answer, rest)) = first_answer(bytes) {
        found.push(answer);
        bytes = rest;
    }
    (found, bytes.to_vec())
}

fn first_answer(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let (mut answer, rest) = head_of(bytes)?;
    let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    answer.body = rest.get(..length)?.to_vec();
    Some((answer, &rest[length..]))
}

/// An answer without its body, and what is behind its head.
fn head_of(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some((Answer { status, headers, body: Vec::new() }, &bytes[end + 4..]))
}
