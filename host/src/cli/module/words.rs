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
        assert_eq!([milliseconds(9), milliseconds(12_345)], ["0.00 ms", "12.34 ms"]);
    }
}
