//! The body of an answer, given to the protocol in pieces, each of which tells when it is gone.
//!
//! The protocol takes a body from us long before its client does: HTTP/1 may hold a megabyte, HTTP/2 whatever a client with a small window
//! leaves. So a request is under way until its last piece was written, not until the protocol has it, and the time for taking an answer
//! counts from piece to piece.

use super::activity::UnderWay;
use super::front::BoxError;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// The longest piece, in bytes: what a frame of HTTP/2 takes unless its client wants more.
pub(super) const PIECE_BYTES_MAX: usize = 16 << 10;

/// Any body, as the service made it.
pub(super) type Inner = UnsyncBoxBody<Bytes, BoxError>;

/// An answer's body. What is not taken in time ends the connection.
pub(super) struct AnswerBody {
    body: Inner,
    /// What it gave and was not handed on yet.
    rest: Bytes,
    under_way: Arc<UnderWay>,
}

impl AnswerBody {
    pub(super) fn new(body: Inner, under_way: UnderWay) -> Self {
        Self { body, rest: Bytes::new(), under_way: Arc::new(under_way) }
    }

    fn next_piece(&mut self) -> Frame<Bytes> {
        let bytes = self.rest.split_to(self.rest.len().min(PIECE_BYTES_MAX));
        self.under_way.piece_given(Instant::now());
        Frame::data(Bytes::from_owner(Piece { bytes, under_way: self.under_way.clone() }))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            if polled.is_pending() {
                self.under_way.waits_for_us();
            }
            match ready!(polled).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(self.next_piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(rest));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

/// A piece of an answer. Whoever has its bytes has it; where nobody has, it is written.
struct Piece {
    bytes: Bytes,
    under_way: Arc<UnderWay>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.under_way.piece_taken(Instant::now());
    }
}
