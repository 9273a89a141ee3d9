//! Tests of [`super`]: above all, that nothing changes on the way through.

use super::*;

fn at(pointer: &str) -> Pointer {
    Pointer::parse(pointer).unwrap()
}

fn parse(text: &str) -> Json<'_> {
    Json::parse(text.as_bytes()).unwrap()
}

/// Each pair: a pointer, and the text it finds in the example of RFC 6901, section 5.
#[test]
fn pointers_find_what_the_rfc_says() {
    let example = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
    let pairs = [("", example), ("/foo", r#"["bar","baz"]"#), ("/foo/0", r#""bar""#), ("/", "0"), ("/a~1b", "1")];
    let more =
        [("/c%d", "2"), ("/e^f", "3"), ("/g|h", "4"), ("/i\\j", "5"), ("/k\"l", "6"), ("/ ", "7"), ("/m~0n", "8")];
    for (pointer, text) in pairs.into_iter().chain(more) {
        assert_eq!(parse(example).get(&at(pointer)).unwrap().unwrap().to_text(), text, "{pointer}");
    }
    for pointer in ["/foo/2", "/foo/00", "/foo/-", "/foo/+1", "/nope", "/foo/0/x"] {
        assert!(parse(example).get(&at(pointer)).unwrap().is_none(), "{pointer}");
    }
}

#[test]
fn what_is_no_pointer_is_refused() {
    for text in ["foo", "/a~", "/a~2", "a/b"] {
        assert!(Pointer::parse(text).is_err(), "{text}");
    }
    assert!(Pointer::parse(&"/a".repeat(64)).is_ok());
    assert!(Pointer::parse(&"/a".repeat(65)).is_err());
}

#[test]
fn numbers_and_order_survive_edits_elsewhere() {
    let text =
        r#"{"z":18446744073709551616,"a":{"n":-9007199254740993,"x":1},"f":0.1000000000000000055511151231257827}"#;
    let mut json = parse(text);
    json.set(&at("/a/x"), Json::string("\"")).unwrap();
    assert_eq!(json.to_text(), text.replace("\"x\":1", r#""x":"\"""#));
}

#[test]
fn set_makes_objects_and_appends() {
    let mut json = parse(r#"{"list": [1], "s": "text"}"#);
    json.set(&at("/new/deep"), Json::null()).unwrap();
    json.set(&at("/list/-"), Json::string("two")).unwrap();
    json.set(&at("/list/0"), Json::string("one")).unwrap();
    assert_eq!(json.to_text(), r#"{"list":["one","two"],"s":"text","new":{"deep":null}}"#);
    let inside = json.set(&at("/s/x"), Json::null()).unwrap_err();
    assert!(inside.message.contains("/s/x") && inside.message.contains("inside a string"), "{}", inside.message);
    let beyond = json.set(&at("/list/7"), Json::null()).unwrap_err();
    assert!(beyond.message.contains("an array of 2 has no item `7`"), "{}", beyond.message);
    json.set(&at(""), Json::null()).unwrap();
    assert_eq!(json.to_text(), "null");
}

#[test]
fn take_removes_every_entry_of_the_key() {
    let mut json = parse(r#"{"a":1,"b":[1,2,3],"a":2}"#);
    assert_eq!(json.get(&at("/a")).unwrap().unwrap().to_text(), "2");
    assert_eq!(json.take(&at("/a")).unwrap().unwrap().to_text(), "2");
    assert_eq!(json.take(&at("/b/1")).unwrap().unwrap().to_text(), "2");
    assert!(json.take(&at("/a")).unwrap().is_none());
    assert!(json.take(&at("/b/9")).unwrap().is_none());
    assert_eq!(json.to_text(), r#"{"b":[1,3]}"#);
}

#[test]
fn made_values_open_like_parsed_ones() {
    let mut json = Json::value(&serde_json::json!({"a": [1, {"b": "c"}]}));
    assert_eq!(json.get(&at("/a/1/b")).unwrap().unwrap().as_string(), Ok(Some("c".to_owned())));
    assert_eq!(json.to_text(), r#"{"a":[1,{"b":"c"}]}"#);
}

#[test]
fn the_size_is_known_before_the_text_is_made() {
    for text in [r#"{"a\"":[1,{"b":2},[],{}],"c":"é"}"#, "[]", "{}", "1", r#"{"a":1}"#, "[1]"] {
        let mut json = parse(text);
        assert_eq!(json.text_bytes(), text.len());
        // Opened, it counts as it will be written.
        json.get(&at("/a\"/1/b")).unwrap();
        json.get(&at("/0/0")).unwrap();
        assert_eq!((json.text_bytes(), json.to_text().as_str()), (text.len(), text));
    }
}

#[test]
fn deep_nesting_costs_no_stack() {
    let text = format!("{{\"deep\":{}{},\"a\":1}}", "[".repeat(100_000), "]".repeat(100_000));
    let mut json = parse(&text);
    assert_eq!(json.get(&at("/a")).unwrap().unwrap().as_number(), Some("1"));
    assert_eq!(json.to_text(), text);
}

#[test]
fn half_a_surrogate_passes_through_and_is_refused_where_it_is_read() {
    let mut json = parse(r#"{"s":"\ud800","t":1}"#);
    assert_eq!(json.get(&at("/t")).unwrap().unwrap().kind(), Kind::Number);
    assert_eq!(json.to_text(), r#"{"s":"\ud800","t":1}"#);
    assert_eq!(json.get(&at("/s")).unwrap().unwrap().as_string().unwrap_err().code, "input-invalid");
    assert_eq!(parse(r#"{"\ud800":1}"#).get(&at("/t")).unwrap_err().code, "input-invalid");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for text in ["", "{", "{}x", "nope", "[1,]", "01"] {
        let failure = Json::parse(text.as_bytes()).unwrap_err();
        assert!(failure.message.contains("line 1 column"), "{text}: {}", failure.message);
    }
    assert_eq!(Json::parse(b"\"\xff\"").unwrap_err().code, "input-invalid");
}
