//! Tests of [`super`], on the examples of the specification and on plain webhooks.

use hookswitch_guest::Header;
use serde_json::{Value as Json, json};

use super::*;

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.to_owned() }
}

fn event(headers: Vec<Header>) -> Event {
    Event {
        id: "evt_01HZ".to_owned(),
        tenant: "acme".to_owned(),
        source: "shop".to_owned(),
        received_at_ms: 1_717_147_800_123,
        headers,
        ..Event::default()
    }
}

fn message(content_type: &str, body: impl Into<Vec<u8>>) -> Message {
    let event_type = "order.created".to_owned();
    Message { event_type, content_type: content_type.to_owned(), body: body.into(), ..Message::default() }
}

fn run(settings: &str, event: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let settings = serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    apply(&settings, event, message)
}

fn one(settings: &str, event: &Event, message: &Message) -> Output {
    let mut outputs = run(settings, event, message).unwrap_or_else(|failure| panic!("{settings}: {failure:?}"));
    assert_eq!(outputs.len(), 1);
    outputs.remove(0)
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(output.body.as_deref().expect("a body")).unwrap()
}

fn parsed(output: &Output) -> Json {
    serde_json::from_str(text(output)).unwrap()
}

fn headers(output: &Output) -> Vec<(&str, &str)> {
    output.headers.iter().flatten().map(|header| (&*header.name, &*header.value)).collect()
}

const STRUCTURED: &str = r#"{"to": "structured"}"#;
const BINARY: &str = r#"{"to": "binary"}"#;
const DATA: &str = r#"{"to": "data"}"#;

#[test]
fn a_webhook_is_wrapped_and_its_numbers_stay() {
    let order = r#"{"id": 9007199254740993, "total": 12.50}"#;
    let output = one(STRUCTURED, &event(vec![]), &message("application/json", order));
    assert_eq!(output.content_type.as_deref(), Some("application/cloudevents+json; charset=utf-8"));
    assert_eq!((output.event_type.as_deref(), &output.headers), (None, &None));
    let expected = r#"{"specversion":"1.0","id":"evt_01HZ","source":"/acme/shop","type":"order.created","#.to_owned()
        + r#""time":"2024-05-31T09:30:00.123Z","datacontenttype":"application/json","data":{"id": 9007199254740993, "total": 12.50}}"#;
    assert_eq!(text(&output), expected);
}

#[test]
fn settings_set_attributes() {
    let settings = r#"{"to": "structured", "type": "com.example.order", "source": "https://example.com/shop", "id": {"from": "/id"},
        "subject": {"from": "/customer"}, "dataschema": "https://example.com/order.json", "time": {"from": "/none"},
        "extensions": {"partitionkey": {"from": "event:tenant"}, "priority": "1"}}"#;
    let wrapped = parsed(&one(
        settings,
        &event(vec![]),
        &message("application/json", r#"{"id":18446744073709551616,"customer":"Zoë"}"#),
    ));
    let expected = json!({
        "specversion": "1.0", "id": "18446744073709551616", "source": "https://example.com/shop", "type": "com.example.order",
        "subject": "Zoë", "dataschema": "https://example.com/order.json", "time": "2024-05-31T09:30:00.123Z",
        "partitionkey": "acme", "priority": "1", "datacontenttype": "application/json", "data": wrapped["data"],
    });
    assert_eq!(wrapped, expected);
}

/// JSON format, section 3.1.1.
#[test]
fn data_goes_in_as_its_content_type_says() {
    let data = |content_type: &str, body: &[u8]| parsed(&one(STRUCTURED, &event(vec![]), &message(content_type, body)));
    assert_eq!(data("application/vnd.x+json", b"[1]")["data"], json!([1]));
    assert_eq!(data("text/xml", b"<much wow=\"xml\"/>")["data"], "<much wow=\"xml\"/>");
    assert_eq!(data("text/plain; charset=latin1", b"a")["data_base64"], "YQ==");
    assert_eq!(data("text/plain", b"\xff")["data_base64"], "/w==");
    assert_eq!(data("application/octet-stream", b"\x00\x01")["data_base64"], "AAE=");
    let unknown = data("", b"{}");
    assert_eq!(
        (&unknown["data_base64"], unknown.get("datacontenttype"), unknown.get("data")),
        (&json!("e30="), None, None)
    );
    let none = data("application/json", b"");
    assert_eq!((none.get("data"), none.get("data_base64")), (None, None));
    let failure = run(STRUCTURED, &event(vec![]), &message("application/json", "a=b")).unwrap_err();
    assert!(
        failure.message.contains("its content type is \"application/json\", and the body is not JSON"),
        "{failure:?}"
    );
}

#[test]
fn a_webhook_becomes_an_event_in_binary_mode_and_keeps_its_body() {
    let settings = r#"{"to": "binary", "subject": "Euro € 😀", "extensions": {"big": "1"}}"#;
    let mut plain = message("application/json; charset=utf-8", "{}");
    plain.headers = vec![header("x-a", "1"), header("ce-old", "2")];
    let output = one(settings, &event(vec![]), &plain);
    assert_eq!((&output.body, output.content_type.as_deref()), (&None, Some("application/json; charset=utf-8")));
    let expected = [
        ("x-a", "1"),
        ("ce-specversion", "1.0"),
        ("ce-id", "evt_01HZ"),
        ("ce-source", "/acme/shop"),
        ("ce-type", "order.created"),
        ("ce-time", "2024-05-31T09:30:00.123Z"),
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-big", "1"),
    ];
    assert_eq!(headers(&output), expected);
}

/// The examples of the JSON format's section 3.2, each with what it is in binary mode.
#[test]
fn the_examples_of_the_specification_turn_from_structured_to_binary() {
    let example = |more: &str| {
        r#"{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"B234","time":"2018-04-05T17:31:00Z","#.to_owned()
            + r#""comexampleextension1":"value","comexampleothervalue":5,"unsetextension":null"#
            + more
            + "}"
    };
    for (more, content_type, body) in [
        (
            r#","datacontenttype":"application/vnd.apache.thrift.binary","data_base64":"AAEC""#,
            "application/vnd.apache.thrift.binary",
            "\0\u{1}\u{2}",
        ),
        (
            r#","datacontenttype":"application/xml","data":"<much wow=\"xml\"/>""#,
            "application/xml",
            r#"<much wow="xml"/>"#,
        ),
        (
            r#","datacontenttype":"application/json","data":{ "appinfoB" : 123 }"#,
            "application/json",
            r#"{ "appinfoB" : 123 }"#,
        ),
        (r#","datacontenttype":"application/json","data":1.5"#, "application/json", "1.5"),
        (r#","data":"I'm just a string""#, "application/json", r#""I'm just a string""#),
        (r#","data":null"#, "application/json", "null"),
        (r#","data_base64":"eyAieHl6IjogMTIzIH0=""#, "", r#"{ "xyz": 123 }"#),
        ("", "", ""),
    ] {
        let structured = message("application/cloudevents+json; charset=UTF-8", example(more));
        let output = one(BINARY, &event(vec![]), &structured);
        assert_eq!((output.content_type.as_deref(), text(&output)), (Some(content_type), body), "{more}");
        assert_eq!(output.event_type.as_deref(), Some("com.example.someevent"));
        let expected = [
            ("ce-specversion", "1.0"),
            ("ce-type", "com.example.someevent"),
            ("ce-source", "/mycontext"),
            ("ce-id", "B234"),
            ("ce-time", "2018-04-05T17:31:00Z"),
            ("ce-comexampleextension1", "value"),
            ("ce-comexampleothervalue", "5"),
        ];
        assert_eq!(headers(&output), expected, "{more}");
        // And back, by way of the message that this would be.
        let binary = Message { headers: output.headers.clone().unwrap(), ..message(content_type, body) };
        let data = one(DATA, &event(vec![]), &binary);
        let all = (data.content_type.as_deref(), data.headers, data.event_type.as_deref());
        assert_eq!(all, (Some(content_type), Some(vec![]), Some("com.example.someevent")));
        let again = parsed(&one(STRUCTURED, &event(vec![]), &binary));
        assert_eq!((&again["id"], &again["comexampleothervalue"]), (&json!("B234"), &json!("5")), "{more}");
    }
}

#[test]
fn binary_mode_is_read_from_the_headers_as_received() {
    let received = vec![
        header("ce-specversion", "1.0"),
        header("ce-id", "1"),
        header("ce-source", "/s"),
        header("ce-type", "com.example.x"),
        header("ce-subject", "a%20b"),
        header("x-other", "1"),
    ];
    let wrapped = parsed(&one(STRUCTURED, &event(received.clone()), &message("application/json", r#"{"n":1}"#)));
    let expected = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.x", "subject": "a b",
        "datacontenttype": "application/json", "data": {"n": 1}});
    assert_eq!(wrapped, expected);
    let data = one(DATA, &event(received), &message("application/json", r#"{"n":1}"#));
    assert_eq!((data.body, data.content_type.as_deref(), data.headers), (None, Some("application/json"), None));
}

#[test]
fn structured_data_is_unwrapped_byte_for_byte() {
    let body = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"n": 9007199254740993,"x":1e400}}"#;
    let output = one(DATA, &event(vec![]), &message("Application/CloudEvents+JSON", body));
    assert_eq!(text(&output), r#"{"n": 9007199254740993,"x":1e400}"#);
    assert_eq!((output.content_type.as_deref(), output.event_type.as_deref()), (Some("application/json"), Some("t")));
}

#[test]
fn a_batch_becomes_its_events() {
    let one = |id: &str| format!(r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"type.{id}","data":{id}}}"#);
    let batch = |events: &[String]| message("application/cloudevents-batch+json", format!("[{}]", events.join(",")));
    let outputs = run(DATA, &event(vec![]), &batch(&[one("1"), one("2")])).unwrap();
    assert_eq!(outputs.iter().map(text).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(outputs[1].event_type.as_deref(), Some("type.2"));
    assert_eq!(run(BINARY, &event(vec![]), &batch(&[])), Ok(vec![]));
    let failure = run(DATA, &event(vec![]), &batch(&[one("1"), "{}".to_owned()])).unwrap_err();
    assert!(failure.message.starts_with("event 1: "), "{failure:?}");
    let many = vec![one("1"); structured::EVENTS_MAX + 1];
    let failure = run(DATA, &event(vec![]), &batch(&many)).unwrap_err();
    assert!(failure.code == "limit" && failure.message.contains("EVENTS_MAX is 100"), "{failure:?}");
}

/// Each pair: a structured event, and what the failure has to say.
#[test]
fn what_is_no_cloudevent_is_refused() {
    let with = |more: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t"{more}}}"#);
    for (body, words) in [
        ("a=b".to_owned(), "the body is not JSON"),
        ("[]".to_owned(), "an event is an object, not an array"),
        ("{}".to_owned(), "there is no `specversion`"),
        (r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#.to_owned(), "its `specversion` is \"0.3\""),
        (r#"{"specversion":"1.0","source":"s","type":"t"}"#.to_owned(), "there is no `id`"),
        (r#"{"specversion":"1.0","id":null,"source":"s","type":"t"}"#.to_owned(), "there is no `id`"),
        (r#"{"specversion":"1.0","id":"1","source":"","type":"t"}"#.to_owned(), "`source` is empty"),
        (with(r#","id":"2""#), "the attribute `id` comes twice"),
        (with(r#","traceId":"2""#), "\"traceId\" is no attribute name"),
        (with(r#","ext":{}"#), "`ext` is an object"),
        (with(r#","ext":1.5"#), "`ext` is a number, and no integer of 32 bits"),
        (with(r#","ext":2147483648"#), "no integer of 32 bits"),
        (with(r#","subject":"a\nb""#), "`subject` has the character U+000A"),
        (with(r#","data":1,"data_base64":"""#), "there are both `data` and `data_base64`"),
        (with(r#","data":1,"data":2"#), "`data` comes twice"),
        (with(r#","data_base64":"a""#), "`data_base64` is not base64"),
        (with(r#","data_base64":1"#), "`data_base64` is a number"),
        (with(r#","datacontenttype":"text/plain","data":1"#), "`data` is no string"),
    ] {
        let failure = run(DATA, &event(vec![]), &message("application/cloudevents+json", body.clone())).unwrap_err();
        assert_eq!(failure.code, "input-invalid", "{body}");
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
    for (content_type, headers, words) in [
        ("application/json", vec![], "there is no header `ce-specversion`"),
        ("application/cloudevents+avro", vec![], "the event format of \"application/cloudevents+avro\" is not read"),
        ("application/cloudevents", vec![], "is not read"),
        ("application/json", vec![header("ce-specversion", "1.0")], "there is no `id`"),
        (
            "application/json",
            vec![header("ce-specversion", "1.0"), header("ce-id", "%ff")],
            "`ce-id` is not percent-encoded UTF-8",
        ),
        (
            "application/json",
            vec![header("ce-specversion", "1.0"), header("ce-a-b", "1")],
            "\"a-b\" is no attribute name",
        ),
        (
            "application/json",
            vec![header("ce-specversion", "1.0"), header("ce-datacontenttype", "a/b")],
            "`ce-datacontenttype`",
        ),
    ] {
        let failure = run(DATA, &event(headers), &message(content_type, "{}")).unwrap_err();
        assert!(failure.code == "input-invalid" && failure.message.contains(words), "{content_type}: {failure:?}");
    }
}

#[test]
fn what_the_settings_make_has_to_be_a_cloudevent() {
    let plain = message("application/json", r#"{"nl":"a\nb"}"#);
    for (settings, event_type, words) in [
        (STRUCTURED, "", "`type` is empty"),
        (r#"{"to": "binary", "id": {"from": "/id"}}"#, "t", "there is no /id, which is to be the `id`"),
        (r#"{"to": "binary", "subject": {"from": "/nl"}}"#, "t", "`subject` has the character U+000A"),
        (r#"{"to": "binary", "time": {"from": "/nl"}}"#, "t", "`time` is not a time"),
        (r#"{"to": "binary", "source": {"from": "/nl"}}"#, "t", "`source` is no URI"),
    ] {
        let plain = Message { event_type: event_type.to_owned(), ..plain.clone() };
        let failure = run(settings, &event(vec![]), &plain).unwrap_err();
        assert!(failure.message.contains(words), "{settings}: {}", failure.message);
    }
}
