//! Which addresses may be connected to: the globally routable ones, and what the operator allows besides. Pure.
//!
//! For IPv6 the rule is turned round: only `2000::/3` is global at all, so whatever else exists or will exist (loopback, mapped IPv4, NAT64,
//! unique local, link-local, multicast) is refused without being listed. What is within `2000::/3` and carries an IPv4 address to a tunnel's end
//! is refused whatever that address is. NAT64 under a prefix of a network's own looks like any other address: nobody but that network can tell it.

use crate::model::is_in_network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not connected to, in words that follow "is": none where it is globally routable.
#[must_use]
pub(super) fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

/// The IANA registry of special-purpose IPv4 addresses, less what it calls global, and one address that a cloud gives a meaning.
fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    const REFUSED: [([u8; 4], u8, &str); 17] = [
        ([0, 0, 0, 0], 8, "an address of this network (0.0.0.0/8)"),
        ([10, 0, 0, 0], 8, "a private address (10.0.0.0/8)"),
        ([100, 64, 0, 0], 10, "a carrier's private address (100.64.0.0/10)"),
        ([127, 0, 0, 0], 8, "a loopback address (127.0.0.0/8)"),
        ([168, 63, 129, 16], 32, "the platform address of a cloud (168.63.129.16)"),
        ([169, 254, 0, 0], 16, "a link-local address (169.254.0.0/16)"),
        ([172, 16, 0, 0], 12, "a private address (172.16.0.0/12)"),
        ([192, 0, 0, 0], 24, "a protocol assignment (192.0.0.0/24)"),
        ([192, 0, 2, 0], 24, "a documentation address (192.0.2.0/24)"),
        ([192, 88, 99, 0], 24, "a 6to4 relay (192.88.99.0/24)"),
        ([192, 168, 0, 0], 16, "a private address (192.168.0.0/16)"),
        ([198, 18, 0, 0], 15, "a benchmarking address (198.18.0.0/15)"),
        ([198, 51, 100, 0], 24, "a documentation address (198.51.100.0/24)"),
        ([203, 0, 113, 0], 24, "a documentation address (203.0.113.0/24)"),
        ([224, 0, 0, 0], 4, "a multicast address (224.0.0.0/4)"),
        ([255, 255, 255, 255], 32, "the broadcast address"),
        ([240, 0, 0, 0], 4, "a reserved address (240.0.0.0/4)"),
    ];
    let found =
        REFUSED.iter().find(|(base, prefix, _)| is_in_network(address.into(), Ipv4Addr::from(*base).into(), *prefix));
    found.map(|(_, _, why)| *why)
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    const fn v6(first: u16, second: u16) -> Ipv6Addr {
        Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)
    }
    // Named for the sake of the error; the last line refuses them anyway.
    const REFUSED: [(Ipv6Addr, u8, &str); 21] = [
        (Ipv6Addr::UNSPECIFIED, 128, "the unspecified address (::)"),
        (Ipv6Addr::LOCALHOST, 128, "the loopback address (::1)"),
        (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, "an IPv4 address in disguise (::ffff:0:0/96)"),
        (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, "an IPv4 address in disguise (::ffff:0:0:0/96)"),
        (v6(0, 0), 96, "an IPv4 address in disguise (::/96)"),
        (v6(0x64, 0xff9b), 96, "an IPv4 address behind NAT64 (64:ff9b::/96)"),
        (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "an IPv4 address behind a local NAT64 (64:ff9b:1::/48)"),
        (v6(0x64, 0xff9b), 32, "an address for translation (64:ff9b::/32)"),
        (v6(0x100, 0), 64, "an address whose packets are thrown away (100::/64)"),
        (v6(0x2001, 0), 32, "a Teredo tunnel (2001::/32)"),
        (v6(0x2001, 0x10), 28, "a hash that is no address (ORCHID, 2001:10::/28)"),
        (v6(0x2001, 0x20), 28, "a hash that is no address (ORCHIDv2, 2001:20::/28)"),
        (v6(0x2001, 0), 23, "a protocol assignment (2001::/23)"),
        (v6(0x2001, 0xdb8), 32, "a documentation address (2001:db8::/32)"),
        (v6(0x2002, 0), 16, "a 6to4 tunnel (2002::/16)"),
        (v6(0x3fff, 0), 20, "a documentation address (3fff::/20)"),
        (v6(0x5f00, 0), 16, "a segment of a route (SRv6, 5f00::/16)"),
        (v6(0xfc00, 0), 7, "a private address (fc00::/7)"),
        (v6(0xfe80, 0), 10, "a link-local address (fe80::/10)"),
        (v6(0xfec0, 0), 10, "a site-local address (fec0::/10)"),
        (v6(0xff00, 0), 8, "a multicast address (ff00::/8)"),
    ];
    let found = REFUSED.iter().find(|(base, prefix, _)| is_in_network(address.into(), (*base).into(), *prefix));
    let global = is_in_network(address.into(), v6(0x2000, 0).into(), 3);
    let found = found.map(|(_, _, why)| *why).or((!global).then_some("not a global address (2000::/3)"));
    found.or(is_isatap(address).then_some("an IPv4 address at the end of a tunnel (ISATAP)"))
}

/// Whether its interface identifier is ISATAP's (RFC 5214, section 6.1): `0:5efe` or `200:5efe` and an IPv4 address, under any prefix at all.
fn is_isatap(address: Ipv6Addr) -> bool {
    // The bits for "universal" and "group" may have either value.
    const EITHER: u16 = 0x0300;
    let [_, _, _, _, flags, owner, _, _] = address.segments();
    flags & !EITHER == 0 && owner == 0x5efe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(global: bool, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(refusal(text.parse().unwrap()).is_none(), global, "{text}");
        }
    }

    #[test]
    fn global_addresses_pass_up_to_the_edges_of_the_others() {
        check(
            true,
            &[
                "1.0.0.0",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "168.63.129.15",
                "168.63.129.17",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "191.255.255.255",
                "192.0.1.0",
                "192.0.3.0",
                "192.88.98.255",
                "192.88.100.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "198.51.99.255",
                "198.51.101.0",
                "203.0.112.255",
                "203.0.114.0",
                "223.255.255.255",
                "2000::",
                "2001:200::",
                "2001:4860:4860::8888",
                "2001:db7:ffff::",
                "2001:db9::",
                "2003::",
                "2606:4700::1111",
                "2606:4700::5eff:808:808",
                "2606:4700::400:5efe:808:808",
                "2606:4700::5efe:0:808:808",
                "3ffe:ffff::",
                "3fff:1000::",
            ],
        );
    }

    #[test]
    fn all_others_are_refused_from_edge_to_edge() {
        check(
            false,
            &[
                "0.0.0.0",
                "0.255.255.255",
                "10.0.0.0",
                "10.255.255.255",
                "100.64.0.0",
                "100.127.255.255",
                "127.0.0.1",
                "127.255.255.255",
                "168.63.129.16",
                "169.254.0.0",
                "169.254.169.254",
                "169.254.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "192.0.0.0",
                "192.0.0.255",
                "192.0.2.1",
                "192.88.99.1",
                "192.168.0.0",
                "192.168.255.255",
                "198.18.0.0",
                "198.19.255.255",
                "198.51.100.9",
                "203.0.113.9",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.0",
                "255.255.255.254",
                "255.255.255.255",
            ],
        );
        check(
            false,
            &[
                "::",
                "::1",
                "::2",
                "::127.0.0.1",
                "::8.8.8.8",
                "::ffff:127.0.0.1",
                "::ffff:8.8.8.8",
                "::ffff:0:127.0.0.1",
                "64:ff9b::7f00:1",
                "64:ff9b:1::1",
                "64:ff9b:1:ffff:ffff:ffff:7f00:1",
                "100::1",
                "100:0:0:1::1",
                "1fff:ffff::",
                "2001::1",
                "2001:0:808:808::",
                "2001:2::1",
                "2001:10::1",
                "2001:2f:ffff::",
                "2001:1ff:ffff::",
                "2606:4700::5efe:127.0.0.1",
                "2606:4700::200:5efe:10.0.0.1",
                "2606:4700::300:5efe:8.8.8.8",
                "2001:db8::1",
                "2002:7f00:1::",
                "2002:ffff::",
                "3fff::1",
                "3fff:fff:ffff::",
                "4000::",
                "5f00::1",
                "fc00::1",
                "fd00:ec2::254",
                "fdff::1",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "ff02::1",
                "ffff::",
            ],
        );
    }

    #[test]
    fn the_reason_names_the_network() {
        let why = |text: &str| refusal(text.parse().unwrap()).unwrap();
        assert_eq!(why("127.0.0.1"), "a loopback address (127.0.0.0/8)");
        assert_eq!(why("255.255.255.255"), "the broadcast address");
        assert_eq!(why("::ffff:10.0.0.1"), "an IPv4 address in disguise (::ffff:0:0/96)");
        assert_eq!(why("4000::1"), "not a global address (2000::/3)");
        assert_eq!(why("64:ff9b:1::a00:1"), "an IPv4 address behind a local NAT64 (64:ff9b:1::/48)");
        assert_eq!(why("2606:4700::200:5efe:a00:1"), "an IPv4 address at the end of a tunnel (ISATAP)");
        assert_eq!(why("2001:20::1"), "a hash that is no address (ORCHIDv2, 2001:20::/28)");
        assert_eq!(why("5f00::1"), "a segment of a route (SRv6, 5f00::/16)");
    }
}
