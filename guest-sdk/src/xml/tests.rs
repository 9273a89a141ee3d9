//! Tests of [`super`].

use super::*;

const ORDER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- from the shop -->
<o:order xmlns:o="urn:shop" id="9007199254740993">
  <line sku='A&amp;B &#x41;'>2 &lt; 3</line>
  <note><![CDATA[<b>&amp;</b>]]> &quot;ok&quot;</note>
  <empty/>
</o:order>
"#;

#[test]
fn a_document_is_read() {
    let order = Message { body: ORDER.into(), ..Message::default() }.xml().unwrap();
    assert_eq!(
        (order.name.as_str(), order.attribute("xmlns:o"), order.attribute("no")),
        ("o:order", Some("urn:shop"), None)
    );
    assert_eq!(order.attribute("id"), Some("9007199254740993"), "text stays exact");
    let line = order.element("line").unwrap();
    assert_eq!((line.attribute("sku"), line.text().as_str()), (Some("A&B A"), "2 < 3"));
    assert_eq!(order.element("note").unwrap().children, [Node::Text("<b>&amp;</b> \"ok\"".to_owned())]);
    assert_eq!(order.element("empty"), Some(&Element::new("empty")));
    assert_eq!(order.elements().count(), 3);
    assert_eq!(order.text().trim(), "");
}

#[test]
fn what_is_written_reads_back_as_it_was() {
    let tree = Element::new("ä:r")
        .with_attribute("a", "\"x\" <&>\t\r\n'")
        .with_text("1 < 2 && \r\n ]]> é 🚀")
        .with_element(Element::new("e.m-p_1"))
        .with_text("tail");
    let output = Output::xml(&tree).unwrap();
    assert_eq!(output.content_type.as_deref(), Some("application/xml; charset=utf-8"));
    assert_eq!(Element::parse(&output.body.unwrap()).unwrap(), tree);
    let order = Element::parse(ORDER.as_bytes()).unwrap();
    assert_eq!(Element::parse(order.to_text().unwrap().as_bytes()).unwrap(), order);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    let tree = Element::parse("\u{feff}<?xml version='1.0'?>\r\n<a>x\r\ny</a>\r\n".as_bytes()).unwrap();
    assert_eq!(tree, Element::new("a").with_text("x\ny"));
}

/// Each pair: a body, and what the failure has to say.
#[test]
fn what_is_not_xml_is_refused_with_its_place() {
    for (body, words) in [
        ("", "there is no element"),
        ("<!-- only -->", "there is no element"),
        ("{\"a\": 1}", "line 1 column 1: there is text outside"),
        ("<a>\n  <b></c></a>", "line 2 column 6"),
        ("<a>\n <b>", "line 2 column 5: `<b>` is not closed"),
        ("<a/>\n<b/>", "line 2 column 1: there is a second root element"),
        ("<a/>x", "line 1 column 5: there is text outside"),
        ("</a>", "line 1 column 1"),
        ("<a b=1/>", "line 1 column 1"),
        ("<a b='1' b='2'/>", "line 1 column 1"),
        ("<a b='<'/>", "write `&lt;`"),
        ("<1/>", "`1` is no name"),
        ("<a>\u{1}</a>", "line 1 column 4: XML has no character U+0001"),
        ("<a>&#0;</a>", "line 1 column 4"),
        ("<a>&#55296;</a>", "line 1 column 4"),
        ("<a b='&#1;'/>", "XML has no character U+0001"),
        ("<a>&nbsp;</a>", "line 1 column 4: the entity `&nbsp;` is unknown"),
        ("<a b='&nbsp;'/>", "line 1 column 1"),
        ("<a>x & y</a>", "line 1 column 6"),
        ("<a><!-- </a>", "line 1 column 4"),
        ("<?xml version='1.1'?><a/>", "it is XML 1.1"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "its encoding is `ISO-8859-1`; only UTF-8 is read"),
        ("<!DOCTYPE html><html/>", "line 1 column 1: a document type declaration is not taken"),
    ] {
        let failure = Element::parse(body.as_bytes()).unwrap_err();
        assert_eq!(failure.code, "input-invalid", "{body}");
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
    assert_eq!(Element::parse(b"<a>\xff</a>").unwrap_err().code, "input-invalid");
}

/// The classic attacks end at the declaration they need.
#[test]
fn entities_do_not_expand_and_nothing_is_fetched() {
    for body in [
        "<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>",
        "<!DOCTYPE l [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><l>&f;</l>",
        "<!DOCTYPE l SYSTEM \"http://example.com/evil.dtd\"><l/>",
    ] {
        let failure = Element::parse(body.as_bytes()).unwrap_err();
        assert!(failure.message.contains("document type declaration"), "{body}: {}", failure.message);
    }
}

#[test]
fn depth_nodes_and_attributes_are_bounded() {
    let over = |body: String| {
        let failure = Element::parse(body.as_bytes()).unwrap_err();
        assert_eq!(failure.code, "limit");
        failure.message
    };
    let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(Element::parse(deep(DEPTH_MAX).as_bytes()).unwrap().to_text().is_ok());
    assert!(over(deep(DEPTH_MAX + 1)).contains("DEPTH_MAX, 64 levels"));
    assert!(over(deep(100_000)).contains("DEPTH_MAX"));

    let wide = |nodes: usize| format!("<a>{}</a>", "<b/>".repeat(nodes - 1));
    assert!(Element::parse(wide(NODES_MAX).as_bytes()).is_ok());
    assert!(over(wide(NODES_MAX + 1)).contains("NODES_MAX, 100000"));

    let attributes = |count: usize| (0..count).fold("<a".to_owned(), |tag, n| format!("{tag} n{n}=''")) + "/>";
    assert!(Element::parse(attributes(ATTRIBUTES_MAX).as_bytes()).is_ok());
    assert!(over(attributes(ATTRIBUTES_MAX + 1)).contains("ATTRIBUTES_MAX, 256"));
}

#[test]
fn what_xml_cannot_hold_is_not_written() {
    let deep = (0..DEPTH_MAX).fold(Element::new("a"), |inner, _| Element::new("a").with_element(inner));
    for (tree, words) in [
        (Element::new("a b"), "\"a b\" is no name"),
        (Element::new("a").with_attribute("1", ""), "\"1\" is no name"),
        (Element::new("a").with_attribute("b", "").with_attribute("b", ""), "the attribute `b` twice"),
        (Element::new("a").with_text("\0"), "U+0000"),
        (deep, "DEPTH_MAX"),
    ] {
        let failure = Output::xml(&tree).unwrap_err();
        assert_eq!(failure.code, "output-invalid");
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}
