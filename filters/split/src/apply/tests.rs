//! Tests of [`super`], on an export as an accounting system sends it.

use super::*;

const EXPORT: &str = r#"{"export": 18446744073709551616, "rows": [{"id": 9007199254740993}, {"id":2,"amount":0.10}, 3, "four", null], "done": false}"#;

fn run(settings: &str, body: &str) -> Result<Vec<Output>, Failure> {
    let settings: Settings = serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    let event = Event { id: "evt_1".to_owned(), ..Event::default() };
    let headers = ["x-page", "x-a"].map(|name| Header { name: name.to_owned(), value: "old".to_owned() });
    apply(&settings, &event, &Message { headers: headers.to_vec(), ..Message::from_json(body) })
}

fn bodies(settings: &str, body: &str) -> Vec<String> {
    let outputs = run(settings, body).unwrap_or_else(|failure| panic!("{settings}: {failure:?}"));
    outputs.into_iter().map(|output| String::from_utf8(output.body.unwrap()).unwrap()).collect()
}

#[test]
fn pages_keep_the_payload_around_them() {
    let settings = r#"{"pointer": "/rows", "items_max": 2, "number": "/page/number", "total": "/page/total"}"#;
    let page = |rows: &str, number: usize| {
        format!(
            r#"{{"export":18446744073709551616,"rows":[{rows}],"done":false,"page":{{"number":{number},"total":3}}}}"#
        )
    };
    let expected =
        [page(r#"{"id": 9007199254740993},{"id":2,"amount":0.10}"#, 1), page(r#"3,"four""#, 2), page("null", 3)];
    assert_eq!(bodies(settings, EXPORT), expected);
}

#[test]
fn pages_may_be_the_items_alone() {
    let settings = r#"{"pointer": "/rows", "items_max": 3, "keep": "items", "number": "header:X-Page", "total": "header:x-pages"}"#;
    assert_eq!(
        bodies(settings, EXPORT),
        [r#"[{"id": 9007199254740993},{"id":2,"amount":0.10},3]"#, r#"["four",null]"#]
    );
    let outputs = run(settings, EXPORT).unwrap();
    let headers: Vec<_> = outputs[1].headers.iter().flatten().map(|header| (&*header.name, &*header.value)).collect();
    assert_eq!(headers, [("x-a", "old"), ("x-page", "2"), ("x-pages", "2")]);
    assert_eq!((&outputs[0].content_type, &outputs[0].ordering_key), (&None, &None));
}

/// The bound is of the whole body: pages are filled up to it and never above.
#[test]
fn bytes_bound_the_whole_page() {
    let body = r#"{"a":"around","rows":["12345","12345","12345","12345"]}"#;
    let one = r#"{"a":"around","rows":["12345"]}"#.len();
    let two = one + r#","12345""#.len();
    let split = |bytes_max: usize| bodies(&format!(r#"{{"pointer": "/rows", "bytes_max": {bytes_max}}}"#), body);
    assert_eq!(split(two).iter().map(String::len).collect::<Vec<_>>(), [two, two]);
    assert_eq!(split(two - 1).iter().map(String::len).collect::<Vec<_>>(), [one; 4]);
    assert_eq!(split(body.len()), [body]);
    let both = bodies(&format!(r#"{{"pointer": "/rows", "bytes_max": {}, "items_max": 3}}"#, body.len()), body);
    assert_eq!(both.len(), 2);
    // Where numbers go into the payload, room is kept for the longest.
    let numbered = bodies(&format!(r#"{{"pointer": "/rows", "bytes_max": {}, "number": "/n"}}"#, one + 8), body);
    assert!(numbered.len() == 4 && numbered.iter().all(|page| page.len() == one + 6), "{numbered:?}");
}

#[test]
fn an_item_above_the_bound_is_named() {
    let failure = run(r#"{"pointer": "/rows", "bytes_max": 20, "keep": "items"}"#, EXPORT).unwrap_err();
    assert_eq!(failure.code, "limit");
    let words = "item 0 of /rows has 24 bytes, and what is around it 2: a page would be above `bytes_max`, 20";
    assert_eq!(failure.message, words);
}

#[test]
fn all_pages_have_the_ordering_key() {
    let keys =
        |settings| -> Vec<_> { run(settings, EXPORT).unwrap().into_iter().map(|output| output.ordering_key).collect() };
    let event = r#"{"pointer": "/rows", "items_max": 3, "ordering_key": "event:id"}"#;
    assert_eq!(keys(event), [Some("evt_1".to_owned()), Some("evt_1".to_owned())]);
    let pointer = r#"{"pointer": "/rows", "items_max": 9, "ordering_key": "/export"}"#;
    assert_eq!(keys(pointer), [Some("18446744073709551616".to_owned())]);
    let failure = run(r#"{"pointer": "/rows", "items_max": 9, "ordering_key": "/no"}"#, EXPORT).unwrap_err();
    assert_eq!(failure.message, "there is no /no, which `ordering_key` names");
}

#[test]
fn an_empty_array_is_one_page_and_the_whole_body_may_be_the_array() {
    assert_eq!(bodies(r#"{"pointer": "/rows", "items_max": 1}"#, r#"{"rows":[]}"#), [r#"{"rows":[]}"#]);
    assert_eq!(bodies(r#"{"pointer": "", "items_max": 2}"#, "[1,2,3]"), ["[1,2]", "[3]"]);
}

#[test]
fn what_cannot_be_split_fails_and_says_so() {
    for (body, words) in [
        ("a=b", "the body is not JSON"),
        (r#"{"row": []}"#, "there is no /rows in the body"),
        (r#"{"rows": {}}"#, "an array is to be split, and /rows is an object"),
        (r#"{"rows": null}"#, "/rows is null"),
    ] {
        let failure = run(r#"{"pointer": "/rows", "items_max": 1}"#, body).unwrap_err();
        assert_eq!(failure.code, "input-invalid", "{body}");
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
    assert!(run(r#"{"pointer": "/rows", "items_max": 1, "number": "/done/page"}"#, EXPORT).is_err());
}

#[test]
fn number_and_size_of_pages_are_bounded() {
    let array = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert_eq!(run(r#"{"pointer": "", "items_max": 1}"#, &array(PAGES_MAX)).unwrap().len(), PAGES_MAX);
    let failure = run(r#"{"pointer": "", "items_max": 1}"#, &array(PAGES_MAX + 1)).unwrap_err();
    assert!(failure.code == "limit" && failure.message.contains("PAGES_MAX, 100"), "{failure:?}");

    let around = format!(r#"{{"around":"{}","rows":{}}}"#, "x".repeat(100_000), array(90));
    let failure = run(r#"{"pointer": "/rows", "items_max": 1}"#, &around).unwrap_err();
    assert!(failure.code == "limit" && failure.message.contains("OUTPUT_BYTES_MAX"), "{failure:?}");
    assert_eq!(run(r#"{"pointer": "/rows", "items_max": 1, "keep": "items"}"#, &around).unwrap().len(), 90);
}
