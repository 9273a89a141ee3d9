//! Tests of [`super`], on documents as shops and banks send them.

use serde_json::{Value, json};

use super::*;

fn run(settings: &str, body: &str) -> Result<Value, Failure> {
    let settings = serde_json::from_str(settings).unwrap();
    let message = Message { content_type: "text/xml".to_owned(), body: body.into(), ..Message::default() };
    let outputs = apply(&settings, &Event::default(), &message)?;
    assert_eq!((outputs.len(), outputs[0].content_type.as_deref()), (1, Some("application/json")));
    Ok(serde_json::from_slice(outputs[0].body.as_deref().unwrap()).unwrap())
}

const ORDER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<order id="9007199254740993" status="paid">
    <!-- as the shop sends it -->
    <customer vip="yes">  Zoë &amp; Söhne  </customer>
    <line><sku>007</sku><amount currency="EUR">12.50</amount></line>
    <note/>
    <line><sku>B</sku><amount>1e3</amount></line>
    <comment><![CDATA[<b>bold</b>]]></comment>
</order>"#;

#[test]
fn an_order_is_mapped() {
    let expected = json!({"order": {
        "@id": "9007199254740993", "@status": "paid",
        "customer": {"@vip": "yes", "#text": "Zoë & Söhne"},
        "line": [{"sku": "007", "amount": {"@currency": "EUR", "#text": "12.50"}}, {"sku": "B", "amount": "1e3"}],
        "note": "", "comment": "<b>bold</b>",
    }});
    assert_eq!(run("{}", ORDER).unwrap(), expected);
}

#[test]
fn the_order_of_keys_is_that_of_the_document() {
    let body = "<r z='1' a='2'><y/><x/><y/></r>";
    let outputs = apply(
        &serde_json::from_str("{}").unwrap(),
        &Event::default(),
        &Message { body: body.into(), ..Message::default() },
    );
    let text = String::from_utf8(outputs.unwrap().remove(0).body.unwrap()).unwrap();
    assert_eq!(text, r##"{"r":{"@z":"1","@a":"2","y":["",""],"x":""}}"##);
}

#[test]
fn one_element_is_an_array_where_the_settings_say_so() {
    let body = "<order><line>1</line><notes><note>n</note></notes><other><note>o</note></other></order>";
    assert_eq!(run("{}", body).unwrap()["order"]["line"], json!("1"));
    let order = run(r#"{"arrays": ["line", "/order/notes/note"]}"#, body).unwrap();
    assert_eq!(order["order"], json!({"line": ["1"], "notes": {"note": ["n"]}, "other": {"note": "o"}}));
}

/// As in a SOAP call.
#[test]
fn prefixes_go_where_the_settings_say_so() {
    let body = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:x">
        <s:Body><pay xsi:type="card"><amount>5</amount></pay></s:Body></s:Envelope>"#;
    let kept = run("{}", body).unwrap();
    assert_eq!(kept["s:Envelope"]["s:Body"]["pay"]["amount"], "5");
    assert_eq!(kept["s:Envelope"]["@xmlns"], "urn:x");
    let stripped = run(r#"{"strip_prefixes": true, "arrays": ["/Envelope/Body/pay"]}"#, body).unwrap();
    assert_eq!(stripped, json!({"Envelope": {"Body": {"pay": [{"@xsi:type": "card", "amount": "5"}]}}}));
}

#[test]
fn mixed_text_is_joined_and_space_kept_on_demand() {
    let body = "<p> Hello <b>big</b> world\n</p>";
    assert_eq!(run("{}", body).unwrap(), json!({"p": {"b": "big", "#text": "Hello  world"}}));
    assert_eq!(run(r#"{"trim": false}"#, body).unwrap()["p"]["#text"], " Hello  world\n");
    assert_eq!(run(r#"{"trim": false}"#, "<a>\n <b> x </b>\n</a>").unwrap(), json!({"a": {"b": " x "}}));
}

#[test]
fn what_is_not_xml_and_what_is_too_deep_fails() {
    for (body, code, words) in [
        ("{}".to_owned(), "input-invalid", "line 1 column 1"),
        ("<a><b></a>".to_owned(), "input-invalid", "line 1 column 7"),
        ("<!DOCTYPE a><a/>".to_owned(), "input-invalid", "document type declaration"),
        (format!("{}{}", "<a>".repeat(65), "</a>".repeat(65)), "limit", "DEPTH_MAX"),
    ] {
        let failure = run("{}", &body).unwrap_err();
        assert_eq!(failure.code, code, "{body}");
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
}
