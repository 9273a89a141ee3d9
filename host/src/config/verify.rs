//! How the requests of a source prove where they come from, ready for use: every bound is checked.

use super::resolve::{SECRETS_MAX, at_most, header_name, open_all, standard_keys};
use super::resource::within;
use super::signatures::check_prefix;
use super::{Invalid, MasterKey, ResourceId, VerifySpec};
use crate::model::parse_url;
use crate::signing::{
    Ed25519Scheme, HmacForm, HmacScheme, Looked, PublicKey, SharedSecret, SignedText, StandardScheme,
    TIMESTAMP_TOLERANCE_S, TimestampHeader, Tolerance, TwilioScheme, VerifyError,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

const SIGNED_BYTES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 128;
const TOLERANCE_S_MAX: u64 = 86_400;

/// What makes an event unique at its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DedupRule {
    /// This header.
    Header(HeaderName),
    /// The string or whole number at this JSON pointer (RFC 6901) of the body.
    Pointer(String),
    /// The whole body.
    Body,
}

impl fmt::Display for DedupRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Pointer(pointer) => write!(f, "the text at `{pointer}` of the body"),
            Self::Body => f.write_str("the body"),
        }
    }
}

/// How requests prove where they come from.
#[derive(Debug)]
pub enum Verify {
    /// Not at all.
    None,
    /// By an HMAC of the body.
    Hmac(HmacScheme),
    /// As Standard Webhooks says.
    Standard(StandardScheme),
    /// By an Ed25519 signature.
    Ed25519(Ed25519Scheme),
    /// As Twilio signs.
    Twilio(TwilioScheme),
    /// By holding a secret.
    Shared(SharedSecret),
}

impl Verify {
    pub(super) fn resolve(id: &ResourceId, spec: &VerifySpec, key: &MasterKey) -> Result<Self, Invalid> {
        let open = |texts: &[String]| {
            if texts.is_empty() || texts.len() > SECRETS_MAX {
                let message = format!("needs 1 to {SECRETS_MAX} secrets, not {}", texts.len());
                return Err(Invalid::new("/verify/secrets", message));
            }
            open_all(id, texts, "/verify/secrets", key)
        };
        let keys = |texts: &[String]| {
            open(texts)?;
            standard_keys(id, texts, "/verify/secrets", key)
        };
        Ok(match spec {
            VerifySpec::None {} => Self::None,
            VerifySpec::Github { secrets } => Self::Hmac(HmacScheme::github(&open(secrets)?)),
            VerifySpec::Gitlab { secrets } => Self::Shared(SharedSecret::gitlab(for_header(open(secrets)?)?)),
            VerifySpec::Shopify { secrets } => Self::Hmac(HmacScheme::shopify(&open(secrets)?)),
            VerifySpec::Slack { secrets, tolerance_s } => {
                Self::Hmac(HmacScheme::slack(&open(secrets)?, tolerance(*tolerance_s)?))
            }
            VerifySpec::Stripe { secrets, tolerance_s } => {
                Self::Hmac(HmacScheme::stripe(&open(secrets)?, tolerance(*tolerance_s)?))
            }
            VerifySpec::Twilio { secrets, url } => Self::Twilio(TwilioScheme::new(public_url(url)?, &open(secrets)?)),
            VerifySpec::StandardWebhooks { secrets, tolerance_s } => {
                Self::Standard(StandardScheme::standard_webhooks(keys(secrets)?, tolerance(*tolerance_s)?))
            }
            VerifySpec::Svix { secrets, tolerance_s } => {
                Self::Standard(StandardScheme::svix(keys(secrets)?, tolerance(*tolerance_s)?))
            }
            VerifySpec::Meta { secrets, .. } => Self::Hmac(HmacScheme::github(&open(secrets)?)),
            VerifySpec::Discord { public_keys, tolerance_s } => {
                Self::Ed25519(Ed25519Scheme::discord(keys_of(public_keys)?, tolerance(*tolerance_s)?))
            }
            VerifySpec::Zoom { secrets, tolerance_s } => {
                Self::Hmac(HmacScheme::zoom(&open(secrets)?, tolerance(*tolerance_s)?))
            }
            VerifySpec::Hmac {
                header,
                algorithm,
                encoding,
                prefix,
                signed,
                timestamp_header,
                tolerance_s,
                secrets,
            } => {
                check_prefix("/verify/prefix", prefix)?;
                let (signed, timestamp) = signed_text(signed, header, timestamp_header.as_deref(), *tolerance_s)?;
                let form = HmacForm {
                    header: header_name("/verify/header", header)?,
                    prefix: prefix.clone(),
                    algorithm: *algorithm,
                    encoding: *encoding,
                    signed,
                    timestamp,
                };
                Self::Hmac(HmacScheme::new(form, &open(secrets)?))
            }
            VerifySpec::Ed25519 { header, encoding, signed, timestamp_header, tolerance_s, public_keys } => {
                let keys = keys_of(public_keys)?;
                let (signed, timestamp) = signed_text(signed, header, timestamp_header.as_deref(), *tolerance_s)?;
                let header = header_name("/verify/header", header)?;
                Self::Ed25519(Ed25519Scheme { header, encoding: *encoding, signed, timestamp, keys })
            }
            VerifySpec::Basic { username, secrets } => {
                if username.len() > NAME_BYTES_MAX || username.contains(':') || username.chars().any(char::is_control) {
                    let message =
                        format!("is longer than {NAME_BYTES_MAX} bytes, or has a colon or a control character");
                    return Err(Invalid::new("/verify/username", message));
                }
                Self::Shared(SharedSecret::basic(username, &open(secrets)?))
            }
            VerifySpec::Bearer { secrets } => Self::Shared(SharedSecret::bearer(for_header(open(secrets)?)?)),
            VerifySpec::ApiKey { header, query, secrets } => Self::Shared(match (header, query) {
                (Some(header), None) => {
                    SharedSecret::in_header(header_name("/verify/header", header)?, for_header(open(secrets)?)?)
                }
                (None, Some(query)) if (1..=NAME_BYTES_MAX).contains(&query.len()) => {
                    SharedSecret::in_query(query.clone(), open(secrets)?)
                }
                (None, Some(_)) => {
                    return Err(Invalid::new("/verify/query", format!("has 1 to {NAME_BYTES_MAX} bytes")));
                }
                _ => return Err(Invalid::new("/verify", "needs either `header` or `query`: where the key stands")),
            }),
        })
    }

    /// Whether the request proves where it comes from. `query` is the URL's, as it came.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check(&self, headers: &HeaderMap, query: Option<&str>, body: &[u8], now_s: u64) -> Result<(), VerifyError> {
        match self {
            Self::None => Ok(()),
            Self::Hmac(scheme) => scheme.verify(headers, body, now_s),
            Self::Standard(scheme) => scheme.verify(headers, body, now_s),
            Self::Ed25519(scheme) => scheme.verify(headers, body, now_s),
            Self::Twilio(scheme) => scheme.verify(headers, query, body),
            Self::Shared(secret) => secret.verify(headers, query),
        }
    }

    /// What the header `WWW-Authenticate` says of it, where it is one of the ways that HTTP knows.
    #[must_use]
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Shared(secret) => secret.challenge(),
            _ => None,
        }
    }

    /// What can be told of a request that is not believed: for the source's owner, never for the sender.
    #[must_use]
    pub fn explain(&self, looked: &Looked<'_>) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Hmac(scheme) => scheme.explain(looked),
            Self::Standard(scheme) => scheme.explain(looked),
            Self::Ed25519(scheme) => scheme.explain(looked),
            Self::Twilio(scheme) => scheme.explain(looked),
            Self::Shared(secret) => secret.explain(looked),
        }
    }

    /// An HMAC of a text, in hex, by the secret that signed a request; none where none did, or the scheme has no such secrets.
    #[must_use]
    pub fn sign_as_signed(&self, headers: &HeaderMap, body: &[u8], now_s: u64, text: &str) -> Option<String> {
        match self {
            Self::Hmac(scheme) => scheme.sign_as_signed(headers, body, now_s, text),
            _ => None,
        }
    }

    /// The header that proves it, where its name alone may not say so: it is neither kept nor shown to modules.
    #[must_use]
    pub fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::None | Self::Standard(_) | Self::Twilio(_) => None,
            Self::Hmac(scheme) => Some(scheme.header()),
            Self::Ed25519(scheme) => Some(&scheme.header),
            Self::Shared(secret) => secret.header(),
        }
    }
}

fn keys_of(texts: &[String]) -> Result<Vec<PublicKey>, Invalid> {
    at_most("/verify/public_keys", texts.len(), SECRETS_MAX)?;
    if texts.is_empty() {
        return Err(Invalid::new("/verify/public_keys", format!("needs 1 to {SECRETS_MAX} keys, not 0")));
    }
    let parsed = texts.iter().enumerate().map(|(index, text)| {
        let pointer = format!("/verify/public_keys/{index}");
        PublicKey::read(text).map_err(|error| Invalid::new(pointer, error.to_string()))
    });
    parsed.collect()
}

/// Secrets that a request can hold in a header.
fn for_header(secrets: Vec<String>) -> Result<Vec<String>, Invalid> {
    let fits = |secret: &String| HeaderValue::from_bytes(secret.as_bytes()).is_ok();
    match secrets.iter().position(|secret| secret.trim() != secret || !fits(secret)) {
        None => Ok(secrets),
        Some(index) => {
            let message = "cannot stand in a header: it has a line end or another control character, or begins or ends with a space";
            Err(Invalid::new(format!("/verify/secrets/{index}"), message))
        }
    }
}

fn tolerance(seconds: u64) -> Result<Tolerance, Invalid> {
    within("/verify/tolerance_s", seconds, 1, TOLERANCE_S_MAX)?;
    Ok(Tolerance(seconds))
}

fn signed_text(
    text: &str,
    header: &str,
    timestamp_header: Option<&str>,
    tolerance_s: Option<u64>,
) -> Result<(SignedText, Option<TimestampHeader>), Invalid> {
    if text.len() > SIGNED_BYTES_MAX {
        return Err(Invalid::new("/verify/signed", format!("is longer than {SIGNED_BYTES_MAX} bytes")));
    }
    let signed = SignedText::parse(text).map_err(|error| Invalid::new("/verify/signed", error.to_string()))?;
    let tolerance = tolerance(tolerance_s.unwrap_or(TIMESTAMP_TOLERANCE_S))?;
    match (signed.has_timestamp(), timestamp_header) {
        (false, None) => Ok((signed, None)),
        (true, Some(name)) if name.eq_ignore_ascii_case(header) => {
            Err(Invalid::new("/verify/timestamp_header", "is the header of the signature: it cannot be both"))
        }
        (true, Some(name)) => {
            let name = header_name("/verify/timestamp_header", name)?;
            Ok((signed, Some(TimestampHeader { name, tolerance })))
        }
        (true, None) => Err(Invalid::new("/verify", "needs `timestamp_header`: `signed` has `{timestamp}`")),
        (false, Some(_)) => {
            let message =
                "is of no use: `signed` does not have `{timestamp}`, and a time that is not signed can be forged";
            Err(Invalid::new("/verify/timestamp_header", message))
        }
    }
}

/// A URL as the sender has it: without a query, which is what the request has.
fn public_url(text: &str) -> Result<String, Invalid> {
    let invalid = |message: String| Invalid::new("/verify/url", message);
    let url = parse_url(text).map_err(|error| invalid(error.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("has a query or a fragment: leave it out, the request's own is taken".to_owned()));
    }
    Ok(text.to_owned())
}
