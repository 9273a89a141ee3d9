//! What the operator lets deliveries reach although it is not globally routable: `127.0.0.0/8`, `10.1.2.3`, `[::1]`, `127.0.0.1:9000`.

use crate::model::{AddressRange, InvalidAddressRange};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One network, or one address, on all ports or on one. IPv6 stands in brackets where a port follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AllowEntry {
    range: AddressRange,
    port: Option<u16>,
}

/// A text that is not an allow entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` cannot be allowed: {why}. Write `10.1.2.3`, `10.0.0.0/8`, `10.1.2.3:9000`, `[::1]`, `fd00::/8` or `[::1]:9000`"
)]
pub struct InvalidAllowEntry {
    given: String,
    why: String,
}

impl AllowEntry {
    /// Whether it lets a connection to this address and port through.
    #[must_use]
    pub fn allows(&self, address: IpAddr, port: Option<u16>) -> bool {
        (self.port.is_none() || self.port == port) && self.range.contains(address)
    }

    /// The one port it is for; none for all.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for AllowEntry {
    type Err = InvalidAllowEntry;
    fn from_str(text: &str) -> Result<Self, InvalidAllowEntry> {
        let wrong = |why: String| InvalidAllowEntry { given: text.chars().take(80).collect(), why };
        let (network, port) = split(text).ok_or_else(|| wrong("its brackets do not fit".to_owned()))?;
        let port = match port {
            None => None,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port > 0 => Some(port),
                _ => return Err(wrong(format!("`{port}` is not a port from 1 to 65535"))),
            },
        };
        let range = network.parse().map_err(|error: InvalidAddressRange| wrong(error.why))?;
        Ok(Self { range, port })
    }
}

/// The network and the port as they are written; none where brackets are opened and not closed as they should be.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (network, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((network, Some(port))),
            None => rest.is_empty().then_some((network, None)),
        };
    }
    match text.split_once(':') {
        // More than one colon and no brackets: IPv6 without a port.
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((network, port)) => Some((network, Some(port))),
        None => Some((text, None)),
    }
}

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.range;
        match (range.is_ipv4(), self.port) {
            (true, None) => write!(f, "{range}"),
            (true, Some(port)) => write!(f, "{range}:{port}"),
            (false, None) => write!(f, "[{range}]"),
            (false, Some(port)) => write!(f, "[{range}]:{port}"),
        }
    }
}

impl TryFrom<String> for AllowEntry {
    type Error = InvalidAllowEntry;
    fn try_from(text: String) -> Result<Self, InvalidAllowEntry> {
        text.parse()
    }
}

impl From<AllowEntry> for String {
    fn from(entry: AllowEntry) -> Self {
        entry.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_has_one_spelling() {
        for (given, spelling) in [
            ("127.0.0.0/8", "127.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("10.0.0.0/8:443", "10.0.0.0/8:443"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("[::1]", "[::1]"),
            ("::1", "[::1]"),
            ("[::1]:9000", "[::1]:9000"),
            ("fd00::/8", "[fd00::/8]"),
            ("[fd00::/8]:443", "[fd00::/8]:443"),
            ("::/0", "[::/0]"),
        ] {
            let entry: AllowEntry = given.parse().unwrap();
            assert_eq!(entry.to_string(), spelling);
            assert_eq!(spelling.parse(), Ok(entry), "{spelling}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (given, why) in [
            ("localhost", "`localhost` is not an IP address; names cannot be allowed"),
            ("", "is not an IP address"),
            ("127.0.0.1/8", "127.0.0.1 is inside that network, which begins at 127.0.0.0: write `127.0.0.0/8`"),
            ("10.0.0.0/33", "`/33` is not a prefix from /0 to /32"),
            ("[::1/129]", "`/129` is not a prefix from /0 to /128"),
            ("10.0.0.0/-1", "is not a prefix"),
            ("127.0.0.1:0", "`0` is not a port from 1 to 65535"),
            ("127.0.0.1:65536", "`65536` is not a port"),
            ("127.0.0.1:", "`` is not a port"),
            ("[::1", "its brackets do not fit"),
            ("[::1]9000", "its brackets do not fit"),
            ("http://127.0.0.1", "is not"),
        ] {
            let error = given.parse::<AllowEntry>().unwrap_err().to_string();
            assert!(error.contains(why), "{given}: {error}");
        }
    }

    #[test]
    fn an_entry_covers_its_network_and_its_port_and_no_more() {
        let allows = |entry: &str, address: &str, port| {
            entry.parse::<AllowEntry>().unwrap().allows(address.parse().unwrap(), port)
        };
        assert!(allows("127.0.0.0/8", "127.9.9.9", Some(1)));
        assert!(allows("127.0.0.0/8", "127.9.9.9", None));
        assert!(!allows("127.0.0.0/8", "128.0.0.0", Some(1)));
        assert!(!allows("127.0.0.0/8", "::ffff:127.0.0.1", Some(1)), "a mapped address is not what was allowed");
        assert!(allows("127.0.0.1:9000", "127.0.0.1", Some(9000)));
        assert!(!allows("127.0.0.1:9000", "127.0.0.1", Some(9001)));
        assert!(!allows("127.0.0.1:9000", "127.0.0.1", None), "an unknown port is not the allowed one");
        assert!(allows("[::1]", "::1", Some(1)) && !allows("[::1]", "::2", Some(1)));
    }
}
