//! Times and URIs, as far as it takes to keep what a payload has by mistake out of an attribute.

/// Checks a value that the settings give an attribute, beyond what is asked of those that were received.
pub(crate) fn check(name: &str, text: &str) -> Result<(), String> {
    match name {
        "time" if !is_time(text) => Err(format!("`time` is not a time like 2018-04-05T17:31:00Z, but {text:?}")),
        "source" | "dataschema" if !is_uri_reference(text) => Err(format!("`{name}` is no URI: {text:?}")),
        _ => Ok(()),
    }
}

/// Whether it has the form of an RFC 3339 time: `2018-04-05T17:31:00.123Z`.
fn is_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_once(['T', 't']) else { return false };
    let Some((clock, zone)) = rest.split_at_checked(8) else { return false };
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|char: char| char.is_ascii_digit());
            if zone.len() == fraction.len() { return false } else { zone }
        }
        None => zone,
    };
    let is_offset = || zone.strip_prefix(['+', '-']).is_some_and(|offset| has_form(offset, "00:00"));
    has_form(date, "0000-00-00") && has_form(clock, "00:00:00") && (matches!(zone, "Z" | "z") || is_offset())
}

/// Whether the text is like the form, in which `0` stands for any digit.
fn has_form(text: &str, form: &str) -> bool {
    let fits = |(char, wanted): (char, char)| if wanted == '0' { char.is_ascii_digit() } else { char == wanted };
    text.len() == form.len() && text.chars().zip(form.chars()).all(fits)
}

/// Whether it has only characters that a URI reference may have (RFC 3986, section 2).
fn is_uri_reference(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_form() {
        for text in [
            "2018-04-05T17:31:00Z",
            "2018-04-05t17:31:00.123456789z",
            "1985-04-12T23:20:50.52+01:00",
            "2018-04-05T17:31:00-08:00",
        ] {
            assert!(is_time(text), "{text}");
        }
        for text in [
            "",
            "2018-04-05",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31:00",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31Z",
            "1522949460",
            "2018-04-05T17:31:00+0100",
            "2018-04-05T17:31:0é",
        ] {
            assert!(!is_time(text), "{text}");
        }
    }

    #[test]
    fn uris_have_their_characters() {
        for text in ["/acme/shop", "https://example.com/a?b=c#d", "urn:uuid:6e8bc430", "1-555-123-4567", "%20"] {
            assert!(is_uri_reference(text), "{text}");
        }
        for text in ["", "a b", "é", "<a>", "a\nb"] {
            assert!(!is_uri_reference(text), "{text}");
        }
    }
}
