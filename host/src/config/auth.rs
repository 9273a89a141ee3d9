//! How the host proves itself to a receiver beside the signature: as people write it, and ready for use.

use super::resolve::header_name;
use super::secrets::secret;
use super::{Invalid, MasterKey, ResourceId};
use crate::model::{is_header_of_the_host, parse_url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest text in it, in bytes.
const TEXT_BYTES_MAX: usize = 8_192;

/// Credentials. Every text has 1 to 8,192 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AuthSpec {
    /// `Authorization: Basic …`.
    Basic {
        /// Without a colon.
        username: String,
        /// The password.
        #[serde(deserialize_with = "secret")]
        password: String,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// Visible ASCII.
        #[serde(deserialize_with = "secret")]
        token: String,
    },
    /// A header with a key.
    ApiKey {
        /// Its name.
        header: String,
        /// Visible ASCII.
        #[serde(deserialize_with = "secret")]
        value: String,
    },
    /// `Authorization: Bearer …` with a token that `token_url` gives for client credentials (RFC 6749, section 4.4).
    Oauth2 {
        /// `http://` or `https://`, without user information.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// What proves it.
        #[serde(deserialize_with = "secret")]
        client_secret: String,
        /// What for, in the token server's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// For whom, where the token server wants to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// Where id and secret stand. By itself `basic`.
        #[serde(default)]
        client_auth: ClientAuth,
    },
}

/// Where a token request has the client's id and secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// In the form.
    Body,
}

impl AuthSpec {
    pub(super) fn secret_mut(&mut self) -> (String, &mut String) {
        let (field, secret) = match self {
            Self::Basic { password, .. } => ("password", password),
            Self::Bearer { token } => ("token", token),
            Self::ApiKey { value, .. } => ("value", value),
            Self::Oauth2 { client_secret, .. } => ("client_secret", client_secret),
        };
        (format!("/auth/{field}"), secret)
    }
}

/// Credentials, ready for use.
#[derive(Clone, Debug)]
pub enum Auth {
    /// This header goes with each delivery.
    Header(HeaderName, HeaderValue),
    /// `Authorization` has a token that is to be fetched.
    Oauth2(Arc<Oauth2>),
}

/// How a token is fetched. Its `Debug` shows nothing of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Oauth2 {
    /// From where.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub client_secret: String,
    /// What for.
    pub scope: Option<String>,
    /// For whom.
    pub audience: Option<String>,
    /// Where id and secret stand.
    pub client_auth: ClientAuth,
}

impl fmt::Debug for Oauth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oauth2").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Auth {
    pub(super) fn resolve(id: &ResourceId, spec: &AuthSpec, key: &MasterKey) -> Result<Self, Invalid> {
        let mut spec = spec.clone();
        let (pointer, sealed) = spec.secret_mut();
        let secret = key.open(&id.to_string(), sealed).map_err(|error| Invalid::new(&pointer, error.to_string()))?;
        text(&pointer, &secret)?;
        match &spec {
            AuthSpec::Basic { username, .. } => {
                text("/auth/username", username)?;
                if username.contains(':') {
                    return Err(Invalid::new("/auth/username", "has a colon, which would end it"));
                }
                let value = format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")));
                Ok(Self::Header(AUTHORIZATION, header_value(&pointer, &value)?))
            }
            AuthSpec::Bearer { .. } => {
                Ok(Self::Header(AUTHORIZATION, header_value(&pointer, &format!("Bearer {secret}"))?))
            }
            AuthSpec::ApiKey { header, .. } => {
                let name = header_name("/auth/header", header)?;
                if is_header_of_the_host(name.as_str()) {
                    return Err(Invalid::new(
                        "/auth/header",
                        format!("`{name}` is a header that the host sets itself"),
                    ));
                }
                Ok(Self::Header(name, header_value(&pointer, &secret)?))
            }
            AuthSpec::Oauth2 { token_url, client_id, scope, audience, client_auth, .. } => {
                parse_url(token_url).map_err(|error| Invalid::new("/auth/token_url", error.to_string()))?;
                text("/auth/client_id", client_id)?;
                scope.iter().try_for_each(|scope| text("/auth/scope", scope))?;
                audience.iter().try_for_each(|audience| text("/auth/audience", audience))?;
                Ok(Self::Oauth2(Arc::new(Oauth2 {
                    token_url: token_url.clone(),
                    client_id: client_id.clone(),
                    client_secret: secret,
                    scope: scope.clone(),
                    audience: audience.clone(),
                    client_auth: *client_auth,
                })))
            }
        }
    }

    /// The header that it sets.
    pub(super) fn header(&self) -> &HeaderName {
        match self {
            Self::Header(name, _) => name,
            Self::Oauth2(_) => &AUTHORIZATION,
        }
    }
}

fn text(pointer: &str, text: &str) -> Result<(), Invalid> {
    if (1..=TEXT_BYTES_MAX).contains(&text.len()) {
        return Ok(());
    }
    Err(Invalid::new(pointer, format!("has {} bytes; it has 1 to {TEXT_BYTES_MAX}", text.len())))
}

fn header_value(pointer: &str, value: &str) -> Result<HeaderValue, Invalid> {
    let wrong = |_| Invalid::new(pointer, "is not a header value: visible ASCII only");
    let mut value = HeaderValue::from_str(value).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}
