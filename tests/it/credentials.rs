//! What a receiver wants to see before it takes a delivery: credentials, tokens, a certificate; and URLs that tell one delivery from another.

use super::support::{Host, Receiver, Reply};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const OUT: &str = "/v1/tenants/acme/endpoints/out";

/// A host whose events go straight to an endpoint with this URL and these fields, unsigned, tried three times at once.
async fn straight(url: &str, fields: Value) -> Host {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    host.put(OUT, &endpoint(url, fields)).await;
    host.put("/v1/tenants/acme/routes/all", &json!({ "source": "in", "to": { "endpoints": ["out"] } })).await;
    host
}

fn endpoint(url: &str, fields: Value) -> Value {
    let mut endpoint = json!({ "url": url, "secrets": [], "retry": { "schedule_s": [0, 0, 0] } });
    endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    endpoint
}

/// The one delivery of an event, once it has this status.
async fn delivery_with(host: &Host, event: &str, status: &str) -> Value {
    let run = host.run_with(event, "routed").await;
    host.delivery_with(run["deliveries"][0].as_str().unwrap(), status).await
}

#[tokio::test]
async fn credentials_go_along_and_are_not_shown() {
    let receiver = Receiver::start().await;
    let host = straight(&receiver.url("/"), json!({})).await;
    let cases = [
        (json!({ "type": "basic", "username": "u", "password": "p:hush" }), "authorization", "Basic dTpwOmh1c2g="),
        (json!({ "type": "bearer", "token": "hush" }), "authorization", "Bearer hush"),
        (json!({ "type": "api-key", "header": "X-Api-Key", "value": "hush" }), "x-api-key", "hush"),
    ];
    for (auth, header, value) in cases {
        let shown = host.put(OUT, &endpoint(&receiver.url("/"), json!({ "auth": auth }))).await;
        assert!(shown["auth"]["type"] == auth["type"] && !shown.to_string().contains("hush"), "{shown}");
        assert_eq!(host.put(OUT, &endpoint(&receiver.url("/"), json!({ "auth": auth }))).await["changed"], false);
        host.event("x", "{}").await;
        assert_eq!(receiver.next().await.headers[header], value);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_where_it_stands() {
    let receiver = Receiver::start().await;
    let host = straight(&receiver.url("/"), json!({})).await;
    let hmac = |header: &str| json!({ "scheme": "hmac", "header": header, "algorithm": "sha256", "encoding": "hex", "secrets": ["s"] });
    let bearer = json!({ "type": "bearer", "token": "t" });
    let many: Vec<Value> = ["a", "b", "c", "d", "e"].map(hmac).into();
    let cases = [
        (json!({ "auth": { "type": "basic", "username": "a:b", "password": "p" } }), "/auth/username", "colon"),
        (json!({ "auth": { "type": "bearer", "token": "" } }), "/auth/token", "1 to 8192"),
        (json!({ "auth": { "type": "bearer", "token": "a\nb" } }), "/auth/token", "visible ASCII"),
        (
            json!({ "auth": { "type": "api-key", "header": "host", "value": "v" } }),
            "/auth/header",
            "the host sets itself",
        ),
        (json!({ "auth": bearer, "headers": { "authorization": "x" } }), "/auth", "`headers`"),
        (
            json!({ "auth": { "type": "oauth2", "token_url": "ftp://x/", "client_id": "i", "client_secret": "s" } }),
            "/auth/token_url",
            "http",
        ),
        (json!({ "tls": { "ca_pem": "x" } }), "/tls", "http://"),
        (json!({ "signatures": [{ "scheme": "github", "secrets": [] }] }), "/signatures/0/secrets", "1 to 10"),
        (json!({ "signatures": [hmac("x-a"), hmac("X-A")] }), "/signatures/1", "another signature"),
        (json!({ "signatures": [hmac("webhook-signature")] }), "/signatures/0/header", "the host sets itself"),
        (json!({ "signatures": [hmac("x-a")], "headers": { "x-a": "1" } }), "/signatures/0", "`headers`"),
        (json!({ "signatures": many }), "/signatures", "at most 4"),
    ];
    for (fields, pointer, says) in cases {
        let refused = host.admin.put(OUT, &endpoint(&receiver.url("/"), fields)).await.problem(422);
        let detail = refused["detail"].as_str().unwrap();
        assert!(refused["pointer"] == pointer && detail.contains(says), "{pointer}: {refused}");
    }
    let refused = host.admin.put(OUT, &endpoint(&receiver.url("/{tenant}"), json!({}))).await.problem(422);
    assert!(
        refused["pointer"] == "/url" && refused["detail"].as_str().unwrap().contains("{ordering_key}"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_token_is_fetched_once_used_often_and_fetched_anew_when_the_receiver_refuses_it() {
    const TOKENS: [&str; 2] =
        [r#"{"access_token": "first", "expires_in": 3600}"#, r#"{"access_token": "second", "expires_in": 3600}"#];
    let fetched = AtomicUsize::new(0);
    let tokens = Receiver::answering(move |_| {
        let body = TOKENS[fetched.fetch_add(1, Ordering::Relaxed)];
        Reply::Status(200, vec![("content-type", "application/json".to_owned())], body)
    })
    .await;
    let revoked = Arc::new(AtomicBool::new(false));
    let seen = revoked.clone();
    let receiver = Receiver::answering(move |received| {
        let refused = seen.load(Ordering::Relaxed) && received.headers["authorization"] == "Bearer first";
        Reply::status(if refused { 401 } else { 200 })
    })
    .await;
    let auth = json!({ "type": "oauth2", "token_url": tokens.url("/token"), "client_id": "id", "client_secret": "hush", "scope": "hooks" });
    let host = straight(&receiver.url("/"), json!({ "auth": auth })).await;

    for _ in 0..20 {
        host.event("x", "{}").await;
    }
    for _ in 0..20 {
        assert_eq!(receiver.next().await.headers["authorization"], "Bearer first");
    }
    let asked = tokens.rest().await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=hooks");
    assert_eq!(asked[0].headers["authorization"], "Basic aWQ6aHVzaA==");

    revoked.store(true, Ordering::Relaxed);
    let delivery = delivery_with(&host, &host.event("x", "{}").await, "delivered").await;
    let statuses: Vec<_> = delivery["attempts"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, [401, 200]);
    assert_eq!(tokens.rest().await.len(), 1);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_attempt_says_why() {
    let tokens =
        Receiver::answering(|_| Reply::Status(400, Vec::new(), r#"{"error": "invalid_scope", "hint": "hush"}"#)).await;
    let receiver = Receiver::start().await;
    let auth = json!({ "type": "oauth2", "token_url": tokens.url("/"), "client_id": "id", "client_secret": "s" });
    let host = straight(&receiver.url("/"), json!({ "auth": auth, "retry": { "schedule_s": [0] } })).await;
    let dead = delivery_with(&host, &host.event("x", "{}").await, "dead").await;
    let error = &dead["attempts"][0]["error"];
    assert_eq!(error["code"], "token");
    assert!(
        error["message"].as_str().unwrap().contains("`invalid_scope`") && !dead.to_string().contains("hush"),
        "{dead}"
    );

    // Token servers are guarded like receivers.
    let auth =
        json!({ "type": "oauth2", "token_url": "http://169.254.169.254/", "client_id": "id", "client_secret": "s" });
    host.put(OUT, &endpoint(&receiver.url("/"), json!({ "auth": auth, "retry": { "schedule_s": [0] } }))).await;
    let dead = delivery_with(&host, &host.event("x", "{}").await, "dead").await;
    let message = dead["attempts"][0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("token_url") && message.contains("refused to connect"), "{message}");
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn variables_of_the_url_are_one_segment_each_or_nothing_is_sent() {
    let receiver = Receiver::start().await;
    let host = straight(&receiver.url("/in/{source}/{event_type}/{event_id}"), json!({})).await;
    let event = host.event("../a/b?c", "{}").await;
    assert_eq!(receiver.next().await.path, format!("/in/in/..%2Fa%2Fb%3Fc/{event}"));
    for event_type in ["", "..", "."] {
        let dead = delivery_with(&host, &host.event(event_type, "{}").await, "dead").await;
        let error = &dead["attempts"][0]["error"];
        assert_eq!(error["code"], "url_variable", "{dead}");
        assert!(error["message"].as_str().unwrap().contains("`{event_type}`"), "{dead}");
    }
    assert!(receiver.rest().await.is_empty());
}

/// A receiver that speaks TLS and takes one request, of a client with this certificate only.
fn mutual_tls_receiver(client: &CertificateDer<'static>, client_ca: &CertificateDer<'static>) -> SocketAddr {
    let file =
        |name: &str| std::fs::read(format!("{}/src/transport/tests/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(client_ca.clone()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(&file("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_slice(&file("server.key.pem")).unwrap(),
        )
        .unwrap();
    let (listener, client) = (TcpListener::bind("127.0.0.1:0").unwrap(), client.clone());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, listener.accept().unwrap().0);
        let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
        while !got.ends_with(b"{\"a\":1}") {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(bytes) => got.extend_from_slice(&buffer[..bytes]),
            }
        }
        let shown = stream.conn.peer_certificates().is_some_and(|shown| shown.first() == Some(&client));
        let status = if shown { "200 OK" } else { "403 Forbidden" };
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
        stream.flush().unwrap();
    });
    address
}

#[tokio::test]
async fn an_endpoint_shows_its_certificate_and_trusts_its_own_authority() {
    let text = |name: &str| {
        std::fs::read_to_string(format!("{}/src/transport/tests/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let (certificate, client_ca) = (text("client.pem"), text("client_ca.pem"));
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let address = mutual_tls_receiver(&der(&certificate), &der(&client_ca));
    let tls = json!({ "certificate_pem": certificate, "key_pem": text("client.key.pem"), "ca_pem": text("ca.pem") });
    let host = straight(&format!("https://localhost:{}/", address.port()), json!({ "tls": tls })).await;
    let shown = host.admin.get(OUT).await.expect(200);
    assert_eq!((&shown["tls"]["key_pem"], &shown["tls"]["certificate_pem"]), (&json!("***"), &json!(certificate)));
    let delivery = delivery_with(&host, &host.event("x", "{\"a\":1}").await, "delivered").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "{delivery}");
}
