//! The URL of an endpoint, whose path may have variables: `https://example.com/hooks/{event_type}`. Each stands for a whole segment and is
//! filled in, percent-encoded, for each delivery. What must hold: no value changes the path around it. So a value that is empty, `.` or `..`
//! fails the attempt: the first would make another path, and the others cannot be written as a segment at all.

use super::Invalid;
use crate::model::parse_url;
use std::fmt::Write as _;
use url::Url;

/// What can stand in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlVariable {
    /// The message's event type.
    EventType,
    /// The event's id.
    EventId,
    /// The delivery's id.
    DeliveryId,
    /// The source that the event came in by.
    Source,
    /// The route that made the delivery.
    Route,
    /// The message's ordering key.
    OrderingKey,
}

impl UrlVariable {
    const ALL: [Self; 6] =
        [Self::EventType, Self::EventId, Self::DeliveryId, Self::Source, Self::Route, Self::OrderingKey];

    /// As it stands in braces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventType => "event_type",
            Self::EventId => "event_id",
            Self::DeliveryId => "delivery_id",
            Self::Source => "source",
            Self::Route => "route",
            Self::OrderingKey => "ordering_key",
        }
    }
}

/// Where deliveries go.
#[derive(Clone, Debug)]
pub struct TargetUrl {
    text: String,
    is_https: bool,
    /// The URL and its segments, where there are variables.
    template: Option<(Url, Vec<Segment>)>,
}

#[derive(Clone, Debug)]
enum Segment {
    /// As the parser wrote it.
    Literal(String),
    Variable(UrlVariable),
}

/// A variable that cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint's URL has `{{{name}}}` in it, which this delivery cannot fill in: {why}")]
pub struct Unfilled {
    name: &'static str,
    why: &'static str,
}

impl TargetUrl {
    /// Reads a URL as an endpoint has it.
    ///
    /// # Errors
    /// Where it is none, or has braces that are not a variable of the path.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let url = parse_url(text).map_err(|error| Invalid::new("/url", error.to_string()))?;
        let (text, is_https) = (text.to_owned(), url.scheme() == "https");
        if !text.contains(['{', '}']) {
            return Ok(Self { text, is_https, template: None });
        }
        let elsewhere = [url.host_str(), url.query(), url.fragment()];
        if elsewhere.into_iter().flatten().any(|part| part.contains(['{', '}'])) {
            let message = "has braces outside of its path: variables stand in the path only; a brace itself is written %7B or %7D";
            return Err(Invalid::new("/url", message));
        }
        let segments = url.path().split('/').skip(1).map(segment).collect::<Result<_, _>>()?;
        Ok(Self { text, is_https, template: Some((url, segments)) })
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether it has any variable.
    #[must_use]
    pub const fn has_variables(&self) -> bool {
        self.template.is_some()
    }

    /// Whether it has this variable.
    #[must_use]
    pub fn has(&self, wanted: UrlVariable) -> bool {
        let segments = self.template.iter().flat_map(|(_, segments)| segments);
        segments.into_iter().any(|segment| matches!(segment, Segment::Variable(found) if *found == wanted))
    }

    /// The URL with every variable filled in.
    ///
    /// # Errors
    /// Where a value is empty, `.` or `..`.
    pub fn fill(&self, value: impl Fn(UrlVariable) -> String) -> Result<String, Unfilled> {
        let Some((url, segments)) = &self.template else { return Ok(self.text.clone()) };
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Variable(variable) => encode(*variable, &value(*variable), &mut path)?,
            }
        }
        let mut url = url.clone();
        url.set_path(&path);
        Ok(url.into())
    }
}

/// A segment as the parser gives it, which writes braces percent-encoded.
fn segment(text: &str) -> Result<Segment, Invalid> {
    let has_braces = text.contains("%7B") || text.contains("%7D");
    if !has_braces {
        return Ok(Segment::Literal(text.to_owned()));
    }
    let name = text.strip_prefix("%7B").and_then(|rest| rest.strip_suffix("%7D"));
    let known = name.and_then(|name| UrlVariable::ALL.into_iter().find(|variable| variable.name() == name));
    known.map(Segment::Variable).ok_or_else(|| {
        let names = UrlVariable::ALL.map(|variable| format!("{{{}}}", variable.name())).join(", ");
        let message = format!("has braces in its path that are no variable: one is a whole segment, as in `/hooks/{{event_type}}`, and is one of {names}");
        Invalid::new("/url", message)
    })
}

fn encode(variable: UrlVariable, value: &str, path: &mut String) -> Result<(), Unfilled> {
    let unfilled = |why| Unfilled { name: variable.name(), why };
    match value {
        "" => return Err(unfilled("it is empty")),
        "." | ".." => return Err(unfilled("it is `.` or `..`, which would lead elsewhere")),
        _ => {}
    }
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(url: &str, value: &str) -> Result<String, Unfilled> {
        TargetUrl::parse(url).unwrap().fill(|_| value.to_owned())
    }

    #[test]
    fn without_variables_it_stays_as_it_is_written() {
        for url in ["https://example.com", "HTTPS://Example.com/a%7Bb%7D?c=d"] {
            assert_eq!(filled(url, "x").unwrap(), url);
        }
    }

    #[test]
    fn a_value_is_one_segment_whatever_it_is() {
        let url = "https://example.com:8443/a/{event_type}/b?c=d%2F";
        let path = |value| {
            let url = Url::parse(&filled(url, value).unwrap()).unwrap();
            assert_eq!(
                (url.port(), url.query(), url.path_segments().unwrap().count()),
                (Some(8443), Some("c=d%2F"), 3)
            );
            url.path_segments().unwrap().nth(1).unwrap().to_owned()
        };
        assert_eq!(path("build.opened"), "build.opened");
        assert_eq!(path("../../admin"), "..%2F..%2Fadmin");
        assert_eq!(path("a/b\\c?d#e"), "a%2Fb%5Cc%3Fd%23e");
        assert_eq!(path("%2e%2e"), "%252e%252e");
        assert_eq!(path("..."), "...");
        assert_eq!(path("gr\u{fc}n {x}"), "gr%C3%BCn%20%7Bx%7D");
        assert_eq!(path("a\r\nhost: b"), "a%0D%0Ahost%3A%20b");
    }

    #[test]
    fn what_is_empty_or_leads_elsewhere_is_not_filled_in() {
        for value in ["", ".", ".."] {
            let error = filled("http://x/{ordering_key}", value).unwrap_err().to_string();
            assert!(error.contains("`{ordering_key}`"), "{error}");
        }
    }

    #[test]
    fn every_variable_has_its_place() {
        let names = UrlVariable::ALL.map(|variable| format!("/{{{}}}", variable.name())).concat();
        let url = TargetUrl::parse(&format!("http://x{names}")).unwrap();
        assert!(UrlVariable::ALL.into_iter().all(|variable| url.has(variable)));
        assert_eq!(
            url.fill(|variable| variable.name().to_owned()).unwrap(),
            format!("http://x{}", names.replace(['{', '}'], ""))
        );
        assert!(!TargetUrl::parse("http://x/{route}").unwrap().has(UrlVariable::Source));
    }

    #[test]
    fn other_braces_are_refused() {
        for url in [
            "http://x/{}",
            "http://x/{tenant}",
            "http://x/a{event_type}",
            "http://x/{event_type",
            "http://x/?t={event_type}",
            "http://x/#{event_type}",
            "http://{source}.example/",
            "http://x/{event_type}{event_id}",
            "http://x/{{event_type}}",
        ] {
            let error = TargetUrl::parse(url).unwrap_err();
            assert!(
                error.pointer == "/url" && (error.message.contains("braces") || url.contains("{source}.")),
                "{url}: {error}"
            );
        }
    }
}
