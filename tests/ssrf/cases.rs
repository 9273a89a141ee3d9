//! What is tried: URLs as a tenant would write them, and what has to become of each.

use super::dns::Dns;
use super::spellings;

/// How a URL is given to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As an endpoint's, and an event is routed to it.
    Delivery,
    /// As an endpoint's, which is then tested.
    Test,
    /// As an endpoint's that wants a handshake.
    Handshake,
    /// As an endpoint's whose receiver has to repeat a challenge.
    Verification,
    /// As an endpoint's `auth.token_url`.
    Token,
}

impl Way {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Test => "test",
            Self::Handshake => "handshake",
            Self::Verification => "verification",
            Self::Token => "token",
        }
    }
}

/// What has to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The host does not take the configuration, and says this.
    Put(&'static str),
    /// The attempt fails with this code, and says this.
    Attempt(&'static str, &'static str),
    /// It gets to the receiver that may be reached.
    Delivered,
}

/// One thing that is tried. `{p}` in a URL is a port on which a canary listens, `{q}` the one of the receiver that may be reached, at 127.0.0.2 alone.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) way: Way,
    pub(crate) url: String,
    pub(crate) fate: Fate,
}

/// Refused for the address.
const fn refused(why: &'static str) -> Fate {
    Fate::Attempt("address_refused", why)
}

/// Every case by one URL.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |way, url: String, fate| cases.push(Case { way, url, fate });
    for (host, why) in ADDRESSES {
        add(Way::Delivery, format!("http://{host}:{{p}}/"), refused(why));
    }
    for (host, why) in spellings::HOSTS.iter().chain(NAMES) {
        add(Way::Delivery, format!("http://{host}:{{p}}/"), refused(why));
    }
    for (url, why) in spellings::URLS {
        add(Way::Delivery, (*url).to_owned(), refused(why));
    }
    for (url, name) in spellings::ELSEWHERE {
        add(Way::Delivery, (*url).to_owned(), Fate::Attempt("dns", name));
    }
    for (url, why) in spellings::NOT_TAKEN {
        add(Way::Delivery, (*url).to_owned(), Fate::Put(why));
    }
    for (host, why) in ELSEWHERE {
        let url = format!("http://{host}:{{p}}/");
        add(Way::Test, url.clone(), refused(why));
        add(Way::Token, url.clone(), Fate::Attempt("token", why));
        add(Way::Handshake, url.clone(), Fate::Attempt("handshake", why));
        add(Way::Verification, url.clone(), Fate::Attempt("verification", why));
        add(Way::Delivery, url.replace("http://", "https://"), refused(why));
    }
    cases
}

pub(crate) const LOOPBACK: &str = "a loopback address (127.0.0.0/8)";
const DISGUISE: &str = "an IPv4 address in disguise";
const ISATAP: &str = "an IPv4 address at the end of a tunnel (ISATAP)";

/// Addresses as they are usually written.
const ADDRESSES: &[(&str, &str)] = &[
    ("127.0.0.1", LOOPBACK),
    ("127.0.0.3", LOOPBACK),
    ("127.1.2.3", LOOPBACK),
    ("127.255.255.254", LOOPBACK),
    ("0.0.0.0", "an address of this network (0.0.0.0/8)"),
    ("0.1.2.3", "an address of this network (0.0.0.0/8)"),
    ("10.0.0.1", "a private address (10.0.0.0/8)"),
    ("10.255.255.254", "a private address (10.0.0.0/8)"),
    ("172.16.0.1", "a private address (172.16.0.0/12)"),
    ("172.31.255.254", "a private address (172.16.0.0/12)"),
    ("192.168.0.1", "a private address (192.168.0.0/16)"),
    ("192.168.255.254", "a private address (192.168.0.0/16)"),
    ("169.254.0.1", "a link-local address (169.254.0.0/16)"),
    ("169.254.169.254", "a link-local address (169.254.0.0/16)"),
    ("169.254.170.2", "a link-local address (169.254.0.0/16)"),
    ("100.64.0.1", "a carrier's private address (100.64.0.0/10)"),
    ("100.100.100.200", "a carrier's private address (100.64.0.0/10)"),
    ("100.127.255.254", "a carrier's private address (100.64.0.0/10)"),
    ("168.63.129.16", "the platform address of a cloud (168.63.129.16)"),
    ("192.0.0.1", "a protocol assignment (192.0.0.0/24)"),
    ("192.0.0.192", "a protocol assignment (192.0.0.0/24)"),
    ("192.0.2.1", "a documentation address (192.0.2.0/24)"),
    ("192.88.99.1", "a 6to4 relay (192.88.99.0/24)"),
    ("198.18.0.1", "a benchmarking address (198.18.0.0/15)"),
    ("198.19.255.254", "a benchmarking address (198.18.0.0/15)"),
    ("198.51.100.1", "a documentation address (198.51.100.0/24)"),
    ("203.0.113.1", "a documentation address (203.0.113.0/24)"),
    ("224.0.0.1", "a multicast address (224.0.0.0/4)"),
    ("239.255.255.250", "a multicast address (224.0.0.0/4)"),
    ("240.0.0.1", "a reserved address (240.0.0.0/4)"),
    ("255.255.255.255", "the broadcast address"),
    ("[::]", "the unspecified address (::)"),
    ("[::1]", "the loopback address (::1)"),
    ("[::ffff:127.0.0.1]", DISGUISE),
    ("[::ffff:7f00:1]", DISGUISE),
    ("[::ffff:10.0.0.1]", DISGUISE),
    ("[::ffff:169.254.169.254]", DISGUISE),
    ("[::ffff:8.8.8.8]", DISGUISE),
    ("[::127.0.0.1]", DISGUISE),
    ("[::ffff:0:127.0.0.1]", DISGUISE),
    ("[64:ff9b::127.0.0.1]", "an IPv4 address behind NAT64 (64:ff9b::/96)"),
    ("[64:ff9b::a9fe:a9fe]", "an IPv4 address behind NAT64 (64:ff9b::/96)"),
    ("[64:ff9b:1::10.0.0.1]", "an IPv4 address behind a local NAT64 (64:ff9b:1::/48)"),
    ("[2001::1]", "a Teredo tunnel (2001::/32)"),
    // Teredo has the client's address with every bit turned: this one is 127.0.0.1.
    ("[2001:0:4136:e378:8000:63bf:80ff:fffe]", "a Teredo tunnel (2001::/32)"),
    ("[2002:7f00:1::1]", "a 6to4 tunnel (2002::/16)"),
    ("[2002:a00:1::1]", "a 6to4 tunnel (2002::/16)"),
    ("[2002:a9fe:a9fe::]", "a 6to4 tunnel (2002::/16)"),
    ("[2606:4700::5efe:127.0.0.1]", ISATAP),
    ("[2606:4700::200:5efe:10.0.0.1]", ISATAP),
    ("[fc00::1]", "a private address (fc00::/7)"),
    ("[fd00:ec2::254]", "a private address (fc00::/7)"),
    ("[fd20:ce::254]", "a private address (fc00::/7)"),
    ("[fe80::1]", "a link-local address (fe80::/10)"),
    ("[fe80::5efe:10.0.0.1]", "a link-local address (fe80::/10)"),
    ("[fec0::1]", "a site-local address (fec0::/10)"),
    ("[ff02::1]", "a multicast address (ff00::/8)"),
    ("[ff0e::1]", "a multicast address (ff00::/8)"),
    ("[100::1]", "an address whose packets are thrown away (100::/64)"),
    ("[2001:2::1]", "a protocol assignment (2001::/23)"),
    ("[2001:10::1]", "a hash that is no address (ORCHID, 2001:10::/28)"),
    ("[2001:20::1]", "a hash that is no address (ORCHIDv2, 2001:20::/28)"),
    ("[2001:db8::1]", "a documentation address (2001:db8::/32)"),
    ("[3fff::1]", "a documentation address (3fff::/20)"),
    ("[5f00::1]", "a segment of a route (SRv6, 5f00::/16)"),
    ("[4000::1]", "not a global address (2000::/3)"),
];

/// Hosts that are tried by every way.
const ELSEWHERE: &[(&str, &str)] = &[
    ("127.0.0.1", LOOPBACK),
    ("127.1", LOOPBACK),
    ("2130706433", LOOPBACK),
    ("localhost", LOOPBACK),
    ("loop.example", LOOPBACK),
    ("10.0.0.1", "a private address (10.0.0.0/8)"),
    ("169.254.169.254", "a link-local address (169.254.0.0/16)"),
    ("metadata.google.internal", "a link-local address (169.254.0.0/16)"),
    ("[::1]", "the loopback address (::1)"),
    ("[::ffff:127.0.0.1]", DISGUISE),
    ("[fd00:ec2::254]", "a private address (fc00::/7)"),
    ("[2002:7f00:1::1]", "a 6to4 tunnel (2002::/16)"),
];

/// Names with addresses that may not be reached, and those addresses.
const NAMES: &[(&str, &str)] = &[
    ("loop.example", LOOPBACK),
    ("loop.example.", LOOPBACK),
    ("LOOP.Example", LOOPBACK),
    ("127.0.0.1.ip.example", LOOPBACK),
    ("b\u{fc}cher.example", LOOPBACK),
    ("zero.example", "an address of this network (0.0.0.0/8)"),
    ("metadata", "a link-local address (169.254.0.0/16)"),
    ("metadata.google.internal", "a link-local address (169.254.0.0/16)"),
    ("instance-data", "a link-local address (169.254.0.0/16)"),
    ("kubernetes.default.svc", "a private address (10.0.0.0/8)"),
    ("host.docker.internal", "a private address (192.168.0.0/16)"),
    ("loop6.example", "the loopback address (::1)"),
    ("metadata6.example", "a private address (fc00::/7)"),
    ("mapped.example", DISGUISE),
    ("compatible.example", DISGUISE),
    ("nat64.example", "an IPv4 address behind NAT64 (64:ff9b::/96)"),
    ("6to4.example", "a 6to4 tunnel (2002::/16)"),
    ("isatap.example", ISATAP),
    ("many.example", "a private address (10.0.0.0/8)"),
    ("both.example", "loopback address"),
    ("alias.example", LOOPBACK),
    ("alias-of-alias.example", LOOPBACK),
    ("to-localhost.example", LOOPBACK),
    ("to-metadata.example", "a link-local address (169.254.0.0/16)"),
];

/// Has the name server know these names.
pub(crate) fn tell(dns: &Dns) {
    let names: &[(&str, &[&str])] = &[
        ("localhost", &["127.0.0.1"]),
        ("loop.example", &["127.0.0.1"]),
        ("127.0.0.1.ip.example", &["127.0.0.1"]),
        ("xn--bcher-kva.example", &["127.0.0.1"]),
        ("zero.example", &["0.0.0.0"]),
        ("metadata", &["169.254.169.254"]),
        ("metadata.google.internal", &["169.254.169.254"]),
        ("instance-data", &["169.254.169.254"]),
        ("kubernetes.default.svc", &["10.96.0.1"]),
        ("host.docker.internal", &["192.168.65.254"]),
        ("loop6.example", &["::1"]),
        ("metadata6.example", &["fd00:ec2::254"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("compatible.example", &["::127.0.0.1"]),
        ("nat64.example", &["64:ff9b::127.0.0.1"]),
        ("6to4.example", &["2002:7f00:1::1"]),
        ("isatap.example", &["2606:4700::5efe:127.0.0.1"]),
        ("many.example", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("both.example", &["127.0.0.1", "::1"]),
        ("empty.example", &[]),
    ];
    for (name, addresses) in names {
        dns.name(name, addresses);
    }
    for (name, other) in [
        ("alias.example", "loop.example"),
        ("alias-of-alias.example", "alias.example"),
        ("to-localhost.example", "localhost"),
        ("to-metadata.example", "metadata.google.internal"),
        ("round.example", "round.example"),
    ] {
        dns.alias(name, other);
    }
}
