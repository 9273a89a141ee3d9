//! Who sent a request that came through proxies. Pure.
//!
//! Whoever connects can write any header, so `X-Forwarded-For` and `Forwarded` (RFC 7239) are read only where a listed proxy connected, and
//! only from the right, where the proxies put what they saw, up to the first address that is no listed proxy's. What stands further left
//! anybody can have written.
//!
//! Where both headers are there, `X-Forwarded-For` counts: most proxies write that one, and let a `Forwarded` of their client's through. A
//! proxy that writes `Forwarded` has to take `X-Forwarded-For` away.

use crate::model::AddressRange;
use http::{HeaderMap, HeaderName, header::FORWARDED};
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether it is a listed proxy's address.
pub(super) fn is_trusted(address: IpAddr, trusted: &[AddressRange]) -> bool {
    trusted.iter().any(|range| range.contains(address))
}

/// The client's address: the right-most one that is no listed proxy's, or the left-most where all are. Where a value that has to be read is
/// none, it is the peer's.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let named = if headers.contains_key(X_FORWARDED_FOR) {
        walk(headers, &X_FORWARDED_FOR, trusted, |line| line.split(',').map(|part| address(part.trim())).collect())
    } else {
        walk(headers, &FORWARDED, trusted, |line| split(line, b',').into_iter().map(forwarded_for).collect())
    };
    named.unwrap_or(peer)
}

/// Reads the lines of a header from the last one on, and each from the right; none where there is nothing, or what is read is no address.
fn walk(
    headers: &HeaderMap,
    name: &HeaderName,
    trusted: &[AddressRange],
    read: impl Fn(&str) -> Vec<Option<IpAddr>>,
) -> Option<IpAddr> {
    let mut nearest = None;
    for line in headers.get_all(name).iter().rev() {
        for address in read(line.to_str().ok()?).into_iter().rev() {
            let address = address?;
            if !is_trusted(address, trusted) {
                return Some(address);
            }
            nearest = Some(address);
        }
    }
    nearest
}

/// The `for` of an element of `Forwarded`; none where it has none, or more than one, or it is hidden.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, b';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            let value = unquoted(value.trim())?;
            if found.replace(address(&value)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// An address as proxies write it: with a port or without, IPv6 with brackets or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) if bare.len() != text.len() => return None,
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// The parts between separators that stand outside of quotes.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.extend(text.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(begin..));
    parts
}

/// A token as it stands, or what a quoted string says (RFC 9110, section 5.6.4).
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let inner = rest.strip_suffix('"')?;
    let (mut said, mut characters) = (String::new(), inner.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => said.push(characters.next()?),
            '"' => return None,
            character => said.push(character),
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// The client's address, by a peer, header lines, and `10.0.0.0/8` and `fd00::/8` as the proxies.
    fn check(peer: &str, lines: &[(&'static str, &str)], client: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let found = super::client(peer.parse().unwrap(), &headers, &trusted);
        assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
    }

    #[test]
    fn only_a_listed_proxy_is_believed() {
        check("192.0.2.1", &[("x-forwarded-for", "198.51.100.7")], "192.0.2.1");
        check("192.0.2.1", &[("forwarded", "for=198.51.100.7")], "192.0.2.1");
        check("10.0.0.1", &[("x-forwarded-for", "198.51.100.7")], "198.51.100.7");
        check("10.0.0.1", &[("forwarded", "for=198.51.100.7")], "198.51.100.7");
        check("fd00::1", &[("x-forwarded-for", "2001:db8::7")], "2001:db8::7");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &[("x-real-ip", "198.51.100.7"), ("via", "1.1 x")], "10.0.0.1");
    }

    #[test]
    fn the_right_most_address_that_is_no_proxys_is_the_client() {
        check("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 198.51.100.7, 10.1.1.1")], "198.51.100.7");
        check(
            "10.0.0.1",
            &[("x-forwarded-for", "6.6.6.6,198.51.100.7"), ("x-forwarded-for", "10.1.1.1")],
            "198.51.100.7",
        );
        check("10.0.0.1", &[("x-forwarded-for", "10.9.9.9, 10.1.1.1")], "10.9.9.9");
        check(
            "10.0.0.1",
            &[("forwarded", "for=6.6.6.6, for=198.51.100.7;proto=https;by=10.0.0.1, For=10.1.1.1")],
            "198.51.100.7",
        );
        check("10.0.0.1", &[("forwarded", "for=6.6.6.6"), ("forwarded", "for=198.51.100.7")], "198.51.100.7");
    }

    #[test]
    fn addresses_come_in_every_form_that_proxies_write() {
        for (text, client) in [
            ("198.51.100.7:4711", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("  198.51.100.7\t", "198.51.100.7"),
        ] {
            check("10.0.0.1", &[("x-forwarded-for", text)], client);
        }
        for (text, client) in [
            ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=\"198.51.100.7:4711\"", "198.51.100.7"),
            ("proto=http;FOR=\"198.51.100.7\"", "198.51.100.7"),
            ("for=\"198.51.\\100.7\"", "198.51.100.7"),
            ("by=\"a,b;for=6.6.6.6\";for=198.51.100.7", "198.51.100.7"),
            ("by=\"a\\\",for=6.6.6.6\" ; for = 198.51.100.7", "198.51.100.7"),
        ] {
            check("10.0.0.1", &[("forwarded", text)], client);
        }
    }

    #[test]
    fn what_is_no_address_is_ignored_in_favour_of_the_peer() {
        for text in [
            "",
            ",",
            "unknown",
            "198.51.100.7,",
            "198.51.100.256",
            "[198.51.100.7]",
            "[::1",
            "a.example",
            "1.2.3.4:99999",
            "\u{e9}",
        ] {
            check("10.0.0.1", &[("x-forwarded-for", text)], "10.0.0.1");
        }
        for text in [
            "",
            "for",
            "for=",
            "for=unknown",
            "for=_hidden",
            "for=\"_hidden:80\"",
            "proto=https",
            "for=198.51.100.7;for=198.51.100.8",
            "for=\"198.51.100.7",
            "for=198.51.100.7\"",
            "for=\"198.51.100.7\\\"",
            "for=198.51.100.7, ",
            "198.51.100.7",
        ] {
            check("10.0.0.1", &[("forwarded", text)], "10.0.0.1");
        }
        // Left of what is read there may be anything.
        check("10.0.0.1", &[("x-forwarded-for", "<script>, 198.51.100.7")], "198.51.100.7");
        check("10.0.0.1", &[("x-forwarded-for", "unknown, 10.1.1.1")], "10.0.0.1");
    }

    #[test]
    fn of_both_headers_x_forwarded_for_counts() {
        check("10.0.0.1", &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "198.51.100.7")], "198.51.100.7");
        check("10.0.0.1", &[("forwarded", "for=198.51.100.7"), ("x-forwarded-for", "unknown")], "10.0.0.1");
    }
}
