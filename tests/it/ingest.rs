//! The way in: what is taken, what is refused and with which words, and that a duplicate or a client that hangs up changes nothing.

use super::support::{Host, Receiver, sign, until};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn github_host() -> (Host, Receiver) {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    let source =
        json!({ "verify": { "scheme": "github", "secrets": ["old secret", "new secret"] }, "body_bytes_max": 1000 });
    host.put("/v1/tenants/acme/sources/github", &source).await;
    let route = json!({ "source": "github", "to": { "endpoints": ["out"] } });
    host.put("/v1/tenants/acme/routes/all", &route).await;
    (host, receiver)
}

#[tokio::test]
async fn a_signed_event_comes_in_and_out_byte_for_byte() {
    let (host, receiver) = github_host().await;
    let body = "{ \"odd\":\t\"spacing\", \"ref\" : \"refs/heads/main\"}\n";
    let signature = sign::github("new secret", body.as_bytes());
    let headers = [
        ("x-hub-signature-256", signature.as_str()),
        ("x-github-event", "push"),
        ("content-type", "application/json"),
        ("authorization", "Bearer not for modules"),
    ];
    let answer = host.ingest.send(Method::POST, "/in/acme/github", &headers, body).await;
    let id = answer.expect(202)["id"].as_str().unwrap().to_owned();
    let received = receiver.next().await;
    assert_eq!(received.body, body);
    assert_eq!(received.headers["content-type"], "application/json");

    let event = host.show(&id).await;
    assert_eq!((&event["event_type"], &event["body_bytes"]), (&json!("push"), &json!(body.len())));
    let kept: Vec<&str> = event["headers"].as_array().unwrap().iter().filter_map(|h| h["name"].as_str()).collect();
    assert!(kept.contains(&"x-github-event"), "{kept:?}");
    assert!(!kept.contains(&"authorization") && !kept.contains(&"x-hub-signature-256"), "{kept:?}");
    let stored = host.admin.get(&format!("/v1/tenants/acme/events/{id}/body")).await;
    assert_eq!(stored.body, body);
}

#[tokio::test]
async fn a_disk_without_its_reserve_takes_no_event_and_says_so() {
    // No disk has as much as this.
    let host = Host::start_with("store.free_bytes_min = 1125899906842624\n").await;
    host.acme("http://127.0.0.1:1/").await;
    let answer = host.ingest.post("/in/acme/in", "{}").await;
    let problem = answer.problem(507);
    assert_eq!((&problem["code"], &problem["free_bytes_min"]), (&json!("disk_full"), &json!(1_u64 << 50)));
    assert!(problem["free_bytes"].as_u64().is_some_and(|free| free < 1 << 50), "{problem}");
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(host.admin.get("/v1/tenants/acme/events").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn what_must_not_come_in_is_refused_with_its_reason() {
    let (host, receiver) = github_host().await;
    let good = sign::github("new secret", b"{}");
    let wrong = sign::github("another secret", b"{}");
    type Case<'a> = (Method, &'a str, Option<&'a str>, Vec<u8>, u16, &'a str);
    let cases: [Case<'_>; 9] = [
        (Method::POST, "/in/acme/github", None, b"{}".to_vec(), 401, "signature_missing"),
        (Method::POST, "/in/acme/github", Some(&wrong), b"{}".to_vec(), 401, "signature_invalid"),
        (Method::POST, "/in/acme/github", Some(&good), b"{ }".to_vec(), 401, "signature_invalid"),
        (Method::POST, "/in/acme/github", Some("sha256=zz"), b"{}".to_vec(), 401, "signature_malformed"),
        (Method::POST, "/in/acme/nowhere", Some(&good), b"{}".to_vec(), 404, "source_unknown"),
        (Method::POST, "/in/nobody/github", Some(&good), b"{}".to_vec(), 404, "source_unknown"),
        (Method::POST, "/elsewhere", Some(&good), b"{}".to_vec(), 404, "source_unknown"),
        (Method::GET, "/in/acme/github", Some(&good), b"".to_vec(), 405, "method_not_allowed"),
        (Method::POST, "/in/acme/github", Some(&good), vec![b'x'; 1001], 413, "body_too_large"),
    ];
    for (method, path, signature, body, status, code) in cases {
        let headers: Vec<_> = signature.iter().map(|signature| ("x-hub-signature-256", *signature)).collect();
        let answer = host.ingest.send(method, path, &headers, body).await;
        assert_eq!(answer.problem(status)["code"], code, "{path}");
    }
    let events = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    assert_eq!(events["items"], json!([]));
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn a_long_body_is_verified_like_any_other() {
    let (host, receiver) = github_host().await;
    let source = json!({ "verify": { "scheme": "github", "secrets": ["old secret", "new secret"] } });
    host.put("/v1/tenants/acme/sources/github", &source).await;
    let body = "x".repeat(1_000_000);
    let send = async |signed: &str| {
        let signature = sign::github("new secret", signed.as_bytes());
        host.ingest.send(Method::POST, "/in/acme/github", &[("x-hub-signature-256", &signature)], body.clone()).await
    };
    send(&body).await.expect(202);
    assert_eq!(receiver.next().await.body, body);
    assert_eq!(send(&body[1..]).await.problem(401)["code"], "signature_invalid");
}

#[tokio::test]
async fn a_chunked_body_is_cut_off_at_the_bound() {
    let (host, _receiver) = github_host().await;
    let address = host.ingest_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /in/acme/github HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Far more than the bound, and no end: the host must answer without waiting for one.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    for _ in 0..4 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn standard_webhooks_in_are_verified_and_typed_by_their_payload() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    // The example of the specification's own documentation.
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let source = json!({ "verify": { "scheme": "standard-webhooks", "secrets": [secret], "tolerance_s": 86400 } });
    host.put("/v1/tenants/acme/sources/sw", &source).await;
    let route = json!({ "source": "sw", "event_types": ["invoice.*"], "to": { "endpoints": ["out"] } });
    host.put("/v1/tenants/acme/routes/sw", &route).await;

    let now_s = sign::now_s();
    let body = r#"{"type":"invoice.paid","data":{"id":7}}"#;
    let send = async |id: &str, at_s: u64| {
        let headers = sign::standard_webhooks(secret, id, at_s, body);
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        host.ingest.send(Method::POST, "/in/acme/sw", &headers, body).await
    };
    let first = send("msg_1", now_s).await.expect(202);
    assert_eq!(host.show(first["id"].as_str().unwrap()).await["event_type"], "invoice.paid");
    assert_eq!(receiver.next().await.body, body);
    let again = send("msg_1", now_s).await.expect(202);
    assert_eq!(again, json!({ "id": first["id"], "duplicate": true }));
    let stale = send("msg_2", now_s - 90_000).await;
    assert_eq!(stale.problem(401)["code"], "timestamp_stale");
}

#[tokio::test]
async fn of_many_requests_with_one_key_one_event_comes() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    host.upload("misbehave").await;
    // Slow enough that the others come while the first is still being routed.
    host.route("slow", json!([{ "module": "operator/misbehave", "settings": { "do": "spin", "rounds": 5_000_000 } }]))
        .await;
    let send = |_| {
        let ingest = host.ingest.clone();
        tokio::spawn(async move {
            let headers = [("idempotency-key", "the same")];
            ingest.send(Method::POST, "/in/acme/in", &headers, "{}").await.expect(202)
        })
    };
    let requests: Vec<_> = (0..20).map(send).collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }
    let ids: std::collections::BTreeSet<_> = answers.iter().map(|answer| answer["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.get("duplicate").is_none()).count(), 1, "{answers:?}");
    receiver.next().await;
    let events = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let deliveries = host.admin.get("/v1/tenants/acme/deliveries").await.expect(200);
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_undo_its_event() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    host.upload("misbehave").await;
    host.route("slow", json!([{ "module": "operator/misbehave", "settings": { "do": "spin", "rounds": 5_000_000 } }]))
        .await;
    let address = host.ingest_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "POST /in/acme/in HTTP/1.1\r\nhost: x\r\nx-event-type: gone\r\ncontent-length: 4\r\n\r\n\"ok\"";
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    assert_eq!(receiver.next().await.body, "\"ok\"");
    let event = until("the event", || async {
        let events = host.admin.get("/v1/tenants/acme/events?event_type=gone").await.expect(200);
        events["items"].get(0).cloned()
    })
    .await;
    assert_eq!(event["event_type"], "gone");
}

#[tokio::test]
async fn events_are_listed_newest_first_page_by_page() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    let mut sent = Vec::new();
    for number in 0..7 {
        sent.push(host.event(if number % 2 == 0 { "even" } else { "odd" }, number.to_string()).await);
    }
    let list = async |query: &str| -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/tenants/acme/events?limit=2{query}{cursor}");
            let page = host.admin.get(&path).await.expect(200);
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            found.extend(items.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
            match &page["next"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => return found,
            }
        }
    };
    let mut all = list("").await;
    let odd = list("&event_type=odd").await;
    assert_eq!(odd.len(), 3);
    assert!(odd.iter().all(|id| sent.iter().position(|s| s == id).unwrap() % 2 == 1));
    all.sort();
    sent.sort();
    assert_eq!(all, sent);
    let wrong = host.admin.get("/v1/tenants/acme/events?cursor=garbage").await;
    assert_eq!(wrong.problem(400)["code"], "cursor_invalid");
    let wrong = host.admin.get("/v1/tenants/acme/events?limit=0").await;
    assert_eq!(wrong.problem(400)["code"], "query_invalid");
}

#[tokio::test]
async fn bodies_on_their_way_take_so_much_memory_and_no_more() {
    let more = "ingest.body_bytes_max = 1000000\ningest.in_flight_bytes_max = 1000000\n";
    let (host, receiver) = (Host::start_with(more).await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    let address = host.ingest_url.strip_prefix("http://").unwrap();
    // Each would fit alone, and neither ends: the host cannot hold both, whichever it reads first.
    let stall = async || {
        let mut stalled = TcpStream::connect(address).await.unwrap();
        stalled.write_all(b"POST /in/acme/in HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n").await.unwrap();
        stalled.write_all(&vec![b'x'; 899_999]).await.unwrap();
        stalled
    };
    let (mut one, mut other) = tokio::join!(stall(), stall());
    let refused = async |stalled: &mut TcpStream| {
        let mut answer = String::new();
        while !answer.contains("in_flight_bytes_max = 1000000") {
            let mut part = [0; 1024];
            let length = stalled.read(&mut part).await.unwrap();
            assert!(length > 0, "it ended with {answer}");
            answer.push_str(str::from_utf8(&part[..length]).unwrap());
        }
        answer
    };
    let answer = tokio::select! {
        answer = refused(&mut one) => answer,
        answer = refused(&mut other) => answer,
    };
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"overloaded\""), "{answer}");
    drop((one, other));
    let send = async || host.ingest.post("/in/acme/in", vec![b'y'; 500_000]).await;
    until("room again", async || (send().await.status == 202).then_some(())).await;
}

#[tokio::test]
async fn a_content_type_without_end_is_refused() {
    let (host, _receiver) = github_host().await;
    let content_type = "x".repeat(1025);
    let headers = [("content-type", content_type.as_str())];
    let answer = host.ingest.send(Method::POST, "/in/acme/in", &headers, "{}").await;
    assert_eq!(answer.problem(400)["code"], "content_type_invalid");
}
