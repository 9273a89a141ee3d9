//! Bodies that come compressed: they are signed as they came, kept as what they hold, and cost no more than their bound.

use super::support::{Host, Receiver, sign};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use serde_json::json;
use std::io::Write as _;

/// `{"event":"made"}`, compressed by Python's `gzip` and `zlib`, the last one without the head that RFC 1950 wants.
const EVENT: &str = r#"{"event":"made"}"#;
const GZIP: &str = "1f8b0800000000000203ab564a2d4bcd2b51b252ca4d4c4955aa05004530959510000000";
const ZLIB: &str = "789cab564a2d4bcd2b51b252ca4d4c4955aa05002f230574";
const RAW: &str = "ab564a2d4bcd2b51b252ca4d4c4955aa0500";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_came_compressed_is_kept_as_what_it_holds() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    host.route("all", json!([])).await;
    let source = json!({ "verify": { "scheme": "none" }, "event_type": { "pointer": "/event" } });
    host.put("/v1/tenants/acme/sources/in", &source).await;
    for (coding, body) in [("gzip", GZIP), ("X-GZIP", GZIP), ("deflate", ZLIB), ("deflate", RAW)] {
        let headers = [("content-encoding", coding), ("content-type", "application/json")];
        let answer = host.ingest.send(Method::POST, "/in/acme/in", &headers, bytes(body)).await.expect(202);
        let id = answer["id"].as_str().unwrap();
        let event = host.show(id).await;
        assert_eq!((&event["event_type"], &event["body_bytes"]), (&json!("made"), &json!(EVENT.len())), "{coding}");
        let kept = event["headers"].to_string();
        assert!(!kept.contains("content-encoding") && !kept.contains("content-length"), "{kept}");
        assert_eq!(host.admin.get(&format!("/v1/tenants/acme/events/{id}/body")).await.body, EVENT);
        let received = receiver.next().await;
        assert_eq!((received.body, received.headers.get("content-encoding")), (EVENT.into(), None));
    }
    // A body that is not there is not compressed, whatever its head says.
    host.ingest.send(Method::POST, "/in/acme/in", &[("content-encoding", "gzip")], "").await.expect(202);
}

#[tokio::test]
async fn what_is_signed_is_what_came() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let source = json!({ "verify": { "scheme": "github", "secrets": ["hush"] } });
    host.put("/v1/tenants/acme/sources/in", &source).await;
    let send = async |signed: &[u8]| {
        let signature = sign::github("hush", signed);
        let headers = [("content-encoding", "gzip"), ("x-hub-signature-256", signature.as_str())];
        host.ingest.send(Method::POST, "/in/acme/in", &headers, bytes(GZIP)).await
    };
    let id = send(&bytes(GZIP)).await.expect(202)["id"].as_str().unwrap().to_owned();
    assert_eq!(host.admin.get(&format!("/v1/tenants/acme/events/{id}/body")).await.body, EVENT);
    assert_eq!(send(EVENT.as_bytes()).await.problem(401)["code"], "signature_invalid");
}

#[tokio::test]
async fn what_cannot_be_inflated_is_refused_with_its_reason() {
    let host = Host::start_with("ingest.body_bytes_max = 1000000\ningest.in_flight_bytes_max = 1500000\n").await;
    host.acme("http://127.0.0.1:1/").await;
    let send = async |coding: &str, body: Vec<u8>| {
        host.ingest.send(Method::POST, "/in/acme/in", &[("content-encoding", coding)], body).await
    };
    for coding in ["br", "zstd", "gzip, gzip", "deflate, gzip"] {
        let answer = send(coding, bytes(GZIP)).await;
        let problem = answer.problem(415);
        assert_eq!(problem["code"], "content_encoding_refused", "{coding}");
        assert!(problem["detail"].as_str().unwrap().contains("gzip, deflate"), "{problem}");
        assert_eq!(answer.headers["accept-encoding"], "gzip, deflate");
    }
    let whole = bytes(GZIP);
    for (coding, body) in [
        ("gzip", whole[..whole.len() - 1].to_vec()),
        ("gzip", EVENT.into()),
        ("gzip", bytes(ZLIB)),
        ("deflate", whole.clone()),
        ("gzip", [&whole[..], b"x"].concat()),
    ] {
        let problem = send(coding, body).await.problem(400);
        assert_eq!(problem["code"], "body_corrupt", "{problem}");
    }
    // A bomb: 100 MB in a hundred kilobytes. Its bound and the room for all bodies are kept to, again and again.
    let bomb = gzip(&vec![0; 100_000_000]);
    for _ in 0..5 {
        let problem = send("gzip", bomb.clone()).await.problem(413);
        assert_eq!((&problem["code"], &problem["body_bytes_max"]), (&json!("body_too_large"), &json!(1_000_000)));
        assert!(problem["detail"].as_str().unwrap().contains("the compressed body holds"), "{problem}");
    }
    let longest = vec![b'x'; 1_000_000];
    for _ in 0..5 {
        send("gzip", gzip(&longest)).await.expect(202);
    }
    let id = send("gzip", gzip(&longest)).await.expect(202)["id"].as_str().unwrap().to_owned();
    assert_eq!(host.admin.get(&format!("/v1/tenants/acme/events/{id}/body")).await.body, longest);
    assert_eq!(send("gzip", gzip(&vec![b'x'; 1_000_001])).await.problem(413)["code"], "body_too_large");
}
