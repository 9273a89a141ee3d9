//! What a media type says about the bytes.

/// The media type without its parameters, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether it declares JSON: `*/json` or `*/*+json` (JSON format, section 3.1.1).
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence.split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

/// Whether it declares text that reads as UTF-8.
pub(crate) fn is_utf8_text(content_type: &str) -> bool {
    let essence = essence(content_type);
    let is_text = essence.starts_with("text/")
        || essence.ends_with("+xml")
        || ["application/xml", "application/x-www-form-urlencoded"].contains(&essence.as_str());
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    is_text && charset.is_none_or(|charset| charset == "utf-8" || charset == "us-ascii")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_say_what_they_declare() {
        for (content_type, json, text) in [
            ("application/json", true, false),
            ("Application/JSON; charset=utf-8", true, false),
            ("application/vnd.api+json", true, false),
            ("application/jsonlines", false, false),
            ("text/plain", false, true),
            ("text/csv; header=present; Charset=\"UTF-8\"", false, true),
            ("text/plain; charset=iso-8859-1", false, false),
            ("application/soap+xml; charset=utf-8", false, true),
            ("application/octet-stream", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_json(content_type), is_utf8_text(content_type)), (json, text), "{content_type}");
        }
    }
}
