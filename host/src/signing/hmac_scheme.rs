//! The schemes that sign a body, and often a time, with an HMAC in one header. They differ in the header, in how the signature is written,
//! and in what stands around the body; so each of the known ones is a few words here, and a source may describe its own.

mod explain;

use super::header::{HashAlgorithm, SignatureEncoding, key};
use super::signed_text::SignedText;
use super::timestamp::{Stamp, TimestampHeader, Tolerance};
use super::{SIGNATURES_MAX, VerifyError};
use http::{HeaderMap, HeaderName};
use ring::hmac;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// Verifies requests that are signed so. Its `Debug` shows nothing of the keys.
#[derive(Clone)]
pub struct HmacScheme {
    header: HeaderName,
    form: Form,
    encoding: SignatureEncoding,
    signed: SignedText,
    timestamp: Option<TimestampPlace>,
    keys: Vec<hmac::Key>,
    /// The same secrets read otherwise, to tell whoever has mistaken them.
    other_keys: Vec<(&'static str, hmac::Key)>,
    signature_bytes: usize,
}

/// How signatures stand in their header.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// This, then the signature.
    After(String),
    /// Fields with commas between them, of which those of this name are signatures, and one may be the time: `t=1,v1=00`.
    Fields(&'static str),
}

/// Where the time stamp stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TimestampPlace {
    /// In a header of its own.
    Header(TimestampHeader),
    /// In the field of this name of the signature's header.
    Field(&'static str, Tolerance),
}

/// A scheme that a source describes itself.
#[derive(Clone, Debug)]
pub struct HmacForm {
    /// The signature's header.
    pub header: HeaderName,
    /// What stands before the signature there.
    pub prefix: String,
    /// The hash under the HMAC.
    pub algorithm: HashAlgorithm,
    /// How the signature is written.
    pub encoding: SignatureEncoding,
    /// What is signed.
    pub signed: SignedText,
    /// The header with the time, and how far it may be from now. Has to be there where `signed` has the time.
    pub timestamp: Option<TimestampHeader>,
}

impl HmacScheme {
    /// As a source describes it. Any of the secrets may have signed.
    #[must_use]
    pub fn new(form: HmacForm, secrets: &[String]) -> Self {
        let HmacForm { header, prefix, algorithm, encoding, signed, timestamp } = form;
        let timestamp = timestamp.map(TimestampPlace::Header);
        let keys: Vec<hmac::Key> = secrets.iter().map(|secret| key(algorithm, secret)).collect();
        let signature_bytes = algorithm.bytes();
        let other_keys = explain::other_keys(algorithm, secrets);
        Self { header, form: Form::After(prefix), encoding, signed, timestamp, keys, other_keys, signature_bytes }
    }

    /// GitHub's: `X-Hub-Signature-256: sha256=<hex>`. It signs neither an id nor a time: whoever has seen a request can send it again.
    #[must_use]
    pub fn github(secrets: &[String]) -> Self {
        Self::sha256("x-hub-signature-256", "sha256=", SignatureEncoding::Hex, SignedText::body(), None, secrets)
    }

    /// Shopify's: `X-Shopify-Hmac-Sha256: <base64>`. Like GitHub's it signs the body alone.
    #[must_use]
    pub fn shopify(secrets: &[String]) -> Self {
        Self::sha256("x-shopify-hmac-sha256", "", SignatureEncoding::Base64, SignedText::body(), None, secrets)
    }

    /// Slack's: `X-Slack-Signature: v0=<hex>` of `v0:<time>:<body>`, with the time in `X-Slack-Request-Timestamp`.
    #[must_use]
    pub fn slack(secrets: &[String], tolerance: Tolerance) -> Self {
        Self::v0("x-slack-signature", "x-slack-request-timestamp", secrets, tolerance)
    }

    /// Zoom's: as Slack's, in `x-zm-signature` and `x-zm-request-timestamp`.
    #[must_use]
    pub fn zoom(secrets: &[String], tolerance: Tolerance) -> Self {
        Self::v0("x-zm-signature", "x-zm-request-timestamp", secrets, tolerance)
    }

    fn v0(header: &'static str, time: &'static str, secrets: &[String], tolerance: Tolerance) -> Self {
        let name = HeaderName::from_static(time);
        let timestamp = Some(TimestampPlace::Header(TimestampHeader { name, tolerance }));
        Self::sha256(header, "v0=", SignatureEncoding::Hex, SignedText::time_and_body("v0:", ":"), timestamp, secrets)
    }

    /// Stripe's: `Stripe-Signature: t=<time>,v1=<hex>` of `<time>.<body>`, with as many `v1` as there are secrets on its side.
    #[must_use]
    pub fn stripe(secrets: &[String], tolerance: Tolerance) -> Self {
        let signed = SignedText::time_and_body("", ".");
        let timestamp = Some(TimestampPlace::Field("t", tolerance));
        let scheme = Self::sha256("stripe-signature", "", SignatureEncoding::Hex, signed, timestamp, secrets);
        Self { form: Form::Fields("v1"), ..scheme }
    }

    fn sha256(
        header: &'static str,
        prefix: &str,
        encoding: SignatureEncoding,
        signed: SignedText,
        timestamp: Option<TimestampPlace>,
        secrets: &[String],
    ) -> Self {
        let algorithm = HashAlgorithm::Sha256;
        Self {
            header: HeaderName::from_static(header),
            form: Form::After(prefix.to_owned()),
            encoding,
            signed,
            timestamp,
            keys: secrets.iter().map(|secret| key(algorithm, secret)).collect(),
            other_keys: explain::other_keys(algorithm, secrets),
            signature_bytes: algorithm.bytes(),
        }
    }

    /// Whether one of the secrets made one of the signatures, and not too long ago. At most [`SIGNATURES_MAX`] are looked at.
    ///
    /// # Errors
    /// Where a header is missing or malformed, no signature is right, or the time stamp is too far from now.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now_s: u64) -> Result<(), VerifyError> {
        self.signer(headers, body, now_s).map(drop)
    }

    /// An HMAC of a text, in hex, by the secret that signed the request; none where none did.
    #[must_use]
    pub fn sign_as_signed(&self, headers: &HeaderMap, body: &[u8], now_s: u64, text: &str) -> Option<String> {
        let key = self.signer(headers, body, now_s).ok()?;
        Some(SignatureEncoding::Hex.encode(hmac::sign(key, text.as_bytes()).as_ref()))
    }

    /// The key that signed.
    fn signer(&self, headers: &HeaderMap, body: &[u8], now_s: u64) -> Result<&hmac::Key, VerifyError> {
        let written = text(headers, &self.header)?;
        let malformed = || VerifyError::SignatureMalformed { header: self.header.clone(), wanted: self.wanted() };
        let given: Vec<Vec<u8>> = self.signatures(written).take(SIGNATURES_MAX).collect();
        if given.is_empty() {
            return Err(malformed());
        }
        let stamp = match &self.timestamp {
            None => None,
            Some(TimestampPlace::Header(header)) => Some(header.read(headers)?),
            Some(TimestampPlace::Field(name, tolerance)) => {
                let text = fields(written, name).next().ok_or_else(malformed)?;
                Some(Stamp::read(text, &self.header, *tolerance)?)
            }
        };
        let timestamp = stamp.map_or("", |stamp| stamp.text);
        let right = self.keys.iter().find(|key| {
            let mac = self.mac(key, timestamp, body);
            given.iter().any(|one| bool::from(one.ct_eq(mac.as_ref())))
        });
        let right = right.ok_or(VerifyError::SignatureInvalid)?;
        stamp.map_or(Ok(()), |stamp| stamp.check(now_s))?;
        Ok(right)
    }

    fn mac(&self, key: &hmac::Key, timestamp: &str, body: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(key);
        self.signed.pieces(timestamp, body).for_each(|piece| mac.update(piece));
        mac.sign()
    }

    /// The header with the signature.
    #[must_use]
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }

    fn signatures<'a>(&'a self, written: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
        let (whole, named) = match &self.form {
            Form::After(prefix) => (written.strip_prefix(prefix.as_str()), None),
            Form::Fields(name) => (None, Some(fields(written, name))),
        };
        let texts = whole.into_iter().chain(named.into_iter().flatten());
        texts.filter_map(|text| self.encoding.decode(text)).filter(|bytes| bytes.len() == self.signature_bytes)
    }

    fn wanted(&self) -> String {
        let bytes = self.signature_bytes;
        let signature = match self.encoding {
            SignatureEncoding::Hex => format!("{} hex digits", 2 * bytes),
            SignatureEncoding::Base64 => format!("the base64 of {bytes} bytes"),
        };
        match &self.form {
            Form::After(prefix) if prefix.is_empty() => signature,
            Form::After(prefix) => format!("`{prefix}` and {signature}"),
            Form::Fields(name) => format!("`t=` and the time, then `,{name}=` and {signature}"),
        }
    }
}

impl fmt::Debug for HmacScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacScheme")
            .field("header", &self.header)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// The text of a header, of the first where there are several.
pub(super) fn text<'a>(headers: &'a HeaderMap, header: &HeaderName) -> Result<&'a str, VerifyError> {
    let value = headers.get(header).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| VerifyError::SignatureMissing { header: header.clone() })
}

/// The values of the fields of this name.
fn fields<'a>(written: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    written.split(',').filter_map(move |field| field.trim_start().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const BODY: &[u8] =
        br#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    const AT: &str = "1531420618";
    const AT_S: u64 = 1_531_420_618;

    fn secrets(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn code(verified: Result<(), VerifyError>) -> &'static str {
        verified.map_or_else(|error| error.code(), |()| "right")
    }

    // The values that GitHub's documentation gives for testing an implementation.
    const GITHUB: &str = "It's a Secret to Everybody";
    const GITHUB_BODY: &[u8] = b"Hello, World!";
    const GITHUB_SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn github(texts: &[&str], signature: &str, body: &[u8]) -> &'static str {
        code(HmacScheme::github(&secrets(texts)).verify(&headers(&[("x-hub-signature-256", signature)]), body, 0))
    }

    #[test]
    fn verifies_what_github_documents_and_nothing_else() {
        assert_eq!(github(&[GITHUB], GITHUB_SIGNED, GITHUB_BODY), "right");
        assert_eq!(github(&["other", GITHUB], GITHUB_SIGNED, GITHUB_BODY), "right");
        let upper = format!("sha256={}", GITHUB_SIGNED[7..].to_uppercase());
        assert_eq!(github(&[GITHUB], &upper, GITHUB_BODY), "right");
        assert_eq!(github(&[GITHUB], GITHUB_SIGNED, b"Hello, World?"), "signature_invalid");
        assert_eq!(github(&["other"], GITHUB_SIGNED, GITHUB_BODY), "signature_invalid");
        assert_eq!(github(&[], GITHUB_SIGNED, GITHUB_BODY), "signature_invalid");
        let (long, no_hex) = (format!("{GITHUB_SIGNED}0"), GITHUB_SIGNED.replace('7', "g"));
        for malformed in ["", "sha256=", "sha1=757107ea", &GITHUB_SIGNED[..70], &long, &no_hex] {
            assert_eq!(github(&[GITHUB], malformed, GITHUB_BODY), "signature_malformed", "{malformed}");
        }
        let none = HmacScheme::github(&secrets(&[GITHUB])).verify(&HeaderMap::new(), GITHUB_BODY, 0).unwrap_err();
        assert_eq!(none.code(), "signature_missing");
        assert!(none.to_string().contains("`x-hub-signature-256`"), "{none}");
    }

    // Signed by the `slack_sdk` package from PyPI, version 3.48.0.
    const SLACK_SIGNED: &str = "v0=2b617e8d1eba789c3e90a54b772adadfc772137987c87d3c1e4129005632e406";

    #[test]
    fn verifies_what_slack_signs_and_its_time() {
        let scheme = HmacScheme::slack(&secrets(&["other", SECRET]), Tolerance(300));
        let verify = |at: &str, now_s| {
            let headers = headers(&[("x-slack-signature", SLACK_SIGNED), ("x-slack-request-timestamp", at)]);
            scheme.verify(&headers, BODY, now_s)
        };
        assert_eq!(verify(AT, AT_S + 300), Ok(()));
        let stale = verify(AT, AT_S + 301).unwrap_err();
        assert_eq!(stale.code(), "timestamp_stale");
        assert!(stale.to_string().contains("`x-slack-request-timestamp`"), "{stale}");
        assert_eq!(code(verify("1531420619", AT_S)), "signature_invalid");
        assert_eq!(code(verify("now", AT_S)), "timestamp_malformed");
        let untimed = headers(&[("x-slack-signature", SLACK_SIGNED)]);
        assert_eq!(code(scheme.verify(&untimed, BODY, AT_S)), "signature_missing");
    }

    // Signed by the `stripe` package from PyPI, version 16.1.0.
    const STRIPE_SIGNED: &str = "be4a760787e8a34d5acff81b82ea97c7463ef4ce75586adbe8c780eeb4c8de4d";

    #[test]
    fn verifies_what_stripe_signs_among_several_signatures() {
        let scheme = HmacScheme::stripe(&secrets(&["whsec_test"]), Tolerance(300));
        let verify = |value: &str, now_s| code(scheme.verify(&headers(&[("stripe-signature", value)]), BODY, now_s));
        let other = "0".repeat(64);
        assert_eq!(verify(&format!("t={AT},v1={STRIPE_SIGNED}"), AT_S), "right");
        assert_eq!(verify(&format!("t={AT}, v1={other}, v1={STRIPE_SIGNED}, v0={other}"), AT_S), "right");
        assert_eq!(verify(&format!("t={AT},v1={STRIPE_SIGNED}"), AT_S - 301), "timestamp_stale");
        assert_eq!(verify(&format!("t=1531420619,v1={STRIPE_SIGNED}"), AT_S), "signature_invalid");
        assert_eq!(verify(&format!("t=x,v1={STRIPE_SIGNED}"), AT_S), "timestamp_malformed");
        for malformed in [format!("v1={STRIPE_SIGNED}"), format!("t={AT},v0={STRIPE_SIGNED}"), format!("t={AT}")] {
            assert_eq!(verify(&malformed, AT_S), "signature_malformed", "{malformed}");
        }
        let many = format!("t={AT}{},v1={STRIPE_SIGNED}", format!(",v1={other}").repeat(SIGNATURES_MAX));
        assert_eq!(verify(&many, AT_S), "signature_invalid", "only so many are looked at");
    }

    #[test]
    fn a_source_says_itself_what_is_signed_and_how() {
        // RFC 4231, test case 2, in pieces: "what do ya want " is the text, "for nothing?" the body.
        let signed = SignedText::parse("what do ya want {body}").unwrap();
        let form = HmacForm {
            header: HeaderName::from_static("x-mac"),
            prefix: "mac ".to_owned(),
            algorithm: HashAlgorithm::Sha256,
            encoding: SignatureEncoding::Base64,
            signed,
            timestamp: None,
        };
        let scheme = HmacScheme::new(form, &secrets(&["Jefe"]));
        let right = headers(&[("x-mac", "mac W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=")]);
        assert_eq!(scheme.verify(&right, b"for nothing?", 0), Ok(()));
        assert_eq!(code(scheme.verify(&right, b"for something?", 0)), "signature_invalid");
        let hex = headers(&[("x-mac", "mac 5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")]);
        let error = scheme.verify(&hex, b"for nothing?", 0).unwrap_err().to_string();
        assert!(error.contains("`mac ` and the base64 of 32 bytes"), "{error}");
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", HmacScheme::github(&secrets(&["hush"])));
        assert!(shown.contains("x-hub-signature-256") && !shown.contains("hush"), "{shown}");
    }
}
