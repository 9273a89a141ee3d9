//! The schemes that sign with Ed25519 in one header: Discord's, and what a source describes itself.

use super::VerifyError;
use super::ed25519::PublicKey;
use super::explain::{Looked, TRIES_MAX, it_is, look_of, no_secret_made, time};
use super::header::SignatureEncoding;
use super::hmac_scheme::text;
use super::signed_text::SignedText;
use super::timestamp::{TimestampHeader, Tolerance};
use http::{HeaderMap, HeaderName};

const SIGNATURE_BYTES: usize = 64;

/// Verifies requests that are signed so.
#[derive(Clone, Debug)]
pub struct Ed25519Scheme {
    /// The signature's header.
    pub header: HeaderName,
    /// How the signature is written.
    pub encoding: SignatureEncoding,
    /// What is signed.
    pub signed: SignedText,
    /// The header with the time, and how far it may be from now. Has to be there where `signed` has the time.
    pub timestamp: Option<TimestampHeader>,
    /// Any of their private halves may have signed.
    pub keys: Vec<PublicKey>,
}

impl Ed25519Scheme {
    /// Discord's: `X-Signature-Ed25519: <hex>` of `<time><body>`, with the time in `X-Signature-Timestamp`.
    #[must_use]
    pub fn discord(keys: Vec<PublicKey>, tolerance: Tolerance) -> Self {
        let name = HeaderName::from_static("x-signature-timestamp");
        Self {
            header: HeaderName::from_static("x-signature-ed25519"),
            encoding: SignatureEncoding::Hex,
            signed: SignedText::time_and_body("", ""),
            timestamp: Some(TimestampHeader { name, tolerance }),
            keys,
        }
    }

    /// Whether one of the keys made the signature, and not too long ago.
    ///
    /// # Errors
    /// Where a header is missing or malformed, the signature is not right, or the time stamp is too far from now.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now_s: u64) -> Result<(), VerifyError> {
        let given = self.encoding.decode(text(headers, &self.header)?).filter(|it| it.len() == SIGNATURE_BYTES);
        let given = given.ok_or_else(|| VerifyError::SignatureMalformed {
            header: self.header.clone(),
            wanted: match self.encoding {
                SignatureEncoding::Hex => format!("{} hex digits", 2 * SIGNATURE_BYTES),
                SignatureEncoding::Base64 => format!("the base64 of {SIGNATURE_BYTES} bytes"),
            },
        })?;
        let stamp = self.timestamp.as_ref().map(|header| header.read(headers)).transpose()?;
        let timestamp = stamp.map_or("", |stamp| stamp.text);
        let message = self.signed.pieces(timestamp, body).collect::<Vec<_>>().concat();
        if !self.keys.iter().any(|key| key.verifies(&message, &given)) {
            return Err(VerifyError::KeyInvalid);
        }
        stamp.map_or(Ok(()), |stamp| stamp.check(now_s))
    }
}

impl Ed25519Scheme {
    /// What can be told of a request that was refused.
    #[must_use]
    pub fn explain(&self, looked: &Looked<'_>) -> Vec<String> {
        let header = &self.header;
        let Some(written) = looked.headers.get(header).and_then(|value| value.to_str().ok()) else {
            return vec![looked.missing(header)];
        };
        let Some(given) = self.encoding.decode(written).filter(|it| it.len() == SIGNATURE_BYTES) else {
            return vec![format!("`{header}` holds {}", look_of(written))];
        };
        let stamp = self.timestamp.as_ref().map(|place| {
            let text = looked.headers.get(&place.name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            (text, time(&place.name, text, place.tolerance, looked.now_s))
        });
        let (stamp, stale) = stamp.unwrap_or(("", None));
        let mut told: Vec<String> = stale.into_iter().collect();
        if looked.is_signed {
            return told;
        }
        told.push(no_secret_made(header, self.keys.len(), 1));
        let fits = |body: &[u8]| {
            let message = self.signed.pieces(stamp, body).collect::<Vec<_>>().concat();
            self.keys.iter().take(TRIES_MAX / 2).any(|key| key.verifies(&message, &given))
        };
        told.extend(looked.other_bodies().iter().find(|(_, body)| fits(body)).map(|(what, _)| it_is(what)));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Signed by the `PyNaCl` package from PyPI, version 1.6.2, as Discord signs: the time, then the body.
    const PUBLIC: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
    const SIGNED: &str = "d8b4e1d1cc25621b078fb0e422e313c4b6ee8d5a867a5e2dbf797013e652cd18\
                          64de442963b93c73623bd9bb628f56b6f564f722e8a46bf9c7fa3d5b2eeeb106";
    const BODY: &[u8] =
        br#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    const AT_S: u64 = 1_531_420_618;

    fn code(signature: &str, at: &str, body: &[u8], now_s: u64) -> &'static str {
        let name = HeaderName::from_static("x-signature-timestamp");
        let keys = vec![PublicKey::read(&"00".repeat(32)).unwrap(), PublicKey::read(PUBLIC).unwrap()];
        let scheme = Ed25519Scheme::discord(keys, Tolerance(300));
        assert_eq!(scheme.signed, SignedText::parse("{timestamp}{body}").unwrap());
        let all = [(scheme.header.clone(), signature), (name, at)];
        let headers = all.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        scheme.verify(&headers, body, now_s).map_or_else(|error| error.code(), |()| "right")
    }

    #[test]
    fn verifies_what_was_signed_at_its_time_alone() {
        assert_eq!(code(SIGNED, "1531420618", BODY, AT_S + 300), "right");
        assert_eq!(code(SIGNED, "1531420618", BODY, AT_S + 301), "timestamp_stale");
        assert_eq!(code(SIGNED, "1531420619", BODY, AT_S), "signature_invalid");
        assert_eq!(code(SIGNED, "1531420618", b"{}", AT_S), "signature_invalid");
        assert_eq!(code(&SIGNED[2..], "1531420618", BODY, AT_S), "signature_malformed");
    }

    #[test]
    fn a_public_key_is_written_in_three_ways() {
        let key = PublicKey::read(PUBLIC).unwrap();
        let base64 = super::super::key::encode("", &SignatureEncoding::Hex.decode(PUBLIC).unwrap());
        assert_eq!(PublicKey::read(&base64), Ok(key));
        assert_eq!(PublicKey::read(&key.to_string()), Ok(key));
        let error = PublicKey::read("ea4a").unwrap_err().to_string();
        assert!(error.contains("64 hex digits"), "{error}");
    }
}
