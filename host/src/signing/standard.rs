//! Standard Webhooks 1.0: `id.timestamp.body` is signed, as `v1,<base64>` with HMAC-SHA256 or as `v1a,<base64>` with Ed25519; several
//! signatures stand side by side, so that keys can be changed without a gap.

use super::explain::{Looked, TRIES_MAX, it_is, no_secret_made, time};
use super::hmac_scheme::text;
use super::timestamp::{TimestampHeader, Tolerance};
use super::{SigningKey, VerifyError, VerifyingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use std::cell::OnceCell;
use subtle::ConstantTimeEq as _;

/// How many signatures of one header are looked at; what follows is passed over.
pub const SIGNATURES_MAX: usize = 16;
/// How many of these may be `v1a`, each of which costs a hundred times what another does; the others are passed over.
pub const V1A_SIGNATURES_MAX: usize = 4;

/// The value of `webhook-signature`: one signature for each key, joined by spaces; none where there is no key.
///
/// `id` must not be under a stranger's control or must not hold a full stop: it is joined with the rest by one.
#[must_use]
pub fn sign<'a>(
    keys: impl IntoIterator<Item = &'a SigningKey>,
    id: &str,
    timestamp_s: u64,
    body: &[u8],
) -> Option<String> {
    let timestamp = timestamp_s.to_string();
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let written = keys.into_iter().map(|key| match key {
        SigningKey::V1(secret) => format!("v1,{}", STANDARD.encode(secret.mac(&signed))),
        SigningKey::V1a(private) => format!("v1a,{}", STANDARD.encode(private.sign(&signed.concat()))),
    });
    written.reduce(|all, one| all + " " + &one)
}

/// Verifies requests that are signed so.
#[derive(Clone, Debug)]
pub struct StandardScheme {
    id: HeaderName,
    signature: HeaderName,
    timestamp: TimestampHeader,
    keys: Vec<VerifyingKey>,
}

impl StandardScheme {
    /// The headers of the specification: `webhook-id`, `webhook-timestamp`, `webhook-signature`. Any of the keys may have signed.
    #[must_use]
    pub const fn standard_webhooks(keys: Vec<VerifyingKey>, tolerance: Tolerance) -> Self {
        Self::with_headers(["webhook-id", "webhook-timestamp", "webhook-signature"], keys, tolerance)
    }

    /// The headers that Svix sends by itself: `svix-id`, `svix-timestamp`, `svix-signature`.
    #[must_use]
    pub const fn svix(keys: Vec<VerifyingKey>, tolerance: Tolerance) -> Self {
        Self::with_headers(["svix-id", "svix-timestamp", "svix-signature"], keys, tolerance)
    }

    const fn with_headers(
        [id, timestamp, signature]: [&'static str; 3],
        keys: Vec<VerifyingKey>,
        tolerance: Tolerance,
    ) -> Self {
        let timestamp = TimestampHeader { name: HeaderName::from_static(timestamp), tolerance };
        Self { id: HeaderName::from_static(id), signature: HeaderName::from_static(signature), timestamp, keys }
    }

    /// Whether one of the keys verifies one of the signatures, made not too long ago and not further ahead.
    ///
    /// Signatures of other versions are passed over, and at most [`SIGNATURES_MAX`] are looked at, [`V1A_SIGNATURES_MAX`] of them `v1a`.
    ///
    /// # Errors
    /// Where a header is missing or malformed, the time stamp too far from now, or no signature right.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now_s: u64) -> Result<(), VerifyError> {
        let id = text(headers, &self.id)?;
        let stamp = self.timestamp.read(headers)?;
        let given = Given::read(text(headers, &self.signature)?);
        if given.v1.is_empty() && given.v1a.is_empty() {
            let wanted =
                "`v1,` and the base64 of 32 bytes, or `v1a,` and that of 64; several are separated by single spaces";
            return Err(VerifyError::SignatureMalformed { header: self.signature.clone(), wanted: wanted.to_owned() });
        }
        if !given.has_one_of(&self.keys, &[id.as_bytes(), b".", stamp.text.as_bytes(), b".", body]) {
            return Err(VerifyError::SignatureInvalid);
        }
        stamp.check(now_s)
    }
}

impl StandardScheme {
    /// What can be told of a request that was refused.
    #[must_use]
    pub fn explain(&self, looked: &Looked<'_>) -> Vec<String> {
        let of = |name: &HeaderName| looked.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(written) = of(&self.signature) else { return vec![looked.missing(&self.signature)] };
        let (Some(id), Some(at)) = (of(&self.id), of(&self.timestamp.name)) else {
            let missing = [&self.id, &self.timestamp.name].into_iter().filter(|name| of(name).is_none());
            let words = "which is signed together with the body: the sender has to send it, too";
            return missing.map(|name| format!("there is no `{name}`, {words}")).collect();
        };
        let given = Given::read(written);
        let stale = time(&self.timestamp.name, at, self.timestamp.tolerance, looked.now_s);
        let mut told: Vec<String> = stale.into_iter().collect();
        let signatures = given.v1.len() + given.v1a.len();
        if looked.is_signed || signatures == 0 {
            return told;
        }
        told.push(no_secret_made(&self.signature, self.keys.len(), signatures));
        told.extend(self.what_would_fit(looked, &given, id, at).map(it_is));
        told
    }

    fn what_would_fit(&self, looked: &Looked<'_>, given: &Given, id: &str, at: &str) -> Option<&'static str> {
        let signed = |body| [id.as_bytes(), b".", at.as_bytes(), b".", body];
        let mut left = TRIES_MAX;
        for (what, body) in looked.other_bodies() {
            for key in &self.keys {
                left = left.checked_sub(1)?;
                if given.has_one_of(std::slice::from_ref(key), &signed(body)) {
                    return Some(what);
                }
            }
        }
        for key in self.keys.iter().filter(|_| looked.is_short()) {
            let VerifyingKey::V1(secret) = key else { continue };
            for (how, mac) in secret.mistaken_macs(&signed(looked.body)) {
                left = left.checked_sub(1)?;
                if given.v1.iter().any(|one| bool::from(one.ct_eq(&mac))) {
                    return Some(how);
                }
            }
        }
        None
    }
}

/// The signatures of a header.
struct Given {
    v1: Vec<[u8; 32]>,
    v1a: Vec<[u8; 64]>,
}

impl Given {
    fn read(signature: &str) -> Self {
        let texts = || signature.split(' ').take(SIGNATURES_MAX);
        Self {
            v1: texts().filter_map(|text| decode("v1,", text)).collect(),
            v1a: texts().filter_map(|text| decode("v1a,", text)).take(V1A_SIGNATURES_MAX).collect(),
        }
    }

    fn has_one_of(&self, keys: &[VerifyingKey], signed: &[&[u8]]) -> bool {
        let message = OnceCell::new();
        keys.iter().any(|key| match key {
            VerifyingKey::V1(_) if self.v1.is_empty() => false,
            VerifyingKey::V1(secret) => {
                let mac = secret.mac(signed);
                self.v1.iter().any(|one| bool::from(one.ct_eq(&mac)))
            }
            VerifyingKey::V1a(_) if self.v1a.is_empty() => false,
            VerifyingKey::V1a(public) => {
                let message = message.get_or_init(|| signed.concat());
                self.v1a.iter().any(|one| public.verifies(message, one))
            }
        })
    }
}

fn decode<const N: usize>(version: &str, text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text.strip_prefix(version)?).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Signed by the `standardwebhooks` package from PyPI, version 1.1.0.
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    const LONG_SECRET: &str =
        "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaHiImKi4yNjo+QkZKTlJWWl5iZmpucnZ6foKGiow==";
    const ID: &str = "dlv_01HF7YAT00000000000000001A-00000000000000ff";
    const AT: &str = "1674087231";
    const AT_S: u64 = 1_674_087_231;
    const BODY: &[u8] = br#"{"type":"contact.created","data":{"id":"1f81eb52"}}"#;
    const SIGNED: &str = "v1,2Ie6S7jKXbs+l4BBm9FLeWRINXWEeh373YMdRqWIWW8=";
    const SIGNED_LONG: &str = "v1,3PUZMI1kYZ9IQqwMzyR97OtwXao57H9pNy3jrZxMKps=";

    // Signed by the `cryptography` package from PyPI, version 50.0.2.
    const SEED: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const PUBLIC: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    const SIGNED_V1A: &str =
        "v1a,sWU+5ShMlY7WThZK7NMSWbu2L0OkDs2quzQiEBOxFb8BnF5rGdC2bHHStw4xgs4XnkVy3z21xrHaoRz1da4MCw==";

    fn keys<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn signed(texts: &[&str]) -> Option<String> {
        sign(&keys::<SigningKey>(texts), ID, AT_S, BODY)
    }

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        let all = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        all.into_iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn scheme(texts: &[&str]) -> StandardScheme {
        StandardScheme::standard_webhooks(keys(texts), Tolerance(300))
    }

    fn verify(texts: &[&str], signature: &str, now_s: u64) -> Result<(), VerifyError> {
        scheme(texts).verify(&headers(ID, AT, signature), BODY, now_s)
    }

    fn stale() -> VerifyError {
        VerifyError::TimestampStale { header: HeaderName::from_static("webhook-timestamp"), tolerance_s: 300 }
    }

    #[test]
    fn signs_as_the_published_libraries_do() {
        assert_eq!(signed(&[SECRET]).unwrap(), SIGNED);
        assert_eq!(signed(&[LONG_SECRET]).unwrap(), SIGNED_LONG);
        assert_eq!(signed(&[SEED]).unwrap(), SIGNED_V1A);
        assert_eq!(signed(&[LONG_SECRET, SEED, SECRET]).unwrap(), format!("{SIGNED_LONG} {SIGNED_V1A} {SIGNED}"));
        assert_eq!(signed(&[]), None);
        // The test vector of the library's own documentation.
        let documented: Vec<SigningKey> = keys(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
        let signed = sign(&documented, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_public_key_verifies_v1a_and_only_that() {
        assert_eq!(verify(&[PUBLIC], SIGNED_V1A, AT_S), Ok(()));
        assert_eq!(verify(&[SECRET, PUBLIC], &format!("{SIGNED_LONG} {SIGNED_V1A}"), AT_S), Ok(()));
        assert_eq!(verify(&[PUBLIC], SIGNED, AT_S), Err(VerifyError::SignatureInvalid));
        assert_eq!(verify(&[SECRET], SIGNED_V1A, AT_S), Err(VerifyError::SignatureInvalid));
        assert_eq!(verify(&[PUBLIC], SIGNED_V1A, AT_S + 301), Err(stale()));
        let other = scheme(&[PUBLIC]).verify(&headers(ID, AT, SIGNED_V1A), b"{}", AT_S);
        assert_eq!(other, Err(VerifyError::SignatureInvalid));
    }

    #[test]
    fn only_so_many_v1a_signatures_are_tried() {
        let wrong = SIGNED_V1A.replace("v1a,s", "v1a,t");
        let at_the_end = |before: usize| format!("{}{SIGNED_V1A}", format!("{wrong} ").repeat(before));
        assert_eq!(verify(&[PUBLIC], &at_the_end(V1A_SIGNATURES_MAX - 1), AT_S), Ok(()));
        assert_eq!(verify(&[PUBLIC], &at_the_end(V1A_SIGNATURES_MAX), AT_S), Err(VerifyError::SignatureInvalid));
    }

    #[test]
    fn any_secret_and_any_signature_will_do() {
        assert_eq!(verify(&[SECRET], SIGNED, AT_S), Ok(()));
        assert_eq!(verify(&[LONG_SECRET, SECRET], SIGNED, AT_S), Ok(()));
        assert_eq!(verify(&[SECRET], &format!("v1a,AAAA nonsense {SIGNED_LONG} {SIGNED}"), AT_S), Ok(()));
        assert_eq!(verify(&[LONG_SECRET], SIGNED, AT_S), Err(VerifyError::SignatureInvalid));
        assert_eq!(verify(&[], SIGNED, AT_S), Err(VerifyError::SignatureInvalid));
    }

    #[test]
    fn every_part_is_signed() {
        let verify = |id, at, body: &[u8]| scheme(&[SECRET]).verify(&headers(id, at, SIGNED), body, AT_S);
        assert_eq!(verify(ID, AT, BODY), Ok(()));
        assert_eq!(verify("other", AT, BODY), Err(VerifyError::SignatureInvalid));
        assert_eq!(verify(ID, "1674087232", BODY), Err(VerifyError::SignatureInvalid));
        assert_eq!(verify(ID, AT, b"{}"), Err(VerifyError::SignatureInvalid));
    }

    #[test]
    fn the_time_stamp_is_near_on_either_side() {
        for now_s in [AT_S - 300, AT_S, AT_S + 300] {
            assert_eq!(verify(&[SECRET], SIGNED, now_s), Ok(()), "{now_s}");
        }
        for now_s in [0, AT_S - 301, AT_S + 301, u64::MAX] {
            assert_eq!(verify(&[SECRET], SIGNED, now_s), Err(stale()), "{now_s}");
        }
    }

    #[test]
    fn only_digits_are_a_time_stamp() {
        for at in ["", "+1674087231", " 1674087231", "1674087231.5", "-1", "99999999999999999999"] {
            let error = scheme(&[SECRET]).verify(&headers(ID, at, SIGNED), BODY, AT_S).unwrap_err();
            assert_eq!(error.code(), "timestamp_malformed", "{at}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut headers = headers(ID, AT, SIGNED);
            headers.remove(name);
            let error = scheme(&[SECRET]).verify(&headers, BODY, AT_S).unwrap_err();
            assert_eq!(error.code(), "signature_missing");
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
    }

    #[test]
    fn svix_has_headers_of_its_own() {
        let own = |(name, value): (Option<HeaderName>, _)| {
            let name = name.unwrap().as_str().replace("webhook-", "svix-");
            (name.parse::<HeaderName>().unwrap(), value)
        };
        let scheme = StandardScheme::svix(keys(&[SECRET]), Tolerance(300));
        let svix: HeaderMap = headers(ID, AT, SIGNED).into_iter().map(own).collect();
        assert_eq!(scheme.verify(&svix, BODY, AT_S), Ok(()));
        assert_eq!(scheme.verify(&headers(ID, AT, SIGNED), BODY, AT_S).unwrap_err().code(), "signature_missing");
    }

    #[test]
    fn a_malformed_header_says_so_and_only_so_many_signatures_are_read() {
        for signature in ["", "v1", "v1,", "v2,AAAA", "v1,AAAA", &SIGNED.replace("v1,", "v1=")] {
            assert_eq!(verify(&[SECRET], signature, AT_S).unwrap_err().code(), "signature_malformed", "{signature}");
        }
        let at_the_end = |before: usize| format!("{}{SIGNED}", format!("{SIGNED_LONG} ").repeat(before));
        assert_eq!(verify(&[SECRET], &at_the_end(SIGNATURES_MAX - 1), AT_S), Ok(()));
        assert_eq!(verify(&[SECRET], &at_the_end(SIGNATURES_MAX), AT_S), Err(VerifyError::SignatureInvalid));
    }

    #[test]
    fn what_is_missing_or_mistaken_is_told_to_the_sources_owner() {
        let scheme = scheme(&[SECRET]);
        let explained = |headers: &HeaderMap| {
            let looked = Looked { headers, query: None, body: BODY, inflated: None, is_signed: false, now_s: AT_S };
            scheme.explain(&looked).join("; ")
        };
        let mut without_id = headers(ID, AT, SIGNED);
        without_id.remove("webhook-id");
        let told = explained(&without_id);
        assert!(
            told.starts_with("there is no `webhook-id`, which is signed") && !told.contains("webhook-signature"),
            "{told}"
        );
        for (key, says) in [(SECRET, "the text of the secret with its `whsec_`"), (&SECRET[6..], "as it is written")] {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
            let signed = [ID.as_bytes(), b".", AT.as_bytes(), b".", BODY].concat();
            let signature = format!("v1,{}", STANDARD.encode(ring::hmac::sign(&key, &signed)));
            let told = explained(&headers(ID, AT, &signature));
            assert!(told.contains("the source's key has not made it") && told.contains(says), "{told}");
            assert!(!told.contains(&SECRET[6..]), "{told}");
        }
    }
}
