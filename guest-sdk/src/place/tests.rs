//! Tests of [`super`].

use super::*;
use crate::Header;

fn event() -> Event {
    let headers = vec![Header { name: "x-user".to_owned(), value: "7".to_owned() }];
    Event { id: "evt_1".to_owned(), tenant: "acme".to_owned(), source: "shop".to_owned(), headers, ..Event::default() }
}

fn message(body: &str) -> Message {
    Message { event_type: "order".to_owned(), ..Message::from_json(body) }
}

fn places(settings: &str) -> Places {
    serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"))
}

fn digest(settings: &str, body: &str) -> Digest {
    Facts::new(&event(), &message(body)).digest("test", &places(settings)).unwrap()
}

#[test]
fn each_place_finds_what_is_there() {
    let (event, message) = (event(), message(r#"{"user":{"id":9007199254740993,"name":"\u00e9"},"none":null}"#));
    let mut facts = Facts::new(&event, &message);
    for (place, found) in [
        ("/user/id", Some("9007199254740993")),
        ("/user/name", Some("é")),
        ("/none", Some("null")),
        ("/nope", None),
        ("header:X-User", Some("7")),
        ("header:x-none", None),
        ("event:id", Some("evt_1")),
        ("event:type", Some("order")),
        ("event:source", Some("shop")),
        ("event:tenant", Some("acme")),
    ] {
        assert_eq!(facts.text(&Place::parse(place).unwrap()).unwrap().as_deref(), found, "{place}");
        let missing = facts.missing(&places(&format!("{place:?}"))).unwrap().is_some();
        assert_eq!(missing, found.is_none(), "{place}");
    }
    assert_eq!(facts.text(&Place::Body).unwrap(), facts.text(&Place::parse("").unwrap()).unwrap());
}

#[test]
fn what_is_no_place_is_refused() {
    for (settings, words) in [
        ("\"user\"", "`user` is no place; write a JSON pointer"),
        ("\"/a~\"", "is not a JSON pointer"),
        ("\"header:\"", "is no place"),
        ("\"event:name\"", "is no place"),
        ("[]", "there is no place"),
        ("7", "expected a place such as"),
        ("[\"/a\", 1]", "expected a string"),
    ] {
        let problem = serde_json::from_str::<Places>(settings).unwrap_err().to_string();
        assert!(problem.contains(words), "{settings}: {problem}");
    }
    let many = |count: usize| format!("[{}]", vec!["\"/a\""; count].join(","));
    assert!(serde_json::from_str::<Places>(&many(PLACES_MAX)).is_ok());
    assert!(
        serde_json::from_str::<Places>(&many(PLACES_MAX + 1)).unwrap_err().to_string().contains("PLACES_MAX is 16")
    );
}

#[test]
fn a_place_is_written_as_it_is_read() {
    for written in ["", "/a~1b/0", "header:x-user", "event:id", "event:type", "event:source", "event:tenant", "body"] {
        assert_eq!(Place::parse(written).unwrap().written(), written);
    }
    assert_eq!(Place::parse("header:X-User").unwrap().written(), "header:x-user");
}

#[test]
fn the_same_at_another_place_has_another_digest() {
    for [(one, body), (other, other_body)] in [
        [(r#""/a""#, r#"{"a":"x"}"#), (r#""/b""#, r#"{"b":"x"}"#)],
        [(r#"["/a","/b"]"#, r#"{"a":1,"b":2}"#), (r#"["/b","/a"]"#, r#"{"a":2,"b":1}"#)],
        [(r#""/a""#, r#"{"a":"7"}"#), (r#""header:x-user""#, "{}")],
        [(r#""""#, "[1]"), (r#""body""#, "[1]")],
        [(r#""/a""#, "{}"), (r#""/b""#, "{}")],
    ] {
        assert_ne!(digest(one, body), digest(other, other_body), "{one} and {other}");
    }
}

#[test]
fn equal_digests_mean_the_same_at_the_same_places() {
    assert_eq!(digest(r#""/a""#, r#"{"a":"x","b":1}"#), digest(r#"["/a"]"#, r#"{ "b":2, "a":"\u0078"}"#));
    for (settings, one, other) in [
        (r#""/a""#, r#"{"a":1}"#, r#"{"a":"1"}"#),
        (r#""/a""#, r#"{"a":1}"#, r#"{"a":1.0}"#),
        (r#""/a""#, r#"{"a":9007199254740992}"#, r#"{"a":9007199254740993}"#),
        (r#""/a""#, r#"{"a":null}"#, "{}"),
        (r#""/a""#, r#"{"a":""}"#, "{}"),
        (r#"["/a","/b"]"#, r#"{"a":"xy","b":"z"}"#, r#"{"a":"x","b":"yz"}"#),
        (r#"["/a","/b"]"#, r#"{"a":"x"}"#, r#"{"b":"x"}"#),
        (r#""body""#, r#"{"a":1}"#, r#"{"a": 1}"#),
    ] {
        assert_ne!(digest(settings, one), digest(settings, other), "{settings}: {one} and {other}");
    }
}

/// State is kept under digests: they stay what they are in later versions.
#[test]
fn a_digest_stays_the_same_for_good() {
    let digest = digest(r#"["/a","event:type"]"#, r#"{"a":1}"#);
    assert_eq!(digest.to_string(), "0e2013fa9fa8f6dba46b7a459a6e085ce1f726dde10ac8f5d4d02f4bd6600cd0");
    assert_eq!(format!("{:016x}", digest.number()), digest.to_string()[..16]);
}

#[test]
fn the_body_is_parsed_only_where_it_is_asked_for() {
    let (event, message) = (event(), message("a=b"));
    let mut facts = Facts::new(&event, &message);
    assert!(facts.digest("test", &places(r#"["body","event:id","header:x-user"]"#)).is_ok());
    assert_eq!(facts.digest("test", &places(r#""/a""#)).unwrap_err().code, "input-invalid");
}

#[test]
fn what_is_missing_fails_or_passes_or_stops() {
    let place = Place::parse("/user").unwrap();
    assert_eq!(OnMissing::Accept.decide(&place), Ok(accept()));
    assert_eq!(OnMissing::Reject.decide(&place), Ok(reject("there is no /user")));
    let failure = OnMissing::Fail.decide(&place).unwrap_err();
    assert!(failure.code == "input-invalid" && failure.message.contains("`on_missing`"), "{failure:?}");
}
