//! What is done with every request before its service sees it, and with every answer before it goes: a name, who sent it, a look at its head.

use super::activity::UnderWay;
use super::answer::{AnswerBody, Inner};
use super::body::{Leftover, RequestBody};
use super::forwarded::client;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::{Config, Peer, head};
use crate::clock::Clock;
use crate::problem::Problem;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;
use tracing::Instrument as _;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Counts the requests of this process: they have different names even where the machine has no random numbers.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// Answers one request of a connection.
pub(super) async fn answer<S, F, B>(
    request: Request<Incoming>,
    peer: IpAddr,
    config: &Config,
    mut under_way: UnderWay,
    service: &S,
) -> Response<AnswerBody>
where
    S: Fn(Request<RequestBody>) -> F,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (began, id) = (Instant::now(), name(&request, peer, config));
    let (left, awaits_reader) = (Leftover::default(), request.headers().contains_key(EXPECT));
    let (mut parts, body) = request.into_parts();
    let body = RequestBody::new(body, awaits_reader, left.clone());
    let address = client(peer, &parts.headers, &config.trusted_proxies);
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let checked = head::check(&mut parts, config.headers_max as usize);
    let response = match checked {
        Ok(()) => {
            if let Some(address) = address {
                parts.extensions.insert(Peer { address });
            }
            parts.extensions.insert(id.clone());
            let span = tracing::error_span!("request", request_id = %id);
            let answered = service(Request::from_parts(parts, body)).instrument(span);
            answered.await.map(|body| body.map_err(Into::into).boxed_unsync())
        }
        Err(problem) => {
            drop(body);
            let mut response = problem.to_response().map(boxed);
            head::close(response.headers_mut());
            response
        }
    };
    left.discard().await;
    // Not the query: it may have a key in it.
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let address = address.map(tracing::field::display);
    tracing::debug!(request_id = %id, address, %method, path, status, ?took, "answered");
    under_way.answered(Instant::now());
    named(response, &id).map(|body| AnswerBody::new(body, under_way))
}

fn name(request: &Request<Incoming>, peer: IpAddr, config: &Config) -> RequestId {
    let mut random = [0; 16];
    let _ = getrandom::fill(&mut random);
    let count = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let random = u128::from_be_bytes(random).wrapping_add(count.into());
    RequestId::of(request.headers(), peer, &config.trusted_proxies, Clock::system().now_ms(), random)
}

/// Puts the request's name into its answer, and into the document where that is a problem.
fn named(mut response: Response<Inner>, id: &RequestId) -> Response<Inner> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let document = problem.with("request_id", id.as_str()).to_json().to_string();
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = boxed(Full::new(Bytes::from(document)));
    }
    response.headers_mut().insert(X_REQUEST_ID, id.as_header().clone());
    response
}

fn boxed(body: Full<Bytes>) -> Inner {
    body.map_err(|never| match never {}).boxed_unsync()
}
