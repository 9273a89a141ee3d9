//! The schemes that sign nothing: the request holds the secret itself. Whoever sees one request can make any other, so they want TLS.

use super::VerifyError;
use super::explain::Looked;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, header};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// Verifies requests that hold one of these. Its `Debug` shows nothing of them.
#[derive(Clone)]
pub struct SharedSecret {
    place: Place,
    wanted: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Header(HeaderName),
    /// `Authorization`, with this word before it, in any case (RFC 9110, section 11.1).
    Authorization(&'static str),
    /// A parameter of the URL's query.
    Query(String),
}

impl SharedSecret {
    /// GitLab's: the secret token in `X-Gitlab-Token`.
    #[must_use]
    pub fn gitlab(secrets: Vec<String>) -> Self {
        Self::in_header(HeaderName::from_static("x-gitlab-token"), secrets)
    }

    /// The secret in a header.
    #[must_use]
    pub const fn in_header(header: HeaderName, secrets: Vec<String>) -> Self {
        Self { place: Place::Header(header), wanted: secrets }
    }

    /// The secret in a parameter of the query.
    #[must_use]
    pub const fn in_query(parameter: String, secrets: Vec<String>) -> Self {
        Self { place: Place::Query(parameter), wanted: secrets }
    }

    /// `Authorization: Bearer <secret>` (RFC 6750, section 2.1).
    #[must_use]
    pub const fn bearer(secrets: Vec<String>) -> Self {
        Self { place: Place::Authorization("bearer"), wanted: secrets }
    }

    /// `Authorization: Basic <base64 of user:password>` (RFC 7617, section 2); the secrets are passwords.
    #[must_use]
    pub fn basic(username: &str, passwords: &[String]) -> Self {
        let wanted = passwords.iter().map(|password| STANDARD.encode(format!("{username}:{password}"))).collect();
        Self { place: Place::Authorization("basic"), wanted }
    }

    /// The header that it stands in, where it is one of the source's choice.
    #[must_use]
    pub const fn header(&self) -> Option<&HeaderName> {
        match &self.place {
            Place::Header(header) => Some(header),
            Place::Authorization(_) | Place::Query(_) => None,
        }
    }

    /// What can be told of a request that was refused.
    #[must_use]
    pub fn explain(&self, looked: &Looked<'_>) -> Vec<String> {
        let Ok(given) = self.given(looked.headers, looked.query) else {
            return match &self.place {
                Place::Header(header) if !looked.headers.contains_key(header) => vec![looked.missing(header)],
                _ => Vec::new(),
            };
        };
        let bare = given.trim_ascii();
        let unquoted = bare.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(bare);
        let fits = |text: &[u8]| text != given.as_slice() && self.has(text);
        let mut told =
            vec![format!("what it holds has {} bytes, and is none of {} secrets", given.len(), self.wanted.len())];
        if fits(bare) || fits(unquoted) {
            told.push("it is a secret with spaces or quotes around it".to_owned());
        }
        told
    }

    /// Whether the request holds one of the secrets. `query` is the URL's, as it came.
    ///
    /// # Errors
    /// Where it does not.
    pub fn verify(&self, headers: &HeaderMap, query: Option<&str>) -> Result<(), VerifyError> {
        if self.has(&self.given(headers, query)?) { Ok(()) } else { Err(VerifyError::SecretInvalid) }
    }

    /// Whether this is one of the secrets. Each is compared in constant time; all are, so that not even which one it is shows.
    fn has(&self, given: &[u8]) -> bool {
        self.wanted.iter().fold(subtle::Choice::from(0), |right, one| right | one.as_bytes().ct_eq(given)).into()
    }

    /// What the request holds.
    fn given(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Vec<u8>, VerifyError> {
        let missing = |header: &HeaderName| VerifyError::SignatureMissing { header: header.clone() };
        let of = |header: &HeaderName| headers.get(header).map(|value| value.as_bytes()).ok_or_else(|| missing(header));
        Ok(match &self.place {
            Place::Header(header) => of(header)?.to_vec(),
            Place::Authorization(scheme) => {
                let value = of(&header::AUTHORIZATION)?;
                let malformed = || VerifyError::SignatureMalformed {
                    header: header::AUTHORIZATION,
                    wanted: format!("`{scheme}`, a space and the credentials"),
                };
                let at = value.iter().position(|byte| *byte == b' ').ok_or_else(malformed)?;
                let (word, rest) = value.split_at(at);
                if !word.eq_ignore_ascii_case(scheme.as_bytes()) {
                    return Err(malformed());
                }
                rest.trim_ascii_start().to_vec()
            }
            Place::Query(wanted) => {
                let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
                let found =
                    pairs.find_map(|(name, value)| (name == wanted.as_str()).then(|| value.into_owned().into_bytes()));
                found.ok_or_else(|| VerifyError::ParameterMissing { parameter: wanted.clone() })?
            }
        })
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret").field("place", &self.place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<String> {
        vec!["old".to_owned(), "new".to_owned()]
    }

    fn code(secret: &SharedSecret, header: Option<(&'static str, &str)>, query: Option<&str>) -> &'static str {
        let headers = header.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let verified = secret.verify(&headers.into_iter().collect(), query);
        verified.map_or_else(|error| error.code(), |()| "right")
    }

    #[test]
    fn any_of_the_secrets_will_do_and_nothing_like_them() {
        let gitlab = SharedSecret::gitlab(secrets());
        let of = |value| code(&gitlab, Some(("x-gitlab-token", value)), None);
        assert_eq!([of("old"), of("new")], ["right"; 2]);
        for wrong in ["", "ol", "old ", "oldnew", "New"] {
            assert_eq!(of(wrong), "signature_invalid", "{wrong}");
        }
        assert_eq!(code(&gitlab, None, None), "signature_missing");
        // Bytes beyond ASCII are as good as others.
        let named = HeaderName::from_static("x-gitlab-token");
        let value = http::HeaderValue::from_bytes("pässwort".as_bytes()).unwrap();
        let headers = [(named, value)].into_iter().collect();
        assert_eq!(SharedSecret::gitlab(vec!["pässwort".to_owned()]).verify(&headers, None), Ok(()));
    }

    #[test]
    fn authorization_has_its_scheme_in_any_case() {
        let bearer = SharedSecret::bearer(secrets());
        let of = |value| code(&bearer, Some(("authorization", value)), None);
        assert_eq!([of("Bearer old"), of("bearer  new")], ["right"; 2]);
        assert_eq!([of("Bearer other"), of("Bearer ")], ["signature_invalid"; 2]);
        assert_eq!([of("old"), of("Basic old")], ["signature_malformed"; 2]);
        // RFC 7617, section 2.
        let basic = SharedSecret::basic("Aladdin", &["open sesame".to_owned()]);
        assert_eq!(code(&basic, Some(("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")), None), "right");
        assert_eq!(code(&basic, Some(("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2Ft")), None), "signature_invalid");
    }

    #[test]
    fn a_key_in_the_query_is_read_as_a_form_is() {
        let key = SharedSecret::in_query("k e".to_owned(), vec!["a&b".to_owned()]);
        assert_eq!(code(&key, None, Some("x=1&k+e=a%26b")), "right");
        assert_eq!(code(&key, None, Some("k%20e=a")), "signature_invalid");
        assert_eq!([code(&key, None, Some("x=1")), code(&key, None, None)], ["signature_missing"; 2]);
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", SharedSecret::gitlab(secrets())).contains("old"));
    }
}
