//! Decimal numbers with six places, exact: a sum of cents is no float.

use std::fmt;

/// A number of millionths. Up to 10^24 millionths, a million of them add up without overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

const PLACES: usize = 6;
const ONE: i128 = 1_000_000;
/// The most digits a number may have, its six places included.
const DIGITS_MAX: usize = 24;

impl Amount {
    /// One.
    pub const ONE: Self = Self(ONE);

    /// Reads a number in JSON's grammar. None if it has more than six decimals, is 10^18 or more, or is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, magnitude) = text.strip_prefix('-').map_or((false, text), |magnitude| (true, magnitude));
        let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (magnitude, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self(0));
        }
        let trailing = digits.len().saturating_sub(digits.trim_end_matches('0').len());
        // How many zeros stand between the last significant digit and the place of the millionths.
        let zeros = i64::from(exponent) + i64::try_from(trailing).ok()? + i64::try_from(PLACES).ok()?
            - i64::try_from(fraction.len()).ok()?;
        let zeros = usize::try_from(zeros).ok()?;
        if significant.len().saturating_add(zeros) > DIGITS_MAX {
            return None;
        }
        let millionths: i128 = format!("{significant}{}", "0".repeat(zeros)).parse().ok()?;
        Some(Self(if negative { -millionths } else { millionths }))
    }

    /// The sum, or the largest or smallest there is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// As [`Amount::parse`] reads it, without zeros at the end.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let (sign, magnitude) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let one = ONE.unsigned_abs();
        let fraction = format!("{:0PLACES$}", magnitude % one);
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
            "x",
            "NaN",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }
}
