//! Tests of [`super`], on an order as a shop sends it.

use super::*;

const ORDER: &str = r#"{"id":9007199254740993,"total":12.50,"customer":{"name":"Zoë","email":"zoe@example.com","phone":null},
 "items":[{"sku":"A","card":{"number":"4111111111111111"}},{"sku":"B","card":{"number":4222222222222}}], "n": 1e400}"#;

fn run(settings: &str, body: &str) -> Result<Vec<Output>, Failure> {
    let settings = serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    apply(&settings, &Event::default(), &Message::from_json(body))
}

fn body(settings: &str, body: &str) -> String {
    let mut outputs = run(settings, body).unwrap_or_else(|failure| panic!("{settings}: {failure:?}"));
    assert_eq!((outputs.len(), &outputs[0].content_type), (1, &None), "{settings}");
    String::from_utf8(outputs.remove(0).body.expect("a body")).unwrap()
}

#[test]
fn removed_is_gone_and_the_rest_stays_byte_for_byte() {
    let redacted = body(r#"{"remove": ["/customer/email", "/items/*/card", "/nope/*"]}"#, ORDER);
    let expected = r#"{"id":9007199254740993,"total":12.50,"customer":{"name":"Zoë","phone":null},"#.to_owned()
        + r#""items":[{"sku":"A"},{"sku":"B"}],"n":1e400}"#;
    assert_eq!(redacted, expected);
    assert_eq!(body(r#"{"remove": ["/a/0"]}"#, r#"{"a":[1,2,3]}"#), r#"{"a":[2,3]}"#);
    assert_eq!(body(r#"{"remove": ["/a/*"]}"#, r#"{"a":[1,2,3]}"#), r#"{"a":[]}"#);
    assert_eq!(body(r#"{"remove": ["/*"]}"#, r#"{"a":1,"b":2}"#), "{}");
}

#[test]
fn masked_keeps_the_end_at_most() {
    let card = body(r#"{"mask": ["/items/*/card/number"], "mask_keep": 4}"#, ORDER);
    assert!(card.contains(r#""***1111""#) && card.contains(r#""***2222""#), "{card}");
    let all = r#"{"a":"short","b":12345678,"c":null,"d":true,"e":{"x":1},"f":[1],"g":"","h":"ééééé"}"#;
    let masked = body(r##"{"mask": ["/*"], "mask_keep": 3, "mask_with": "#"}"##, all);
    assert_eq!(masked, r##"{"a":"#","b":"#678","c":"#","d":"#","e":"#","f":"#","g":"#","h":"#"}"##);
}

/// The digests are Python's: `hmac.new(b"3c1f9a70b25e4d68", b"…", "sha256").hexdigest()`.
#[test]
fn hashed_is_hmac_sha256() {
    let settings = r#"{"hash": ["/customer/*"], "salt": "3c1f9a70b25e4d68"}"#;
    let hashed =
        body(settings, r#"{"customer":{"email":"zoe@example.com","id":9007199254740993,"vip":true,"phone":null}}"#);
    let expected = r#"{"customer":{"email":"5dfa9521288185d2f00916064d1bc21bd0a5f6570ef90ae5f37f28f36cac6266","id":"4677062b38aab52b4f5ad3bc70061b02a69941e694eae7b4631cb3e408ed37a0","vip":"1879f7720b65999bad8a3e73ea3d82a280f6eff00ebbee8bb543e923d4e372a6","phone":null}}"#;
    assert_eq!(hashed, expected);
    let escaped = body(settings, r#"{"customer":{"email":"\u007aoe@example.com"}}"#);
    assert!(
        escaped.contains("5dfa9521288185d2f00916064d1bc21bd0a5f6570ef90ae5f37f28f36cac6266"),
        "the characters count, not how they are written"
    );
    let failure = run(settings, r#"{"customer":{"address":{}}}"#).unwrap_err();
    assert_eq!(failure, Failure::input_invalid("/customer/*: an object is not hashed; remove or mask it"));
}

/// Parsers differ in which of several equal keys they take: none of them gets through.
#[test]
fn every_one_of_equal_keys_is_redacted() {
    let twice = r#"{"user":{"email":"a@example.com","email":"b@example.com"},"user":{"email":"c@example.com"}}"#;
    for settings in [
        r#"{"remove": ["/user/email"]}"#,
        r#"{"mask": ["/user/email"]}"#,
        r#"{"hash": ["/user/email"], "salt": "3c1f9a70b25e4d68"}"#,
    ] {
        let redacted = body(settings, twice);
        assert!(!redacted.contains("example.com"), "{settings}: {redacted}");
    }
    // However the key is written.
    assert_eq!(body(r#"{"remove": ["/email"]}"#, r#"{"\u0065mail":"a","x":1}"#), r#"{"x":1}"#);
}

#[test]
fn removal_comes_first_and_a_mask_hides_what_would_be_hashed() {
    let settings = r#"{"remove": ["/a"], "mask": ["/*"], "hash": ["/b"], "salt": "3c1f9a70b25e4d68"}"#;
    let redacted = body(settings, r#"{"a":"x","b":"x","c":"x"}"#);
    assert!(!redacted.contains('x') && redacted.contains(r#""c":"***""#), "{redacted}");
}

#[test]
fn a_body_without_any_of_it_stays_and_one_that_is_not_json_fails() {
    assert_eq!(run(r#"{"remove": ["/a"]}"#, r#"{ "b" : 1 }"#), Ok(vec![Output::unchanged()]));
    assert_eq!(run(r#"{"remove": ["/a/b"]}"#, "[1]"), Ok(vec![Output::unchanged()]));
    let failure = run(r#"{"remove": ["/a"]}"#, "a=secret").unwrap_err();
    assert!(failure.code == "input-invalid" && !failure.message.contains("secret"), "{failure:?}");
}
