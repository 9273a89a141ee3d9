//! JSONTestSuite as bodies: of events, which are taken byte for byte whatever they are, and of resources, where the text decides. The suite's
//! package has its texts as strings; what is no UTF-8 in it is lost there and stands here.

use super::book::Book;
use super::support::Host;
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// The cases that are no UTF-8, as hexadecimal digits.
const BYTES: [(&str, &str); 25] = [
    ("i_string_UTF-16LE_with_BOM.json", "fffe5b002200e90022005d00"),
    ("i_string_UTF-8_invalid_sequence.json", "5b22e697a5d188fa225d"),
    ("i_string_UTF8_surrogate_U+D800.json", "5b22eda080225d"),
    ("i_string_invalid_utf-8.json", "5b22ff225d"),
    ("i_string_iso_latin_1.json", "5b22e9225d"),
    ("i_string_lone_utf8_continuation_byte.json", "5b2281225d"),
    ("i_string_not_in_unicode_range.json", "5b22f4bfbfbf225d"),
    ("i_string_overlong_sequence_2_bytes.json", "5b22c0af225d"),
    ("i_string_overlong_sequence_6_bytes.json", "5b22fc83bfbfbfbf225d"),
    ("i_string_overlong_sequence_6_bytes_null.json", "5b22fc8080808080225d"),
    ("i_string_truncated-utf-8.json", "5b22e0ff225d"),
    ("i_string_utf16BE_no_BOM.json", "005b002200e90022005d"),
    ("i_string_utf16LE_no_BOM.json", "5b002200e90022005d00"),
    ("n_array_a_invalid_utf8.json", "5b61e55d"),
    ("n_array_invalid_utf8.json", "5bff5d"),
    ("n_number_invalid-utf-8-in-bigger-int.json", "5b313233e55d"),
    ("n_number_invalid-utf-8-in-exponent.json", "5b316531e55d"),
    ("n_number_invalid-utf-8-in-int.json", "5b30e55d0a"),
    ("n_number_real_with_invalid_utf8_after_e.json", "5b3165e55d"),
    ("n_object_lone_continuation_byte_in_key_and_trailing_comma.json", "7b22b9223a2230222c7d"),
    ("n_string_invalid-utf-8-in-escape.json", "5b225c75e5225d"),
    ("n_string_invalid_utf8_after_escape.json", "5b225ce5225d"),
    ("n_structure_incomplete_UTF8_BOM.json", "efbb7b7d"),
    ("n_structure_lone-invalid-utf-8.json", "e5"),
    ("n_structure_single_eacute.json", "e9"),
];
/// What the suite has: 95 texts that are JSON, 188 that are not, 35 that may be either.
const SUITE: [(char, usize); 3] = [('y', 95), ('n', 188), ('i', 35)];

#[derive(Deserialize)]
struct Text {
    name: String,
    input: String,
}

/// A case.
pub(crate) struct Case {
    name: String,
    bytes: Bytes,
}

/// The suite, as it is installed.
pub(crate) fn suite() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/edge");
    let output = Command::new("node").arg("json-cases.mjs").current_dir(folder).output().expect("node is there");
    assert!(output.status.success(), "run `make edge`: {}", String::from_utf8_lossy(&output.stderr));
    let texts: Vec<Text> = serde_json::from_slice(&output.stdout).unwrap();
    for (kind, count) in SUITE {
        assert_eq!(texts.iter().filter(|text| text.name.starts_with(kind)).count(), count, "{kind}_");
    }
    texts.into_iter().map(|Text { name, input }| Case { bytes: bytes_of(&name, input), name }).collect()
}

fn bytes_of(name: &str, input: String) -> Bytes {
    let Some((_, hex)) = BYTES.iter().find(|(known, _)| *known == name) else {
        assert!(!input.contains('\u{fffd}'), "{name} has lost bytes that are not known here");
        return Bytes::from(input);
    };
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digits).collect();
    assert_eq!(String::from_utf8_lossy(&bytes), input, "{name}: other bytes than the suite's");
    Bytes::from(bytes)
}

/// Sends all of them as events: each is taken, and comes back as it was.
pub(crate) async fn as_events(host: &Host, suite: &[Case], book: &mut Book) {
    book.group("JSONTestSuite as events");
    for Case { name, bytes } in suite {
        let headers = [("content-type", "application/json")];
        let taken = host.ingest.send(Method::POST, "/in/acme/in", &headers, bytes.clone()).await;
        let wrong = if taken.status == 202 {
            let path = format!("/v1/tenants/acme/events/{}/body", taken.json()["id"].as_str().unwrap());
            let stored = host.admin.get(&path).await.body;
            (stored != *bytes).then(|| format!("came back as {stored:?}"))
        } else {
            Some("was not taken".to_owned())
        };
        book.case(name, &[taken.status.as_u16()], false, wrong);
    }
    book.print_group();
}

/// Puts all of them as resources: none is a fault of the host, and of what is no JSON none is one.
pub(crate) async fn as_resources(host: &Host, suite: &[Case], kinds: &[&str], book: &mut Book) {
    book.group("JSONTestSuite as resources");
    host.put("/v1/tenants/suite", &json!({})).await;
    for kind in kinds {
        let path = match *kind {
            "tenant" => "/v1/tenants/suite".to_owned(),
            kind => format!("/v1/tenants/suite/{kind}s/x"),
        };
        for Case { name, bytes } in suite {
            let headers = [("content-type", "application/json")];
            let answer = host.admin.send(Method::PUT, &path, &headers, bytes.clone()).await;
            let status = answer.status.as_u16();
            let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
            let fits = match (name.chars().next(), status) {
                // A tenant is well with nothing said of it.
                (Some('y'), 200 | 201) => *kind == "tenant" && bytes.trim_ascii().starts_with(b"{"),
                (Some('y'), _) => status == 422,
                (Some('n'), _) => (400..500).contains(&status),
                _ => status < 500,
            };
            let wrong = (!fits).then(|| format!("as a {kind}: {code}"));
            book.case(name, &[status], false, wrong);
        }
    }
    book.print_group();
}
