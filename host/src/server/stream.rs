//! A socket that says when bytes come, and that does not wait for ever for somebody to take what is written to it.

use super::activity::Activity;
use bytes::{Buf as _, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How fast what is written has to be taken, in bytes a second, beside the time that a write has anyway.
const TAKEN_BYTES_PER_S_MIN: u64 = 1024;

/// A socket, watched.
pub(super) struct Watched<S> {
    inner: S,
    activity: Activity,
    write_timeout: Duration,
    /// What was read to see which protocol it is, and is to be read once more.
    read_already: Bytes,
    /// There while the other side takes less than there is.
    blocked: Option<Blocked>,
}

struct Blocked {
    since: Instant,
    taken_bytes: u64,
    timer: Pin<Box<Sleep>>,
}

impl Blocked {
    /// When the other side has had time enough for what it took.
    fn until(&self, write_timeout: Duration) -> Instant {
        self.since
            + write_timeout
            + Duration::from_millis(self.taken_bytes.saturating_mul(1000) / TAKEN_BYTES_PER_S_MIN)
    }
}

impl<S> Watched<S> {
    pub(super) const fn new(inner: S, activity: Activity, write_timeout: Duration) -> Self {
        Self { inner, activity, write_timeout, read_already: Bytes::new(), blocked: None }
    }

    /// Has these bytes read before all others.
    pub(super) fn read_again(&mut self, bytes: Bytes) {
        self.read_already = bytes;
    }

    /// Bounds a write that has to wait.
    fn bounded(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(blocked) = &mut self.blocked {
                    blocked.taken_bytes = blocked.taken_bytes.saturating_add(bytes as u64);
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let now = Instant::now();
                let write_timeout = self.write_timeout;
                if self.blocked.is_none() {
                    self.activity.blocked(true, now);
                }
                let blocked = self.blocked.get_or_insert_with(|| Blocked {
                    since: now,
                    taken_bytes: 0,
                    timer: Box::pin(tokio::time::sleep_until(now + write_timeout)),
                });
                let until = blocked.until(write_timeout);
                if blocked.timer.deadline() != until {
                    blocked.timer.as_mut().reset(until);
                }
                let elapsed = blocked.timer.as_mut().poll(context);
                elapsed.map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "what was written was not taken in time")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.read_already.is_empty() {
            let bytes = self.read_already.len().min(buffer.remaining());
            buffer.put_slice(self.read_already.get(..bytes).unwrap_or_default());
            self.read_already.advance(bytes);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received(Instant::now());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        // All that there was is the kernel's now.
        if flushed.is_ready() && self.blocked.take().is_some() {
            self.activity.blocked(false, Instant::now());
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn watched(room: usize) -> (Watched<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(room);
        (Watched::new(ours, Activity::new(Instant::now()), TIMEOUT), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_ends_after_its_time() {
        let (mut stream, _theirs) = watched(1000);
        let began = Instant::now();
        let error = stream.write_all(&[0; 2000]).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed() / 1000), (io::ErrorKind::TimedOut, TIMEOUT / 1000));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_little_by_little_ends_and_who_is_fast_enough_does_not() {
        for (bytes_per_s, all) in [(100, false), (4096, true)] {
            let (mut stream, mut theirs) = watched(1);
            let reader = tokio::spawn(async move {
                let mut piece = vec![0; bytes_per_s];
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if theirs.read_exact(&mut piece).await.is_err() {
                        return;
                    }
                }
            });
            let written = stream.write_all(&[0; 400_000]).await;
            assert_eq!(written.is_ok(), all, "{bytes_per_s}: {written:?}");
            drop(stream);
            reader.await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_read_already_is_read_first() {
        let (mut stream, mut theirs) = watched(100);
        theirs.write_all(b"lo").await.unwrap();
        stream.read_again(Bytes::from_static(b"hel"));
        let mut five = [0; 5];
        stream.read_exact(&mut five).await.unwrap();
        assert_eq!(&five, b"hello");
    }
}
