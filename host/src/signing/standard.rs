//! Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, written `v1,<base64>`; several signatures stand side by side, so that
//! secrets can be changed without a gap.

use super::{Secret, VerifyError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

/// How far a time stamp may be from now, where a source does not say otherwise, in seconds.
pub const TIMESTAMP_TOLERANCE_S: u64 = 300;
/// How many signatures of one header are looked at; what follows is passed over.
pub const SIGNATURES_MAX: usize = 16;

/// The value of `webhook-signature`: one signature for each secret, joined by spaces; none where there is no secret.
///
/// `id` must not be under a stranger's control or must not hold a full stop: it is joined with the rest by one.
#[must_use]
pub fn sign(secrets: &[Secret], id: &str, timestamp_s: u64, body: &[u8]) -> Option<String> {
    let timestamp = timestamp_s.to_string();
    let written = secrets.iter().map(|secret| {
        let mac = secret.mac(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        format!("v1,{}", STANDARD.encode(mac))
    });
    written.reduce(|all, one| all + " " + &one)
}

/// The headers of a request that the scheme is about, as they came; none where there is no such header, or none that is text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandardHeaders<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

/// Whether one of the secrets made one of the signatures, not longer ago than `tolerance_s` seconds and not further ahead
/// ([`TIMESTAMP_TOLERANCE_S`] is usual).
///
/// Signatures of other versions (`v1a`) are passed over, and at most [`SIGNATURES_MAX`] are looked at.
///
/// # Errors
/// Where a header is missing or malformed, the time stamp too far from now, or no signature right.
pub fn verify_standard_webhooks(
    secrets: &[Secret],
    headers: &StandardHeaders<'_>,
    body: &[u8],
    now_s: u64,
    tolerance_s: u64,
) -> Result<(), VerifyError> {
    const SIGNATURE: &str = "webhook-signature";
    let missing = |header| VerifyError::SignatureMissing { header };
    let id = headers.id.ok_or(missing("webhook-id"))?;
    let timestamp = headers.timestamp.ok_or(missing("webhook-timestamp"))?;
    let signature = headers.signature.ok_or(missing(SIGNATURE))?;

    let timestamp_s = seconds(timestamp).ok_or(VerifyError::TimestampMalformed)?;
    let given: Vec<_> = signature.split(' ').take(SIGNATURES_MAX).filter_map(decode_v1).collect();
    if given.is_empty() {
        let wanted = "`v1,` and the base64 of 32 bytes; several are separated by single spaces";
        return Err(VerifyError::SignatureMalformed { header: SIGNATURE, wanted });
    }
    let right = secrets.iter().any(|secret| {
        let mac = secret.mac(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        given.iter().any(|one| bool::from(one.ct_eq(&mac)))
    });
    if !right {
        return Err(VerifyError::SignatureInvalid);
    }
    // Last: only who holds a secret learns what the host's clock thinks of the time stamp.
    if timestamp_s.abs_diff(now_s) > tolerance_s {
        return Err(VerifyError::TimestampStale { tolerance_s });
    }
    Ok(())
}

/// Digits only: `+5` and ` 5` would be signed differently from what they mean.
fn seconds(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn decode_v1(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text.strip_prefix("v1,")?).ok()?.try_into().ok()
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

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn headers<'a>(id: &'a str, timestamp: &'a str, signature: &'a str) -> StandardHeaders<'a> {
        StandardHeaders { id: Some(id), timestamp: Some(timestamp), signature: Some(signature) }
    }

    fn verify(texts: &[&str], signature: &str, now_s: u64) -> Result<(), VerifyError> {
        verify_standard_webhooks(&secrets(texts), &headers(ID, AT, signature), BODY, now_s, 300)
    }

    #[test]
    fn signs_as_the_published_library_does() {
        assert_eq!(sign(&secrets(&[SECRET]), ID, AT_S, BODY).unwrap(), SIGNED);
        assert_eq!(sign(&secrets(&[LONG_SECRET]), ID, AT_S, BODY).unwrap(), SIGNED_LONG);
        assert_eq!(sign(&secrets(&[LONG_SECRET, SECRET]), ID, AT_S, BODY).unwrap(), format!("{SIGNED_LONG} {SIGNED}"));
        assert_eq!(sign(&[], ID, AT_S, BODY), None);
        // The test vector of the library's own documentation.
        let documented = secrets(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
        let signed = sign(&documented, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
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
        let secrets = secrets(&[SECRET]);
        let verify =
            |id, at, body: &[u8]| verify_standard_webhooks(&secrets, &headers(id, at, SIGNED), body, AT_S, 300);
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
            let stale = Err(VerifyError::TimestampStale { tolerance_s: 300 });
            assert_eq!(verify(&[SECRET], SIGNED, now_s), stale, "{now_s}");
        }
    }

    #[test]
    fn only_digits_are_a_time_stamp() {
        for at in ["", "+1674087231", " 1674087231", "1674087231.5", "-1", "99999999999999999999"] {
            let verified = verify_standard_webhooks(&secrets(&[SECRET]), &headers(ID, at, SIGNED), BODY, AT_S, 300);
            assert_eq!(verified, Err(VerifyError::TimestampMalformed), "{at}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let all = headers(ID, AT, SIGNED);
        let verify = |headers| verify_standard_webhooks(&[], &headers, BODY, AT_S, 300).unwrap_err();
        assert!(verify(StandardHeaders { id: None, ..all }).to_string().contains("`webhook-id`"));
        assert!(verify(StandardHeaders { timestamp: None, ..all }).to_string().contains("`webhook-timestamp`"));
        let error = verify(StandardHeaders { signature: None, ..all });
        assert!(error.to_string().contains("`webhook-signature`"));
        assert_eq!(error.code(), "signature_missing");
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
}
