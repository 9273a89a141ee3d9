//! Tests of [`super`], on a small push as GitHub sends it.

use hookswitch_guest::Header;

use super::*;

const PUSH: &str = r#"{
  "ref": "refs/heads/main",
  "repository": {"id": 186853002, "full_name": "Codertocat/Hello-World", "private": false},
  "commits": [
    {"id": "6113728f", "message": "Say \"hi\"\nand bye", "author": {"name": "Monalisa", "email": "m@example.com"}, "added": ["a.rs"]},
    {"id": "5ba6dfd0", "message": "Second", "author": {"name": "Octo"}}
  ],
  "big": [18446744073709551615, -9223372036854775808, 9007199254740993, 123456789012345678901234567890, 0.10, 1e400]
}"#;

fn run(settings: &str, body: &str) -> Result<Vec<Output>, Failure> {
    let settings: Settings = serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    let event = Event {
        id: "evt_01HZ".to_owned(),
        tenant: "acme".to_owned(),
        source: "github".to_owned(),
        received_at_ms: 1_717_147_800_123,
        ..Event::default()
    };
    let headers = ["x-a", "x-b"].map(|name| Header { name: name.to_owned(), value: "old".to_owned() });
    let message = Message { event_type: "push".to_owned(), headers: headers.to_vec(), ..Message::from_json(body) };
    apply(&settings, &event, &message)
}

/// The one body that these settings make of the push.
fn body(settings: &str) -> String {
    let outputs = run(settings, PUSH).unwrap_or_else(|failure| panic!("{settings}: {failure:?}"));
    assert_eq!(outputs.len(), 1, "{settings}");
    String::from_utf8(outputs[0].body.clone().expect("a body")).unwrap()
}

#[test]
fn a_template_is_filled_in() {
    let settings = r#"{"template": {
        "repo": {"$pointer": "/repository/full_name"}, "none": {"$pointer": "/nope", "default": {"$pointer": "/x", "default": [1]}},
        "text": "${/ref} of ${/repository/id}: ${/commits/0/message} $${x}", "author": {"$pointer": "/commits/1/author"},
        "event": [{"$event": "id"}, {"$event": "type"}, {"$event": "source"}, {"$event": "tenant"}],
        "at": {"$event": "received_at"}, "at_ms": {"$event": "received_at_ms"}, "by": "${event:source}", "n": 1.50, "null": null
    }}"#;
    let expected = r#"{"repo":"Codertocat/Hello-World","none":[1],"text":"refs/heads/main of 186853002: Say \"hi\"\nand bye ${x}","#
        .to_owned()
        + r#""author":{"name": "Octo"},"event":["evt_01HZ","push","github","acme"],"at":"2024-05-31T09:30:00.123Z","#
        + r#""at_ms":1717147800123,"by":"github","n":1.50,"null":null}"#;
    assert_eq!(body(settings), expected);
}

#[test]
fn numbers_come_out_as_they_went_in() {
    let numbers =
        "[18446744073709551615, -9223372036854775808, 9007199254740993, 123456789012345678901234567890, 0.10, 1e400]";
    assert_eq!(body(r#"{"template": {"$pointer": "/big"}}"#), numbers);
    assert!(body(r#"{"remove": ["/ref"]}"#).contains(numbers));
    assert_eq!(body(r#"{"template": "${/big/3}"}"#), "\"123456789012345678901234567890\"");
}

#[test]
fn edits_are_made_in_order() {
    let settings = r#"{
        "rename": {"/repository/full_name": "/repo", "/ref": "/git/ref"},
        "set": {"/repository/id": "${/repository/id}", "/from": {"$event": "source"}, "/was": "${/ref}"},
        "remove": ["/commits", "/big", "/nope"]
    }"#;
    let expected = r#"{"repository":{"id":"186853002","private":false},"repo":"Codertocat/Hello-World","#.to_owned()
        + r#""git":{"ref":"refs/heads/main"},"from":"github","was":"refs/heads/main"}"#;
    assert_eq!(body(settings), expected);
}

#[test]
fn each_makes_one_output_per_element() {
    let template = r#"{"each": "/commits", "template": {"id": {"$item": "/id"}, "repo": {"$pointer": "/repository/id"}},
        "event_type": "commit.${item:/id}", "ordering_key": "${/repository/id}", "headers": {"X-B": "${item:/message}"},
        "delay_ms": 60000}"#;
    let outputs = run(template, PUSH).unwrap();
    let bodies: Vec<_> =
        outputs.iter().map(|output| String::from_utf8_lossy(output.body.as_deref().unwrap())).collect();
    assert_eq!(bodies, [r#"{"id":"6113728f","repo":186853002}"#, r#"{"id":"5ba6dfd0","repo":186853002}"#]);
    assert_eq!(outputs[1].event_type.as_deref(), Some("commit.5ba6dfd0"));
    assert_eq!((outputs[1].ordering_key.as_deref(), outputs[1].delay_ms), (Some("186853002"), Some(60_000)));
    let headers: Vec<_> = outputs[0].headers.iter().flatten().map(|header| (&*header.name, &*header.value)).collect();
    assert_eq!(headers, [("x-a", "old"), ("x-b", "Say \"hi\" and bye")]);

    let elements = run(r#"{"each": "/commits", "remove": ["/author", "/message"]}"#, PUSH).unwrap();
    assert_eq!(elements[0].body.as_deref(), Some(br#"{"id":"6113728f","added":["a.rs"]}"#.as_slice()));

    assert_eq!(run(r#"{"each": ""}"#, "[]"), Ok(Vec::new()));
    let failure = run(r#"{"each": "/ref"}"#, PUSH).unwrap_err();
    assert_eq!(failure.message, "`each` takes an array, and /ref in the body is a string");
}

#[test]
fn what_is_missing_fails_or_is_null_or_is_left_out() {
    let settings = |on_missing: &str| {
        format!(
            r#"{{"on_missing": "{on_missing}", "template": {{"a": {{"$pointer": "/x/y"}}, "b": [{{"$pointer": "/x"}}, 1], "c": "see ${{/x}}"}},
                "headers": {{"x-c": "see ${{/x}}"}}, "event_type": "see ${{/x}}"}}"#
        )
    };
    let failure = run(&settings("fail"), PUSH).unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.message.contains("no /x/y in the body")),
        ("input-invalid", true),
        "{failure:?}"
    );

    assert_eq!(body(&settings("null")), r#"{"a":null,"b":[null,1],"c":"see "}"#);
    assert_eq!(body(&settings("omit")), r#"{"b":[1]}"#);
    let omitted = run(&settings("omit"), PUSH).unwrap();
    assert_eq!((&omitted[0].event_type, omitted[0].headers.as_ref().map(Vec::len)), (&None, Some(2)));
    let nulled = run(&settings("null"), PUSH).unwrap();
    assert_eq!((nulled[0].event_type.as_deref(), nulled[0].headers.as_ref().map(Vec::len)), (Some("see "), Some(3)));

    assert_eq!(run(r#"{"on_missing": "omit", "each": "/x"}"#, PUSH), Ok(Vec::new()));
    assert!(run(r#"{"each": "/x"}"#, PUSH).is_err());
    assert!(run(r#"{"rename": {"/x": "/y"}}"#, PUSH).is_err());
    assert_eq!(
        body(r#"{"on_missing": "omit", "rename": {"/x": "/y"}, "set": {"/big": {"$pointer": "/x"}}}"#)
            .matches("/x")
            .count(),
        0
    );
}

#[test]
fn a_body_that_is_not_json_matters_only_where_it_is_looked_into() {
    let outputs = run(r#"{"event_type": "form.${event:type}", "headers": {"x-c": "1"}}"#, "a=b").unwrap();
    assert_eq!((outputs[0].event_type.as_deref(), &outputs[0].body), (Some("form.push"), &None));
    for settings in [r#"{"event_type": "${/a}"}"#, r#"{"remove": ["/a"]}"#, r#"{"each": ""}"#] {
        assert_eq!(run(settings, "a=b").unwrap_err().code, "input-invalid", "{settings}");
    }
}

#[test]
fn the_content_type_stays_where_the_payload_is_only_edited() {
    let content_type = |settings| run(settings, PUSH).unwrap()[0].content_type.clone();
    assert_eq!(content_type(r#"{"template": 1}"#).as_deref(), Some("application/json"));
    assert_eq!(content_type(r#"{"remove": ["/ref"]}"#), None);
}

#[test]
fn number_and_size_of_outputs_are_bounded() {
    let array = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert_eq!(run(r#"{"each": ""}"#, &array(OUTPUTS_MAX)).unwrap().len(), OUTPUTS_MAX);
    let failure = run(r#"{"each": ""}"#, &array(OUTPUTS_MAX + 1)).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.message.contains("OUTPUTS_MAX, 100")), ("limit", true), "{failure:?}");

    // Ninety copies of a body of 100 KB are above the 8 MiB, seventy are below.
    let copies = |count: usize| format!(r#"{{"template": [{}]}}"#, vec![r#"{"$pointer": ""}"#; count].join(","));
    let large = format!("\"{}\"", "x".repeat(100_000));
    assert!(run(&copies(70), &large).is_ok());
    let failure = run(&copies(90), &large).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.message.contains("OUTPUT_BYTES_MAX")), ("limit", true), "{failure:?}");
}
