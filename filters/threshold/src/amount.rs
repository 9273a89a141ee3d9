//! Decimal numbers with six places, exact: a sum of cents is no float.

use std::fmt;

use hookswitch_guest::json::Decimal;

/// A number of millionths. Up to 10^24 millionths, a million of them add up without overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

const PLACES: u16 = 6;
const ONE: i128 = 1_000_000;
/// Below how many millionths a number that comes in has to be: 10^18.
const READ_MAX: u128 = 1_000_000_000_000_000_000_000_000;

impl Amount {
    /// One.
    pub const ONE: Self = Self(ONE);

    /// Reads a number in JSON's grammar. None if it has more than six decimals, is 10^18 or more, or is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_sum(text).filter(|amount| amount.0.unsigned_abs() < READ_MAX)
    }

    /// Reads what was added up: as [`Amount::parse`], but of any size that there is.
    #[must_use]
    pub fn parse_sum(text: &str) -> Option<Self> {
        Decimal::parse(text)?.scaled(PLACES).map(Self)
    }

    /// The sum, or the largest or smallest there is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// As [`Amount::parse_sum`] reads it, without zeros at the end.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let (sign, magnitude) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let one = ONE.unsigned_abs();
        let fraction = format!("{:06}", magnitude % one);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(out, "{sign}{}{point}{fraction}", magnitude / one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        for (text, shown) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("12.50", "12.5"),
            ("0.000001", "0.000001"),
            ("-3.14", "-3.14"),
            ("1e3", "1000"),
            ("1.5E+2", "150"),
            ("2500e-2", "25"),
            ("10.1000000", "10.1"),
            ("9007199254740993", "9007199254740993"),
            ("999999999999999999.999999", "999999999999999999.999999"),
            ("0e999999999", "0"),
        ] {
            assert_eq!(Amount::parse(text).map(|amount| amount.to_string()).as_deref(), Some(shown), "{text}");
        }
        let tenths = (0..10).fold(Amount::default(), |sum, _| sum.plus(Amount::parse("0.1").unwrap()));
        assert_eq!(tenths, Amount::ONE);
        assert!(Amount::parse("0.1").unwrap() > Amount::parse("-7").unwrap());
    }

    #[test]
    fn sums_read_back_whatever_their_size() {
        let most = Amount::parse("999999999999999999").unwrap();
        for sum in [most.plus(most), Amount(i128::MAX), Amount(i128::MAX).plus(Amount::ONE), Amount(-i128::MAX)] {
            assert_eq!(Amount::parse_sum(&sum.to_string()), Some(sum));
            assert_eq!(Amount::parse(&sum.to_string()), None, "{sum} is too large to come in");
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        for text in [
            "",
            "-",
            "1.2.3",
            "0.0000001",
            "1e18",
            "1000000000000000000",
            "1e-7",
            "1e999999999999",
            "1e999999999",
            "007",
            "5.",
            ".5",
            "+1",
            "1e",
            "x",
            "NaN",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }
}
