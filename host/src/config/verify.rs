//! How the requests of a source prove where they come from: as people write it, and ready for use.

use super::resolve::{SECRETS_MAX, at_most, header_name, open_all, standard_keys};
use super::resource::within;
use super::secrets::secrets;
use super::{EventTypeRule, Invalid, MasterKey, ResourceId};
use crate::model::parse_url;
use crate::signing::{
    Ed25519Scheme, HashAlgorithm, HmacForm, HmacScheme, PublicKey, SharedSecret, SignatureEncoding, SignedText,
    StandardScheme, TIMESTAMP_TOLERANCE_S, TimestampHeader, Tolerance, TwilioScheme, VerifyError,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::fmt;

const PREFIX_BYTES_MAX: usize = 64;
const SIGNED_BYTES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 128;
const TOLERANCE_S_MAX: u64 = 86_400;

/// How a request proves where it comes from. Of several secrets any one will do, so that they can be changed without a gap; 1 to 10.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub enum VerifySpec {
    /// Not at all.
    None {},
    /// `X-Hub-Signature-256`, as GitHub signs.
    Github {
        /// Webhook secrets.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
    /// `X-Gitlab-Token`, GitLab's secret token.
    Gitlab {
        /// Secret tokens.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
    /// `X-Shopify-Hmac-Sha256`, as Shopify signs.
    Shopify {
        /// Client secrets of the app.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
    /// `X-Slack-Signature`, as Slack signs. The request that verifies the URL is answered, and is no event.
    Slack {
        /// Signing secrets.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
        /// How far `X-Slack-Request-Timestamp` may be from now, in seconds: 1 to 86,400. By itself 300.
        #[serde(default = "default_tolerance_s")]
        tolerance_s: u64,
    },
    /// `Stripe-Signature`, as Stripe signs.
    Stripe {
        /// Signing secrets of the endpoint, `whsec_…`.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
        /// How far `t` may be from now, in seconds: 1 to 86,400. By itself 300.
        #[serde(default = "default_tolerance_s")]
        tolerance_s: u64,
    },
    /// `X-Twilio-Signature`, as Twilio signs.
    Twilio {
        /// Auth tokens.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
        /// The URL that Twilio was told, without its query: it is signed, and behind a proxy the host cannot know it.
        url: String,
    },
    /// `webhook-signature`, as the Standard Webhooks specification says.
    StandardWebhooks {
        /// `whsec_…` for v1, `whpk_…` (a public key) for v1a.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
        /// How far `webhook-timestamp` may be from now, in seconds: 1 to 86,400. By itself 300.
        #[serde(default = "default_tolerance_s")]
        tolerance_s: u64,
    },
    /// `svix-signature`: as Standard Webhooks, with the headers that Svix sends.
    Svix {
        /// `whsec_…`.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
        /// How far `svix-timestamp` may be from now, in seconds: 1 to 86,400. By itself 300.
        #[serde(default = "default_tolerance_s")]
        tolerance_s: u64,
    },
    /// An HMAC in a header.
    Hmac {
        /// The header that it stands in.
        header: String,
        /// `sha1`, `sha256` or `sha512`.
        algorithm: HashAlgorithm,
        /// `hex` or `base64`.
        encoding: SignatureEncoding,
        /// What stands before it: at most 64 visible ASCII characters. By itself nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// What is signed, with `{body}` and `{timestamp}` for what the request has: at most 256 bytes. By itself `{body}`.
        #[serde(default = "default_signed")]
        signed: String,
        /// The header with the time, in seconds since 1970-01-01T00:00:00Z. Wanted where `signed` has it, and only there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_header: Option<String>,
        /// How far that may be from now, in seconds: 1 to 86,400. By itself 300.
        #[serde(default = "default_tolerance_s")]
        tolerance_s: u64,
        /// Any text, whose bytes are the key.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
    /// An Ed25519 signature in a header.
    Ed25519 {
        /// The header that it stands in.
        header: String,
        /// `hex` or `base64`.
        encoding: SignatureEncoding,
        /// What is signed, as for `hmac`.
        #[serde(default = "default_signed")]
        signed: String,
        /// The header with the time, as for `hmac`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_header: Option<String>,
        /// How far that may be from now, in seconds: 1 to 86,400. By itself 300.
        #[serde(default = "default_tolerance_s")]
        tolerance_s: u64,
        /// 32 bytes each: `whpk_…`, or in hex or base64. 1 to 10.
        public_keys: Vec<String>,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// Without a colon.
        username: String,
        /// Passwords.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// Tokens.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
    /// A key in a header, or in the URL's query.
    ApiKey {
        /// The header, where it stands in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// The parameter, where it stands in the query. Proxies log URLs: take a header where the sender can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// Keys.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
}

const fn default_tolerance_s() -> u64 {
    TIMESTAMP_TOLERANCE_S
}

fn default_signed() -> String {
    "{body}".to_owned()
}

impl VerifySpec {
    pub(super) fn secrets_mut(&mut self) -> &mut [String] {
        match self {
            Self::None {} | Self::Ed25519 { .. } => &mut [],
            Self::Github { secrets }
            | Self::Gitlab { secrets }
            | Self::Shopify { secrets }
            | Self::Slack { secrets, .. }
            | Self::Stripe { secrets, .. }
            | Self::Twilio { secrets, .. }
            | Self::StandardWebhooks { secrets, .. }
            | Self::Svix { secrets, .. }
            | Self::Hmac { secrets, .. }
            | Self::Basic { secrets, .. }
            | Self::Bearer { secrets }
            | Self::ApiKey { secrets, .. } => secrets,
        }
    }

    /// Where the event type is read from, where the source does not say.
    pub(super) fn event_type(&self) -> EventTypeRule {
        let header = |name: &str| EventTypeRule::Header(name.to_owned());
        match self {
            Self::Github { .. } => header("x-github-event"),
            // `X-Gitlab-Event` has names for people, with spaces.
            Self::Gitlab { .. } => EventTypeRule::Pointer("/object_kind".to_owned()),
            Self::Shopify { .. } => header("x-shopify-topic"),
            Self::Stripe { .. } | Self::StandardWebhooks { .. } | Self::Svix { .. } => {
                EventTypeRule::Pointer("/type".to_owned())
            }
            // What an app is sent is an `event_callback`; what happened stands inside.
            Self::Slack { .. } => EventTypeRule::Pointer("/event/type".to_owned()),
            _ => header("x-event-type"),
        }
    }

    /// What makes an event unique, where the source does not say.
    pub(super) fn dedup(&self) -> DedupRule {
        let header = |name: &'static str| DedupRule::Header(HeaderName::from_static(name));
        match self {
            Self::Github { .. } => header("x-github-delivery"),
            Self::Shopify { .. } => header("x-shopify-webhook-id"),
            Self::Slack { .. } => DedupRule::Pointer("/event_id".to_owned()),
            Self::Stripe { .. } => DedupRule::Pointer("/id".to_owned()),
            Self::Twilio { .. } => header("i-twilio-idempotency-token"),
            Self::StandardWebhooks { .. } => header("webhook-id"),
            Self::Svix { .. } => header("svix-id"),
            // GitLab sends it, too.
            _ => header("idempotency-key"),
        }
    }
}

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
                if prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
                    let message =
                        format!("is longer than {PREFIX_BYTES_MAX} bytes or has other characters than visible ASCII");
                    return Err(Invalid::new("/verify/prefix", message));
                }
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
                at_most("/verify/public_keys", public_keys.len(), SECRETS_MAX)?;
                if public_keys.is_empty() {
                    return Err(Invalid::new("/verify/public_keys", format!("needs 1 to {SECRETS_MAX} keys, not 0")));
                }
                let parsed = public_keys.iter().enumerate().map(|(index, text)| {
                    let pointer = format!("/verify/public_keys/{index}");
                    PublicKey::read(text).map_err(|error| Invalid::new(pointer, error.to_string()))
                });
                let keys = parsed.collect::<Result<_, _>>()?;
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
    tolerance_s: u64,
) -> Result<(SignedText, Option<TimestampHeader>), Invalid> {
    if text.len() > SIGNED_BYTES_MAX {
        return Err(Invalid::new("/verify/signed", format!("is longer than {SIGNED_BYTES_MAX} bytes")));
    }
    let signed = SignedText::parse(text).map_err(|error| Invalid::new("/verify/signed", error.to_string()))?;
    let tolerance = tolerance(tolerance_s)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_secret_of_every_scheme_is_one_that_is_sealed() {
        let schemes = [
            json!({ "scheme": "github" }),
            json!({ "scheme": "gitlab" }),
            json!({ "scheme": "shopify" }),
            json!({ "scheme": "slack" }),
            json!({ "scheme": "stripe" }),
            json!({ "scheme": "twilio", "url": "https://x/" }),
            json!({ "scheme": "standard-webhooks" }),
            json!({ "scheme": "svix" }),
            json!({ "scheme": "hmac", "header": "x-a", "algorithm": "sha256", "encoding": "hex" }),
            json!({ "scheme": "basic", "username": "u" }),
            json!({ "scheme": "bearer" }),
            json!({ "scheme": "api-key", "header": "x-a" }),
        ];
        for mut scheme in schemes {
            scheme["secrets"] = json!(["hush", "hush-hush"]);
            let mut spec: VerifySpec = serde_json::from_value(scheme.clone()).unwrap();
            spec.secrets_mut().iter_mut().for_each(|secret| *secret = "sealed".to_owned());
            let written = serde_json::to_value(&spec).unwrap();
            assert_eq!(written["secrets"], json!(["sealed", "sealed"]), "{scheme}");
        }
        let open: Value = json!({ "scheme": "ed25519", "header": "x-a", "encoding": "hex", "public_keys": ["00"] });
        assert!(serde_json::from_value::<VerifySpec>(open).unwrap().secrets_mut().is_empty());
    }
}
