//! The URL of an endpoint, whose path may name facts of a delivery: `https://host/hooks/{event_type}`.
//!
//! What must hold: a fact fills one segment of the path, or a part of one, and nothing else. It is percent-encoded, so that it brings no
//! slash, no query and no fragment; and one that would make a segment `.` or `..` is refused, since those walk through the path.

use super::Delivery;
use super::url::{InvalidUrl, parse_url};

/// A URL as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact(&'static str),
}

/// The facts that a path may name.
const FACTS: [&str; 4] = ["event_type", "ordering_key", "route", "delivery"];

/// Why a delivery has no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// It has no such fact.
    #[error("the delivery has no `{0}`, which the endpoint's URL names")]
    Missing(&'static str),
    /// A segment would be `.` or `..`.
    #[error("a fact of the delivery makes a segment of the endpoint's URL `.` or `..`, which is none")]
    Dots,
}

impl UrlTemplate {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is no URL that can be sent to, or its path names what is no fact.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let (before, path, after) = split(text);
        if before.contains('{') {
            return Err(InvalidUrl::new("has a brace before its path, which alone may name facts".to_owned()));
        }
        let mut pieces = vec![Piece::Text(before.to_owned())];
        let mut rest = path;
        while let Some((plain, tail)) = rest.split_once('{') {
            let named = tail.split_once('}').and_then(|(name, tail)| Some((fact(name)?, tail)));
            let Some((name, tail)) = named else {
                let facts = FACTS.join("}, {");
                return Err(InvalidUrl::new(format!("has a brace in its path that begins none of {{{facts}}}")));
            };
            pieces.extend([Piece::Text(plain.to_owned()), Piece::Fact(name)]);
            rest = tail;
        }
        pieces.push(Piece::Text(format!("{rest}{after}")));
        let template = Self { pieces };
        parse_url(&template.with(|_| Some("x".to_owned())).unwrap_or_default())?;
        Ok(template)
    }

    /// The URL for a delivery.
    ///
    /// # Errors
    /// Where the delivery lacks a fact, or has one that is no part of a path.
    pub fn fill(&self, delivery: &Delivery) -> Result<String, Unfilled> {
        let url = self.with(|name| match name {
            "event_type" => Some(delivery.event_type.clone()),
            "ordering_key" => delivery.ordering_key.clone(),
            "route" => Some(delivery.route.to_string()),
            _ => Some(delivery.id.to_string()),
        })?;
        // A path without facts is what its owner wrote.
        let names_facts = self.pieces.iter().any(|piece| matches!(piece, Piece::Fact(_)));
        let walks = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if names_facts && split(&url).1.split('/').any(walks) { Err(Unfilled::Dots) } else { Ok(url) }
    }

    fn with(&self, value_of: impl Fn(&'static str) -> Option<String>) -> Result<String, Unfilled> {
        let mut url = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Fact(name) => {
                    let value = value_of(name).filter(|value| !value.is_empty()).ok_or(Unfilled::Missing(name))?;
                    encode_into(&mut url, &value);
                }
            }
        }
        Ok(url)
    }
}

fn fact(name: &str) -> Option<&'static str> {
    FACTS.into_iter().find(|fact| *fact == name)
}

/// What stands before the path, the path, and what stands behind it.
fn split(text: &str) -> (&str, &str, &str) {
    let host = text.find("://").map_or(0, |at| at + 3);
    let ends = |character: char| matches!(character, '/' | '?' | '#');
    let path = text.get(host..).and_then(|rest| rest.find(ends)).map_or(text.len(), |at| host + at);
    let (before, rest) = text.split_at(path);
    let (path, after) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    (before, path, after)
}

/// Percent-encodes all but what RFC 3986 calls unreserved.
fn encode_into(url: &mut String, text: &str) {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            url.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BodyRef, DeliveryId, DeliveryStatus, EventId, RunId};

    fn delivery(event_type: &str, ordering_key: Option<&str>) -> Delivery {
        let run = RunId::from_parts(EventId::new(1, 2), 3);
        let endpoint = "x".parse().unwrap();
        Delivery {
            id: DeliveryId::new(run, 0, 0, &endpoint),
            run,
            route: "route".parse().unwrap(),
            endpoint,
            event_type: event_type.to_owned(),
            content_type: String::new(),
            headers: Vec::new(),
            ordering_key: ordering_key.map(str::to_owned),
            turn: None,
            operational: false,
            body: BodyRef::Event,
            status: DeliveryStatus::Pending,
            reason: None,
            attempts: 0,
            schedule_position: 0,
            created_at_ms: 0,
            due_ms: 0,
        }
    }

    fn filled(url: &str, event_type: &str) -> Result<String, Unfilled> {
        UrlTemplate::parse(url).unwrap().fill(&delivery(event_type, Some("key/1")))
    }

    #[test]
    fn a_fact_is_one_segment_whatever_it_holds() {
        let url = "https://h:8/a/{event_type}/b?c={event_type}#{d}";
        assert_eq!(filled(url, "x").unwrap(), "https://h:8/a/x/b?c={event_type}#{d}", "in the path alone");
        let wild = filled(url, "../ü?#%2f{\\@").unwrap();
        assert_eq!(wild, "https://h:8/a/..%2F%C3%BC%3F%23%252f%7B%5C%40/b?c={event_type}#{d}");
        let parsed = parse_url(&wild).unwrap();
        assert_eq!((parsed.path_segments().unwrap().count(), parsed.host_str()), (3, Some("h")));
        assert_eq!(filled("http://h/{route}-{ordering_key}", "").unwrap(), "http://h/route-key%2F1");
        let id = delivery("", None).id;
        assert_eq!(filled("http://h/{delivery}", "").unwrap(), format!("http://h/{id}"));
    }

    #[test]
    fn a_url_without_facts_stays_as_it_is() {
        for url in ["http://h", "http://h?a={b}", "http://h/a/../b?c#d", "HTTPS://H/ä"] {
            assert_eq!(filled(url, "").unwrap(), url);
        }
    }

    #[test]
    fn what_is_missing_or_walks_through_the_path_is_refused() {
        assert_eq!(filled("http://h/{event_type}", ""), Err(Unfilled::Missing("event_type")));
        let keyed = UrlTemplate::parse("http://h/{ordering_key}").unwrap();
        assert_eq!(keyed.fill(&delivery("x", None)), Err(Unfilled::Missing("ordering_key")));
        let walking =
            [("/a/{event_type}", ".."), ("/{event_type}/b", "."), ("/.{event_type}", "."), ("/%2E{event_type}", ".")];
        for (path, value) in walking {
            assert_eq!(filled(&format!("http://h{path}"), value), Err(Unfilled::Dots), "{path} {value}");
        }
        assert_eq!(filled("http://h/a{event_type}", "..").unwrap(), "http://h/a..");
    }

    #[test]
    fn an_unknown_fact_is_named_with_those_there_are() {
        for url in ["http://h/{event}", "http://h/{event_type", "http://h/{", "http://h/{}"] {
            let error = UrlTemplate::parse(url).unwrap_err().to_string();
            assert!(error.contains("{event_type}, {ordering_key}, {route}, {delivery}"), "{error}");
        }
        assert!(UrlTemplate::parse("http://{event_type}/").is_err());
        assert!(UrlTemplate::parse("ftp://h/{event_type}").is_err());
    }
}
