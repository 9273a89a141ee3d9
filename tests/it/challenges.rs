//! Requests that are no events but ask something of who takes them: each provider's question is answered as the provider wants it, and only to
//! whom it may be.

use super::support::Host;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

fn hmac_hex(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn host_with(source: Value) -> Host {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    host.put("/v1/tenants/acme/sources/in", &source).await;
    host
}

#[tokio::test]
async fn metas_question_is_answered_to_who_has_the_token() {
    let verify = json!({ "scheme": "meta", "secrets": ["app secret"], "verify_token": "hush & co" });
    let host = host_with(json!({ "verify": verify })).await;
    let ask = async |query: &str| host.ingest.get(&format!("/in/acme/in{query}")).await;
    let question = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";
    let told = ask(&format!("{question}hush+%26%20co")).await;
    assert_eq!((told.status.as_u16(), &told.body[..]), (200, &b"1158201444"[..]));
    assert_eq!([&told.headers["content-type"], &told.headers["x-content-type-options"]], ["text/plain", "nosniff"]);
    for (query, status, code) in [
        (format!("{question}hush"), 403, "verify_token_invalid"),
        ("?hub.mode=subscribe&hub.challenge=1".to_owned(), 403, "verify_token_invalid"),
        ("?hub.mode=unsubscribe&hub.verify_token=hush+%26+co".to_owned(), 400, "challenge_invalid"),
        ("?hub.mode=subscribe&hub.verify_token=hush+%26+co".to_owned(), 400, "challenge_invalid"),
        (
            format!("?hub.mode=subscribe&hub.verify_token=hush+%26+co&hub.challenge={}", "x".repeat(1025)),
            400,
            "challenge_invalid",
        ),
        (String::new(), 400, "challenge_invalid"),
    ] {
        assert_eq!(ask(&query).await.problem(status)["code"], code, "{query}");
    }
    let refused = host.ingest.send(Method::DELETE, "/in/acme/in", &[], "").await;
    refused.problem(405);
    assert_eq!(refused.headers["allow"], "POST, GET");

    let body = r#"{"object":"whatsapp_business_account","entry":[]}"#;
    let signature = format!("sha256={}", hmac_hex("app secret", body));
    let send =
        async || host.ingest.send(Method::POST, "/in/acme/in", &[("x-hub-signature-256", &signature)], body).await;
    let first = send().await.expect(202);
    assert_eq!(host.show(first["id"].as_str().unwrap()).await["event_type"], "whatsapp_business_account");
    assert_eq!(send().await.expect(202)["duplicate"], true);
    // The token is kept like any other secret.
    let shown = host.admin.get("/v1/tenants/acme/sources/in").await.expect(200);
    assert!(!shown.to_string().contains("hush"), "{shown}");
    let verify = json!({ "scheme": "meta", "secrets": ["s"], "verify_token": "" });
    let refused = host.admin.put("/v1/tenants/acme/sources/in", &json!({ "verify": verify })).await.problem(422);
    assert_eq!(refused["pointer"], "/verify/verify_token");
    let verify = json!({ "scheme": "meta", "secrets": ["s"], "verify_token": ["hush-hush"] });
    let refused = host.admin.put("/v1/tenants/acme/sources/in", &json!({ "verify": verify })).await.problem(422);
    assert!(!refused.to_string().contains("hush"), "{refused}");
}

#[tokio::test]
async fn zooms_question_is_answered_by_the_secret_that_signed_it() {
    let host = host_with(json!({ "verify": { "scheme": "zoom", "secrets": ["old", "new"] } })).await;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let send = async |secret: &str, body: &str| {
        let signature = format!("v0={}", hmac_hex(secret, &format!("v0:{now_s}:{body}")));
        let headers = [("x-zm-signature", signature.as_str()), ("x-zm-request-timestamp", &now_s)];
        host.ingest.send(Method::POST, "/in/acme/in", &headers, body.to_owned()).await
    };
    let question = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
    for secret in ["old", "new"] {
        let told = send(secret, question).await.expect(200);
        let encrypted = hmac_hex(secret, "qgg8vlvZRS6UYooatFL8Aw");
        assert_eq!(told, json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted }));
    }
    assert_eq!(send("other", question).await.problem(401)["code"], "signature_invalid");
    let id = send("new", r#"{"event":"meeting.started","payload":{}}"#).await.expect(202)["id"].clone();
    assert_eq!(host.show(id.as_str().unwrap()).await["event_type"], "meeting.started");
    let events = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "a question is no event");
    let counted = host.admin.get("/v1/tenants/acme/sources/in/statistics").await.expect(200);
    assert_eq!(counted["last_hour"]["outcomes"]["url_verification"], 2, "{counted}");
}

#[tokio::test]
async fn discords_pings_are_answered_where_they_are_signed() {
    let key = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let public = hex(ring::signature::KeyPair::public_key(&key).as_ref());
    let host = host_with(json!({ "verify": { "scheme": "discord", "public_keys": [public] } })).await;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let send = async |body: &str| {
        let signature = hex(key.sign(format!("{now_s}{body}").as_bytes()).as_ref());
        let headers = [("x-signature-ed25519", signature.as_str()), ("x-signature-timestamp", &now_s)];
        host.ingest.send(Method::POST, "/in/acme/in", &headers, body.to_owned()).await
    };
    // An interaction's PING, and that of webhook events.
    assert_eq!(send(r#"{"type":1,"id":"1","version":1}"#).await.expect(200), json!({ "type": 1 }));
    let told = send(r#"{"version":1,"application_id":"1","type":0}"#).await;
    assert_eq!((told.status.as_u16(), told.body.len()), (204, 0));
    let event = r#"{"version":1,"type":1,"event":{"type":"APPLICATION_AUTHORIZED","data":{}}}"#;
    for _ in 0..2 {
        assert_eq!(send(event).await.status, 204);
    }
    send(r#"{"type":2,"id":"3","data":{"name":"weather"}}"#).await.expect(202);
    let events = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    let types: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|it| it["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["", "APPLICATION_AUTHORIZED"], "no PING is an event, and what comes again is a duplicate");

    let headers = [("x-signature-ed25519", "00"), ("x-signature-timestamp", now_s.as_str())];
    let refused = host.ingest.send(Method::POST, "/in/acme/in", &headers, r#"{"type":1}"#).await;
    assert_eq!(refused.problem(401)["code"], "signature_malformed");
    let wrong = json!({ "verify": { "scheme": "discord", "public_keys": ["x"] } });
    let refused = host.admin.put("/v1/tenants/acme/sources/in", &wrong).await.problem(422);
    assert_eq!(refused["pointer"], "/verify/public_keys/0");
}

#[tokio::test]
async fn who_asks_whether_he_may_send_is_told_so_where_his_origin_is_allowed() {
    let source = |fields: Value| {
        let mut source = json!({ "verify": { "scheme": "bearer", "secrets": ["t"] } });
        source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        source
    };
    let origins = json!({ "origins": ["eventemitter.example.com"] });
    let host = host_with(source(json!({ "cloudevents": origins }))).await;
    let ask = async |headers: &[(&str, &str)]| host.ingest.send(Method::OPTIONS, "/in/acme/in", headers, "").await;
    let origin = ("webhook-request-origin", "EventEmitter.example.com");
    let told = ask(&[origin]).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.headers["webhook-allowed-origin"], origin.1);
    assert_eq!([&told.headers["webhook-allowed-rate"], &told.headers["allow"]], ["*", "POST, OPTIONS"]);
    assert_eq!(ask(&[origin, ("webhook-request-rate", "120")]).await.headers["webhook-allowed-rate"], "120");
    let problem = ask(&[("webhook-request-origin", "elsewhere.example.com")]).await.problem(403);
    assert_eq!(problem["code"], "origin_refused");
    assert_eq!(ask(&[]).await.problem(400)["code"], "challenge_invalid");

    host.put("/v1/tenants/acme/sources/in", &source(json!({ "cloudevents": origins, "rate_per_s": 2, "burst": 100 })))
        .await;
    for (asked, allowed) in [("120", "120"), ("121", "120"), ("1", "1"), ("0", "120"), ("many", "120")] {
        let told = ask(&[origin, ("webhook-request-rate", asked)]).await;
        assert_eq!(told.headers["webhook-allowed-rate"], allowed, "{asked}");
    }
    // Nobody is answered where nobody is allowed.
    for fields in [json!({}), json!({ "cloudevents": {} })] {
        host.put("/v1/tenants/acme/sources/in", &source(fields)).await;
        let refused = ask(&[origin]).await;
        refused.problem(405);
        assert!(!refused.headers.contains_key("webhook-allowed-origin"));
    }
    host.put("/v1/tenants/acme/sources/in", &source(json!({ "cloudevents": { "origins": ["*"] } }))).await;
    assert_eq!(ask(&[origin]).await.headers["webhook-allowed-origin"], origin.1);
    for (origins, pointer) in [(json!([""]), "/cloudevents/origins/0"), (json!(vec!["a"; 33]), "/cloudevents/origins")]
    {
        let wrong = source(json!({ "cloudevents": { "origins": origins } }));
        let refused = host.admin.put("/v1/tenants/acme/sources/in", &wrong).await.problem(422);
        assert_eq!(refused["pointer"], pointer, "{refused}");
    }
}
