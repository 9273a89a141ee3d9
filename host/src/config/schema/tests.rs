use super::*;
use serde_json::json;

const STEPS: u64 = 1_000_000;

fn places(schema: &Value, payload: &Value) -> Vec<String> {
    let errors = Schema::compile(schema).unwrap().errors(payload, STEPS).unwrap();
    errors.into_iter().map(|error| error.pointer).collect()
}

#[test]
fn each_keyword_takes_what_fits_and_nothing_else() {
    // A schema, what fits it, what does not.
    let cases = [
        (json!({ "type": "integer" }), json!([1, -1, 1.0, 1e3, u64::MAX]), json!([1.5, "1", null, true, [], {}])),
        (json!({ "type": ["string", "null"] }), json!(["", null]), json!([0, false, []])),
        (json!({ "type": "number" }), json!([1, 1.5]), json!(["1"])),
        (json!({ "const": { "a": [1] } }), json!([{ "a": [1.0] }]), json!([{ "a": [1, 1] }, { "a": 1 }, null])),
        (json!({ "enum": [1, "a", null] }), json!([1.0, "a", null]), json!([2, "b", false])),
        (json!({ "enum": [] }), json!([]), json!([null])),
        (json!({ "minimum": 1, "maximum": 3.5 }), json!([1, 3.5, "0", {}]), json!([0.9, 4, -1])),
        (json!({ "exclusiveMinimum": 1, "exclusiveMaximum": 2 }), json!([1.5]), json!([1, 2])),
        (
            json!({ "minimum": 9_007_199_254_740_993_i64 }),
            json!([9_007_199_254_740_993_i64]),
            json!([9_007_199_254_740_992_i64]),
        ),
        (json!({ "multipleOf": 3 }), json!([0, -9, 9.0]), json!([1, 10, 1.5])),
        (json!({ "multipleOf": 0.01 }), json!([0.07, 19.99, 2]), json!([0.005])),
        (json!({ "minLength": 2, "maxLength": 3 }), json!(["äö", "abc", 1]), json!(["ä", "abcd"])),
        (json!({ "pattern": "^a.c" }), json!(["abc", "abcd", 1]), json!(["xabc", ""])),
        (json!({ "minItems": 1, "maxItems": 2 }), json!([[1], [1, 2], {}]), json!([[], [1, 2, 3]])),
        (
            json!({ "uniqueItems": true }),
            json!([[1, "1", [1], { "a": 1 }], []]),
            json!([[1, 1.0], [{ "a": 1, "b": 2 }, { "b": 2, "a": 1 }]]),
        ),
        (
            json!({ "prefixItems": [{ "type": "string" }], "items": { "type": "number" } }),
            json!([[], ["a"], ["a", 1]]),
            json!([[1], ["a", "b"]]),
        ),
        (json!({ "prefixItems": [true], "items": false }), json!([[], [1]]), json!([[1, 2]])),
        (json!({ "contains": { "const": 1 } }), json!([[0, 1], "x"]), json!([[], [0]])),
        (json!({ "contains": { "const": 1 }, "minContains": 0, "maxContains": 1 }), json!([[], [1]]), json!([[1, 1]])),
        (json!({ "minProperties": 1, "maxProperties": 1 }), json!([{ "a": 1 }, 1]), json!([{}, { "a": 1, "b": 2 }])),
        (json!({ "required": ["a"] }), json!([{ "a": null }, 1]), json!([{}, { "b": 1 }])),
        (
            json!({ "properties": { "a": { "type": "string" } }, "patternProperties": { "^n": { "type": "number" } }, "additionalProperties": false }),
            json!([{}, { "a": "", "n1": 1 }, []]),
            json!([{ "a": 1 }, { "n1": "" }, { "b": 1 }]),
        ),
        (
            json!({ "properties": { "ab": true }, "patternProperties": { "^a": { "const": 1 } } }),
            json!([{ "ab": 1 }]),
            json!([{ "ab": 2 }]),
        ),
        (json!({ "propertyNames": { "maxLength": 1 } }), json!([{ "a": 1 }]), json!([{ "ab": 1 }])),
        (
            json!({ "dependentRequired": { "a": ["b"] } }),
            json!([{}, { "b": 1 }, { "a": 1, "b": 1 }]),
            json!([{ "a": 1 }]),
        ),
        (
            json!({ "dependentSchemas": { "a": { "maxProperties": 1 } } }),
            json!([{ "a": 1 }, { "b": 1, "c": 1 }]),
            json!([{ "a": 1, "b": 1 }]),
        ),
        (json!({ "allOf": [{ "minimum": 1 }, { "maximum": 2 }] }), json!([1, 2]), json!([0, 3])),
        (json!({ "anyOf": [{ "type": "string" }, { "minimum": 1 }] }), json!(["", 1]), json!([0])),
        (json!({ "oneOf": [{ "minimum": 1 }, { "maximum": 2 }] }), json!([0, 3]), json!([1, 2])),
        (json!({ "not": { "type": "null" } }), json!([0]), json!([null])),
        (
            json!({ "if": { "type": "string" }, "then": { "minLength": 1 }, "else": { "minimum": 1 } }),
            json!(["a", 1, null]),
            json!(["", 0]),
        ),
        (json!({ "then": false }), json!([1]), json!([])),
        (json!({ "$ref": "#/$defs/a~1b%20c", "$defs": { "a/b c": { "type": "null" } } }), json!([null]), json!([1])),
        (
            json!({ "$ref": "#/$defs/a", "minimum": 5, "$defs": { "a": { "type": "integer" } } }),
            json!([5]),
            json!([4, 5.5]),
        ),
        (
            json!({ "properties": { "next": { "$ref": "#" }, "n": { "type": "integer" } }, "required": ["n"] }),
            json!([{ "n": 1 }, { "n": 1, "next": { "n": 2 } }]),
            json!([{ "n": 1, "next": { "next": { "n": 1 } } }]),
        ),
        (
            json!({ "format": "email", "title": "x", "default": 1, "x-own": [], "$comment": "" }),
            json!(["no mail", 1]),
            json!([]),
        ),
        (json!(true), json!([1]), json!([])),
        (json!(false), json!([]), json!([1])),
    ];
    for (schema, fits, not) in cases {
        for payload in fits.as_array().unwrap() {
            assert_eq!(places(&schema, payload), [""; 0], "{schema} takes {payload}");
        }
        for payload in not.as_array().unwrap() {
            assert_ne!(places(&schema, payload), [""; 0], "{schema} does not take {payload}");
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_its_value() {
    let schema = json!({
        "required": ["id"],
        "properties": {
            "id": { "type": "integer" },
            "mail": { "pattern": "^[a-z]+@" },
            "a/b": { "items": { "anyOf": [{ "enum": ["a"] }, { "minimum": 1 }] } },
        },
    });
    let payload = json!({ "id": "hush", "mail": "HUSH", "a/b": ["a", 1, 0, 0, 0] });
    let errors = Schema::compile(&schema).unwrap().errors(&payload, STEPS).unwrap();
    let told: Vec<(&str, &str)> = errors.iter().map(|error| (error.pointer.as_str(), error.message.as_str())).collect();
    assert_eq!(
        told,
        [
            ("/a~1b/2", "fits none of 2 alternatives"),
            ("/a~1b/3", "fits none of 2 alternatives"),
            ("/a~1b/4", "fits none of 2 alternatives"),
            ("/id", "is not of the type integer"),
        ]
    );
    let errors = Schema::compile(&schema).unwrap().errors(&json!({ "mail": "HUSH" }), STEPS).unwrap();
    let told: Vec<(&str, &str)> = errors.iter().map(|error| (error.pointer.as_str(), error.message.as_str())).collect();
    assert_eq!(told, [("", "needs `id`"), ("/mail", "does not match `^[a-z]+@`")]);
}

#[test]
fn what_never_ends_or_takes_too_long_ends_all_the_same() {
    let doubling = {
        let mut defs = serde_json::Map::from_iter([("d0".to_owned(), json!({ "type": "number" }))]);
        for n in 1..60 {
            let below = json!({ "$ref": format!("#/$defs/d{}", n - 1) });
            defs.insert(format!("d{n}"), json!({ "allOf": [below, below] }));
        }
        json!({ "$ref": "#/$defs/d59", "$defs": defs })
    };
    // A small schema that asks for the same a thousand times.
    let many = |what: Value| json!({ "$defs": { "it": what }, "allOf": vec![json!({ "$ref": "#/$defs/it" }); 1_000] });
    let deep = (0..100).fold(json!(1), |inner, _| json!({ "c": inner }));
    let twice =
        json!({ "allOf": [{ "properties": { "c": { "$ref": "#" } } }, { "properties": { "c": { "$ref": "#" } } }] });
    let cases = [
        (json!({ "$ref": "#" }), json!(1)),
        (json!({ "anyOf": [{ "not": { "$ref": "#" } }] }), json!(1)),
        (doubling, json!(1)),
        (twice, deep),
        (json!({ "items": { "type": "number" } }), json!(vec![1; 500_000])),
        (json!({ "pattern": "(a|b)*c" }), json!("a".repeat(20_000_000))),
        (many(json!({ "uniqueItems": true })), json!(["a".repeat(1_000_000)])),
        (many(json!({ "uniqueItems": true })), json!([{ "a".repeat(1_000_000): 1 }])),
        (many(json!({ "propertyNames": true })), json!({ "a".repeat(1_000_000): 1 })),
    ];
    for (schema, payload) in cases {
        let compiled = Schema::compile(&schema).unwrap();
        assert_eq!(compiled.errors(&payload, STEPS), Err(OutOfSteps), "{:.300}", schema.to_string());
    }
}

#[test]
fn what_is_no_schema_or_not_supported_is_refused_with_its_place() {
    let patterns: serde_json::Map<String, Value> = (0..21).map(|n| (format!("{n}"), json!(true))).collect();
    let chain: serde_json::Map<String, Value> =
        (0..1_000).map(|n| (format!("{n}"), json!({ "$ref": format!("#/$defs/{}", n + 1) }))).collect();
    let cases = [
        (json!({ "$ref": "#/$defs/0", "$defs": chain }), "/$defs/127", "deeper than 128"),
        (json!({ "type": "objekt" }), "/type", "none of"),
        (json!({ "type": [] }), "/type", "a list of them"),
        (json!({ "properties": { "a": { "minimum": "1" } } }), "/properties/a/minimum", "has to be a number"),
        (json!({ "exclusiveMinimum": true }), "/exclusiveMinimum", "has to be a number"),
        (json!({ "multipleOf": 0 }), "/multipleOf", "above 0"),
        (json!({ "minLength": -1 }), "/minLength", "from 0 on"),
        (json!({ "required": "id" }), "/required", "list of strings"),
        (json!({ "dependentRequired": { "a": [1] } }), "/dependentRequired/a", "list of strings"),
        (json!({ "items": [{}] }), "/items", "prefixItems"),
        (json!({ "anyOf": [] }), "/anyOf", "one at least"),
        (json!({ "not": 7 }), "/not", "is no schema"),
        (json!({ "enum": 1 }), "/enum", "list of values"),
        (json!({ "pattern": "(?=a)" }), "/pattern", "look-around"),
        (json!({ "pattern": "(a{1000}){1000}" }), "/pattern", "size limit"),
        (json!({ "patternProperties": { "(": true } }), "/patternProperties/(", "unclosed group"),
        (json!({ "patternProperties": patterns }), "/patternProperties/9", "more than 20"),
        (json!({ "unevaluatedProperties": false }), "/unevaluatedProperties", "additionalProperties"),
        (json!({ "items": { "$dynamicRef": "#a" } }), "/items/$dynamicRef", "not supported"),
        (json!({ "items": { "$id": "http://x/" } }), "/items/$id", "leave it out"),
        (json!({ "$ref": "https://example.com/a.json" }), "/$ref", "nothing is fetched"),
        (json!({ "$ref": "file:///etc/passwd" }), "/$ref", "nothing is fetched"),
        (json!({ "$ref": "#anchor" }), "/$ref", "an anchor"),
        (json!({ "$ref": "#/$defs/a" }), "/$ref", "leads to nothing"),
        (json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), "/$schema", "2020-12"),
        (json!({ "description": "x".repeat(SCHEMA_BYTES_MAX) }), "", "at most 65536"),
        (json!(7), "", "is no schema"),
    ];
    for (schema, pointer, says) in cases {
        let refused = Schema::compile(&schema).unwrap_err();
        assert!(refused.pointer == pointer && refused.message.contains(says), "{refused:?}");
    }
    let dialect = "https://json-schema.org/draft/2020-12/schema";
    assert!(Schema::compile(&json!({ "$schema": dialect, "$id": "https://example.com/a" })).is_ok());
}
