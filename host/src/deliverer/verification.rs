//! Having a receiver show that it is the one that was meant: it repeats a challenge that is made for this once. Pure.
//!
//! The challenge is a Standard Webhooks message of its own, signed like a delivery, so whoever gets it can tell whose it is. A server that sends back
//! whatever it gets has understood nothing: the question itself is no answer. What was shown is kept by the endpoint's gate, in memory; who asks is
//! `asking`.

use super::handshake::REQUEST_ORIGIN;
use super::request::{self, Attempted, InvalidRequest};
use crate::config::Endpoint;
use crate::transport::{RESPONSE_BYTES_MAX, Request, Response, SendError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// The type of the message.
const MESSAGE_TYPE: &str = "hookswitch.endpoint.verification";

/// What is to be repeated, once.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    /// The message's id: it is no delivery, and must not be taken for a repetition of one.
    id: String,
    text: String,
}

/// Why nothing may be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum VerificationError {
    /// There is no challenge to be had.
    #[error("no challenge could be made for the receiver: {0}")]
    Random(String),
    /// No answer came.
    #[error("the receiver could not be sent its challenge: {0}")]
    Send(SendError),
    /// What came is no proof.
    #[error("the receiver does not show that it is the one that was meant: {0}")]
    Refused(String),
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    challenge: &'a str,
}

/// An answer in JSON. What else is in it is not looked at.
#[derive(Deserialize)]
struct Answer {
    r#type: Option<String>,
    challenge: String,
}

impl Challenge {
    /// A challenge made of randomness; nobody can guess it who does not get it.
    pub(super) fn new(now_ms: u64, id: [u8; 10], secret: [u8; 32]) -> Self {
        let mut random = [0; 16];
        random.iter_mut().zip(id).for_each(|(to, from)| *to = from);
        let id = format!("ver_{}", Ulid::from_parts(now_ms, u128::from_le_bytes(random)));
        Self { id, text: URL_SAFE_NO_PAD.encode(secret) }
    }
}

/// The question, with the endpoint's credentials and headers, and signed like a delivery.
pub(super) fn question(
    endpoint: &Endpoint,
    challenge: &Challenge,
    attempted: &Attempted,
) -> Result<Request, InvalidRequest> {
    let url = endpoint.url.fill(|_| String::new())?;
    let message = Message { r#type: MESSAGE_TYPE, challenge: &challenge.text };
    // Two texts are always JSON.
    let body = serde_json::to_vec(&message).unwrap_or_default();
    let mut headers = HeaderMap::new();
    request::put_headers(&mut headers, endpoint)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request::authorize(&mut headers, endpoint, attempted.token.as_ref());
    headers.extend(attempted.origin.clone().map(|origin| (REQUEST_ORIGIN, origin)));
    request::sign(&mut headers, endpoint, &challenge.id, attempted.now_ms, &body)?;
    Ok(Request {
        method: Method::POST,
        url,
        headers,
        body: body.into(),
        connect_timeout_ms: endpoint.connect_timeout_ms,
        first_byte_timeout_ms: endpoint.first_byte_timeout_ms,
        timeout_ms: endpoint.timeout_ms,
        response_bytes_max: RESPONSE_BYTES_MAX,
        tls: endpoint.tls.clone(),
    })
}

/// Whether an answer repeats the challenge.
pub(super) fn answer(answer: &Response, challenge: &Challenge) -> Result<(), VerificationError> {
    let refused = |why: &str| {
        let why = format!("its answer to the message `{MESSAGE_TYPE}` ({}) {why}", answer.status);
        Err(VerificationError::Refused(why))
    };
    if !answer.status.is_success() {
        return refused("is none of 2xx");
    }
    if answer.cut {
        return refused(&format!("has more than {RESPONSE_BYTES_MAX} bytes, or breaks off"));
    }
    let text = std::str::from_utf8(&answer.body_prefix).unwrap_or_default().trim();
    let given = match serde_json::from_str::<Answer>(text) {
        Ok(Answer { r#type: Some(kind), .. }) if kind == MESSAGE_TYPE => {
            return refused("sends the question back: the answer is its `challenge` alone");
        }
        Ok(json) => json.challenge,
        Err(_) => text.to_owned(),
    };
    if given != challenge.text {
        return refused(r#"does not repeat its `challenge`, as {"challenge": "…"} or as plain text"#);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{endpoint, tenant};
    use super::*;
    use crate::signing::{StandardScheme, Tolerance};
    use http::StatusCode;

    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    const NOW_MS: u64 = 1_674_087_231_000;

    fn challenge() -> Challenge {
        Challenge::new(NOW_MS, [1; 10], [255; 32])
    }

    fn attempted() -> Attempted {
        Attempted { now_ms: NOW_MS, tenant: tenant(), source: None, token: None, origin: None }
    }

    #[test]
    fn a_challenge_is_a_signed_message_of_its_own() {
        let spec = format!(
            r#""verification": "challenge", "method": "PUT", "secrets": ["{SECRET}"], "headers": {{"x-a": "1"}},
            "auth": {{"type": "bearer", "token": "t"}}, "signatures": [{{"scheme": "github", "secrets": ["a"]}}]"#
        );
        let request = question(&endpoint(&spec), &challenge(), &attempted()).unwrap();
        assert_eq!((&request.method, request.url.as_str()), (&Method::POST, "http://127.0.0.1:9/x"));
        let body =
            r#"{"type":"hookswitch.endpoint.verification","challenge":"__________________________________________8"}"#;
        assert_eq!(request.body, body);
        let scheme = StandardScheme::standard_webhooks(vec![SECRET.parse().unwrap()], Tolerance(0));
        assert_eq!(scheme.verify(&request.headers, &request.body, NOW_MS / 1000), Ok(()));
        let header = |name: &str| request.headers[name].to_str().unwrap();
        assert_eq!((header("authorization"), header("x-a")), ("Bearer t", "1"));
        assert_eq!(header("content-type"), "application/json");
        let id = Ulid::from_string(header("webhook-id").strip_prefix("ver_").unwrap()).unwrap();
        assert_eq!(id.timestamp_ms(), NOW_MS);
        assert!(request.headers.contains_key("x-hub-signature-256") && !request.headers.contains_key(REQUEST_ORIGIN));
        let origin = Some(HeaderValue::from_static("hooks.example.com"));
        let asked = question(&endpoint(&spec), &challenge(), &Attempted { origin, ..attempted() }).unwrap();
        assert_eq!(asked.headers[REQUEST_ORIGIN], "hooks.example.com");
    }

    #[test]
    fn each_challenge_is_another() {
        let (one, other) = (challenge(), Challenge::new(NOW_MS, [2; 10], [0; 32]));
        assert!(one.id != other.id && one.text != other.text && one.text.len() == 43);
    }

    #[test]
    fn an_answer_repeats_the_challenge_and_nothing_else_does() {
        let text = challenge().text;
        let of = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let response =
                Response { status, headers: HeaderMap::new(), body_prefix: body.as_bytes().to_vec(), cut: false };
            answer(&response, &challenge())
        };
        let good = [
            text.clone(),
            format!("{text}\r\n"),
            format!(r#"{{"challenge": "{text}"}}"#),
            format!(r#" {{"ok": true, "challenge": "{text}", "type": "answer"}}"#),
        ];
        for body in &good {
            assert_eq!((of(200, body), of(202, body)), (Ok(()), Ok(())), "{body}");
        }
        let not_repeated = "does not repeat its `challenge`";
        let refused = [
            (200, String::new(), not_repeated),
            (200, format!("{text}x"), not_repeated),
            (200, format!(r#""{text}""#), not_repeated),
            (200, r#"{"challenge": "x"}"#.to_owned(), not_repeated),
            (200, format!(r#"{{"other": "{text}"}}"#), not_repeated),
            (200, format!(r#"{{"type": "{MESSAGE_TYPE}", "challenge": "{text}"}}"#), "sends the question back"),
            (302, text.clone(), "(302 Found) is none of 2xx"),
            (500, text.clone(), "(500 Internal Server Error) is none of 2xx"),
        ];
        for (status, body, why) in refused {
            let error = of(status, &body).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains(&text), "{body}: {error}");
        }
        let body_prefix = text.as_bytes().to_vec();
        let cut = Response { status: StatusCode::OK, headers: HeaderMap::new(), body_prefix, cut: true };
        assert!(answer(&cut, &challenge()).unwrap_err().to_string().contains("more than 4096 bytes"));
    }
}
