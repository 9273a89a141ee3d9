//! Tokens for endpoints that want OAuth2: fetched with client credentials (RFC 6749, section 4.4), kept in memory only, until shortly before they
//! expire.
//!
//! What must hold: of one endpoint's attempts one fetches, and the others wait for what it gets, good or bad, so that a token server that is
//! down is asked once and not by each; a 401 of the receiver drops a token once, and then not again before an attempt got through, so that a
//! receiver that refuses every token does not make the host ask for ever more; nothing of an answer of the token server is kept or shown, but
//! the error code that the standard defines.

use super::request::AGENT;
use crate::config::{ClientAuth, Oauth2};
use crate::model::{EndpointName, TenantName};
use crate::transport::{Request, Response, SendError, Transport};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::form_urlencoded;

/// How long fetching a token may take, in milliseconds. It does not count towards the endpoint's `timeout_ms`.
const TOKEN_TIMEOUT_MS: u64 = 10_000;
/// The longest answer of a token server, in bytes.
const TOKEN_RESPONSE_BYTES_MAX: usize = 32 * 1024;
/// The most endpoints whose tokens are kept; past it the one that was not used for longest goes.
const TOKENS_MAX: usize = 1_024;
/// How long a token is used whose answer does not say.
const LIFETIME_UNSAID: Duration = Duration::from_secs(300);
/// The longest that a token is used, whatever its answer says.
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);
/// How long before its end a token is not used any more, or a tenth of its lifetime where that is less.
const SPARE: Duration = Duration::from_secs(60);

/// Whose token it is.
pub(super) type Owner = (TenantName, EndpointName);

/// The tokens of all endpoints. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Tokens {
    entries: Arc<Mutex<HashMap<Owner, Arc<Entry>>>>,
    uses: Arc<AtomicU64>,
}

/// A token that was fetched.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// For `Authorization`.
    pub(super) value: HeaderValue,
    stale_at: Instant,
    /// Which fetch of its endpoint it came of.
    number: u64,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    /// Nothing came back.
    #[error("no token from the endpoint's `auth.token_url`: {0}")]
    Send(SendError),
    /// What came back has no token in it.
    #[error("no token from the endpoint's `auth.token_url`: {0}")]
    Answer(String),
}

struct Entry {
    oauth2: Arc<Oauth2>,
    /// What the last fetch gave. Locked while one is under way.
    last: tokio::sync::Mutex<Option<Result<Token, TokenError>>>,
    fetches: AtomicU64,
    /// Whether a token was dropped and no attempt got through since.
    dropped: AtomicBool,
    used: AtomicU64,
}

impl Tokens {
    /// The token of an endpoint, fetched if need be.
    pub(super) async fn get(
        &self,
        owner: &Owner,
        oauth2: &Arc<Oauth2>,
        transport: &Transport,
    ) -> Result<Token, TokenError> {
        let entry = self.entry(owner, oauth2);
        let seen = entry.fetches.load(Ordering::Acquire);
        let mut last = entry.last.lock().await;
        match &*last {
            // Somebody fetched while this one waited.
            Some(result) if entry.fetches.load(Ordering::Acquire) != seen => return result.clone(),
            Some(Ok(token)) if Instant::now() < token.stale_at => return Ok(token.clone()),
            _ => {}
        }
        let number = seen + 1;
        let fetched = fetch(oauth2, transport, number).await;
        entry.fetches.store(number, Ordering::Release);
        *last = Some(fetched.clone());
        fetched
    }

    /// What a receiver's answer says of the token.
    pub(super) async fn learn(&self, owner: &Owner, token: &Token, status: StatusCode) {
        let Some(entry) = self.lock().get(owner).cloned() else { return };
        if status != StatusCode::UNAUTHORIZED {
            if status.is_success() {
                entry.dropped.store(false, Ordering::Release);
            }
            return;
        }
        let mut last = entry.last.lock().await;
        let is_last = matches!(&*last, Some(Ok(kept)) if kept.number == token.number);
        if is_last && !entry.dropped.swap(true, Ordering::AcqRel) {
            *last = None;
        }
    }

    /// The entry of an endpoint; a new one where its credentials are new.
    fn entry(&self, owner: &Owner, oauth2: &Arc<Oauth2>) -> Arc<Entry> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut entries = self.lock();
        if let Some(entry) = entries.get(owner).filter(|entry| entry.oauth2 == *oauth2) {
            entry.used.store(used, Ordering::Relaxed);
            return Arc::clone(entry);
        }
        if entries.len() >= TOKENS_MAX && !entries.contains_key(owner) {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(owner, _)| owner.clone()) {
                entries.remove(&oldest);
            }
        }
        let entry = Arc::new(Entry {
            oauth2: Arc::clone(oauth2),
            last: tokio::sync::Mutex::default(),
            fetches: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
            used: AtomicU64::new(used),
        });
        entries.insert(owner.clone(), Arc::clone(&entry));
        entry
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Owner, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch(oauth2: &Oauth2, transport: &Transport, number: u64) -> Result<Token, TokenError> {
    let asked_at = Instant::now();
    let answer = transport.send(request(oauth2)?).await.map_err(TokenError::Send)?;
    let (value, lifetime) = read(&answer).map_err(TokenError::Answer)?;
    let lifetime = lifetime.min(LIFETIME_MAX);
    Ok(Token { value, stale_at: asked_at + lifetime - SPARE.min(lifetime / 10), number })
}

fn request(oauth2: &Oauth2) -> Result<Request, TokenError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(USER_AGENT, AGENT);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    match oauth2.client_auth {
        ClientAuth::Basic => drop(headers.insert(AUTHORIZATION, basic(oauth2)?)),
        ClientAuth::Body => {
            form.append_pair("client_id", &oauth2.client_id).append_pair("client_secret", &oauth2.client_secret);
        }
    }
    let more = [("scope", &oauth2.scope), ("audience", &oauth2.audience)];
    form.extend_pairs(more.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
    Ok(Request {
        method: Method::POST,
        url: oauth2.token_url.clone(),
        headers,
        body: form.finish().into(),
        connect_timeout_ms: None,
        first_byte_timeout_ms: None,
        timeout_ms: TOKEN_TIMEOUT_MS,
        response_bytes_max: TOKEN_RESPONSE_BYTES_MAX,
        tls: None,
    })
}

/// Id and secret are encoded as in a form first (RFC 6749, section 2.3.1).
fn basic(oauth2: &Oauth2) -> Result<HeaderValue, TokenError> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(&oauth2.client_id), encoded(&oauth2.client_secret));
    bearing("Basic", &STANDARD.encode(pair)).map_err(TokenError::Answer)
}

fn bearing(scheme: &str, value: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(&format!("{scheme} {value}"));
    let mut value = value.map_err(|_| "its `access_token` has other characters than visible ASCII".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token in an answer, and for how long it is good.
fn read(answer: &Response) -> Result<(HeaderValue, Duration), String> {
    let json = serde_json::from_slice::<Map<String, Value>>(&answer.body_prefix).ok();
    if !answer.status.is_success() {
        let code =
            json.as_ref().and_then(|json| json.get("error")).and_then(Value::as_str).filter(|code| is_code(code));
        let code = code.map(|code| format!(" (`{code}`)")).unwrap_or_default();
        return Err(format!("it answered {}{code}; check `client_id`, `client_secret` and `scope`", answer.status));
    }
    if answer.cut {
        return Err(format!(
            "its answer is longer than {TOKEN_RESPONSE_BYTES_MAX} bytes or did not end within {TOKEN_TIMEOUT_MS} ms"
        ));
    }
    let json = json.ok_or("its answer is not a JSON object")?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("the `token_type` of its answer is not `Bearer`".to_owned());
    }
    let token = text("access_token").filter(|token| !token.is_empty()).ok_or("its answer has no `access_token`")?;
    // Some write the number as a string.
    let seconds = json.get("expires_in").and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    Ok((bearing("Bearer", token)?, seconds.map_or(LIFETIME_UNSAID, Duration::from_secs)))
}

/// Whether it can be one of the standard's error codes, which say nothing of anybody.
fn is_code(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Config;
    use crate::transport::tests::server::{Server, answer};

    fn loopback() -> Transport {
        Transport::new(&Config { allow: vec!["127.0.0.0/8".parse().unwrap()], ..Config::default() }).unwrap()
    }

    fn owner(endpoint: &str) -> Owner {
        ("acme".parse().unwrap(), endpoint.parse().unwrap())
    }

    fn at(token_url: String) -> Arc<Oauth2> {
        Arc::new(Oauth2 {
            token_url,
            client_id: "id:1".to_owned(),
            client_secret: "s ecret".to_owned(),
            scope: Some("a b".to_owned()),
            audience: None,
            client_auth: ClientAuth::Basic,
        })
    }

    fn response(status: u16, body: &str) -> Response {
        let status = StatusCode::from_u16(status).unwrap();
        Response { status, headers: HeaderMap::new(), body_prefix: body.as_bytes().to_vec(), cut: false }
    }

    #[test]
    fn a_token_request_is_as_the_standard_has_it() {
        let oauth2 = at("http://x/".to_owned());
        let basic = request(&oauth2).unwrap();
        assert_eq!(basic.body, "grant_type=client_credentials&scope=a+b");
        let expected = format!("Basic {}", STANDARD.encode("id%3A1:s+ecret"));
        assert_eq!(basic.headers["authorization"], expected);
        let in_body = Oauth2 { client_auth: ClientAuth::Body, audience: Some("x".to_owned()), ..(*oauth2).clone() };
        let in_body = request(&in_body).unwrap();
        let form = "grant_type=client_credentials&client_id=id%3A1&client_secret=s+ecret&scope=a+b&audience=x";
        assert_eq!((in_body.body.as_ref(), in_body.headers.get("authorization")), (form.as_bytes(), None));
    }

    #[test]
    fn an_answer_is_a_token_or_says_why_not_and_shows_nothing_else() {
        let good =
            read(&response(200, r#"{"access_token": "t", "token_type": "bearer", "expires_in": "60"}"#)).unwrap();
        assert_eq!((good.0.to_str().unwrap(), good.1), ("Bearer t", Duration::from_secs(60)));
        assert_eq!(read(&response(200, r#"{"access_token": "t"}"#)).unwrap().1, LIFETIME_UNSAID);
        let wrong = [
            (401, r#"{"error": "invalid_client", "error_description": "hush"}"#, "`invalid_client`"),
            (400, r#"{"error": "Hush hush"}"#, "400 Bad Request;"),
            (200, "hush", "not a JSON object"),
            (200, r#"{"token": "hush"}"#, "no `access_token`"),
            (200, r#"{"access_token": "hush\nx"}"#, "visible ASCII"),
            (200, r#"{"access_token": "hush", "token_type": "mac"}"#, "not `Bearer`"),
        ];
        for (status, body, says) in wrong {
            let error = read(&response(status, body)).unwrap_err();
            assert!(error.contains(says) && !error.to_lowercase().contains("hush"), "{error}");
        }
        let cut = Response { cut: true, ..response(200, r#"{"access_token": "t"}"#) };
        assert!(read(&cut).unwrap_err().contains("longer than 32768 bytes"));
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_and_dropped_once_by_a_401() {
        let server = Server::start(answer("200 OK", "", r#"{"access_token": "t", "expires_in": 3600}"#)).await;
        let (tokens, transport, oauth2, owner) = (Tokens::default(), loopback(), at(server.url("/")), owner("a"));
        let get = async || tokens.get(&owner, &oauth2, &transport).await.unwrap();
        let (first, same) = tokio::join!(get(), get());
        assert_eq!((first.number, same.number), (1, 1), "they wait for the one that fetches");
        tokens.learn(&owner, &first, StatusCode::UNAUTHORIZED).await;
        let second = get().await;
        assert_eq!(second.number, 2);
        tokens.learn(&owner, &first, StatusCode::UNAUTHORIZED).await;
        tokens.learn(&owner, &second, StatusCode::UNAUTHORIZED).await;
        assert_eq!(get().await.number, 2, "it is not the token's fault");
        tokens.learn(&owner, &second, StatusCode::OK).await;
        tokens.learn(&owner, &second, StatusCode::UNAUTHORIZED).await;
        assert_eq!(get().await.number, 3);
    }

    #[tokio::test]
    async fn a_token_is_fetched_anew_before_it_expires_and_for_new_credentials() {
        let server = Server::start(answer("200 OK", "", r#"{"access_token": "t", "expires_in": 100}"#)).await;
        let (tokens, transport, oauth2) = (Tokens::default(), loopback(), at(server.url("/")));
        let asked_at = Instant::now();
        let token = tokens.get(&owner("a"), &oauth2, &transport).await.unwrap();
        let until = token.stale_at - asked_at;
        assert!(until >= Duration::from_secs(90) && until < Duration::from_secs(100), "{until:?}");
        let other = Arc::new(Oauth2 { client_id: "other".to_owned(), ..(*oauth2).clone() });
        tokens.get(&owner("a"), &other, &transport).await.unwrap();
        assert_eq!(tokens.lock().len(), 1);
        for number in 0..TOKENS_MAX {
            tokens.entry(&owner(&format!("e{number}")), &oauth2);
        }
        let entries = tokens.lock();
        assert!(entries.len() == TOKENS_MAX && !entries.contains_key(&owner("a")), "the oldest goes");
    }

    #[tokio::test]
    async fn a_token_that_expires_at_once_is_fetched_each_time_and_a_failure_is_not_kept() {
        let server = Server::start(answer("200 OK", "", r#"{"access_token": "t", "expires_in": 0}"#)).await;
        let (tokens, transport, oauth2) = (Tokens::default(), loopback(), at(server.url("/")));
        for number in 1..=3 {
            assert_eq!(tokens.get(&owner("a"), &oauth2, &transport).await.unwrap().number, number);
        }
        let failing = Server::start(answer("500 Internal Server Error", "", "")).await;
        let failing = at(failing.url("/"));
        for _ in 0..2 {
            let error = tokens.get(&owner("b"), &failing, &transport).await.unwrap_err();
            assert!(error.to_string().contains("500 Internal Server Error"), "{error}");
        }
        assert_eq!(tokens.entry(&owner("b"), &failing).fetches.load(Ordering::Relaxed), 2);
    }
}
