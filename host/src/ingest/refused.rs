//! What is kept of a request that is refused, for its source's owner: put together here, of what was seen of it until then.

use super::Ingest;
use super::inflate::{Coding, Inflating};
use super::refusals::{Refusal, ShownBody, is_of_the_request, shown_headers};
use super::take::Way;
use crate::model::{Digest, SourceName, TenantName};
use crate::problem::Problem;
use crate::server::{Peer, RequestId};
use crate::signing::{Looked, VerifyError};
use bytes::Bytes;
use http::request::Parts;

/// Of a longer body no sha256 is made.
const HASHED_BYTES_MAX: usize = 1 << 20;
/// So much of a compressed body is inflated to see whether what it holds was signed.
const INFLATED_BYTES_MAX: usize = 64 * 1024;

/// What was seen of a request.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Its body as it came, for as long as it is kept; and how many bytes that was.
    pub(super) body: Option<Bytes>,
    pub(super) bytes: Option<u64>,
    pub(super) coding: Option<Coding>,
    /// Why it is not believed.
    pub(super) error: Option<VerifyError>,
}

impl Ingest {
    /// The last requests that a source refused, the last one first.
    #[must_use]
    pub fn refused(&self, tenant: &TenantName, source: &SourceName) -> Vec<Refusal> {
        self.forget_what_gone_sources_refused();
        self.inner.refusals.of(tenant, source)
    }

    /// Forgets what was refused by sources that are gone: one that is made with the name of such a one shows nothing of it.
    pub fn forget_what_gone_sources_refused(&self) {
        self.inner.refusals.keep_those_in(&self.inner.snapshots.borrow());
    }

    /// Keeps a request that was refused, where that says something of it.
    pub(super) fn note_refused(&self, way: &Way, head: &Parts, seen: &Seen, problem: &Problem) {
        if !is_of_the_request(problem) {
            return;
        }
        let (refusals, now_ms) = (&self.inner.refusals, self.inner.taker.clock.now_ms());
        self.forget_what_gone_sources_refused();
        let may_look = refusals.may_look(&way.tenant_name, &way.source_name, self.now_ns());
        let refusal = Refusal {
            at_ms: now_ms,
            status: problem.status.as_u16(),
            code: problem.code,
            detail: problem.detail.clone(),
            looked_closely: may_look,
            hints: if may_look { hints(way, head, seen, now_ms / 1000) } else { Vec::new() },
            peer: head.extensions.get::<Peer>().map(|peer| peer.address),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            headers: shown_headers(&way.source, &head.headers),
            body: seen.bytes.map(|bytes| ShownBody {
                bytes,
                sha256: seen
                    .body
                    .as_ref()
                    .filter(|body| may_look && body.len() <= HASHED_BYTES_MAX)
                    .map(|body| Digest::of(body).to_string()),
            }),
            request_id: head.extensions.get::<RequestId>().map(|id| id.as_str().to_owned()),
        };
        refusals.note(&way.tenant_name, &way.source_name, refusal.bounded());
    }
}

/// Why it is not believed, as far as it can be told.
fn hints(way: &Way, head: &Parts, seen: &Seen, now_s: u64) -> Vec<String> {
    let (Some(error), Some(body)) = (&seen.error, &seen.body) else { return Vec::new() };
    // A short body that holds little: others are work, and nobody has proved anything.
    let inflated = seen.coding.filter(|_| body.len() <= INFLATED_BYTES_MAX).and_then(|coding| {
        let mut inflating = Inflating::new(coding, body.clone(), INFLATED_BYTES_MAX);
        inflating.go_on(usize::MAX, |_| true).ok().filter(|done| *done).map(|_| inflating.into_whole())
    });
    let looked = Looked {
        headers: &head.headers,
        query: head.uri.query(),
        body,
        inflated: inflated.as_deref(),
        is_signed: matches!(error, VerifyError::TimestampStale { .. }),
        now_s,
    };
    way.source.verify.explain(&looked)
}
