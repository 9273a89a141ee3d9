//! TLS of an endpoint's own: a client certificate, authorities to trust, or both. What does not fit together is refused when the endpoint is
//! saved, not when the first delivery goes out. No error shows any part of a key.

use super::secrets::secret;
use super::{Invalid, MasterKey, ResourceId};
use crate::model::Digest;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest PEM text, in bytes.
const PEM_BYTES_MAX: usize = 32_768;
/// The most certificates in one.
const CERTIFICATES_MAX: usize = 16;

/// TLS of an endpoint's own. Each text has at most 32,768 bytes and 16 certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSpec {
    /// The certificate that the host shows, with its chain; together with `key_pem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_secret")]
    pub key_pem: Option<String>,
    /// The authorities to trust, in place of the system's and of `transport.ca_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

fn some_secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    secret(deserializer).map(Some)
}

/// The same, checked. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    identity_pem: Option<String>,
    ca_pem: Option<String>,
    digest: Digest,
}

impl Tls {
    /// What fits together.
    ///
    /// # Errors
    /// Where a text is too long or no PEM of what it should be, or certificate and key are not of one another.
    pub fn new(certificate_pem: Option<&str>, key_pem: Option<&str>, ca_pem: Option<&str>) -> Result<Self, Invalid> {
        let identity_pem = match (certificate_pem, key_pem) {
            (Some(certificate), Some(key)) => {
                check_identity(certificate, key)?;
                Some(format!("{certificate}\n{key}"))
            }
            (None, None) if ca_pem.is_some() => None,
            (None, None) => {
                return Err(Invalid::new(
                    "/tls",
                    "is empty: leave it out, or give `certificate_pem` and `key_pem`, or `ca_pem`",
                ));
            }
            (Some(_), None) => {
                return Err(Invalid::new("/tls/key_pem", "is missing: a certificate needs its private key"));
            }
            (None, Some(_)) => {
                return Err(Invalid::new("/tls/certificate_pem", "is missing: a private key needs its certificate"));
            }
        };
        if let Some(pem) = ca_pem {
            check_authorities(pem)?;
        }
        let parts = [identity_pem.as_deref().unwrap_or_default(), "\0", ca_pem.unwrap_or_default()];
        let digest = Digest::of(parts.concat().as_bytes());
        Ok(Self { identity_pem, ca_pem: ca_pem.map(ToOwned::to_owned), digest })
    }

    pub(super) fn resolve(id: &ResourceId, spec: &TlsSpec, key: &MasterKey) -> Result<Self, Invalid> {
        let open = |sealed: &String| key.open(&id.to_string(), sealed);
        let key_pem = spec.key_pem.as_ref().map(open).transpose();
        let key_pem = key_pem.map_err(|error| Invalid::new("/tls/key_pem", error.to_string()))?;
        Self::new(spec.certificate_pem.as_deref(), key_pem.as_deref(), spec.ca_pem.as_deref())
    }

    /// The certificate with its chain, and its key.
    #[must_use]
    pub fn identity_pem(&self) -> Option<&str> {
        self.identity_pem.as_deref()
    }

    /// The authorities to trust.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What tells it from others.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

fn check_identity(certificate_pem: &str, key_pem: &str) -> Result<(), Invalid> {
    let chain = certificates("/tls/certificate_pem", certificate_pem)?;
    short("/tls/key_pem", key_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| {
        Invalid::new("/tls/key_pem", "is not the PEM of a private key: `-----BEGIN PRIVATE KEY-----` and so on")
    })?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map(drop).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Invalid::new("/tls/key_pem", "is not the key of the first certificate"),
        error => Invalid::new("/tls", format!("cannot be used: {error}")),
    })
}

fn check_authorities(pem: &str) -> Result<(), Invalid> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("/tls/ca_pem", pem)? {
        store.add(certificate).map_err(|error| Invalid::new("/tls/ca_pem", format!("cannot be used: {error}")))?;
    }
    Ok(())
}

fn certificates(pointer: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    short(pointer, pem)?;
    let wrong = || Invalid::new(pointer, "is not the PEM of certificates: `-----BEGIN CERTIFICATE-----` and so on");
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read.map_err(|_| wrong())? {
        none if none.is_empty() => Err(wrong()),
        many if many.len() > CERTIFICATES_MAX => Err(Invalid::new(
            pointer,
            format!("has {} certificates; at most {CERTIFICATES_MAX} are allowed", many.len()),
        )),
        certificates => Ok(certificates),
    }
}

fn short(pointer: &str, pem: &str) -> Result<(), Invalid> {
    if pem.len() <= PEM_BYTES_MAX {
        return Ok(());
    }
    Err(Invalid::new(pointer, format!("has {} bytes; at most {PEM_BYTES_MAX} are allowed", pem.len())))
}
