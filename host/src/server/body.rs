//! The bodies of requests: read within bounds; and what nobody reads of one is thrown away before the answer, so that a sender who is
//! still writing gets to see the answer and not a broken connection.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How much is thrown away, in bytes, and how long that may take.
const DISCARD_BYTES_MAX: usize = 64 << 20;
const DISCARD_TIME_MAX: Duration = Duration::from_millis(500);

/// How fast a body has to come, in bytes a second, once it has been waited for so long. A sender that drips keeps a place from others.
const BODY_BYTES_PER_S_MIN: u64 = 500;
const BODY_GRACE: Duration = Duration::from_secs(5);

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
    /// It came in drops.
    #[error("the body came slower than {BODY_BYTES_PER_S_MIN} bytes a second")]
    Drips,
    /// The connection broke, or the sender's framing is wrong.
    #[error("the body did not arrive whole: {0}")]
    Incomplete(String),
}

/// Reads a body of at most `bytes_max` bytes within `time_max`, and not slower than 500 bytes a second after the first 5 seconds. `room` is asked before each part of it is kept, for so many bytes.
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
    // One that says how long it is need not come.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLong);
    }
    let read = tokio::time::timeout(time_max, read_whole(&mut body, bytes_max, room)).await;
    read.unwrap_or(Err(BodyError::TooSlow))
}

async fn read_whole<B>(body: &mut B, bytes_max: usize, mut room: impl FnMut(usize) -> bool) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut whole = BytesMut::new();
    let began = Instant::now();
    loop {
        let earned = Duration::from_millis((whole.len() as u64).saturating_mul(1000) / BODY_BYTES_PER_S_MIN);
        let frame = timeout_at(began + BODY_GRACE + earned, body.frame()).await.map_err(|_| BodyError::Drips)?;
        let Some(frame) = frame else { break };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// A body of so many pieces of so many bytes, one a second.
    struct Dripping {
        pieces: usize,
        bytes: usize,
        next: Pin<Box<tokio::time::Sleep>>,
    }

    impl Body for Dripping {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.pieces == 0 {
                return Poll::Ready(None);
            }
            std::task::ready!(self.next.as_mut().poll(context));
            self.next = Box::pin(tokio::time::sleep(Duration::from_secs(1)));
            self.pieces -= 1;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; self.bytes])))))
        }
    }

    async fn read(pieces: usize, bytes: usize) -> (Result<usize, BodyError>, u64) {
        let began = Instant::now();
        let body = Dripping { pieces, bytes, next: Box::pin(tokio::time::sleep(Duration::ZERO)) };
        let read = read_body(body, 1 << 20, Duration::from_secs(30), |_| true).await;
        (read.map(|body| body.len()), began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_not_waited_for_and_a_slow_one_is() {
        assert_eq!(read(100, 1).await, (Err(BodyError::Drips), 5));
        assert_eq!(
            read(100, 400).await,
            (Err(BodyError::Drips), 25),
            "earned 400 bytes a second, less than what is due"
        );
        assert_eq!(read(3, 1).await, (Ok(3), 2));
        assert_eq!(read(20, 600).await, (Ok(12_000), 19));
        assert_eq!(read(100, 600).await, (Err(BodyError::TooSlow), 30));
    }
}
