//! Requests that are no events but ask something of who takes them: whether the URL is right, whether it may be sent to. What is answered is
//! decided here, of what the request says. Pure.
//!
//! What must hold: nothing is answered that proves anything to somebody who has not proved himself, but where the provider's own protocol has
//! no proof: there a secret stands in its question.

use super::json::Json;
use crate::config::{Asks, Source};
use crate::problem::Problem;
use crate::signing::SharedSecret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

/// The longest text that is said back, in bytes.
const ECHO_BYTES_MAX: usize = 1_024;

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) media_type: &'static str,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
}

impl Told {
    const fn new(status: StatusCode, media_type: &'static str, body: String) -> Self {
        Self { status, media_type, headers: Vec::new(), body }
    }
}

/// What a request without a body is told, where its source answers such ones; none where it is to be an event.
pub(super) fn by_head(
    source: &Source,
    method: &Method,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Option<Result<Told, Problem>> {
    match (&source.asks, &source.cloudevents) {
        (Asks::Meta(token), _) if method == Method::GET => Some(subscription(token, headers, query)),
        (_, Some(cloudevents)) if method == Method::OPTIONS && cloudevents.answers() => {
            Some(permission(source, headers, |origin| cloudevents.allows(origin)))
        }
        _ => None,
    }
}

/// Meta's question when a webhook is set up: the challenge comes back where the token is the right one.
fn subscription(token: &SharedSecret, headers: &HeaderMap, query: Option<&str>) -> Result<Told, Problem> {
    let find = |wanted: &str| {
        let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        pairs.find_map(|(name, value)| (name == wanted).then_some(value))
    };
    if find("hub.mode").as_deref() != Some("subscribe") {
        let detail =
            "a GET of this source asks for its challenge: `hub.mode=subscribe`, `hub.verify_token` and `hub.challenge`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "challenge_invalid", detail));
    }
    if token.verify(headers, query).is_err() {
        let detail = "`hub.verify_token` is not this source's `verify_token`: compare the two";
        return Err(Problem::new(StatusCode::FORBIDDEN, "verify_token_invalid", detail));
    }
    match find("hub.challenge") {
        Some(challenge) if (1..=ECHO_BYTES_MAX).contains(&challenge.len()) => {
            Ok(Told::new(StatusCode::OK, "text/plain", challenge.into_owned()))
        }
        _ => {
            let detail = format!("`hub.challenge` is missing, or longer than {ECHO_BYTES_MAX} bytes");
            Err(Problem::new(StatusCode::BAD_REQUEST, "challenge_invalid", detail))
        }
    }
}

/// The handshake of CloudEvents' "HTTP 1.1 Web Hooks for Event Delivery", section 4.
fn permission(
    source: &Source,
    headers: &HeaderMap,
    is_allowed: impl Fn(&HeaderValue) -> bool,
) -> Result<Told, Problem> {
    let Some(origin) = headers.get(REQUEST_ORIGIN) else {
        let detail = "an OPTIONS of this source asks whether it may send, and says who in `WebHook-Request-Origin`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "challenge_invalid", detail));
    };
    if !is_allowed(origin) {
        let detail = "this source does not allow events from this `WebHook-Request-Origin`: it is none of its `cloudevents.origins`";
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin_refused", detail));
    }
    let asked: Option<u64> = headers.get(REQUEST_RATE).and_then(|rate| rate.to_str().ok()?.parse().ok());
    let own = source.rate.map(|rate| u64::from(rate.per_s) * 60);
    let allowed = match (asked.filter(|asked| *asked > 0), own) {
        (Some(asked), Some(own)) => asked.min(own).into(),
        (Some(rate), None) | (None, Some(rate)) => rate.into(),
        (None, None) => HeaderValue::from_static("*"),
    };
    let mut told = Told::new(StatusCode::OK, "text/plain", String::new());
    told.headers.extend([(ALLOWED_ORIGIN, origin.clone()), (ALLOWED_RATE, allowed)]);
    told.headers.extend(HeaderValue::from_str(&source.allow()).ok().map(|methods| (header::ALLOW, methods)));
    Ok(told)
}

/// What a verified request is told whose body asks something; none where it is an event. `sign` is an HMAC in hex, by the secret that signed
/// the request.
pub(super) fn by_body(source: &Source, body: &[u8], sign: impl Fn(&str) -> Option<String>) -> Option<Told> {
    let body = match source.asks {
        Asks::Nothing | Asks::Meta(_) => return None,
        Asks::Slack | Asks::Discord | Asks::Zoom => Json::of(body),
    };
    let is = |pointer: &str, wanted: &str| body.text_at(pointer).is_some_and(|it| it == wanted);
    let json = |text: String| Told::new(StatusCode::OK, "application/json", text);
    match source.asks {
        Asks::Slack if is("/type", "url_verification") => {
            let challenge = body.text_at("/challenge").unwrap_or_default();
            Some(Told::new(StatusCode::OK, "text/plain", challenge))
        }
        // Interactions begin with a PING of type 1; webhook events with one of type 0, and there 1 is an event, which stands inside.
        Asks::Discord if is("/type", "1") && !body.has("/event") => Some(json(r#"{"type":1}"#.to_owned())),
        Asks::Discord if is("/type", "0") => Some(Told::new(StatusCode::NO_CONTENT, "application/json", String::new())),
        Asks::Zoom if is("/event", "endpoint.url_validation") => {
            let plain = body.text_at("/payload/plainToken").unwrap_or_default();
            let encrypted = sign(&plain)?;
            Some(json(json!({ "plainToken": plain, "encryptedToken": encrypted }).to_string()))
        }
        _ => None,
    }
}
