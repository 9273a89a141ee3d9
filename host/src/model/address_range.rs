//! A range of IP addresses, as people write it: `10.0.0.0/8`, `fd00::/8`, or one address alone. What bounds who may send and where deliveries
//! go is written with it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits. One spelling for each: the address is the range's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    first: IpAddr,
    prefix_bits: u8,
}

/// A text that is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no range of addresses: {why}. Write `10.1.2.3`, `10.0.0.0/8`, `::1` or `fd00::/8`")]
pub struct InvalidAddressRange {
    given: String,
    /// What is wrong with it, in words that follow its text and a colon.
    pub why: String,
}

impl AddressRange {
    /// Whether the address is in it. Addresses of the other family never are.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        is_in_network(address, self.first, self.prefix_bits)
    }

    /// Whether it is of IPv4 addresses.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }
}

/// Whether `address` is in the network `base/prefix_bits`. Addresses of the other family never are.
#[must_use]
pub fn is_in_network(address: IpAddr, base: IpAddr, prefix_bits: u8) -> bool {
    address.is_ipv4() == base.is_ipv4() && first_of(address, prefix_bits) == first_of(base, prefix_bits)
}

fn first_of(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl FromStr for AddressRange {
    type Err = InvalidAddressRange;
    fn from_str(text: &str) -> Result<Self, InvalidAddressRange> {
        let wrong = |why: String| InvalidAddressRange { given: text.chars().take(80).collect(), why };
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let base: IpAddr =
            address.parse().map_err(|_| wrong(format!("`{address}` is not an IP address; names cannot be allowed")))?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => longest,
            Some(prefix) => match prefix.parse::<u8>() {
                Ok(bits) if bits <= longest => bits,
                _ => return Err(wrong(format!("`/{prefix}` is not a prefix from /0 to /{longest}"))),
            },
        };
        let first = first_of(base, prefix_bits);
        if first != base {
            let says = format!("{base} is inside that network, which begins at {first}: write `{first}/{prefix_bits}`");
            return Err(wrong(says));
        }
        Ok(Self { first, prefix_bits })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_one = self.prefix_bits == if self.first.is_ipv4() { 32 } else { 128 };
        if is_one { write!(f, "{}", self.first) } else { write!(f, "{}/{}", self.first, self.prefix_bits) }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = InvalidAddressRange;
    fn try_from(text: String) -> Result<Self, InvalidAddressRange> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
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
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("0:0::1", "::1"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
        ] {
            let range: AddressRange = given.parse().unwrap();
            assert_eq!(range.to_string(), spelling);
            assert_eq!(spelling.parse(), Ok(range), "{spelling}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (given, why) in [
            ("localhost", "`localhost` is not an IP address; names cannot be allowed"),
            ("", "is not an IP address"),
            ("[::1]", "is not an IP address"),
            ("127.0.0.1:80", "is not an IP address"),
            ("127.0.0.1/8", "127.0.0.1 is inside that network, which begins at 127.0.0.0: write `127.0.0.0/8`"),
            ("10.0.0.0/33", "`/33` is not a prefix from /0 to /32"),
            ("::1/129", "`/129` is not a prefix from /0 to /128"),
            ("10.0.0.0/-1", "is not a prefix"),
        ] {
            let error = given.parse::<AddressRange>().unwrap_err().to_string();
            assert!(error.contains(why), "{given}: {error}");
        }
    }

    #[test]
    fn a_range_has_edges() {
        let within =
            |address: &str, range: &str| range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap());
        assert!(within("1.2.3.4", "0.0.0.0/0") && within("::1", "::/0"));
        assert!(within("1.2.3.4", "1.2.3.4") && !within("1.2.3.5", "1.2.3.4"));
        assert!(within("::1", "::1") && !within("::2", "::1"));
        assert!(within("10.255.255.255", "10.0.0.0/8") && !within("11.0.0.0", "10.0.0.0/8"));
        assert!(!within("9.255.255.255", "10.0.0.0/8"));
        assert!(!within("::", "0.0.0.0/0") && !within("0.0.0.0", "::/0"), "families do not mix");
        assert!(!within("::ffff:127.0.0.1", "127.0.0.0/8"), "a mapped address is another one");
    }
}
