//! Bodies and paths of requests: read within bounds, and refused with a problem like everything else.

use super::Api;
use crate::config::{Invalid, parse_as};
use crate::problem::Problem;
use crate::server::{BodyError, read_body};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The largest resource, in bytes of JSON.
const RESOURCE_BYTES_MAX: usize = 1 << 20;

/// The whole body of a request that is not an upload.
pub(super) struct Whole(pub(super) Bytes);

impl FromRequest<Api> for Whole {
    type Rejection = Problem;
    async fn from_request(request: Request<Body>, api: &Api) -> Result<Self, Problem> {
        read(api, request.into_body(), "the body", "body_too_large", RESOURCE_BYTES_MAX).await.map(Self)
    }
}

/// Reads a body of at most `bytes_max` bytes, within `admin.body_timeout_ms`. It keeps its room until it is dropped.
pub(super) async fn read(
    api: &Api,
    body: Body,
    what: &str,
    too_large: &'static str,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let time_max = api.parts().body_time_max;
    let mut share = api.parts().rooms.requests.share();
    let body = read_body(body, bytes_max, time_max, |bytes| share.take(bytes)).await;
    let body = body.map_err(|error| match error {
        BodyError::TooLong => {
            let detail = format!("{what} is larger than {bytes_max} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, too_large, detail)
        }
        BodyError::TooSlow => {
            let detail = format!("{what} took longer than admin.body_timeout_ms = {}", time_max.as_millis());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
        }
        BodyError::Drips => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", format!("{what} came too slowly: {error}"))
        }
        BodyError::NoRoom => api.parts().rooms.requests.full(),
        BodyError::Incomplete(_) => Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", error.to_string()),
    })?;
    Ok(share.around(body))
}

/// A body as JSON; the problem points at the place that is wrong.
pub(super) fn parse_json<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    parse_as(body).map_err(|Invalid { pointer, message }| {
        Problem::new(StatusCode::BAD_REQUEST, "body_invalid", format!("the body: {message}")).at(pointer)
    })
}

/// The variable parts of a path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut http::request::Parts, api: &Api) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, api).await;
        path.map(|axum::extract::Path(path)| Self(path))
            .map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, "path_invalid", rejection.body_text()))
    }
}
