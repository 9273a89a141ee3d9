//! How the commands say numbers.

/// A size: exact where it is small.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => in_units(bytes, 1024, "KiB"),
        _ => in_units(bytes, 1_048_576, "MiB"),
    }
}

fn in_units(bytes: usize, unit: usize, name: &str) -> String {
    let tenths = bytes.saturating_mul(10) / unit;
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        rest => format!("{}.{rest} {name}", tenths / 10),
    }
}

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 fixture`, `2 fixtures`.
pub(super) fn plural(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// The beginning of a text, at most 300 characters.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A text with what a terminal would obey written out.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    shown
}

/// Microseconds as milliseconds, to a hundredth.
pub(super) fn milliseconds(us: u64) -> String {
    let hundredths = us / 10;
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_rounded_up() {
        assert_eq!([size(1023), size(1024), size(1_179_648)], ["1023 bytes", "1 KiB", "1.1 MiB"]);
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([plural(1, "file"), plural(2, "file")], ["1 file", "2 files"]);
        assert_eq!((shortened("ab").as_str(), shortened(&"x".repeat(301)).len()), ("ab", 303));
        assert_eq!(visible("\"ä\"\n\u{1b}[31m"), "\"ä\"\\n\\u{1b}[31m");
        assert_eq!([milliseconds(9), milliseconds(12_345)], ["0.00 ms", "12.34 ms"]);
    }
}
