//! HTTP/2 as frames (RFC 9113, section 4), written by hand so that they can be wrong, and what comes back, frame by frame.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const NAMES: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];
const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// A frame as bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Headers, each as a literal that is put into no table (RFC 7541, section 6.2.2).
pub(crate) fn headers(list: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(*text);
        }
    }
    block
}

/// A length with a prefix of 7 bits, not coded by Huffman.
fn integer(block: &mut Vec<u8>, number: usize) {
    let Some(mut rest) = number.checked_sub(127) else { return block.push(u8::try_from(number).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// A frame that came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Came {
    /// Its name, with the error that it tells.
    pub(crate) fn told(&self) -> String {
        let name = NAMES.get(usize::from(self.kind)).copied().unwrap_or("unknown");
        let at = match self.kind {
            RST_STREAM => Some(0),
            GOAWAY => Some(4),
            _ => None,
        };
        let code = at
            .and_then(|at| self.payload.get(at..at + 4))
            .and_then(|code| code.try_into().ok())
            .map(u32::from_be_bytes);
        let error = code.and_then(|code| ERRORS.get(usize::try_from(code).ok()?));
        error.map_or_else(|| name.to_owned(), |error| format!("{name} {error}"))
    }
}

/// An HTTP/2 connection of somebody who writes what they want.
pub(crate) struct Frames {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Frames {
    /// Connects, and writes nothing yet.
    pub(crate) async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Writes bytes. An error means that the host has closed.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(Duration::from_secs(10), self.stream.write_all(bytes))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes no more.
    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next frame; none where the host has closed, or nothing comes in time.
    pub(crate) async fn next(&mut self, until: Instant) -> Option<Came> {
        loop {
            if let Some(came) = self.whole() {
                return Some(came);
            }
            let mut piece = vec![0; 16_384];
            match timeout_at(until, self.stream.read(&mut piece)).await {
                Ok(Ok(bytes @ 1..)) => self.unread.extend(&piece[..bytes]),
                _ => return None,
            }
        }
    }

    /// Reads until the host closes, and gives the frames, and whether it did.
    pub(crate) async fn rest(&mut self, until: Instant) -> (Vec<Came>, bool) {
        let mut all = Vec::new();
        while let Some(came) = self.next(until).await {
            all.push(came);
        }
        (all, Instant::now() < until)
    }

    fn whole(&mut self) -> Option<Came> {
        let head = self.unread.get(..9)?;
        let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).ok()?;
        let kind = head[3];
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.unread.get(9..9 + length)?.to_vec();
        self.unread.drain(..9 + length);
        Some(Came { kind, stream, payload })
    }
}
