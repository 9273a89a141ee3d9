//! Which requests a source looks at, by their heads: what is let in, what is refused with which words, and that no body is read for that.

use super::support::{Answer, Host, until};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A host with the tenant `acme`, whose source `in` verifies nothing and has these fields besides.
async fn host_with(fields: Value) -> Host {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, fields).await;
    host
}

async fn put(host: &Host, fields: Value) {
    let mut source = json!({ "verify": { "scheme": "none" } });
    source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    host.put("/v1/tenants/acme/sources/in", &source).await;
}

/// The answer to a request whose body does not come: its first line and what follows, as far as it came in one piece.
async fn answer_to_head(host: &Host, method: &str) -> String {
    let mut stream = TcpStream::connect(host.ingest_url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!("{method} /in/acme/in HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn events_are_sent_with_the_methods_of_their_source() {
    let host = host_with(json!({ "methods": ["PUT", "PATCH"] })).await;
    for method in [Method::PUT, Method::PATCH] {
        host.ingest.send(method, "/in/acme/in", &[], "{}").await.expect(202);
    }
    for method in [Method::POST, Method::GET, Method::DELETE, Method::OPTIONS] {
        let answer = host.ingest.send(method.clone(), "/in/acme/in", &[], "").await;
        let problem = answer.problem(405);
        assert_eq!(problem["code"], "method_not_allowed", "{method}");
        assert!(problem["detail"].as_str().unwrap().ends_with("with PUT, PATCH"), "{problem}");
        assert_eq!(answer.headers["allow"], "PUT, PATCH", "{method}");
    }
    put(&host, json!({})).await;
    let answer = host.ingest.send(Method::PUT, "/in/acme/in", &[], "{}").await;
    answer.problem(405);
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn media_types_are_those_of_the_source() {
    let host = host_with(json!({ "content_types": ["application/json", "text/*"] })).await;
    let send = async |content_type: Option<&str>| {
        let headers: Vec<_> = content_type.map(|it| ("content-type", it)).into_iter().collect();
        host.ingest.send(Method::POST, "/in/acme/in", &headers, "{}").await
    };
    for taken in ["application/json", "Application/JSON; charset=utf-8", "text/csv"] {
        send(Some(taken)).await.expect(202);
    }
    for (refused, says) in [(Some("application/xml"), "has `application/xml`"), (None, "has no `Content-Type`")] {
        let answer = send(refused).await;
        let problem = answer.problem(415);
        assert_eq!(problem["code"], "content_type_refused");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("takes application/json, text/*") && detail.contains(says), "{detail}");
        assert_eq!(answer.headers["accept"], "application/json, text/*");
    }
}

#[tokio::test]
async fn who_is_not_on_the_list_of_addresses_is_refused_before_anything_is_read() {
    let host = host_with(json!({ "allow_addresses": ["10.0.0.0/8", "127.0.0.1", "2001:db8::/32"] })).await;
    host.ingest.post("/in/acme/in", "{}").await.expect(202);
    assert!(answer_to_head(&host, "POST").await.starts_with("HTTP/1.1 100 "), "a body that is wanted is asked for");
    put(&host, json!({ "allow_addresses": ["10.0.0.0/8"] })).await;
    let problem = host.ingest.post("/in/acme/in", "{}").await.problem(403);
    assert_eq!(problem["code"], "address_refused");
    assert!(problem["detail"].as_str().unwrap().contains("127.0.0.1 is none of them"), "{problem}");
    let answer = answer_to_head(&host, "POST").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // Not even its methods are anybody's business.
    host.ingest.send(Method::GET, "/in/acme/in", &[], "").await.problem(403);
    let counted = host.admin.get("/v1/tenants/acme/sources/in/statistics").await.expect(200);
    assert!(counted.to_string().contains(r#""address_refused":3"#), "{counted}");
}

#[tokio::test]
async fn what_is_wrong_with_a_list_is_said_where_it_stands() {
    let host = host_with(json!({})).await;
    let many = |count: usize| (0..count).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect::<Vec<_>>();
    put(&host, json!({ "allow_addresses": many(256) })).await;
    let types = |count: usize| (0..count).map(|n| format!("a/{n}")).collect::<Vec<_>>();
    put(&host, json!({ "content_types": types(32) })).await;
    let wrong = [
        (json!({ "methods": [] }), "/methods", "at least one of POST, PUT and PATCH"),
        (json!({ "methods": ["GET"] }), "/methods/0", "expected one of `POST`, `PUT`, `PATCH`"),
        (json!({ "methods": ["POST", "PUT", "PUT", "PUT"] }), "/methods", "at most 3"),
        (json!({ "content_types": ["json"] }), "/content_types/0", "write `application/json` or `text/*`"),
        (json!({ "content_types": types(33) }), "/content_types", "at most 32"),
        (json!({ "allow_addresses": ["10.0.0.1/8"] }), "/allow_addresses/0", "write `10.0.0.0/8`"),
        (json!({ "allow_addresses": many(257) }), "/allow_addresses", "at most 256"),
    ];
    for (fields, pointer, says) in wrong {
        let mut source = json!({ "verify": { "scheme": "none" } });
        source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let refused = host.admin.put("/v1/tenants/acme/sources/in", &source).await.problem(422);
        assert!(
            refused["pointer"] == pointer && refused["detail"].as_str().unwrap().contains(says),
            "{fields}: {refused}"
        );
    }
}

/// Sends until one is refused for its rate, and gives that answer.
async fn until_limited(host: &Host, path: &str, most: usize) -> Answer {
    for _ in 0..most {
        let answer = host.ingest.post(path, "{}").await;
        if answer.status == 429 {
            return answer;
        }
        answer.expect(202);
    }
    panic!("none of {most} requests was refused");
}

#[tokio::test]
async fn a_source_takes_so_many_a_second_and_says_when_to_come_again() {
    let host = host_with(json!({ "rate_per_s": 1, "burst": 100 })).await;
    let refused = until_limited(&host, "/in/acme/in", 10_000).await;
    let problem = refused.problem(429);
    assert_eq!((&problem["code"], &problem["bound"]), (&json!("rate_limited"), &json!("rate_per_s")));
    assert_eq!((&problem["per_s"], &problem["burst"]), (&json!(1), &json!(100)));
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(answer_to_head(&host, "POST").await.starts_with("HTTP/1.1 429 "), "its body is not asked for");
    // What is used up stays used up when something else is changed; another source has a bucket of its own.
    put(&host, json!({ "rate_per_s": 1, "burst": 100, "body_bytes_max": 1000 })).await;
    let mut taken = 0;
    for _ in 0..50 {
        taken += u32::from(host.ingest.post("/in/acme/in", "{}").await.status == 202);
    }
    assert!(taken < 50, "a bucket that was emptied is full again");
    host.put("/v1/tenants/acme/sources/other", &json!({ "verify": { "scheme": "none" }, "rate_per_s": 1 })).await;
    host.ingest.post("/in/acme/other", "{}").await.expect(202);
    let counted = host.admin.get("/v1/tenants/acme/sources/in/statistics").await.expect(200);
    assert!(counted["last_hour"]["outcomes"]["rate_limited"].as_u64().unwrap() >= 2, "{counted}");
}

#[tokio::test]
async fn a_tenant_takes_so_many_a_second_over_all_its_sources() {
    let host = host_with(json!({})).await;
    host.put("/v1/tenants/acme/sources/other", &json!({ "verify": { "scheme": "none" } })).await;
    host.put("/v1/tenants/acme", &json!({ "quotas": { "events_per_s": 1 } })).await;
    let refused = until_limited(&host, "/in/acme/in", 1_000).await;
    assert_eq!(refused.problem(429)["bound"], "quotas.events_per_s");
    until_limited(&host, "/in/acme/other", 1_000).await;
    // What is published counts, too, and a batch as so many events as it has: it is let through whole, and those after it wait.
    let batch = json!({ "events": vec![json!({ "event_type": "a", "payload": 1 }); 500] });
    let publish = async || host.admin.post("/v1/tenants/acme/events/batch", batch.to_string()).await;
    let taken = until("a token", async || Some(publish().await).filter(|answer| answer.status != 429)).await;
    assert_eq!(taken.status, 202);
    let refused = publish().await;
    assert_eq!(refused.problem(429)["bound"], "quotas.events_per_s");
    let wait_s: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((400..=500).contains(&wait_s), "{wait_s}");
    host.ingest.post("/in/acme/in", "{}").await.problem(429);
    host.put("/v1/tenants/free", &json!({})).await;
    host.put("/v1/tenants/free/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
    for _ in 0..20 {
        host.ingest.post("/in/free/in", "{}").await.expect(202);
    }
    for (quotas, pointer, says) in [
        (json!({ "events_per_s": 0 }), "/quotas/events_per_s", "1 to 100000"),
        (json!({ "events_per_s": 100_001 }), "/quotas/events_per_s", "1 to 100000"),
        (json!({ "events_per_day": 1 }), "/quotas", "unknown field"),
    ] {
        let refused = host.admin.put("/v1/tenants/acme", &json!({ "quotas": quotas })).await.problem(422);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
        assert!(refused["pointer"].as_str().unwrap().starts_with(pointer), "{refused}");
    }
    for (fields, pointer) in [
        (json!({ "rate_per_s": 0 }), "/rate_per_s"),
        (json!({ "rate_per_s": 1, "burst": 1_000_001 }), "/burst"),
        (json!({ "burst": 1 }), "/burst"),
    ] {
        let mut source = json!({ "verify": { "scheme": "none" } });
        source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let refused = host.admin.put("/v1/tenants/acme/sources/in", &source).await.problem(422);
        assert_eq!(refused["pointer"], pointer, "{refused}");
    }
}
