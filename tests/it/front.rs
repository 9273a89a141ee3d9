//! What both listeners do before and after every request: names, proxies, versions of HTTP, bounds on connections.

use super::support::{Client, Host, OPERATOR_KEY, until};
use super::wire::{connect_from, exchange, hear, hear_one};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const EVENT: &[u8] = b"POST /in/acme/in HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";

/// A host with these further settings, whose tenant `acme` takes events and sends them nowhere; it logs each answer.
async fn taking(settings: &str) -> Host {
    let host = Host::start_with(&format!("log.filter = \"info,hookswitch::server=debug\"\n{settings}")).await;
    host.acme("http://127.0.0.1:1/").await;
    host
}

fn ingest_at(host: &Host) -> &str {
    host.ingest_url.strip_prefix("http://").unwrap()
}

fn admin_at(host: &Host) -> &str {
    host.admin_url.strip_prefix("http://").unwrap()
}

/// Waits until a line of the host's log has all of these words.
async fn logged(host: &Host, words: &[&str]) {
    until(&format!("{words:?} in the log"), || async {
        host.log().lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_answer_has_a_name_and_the_log_and_problems_have_the_same() {
    let host = taking("").await;
    let accepted = host.ingest.post("/in/acme/in", "{}").await;
    accepted.expect(202);
    let unknown = host.ingest.post("/in/acme/other", "{}").await;
    let wrong_key = Client::new(&host.admin_url, None).get("/v1/tenants").await;
    let mut names = std::collections::BTreeSet::new();
    for (answer, status) in
        [(&accepted, 202), (&unknown, 404), (&wrong_key, 401), (&host.admin.get("/healthz").await, 200)]
    {
        let name = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(name.starts_with("req_") && name.len() == 30, "{name}");
        if status >= 400 {
            assert_eq!(answer.problem(status)["request_id"], name);
        }
        logged(&host, &[&name, &format!("status={status}"), "address=127.0.0.1"]).await;
        assert!(names.insert(name), "each has its own");
    }
    // One that is refused before anybody looks at what it asks for.
    let heard =
        exchange(ingest_at(&host), b"POST /in/acme/in HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 2\r\n\r\n{}")
            .await;
    let [refused] = &heard.answers[..] else { panic!("{heard:?}") };
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("host_invalid")));
    assert_eq!(refused.json()["request_id"], refused.header("x-request-id").unwrap());
    assert_eq!(refused.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_listed_proxy_names_requests_and_says_who_sent_them_and_nobody_else_does() {
    let headers = [("x-request-id", "edge-1"), ("x-forwarded-for", "6.6.6.6, 198.51.100.7")];
    let host = taking("ingest.trusted_proxies = [\"127.0.0.0/8\"]\n").await;
    let answer = host.ingest.send(Method::POST, "/in/acme/in", &headers, "{}").await;
    assert_eq!((answer.status.as_u16(), &answer.headers["x-request-id"]), (202, &"edge-1".parse().unwrap()));
    logged(&host, &["request_id=edge-1", "address=198.51.100.7"]).await;
    let forwarded = [("x-request-id", "edge-2"), ("forwarded", "for=\"[2001:db8::7]:1\"")];
    host.ingest.send(Method::POST, "/in/acme/in", &forwarded, "{}").await.expect(202);
    logged(&host, &["request_id=edge-2", "address=2001:db8::7"]).await;
    // Each listener has its own list.
    let answer = host.admin.send(Method::GET, "/healthz", &headers, "").await;
    assert!(answer.headers["x-request-id"].to_str().unwrap().starts_with("req_"), "{answer:?}");
}

#[tokio::test]
async fn nobody_takes_the_place_of_a_listed_proxy_by_a_header_that_cannot_be_read() {
    let host = taking("ingest.trusted_proxies = [\"127.0.0.0/8\"]\n").await;
    let allowed = json!({ "verify": { "scheme": "none" }, "allow_addresses": ["127.0.0.0/8", "203.0.113.0/24"] });
    host.put("/v1/tenants/acme/sources/in", &allowed).await;
    for (line, status) in [
        (&b"x-request-id: own"[..], 202),
        (b"x-forwarded-for: 203.0.113.9", 202),
        (b"x-forwarded-for: \xe9", 403),
        (b"x-forwarded-for: \xe9, 198.51.100.7", 403),
        (b"x-forwarded-for: \xe9, 203.0.113.9", 202),
        (b"forwarded: for=203.0.113.9;x=\", for=198.51.100.7", 403),
        (b"forwarded: for=unknown", 403),
    ] {
        let head = [b"POST /in/acme/in HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n", line, b"\r\n\r\n{}"].concat();
        let heard = exchange(ingest_at(&host), &head).await;
        assert_eq!(heard.statuses(), [status], "{}", line.escape_ascii());
    }
}

/// Sends a request over HTTP/2, without TLS, and gives the status and the body.
async fn over_http2(address: &str, request: Request<Full<Bytes>>) -> (u16, Bytes) {
    let stream = TcpStream::connect(address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert!(answer.headers().contains_key("x-request-id"));
    (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn both_listeners_speak_http2_and_its_authority_is_the_host() {
    let host = taking("admin.hosts = [\"hooks.example.com\"]\n").await;
    let event = |authority: &str| Request::post(format!("http://{authority}/in/acme/in"));
    let body = || Full::new(Bytes::from("{}"));
    let (status, answer) = over_http2(ingest_at(&host), event("hooks.example.com").body(body()).unwrap()).await;
    assert_eq!(status, 202, "{answer:?}");
    let id = serde_json::from_slice::<serde_json::Value>(&answer).unwrap()["id"].as_str().unwrap().to_owned();
    let kept = host.show(&id).await["headers"].clone();
    assert!(kept.as_array().unwrap().contains(&json!({ "name": "host", "value": "hooks.example.com" })), "{kept}");
    let conflict = event("a.example").header("host", "b.example").body(body()).unwrap();
    assert_eq!(over_http2(ingest_at(&host), conflict).await.0, 400);

    let admin = |authority: &str| {
        let request = Request::get(format!("http://{authority}/v1/tenants"));
        request.header("authorization", format!("Bearer {OPERATOR_KEY}")).body(Full::default()).unwrap()
    };
    for own in ["localhost", "127.0.0.1:8081", "HOOKS.example.com"] {
        assert_eq!(over_http2(admin_at(&host), admin(own)).await.0, 200, "{own}");
    }
    assert_eq!(over_http2(admin_at(&host), admin("evil.example")).await.0, 421);
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let host = taking("").await;
    let stream = TcpStream::connect(ingest_at(&host)).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut sender = sender.clone();
        all.spawn(async move {
            let request = Request::post("http://localhost/in/acme/in").body(Full::new(Bytes::from("{}"))).unwrap();
            sender.send_request(request).await.unwrap().status().as_u16()
        });
    }
    assert_eq!(all.join_all().await, [202; 50]);
}

#[tokio::test]
async fn a_heads_length_and_its_headers_are_bounded() {
    let host = taking("ingest.head_bytes_max = 8192\ningest.headers_max = 10\n").await;
    let with =
        |more: &str| format!("POST /in/acme/in HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n{more}\r\n{{}}");
    for (more, status) in [
        (String::new(), 202),
        (format!("x: {}\r\n", "y".repeat(7000)), 202),
        (format!("x: {}\r\n", "y".repeat(9000)), 431),
        ("x: y\r\n".repeat(8), 202),
        ("x: y\r\n".repeat(9), 431),
    ] {
        let heard = exchange(ingest_at(&host), with(&more).as_bytes()).await;
        assert_eq!(heard.statuses(), [status], "{} bytes more", more.len());
    }
    let mut many = Request::post("http://localhost/in/acme/in");
    for number in 0..11 {
        many = many.header(format!("x-{number}"), "y");
    }
    let (status, body) = over_http2(ingest_at(&host), many.body(Full::default()).unwrap()).await;
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &problem["code"]), (431, &json!("headers_too_many")));
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_need_not_come() {
    let host = taking("").await;
    let mut stream = TcpStream::connect(ingest_at(&host)).await.unwrap();
    stream
        .write_all(b"POST /in/acme/in HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n")
        .await
        .unwrap();
    let refused = hear_one(&mut stream).await.unwrap();
    assert_eq!((refused.status, &refused.json()["code"]), (413, &json!("body_too_large")));
}

#[tokio::test]
async fn a_list_is_no_resource() {
    let host = Host::start().await;
    host.put("/v1/tenants/acme", &json!({})).await;
    for body in ["[]", " [\"a title\"]", "[\"a title\", 5]"] {
        let answer = host.admin.send(Method::PUT, "/v1/tenants/acme", &[], body).await;
        assert!(answer.problem(422)["detail"].as_str().unwrap().contains("has to be an object"), "{body}");
    }
    assert_eq!(host.admin.get("/v1/tenants/acme").await.expect(200)["title"], json!(null));
}

#[tokio::test]
async fn heads_and_idle_connections_have_their_time_each() {
    let host = taking("ingest.header_timeout_ms = 50\ningest.idle_timeout_ms = 600000\n").await;
    let mut idle = TcpStream::connect(ingest_at(&host)).await.unwrap();
    for begun in [&b"POST /in"[..], b"PRI * HTTP/2.0\r\n"] {
        let mut slow = TcpStream::connect(ingest_at(&host)).await.unwrap();
        slow.write_all(begun).await.unwrap();
        let heard = hear(&mut slow).await;
        assert!(heard.closed && heard.answers.is_empty(), "{heard:?}");
    }
    idle.write_all(EVENT).await.unwrap();
    assert_eq!(hear_one(&mut idle).await.unwrap().status, 202, "the idle one was left alone");
    idle.write_all(b"POST").await.unwrap();
    assert!(hear(&mut idle).await.closed);

    let host = taking("ingest.header_timeout_ms = 600000\ningest.idle_timeout_ms = 50\n").await;
    let mut idle = TcpStream::connect(ingest_at(&host)).await.unwrap();
    assert!(hear(&mut idle).await.closed, "nothing was ever sent");
    let mut idle = TcpStream::connect(ingest_at(&host)).await.unwrap();
    idle.write_all(EVENT).await.unwrap();
    let heard = hear(&mut idle).await;
    assert!(heard.closed && heard.statuses() == [202], "{heard:?}");
    let stream = TcpStream::connect(ingest_at(&host)).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (_sender, connection) = handshake.await.unwrap();
    let connection: hyper::client::conn::http2::Connection<_, Full<Bytes>, _> = connection;
    connection.await.unwrap();
}

#[tokio::test]
async fn one_address_cannot_have_all_connections() {
    let host = taking("ingest.connections_per_address_max = 2\n").await;
    let mut first = connect_from(ingest_at(&host), [127, 0, 0, 9]).await.unwrap();
    let mut second = connect_from(ingest_at(&host), [127, 0, 0, 9]).await.unwrap();
    for held in [&mut first, &mut second] {
        held.write_all(EVENT).await.unwrap();
        assert_eq!(hear_one(held).await.unwrap().status, 202);
    }
    let mut third = connect_from(ingest_at(&host), [127, 0, 0, 9]).await.unwrap();
    let heard = hear(&mut third).await;
    assert!(heard.closed && heard.answers.is_empty(), "{heard:?}");
    let mut other = connect_from(ingest_at(&host), [127, 0, 0, 10]).await.unwrap();
    other.write_all(EVENT).await.unwrap();
    assert_eq!(hear_one(&mut other).await.unwrap().status, 202);
    // A place that is free again is to be had.
    drop(first);
    until("the place to be free", || async {
        let mut again = connect_from(ingest_at(&host), [127, 0, 0, 9]).await.ok()?;
        again.write_all(EVENT).await.ok()?;
        hear_one(&mut again).await
    })
    .await;
}

#[tokio::test]
async fn where_all_connections_are_taken_whoever_waits_has_a_turn() {
    let host = taking("ingest.connections_max = 2\n").await;
    let (mut answered, mut silent) =
        (TcpStream::connect(ingest_at(&host)).await.unwrap(), TcpStream::connect(ingest_at(&host)).await.unwrap());
    answered.write_all(EVENT).await.unwrap();
    assert_eq!(hear_one(&mut answered).await.unwrap().status, 202);
    // Both others wait, and none of the two has said that it is done.
    for _ in 0..2 {
        let mut waiting = TcpStream::connect(ingest_at(&host)).await.unwrap();
        waiting.write_all(EVENT).await.unwrap();
        assert_eq!(hear_one(&mut waiting).await.unwrap().status, 202);
        assert!(hear(&mut waiting).await.closed, "it had its turn");
    }
    assert!(hear(&mut answered).await.closed);
    assert!(hear(&mut silent).await.closed);
}

#[tokio::test]
async fn where_nobody_waits_whoever_has_the_last_place_keeps_it() {
    let host = taking("ingest.connections_max = 1\n").await;
    let mut alone = TcpStream::connect(ingest_at(&host)).await.unwrap();
    for _ in 0..3 {
        alone.write_all(EVENT).await.unwrap();
        let answer = hear_one(&mut alone).await.expect("it is not closed");
        assert_eq!((answer.status, answer.header("connection")), (202, None));
    }
    let mut waiting = TcpStream::connect(ingest_at(&host)).await.unwrap();
    waiting.write_all(EVENT).await.unwrap();
    assert!(hear(&mut alone).await.closed, "it had its turn");
    // It waited, and nobody does now.
    for _ in 0..2 {
        assert_eq!(hear_one(&mut waiting).await.unwrap().status, 202);
        waiting.write_all(EVENT).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_its_connection() {
    let host = taking("admin.write_timeout_ms = 100\n").await;
    // More than the kernel keeps for a client that does not read.
    let body = vec![b'x'; 10 << 20];
    let event = host.event("x", body.clone()).await;
    let path = format!("/v1/tenants/acme/events/{event}/body");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATOR_KEY}\r\n\r\n");
    let mut slow = TcpStream::connect(admin_at(&host)).await.unwrap();
    slow.write_all(request.as_bytes()).await.unwrap();
    // By the bound of its socket, or by that of its answer, which come at the same moment.
    until("its end in the log", || async {
        let log = host.log();
        (log.contains("was not taken in time") || log.contains("why=Answer")).then_some(())
    })
    .await;
    let mut taken = Vec::new();
    let _ = slow.read_to_end(&mut taken).await;
    assert!(taken.len() < body.len(), "{} bytes came although nobody took them in time", taken.len());
    assert_eq!(host.admin.get(&path).await.body, body, "who takes it gets it");
}

#[tokio::test]
async fn bodies_that_nobody_takes_and_bodies_that_do_not_end_have_a_bounded_room() {
    let host = taking("admin.in_flight_bytes_max = 1048576\n").await;
    for _ in 0..40 {
        host.ingest.post("/in/acme/in", "{}").await.expect(202);
    }
    let event = host.event("x", vec![b'x'; 1_040_000]).await;
    let path = format!("/v1/tenants/acme/events/{event}/body");
    let stream = TcpStream::connect(admin_at(&host)).await.unwrap();
    let small = hyper::client::conn::http2::Builder::new(TokioExecutor::new()).initial_stream_window_size(1024).clone();
    let (mut sender, connection) = small.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let asked =
        Request::get(format!("http://localhost{path}")).header("authorization", format!("Bearer {OPERATOR_KEY}"));
    // Its window is far smaller than the body, which nobody reads.
    let held = sender.send_request(asked.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(held.status(), 200);
    let refused = host.admin.get(&path).await;
    assert_eq!(
        (&refused.problem(503)["code"], &refused.headers["retry-after"]),
        (&json!("overloaded"), &"1".parse().unwrap())
    );
    // So are long pages; what is short is always answered.
    host.admin.get("/v1/tenants/acme/events").await.problem(503);
    host.admin.get(&format!("/v1/tenants/acme/events/{event}")).await.expect(200);
    drop(held);
    until("room for the next", || async { (host.admin.get(&path).await.status == 200).then_some(()) }).await;
    host.admin.get("/v1/tenants/acme/events").await.expect(200);
    // Requests have a room of their own. Of two that take more than half of it one has to go, and the other one is taken when it ends.
    let begun = async || {
        let mut stream = TcpStream::connect(admin_at(&host)).await.unwrap();
        let head = format!(
            "PUT /v1/tenants/other HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATOR_KEY}\r\ncontent-length: 700002\r\n\r\n"
        );
        let _ = stream.write_all(&[head.as_bytes(), &[b' '; 700_000]].concat()).await;
        stream
    };
    let (mut first, mut second) = (begun().await, begun().await);
    let (refused, taken) = tokio::select! {
        refused = hear_one(&mut first) => (refused.unwrap(), &mut second),
        refused = hear_one(&mut second) => (refused.unwrap(), &mut first),
    };
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("overloaded")));
    taken.write_all(b"{}").await.unwrap();
    assert_eq!(hear_one(taken).await.unwrap().status, 201);
    host.admin.send(Method::PUT, "/v1/tenants/other", &[], vec![b' '; 700_000]).await.expect(422);
}
