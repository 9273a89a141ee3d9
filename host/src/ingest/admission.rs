//! How much may be on its way between a socket and the disk: so many events, so many bytes. What does not fit is turned away before it is
//! read, not queued. A body that comes compressed counts as what it holds as soon as that is there.

use super::Config;
use super::inflate::{Coding, InflateError, Inflating};
use super::problems::body_corrupt;
use crate::problem::Problem;
use crate::server::{BodyError, read_body};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::Body;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So much of a body is verified, or inflated, at once, in bytes; what is longer goes on beside the threads that serve everybody.
pub(super) const AT_ONCE_BYTES: usize = 256 * 1024;

/// What is left of the bounds.
pub(super) struct Admission {
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// Whose turn it is to work on a long body: no more at once than there are processors. The others wait, and are in flight.
    turns: Arc<Semaphore>,
    config: Config,
}

/// A request's share of them, given back when it is dropped.
pub struct Entry {
    events: OwnedSemaphorePermit,
    room: Room,
}

/// The room of a body.
struct Room {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Takes so many bytes more, where they are there.
    fn take(&mut self, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(more) = self.all.clone().try_acquire_many_owned(bytes) else { return false };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        true
    }
}

impl Admission {
    pub(super) fn new(config: Config) -> Self {
        let bytes = usize::try_from(config.in_flight_bytes_max).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            events: Arc::new(Semaphore::new(config.in_flight_max as usize)),
            bytes: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            turns: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get))),
            config,
        }
    }

    /// A place for one event.
    ///
    /// # Errors
    /// 503 where there is none.
    pub(super) fn enter(&self) -> Result<Entry, Problem> {
        let place = self.events.clone().try_acquire_owned();
        Ok(Entry { events: place.map_err(|_| self.too_many())?, room: self.no_room_yet() })
    }

    /// Places for so many events in all; for as many as there are places, where it is more.
    ///
    /// # Errors
    /// 503 where there are not enough now.
    pub(super) fn widen(&self, entry: &mut Entry, events: usize) -> Result<(), Problem> {
        let wanted = u32::try_from(events).unwrap_or(u32::MAX).min(self.config.in_flight_max);
        let held = u32::try_from(entry.events.num_permits()).unwrap_or(u32::MAX);
        let more = self.events.clone().try_acquire_many_owned(wanted.saturating_sub(held));
        entry.events.merge(more.map_err(|_| self.too_many())?);
        Ok(())
    }

    /// Reads a body of at most `bytes_max` bytes; its room is the entry's.
    ///
    /// # Errors
    /// Where it is longer, slower or cut off, or has no room.
    pub(super) async fn read<B>(&self, entry: &mut Entry, body: B, bytes_max: u64) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let timeout_ms = self.config.server.body_timeout_ms;
        let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let read = read_body(body, most, Duration::from_millis(timeout_ms), |bytes| entry.room.take(bytes)).await;
        read.map_err(|error| match error {
            BodyError::TooLong => too_large("the body", bytes_max),
            BodyError::NoRoom => self.no_room(),
            BodyError::TooSlow => {
                let detail = format!("the body took longer than body_timeout_ms = {timeout_ms}");
                Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
            }
            BodyError::Drips => Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", error.to_string()),
            BodyError::Incomplete(_) => Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", error.to_string()),
        })
    }

    /// What a compressed body holds, of at most `bytes_max` bytes; its room takes the place of the compressed body's.
    ///
    /// # Errors
    /// Where it is longer, has no room, or is not what its head says.
    pub(super) async fn inflate(
        &self,
        entry: &mut Entry,
        coding: Coding,
        compressed: Bytes,
        bytes_max: u64,
    ) -> Result<Bytes, Problem> {
        // Some senders say so of a body that is not there.
        if compressed.is_empty() {
            return Ok(compressed);
        }
        let is_short = compressed.len() <= AT_ONCE_BYTES;
        let inflating = Inflating::new(coding, compressed, usize::try_from(bytes_max).unwrap_or(usize::MAX));
        let inflated = self.inflated(inflating, is_short).await?;
        let (body, room) = inflated.map_err(|error| match error {
            InflateError::TooLong => too_large("what the compressed body holds", bytes_max),
            InflateError::NoRoom => self.no_room(),
            InflateError::Corrupt(why) => body_corrupt(coding, &why),
        })?;
        entry.room = room;
        Ok(body)
    }

    /// A long body is work even where it holds nothing.
    async fn inflated(
        &self,
        mut inflating: Inflating,
        is_short: bool,
    ) -> Result<Result<(Bytes, Room), InflateError>, Problem> {
        let mut room = self.no_room_yet();
        let at_once = is_short.then(|| inflating.go_on(AT_ONCE_BYTES, |bytes| room.take(bytes)));
        match at_once {
            Some(Err(error)) => return Ok(Err(error)),
            Some(Ok(true)) => return Ok(Ok((inflating.into_whole(), room))),
            Some(Ok(false)) | None => {}
        }
        self.beside(move || {
            inflating.go_on(usize::MAX, |bytes| room.take(bytes))?;
            Ok((inflating.into_whole(), room))
        })
        .await
    }

    /// Does what is much work beside the threads that serve everybody, when it has its turn.
    ///
    /// # Errors
    /// Where it broke down.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.turns.clone().acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _until_it_is_done = turn;
            work()
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "work on a body broke down");
            Problem::internal()
        })
    }

    fn no_room_yet(&self) -> Room {
        Room { all: self.bytes.clone(), taken: None }
    }

    fn no_room(&self) -> Problem {
        let most = self.config.in_flight_bytes_max;
        overloaded(format!("the events on their way take more than in_flight_bytes_max = {most} bytes"))
    }

    fn too_many(&self) -> Problem {
        let most = self.config.in_flight_max;
        overloaded(format!("more than in_flight_max = {most} events are on their way"))
    }
}

/// 413, for a body or a part of one.
pub(super) fn too_large(what: &str, bytes_max: u64) -> Problem {
    let detail = format!("{what} is larger than body_bytes_max = {bytes_max} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).with("body_bytes_max", bytes_max)
}

fn overloaded(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after_s(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_a_place_for_each_event_and_gives_all_back() {
        let admission = Admission::new(Config { in_flight_max: 10, ..Config::default() });
        let mut batch = admission.enter().unwrap();
        admission.widen(&mut batch, 8).unwrap();
        let mut other = admission.enter().unwrap();
        let refused = admission.widen(&mut other, 3).unwrap_err();
        assert!(refused.code == "overloaded" && refused.detail.contains("in_flight_max = 10"), "{refused:?}");
        admission.widen(&mut other, 2).unwrap();
        assert!(admission.enter().is_err());
        drop(batch);
        // More than there are places: it takes them all, and does not wait for ever.
        drop(other);
        let mut large = admission.enter().unwrap();
        admission.widen(&mut large, 1_000).unwrap();
        assert!(admission.enter().is_err());
        drop(large);
        assert!(admission.enter().is_ok());
    }
}
