//! What the modules are called with.

use bytes::Bytes;
use hookswitch::model::World;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;

/// One call.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) event_type: String,
    pub(crate) body: Bytes,
    pub(crate) settings: &'static str,
}

const FILTER_SETTINGS: [&str; 3] = [
    r#"{"pointer": "/repository/private", "equals": false}"#,
    r#"{"events": ["push", "pull_request", "issues", "star"], "pointer": "/sender/id", "equals": 21031067}"#,
    r#"{"events": ["pull_request", "workflow_run"]}"#,
];

/// All calls for a world.
pub(crate) fn all(world: World) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, (event_type, body)) in github().into_iter().enumerate() {
        let mut add = |event_type: &str, settings| {
            let name = format!("payload {at}, {event_type}, {settings}");
            cases.push(Case { name, event_type: event_type.to_owned(), body: body.clone(), settings });
        };
        if world == World::Filter {
            FILTER_SETTINGS.into_iter().for_each(|settings| add(&event_type, settings));
        } else {
            add(&event_type, r##"{"channel": "#pulls"}"##);
            // The same taken for a pull request: where something is missing, all have to miss it.
            add("pull_request", "{}");
        }
    }
    cases.extend(odd(world));
    cases
}

/// The payloads that GitHub publishes, with the types of their events.
pub(crate) fn github() -> Vec<(String, Bytes)> {
    #[derive(Deserialize)]
    struct Kind {
        name: String,
        examples: Vec<Box<RawValue>>,
    }
    let file = "../tests/demo/node_modules/@octokit/webhooks-examples/api.github.com/index.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text =
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make setup` first", path.display()));
    let kinds: Vec<Kind> = serde_json::from_slice(&text).unwrap();
    let payloads = |kind: Kind| {
        let name = kind.name;
        kind.examples.into_iter().map(move |body| (name.clone(), Bytes::from(body.get().to_owned())))
    };
    kinds.into_iter().flat_map(payloads).collect()
}

/// Bodies and settings that GitHub never sends.
fn odd(world: World) -> Vec<Case> {
    let case = |settings: &'static str, body: Vec<u8>| {
        let name = format!("odd: {settings} {}", String::from_utf8_lossy(&body));
        Case { name, event_type: "pull_request".to_owned(), body: body.into(), settings }
    };
    let mut cases = Vec::new();
    let broken: [&[u8]; 14] = [
        b"",
        b" ",
        b"{",
        b"nope",
        b"{\"a\":1,}",
        b"[1 2]",
        b"{\"a\":NaN}",
        b"\"\x01\"",
        b"\"\xff\"",
        b"\"\xed\xa0\x80\"",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"{\"a\":01}",
        b"\"\\x\"",
    ];
    let settings = if world == World::Filter { r#"{"pointer": "/a", "equals": 1}"# } else { "{}" };
    cases.extend(broken.iter().map(|body| case(settings, body.to_vec())));
    let wrong: &[&str] = match world {
        World::Filter => &[
            r#"{"event": ["push"]}"#,
            r#"{"events": "push"}"#,
            r#"{"events": [1]}"#,
            r#"{"pointer": "/a"}"#,
            r#"{"equals": 1}"#,
            r#"{"pointer": "a", "equals": 1}"#,
            r#"{"pointer": "/a", "equals": [1]}"#,
            r#"{"pointer": "/a", "equals": 1.5}"#,
            "1",
        ],
        _ => &[r#"{"chanel": "x"}"#, r#"{"channel": 1}"#, "1"],
    };
    cases.extend(wrong.iter().map(|settings| case(settings, b"{}".to_vec())));
    if world == World::Filter {
        cases.extend(FOUND.iter().map(|(settings, body)| case(settings, body.as_bytes().to_vec())));
    } else {
        cases.extend(pulls().into_iter().map(|body| case("{}", body.into_bytes())));
    }
    cases
}

/// Settings with a pointer, and a body to look into.
const FOUND: [(&str, &str); 22] = [
    (r#"{"pointer": "", "equals": null}"#, " null "),
    (r#"{"pointer": "/", "equals": true}"#, r#"{"": true}"#),
    (r#"{"pointer": "/a/1/b", "equals": "x"}"#, r#"{"a": [0, {"b": "x"}]}"#),
    (r#"{"pointer": "/a/01", "equals": 2}"#, r#"{"a": [1, 2]}"#),
    (r#"{"pointer": "/a/2", "equals": 2}"#, r#"{"a": [1, 2]}"#),
    (r#"{"pointer": "/a/-", "equals": 2}"#, r#"{"a": [1, 2]}"#),
    (r#"{"pointer": "/a/length", "equals": 2}"#, r#"{"a": [1, 2]}"#),
    (r#"{"pointer": "/a/0", "equals": "x"}"#, r#"{"a": "xy"}"#),
    (r#"{"pointer": "/x~1y/m~0n", "equals": 1}"#, r#"{"x/y": {"m~n": 1}}"#),
    (r#"{"pointer": "/a", "equals": 9007199254740993}"#, r#"{"a": 9007199254740993}"#),
    (r#"{"pointer": "/a", "equals": 9007199254740993}"#, r#"{"a": 9007199254740992}"#),
    (r#"{"pointer": "/a", "equals": -123456789012345678901234567890}"#, r#"{"a": -123456789012345678901234567890}"#),
    (r#"{"pointer": "/a", "equals": "1"}"#, r#"{"a": 1}"#),
    (r#"{"pointer": "/a", "equals": 1}"#, r#"{"a": true}"#),
    (r#"{"pointer": "/a", "equals": false}"#, r#"{"a": 0}"#),
    (r#"{"pointer": "/a", "equals": null}"#, r#"{"b": null}"#),
    (r#"{"pointer": "/a", "equals": null}"#, r#"{"a": {}}"#),
    (r#"{"pointer": "/a", "equals": "é😀\n"}"#, r#"{"a": "\u00e9\ud83d\ude00\u000a"}"#),
    (r#"{"pointer": "/\u00e9", "equals": "é"}"#, r#"{"é": "\u00E9"}"#),
    (r#"{"pointer": "/a", "equals": 2}"#, r#"{"a": 1, "a": 2}"#),
    (r#"{"pointer": "/constructor/name", "equals": "Object"}"#, "{}"),
    (
        r#"{"pointer": "/a", "equals": "\u00001234567890123456"}"#,
        r#"{"a": "\u00001234567890123456", "b": 1234567890123456}"#,
    ),
];

/// Pull requests with what is odd in one of their values.
fn pulls() -> Vec<String> {
    let pull = |id: &str, title: &str, merged: &str| {
        format!(
            r#"{{"action": "closed", "sender": {{"login": "a&b"}}, "repository": {{"id": {id}, "full_name": "o/<r>"}},
            "pull_request": {{"id": {id}, "number": 7, "title": {title}, "html_url": "http://x/?a=1&b=2", "merged": {merged}}}}}"#
        )
    };
    let ids = ["9007199254740993", "18446744073709551616", "-123456789012345678901234567890", "1.5", "\"1\"", "null"];
    let titles = [
        r#""<!channel> & \"quoted\" \\ \u0000 \n""#,
        r#""\u00e9\ud83d\ude00 é😀""#,
        r#""""#,
        "[]",
        r#""1234567890123456""#,
    ];
    let merged = ["true", "false", "\"true\"", "1", "null"];
    let by_id = ids.iter().map(|id| pull(id, "\"t\"", "true"));
    let by_title = titles.iter().map(|title| pull("1", title, "false"));
    let by_merged = merged.iter().map(|merged| pull("1", "\"t\"", merged));
    by_id.chain(by_title).chain(by_merged).chain(["[]".to_owned(), "null".to_owned(), "\"text\"".to_owned()]).collect()
}
