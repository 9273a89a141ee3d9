//! How the requests of a source prove where they come from, as people write it; and what each scheme's senders say of an event by
//! themselves.

use super::secrets::{secret, secrets};
use super::{DedupRule, EventTypeRule, Invalid};
use crate::signing::{HashAlgorithm, SignatureEncoding, TIMESTAMP_TOLERANCE_S};
use http::HeaderName;
use serde::{Deserialize, Serialize};

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
    /// `X-Hub-Signature-256`, as Meta signs for Facebook, Instagram and WhatsApp. Its question when a webhook is set up is answered.
    Meta {
        /// App secrets.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
        /// The verify token that Meta was told: what its question has to hold.
        #[serde(deserialize_with = "secret")]
        verify_token: String,
    },
    /// `X-Signature-Ed25519`, as Discord signs. Its PINGs are answered, and are no events.
    Discord {
        /// Public keys of the application: 64 hex digits each. 1 to 10.
        public_keys: Vec<String>,
        /// How far `X-Signature-Timestamp` may be from now, in seconds: 1 to 86,400. By itself 300.
        #[serde(default = "default_tolerance_s")]
        tolerance_s: u64,
    },
    /// `x-zm-signature`, as Zoom signs. Its `endpoint.url_validation` is answered, and is no event.
    Zoom {
        /// Secret tokens of the app.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
        /// How far `x-zm-request-timestamp` may be from now, in seconds: 1 to 86,400. By itself 300.
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tolerance_s: Option<u64>,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tolerance_s: Option<u64>,
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
    /// Whether every field of a new one is of use.
    pub(super) fn check_put(&self) -> Result<(), Invalid> {
        match self {
            Self::Hmac { timestamp_header: None, tolerance_s: Some(_), .. }
            | Self::Ed25519 { timestamp_header: None, tolerance_s: Some(_), .. } => {
                let message = "is of no use: no time is signed; say `timestamp_header`, and `{timestamp}` in `signed`";
                Err(Invalid::new("/verify/tolerance_s", message))
            }
            _ => Ok(()),
        }
    }

    /// What signs, or is held; and the token beside it, where the scheme has one.
    pub(super) fn secrets_mut(&mut self) -> (&mut [String], Option<&mut String>) {
        match self {
            Self::None {} | Self::Ed25519 { .. } | Self::Discord { .. } => (&mut [], None),
            Self::Meta { secrets, verify_token } => (secrets, Some(verify_token)),
            Self::Github { secrets }
            | Self::Gitlab { secrets }
            | Self::Shopify { secrets }
            | Self::Slack { secrets, .. }
            | Self::Stripe { secrets, .. }
            | Self::Twilio { secrets, .. }
            | Self::StandardWebhooks { secrets, .. }
            | Self::Svix { secrets, .. }
            | Self::Zoom { secrets, .. }
            | Self::Hmac { secrets, .. }
            | Self::Basic { secrets, .. }
            | Self::Bearer { secrets }
            | Self::ApiKey { secrets, .. } => (secrets, None),
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
            Self::Slack { .. } | Self::Discord { .. } => EventTypeRule::Pointer("/event/type".to_owned()),
            Self::Meta { .. } => EventTypeRule::Pointer("/object".to_owned()),
            Self::Zoom { .. } => EventTypeRule::Pointer("/event".to_owned()),
            _ => header("x-event-type"),
        }
    }

    /// Whether the header with an event's id is signed.
    pub(super) const fn signs_its_id(&self) -> bool {
        matches!(self, Self::StandardWebhooks { .. } | Self::Svix { .. })
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
            // These give their events no id; what is sent again is the same.
            Self::Meta { .. } | Self::Discord { .. } | Self::Zoom { .. } => DedupRule::Body,
            // GitLab sends it, too.
            _ => header("idempotency-key"),
        }
    }
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
            json!({ "scheme": "meta", "verify_token": "t" }),
            json!({ "scheme": "zoom" }),
            json!({ "scheme": "hmac", "header": "x-a", "algorithm": "sha256", "encoding": "hex" }),
            json!({ "scheme": "basic", "username": "u" }),
            json!({ "scheme": "bearer" }),
            json!({ "scheme": "api-key", "header": "x-a" }),
        ];
        for mut scheme in schemes {
            scheme["secrets"] = json!(["hush", "hush-hush"]);
            let mut spec: VerifySpec = serde_json::from_value(scheme.clone()).unwrap();
            let (secrets, token) = spec.secrets_mut();
            secrets.iter_mut().chain(token).for_each(|secret| *secret = "sealed".to_owned());
            let written = serde_json::to_value(&spec).unwrap();
            assert_eq!(written["secrets"], json!(["sealed", "sealed"]), "{scheme}");
            let token = written.get("verify_token");
            assert!(token.is_none_or(|token| token == "sealed"), "{scheme}");
        }
        let open: Value = json!({ "scheme": "ed25519", "header": "x-a", "encoding": "hex", "public_keys": ["00"] });
        assert!(serde_json::from_value::<VerifySpec>(open).unwrap().secrets_mut().0.is_empty());
    }

    #[test]
    fn the_docs_say_where_each_scheme_reads_an_events_type_and_key() {
        let docs = include_str!("../../../docs/sources.md");
        let table = docs.lines().skip_while(|line| !line.starts_with("| `scheme`")).take_while(|line| !line.is_empty());
        let rows = table.skip(2);
        let mut count = 0;
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [schemes, _, event_type, dedup] = cells[..] else { panic!("{row}") };
            for scheme in schemes.split(", ").map(|name| name.trim_matches('`')) {
                count += 1;
                let spec = spec_of(scheme);
                let at = |pointer: &str| format!("`{pointer}` of the body");
                let told = match spec.event_type() {
                    EventTypeRule::Header(name) => format!("`{name}`"),
                    EventTypeRule::Pointer(pointer) => at(&pointer),
                    EventTypeRule::Constant(text) => text,
                };
                assert_eq!(told.to_lowercase(), event_type.to_lowercase(), "{scheme}");
                let told = match spec.dedup() {
                    DedupRule::Header(name) => format!("`{name}`"),
                    DedupRule::Pointer(pointer) => at(&pointer),
                    DedupRule::Body => "the whole body".to_owned(),
                };
                assert_eq!(told.to_lowercase(), dedup.to_lowercase(), "{scheme}");
            }
        }
        assert_eq!(count, 17);
    }

    fn spec_of(scheme: &str) -> VerifySpec {
        let fields = match scheme {
            "none" => json!({}),
            "twilio" => json!({ "secrets": ["s"], "url": "https://x/" }),
            "hmac" => json!({ "secrets": ["s"], "header": "x-a", "algorithm": "sha256", "encoding": "hex" }),
            "ed25519" => json!({ "public_keys": ["00"], "header": "x-a", "encoding": "hex" }),
            "basic" => json!({ "secrets": ["s"], "username": "u" }),
            "meta" => json!({ "secrets": ["s"], "verify_token": "t" }),
            "discord" => json!({ "public_keys": ["00"] }),
            _ => json!({ "secrets": ["s"] }),
        };
        let mut spec = json!({ "scheme": scheme });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }
}
