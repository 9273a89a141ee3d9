//! Sources of each kind: what proves itself comes in, what does not is refused with a reason. `make providers` has the providers' own
//! libraries sign; here stand the schemes that sign no time, and what is wrong with a source.

use super::support::{Host, Receiver};
use http::Method;
use serde_json::{Value, json};

const TWILIO_FORM: &str =
    "CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309&Digits=1234";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A request, and the code it is refused with; `""` where it comes in.
type Case = (&'static str, Value, &'static str, Vec<(&'static str, &'static str)>, &'static str, &'static str);

#[tokio::test]
async fn what_proves_itself_comes_in_and_its_proof_is_not_kept() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let github = json!({ "scheme": "github", "secrets": ["other", "It's a Secret to Everybody"] });
    let signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let hmac = json!({ "scheme": "hmac", "header": "x-mac", "algorithm": "sha1", "encoding": "hex", "prefix": "sha1=", "secrets": ["Jefe"] });
    let mac = "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    let twilio = json!({ "scheme": "twilio", "secrets": ["12345"], "url": "https://mycompany.com/myapp.php" });
    let twilio_signed = ("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    let gitlab = json!({ "scheme": "gitlab", "secrets": ["t0", "t1"] });
    let basic = json!({ "scheme": "basic", "username": "Aladdin", "secrets": ["open sesame"] });
    let bearer = json!({ "scheme": "bearer", "secrets": ["t"] });
    let key = json!({ "scheme": "api-key", "header": "x-client", "secrets": ["k1"] });
    let in_query = json!({ "scheme": "api-key", "query": "key", "secrets": ["k1"] });
    let cases: Vec<Case> = vec![
        ("github", github.clone(), "", vec![("x-hub-signature-256", signed)], "Hello, World!", ""),
        ("github", github.clone(), "", vec![("x-hub-signature-256", signed)], "Hello, World?", "signature_invalid"),
        ("github", github.clone(), "", vec![("x-hub-signature-256", "sha256=00")], "x", "signature_malformed"),
        ("github", github, "", vec![], "Hello, World!", "signature_missing"),
        ("hmac", hmac.clone(), "", vec![("x-mac", mac)], "what do ya want for nothing?", ""),
        ("hmac", hmac, "", vec![("x-mac", mac)], "what do ya want?", "signature_invalid"),
        ("twilio", twilio.clone(), "?foo=1&bar=2", vec![twilio_signed, FORM], TWILIO_FORM, ""),
        ("twilio", twilio, "?foo=1&bar=3", vec![twilio_signed, FORM], TWILIO_FORM, "signature_invalid"),
        ("gitlab", gitlab.clone(), "", vec![("x-gitlab-token", "t1")], "{}", ""),
        ("gitlab", gitlab, "", vec![("x-gitlab-token", "t2")], "{}", "signature_invalid"),
        ("basic", basic.clone(), "", vec![("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")], "{}", ""),
        ("basic", basic, "", vec![("authorization", "Basic QWxhZGRpbjpvcGVu")], "{}", "signature_invalid"),
        ("bearer", bearer.clone(), "", vec![("authorization", "Bearer t")], "{}", ""),
        ("bearer", bearer, "", vec![("authorization", "t")], "{}", "signature_malformed"),
        ("key", key.clone(), "", vec![("x-client", "k1")], "{}", ""),
        ("key", key, "", vec![("x-client", "k2")], "{}", "signature_invalid"),
        ("query", in_query.clone(), "?key=k1", vec![], "{}", ""),
        ("query", in_query, "?other=k1", vec![], "{}", "signature_missing"),
    ];
    for (name, verify, query, headers, body, code) in cases {
        host.put(&format!("/v1/tenants/acme/sources/{name}"), &json!({ "verify": verify })).await;
        let answer = host.ingest.send(Method::POST, &format!("/in/acme/{name}{query}"), &headers, body).await;
        if code.is_empty() {
            let id = answer.expect(202)["id"].as_str().unwrap().to_owned();
            let kept = host.show(&id).await["headers"].to_string();
            let proofs = headers.iter().filter(|header| **header != FORM);
            assert!(proofs.clone().all(|(_, value)| !kept.contains(value)), "{name}: {kept}");
        } else {
            assert_eq!(answer.problem(401)["code"], code, "{name}");
        }
    }
}

/// What a sender's headers and body say of themselves, and what that makes of it: its type, and whether the same again is a duplicate.
#[tokio::test]
async fn each_scheme_knows_where_its_senders_say_what_an_event_is() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let gitlab = vec![("x-gitlab-token", "t"), ("x-gitlab-event", "Push Hook"), ("idempotency-key", "g1")];
    let push = r#"{"object_kind":"push","ref":"refs/heads/main"}"#;
    let cases = [
        (json!({ "scheme": "gitlab", "secrets": ["t"] }), gitlab, push, "push"),
        (
            json!({ "scheme": "bearer", "secrets": ["t"] }),
            vec![("authorization", "Bearer t"), ("x-event-type", "a.b"), ("idempotency-key", "b1")],
            "",
            "a.b",
        ),
        (
            json!({ "scheme": "bearer", "secrets": ["t"] }),
            vec![("authorization", "Bearer t"), ("idempotency-key", "b2")],
            "{}",
            "",
        ),
    ];
    for (verify, headers, body, event_type) in cases {
        host.put("/v1/tenants/acme/sources/in", &json!({ "verify": verify })).await;
        let first = host.ingest.send(Method::POST, "/in/acme/in", &headers, body).await.expect(202);
        assert_eq!(host.show(first["id"].as_str().unwrap()).await["event_type"], event_type, "{verify}");
        let again = host.ingest.send(Method::POST, "/in/acme/in", &headers, body).await.expect(202);
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)), "{verify}");
    }
}

#[tokio::test]
async fn a_key_is_found_in_the_body_or_is_the_body() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let source = async |dedup: Value| {
        host.put("/v1/tenants/acme/sources/in", &json!({ "verify": { "scheme": "none" }, "dedup": dedup })).await;
    };
    let is_duplicate =
        async |body: &str| host.ingest.post("/in/acme/in", body.to_owned()).await.expect(202)["duplicate"] == true;
    source(json!({ "pointer": "/id" })).await;
    for (body, expected) in [
        (r#"{"id":"a"}"#, false),
        (r#"{"id":"a","n":2}"#, true),
        (r#"{"id":7}"#, false),
        (r#"{"id":7,"n":2}"#, true),
        (r#"{"id":null}"#, false),
        (r#"{"id":184467440737095516160}"#, false),
        (r#"{"id":184467440737095516161}"#, false),
        ("{", false),
        ("{", false),
    ] {
        assert_eq!(is_duplicate(body).await, expected, "{body}");
    }
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(257));
    let refused = host.ingest.post("/in/acme/in", long).await.problem(400);
    assert!(
        refused["code"] == "dedup_key_invalid" && refused["detail"].as_str().unwrap().contains("`/id`"),
        "{refused}"
    );
    source(json!({ "body": true })).await;
    for (body, expected) in [("[1]", false), ("[1]", true), ("[1] ", false)] {
        assert_eq!(is_duplicate(body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn who_does_not_prove_itself_is_told_how_to() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let ed25519 = json!({ "scheme": "ed25519", "header": "x-s", "encoding": "hex", "public_keys": ["0".repeat(64)] });
    let missing = "which has to hold the source's secret";
    for (name, verify, challenge, says) in [
        (
            "basic",
            json!({ "scheme": "basic", "username": "u", "secrets": ["s"] }),
            Some("Basic realm=\"hookswitch\", charset=\"UTF-8\""),
            missing,
        ),
        ("bearer", json!({ "scheme": "bearer", "secrets": ["s"] }), Some("Bearer"), missing),
        ("key", json!({ "scheme": "api-key", "header": "x-k", "secrets": ["s"] }), None, missing),
        ("github", json!({ "scheme": "github", "secrets": ["s"] }), None, "the sender does not sign"),
        ("ed25519", ed25519, None, "the sender does not sign"),
    ] {
        host.put(&format!("/v1/tenants/acme/sources/{name}"), &json!({ "verify": verify })).await;
        let answer = host.ingest.post(&format!("/in/acme/{name}"), "{}").await;
        let problem = answer.problem(401);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{name}: {problem}");
        assert_eq!(answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap()), challenge, "{name}");
    }
    let signature = "0".repeat(128);
    let answer = host.ingest.send(Method::POST, "/in/acme/ed25519", &[("x-s", signature.as_str())], "{}").await;
    let problem = answer.problem(401);
    assert!(problem["detail"].as_str().unwrap().starts_with("no public key of this source fits"), "{problem}");
}

#[tokio::test]
async fn what_is_wrong_with_a_source_is_said_where_it_stands() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let hmac = |fields: Value| {
        let mut spec =
            json!({ "scheme": "hmac", "header": "x-a", "algorithm": "sha256", "encoding": "hex", "secrets": ["s"] });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        spec
    };
    let ed25519 = |keys: Value| json!({ "scheme": "ed25519", "header": "x-a", "encoding": "hex", "public_keys": keys });
    let wrong = [
        (json!({ "scheme": "github", "secrets": [] }), "/verify/secrets", "1 to 10"),
        (json!({ "scheme": "slack", "secrets": [""] }), "/verify/secrets/0", "is empty"),
        (json!({ "scheme": "stripe", "secrets": ["s"], "tolerance_s": 0 }), "/verify/tolerance_s", "1 to 86400"),
        (json!({ "scheme": "svix", "secrets": ["s"] }), "/verify/secrets/0", "whsec_"),
        (json!({ "scheme": "twilio", "secrets": ["s"], "url": "https://x/?a=1" }), "/verify/url", "has a query"),
        (json!({ "scheme": "twilio", "secrets": ["s"], "url": "x" }), "/verify/url", "not a URL"),
        (hmac(json!({ "header": "a b" })), "/verify/header", "not a header name"),
        (hmac(json!({ "prefix": "a b" })), "/verify/prefix", "visible ASCII"),
        (hmac(json!({ "signed": "{timestamp}" })), "/verify/signed", "`{body}` once"),
        (hmac(json!({ "signed": "{timestamp}.{body}" })), "/verify", "timestamp_header"),
        (hmac(json!({ "timestamp_header": "x-t" })), "/verify/timestamp_header", "can be forged"),
        (hmac(json!({ "tolerance_s": 60 })), "/verify/tolerance_s", "no time is signed"),
        (
            hmac(json!({ "signed": "{timestamp}.{body}", "timestamp_header": "X-A" })),
            "/verify/timestamp_header",
            "both",
        ),
        (json!({ "scheme": "bearer", "secrets": ["t", "a\nb"] }), "/verify/secrets/1", "line end"),
        (ed25519(json!([])), "/verify/public_keys", "1 to 10"),
        (ed25519(json!(["00"])), "/verify/public_keys/0", "64 hex digits"),
        (json!({ "scheme": "basic", "username": "a:b", "secrets": ["s"] }), "/verify/username", "colon"),
        (json!({ "scheme": "api-key", "secrets": ["s"] }), "/verify", "`header` or `query`"),
        (
            json!({ "scheme": "api-key", "header": "a", "query": "b", "secrets": ["s"] }),
            "/verify",
            "`header` or `query`",
        ),
    ];
    for (verify, pointer, says) in wrong {
        let refused = host.admin.put("/v1/tenants/acme/sources/in", &json!({ "verify": verify })).await.problem(422);
        assert!(
            refused["pointer"] == pointer && refused["detail"].as_str().unwrap().contains(says),
            "{verify}: {refused}"
        );
    }
    let large = json!({ "verify": { "scheme": "none" }, "body_bytes_max": 10_485_761 });
    let refused = host.admin.put("/v1/tenants/acme/sources/in", &large).await.problem(422);
    assert!(
        refused["pointer"] == "/body_bytes_max" && refused["detail"].as_str().unwrap().contains("10485760"),
        "{refused}"
    );
    host.put("/v1/tenants/acme/sources/in", &json!({ "verify": hmac(json!({})) })).await;
    assert!(host.admin.get("/v1/tenants/acme/sources/in").await.expect(200)["verify"].get("tolerance_s").is_none());
    let two = json!({ "verify": { "scheme": "none" }, "dedup": { "header": "a", "body": true } });
    let refused = host.admin.put("/v1/tenants/acme/sources/in", &two).await.problem(422);
    assert_eq!(refused["pointer"], "/dedup");
}

#[tokio::test]
async fn what_slack_sends_as_a_form_has_a_type_and_a_key() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    host.put("/v1/tenants/acme/sources/in", &json!({ "verify": { "scheme": "slack", "secrets": ["hush"] } })).await;
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let send = async |body: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"hush");
        let mac = ring::hmac::sign(&key, format!("v0:{now_s}:{body}").as_bytes());
        let hex: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = format!("v0={hex}");
        let headers = [("x-slack-signature", signature.as_str()), ("x-slack-request-timestamp", &now_s), FORM];
        host.ingest.send(Method::POST, "/in/acme/in", &headers, body.to_owned()).await.expect(202)
    };
    for (body, event_type, key) in [
        ("command=%2Fweather&text=94070&trigger_id=1.2.3", "/weather", "1.2.3"),
        ("payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%224.5.6%22%7D", "block_actions", "4.5.6"),
    ] {
        let first = send(body).await;
        let event = host.show(first["id"].as_str().unwrap()).await;
        assert_eq!((&event["event_type"], &event["dedup_key"]), (&json!(event_type), &json!(key)));
        assert_eq!(send(body).await["duplicate"], true);
    }
}
