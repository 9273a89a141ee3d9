//! Deliveries as CloudEvents 1.0: as people write it, checked. How one is written is for the deliverer.

use super::Invalid;
use serde::{Deserialize, Serialize};

/// The longest `source`, in bytes.
const SOURCE_BYTES_MAX: usize = 1_024;

/// Deliveries as CloudEvents 1.0 over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudEventsSpec {
    /// Where the attributes stand.
    pub mode: CloudEventsMode,
    /// The attribute `source`: a URI reference of 1 to 1,024 bytes. By itself `/{tenant}/{source}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Where the attributes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudEventsMode {
    /// In headers; the body is the payload as it is.
    Binary,
    /// In the body, a JSON object, with the payload.
    Structured,
}

impl CloudEventsSpec {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Some(source) = &self.source else { return Ok(()) };
        if (1..=SOURCE_BYTES_MAX).contains(&source.len()) && source.bytes().all(is_of_a_uri) {
            return Ok(());
        }
        let message = format!(
            "is no URI reference (RFC 3986) of 1 to {SOURCE_BYTES_MAX} bytes, such as `https://example.com/orders`"
        );
        Err(Invalid::new("/cloudevents/source", message))
    }
}

/// Whether a byte can stand in a URI at all.
fn is_of_a_uri(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_uri_reference() {
        let check =
            |source: &str| CloudEventsSpec { mode: CloudEventsMode::Binary, source: Some(source.to_owned()) }.check();
        for source in ["/a/b", "https://example.com/a?b#c", "urn:x:y", "%20", &"a".repeat(SOURCE_BYTES_MAX)] {
            assert_eq!(check(source), Ok(()), "{source}");
        }
        for source in ["", "a b", "a\"b", "grün", "a\nb", &"a".repeat(SOURCE_BYTES_MAX + 1)] {
            assert_eq!(check(source).unwrap_err().pointer, "/cloudevents/source", "{source}");
        }
    }
}
