//! The log of refused requests: it tells the owner of a source more than the sender is told, and nothing that proves anything.

use super::support::Host;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn github_signature(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

async fn refused(host: &Host, source: &str) -> Vec<Value> {
    let path = format!("/v1/tenants/acme/sources/{source}/refused");
    host.admin.get(&path).await.expect(200)["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_signature_that_does_not_fit_is_explained_to_the_sources_owner_alone() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let source = json!({ "verify": { "scheme": "github", "secrets": ["hush-hush", "bXkgc2VjcmV0IGtleSE="] } });
    host.put("/v1/tenants/acme/sources/in", &source).await;
    let send = async |signature: &str, body: &str| {
        let headers = [("x-hub-signature-256", signature), ("authorization", "Bearer topsecret"), ("x-trace", "t1")];
        let answer = host.ingest.send(Method::POST, "/in/acme/in?key=topsecret", &headers, body.to_owned()).await;
        let detail = answer.problem(401)["detail"].as_str().unwrap().to_owned();
        assert!(!detail.contains("line end") && !detail.contains("base64"), "an answer is no oracle: {detail}");
    };
    let signature = github_signature(b"hush-hush", b"{}");
    send(&signature, "{}\n").await;
    let items = refused(&host, "in").await;
    let item = &items[0];
    assert_eq!((&item["status"], &item["code"]), (&json!(401), &json!("signature_invalid")));
    assert_eq!(
        (&item["method"], &item["path"], &item["peer"]),
        (&json!("POST"), &json!("/in/acme/in"), &json!("127.0.0.1"))
    );
    assert_eq!(item["body"], json!({ "bytes": 3, "sha256": hex(&Sha256::digest(b"{}\n")) }));
    assert_eq!(item["looked_closely"], true);
    let hints = item["hints"].to_string();
    assert!(hints.contains("none of 2 keys made it") && hints.contains("without its last line end"), "{hints}");
    let headers = item["headers"].as_array().unwrap();
    let header = |name: &str| headers.iter().find(|header| header["name"] == name).unwrap().clone();
    assert_eq!(header("x-hub-signature-256"), json!({ "name": "x-hub-signature-256", "value_bytes": 71 }));
    assert_eq!(header("authorization")["value"], Value::Null);
    assert_eq!(header("x-trace"), json!({ "name": "x-trace", "value": "t1", "value_bytes": 2 }));
    assert!(item["request_id"].as_str().unwrap().starts_with("req_"), "{item}");
    for hidden in ["topsecret", "hush-hush", &signature[7..]] {
        assert!(!item.to_string().contains(hidden), "{hidden}: {item}");
    }

    send(&github_signature(b"my secret key!", b"[1]"), "[1]").await;
    send("sha256=00", "[2]").await;
    let items = refused(&host, "in").await;
    assert_eq!(items.len(), 3);
    assert!(items[1]["hints"].to_string().contains("by the secret read as base64"), "{}", items[1]);
    assert!(items[0]["hints"].to_string().contains("holds 2 hex digits after `sha256=`"), "{}", items[0]);
}

#[tokio::test]
async fn every_refusal_of_a_request_is_kept_until_its_source_is_gone() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let source = json!({ "verify": { "scheme": "none" }, "body_bytes_max": 10, "rate_per_s": 1, "burst": 100,
        "dedup": { "header": "x-key" } });
    host.put("/v1/tenants/acme/sources/in", &source).await;
    host.put("/v1/tenants/acme/sources/other", &json!({ "verify": { "scheme": "none" } })).await;
    let send = async |method: Method, headers: &[(&str, &str)], body: &str| {
        host.ingest.send(method, "/in/acme/in", headers, body.to_owned()).await.status.as_u16()
    };
    assert_eq!(send(Method::GET, &[], "").await, 405);
    assert_eq!(send(Method::POST, &[], "more than ten bytes").await, 413);
    assert_eq!(send(Method::POST, &[("content-encoding", "br")], "{}").await, 415);
    assert_eq!(send(Method::POST, &[("content-encoding", "gzip")], "{}").await, 400);
    assert_eq!(send(Method::POST, &[("x-event-type", "two words")], "{}").await, 400);
    assert_eq!(send(Method::POST, &[], "{}").await, 202);
    let codes = async |source: &str| -> Vec<String> {
        refused(&host, source).await.iter().map(|item| item["code"].as_str().unwrap().to_owned()).collect()
    };
    let expected =
        ["event_type_invalid", "body_corrupt", "content_encoding_refused", "body_too_large", "method_not_allowed"];
    assert_eq!(codes("in").await, expected);
    assert!(codes("other").await.is_empty());
    let long = "x".repeat(257);
    let mut limited = false;
    for _ in 0..1_000 {
        limited |= send(Method::POST, &[("x-key", &long)], "{}").await == 429;
        if limited {
            break;
        }
    }
    assert!(limited);
    let codes_after = codes("in").await;
    assert_eq!(codes_after.len(), 50);
    assert!(codes_after.iter().all(|code| code == "dedup_key_invalid"), "{codes_after:?}");
    assert!(
        refused(&host, "in").await.iter().any(|item| item["looked_closely"] == false),
        "so many at once are not looked at"
    );

    host.admin.delete("/v1/tenants/acme/sources/in").await;
    assert_eq!(host.admin.get("/v1/tenants/acme/sources/in/refused").await.problem(404)["code"], "not_found");
    host.put("/v1/tenants/acme/sources/in", &source).await;
    assert!(codes("in").await.is_empty(), "a new source of the same name shows nothing of the old one");
    // Nor where nobody looked meanwhile.
    let refused = host.ingest.send(Method::DELETE, "/in/acme/in", &[], "").await;
    refused.problem(405);
    host.admin.delete("/v1/tenants/acme/sources/in").await.expect(204);
    host.put("/v1/tenants/acme/sources/in", &source).await;
    assert!(codes("in").await.is_empty());
}
