//! Twilio's scheme: `X-Twilio-Signature: <base64>`, the HMAC-SHA1 of the URL as the sender has it, followed by the fields of a form,
//! sorted by name. Another body is not in it: its SHA-256 stands in the URL then, as `bodySHA256`.
//!
//! The media type is not signed. So a URL with a hash wants a body of that hash, whatever it is said to be: a form without fields would
//! otherwise pass for it.

use super::VerifyError;
use super::explain::Looked;
use super::header::{HashAlgorithm, SignatureEncoding, key};
use super::hmac_scheme::text;
use http::{HeaderMap, HeaderName, header};
use ring::hmac;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq as _;

const HEADER: HeaderName = HeaderName::from_static("x-twilio-signature");
const SIGNATURE_BYTES: usize = 20;
const BODY_HASH: &str = "bodySHA256";
/// How many fields of a form are looked at; one with more is not believed. Twilio sends some dozens.
const FIELDS_MAX: usize = 1_000;

/// Verifies Twilio's requests. Its `Debug` shows nothing of the keys.
#[derive(Clone)]
pub struct TwilioScheme {
    url: String,
    keys: Vec<hmac::Key>,
}

impl TwilioScheme {
    /// `url` is where Twilio was told to send, without a query; the secrets are auth tokens.
    #[must_use]
    pub fn new(url: String, secrets: &[String]) -> Self {
        Self { url, keys: secrets.iter().map(|secret| key(HashAlgorithm::Sha1, secret)).collect() }
    }

    /// What can be told of a request that was refused.
    #[must_use]
    pub fn explain(&self, looked: &Looked<'_>) -> Vec<String> {
        if !looked.headers.contains_key(HEADER) {
            return vec![looked.missing(&HEADER)];
        }
        let query = if looked.query.is_some() { " and this request's query" } else { "" };
        vec![format!("what is signed begins with `{}`{query}: Twilio was told the same URL, to the letter?", self.url)]
    }

    /// Whether one of the secrets signed the request. `query` is the URL's, as it came.
    ///
    /// # Errors
    /// Where the header is missing or malformed, or no secret made it.
    pub fn verify(&self, headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<(), VerifyError> {
        let given = SignatureEncoding::Base64.decode(text(headers, &HEADER)?).filter(|it| it.len() == SIGNATURE_BYTES);
        let given = given.ok_or_else(|| VerifyError::SignatureMalformed {
            header: HEADER,
            wanted: format!("the base64 of {SIGNATURE_BYTES} bytes"),
        })?;
        let mut signed = self.url.clone();
        if let Some(query) = query {
            signed.push('?');
            signed.push_str(query);
        }
        let mut signed = signed.into_bytes();
        if let Some(hash) = body_hash(query.unwrap_or_default()) {
            if hash != Sha256::digest(body).as_slice() {
                return Err(VerifyError::SignatureInvalid);
            }
        } else if is_form(headers) {
            let mut fields: Vec<_> = fields(body).take(FIELDS_MAX + 1).collect();
            if fields.len() > FIELDS_MAX {
                return Err(VerifyError::SignatureInvalid);
            }
            fields.sort_unstable();
            fields.dedup();
            fields.iter().for_each(|(name, value)| signed.extend(name.iter().chain(value)));
        } else if !body.is_empty() {
            return Err(VerifyError::SignatureInvalid);
        }
        let right = self.keys.iter().any(|key| bool::from(given.ct_eq(hmac::sign(key, &signed).as_ref())));
        if right { Ok(()) } else { Err(VerifyError::SignatureInvalid) }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The hash of the body that the query has, if it has one; one that is not written so is the hash of nothing.
fn body_hash(query: &str) -> Option<Vec<u8>> {
    let (_, hash) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH)?;
    Some(SignatureEncoding::Hex.decode(&hash).unwrap_or_default())
}

/// The names and values of a form, as bytes: what is no UTF-8 must not be taken for something else.
fn fields(form: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    form.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        let at = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        (unescaped(field.get(..at).unwrap_or_default()), unescaped(field.get(at + 1..).unwrap_or_default()))
    })
}

/// `+` is a space, `%` and two hex digits are a byte.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| str::from_utf8(digits).ok());
        match escaped.and_then(|digits| SignatureEncoding::Hex.decode(digits)) {
            Some(byte) => {
                bytes.extend(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    bytes
}

impl fmt::Debug for TwilioScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioScheme").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Signed by the `twilio` package from PyPI, version 9.13.0.
    const URL: &str = "https://mycompany.com/myapp.php";
    const FORM: &[u8] =
        b"CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309&Digits=1234";
    const FORM_SIGNED: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    const JSON: &[u8] = br#"{"property": "value", "boolean": true}"#;
    const JSON_QUERY: &str = "bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    const JSON_SIGNED: &str = "y77kIzt2vzLz71DgmJGsen2scGs=";
    const FORM_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

    fn code(media_type: &str, signature: &str, query: &str, body: &[u8]) -> &'static str {
        let all = [(HEADER, signature), (header::CONTENT_TYPE, media_type)];
        let headers = all.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        let scheme = TwilioScheme::new(URL.to_owned(), &["other".to_owned(), "12345".to_owned()]);
        scheme.verify(&headers, Some(query), body).map_or_else(|error| error.code(), |()| "right")
    }

    #[test]
    fn verifies_what_twilio_signs() {
        assert_eq!(code(FORM_TYPE, FORM_SIGNED, "foo=1&bar=2", FORM), "right");
        assert_eq!(code("application/json", JSON_SIGNED, JSON_QUERY, JSON), "right");
    }

    #[test]
    fn refuses_every_change() {
        let changed = [FORM, b"&Digits=5"].concat();
        for (query, body) in [("foo=1", FORM), ("foo=1&bar=2", &FORM[1..]), ("foo=1&bar=2", &changed)] {
            assert_eq!(code(FORM_TYPE, FORM_SIGNED, query, body), "signature_invalid", "{query}");
        }
        assert_eq!(code("application/json", JSON_SIGNED, JSON_QUERY, b"{}"), "signature_invalid");
        // The media type is not signed: a form without fields, or nothing, is not the body of the hash either.
        for body in [&b""[..], b"&&&", FORM] {
            assert_eq!(code(FORM_TYPE, JSON_SIGNED, JSON_QUERY, body), "signature_invalid");
        }
        assert_eq!(code("application/json", JSON_SIGNED, JSON_QUERY, b""), "signature_invalid");
        // A body that is no form is not signed but by its hash, so without that it is not believed.
        let scheme = TwilioScheme::new(URL.to_owned(), &["12345".to_owned()]);
        let unsigned = hmac::sign(&scheme.keys[0], URL.as_bytes());
        let signature = super::super::key::encode("", unsigned.as_ref());
        let headers: HeaderMap = [(HEADER, signature.parse().unwrap())].into_iter().collect();
        assert_eq!(scheme.verify(&headers, None, b""), Ok(()));
        assert_eq!(scheme.verify(&headers, None, JSON), Err(VerifyError::SignatureInvalid));
        assert_eq!(code(FORM_TYPE, "AAAA", "", FORM), "signature_malformed");
    }

    #[test]
    fn fields_are_bytes_and_no_more_than_so_many() {
        let read = |form: &str| fields(form.as_bytes()).collect::<Vec<_>>();
        let field = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        let all = vec![field(b"a b", b"c=\xff"), field(b"%z", b""), field(b"", b"%4")];
        assert_eq!(read("a+b=c=%ff&&%z&=%4"), all);
        let scheme = TwilioScheme::new(URL.to_owned(), &["12345".to_owned()]);
        let verify = |count: usize| {
            let signed = format!("{URL}a");
            let signature = super::super::key::encode("", hmac::sign(&scheme.keys[0], signed.as_bytes()).as_ref());
            let all = [(HEADER, signature.as_str()), (header::CONTENT_TYPE, FORM_TYPE)];
            let headers = all.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
            scheme.verify(&headers, None, "a&".repeat(count).as_bytes())
        };
        assert_eq!(verify(FIELDS_MAX), Ok(()), "what is there twice counts once");
        assert_eq!(verify(FIELDS_MAX + 1), Err(VerifyError::SignatureInvalid));
    }
}
