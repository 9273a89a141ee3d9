//! The schemes that sign nothing: the request holds the secret itself. Whoever sees one request can make any other, so they want TLS.

use super::VerifyError;
use super::explain::Looked;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, header};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// In how many headers, and in how many parameters of the query, a secret is looked for that is not in its place.
const PLACES_MAX: usize = 64;
/// What `Authorization` may begin with, and be shown.
const WORDS: [&str; 5] = ["Basic", "Bearer", "Digest", "Token", "ApiKey"];

/// Verifies requests that hold one of these. Its `Debug` shows nothing of them.
#[derive(Clone)]
pub struct SharedSecret {
    place: Place,
    wanted: Vec<String>,
    /// Of `Basic`, whose passwords they are.
    username: Option<String>,
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
        Self::at(Place::Header(header), secrets)
    }

    /// The secret in a parameter of the query.
    #[must_use]
    pub const fn in_query(parameter: String, secrets: Vec<String>) -> Self {
        Self::at(Place::Query(parameter), secrets)
    }

    /// `Authorization: Bearer <secret>` (RFC 6750, section 2.1).
    #[must_use]
    pub const fn bearer(secrets: Vec<String>) -> Self {
        Self::at(Place::Authorization("Bearer"), secrets)
    }

    /// `Authorization: Basic <base64 of user:password>` (RFC 7617, section 2); the secrets are passwords.
    #[must_use]
    pub fn basic(username: &str, passwords: &[String]) -> Self {
        let wanted = passwords.iter().map(|password| STANDARD.encode(format!("{username}:{password}"))).collect();
        Self { username: Some(username.to_owned()), ..Self::at(Place::Authorization("Basic"), wanted) }
    }

    const fn at(place: Place, wanted: Vec<String>) -> Self {
        Self { place, wanted, username: None }
    }

    /// What `WWW-Authenticate` says of it (RFC 9110, section 11.6.1); none where it does not stand in `Authorization`.
    #[must_use]
    pub fn challenge(&self) -> Option<&'static str> {
        match (&self.place, &self.username) {
            (Place::Authorization(_), Some(_)) => Some("Basic realm=\"hookswitch\", charset=\"UTF-8\""),
            (Place::Authorization(scheme), None) => Some(scheme),
            _ => None,
        }
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
            let elsewhere = self.elsewhere(looked);
            return std::iter::once(self.why_there_is_none(looked)).chain(elsewhere).collect();
        };
        if let Some(username) = &self.username {
            return vec![self.what_is_wrong_with(username, &given)];
        }
        let bare = given.trim_ascii();
        let unquoted = bare.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(bare);
        let fits = |text: &[u8]| text != given.as_slice() && self.has(text);
        let is_none = match self.wanted.len() {
            1 => "is not the source's secret".to_owned(),
            count => format!("is none of {count} secrets"),
        };
        let mut told = vec![format!("what it holds has {} bytes, and {is_none}", given.len())];
        if fits(bare) || fits(unquoted) {
            told.push("it is a secret with spaces or quotes around it".to_owned());
        }
        told
    }

    fn why_there_is_none(&self, looked: &Looked<'_>) -> String {
        let scheme = match &self.place {
            Place::Header(header) => return looked.missing(header),
            Place::Query(parameter) => return format!("the URL has no parameter `{parameter}`"),
            Place::Authorization(scheme) => scheme,
        };
        let Some(value) = looked.headers.get(header::AUTHORIZATION) else {
            return "there is no `authorization` header".to_owned();
        };
        // What stands there may be a secret: only words that are known are shown.
        let word = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        let known = WORDS.iter().find(|known| word.eq_ignore_ascii_case(known.as_bytes()));
        match known {
            Some(known) if known != scheme => {
                format!("`authorization` begins with `{known}`, and `{scheme}` is wanted")
            }
            Some(_) => format!("`authorization` has nothing after `{scheme}`"),
            None => format!("`authorization` does not begin with `{scheme}` and a space"),
        }
    }

    /// Where else a secret of the source stands in the request.
    fn elsewhere(&self, looked: &Looked<'_>) -> Option<String> {
        let last = |value: &[u8]| value.rsplit(|byte| *byte == b' ').next().map(<[u8]>::to_vec);
        let mut headers = looked.headers.iter().take(PLACES_MAX);
        let header = headers
            .find(|(_, value)| self.has(value.as_bytes()) || last(value.as_bytes()).is_some_and(|it| self.has(&it)));
        if let Some((name, _)) = header {
            return Some(format!("a secret of the source stands in the header `{name}`"));
        }
        let mut pairs = url::form_urlencoded::parse(looked.query.unwrap_or_default().as_bytes()).take(PLACES_MAX);
        let (name, _) = pairs.find(|(_, value)| self.has(value.as_bytes()))?;
        let name: String = name.chars().filter(|it| !it.is_control()).take(64).collect();
        Some(format!("a secret of the source stands in the query, as `{name}`"))
    }

    /// Of a user name and a password which of the two it is.
    fn what_is_wrong_with(&self, username: &str, given: &[u8]) -> String {
        let decoded = STANDARD.decode(given.trim_ascii()).ok();
        let user = decoded
            .as_deref()
            .and_then(|text| text.split(|byte| *byte == b':').next().filter(|user| user.len() < text.len()));
        match (user, self.wanted.len()) {
            (None, _) => {
                "what stands after `Basic` is not the base64 of a user name, a colon and a password".to_owned()
            }
            (Some(user), _) if user != username.as_bytes() => "the user name is another than the source's".to_owned(),
            (Some(_), 1) => "the user name is right, and the password is not the source's".to_owned(),
            (Some(_), count) => format!("the user name is right, and the password is none of {count}"),
        }
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
        let missing = |header: &HeaderName| VerifyError::SecretMissing { header: header.clone() };
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
    fn what_is_wrong_with_it_is_told_to_the_sources_owner() {
        let told = |secret: &SharedSecret, header: Option<(&'static str, &str)>, query: Option<&str>| {
            let headers = header.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            let headers: HeaderMap = headers.into_iter().collect();
            let looked = Looked { headers: &headers, query, body: b"", inflated: None, is_signed: false, now_s: 0 };
            let told = secret.explain(&looked).join("; ");
            assert!(!told.contains("sesame") && !told.contains("other-secret"), "{told}");
            told
        };
        let basic = SharedSecret::basic("Aladdin", &["open sesame".to_owned()]);
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let of = |value: &str| told(&basic, Some(("authorization", value)), None);
        for (value, says) in [
            (encoded("Aladin:open sesame"), "the user name is another than the source's"),
            (encoded("Aladdin:other-secret"), "the user name is right, and the password is not the source's"),
            (encoded("Aladdin"), "is not the base64 of a user name, a colon and a password"),
            ("Basic ***".to_owned(), "is not the base64 of"),
            ("Bearer other-secret".to_owned(), "begins with `Bearer`, and `Basic` is wanted"),
            ("other-secret".to_owned(), "does not begin with `Basic` and a space"),
            ("Basic".to_owned(), "has nothing after `Basic`"),
        ] {
            assert!(of(&value).contains(says), "{value}: {}", of(&value));
        }
        assert_eq!(told(&basic, None, None), "there is no `authorization` header");
        let key = SharedSecret::in_header(HeaderName::from_static("x-key"), vec!["other-secret".to_owned()]);
        let in_query = told(&key, None, Some("a=1&key=other-secret"));
        assert!(in_query.ends_with("a secret of the source stands in the query, as `key`"), "{in_query}");
        let bearer = told(&key, Some(("authorization", "Bearer other-secret")), None);
        assert!(bearer.ends_with("stands in the header `authorization`"), "{bearer}");
        let key = SharedSecret::in_query("key".to_owned(), vec!["other-secret".to_owned()]);
        let in_header = told(&key, Some(("x-key", "other-secret")), None);
        assert_eq!(in_header, "the URL has no parameter `key`; a secret of the source stands in the header `x-key`");
        let one =
            told(&SharedSecret::bearer(vec!["other-secret".to_owned()]), Some(("authorization", "Bearer x")), None);
        assert_eq!(one, "what it holds has 1 bytes, and is not the source's secret");
    }

    #[test]
    fn only_authorization_has_a_challenge() {
        let challenges =
            [SharedSecret::basic("u", &secrets()), SharedSecret::bearer(secrets()), SharedSecret::gitlab(secrets())];
        let challenges = challenges.map(|secret| secret.challenge());
        assert_eq!(challenges, [Some("Basic realm=\"hookswitch\", charset=\"UTF-8\""), Some("Bearer"), None]);
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", SharedSecret::gitlab(secrets())).contains("old"));
    }
}
