//! What a sender is told where a request is not taken: a status, a stable code, and words that say what to do.

use super::cloudevents::NoCloudEvent;
use super::inflate::{Coding, CodingRefused, TAKEN};
use super::rates::Exceeded;
use super::request;
use crate::config::{Source, Unwanted};
use crate::problem::Problem;
use crate::signing::VerifyError;
use crate::store::DiskFull;
use http::{StatusCode, header};

/// Somebody took this listener for the other one.
pub(super) fn no_admin_interface() -> Problem {
    let detail = "this is where events come in, POST /in/{tenant}/{source}; paths of /v1 are those of the admin interface, which is another \
                  listener (`admin.listen`, by itself 127.0.0.1:8081)";
    Problem::new(StatusCode::NOT_FOUND, "source_unknown", detail)
}

pub(super) fn source_disabled() -> Problem {
    let detail = "the source is disabled; enable it in its configuration";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "source_disabled", detail).retry_after_s(60)
}

/// A request that the source does not look at.
pub(super) fn unwanted(error: &Unwanted, source: &Source) -> Problem {
    let detail = error.to_string();
    match error {
        Unwanted::Method(_) => {
            let allowed = source.allow();
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).header(header::ALLOW, &allowed)
        }
        Unwanted::MediaType { .. } => Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type_refused", detail)
            .header(header::ACCEPT, &source.intake.accept()),
        Unwanted::Address(_) => Problem::new(StatusCode::FORBIDDEN, "address_refused", detail),
    }
}

/// A request that does not prove where it comes from.
pub(super) fn not_believed(source: &Source, error: VerifyError) -> Problem {
    let problem = Problem::from(request::Refused::from(error));
    match source.verify.challenge().filter(|_| problem.status == StatusCode::UNAUTHORIZED) {
        Some(challenge) => problem.header(header::WWW_AUTHENTICATE, challenge),
        None => problem,
    }
}

pub(super) fn body_corrupt(coding: Coding, why: &str) -> Problem {
    let detail = format!("the body is not what its `Content-Encoding` says, {coding}: {why}");
    Problem::new(StatusCode::BAD_REQUEST, "body_corrupt", detail)
}

pub(super) fn coding_refused(error: &CodingRefused) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding_refused", error.to_string())
        .header(header::ACCEPT_ENCODING, TAKEN)
}

/// More than a rate lets through.
pub(super) fn rate_limited(exceeded: &Exceeded) -> Problem {
    let Exceeded { bound, rate, wait_ns } = exceeded;
    let wait_s = u32::try_from(wait_ns.div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1);
    let (per_s, burst) = (rate.per_s, rate.burst);
    let detail =
        format!("more comes than {bound} = {per_s} and a burst of {burst} let through: send it again in {wait_s} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
        .with("bound", *bound)
        .with("per_s", per_s)
        .with("burst", burst)
        .retry_after_s(wait_s)
}

impl From<DiskFull> for Problem {
    fn from(full: DiskFull) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", full.to_string())
            .with("free_bytes", full.free_bytes)
            .with("free_bytes_min", full.free_bytes_min)
            .retry_after_s(30)
    }
}

impl From<request::Refused> for Problem {
    fn from(error: request::Refused) -> Self {
        let problem = Self::new(error.status(), error.code(), error.to_string());
        match error {
            request::Refused::CloudEvent(NoCloudEvent::Attribute { attribute, in_body: true, .. }) => {
                problem.at(format!("/{attribute}"))
            }
            _ => problem,
        }
    }
}
