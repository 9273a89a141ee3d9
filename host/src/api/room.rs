//! How much memory the bodies of requests and of answers may take at once. One connection asks for a hundred bodies and takes none of them:
//! what does not fit is turned away. Requests and answers have a room each, so that whoever reads slowly keeps nobody from changing anything.

use super::Api;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest answer that needs no room, in bytes: what a refusal has, or a resource.
const SHORT_BYTES_MAX: u64 = 4 << 10;

/// Has the long answers to questions keep their room until their last byte is gone; 503 takes the place of one for which there is none. Not so
/// the answers to changes: what was done is said. A backup has no length, and comes piece by piece.
pub(super) async fn bound_answers(State(api): State<Api>, request: Request<Body>, next: Next) -> Response {
    let is_question = request.method() == Method::GET;
    let tenant = request.uri().path().strip_prefix("/v1/tenants/").and_then(|rest| rest.split('/').next());
    let tenant = tenant.filter(|name| !name.is_empty()).map(str::to_owned);
    let response = next.run(request).await;
    let is_long = response.body().size_hint().exact().is_some_and(|bytes| bytes > SHORT_BYTES_MAX);
    if !is_question || !is_long || response.extensions().get::<HasRoom>().is_some() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let kept = match body.collect().await {
        Ok(body) => api.parts().rooms.answers.keep(tenant.as_deref(), body.to_bytes()),
        Err(_) => Err(Problem::internal()),
    };
    kept.map_or_else(|problem| problem.into_response(), |body| Response::from_parts(parts, Body::from(body)))
}

/// An answer with this among its extensions has its room already.
#[derive(Clone, Copy)]
pub(super) struct HasRoom;

/// The room for requests, and that for answers.
pub struct Rooms {
    /// For bodies that come. Those of events that are published count as ingest's.
    pub(super) requests: Room,
    /// For the bodies of answers: of events and deliveries, and pages of lists.
    pub(super) answers: Room,
}

impl Rooms {
    /// Two rooms of `in_flight_bytes_max` bytes each.
    #[must_use]
    pub fn new(in_flight_bytes_max: u32) -> Self {
        Self { requests: Room::new(in_flight_bytes_max), answers: Room::new(in_flight_bytes_max) }
    }
}

/// No tenant has more than this part of the room for answers: who reads slowly, or does not, is one of several.
const PARTS: u32 = 4;

/// Room for so many bytes. Clones are the same.
#[derive(Clone)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    bytes_max: u32,
    /// What each tenant has of it.
    of_tenants: Arc<Mutex<HashMap<String, usize>>>,
}

/// What a tenant's body has of its part, given back when it is dropped.
struct Part {
    room: Room,
    tenant: String,
    bytes: usize,
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut of_tenants = self.room.of_tenants();
        if let Some(has) = of_tenants.get_mut(&self.tenant) {
            *has = has.saturating_sub(self.bytes);
            if *has == 0 {
                of_tenants.remove(&self.tenant);
            }
        }
    }
}

/// What one body has of a room, given back when it is dropped.
pub(super) struct Share {
    room: Room,
    taken: Option<OwnedSemaphorePermit>,
    part: Option<Part>,
}

impl Room {
    fn new(bytes_max: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes_max as usize)), bytes_max, of_tenants: Arc::default() }
    }

    /// Nothing of it yet.
    pub(super) fn share(&self) -> Share {
        Share { room: self.clone(), taken: None, part: None }
    }

    /// Has a body that is there keep its room, and of a tenant its part of it, for as long as anybody has any of its bytes.
    ///
    /// # Errors
    /// 503 where there is none.
    pub(super) fn keep(&self, tenant: Option<&str>, body: Bytes) -> Result<Bytes, Problem> {
        let mut share = self.share();
        if let Some(tenant) = tenant {
            share.part = Some(self.part(tenant, body.len()).ok_or_else(|| self.full())?);
        }
        if share.take(body.len()) { Ok(share.around(body)) } else { Err(self.full()) }
    }

    /// So much of a tenant's part; all of it for a body that is longer.
    fn part(&self, tenant: &str, bytes: usize) -> Option<Part> {
        let most = (self.bytes_max / PARTS) as usize;
        let bytes = bytes.min(most);
        let mut of_tenants = self.of_tenants();
        let has = of_tenants.get(tenant).copied().unwrap_or(0);
        if has + bytes > most {
            return None;
        }
        of_tenants.insert(tenant.to_owned(), has + bytes);
        Some(Part { room: self.clone(), tenant: tenant.to_owned(), bytes })
    }

    fn of_tenants(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is no room.
    pub(super) fn full(&self) -> Problem {
        let most = self.bytes_max;
        let detail = format!(
            "the bodies on their way take more than admin.in_flight_bytes_max = {most} bytes, or those of one tenant more than a quarter of that"
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after_s(1)
    }
}

impl Share {
    /// Takes so many bytes more, where they are there. A body that is longer than the room takes all of it.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let has = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = has.saturating_add(bytes).min(self.room.bytes_max as usize).saturating_sub(has);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let Ok(more) = self.room.free.clone().try_acquire_many_owned(wanted) else { return false };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        true
    }

    /// The same bytes, which have this share from now on.
    pub(super) fn around(self, body: Bytes) -> Bytes {
        Bytes::from_owner(Held { body, _share: self })
    }
}

/// A body with its share of a room.
struct Held {
    body: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_room_until_its_last_byte_is_gone() {
        let room = Room::new(100);
        let body = Bytes::from(vec![7; 60]);
        let mut kept = room.keep(None, body.clone()).unwrap();
        assert_eq!(kept, body);
        let refused = room.keep(None, body.clone()).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code, refused.retry_after_s), (503, "overloaded", Some(1)));
        assert!(refused.detail.contains("admin.in_flight_bytes_max = 100"), "{refused:?}");
        let piece = kept.split_to(1);
        drop(kept);
        assert!(room.keep(None, body.clone()).is_err(), "a piece of it holds all of it in memory");
        drop(piece);
        room.keep(None, body).unwrap();
    }

    #[test]
    fn no_tenant_has_more_than_its_part() {
        let room = Room::new(100);
        let of = |tenant: &str, bytes: usize| room.keep(Some(tenant), Bytes::from(vec![7; bytes]));
        let first = of("acme", 20).unwrap();
        assert_eq!(of("acme", 6).unwrap_err().code, "overloaded");
        let others = [of("acme", 5).unwrap(), of("beta", 25).unwrap(), of("gamma", 25).unwrap()];
        drop(first);
        assert!(of("acme", 6).is_ok());
        drop(others);
        assert!(of("acme", 1000).is_ok(), "one that is longer than a part has all of that");
        assert!(room.of_tenants().is_empty(), "who has nothing is not remembered");
    }

    #[test]
    fn a_body_that_comes_takes_room_as_it_comes_and_a_long_one_no_more_than_there_is() {
        let room = Room::new(100);
        let mut first = room.share();
        assert!(first.take(60) && !room.share().take(50));
        assert!(first.take(60), "it has 100 of 120");
        assert!(!room.share().take(1));
        assert!(first.take(1));
        drop(first);
        assert!(room.keep(None, Bytes::from(vec![7; 1000])).is_ok());
    }
}
