//! Why a request is not believed, as far as it can be told from the request: for the log of refused requests, which the source's owner reads, and
//! never for the sender. Pure.
//!
//! What must hold: nothing said here shows a secret, a signature, or what would have been right; and it costs no more than [`TRIES_MAX`] looks at
//! a body of at most [`BODY_BYTES_MAX`] bytes.

use super::SignatureEncoding;
use super::timestamp::Tolerance;
use http::{HeaderMap, HeaderName};

/// Longer bodies are not looked at again.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// How often a signature is made again to see what it would fit.
pub(super) const TRIES_MAX: usize = 8;
const NAMES_MAX: usize = 5;

/// A request that was refused.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The query of its URL, as it came.
    pub query: Option<&'a str>,
    /// Its body, as it came.
    pub body: &'a [u8],
    /// What a compressed body holds.
    pub inflated: Option<&'a [u8]>,
    /// Whether its signature is right, and something else is not.
    pub is_signed: bool,
    /// When it came.
    pub now_s: u64,
}

impl<'a> Looked<'a> {
    /// What the sender may have signed in place of the body, with words for it.
    pub(super) fn other_bodies(&self) -> Vec<(&'static str, &'a [u8])> {
        let mut all = Vec::new();
        let short = |body: &[u8]| body.len() <= BODY_BYTES_MAX;
        if let Some(inflated) = self.inflated.filter(|body| short(body)) {
            all.push(("of what the compressed body holds: it was signed before it was compressed", inflated));
        }
        if short(self.body) {
            let line = self.body.strip_suffix(b"\r\n").or_else(|| self.body.strip_suffix(b"\n"));
            all.extend(line.map(|body| ("of the body without its last line end", body)));
        }
        all
    }

    /// Whether its body may be looked at again.
    pub(super) const fn is_short(&self) -> bool {
        self.body.len() <= BODY_BYTES_MAX
    }

    /// That the header is not there, and which others might be meant.
    pub(super) fn missing(&self, header: &HeaderName) -> String {
        let looks =
            |name: &&HeaderName| ["signature", "hmac", "sign", "token"].iter().any(|it| name.as_str().contains(it));
        let others: Vec<String> =
            self.headers.keys().filter(looks).take(NAMES_MAX).map(|name| format!("`{name}`")).collect();
        if others.is_empty() {
            return format!("there is no `{header}`, and no other header that looks like a signature");
        }
        format!("there is no `{header}`, but {}: was the source made with the right scheme?", others.join(", "))
    }
}

/// That a signature is one, and nobody's.
pub(super) fn no_secret_made(header: &HeaderName, keys: usize, signatures: usize) -> String {
    let who = match keys {
        1 => "the source's key has not made".to_owned(),
        _ => format!("none of {keys} keys made"),
    };
    match signatures {
        1 => format!("`{header}` is well written, but {who} it"),
        _ => format!("`{header}` is well written, but {who} any of its {signatures} signatures"),
    }
}

/// What was found that a signature fits.
pub(super) fn it_is(what: &str) -> String {
    format!("it is the signature {what}")
}

/// What a text looks like, without showing it.
pub(super) fn look_of(text: &str) -> String {
    let length = text.len();
    if length > 0 && length.is_multiple_of(2) && SignatureEncoding::Hex.decode(text).is_some() {
        return format!("{length} hex digits");
    }
    match SignatureEncoding::Base64.decode(text) {
        Some(bytes) if !bytes.is_empty() => format!("the base64 of {} bytes", bytes.len()),
        _ => format!("{length} characters that are neither hex nor base64"),
    }
}

/// What is to be said of a time; none where it is near enough.
pub(super) fn time(header: &HeaderName, text: &str, tolerance: Tolerance, now_s: u64) -> Option<String> {
    let Some(at_s) = text.parse::<u64>().ok().filter(|_| text.bytes().all(|it| it.is_ascii_digit())) else {
        let shown: String = text.chars().take(40).collect();
        return Some(format!(
            "the time in `{header}` is `{shown}`, and a whole number of seconds since 1970 is wanted"
        ));
    };
    let (away_s, most_s) = (at_s.abs_diff(now_s), tolerance.0);
    if away_s <= most_s {
        return None;
    }
    if (at_s / 1000).abs_diff(now_s) <= most_s.max(86_400) {
        return Some(format!("the time in `{header}` is in milliseconds, and seconds are wanted"));
    }
    let side = if at_s < now_s { "before" } else { "after" };
    Some(format!("the time in `{header}` is {away_s} s {side} the host's, and {most_s} s are allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_by_its_look_and_not_shown() {
        assert_eq!(look_of(&"0a".repeat(32)), "64 hex digits");
        assert_eq!(look_of("aGVsbG8gd29ybGQ="), "the base64 of 11 bytes");
        assert_eq!(look_of("sha256=0a"), "9 characters that are neither hex nor base64");
        assert_eq!(look_of(""), "0 characters that are neither hex nor base64");
    }

    #[test]
    fn a_time_is_stale_early_in_milliseconds_or_no_number() {
        let header = HeaderName::from_static("x-t");
        let of = |text: &str| time(&header, text, Tolerance(300), 1_700_000_000);
        assert_eq!([of("1700000300"), of("1699999700")], [None, None]);
        for (text, says) in [
            ("1699999600", "400 s before"),
            ("1700000400", "400 s after"),
            ("1700000000123", "in milliseconds"),
            ("2023-11-14T22:13:20Z", "a whole number of seconds"),
            ("+5", "a whole number of seconds"),
            ("", "a whole number of seconds"),
        ] {
            assert!(of(text).unwrap().contains(says), "{text}: {:?}", of(text));
        }
    }
}
