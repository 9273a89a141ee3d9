//! Numbers as JSON writes them, compared exactly: ids beyond 2^53 and amounts with cents do not go through a float.

use std::cmp::Ordering;
use std::fmt;

/// A decimal number. Its value is `0.DIGITS × 10^point`.
#[derive(Debug, Clone)]
pub struct Decimal {
    text: String,
    negative: bool,
    /// Neither begins nor ends with a zero; empty for zero.
    digits: String,
    point: i64,
}

impl Decimal {
    /// Reads a number in JSON's grammar. An exponent beyond 64 bits counts as the largest there is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, text),
        };
        let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (magnitude, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let zeros = all.len().saturating_sub(significant.len());
        let places = i64::try_from(whole.len()).ok()?.saturating_sub(i64::try_from(zeros).ok()?);
        let digits = significant.trim_end_matches('0').to_owned();
        let is_zero = digits.is_empty();
        Some(Self {
            text: text.to_owned(),
            negative: negative && !is_zero,
            digits,
            point: if is_zero { 0 } else { exponent.saturating_add(places) },
        })
    }

    /// The number of units of `10^-places` in it; none if it is not a whole number of them, or beyond 128 bits.
    #[must_use]
    pub fn scaled(&self, places: u16) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let length = i64::try_from(self.digits.len()).ok()?;
        let zeros = u32::try_from(self.point.saturating_add(i64::from(places)).saturating_sub(length)).ok()?;
        let magnitude = self.digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros)?)?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    fn compare_magnitudes(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !is_digits(digits) {
        return None;
    }
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_magnitudes(other),
            (true, true) => other.compare_magnitudes(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    /// Each is less than the next.
    #[test]
    fn order_is_exact() {
        let ascending = [
            "-1e999999999999999999999",
            "-18446744073709551617",
            "-18446744073709551616",
            "-1.5",
            "-1",
            "-0.1",
            "-1e-9",
            "0",
            "1e-999999999999999999999",
            "0.00999",
            "0.01",
            "0.1",
            "1",
            "1.0000000000000000000001",
            "2",
            "10",
            "12",
            "100",
            "9007199254740992",
            "9007199254740993",
            "1e400",
            "1e401",
        ];
        for (place, one) in ascending.iter().enumerate() {
            for (other_place, other) in ascending.iter().enumerate() {
                assert_eq!(decimal(one).cmp(&decimal(other)), place.cmp(&other_place), "{one} and {other}");
            }
        }
    }

    #[test]
    fn the_same_number_may_be_written_in_many_ways() {
        for (one, other) in [("1", "1.0"), ("1", "10e-1"), ("0", "-0.0e7"), ("1500", "1.5E+3"), ("0.002", "2e-3")] {
            assert_eq!(decimal(one), decimal(other), "{one} and {other}");
        }
    }

    #[test]
    fn a_number_scales_to_units_where_it_is_whole_ones_and_fits() {
        let most = i128::MAX.to_string();
        for (text, places, units) in [
            ("12.50", 2, Some(1_250)),
            ("-3.14", 6, Some(-3_140_000)),
            ("25e-1", 0, None),
            ("2500e-2", 0, Some(25)),
            ("0.001", 2, None),
            ("-0e99", 0, Some(0)),
            (&most, 0, Some(i128::MAX)),
            (&most, 1, None),
            ("1e-9223372036854775808", u16::MAX, None),
            ("1e9223372036854775807", u16::MAX, None),
        ] {
            assert_eq!(decimal(text).scaled(places), units, "{text} with {places} places");
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_none() {
        for text in ["", "-", "+1", "01", ".5", "1.", "1e", "1e+", "0x1", "1 ", "NaN", "1.2.3"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }
}
