//! What can be told of a request whose HMAC is not right.

use super::{Form, HmacScheme, TimestampPlace, fields};
use crate::signing::SIGNATURES_MAX;
use crate::signing::explain::{Looked, TRIES_MAX, it_is, look_of, no_secret_made, time};
use crate::signing::header::{HashAlgorithm, SignatureEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use subtle::ConstantTimeEq as _;

/// A secret that is read otherwise is only tried where it has this many bytes: a shorter one is read so by chance.
const OTHER_KEY_BYTES_MIN: usize = 12;

/// The same secrets, read in other ways than the scheme says: what a sender may have taken for the key.
pub(super) fn other_keys(algorithm: HashAlgorithm, secrets: &[String]) -> Vec<(&'static str, hmac::Key)> {
    let mut all = Vec::new();
    for secret in secrets {
        let trimmed = secret.trim();
        let base64 = STANDARD.decode(trimmed.strip_prefix("whsec_").unwrap_or(trimmed)).ok();
        let readings = [
            ("without the spaces around it", (trimmed != secret).then(|| trimmed.as_bytes().to_vec())),
            ("read as hex", SignatureEncoding::Hex.decode(trimmed)),
            ("read as base64", base64),
        ];
        let readings = readings.into_iter().filter_map(|(how, bytes)| Some((how, bytes?)));
        let readings = readings.filter(|(_, bytes)| bytes.len() >= OTHER_KEY_BYTES_MIN);
        all.extend(readings.map(|(how, bytes)| (how, hmac::Key::new(algorithm.of_ring(), &bytes))));
    }
    all
}

impl HmacScheme {
    /// What can be told of a request that was refused.
    #[must_use]
    pub fn explain(&self, looked: &Looked<'_>) -> Vec<String> {
        let header = &self.header;
        let Some(value) = looked.headers.get(header) else { return vec![looked.missing(header)] };
        let Ok(written) = value.to_str() else {
            return vec![format!("`{header}` has other characters than visible ASCII")];
        };
        let given: Vec<Vec<u8>> = self.signatures(written).take(SIGNATURES_MAX).collect();
        if given.is_empty() {
            return vec![format!("`{header}` {}; wanted: {}", self.how_it_is_wrong(written), self.wanted())];
        }
        let (stamp, stale) = self.stamp_of(looked, written);
        let mut told: Vec<String> = stale.into_iter().collect();
        if looked.is_signed {
            return told;
        }
        told.push(no_secret_made(header, self.keys.len(), given.len()));
        told.extend(self.what_would_fit(looked, &given, stamp));
        told
    }

    fn how_it_is_wrong(&self, written: &str) -> String {
        match &self.form {
            Form::After(prefix) => match written.strip_prefix(prefix.as_str()) {
                None => format!("does not begin with `{prefix}`"),
                Some(rest) if prefix.is_empty() => format!("holds {}", look_of(rest)),
                Some(rest) => format!("holds {} after `{prefix}`", look_of(rest)),
            },
            Form::Fields(name) => match fields(written, name).next() {
                None => format!("has no field `{name}`"),
                Some(text) => format!("has a field `{name}` that holds {}", look_of(text)),
            },
        }
    }

    /// The time as it is signed, and what is to be said of it.
    fn stamp_of<'a>(&self, looked: &Looked<'a>, written: &'a str) -> (&'a str, Option<String>) {
        let (name, text, tolerance) = match &self.timestamp {
            None => return ("", None),
            Some(TimestampPlace::Header(place)) => {
                let text = looked.headers.get(&place.name).and_then(|value| value.to_str().ok());
                (&place.name, text, place.tolerance)
            }
            Some(TimestampPlace::Field(name, tolerance)) => (&self.header, fields(written, name).next(), *tolerance),
        };
        match text {
            None => ("", Some(format!("there is no time in `{name}`"))),
            Some(text) => (text, time(name, text, tolerance, looked.now_s)),
        }
    }

    fn what_would_fit(&self, looked: &Looked<'_>, given: &[Vec<u8>], stamp: &str) -> Option<String> {
        let bodies = looked.other_bodies();
        let other_keys = self.other_keys.iter().filter(|_| looked.is_short());
        let tries = other_keys.map(|(how, key)| (format!("by the secret {how}"), key, looked.body, true));
        let own = || self.keys.iter();
        let tries =
            tries.chain(bodies.iter().flat_map(|(what, body)| own().map(|key| ((*what).to_owned(), key, *body, true))));
        let without_time = self.timestamp.is_some() && looked.is_short();
        let without_time = own().filter(|_| without_time);
        let tries = tries
            .chain(without_time.map(|key| ("of the body alone, without the time".to_owned(), key, looked.body, false)));
        let found = tries.take(TRIES_MAX).find(|(_, key, body, with_time)| {
            let mac = if *with_time { self.mac(key, stamp, body) } else { hmac::sign(key, body) };
            given.iter().any(|one| bool::from(one.ct_eq(mac.as_ref())))
        });
        found.map(|(what, ..)| it_is(&what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::Tolerance;
    use http::{HeaderMap, HeaderName};

    const NOW_S: u64 = 1_700_000_000;

    fn explained(scheme: &HmacScheme, headers: &[(&str, String)], body: &[u8], inflated: Option<&[u8]>) -> String {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
        let looked = Looked { headers: &headers, query: None, body, inflated, is_signed: false, now_s: NOW_S };
        scheme.explain(&looked).join("; ")
    }

    fn signed(key: &[u8], text: &[u8]) -> String {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
        SignatureEncoding::Hex.encode(mac.as_ref())
    }

    fn github(secret: &str) -> HmacScheme {
        HmacScheme::github(&["other".to_owned(), secret.to_owned()])
    }

    fn of_github(secret: &str, value: String, body: &[u8]) -> String {
        explained(&github(secret), &[("x-hub-signature-256", value)], body, None)
    }

    #[test]
    fn a_malformed_signature_is_told_by_its_look() {
        let of = |value: &str| of_github("hush", value.to_owned(), b"{}");
        assert!(
            of("00").contains("does not begin with `sha256=`; wanted: `sha256=` and 64 hex digits"),
            "{}",
            of("00")
        );
        let sha1 = format!("sha256={}", "ab".repeat(20));
        assert!(of(&sha1).contains("holds 40 hex digits after `sha256=`"), "{}", of(&sha1));
        let missing = explained(&github("hush"), &[("x-signature", "x".to_owned())], b"{}", None);
        assert!(missing.contains("there is no `x-hub-signature-256`, but `x-signature`"), "{missing}");
        let nothing = explained(&github("hush"), &[], b"{}", None);
        assert!(nothing.contains("no other header that looks like a signature"), "{nothing}");
    }

    #[test]
    fn what_a_signature_would_fit_is_found() {
        let base64 = STANDARD.encode([7; 24]);
        let hex = "0c".repeat(16);
        for (secret, key, signed_body, body, says) in [
            ("hush", &b"hush"[..], &b"{}"[..], &b"{}\n"[..], "without its last line end"),
            ("hush", b"hush", b"{}", b"{}\r\n", "without its last line end"),
            (&base64, &[7; 24], b"{}", b"{}", "by the secret read as base64"),
            (&hex, &[0x0c; 16], b"{}", b"{}", "by the secret read as hex"),
            ("a long secret \n", b"a long secret", b"{}", b"{}", "without the spaces around it"),
        ] {
            let told = of_github(secret, format!("sha256={}", signed(key, signed_body)), body);
            assert!(told.contains(says), "{says}: {told}");
        }
        let value = format!("sha256={}", signed(b"hush", b"{}"));
        let told = explained(&github("hush"), &[("x-hub-signature-256", value.clone())], b"\x1f\x8b", Some(b"{}"));
        assert!(told.contains("signed before it was compressed"), "{told}");
        let told = of_github("hush", format!("sha256={}", signed(b"else", b"{}")), b"{}\n");
        assert!(told.ends_with("none of 2 keys made it"), "{told}");
        for hidden in ["hush", &value[7..]] {
            assert!(!told.contains(hidden), "{told}");
        }
        // What is long is not looked at again.
        let long = [vec![b'x'; crate::signing::explain::BODY_BYTES_MAX], b"\n".to_vec()].concat();
        let told = of_github("hush", format!("sha256={}", signed(b"hush", &long[..long.len() - 1])), &long);
        assert!(told.ends_with("keys made it"), "{told}");
    }

    #[test]
    fn a_time_is_told_where_it_is_wrong_and_where_it_is_not_signed() {
        let slack = HmacScheme::slack(&["hush".to_owned()], Tolerance(300));
        let of = |at: &str, signed_text: String| {
            let signature = format!("v0={}", signed(b"hush", signed_text.as_bytes()));
            let headers = [("x-slack-signature", signature), ("x-slack-request-timestamp", at.to_owned())];
            explained(&slack, &headers, b"{}", None)
        };
        let stale = of("1699999000", "v0:1699999000:{}".to_owned());
        let stale = stale.split("; ").next().unwrap();
        assert_eq!(stale, "the time in `x-slack-request-timestamp` is 1000 s before the host's, and 300 s are allowed");
        assert!(of("1700000000", "{}".to_owned()).contains("of the body alone, without the time"));
        let ms = of("1700000000000", "v0:1700000000000:{}".to_owned());
        assert!(ms.contains("in milliseconds"), "{ms}");
        let stripe = HmacScheme::stripe(&["hush".to_owned()], Tolerance(300));
        let told = explained(&stripe, &[("stripe-signature", "v1=00".to_owned())], b"{}", None);
        assert!(told.contains("has a field `v1` that holds 2 hex digits"), "{told}");
    }
}
