//! Who sent a request that came through proxies. Pure.
//!
//! Whoever connects can write any header, so `X-Forwarded-For` and `Forwarded` (RFC 7239) are read only where a listed proxy connected, and
//! only from the right, where the proxies put what they saw, up to the first address that is no listed proxy's. What stands further left
//! anybody can have written.
//!
//! A proxy may put what it saw behind what its client wrote, on the same line. So bytes that are no text spoil their own element alone, and a
//! line of `Forwarded` whose quotes do not balance is not believed at all: a quote that a client opened would swallow what the proxy added.
//! Where a listed proxy says something that cannot be read, who sent the request is unknown. It is not the proxy: that would let a client
//! take the proxy's place.
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

/// The client's address: the right-most one that is no listed proxy's, or the left-most where all are; the peer's where no listed proxy says
/// anything. None where one says what cannot be read.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> Option<IpAddr> {
    if !is_trusted(peer, trusted) {
        return Some(peer);
    }
    if headers.contains_key(X_FORWARDED_FOR) {
        let read = |line: &[u8]| Some(line.rsplit(|byte| *byte == b',').map(address).collect());
        walk(headers, &X_FORWARDED_FOR, trusted, read)
    } else if headers.contains_key(FORWARDED) {
        let read = |line: &[u8]| Some(split(line, b',')?.into_iter().rev().map(forwarded_for).collect());
        walk(headers, &FORWARDED, trusted, read)
    } else {
        Some(peer)
    }
}

/// Goes through the lines of a header from the last one on. `read` gives what the elements of a line say, the right-most first, or none where
/// the line is not believed.
fn walk(
    headers: &HeaderMap,
    name: &HeaderName,
    trusted: &[AddressRange],
    read: impl Fn(&[u8]) -> Option<Vec<Option<IpAddr>>>,
) -> Option<IpAddr> {
    let mut nearest = None;
    for line in headers.get_all(name).iter().rev() {
        for address in read(line.as_bytes())? {
            let address = address?;
            if !is_trusted(address, trusted) {
                return Some(address);
            }
            nearest = Some(address);
        }
    }
    nearest
}

/// The `for` of an element of `Forwarded`; none where it has none, or more than one, or it is hidden, or any of its pairs is none.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, b';')? {
        if pair.trim_ascii().is_empty() {
            continue;
        }
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair.get(..at)?.trim_ascii(), unquoted(pair.get(at + 1..)?.trim_ascii())?);
        if name.is_empty() || !name.iter().all(|byte| is_bare(*byte)) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && found.replace(address(&value)?).is_some() {
            return None;
        }
    }
    found
}

/// An address as proxies write it: with a port or without, IPv6 with brackets or without.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) if bare.len() != text.len() => return None,
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// The parts between separators that stand outside of quotes; none where a quote is not closed.
fn split(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.iter().enumerate() {
        match *byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if byte == separator && !quoted => {
                parts.extend(text.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(begin..));
    (!quoted).then_some(parts)
}

/// A value as it stands, or what a quoted string says (RFC 9110, section 5.6.4); none where it is neither.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let Some(rest) = text.strip_prefix(b"\"") else {
        return (!text.is_empty() && text.iter().all(|byte| is_bare(*byte))).then(|| text.to_vec());
    };
    let (mut said, mut bytes) = (Vec::new(), rest.strip_suffix(b"\"")?.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => said.push(*bytes.next()?),
            b'"' => return None,
            byte => said.push(*byte),
        }
    }
    Some(said)
}

/// Whether a byte may stand outside of quotes. Some proxies leave the quotes out around a port or an IPv6 address.
const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=' | b',' | b';')
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// What a peer's header lines say, with `10.0.0.0/8` and `fd00::/8` as the proxies.
    fn found(peer: &str, lines: &[(&'static str, &[u8])]) -> Option<IpAddr> {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted)
    }

    fn check(peer: &str, lines: &[(&'static str, &str)], client: &str) {
        let bytes: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        assert_eq!(found(peer, &bytes), Some(client.parse().unwrap()), "{peer} {lines:?}");
    }

    /// That nobody knows who it is, where a listed proxy has this line.
    fn check_unknown(name: &'static str, line: &[u8]) {
        assert_eq!(found("10.0.0.1", &[(name, line)]), None, "{name}: {}", line.escape_ascii());
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
    fn what_a_listed_proxy_says_and_nobody_can_read_is_nobodys_address() {
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
            "unknown, 10.1.1.1",
        ] {
            check_unknown("x-forwarded-for", text.as_bytes());
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
            "for=198.51.100.7;by",
            "for=198.51.100.7;by=",
            "for=198.51.100.7;=x",
            "for=198.51.100.7;by=a b",
            "for=198.51.100.7;by=\"a\"b",
            "for=198.51.100.7;by=\u{e9}",
        ] {
            check_unknown("forwarded", text.as_bytes());
        }
        // Left of what is read there may be anything.
        check("10.0.0.1", &[("x-forwarded-for", "<script>, 198.51.100.7")], "198.51.100.7");
        check("10.0.0.1", &[("forwarded", "<script>, for=198.51.100.7;")], "198.51.100.7");
    }

    #[test]
    fn what_a_client_wrote_does_not_take_away_what_the_proxy_adds_to_the_line() {
        let client = "198.51.100.7".parse().ok();
        assert_eq!(found("10.0.0.1", &[("x-forwarded-for", b"\xe9, 198.51.100.7")]), client);
        assert_eq!(found("10.0.0.1", &[("forwarded", b"for=\xe9, for=198.51.100.7")]), client);
        check_unknown("x-forwarded-for", b"\xe9, 10.1.1.1");
        // A quote that the client opened. A proxy may quote by itself, and escape.
        for added in ["for=198.51.100.7", "for=\"[2001:db8::7]:80\"", "for=\"_a\\\"b\"", "for=\"_a\\\"b\";proto=https"]
        {
            for opened in
                ["for=1.2.3.4;x=\"", "for=1.2.3.4;x=a\"", "for=1.2.3.4;x=\"\\", "for=1.2.3.4;\"", "for=\"1.2.3.4"]
            {
                check_unknown("forwarded", format!("{opened}, {added}").as_bytes());
            }
        }
        // On a line of its own it harms nobody.
        let lines: [(&str, &[u8]); 2] = [("forwarded", b"for=1.2.3.4;x=\""), ("forwarded", b"for=198.51.100.7")];
        assert_eq!(found("10.0.0.1", &lines), client);
    }

    #[test]
    fn of_both_headers_x_forwarded_for_counts() {
        check("10.0.0.1", &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "198.51.100.7")], "198.51.100.7");
        assert_eq!(found("10.0.0.1", &[("forwarded", b"for=198.51.100.7"), ("x-forwarded-for", b"unknown")]), None);
    }
}
