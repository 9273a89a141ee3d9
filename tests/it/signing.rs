//! What proves to a receiver where a delivery comes from: signatures of every scheme, and keys that change.

use super::support::{Host, Received, Receiver};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The seed 0, 1, 2, … 31.
const PRIVATE: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PUBLIC: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const OUT: &str = "/v1/tenants/acme/endpoints/out";

/// A host whose events go straight to the receiver, by an endpoint with these fields; and what the making of it answered.
async fn straight(receiver: &Receiver, fields: Value) -> (Host, Value) {
    let host = Host::start().await;
    host.put("/v1/tenants/acme", &json!({})).await;
    host.put("/v1/tenants/acme/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
    let mut endpoint = json!({ "url": receiver.url("/") });
    endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let made = host.put(OUT, &endpoint).await;
    host.put("/v1/tenants/acme/routes/all", &json!({ "source": "in", "to": { "endpoints": ["out"] } })).await;
    (host, made)
}

fn bytes_of(key: &str) -> Vec<u8> {
    STANDARD.decode(key.split_once('_').unwrap().1).unwrap()
}

/// Which keys made the signatures of a request, one after the other; `?` stands for none of these.
fn signed_by<'a>(received: &Received, keys: &[&'a str]) -> Vec<&'a str> {
    let timestamp = received.headers["webhook-timestamp"].to_str().unwrap();
    let message = [format!("{}.{timestamp}.", received.id()).as_bytes(), &received.body].concat();
    let made = |key: &str, signature: &str| match signature.split_once(',').unwrap() {
        ("v1", mac) if key.starts_with("whsec_") => {
            let mut hmac = Hmac::<Sha256>::new_from_slice(&bytes_of(key)).unwrap();
            hmac.update(&message);
            hmac.verify_slice(&STANDARD.decode(mac).unwrap()).is_ok()
        }
        ("v1a", signature) if key.starts_with("whpk_") => {
            let public = UnparsedPublicKey::new(&ED25519, bytes_of(key));
            public.verify(&message, &STANDARD.decode(signature).unwrap()).is_ok()
        }
        _ => false,
    };
    let signatures = received.headers.get("webhook-signature").map_or("", |value| value.to_str().unwrap());
    let signatures = signatures.split(' ').filter(|signature| !signature.is_empty());
    signatures.map(|one| keys.iter().copied().find(|key| made(key, one)).unwrap_or("?")).collect()
}

#[tokio::test]
async fn a_private_key_signs_beside_a_secret_and_shows_its_public_key() {
    let receiver = Receiver::start().await;
    let (host, made) = straight(&receiver, json!({ "secrets": [SECRET, PRIVATE] })).await;
    assert_eq!((&made["secrets"], &made["public_keys"]), (&json!(["***", "***"]), &json!([PUBLIC])));
    host.event("x", "{\"a\":1}").await;
    assert_eq!(signed_by(&receiver.next().await, &[SECRET, PUBLIC]), [SECRET, PUBLIC]);
    let listed = host.admin.get("/v1/tenants/acme/endpoints").await.expect(200);
    assert_eq!(listed["items"][0]["public_keys"], json!([PUBLIC]));
    for wrong in [PUBLIC, "whsk_AAAA"] {
        let refused = host.admin.put(OUT, &json!({ "url": receiver.url("/"), "secrets": [wrong] })).await;
        assert_eq!(refused.problem(422)["pointer"], "/secrets/0", "{wrong}");
    }
}

#[tokio::test]
async fn the_host_makes_a_private_key_where_the_endpoint_says_so() {
    let receiver = Receiver::start().await;
    let (host, made) = straight(&receiver, json!({ "secret_scheme": "v1a" })).await;
    assert!(made["secrets"][0].as_str().unwrap().starts_with("whsk_"), "{made}");
    let public = made["public_keys"][0].as_str().unwrap();
    host.event("x", "{}").await;
    assert_eq!(signed_by(&receiver.next().await, &[public]), [public]);
    let again = host.put(OUT, &json!({ "url": receiver.url("/"), "secret_scheme": "v1a" })).await;
    assert_eq!((&again["changed"], &again["secrets"]), (&json!(false), &json!(["***"])));
    assert_eq!(again["public_keys"], made["public_keys"]);
}

#[tokio::test]
async fn a_source_verifies_v1a_with_a_public_key() {
    let receiver = Receiver::start().await;
    let (host, _) = straight(&receiver, json!({ "secrets": [PRIVATE] })).await;
    let verify = json!({ "scheme": "standard-webhooks", "secrets": [PUBLIC] });
    host.put("/v1/tenants/acme/sources/signed", &json!({ "verify": verify })).await;
    host.event("x", "{\"type\":\"a\"}").await;
    let received = receiver.next().await;
    let headers: Vec<_> = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .map(|name| (name, received.headers[name].to_str().unwrap()))
        .into();
    let send = |body: &'static str| host.ingest.send(Method::POST, "/in/acme/signed", &headers, body);
    send("{\"type\":\"a\"}").await.expect(202);
    assert_eq!(send("{\"type\":\"b\"}").await.problem(401)["code"], "signature_invalid");
    let private = json!({ "verify": { "scheme": "standard-webhooks", "secrets": [PRIVATE] } });
    let refused = host.admin.put("/v1/tenants/acme/sources/signed", &private).await.problem(422);
    assert!(refused["detail"].as_str().unwrap().contains("`whpk_…`"), "{refused}");
}

#[tokio::test]
async fn a_rotation_signs_with_the_new_secret_first_and_lets_the_old_one_end() {
    let receiver = Receiver::start().await;
    let (host, _) = straight(&receiver, json!({ "secrets": [SECRET, PRIVATE] })).await;
    let rotate = async |body: &str| host.admin.post(&format!("{OUT}/rotate-secret"), body.to_owned()).await;

    let rotated = rotate(r#"{"grace_s": 3600}"#).await.expect(200);
    let new = rotated["secrets"][0].as_str().unwrap().to_owned();
    assert!(new.starts_with("whsec_"), "{rotated}");
    let until_ms = rotated["secrets"][1]["until_ms"].as_u64().unwrap();
    assert_eq!(rotated["secrets"][1]["secret"], "***");
    assert_eq!(rotated["secrets"][2], "***", "the other scheme is left alone");
    host.event("x", "1").await;
    let received = receiver.next().await;
    assert_eq!(signed_by(&received, &[&new, SECRET, PUBLIC]), [new.as_str(), SECRET, PUBLIC]);
    let at_s: u64 = received.headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    assert!(until_ms.abs_diff((at_s + 3600) * 1000) < 60_000, "{until_ms} is about an hour from {at_s}");
    let shown = host.admin.get(OUT).await.expect(200);
    assert_eq!(shown["secrets"], json!(["***", { "secret": "***", "until_ms": until_ms }, "***"]));

    // Without grace nothing older is left, not even what had its time already.
    let newest = rotate(r#"{"grace_s": 0}"#).await.expect(200)["secrets"][0].as_str().unwrap().to_owned();
    host.event("x", "2").await;
    assert_eq!(signed_by(&receiver.next().await, &[&new, SECRET, &newest, PUBLIC]), [newest.as_str(), PUBLIC]);

    // Who writes them in a file says the same there.
    let ending = json!({ "secret": SECRET, "until_ms": 1_700_000_000_000_u64 });
    let written = json!({ "url": receiver.url("/"), "secrets": [newest, PRIVATE, ending] });
    assert_eq!(host.put(OUT, &written).await["secrets"][2]["until_ms"], 1_700_000_000_000_u64);
    assert_eq!(host.put(OUT, &written).await["changed"], false);
    host.event("x", "2").await;
    assert_eq!(signed_by(&receiver.next().await, &[SECRET, &newest, PUBLIC]), [newest.as_str(), PUBLIC]);

    // A key of the other scheme comes beside; and what an endpoint keeps when it is put without secrets is all of it.
    let public = rotate(r#"{"scheme": "v1a", "grace_s": 0}"#).await.expect(200)["public_keys"][0].clone();
    let again = host.put(OUT, &json!({ "url": receiver.url("/") })).await;
    assert_eq!((&again["changed"], &again["public_keys"]), (&json!(false), &json!([public])));
    host.event("x", "3").await;
    let public = public.as_str().unwrap();
    assert_eq!(signed_by(&receiver.next().await, &[&newest, PUBLIC, public]), [public, newest.as_str()]);
}

#[tokio::test]
async fn rotations_have_bounds_that_they_name() {
    let receiver = Receiver::start().await;
    let (host, _) = straight(&receiver, json!({})).await;
    let rotate = async |body: &str| host.admin.post(&format!("{OUT}/rotate-secret"), body.to_owned()).await;
    let long = rotate(r#"{"grace_s": 2592001}"#).await.problem(400);
    assert!(long["detail"].as_str().unwrap().contains("0 to 2592000") && long["pointer"] == "/grace_s", "{long}");
    assert_eq!(rotate(r#"{"grace": 1}"#).await.problem(400)["code"], "body_invalid");
    let unknown = host.admin.post("/v1/tenants/acme/endpoints/none/rotate-secret", "").await;
    assert_eq!(unknown.problem(404)["code"], "not_found");
    for _ in 1..10 {
        rotate("").await.expect(200);
    }
    let full = rotate("").await.problem(422);
    assert!(full["pointer"] == "/secrets" && full["detail"].as_str().unwrap().contains("has 10 secrets"), "{full}");
    let all_end = json!({ "url": receiver.url("/"), "secrets": [{ "secret": SECRET, "until_ms": 1 }] });
    let refused = host.admin.put(OUT, &all_end).await.problem(422);
    assert!(refused["detail"].as_str().unwrap().contains("unsigned"), "{refused}");
}

#[tokio::test]
async fn other_signatures_stand_in_their_own_headers_beside_the_standard_one() {
    let receiver = Receiver::start().await;
    let hmac = |algorithm, encoding| {
        json!({ "scheme": "hmac", "header": format!("x-{algorithm}"), "algorithm": algorithm,
        "encoding": encoding, "prefix": format!("{algorithm}="), "secrets": ["first", "second"] })
    };
    let signatures =
        json!([{ "scheme": "github", "secrets": ["first", "second"] }, hmac("sha1", "hex"), hmac("sha512", "base64")]);
    let (host, made) = straight(&receiver, json!({ "secrets": [SECRET], "signatures": signatures })).await;
    assert_eq!(made["signatures"][1]["secrets"], json!(["***", "***"]));
    host.event("x", "{\"a\":1}").await;
    let received = receiver.next().await;
    assert_eq!(signed_by(&received, &[SECRET]), [SECRET]);

    let tag = |algorithm| ring::hmac::sign(&ring::hmac::Key::new(algorithm, b"first"), b"{\"a\":1}").as_ref().to_vec();
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut github = Hmac::<Sha256>::new_from_slice(b"first").unwrap();
    github.update(b"{\"a\":1}");
    assert_eq!(
        received.headers["x-hub-signature-256"],
        format!("sha256={}", hex(github.finalize().into_bytes().to_vec()))
    );
    let sha1 = hex(tag(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY));
    assert_eq!(received.headers["x-sha1"], format!("sha1={sha1}"));
    assert_eq!(received.headers["x-sha512"], format!("sha512={}", STANDARD.encode(tag(ring::hmac::HMAC_SHA512))));
}
