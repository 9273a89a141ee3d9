//! The bodies of requests: read within bounds; and what nobody reads of one is thrown away before the answer, so that a sender who is
//! still writing gets to see the answer and not a broken connection.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How much is thrown away, in bytes, and how long that may take.
const DISCARD_BYTES_MAX: usize = 16 << 20;
const DISCARD_TIME_MAX: Duration = Duration::from_millis(500);

/// A request's body. What its reader leaves goes back to the connection.
#[derive(Debug)]
pub struct RequestBody {
    /// There until it is dropped.
    body: Option<Incoming>,
    /// Whether its sender writes it only when it is asked for (RFC 9110, section 10.1.1), which nobody has done yet.
    awaits_reader: bool,
    left: Leftover,
}

/// What was left of a request's body. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Leftover(Arc<Mutex<Option<Incoming>>>);

impl RequestBody {
    pub(super) fn new(body: Incoming, awaits_reader: bool, left: Leftover) -> Self {
        Self { body: Some(body), awaits_reader, left }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.awaits_reader = false;
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !self.awaits_reader && !body.is_end_stream());
        *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) = left;
    }
}

impl Leftover {
    /// Throws it away, as far as the bounds go.
    pub(super) async fn discard(self) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = left else { return };
        let discarding = async {
            let mut bytes_left = DISCARD_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                bytes_left = bytes_left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if bytes_left == 0 {
                    return;
                }
            }
        };
        // A sender that is slower sees the answer, or does not.
        let _ = tokio::time::timeout(DISCARD_TIME_MAX, discarding).await;
    }
}

/// A body did not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than it may be.
    #[error("the body is longer than it may be")]
    TooLong,
    /// There is no room for it now.
    #[error("there is no room for the body now")]
    NoRoom,
    /// It took too long.
    #[error("the body took longer than it may")]
    TooSlow,
    /// The connection broke, or the sender's framing is wrong.
    #[error("the body did not arrive whole: {0}")]
    Incomplete(String),
}

/// Reads a body of at most `bytes_max` bytes within `time_max`. `room` is asked before each part of it is kept, for so many bytes.
///
/// # Errors
/// Where it is longer, too slow, has no room, or does not arrive whole.
pub async fn read_body<B>(
    body: B,
    bytes_max: usize,
    time_max: Duration,
    room: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut body = body;
    let read = tokio::time::timeout(time_max, read_whole(&mut body, bytes_max, room)).await;
    read.unwrap_or(Err(BodyError::TooSlow))
}

async fn read_whole<B>(body: &mut B, bytes_max: usize, mut room: impl FnMut(usize) -> bool) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Incomplete(error.to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        if whole.len() + data.len() > bytes_max {
            return Err(BodyError::TooLong);
        }
        if !room(data.len()) {
            return Err(BodyError::NoRoom);
        }
        whole.extend_from_slice(data);
    }
    Ok(whole.freeze())
}
