//! Binary mode: attributes as `ce-*` headers, data as the body (HTTP binding, section 3.1).

use std::borrow::Cow;
use std::fmt::Write;

use hookswitch_guest::json::Json;
use hookswitch_guest::{Event, Failure, Header, Message};

use crate::event::{CloudEvent, Data, invalid};

const PREFIX: &str = "ce-";

/// The headers that make the message an event in binary mode: its own, where a step before set them, or those that were received.
/// None if it is none.
pub(crate) fn headers<'a>(event: &'a Event, message: &'a Message) -> Option<&'a [Header]> {
    match (message.header("ce-specversion"), event.header("ce-specversion")) {
        (Some(_), _) => Some(&message.headers),
        (None, Some(_)) => Some(&event.headers),
        (None, None) => None,
    }
}

/// Reads an event.
pub(crate) fn read<'a>(headers: &[Header], message: &'a Message) -> Result<CloudEvent<'a>, Failure> {
    let mut event = CloudEvent::new(data(message));
    for header in headers {
        let Some(name) = attribute(&header.name) else { continue };
        if name == "datacontenttype" {
            return Err(invalid("there is a header `ce-datacontenttype`; in binary mode `content-type` says it"));
        }
        let value =
            decode(&header.value).ok_or_else(|| invalid(format!("`ce-{name}` is not percent-encoded UTF-8")))?;
        event.read(&name, Json::string(value))?;
    }
    if !message.content_type.is_empty() {
        event.set("datacontenttype", &message.content_type);
    }
    event.check()?;
    Ok(event)
}

/// The message's body; an empty one is no data.
pub(crate) fn data(message: &Message) -> Data<'_> {
    if message.body.is_empty() { Data::Absent } else { Data::Bytes(Cow::Borrowed(&message.body)) }
}

/// The headers of a message, without those of an event.
pub(crate) fn other_headers(message: &Message) -> Vec<Header> {
    message.headers.iter().filter(|header| attribute(&header.name).is_none()).cloned().collect()
}

/// The headers of an event.
pub(crate) fn write(event: &CloudEvent) -> Result<Vec<Header>, Failure> {
    let attributes = event.texts()?.into_iter().filter(|(name, _)| *name != "datacontenttype");
    Ok(attributes.map(|(name, text)| Header { name: format!("{PREFIX}{name}"), value: encode(&text) }).collect())
}

/// The attribute that a header is about.
fn attribute(header: &str) -> Option<String> {
    let name = header.to_ascii_lowercase();
    name.strip_prefix(PREFIX).map(str::to_owned)
}

/// Section 3.1.3.2: a space, `"`, `%` and what is not printable ASCII are percent-encoded, as UTF-8.
fn encode(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            value.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

/// The same section: quotes are taken off first, then one round of percent-decoding. A `%` without two hex digits after it stands for
/// itself: senders of before that rule wrote it so.
fn decode(value: &str) -> Option<String> {
    let unquoted = unquote(value);
    let mut bytes = Vec::with_capacity(unquoted.len());
    let mut rest = unquoted.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|hex| *byte == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let decoded =
            hex.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(*byte));
        rest = if decoded.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(bytes).ok()
}

/// RFC 7230, section 3.2.6: a quoted string, and what is escaped in it.
fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        plain.push(if char == '\\' { chars.next().unwrap_or('\\') } else { char });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of section 3.1.3.2, and what it says of decoding.
    #[test]
    fn values_are_encoded_as_the_binding_says() {
        assert_eq!(encode("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encode("a\"b%c/~!"), "a%22b%25c/~!");
        for (value, text) in [
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", Some("Euro € 😀")),
            ("%e2%82%ac%41", Some("€A")),
            (r#""a \"b\" \\ %20c""#, Some(r#"a "b" \  c"#)),
            ("\"", Some("\"")),
            ("100% sure %", Some("100% sure %")),
            ("%2541", Some("%41")),
            ("%C0%A0", None),
            ("%ff", None),
        ] {
            assert_eq!(decode(value).as_deref(), text, "{value}");
        }
    }
}
