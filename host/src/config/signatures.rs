//! Signatures beside Standard Webhooks, for receivers that expect another header: as people write them, and ready for use.

use super::resolve::{SECRETS_MAX, at_most, header_name, open_all};
use super::secrets::secrets;
use super::{Invalid, MasterKey, ResourceId};
use crate::model::is_header_of_the_host;
use crate::signing::{BodySigner, HashAlgorithm, SignatureEncoding};
use http::HeaderName;
use serde::{Deserialize, Serialize};

const SIGNATURES_MAX: usize = 4;
const PREFIX_BYTES_MAX: usize = 64;
const GITHUB_HEADER: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// A signature of the body in a header of its own. These formats have room for one: the first secret signs, and the others wait for their
/// turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "lowercase", deny_unknown_fields)]
pub enum SignatureSpec {
    /// `X-Hub-Signature-256: sha256=…`, as GitHub signs.
    Github {
        /// Any text. 1 to 10.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
    /// An HMAC of the body.
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
        /// Any text, whose bytes are the key. 1 to 10.
        #[serde(deserialize_with = "secrets")]
        secrets: Vec<String>,
    },
}

impl SignatureSpec {
    pub(super) const fn secrets_mut(&mut self) -> &mut Vec<String> {
        match self {
            Self::Github { secrets } | Self::Hmac { secrets, .. } => secrets,
        }
    }
}

/// Such a signature, ready for use.
#[derive(Debug)]
pub struct HeaderSignature {
    /// The header that it stands in.
    pub header: HeaderName,
    /// What makes it.
    pub signer: BodySigner,
}

pub(super) fn resolve(
    id: &ResourceId,
    specs: &[SignatureSpec],
    key: &MasterKey,
) -> Result<Vec<HeaderSignature>, Invalid> {
    at_most("/signatures", specs.len(), SIGNATURES_MAX)?;
    let mut resolved: Vec<HeaderSignature> = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let pointer = format!("/signatures/{index}");
        let signature = resolve_one(id, spec, &pointer, key)?;
        if resolved.iter().any(|earlier| earlier.header == signature.header) {
            let message = format!("another signature stands in the header `{}`", signature.header);
            return Err(Invalid::new(pointer, message));
        }
        resolved.push(signature);
    }
    Ok(resolved)
}

fn resolve_one(
    id: &ResourceId,
    spec: &SignatureSpec,
    pointer: &str,
    key: &MasterKey,
) -> Result<HeaderSignature, Invalid> {
    let open = |secrets: &[String]| {
        let pointer = format!("{pointer}/secrets");
        at_most(&pointer, secrets.len(), SECRETS_MAX)?;
        let opened = open_all(id, secrets, &pointer, key)?;
        opened
            .into_iter()
            .next()
            .ok_or_else(|| Invalid::new(pointer, format!("needs 1 to {SECRETS_MAX} secrets, not 0")))
    };
    match spec {
        SignatureSpec::Github { secrets } => {
            Ok(HeaderSignature { header: GITHUB_HEADER, signer: BodySigner::github(&open(secrets)?) })
        }
        SignatureSpec::Hmac { header, algorithm, encoding, prefix, secrets } => {
            let place = format!("{pointer}/header");
            let header = header_name(&place, header)?;
            if is_header_of_the_host(header.as_str()) {
                return Err(Invalid::new(place, format!("`{header}` is a header that the host sets itself")));
            }
            check_prefix(&format!("{pointer}/prefix"), prefix)?;
            let signer = BodySigner::new(*algorithm, *encoding, prefix.clone(), &open(secrets)?);
            Ok(HeaderSignature { header, signer })
        }
    }
}

/// What stands before a signature in its header.
pub(super) fn check_prefix(pointer: &str, prefix: &str) -> Result<(), Invalid> {
    if prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("is longer than {PREFIX_BYTES_MAX} bytes or has other characters than visible ASCII");
        return Err(Invalid::new(pointer, message));
    }
    Ok(())
}
