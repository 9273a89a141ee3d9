//! GitHub's scheme: `X-Hub-Signature-256: sha256=<hex>`, the HMAC-SHA256 of the body under a secret of any text. It signs neither an id nor a
//! time: a replay is caught by the delivery's id as dedup key, not here.

use super::VerifyError;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

const HEADER: &str = "x-hub-signature-256";

/// Whether one of the secrets signed the body. `signature` is the header `x-hub-signature-256` as it came.
///
/// # Errors
/// Where the header is missing or malformed, or no secret made it.
pub fn verify_github(secrets: &[impl AsRef<[u8]>], signature: Option<&str>, body: &[u8]) -> Result<(), VerifyError> {
    let signature = signature.ok_or(VerifyError::SignatureMissing { header: HEADER })?;
    let wanted = "`sha256=` and 64 hex digits";
    let given = decode(signature).ok_or(VerifyError::SignatureMalformed { header: HEADER, wanted })?;
    let right = secrets.iter().any(|secret| {
        // HMAC takes a key of any length; if it did not, such a key would sign nothing.
        Hmac::<Sha256>::new_from_slice(secret.as_ref()).is_ok_and(|mut mac| {
            mac.update(body);
            let mac: [u8; 32] = mac.finalize().into_bytes().into();
            mac.ct_eq(&given).into()
        })
    });
    if right { Ok(()) } else { Err(VerifyError::SignatureInvalid) }
}

fn decode(signature: &str) -> Option<[u8; 32]> {
    let hex = signature.strip_prefix("sha256=")?;
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The values that GitHub's documentation gives for testing an implementation.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn verifies_what_github_documents() {
        assert_eq!(verify_github(&[SECRET], Some(SIGNED), BODY), Ok(()));
        assert_eq!(verify_github(&["other", SECRET], Some(SIGNED), BODY), Ok(()));
        let upper = format!("sha256={}", SIGNED[7..].to_uppercase());
        assert_eq!(verify_github(&[SECRET], Some(&upper), BODY), Ok(()));
    }

    #[test]
    fn refuses_the_rest() {
        let code = |secrets: &[&str], signature, body| verify_github(secrets, signature, body).unwrap_err().code();
        assert_eq!(code(&[SECRET], Some(SIGNED), b"Hello, World?"), "signature_invalid");
        assert_eq!(code(&["other"], Some(SIGNED), BODY), "signature_invalid");
        assert_eq!(code(&[], Some(SIGNED), BODY), "signature_invalid");
        assert_eq!(code(&[SECRET], None, BODY), "signature_missing");
        let (long, no_hex) = (format!("{SIGNED}0"), SIGNED.replace('7', "g"));
        for malformed in ["", "sha256=", "sha1=757107ea", &SIGNED[..70], &long, &no_hex] {
            assert_eq!(code(&[SECRET], Some(malformed), BODY), "signature_malformed", "{malformed}");
        }
        let multibyte = format!("sha256={}", "é".repeat(32));
        assert_eq!(code(&[SECRET], Some(&multibyte), BODY), "signature_malformed");
    }
}
