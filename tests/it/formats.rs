//! Bodies in every format, and the modules that deal in them, through a real host: what the modules' own tests show natively holds
//! in WebAssembly too.

use super::support::{Host, Received, until};
use serde_json::{Value, json};

/// Sends an event with these headers.
async fn send(host: &Host, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> String {
    let answer = host.ingest.send(http::Method::POST, "/in/acme/in", headers, body).await;
    answer.expect(202)["id"].as_str().unwrap().to_owned()
}

/// Whether an event's run is `routed` or `filtered`, once it is known.
async fn decided(host: &Host, event: &str) -> Value {
    until(&format!("a verdict on {event}"), || async {
        let status = host.show(event).await["runs"][0]["status"].clone();
        (status == "routed" || status == "filtered").then_some(status)
    })
    .await
}

fn step(module: &str, settings: &Value) -> Value {
    json!({ "module": format!("operator/{module}"), "settings": settings })
}

fn header<'a>(received: &'a Received, name: &str) -> &'a str {
    received.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// One order in each format, as other people's libraries write it: Python's `msgpack` and Google's `protobuf`. XML is written in many
/// ways; this is not the SDK's.
const ORDERS: [(&str, &[u8]); 5] = [
    ("application/json", r#"{"id":9007199254740993,"customer":"Zoë & Söhne","tags":["a b","<c>"]}"#.as_bytes()),
    (
        "application/xml; charset=utf-8",
        "<order id=\"9007199254740993\"><customer>Zoë &amp; Söhne</customer><tag>a b</tag><tag><![CDATA[<c>]]></tag></order>".as_bytes(),
    ),
    (
        "application/x-www-form-urlencoded",
        b"id=9007199254740993&customer=Zo%C3%AB+%26+S%C3%B6hne&tags=a+b&tags=%3Cc%3E",
    ),
    (
        "application/vnd.msgpack",
        b"\x83\xa2id\xcf\x00\x20\x00\x00\x00\x00\x00\x01\xa8customer\xadZo\xc3\xab & S\xc3\xb6hne\xa4tags\x92\xa3a b\xa3<c>",
    ),
    (
        "application/protobuf",
        b"\x08\x81\x80\x80\x80\x80\x80\x80\x10\x12\rZo\xc3\xab & S\xc3\xb6hne\x1a\x03a b\x1a\x03<c>",
    ),
];

/// The order as the SDK writes it in XML.
const XML_OUT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <order id=\"9007199254740993\"><customer>Zoë &amp; Söhne</customer><tag>a b</tag><tag>&lt;c&gt;</tag></order>";

#[tokio::test]
async fn an_order_goes_from_each_format_through_all_others_and_stays_exact() {
    let (host, receiver) = Host::with(&["transcode"]).await;
    let steps: Vec<Value> =
        ["xml", "form", "msgpack", "protobuf", "json"].map(|to| step("transcode", &json!({ "to": to }))).into();
    host.route("all", json!(steps)).await;
    for (content_type, body) in ORDERS {
        send(&host, &[("content-type", content_type)], body).await;
        let received = receiver.next().await;
        assert_eq!(received.body, ORDERS[0].1, "{content_type}");
        assert_eq!(header(&received, "content-type"), "application/json");
    }
}

#[tokio::test]
async fn each_format_goes_out_as_others_write_it() {
    let (host, receiver) = Host::with(&["transcode"]).await;
    for ((content_type, body), to) in ORDERS.into_iter().zip(["json", "xml", "form", "msgpack", "protobuf"]) {
        host.route("one", json!([step("transcode", &json!({ "to": to }))])).await;
        send(&host, &[("content-type", "application/json")], ORDERS[0].1).await;
        let received = receiver.next().await;
        assert_eq!(header(&received, "content-type"), content_type);
        assert_eq!(received.body, if to == "xml" { XML_OUT.as_bytes() } else { body }, "{to}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_held_with_the_place() {
    let (host, _receiver) = Host::with(&["transcode"]).await;
    host.route("one", json!([step("transcode", &json!({ "to": "json" }))])).await;
    for (content_type, body, words) in [
        ("application/xml", "<order>\n<a></b></order>", "line 2 column 4"),
        ("application/xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type declaration"),
        ("application/x-www-form-urlencoded", "id=1&customer=%zz", "field 2, at byte 5"),
        ("application/vnd.msgpack", "\u{3}", "invalid type: integer `3`"),
        ("application/protobuf", "\u{8}", "Order.id: invalid varint"),
    ] {
        let event = send(&host, &[("content-type", content_type)], body).await;
        let run = host.run_with(&event, "held").await;
        let trace = run["trace"][0].to_string();
        assert!(trace.contains("input-invalid") && trace.contains(words), "{content_type}: {run}");
    }
}

/// A supplier's XML, as JSON, without what is nobody's business, in pages.
#[tokio::test]
async fn xml_becomes_json_is_redacted_and_split_into_pages() {
    let (host, receiver) = Host::with(&["xml-to-json", "redact", "split"]).await;
    let redact =
        json!({ "remove": ["/export/row/*/iban"], "hash": ["/export/row/*/@mail"], "salt": "3c1f9a70b25e4d68" });
    let split = json!({ "pointer": "/export/row", "items_max": 2, "keep": "items", "number": "header:x-page", "total": "header:x-pages" });
    host.route("rows", json!([step("xml-to-json", &json!({})), step("redact", &redact), step("split", &split)])).await;
    let row = |id: u64| format!(r#"<row mail="zoe@example.com"><id>{id}</id><iban>DE02</iban></row>"#);
    let body = format!("<export>{}{}{}</export>", row(9_007_199_254_740_993), row(2), row(3));
    send(&host, &[("content-type", "text/xml")], body).await;
    let mut pages = [receiver.next().await, receiver.next().await];
    pages.sort_by_key(|page| header(page, "x-page").to_owned());
    // `hmac.new(b"3c1f9a70b25e4d68", b"zoe@example.com", "sha256").hexdigest()`
    let mail = "5dfa9521288185d2f00916064d1bc21bd0a5f6570ef90ae5f37f28f36cac6266";
    for (page, (number, ids)) in pages.iter().zip([("1", vec!["9007199254740993", "2"]), ("2", vec!["3"])]) {
        assert_eq!((header(page, "x-page"), header(page, "x-pages")), (number, "2"));
        let rows: Vec<_> = ids.into_iter().map(|id| json!({ "@mail": mail, "id": id })).collect();
        assert_eq!(page.json(), json!(rows));
    }
}

#[tokio::test]
async fn cloudevents_turn_from_one_mode_into_the_other() {
    let (host, receiver) = Host::with(&["cloudevents"]).await;
    let structured = r#"{"type": "com.example.order", "source": "https://example.com/shop", "id": "A-1", "time": "2024-05-31T09:30:00Z",
        "specversion": "1.0", "subject": "Zo\u00eb & \"100%\" \ud83d\ude00", "datacontenttype": "application/json",
        "data": {"n": 9007199254740993}}"#;
    let subject = "Zo%C3%AB%20&%20%22100%25%22%20%F0%9F%98%80";

    host.route("ce", json!([step("cloudevents", &json!({ "to": "binary" }))])).await;
    send(&host, &[("content-type", "application/cloudevents+json")], structured).await;
    let received = receiver.next().await;
    assert_eq!(received.body, r#"{"n": 9007199254740993}"#);
    let got = ["content-type", "ce-specversion", "ce-id", "ce-type", "ce-time"].map(|name| header(&received, name));
    assert_eq!(got, ["application/json", "1.0", "A-1", "com.example.order", "2024-05-31T09:30:00Z"]);
    assert_eq!(header(&received, "ce-subject"), subject);

    host.route("ce", json!([step("cloudevents", &json!({ "to": "structured" }))])).await;
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "A-1"),
        ("ce-source", "https://example.com/shop"),
        ("ce-type", "com.example.order"),
        ("ce-subject", subject),
    ];
    send(&host, &headers, r#"{"n": 9007199254740993}"#).await;
    let received = receiver.next().await;
    assert_eq!(header(&received, "content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(received.json()["subject"], "Zoë & \"100%\" 😀");
    assert!(received.body.ends_with(br#""data":{"n": 9007199254740993}}"#), "{:?}", received.body);

    let wrapped = send(&host, &[("content-type", "application/json"), ("x-event-type", "order")], "{}").await;
    assert_eq!(receiver.next().await.json()["id"], wrapped.as_str());
}

#[tokio::test]
async fn a_sample_needs_no_state_for_a_share_and_counting_is_held_without() {
    let (host, receiver) = Host::with(&["sample", "threshold", "dedupe"]).await;
    host.route("share", json!([step("sample", &json!({ "percent": 50, "by": "/user" }))])).await;
    let mut accepted = 0;
    for user in 0..8 {
        let mut statuses = Vec::new();
        for n in 0..2 {
            let event = host.event("x", json!({ "user": user, "n": n }).to_string()).await;
            statuses.push(decided(&host, &event).await);
        }
        assert_eq!(statuses[0], statuses[1], "user {user}");
        accepted += statuses.iter().filter(|status| *status == "routed").count();
    }
    assert!((2..=14).contains(&accepted), "{accepted} of 16");
    for _ in 0..accepted {
        receiver.next().await;
    }

    for (module, settings) in [
        ("sample", json!({ "every": 2 })),
        ("threshold", json!({ "reaches": 2, "window_s": 60 })),
        ("dedupe", json!({ "by": "body", "window_s": 60 })),
    ] {
        host.route("share", json!([step(module, &settings)])).await;
        let event = host.event("x", "{}").await;
        let run = host.run_with(&event, "held").await;
        assert!(run["trace"][0].to_string().contains("denied"), "{module}: {run}");
    }
}
