//! API keys: what each may do, and how the one that came with a request is found. A key's text is made by the host and shown once; what is
//! kept is its hash.

use super::Invalid;
use super::resource::within;
use crate::model::{Digest, KeyName, TenantName};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;

/// What begins the text of a tenant's key, and that of a key in the operator's scope: so that a leaked one is recognised.
const TENANT_PREFIX: &str = "hsk_";
const OPERATOR_PREFIX: &str = "hso_";
const TITLE_BYTES_MAX: usize = 256;
/// The latest time there is, in milliseconds since 1970-01-01T00:00:00Z: the end of the year 9999.
const TIME_MS_MAX: u64 = 253_402_300_799_999;

/// What a request does, as far as a key has to allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// It looks.
    Read,
    /// It publishes events.
    Publish,
    /// It changes configuration or modules, or has something done again.
    Deploy,
    /// It makes or removes keys, erases, or reads what others did.
    Admin,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyRole {
    /// Look at everything but keys and the audit log; secrets are never shown.
    Read,
    /// Publish events, and nothing else.
    Publish,
    /// Look, change the configuration and upload modules, and have something done again.
    Deploy,
    /// All of it.
    Admin,
}

impl KeyRole {
    /// Whether the role allows that.
    #[must_use]
    pub const fn may(self, what: Permission) -> bool {
        match self {
            Self::Read => matches!(what, Permission::Read),
            Self::Publish => matches!(what, Permission::Publish),
            Self::Deploy => matches!(what, Permission::Read | Permission::Deploy),
            Self::Admin => true,
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

/// A key as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// For people: at most 256 bytes.
    #[serde(default)]
    pub title: String,
    /// What it may do.
    pub role: KeyRole,
    /// From when on it is refused, in milliseconds since 1970-01-01T00:00:00Z; `null` for never. Left out, a new key never ends, and one that is
    /// there keeps its end: nobody makes a key eternal by leaving something out.
    #[serde(default, deserialize_with = "said")]
    pub expires_at_ms: Option<Option<u64>>,
}

/// What is said, be it `null`.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What it may do.
    pub role: KeyRole,
    /// From when on it is refused, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub created_at_ms: u64,
    /// The hash of its text.
    pub digest: Digest,
}

impl KeyRecord {
    /// A key that is made now, of this text.
    #[must_use]
    pub fn new(spec: KeySpec, text: &str, now_ms: u64) -> Self {
        let KeySpec { title, role, expires_at_ms } = spec;
        let expires_at_ms = expires_at_ms.flatten();
        Self { title, role, expires_at_ms, created_at_ms: now_ms, digest: Digest::of(text.as_bytes()) }
    }

    /// The same key, as it is written now.
    #[must_use]
    pub fn with(&self, spec: KeySpec) -> Self {
        let KeySpec { title, role, expires_at_ms } = spec;
        Self { title, role, expires_at_ms: expires_at_ms.unwrap_or(self.expires_at_ms), ..self.clone() }
    }

    /// Whether its end may be set now: one that has passed already is a mistake.
    ///
    /// # Errors
    /// Where it has passed.
    pub fn check_end(&self, now_ms: u64) -> Result<(), Invalid> {
        match self.expires_at_ms.filter(|end_ms| *end_ms <= now_ms) {
            None => Ok(()),
            Some(end_ms) => {
                let message =
                    format!("{end_ms} has passed: it is {now_ms} now, in milliseconds since 1970-01-01T00:00:00Z");
                Err(Invalid::new("/expires_at_ms", message))
            }
        }
    }

    /// Whether it opens anything at this time.
    #[must_use]
    pub fn is_valid_at(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|end_ms| now_ms < end_ms)
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.title.len() > TITLE_BYTES_MAX {
            return Err(Invalid::new("/title", format!("is longer than {TITLE_BYTES_MAX} bytes")));
        }
        self.expires_at_ms.map_or(Ok(()), |end_ms| within("/expires_at_ms", end_ms, 1, TIME_MS_MAX))
    }
}

/// The keys of a scope, by the hashes of their texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(HashMap<Digest, (KeyName, KeyRecord)>);

impl Keys {
    pub(super) fn add(&mut self, name: KeyName, key: &KeyRecord) -> Result<(), Invalid> {
        key.check()?;
        self.0.insert(key.digest, (name, key.clone()));
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &KeyName) {
        self.0.retain(|_, (other, _)| other != name);
    }

    pub(super) fn find(&self, digest: &Digest) -> Option<&(KeyName, KeyRecord)> {
        self.0.get(digest)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&KeyName, &KeyRecord)> {
        self.0.values().map(|(name, key)| (name, key))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The text of a new key of a tenant, or of the operator's scope. `random` must be random.
#[must_use]
pub fn key_text(scope: Option<&TenantName>, random: [u8; 32]) -> String {
    let secret = Digest::from_bytes(random);
    match scope {
        Some(tenant) => format!("{TENANT_PREFIX}{tenant}_{secret}"),
        None => format!("{OPERATOR_PREFIX}{secret}"),
    }
}

/// The scope that a key says it is of: a tenant, or none for the operator's. It says so; only its hash shows it. None where the text is no
/// key's.
#[must_use]
pub fn scope_of_key(text: &str) -> Option<Option<TenantName>> {
    if text.strip_prefix(OPERATOR_PREFIX).is_some() {
        return Some(None);
    }
    let (tenant, _) = text.strip_prefix(TENANT_PREFIX)?.rsplit_once('_')?;
    tenant.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_allows_what_its_name_says() {
        use Permission::{Admin, Deploy, Publish, Read};
        let allowed = |role: KeyRole| [Read, Publish, Deploy, Admin].map(|what| role.may(what));
        assert_eq!(allowed(KeyRole::Read), [true, false, false, false]);
        assert_eq!(allowed(KeyRole::Publish), [false, true, false, false]);
        assert_eq!(allowed(KeyRole::Deploy), [true, false, true, false]);
        assert_eq!(allowed(KeyRole::Admin), [true; 4]);
    }

    #[test]
    fn a_key_says_whose_it_is() {
        for name in ["acme", "a_b-c_", "0"] {
            let tenant: TenantName = name.parse().unwrap();
            assert_eq!(scope_of_key(&key_text(Some(&tenant), [7; 32])), Some(Some(tenant)));
        }
        assert_eq!(scope_of_key(&key_text(None, [7; 32])), Some(None));
        for other in ["", "hsk_", "hsk_acme", "hsk__x", "hsk_Acme_x", "bearer"] {
            assert_eq!(scope_of_key(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_ends_at_its_time() {
        let spec = KeySpec { title: String::new(), role: KeyRole::Read, expires_at_ms: Some(Some(1000)) };
        let key = KeyRecord::new(spec.clone(), "text", 5);
        assert!(key.is_valid_at(999) && !key.is_valid_at(1000));
        let left_out = key.with(KeySpec { expires_at_ms: None, ..spec.clone() });
        assert_eq!(left_out.expires_at_ms, Some(1000));
        assert!(key.check_end(999).is_ok() && key.check_end(1000).unwrap_err().message.contains("1000 has passed"));
        let renewed = key.with(KeySpec { expires_at_ms: Some(None), ..spec });
        assert!(renewed.is_valid_at(u64::MAX) && renewed.digest == key.digest && renewed.created_at_ms == 5);
        let refused = |key: KeyRecord| key.check().unwrap_err().pointer;
        assert_eq!(refused(KeyRecord { expires_at_ms: Some(0), ..key.clone() }), "/expires_at_ms");
        assert_eq!(refused(KeyRecord { title: "x".repeat(257), ..key }), "/title");
    }
}
