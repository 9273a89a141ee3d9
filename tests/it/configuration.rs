//! Resources: declared over HTTP, refused as a whole where anything does not fit, the same after a second PUT and after a restart.

use super::support::{Client, Host, OPERATOR_KEY, Receiver};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn applying_twice_changes_nothing_and_a_restart_forgets_nothing() {
    let (mut host, receiver) = (Host::start().await, Receiver::start().await);
    host.put("/v1/tenants/acme", &json!({ "title": "Acme" })).await;
    let source = json!({ "verify": { "scheme": "github", "secrets": ["s3cret"] } });
    let endpoint = json!({ "url": receiver.url("/"), "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] });
    let route = json!({ "source": "s", "to": { "endpoints": ["e"] } });
    let resources = [("sources/s", source), ("endpoints/e", endpoint), ("routes/r", route)];
    for (path, spec) in &resources {
        let made = host.admin.put(&format!("/v1/tenants/acme/{path}"), spec).await.expect(201);
        assert_eq!(made["changed"], true);
        let again = host.admin.put(&format!("/v1/tenants/acme/{path}"), spec).await.expect(200);
        assert_eq!(again["changed"], false, "{path}");
    }
    host.terminate().await;
    host.start_again().await;
    for (path, spec) in &resources {
        let again = host.admin.put(&format!("/v1/tenants/acme/{path}"), spec).await.expect(200);
        assert_eq!(again["changed"], false, "{path} after a restart");
    }
    let shown = host.admin.get("/v1/tenants/acme/sources/s").await.expect(200);
    assert_eq!(shown["verify"]["secrets"], json!(["***"]));
    let listed = host.admin.get("/v1/tenants/acme/endpoints").await.expect(200);
    assert_eq!(listed["items"][0]["secrets"], json!(["***"]));
    assert_eq!(host.admin.get("/v1/tenants").await.expect(200)["items"][0]["title"], "Acme");
}

#[tokio::test]
async fn secrets_are_nowhere_in_the_data_directory() {
    let (mut host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let source = json!({ "verify": { "scheme": "github", "secrets": ["a-secret-to-look-for"] } });
    host.put("/v1/tenants/acme/sources/s", &source).await;
    host.terminate().await;
    let (mut files, mut dirs) = (0, vec![host.data()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(20).any(|window| window == b"a-secret-to-look-for");
            assert!(!found, "{}", path.display());
        }
    }
    assert!(files > 2);
}

#[tokio::test]
async fn credentials_in_an_endpoints_headers_are_kept_like_secrets() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let headers = json!({ "Authorization": "Bearer s3cret", "x-team": "core" });
    let spec = json!({ "url": receiver.url("/"), "secrets": [], "headers": headers });
    let shown = json!({ "Authorization": "***", "x-team": "core" });
    assert_eq!(host.admin.put("/v1/tenants/acme/endpoints/out", &spec).await.expect(200)["headers"], shown);
    assert_eq!(host.admin.put("/v1/tenants/acme/endpoints/out", &spec).await.expect(200)["changed"], false);
    assert_eq!(host.admin.get("/v1/tenants/acme/endpoints/out").await.expect(200)["headers"], shown);
    let masked = json!({ "url": receiver.url("/"), "secrets": [], "headers": shown });
    let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &masked).await.problem(422);
    assert_eq!(problem["pointer"], "/headers/Authorization");
    host.put("/v1/tenants/acme/routes/r", &json!({ "source": "in", "to": { "endpoints": ["out"] } })).await;
    host.event("x", "{}").await;
    assert_eq!(receiver.next().await.headers["authorization"], "Bearer s3cret");
}

#[tokio::test]
async fn a_made_secret_is_shown_once_and_signs() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let spec = json!({ "url": receiver.url("/signed") });
    let made = host.admin.put("/v1/tenants/acme/endpoints/signed", &spec).await.expect(201);
    assert!(made["secrets"][0].as_str().unwrap().starts_with("whsec_"), "{made}");
    let again = host.admin.put("/v1/tenants/acme/endpoints/signed", &spec).await.expect(200);
    assert_eq!((&again["changed"], &again["secrets"]), (&json!(false), &json!(["***"])));
    host.put("/v1/tenants/acme/routes/r", &json!({ "source": "in", "to": { "endpoints": ["signed"] } })).await;
    host.event("x", "{}").await;
    assert!(receiver.next().await.headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_where_it_stands() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let before = host.admin.get("/v1/tenants/acme/endpoints").await.expect(200);
    let url = receiver.url("/");
    let many: serde_json::Map<String, Value> =
        (0..5).map(|n| (format!("x-{n}"), json!("v".repeat(16 << 10)))).collect();
    let cases: [(&str, Value, &str, &str); 19] = [
        ("endpoints/e", json!({}), "", "missing field `url`"),
        ("endpoints/e", json!({ "url": 3 }), "/url", "invalid type"),
        ("endpoints/e", json!({ "url": "ftp://x/" }), "/url", "http or https"),
        ("endpoints/e", json!({ "url": "http://u:p@x/" }), "/url", "user information"),
        ("endpoints/e", json!({ "url": url, "colour": "red" }), "/colour", "unknown field `colour`"),
        ("endpoints/e", json!({ "url": url, "method": "GET" }), "/method", "POST, PUT, PATCH"),
        ("endpoints/e", json!({ "url": url, "timeout_ms": 1 }), "/timeout_ms", "1 is not from 100 to 120000"),
        (
            "endpoints/e",
            json!({ "url": url, "headers": { "webhook-id": "x" } }),
            "/headers/webhook-id",
            "host sets itself",
        ),
        (
            "endpoints/e",
            json!({ "url": url, "headers": { "x-api-key": "v".repeat((16 << 10) + 1) } }),
            "/headers/x-api-key",
            "a header's value has at most 16384",
        ),
        ("endpoints/e", json!({ "url": url, "headers": many }), "/headers", "at most 65536 are allowed"),
        ("endpoints/e", json!({ "url": url, "secrets": ["plain"] }), "/secrets/0", "whsec_"),
        ("endpoints/e", json!({ "url": url, "retry": { "schedule_s": [] } }), "/retry/schedule_s", ""),
        ("endpoints/e", json!({ "url": url, "event_types": ["a*"] }), "/event_types/0", "pattern"),
        ("sources/s", json!({ "verify": { "scheme": "magic" } }), "/verify/scheme", "unknown variant `magic`"),
        ("sources/s", json!({ "verify": { "scheme": "github", "secrets": [] } }), "/verify/secrets", "1 to 10"),
        ("routes/r", json!({ "source": "nope", "to": { "endpoints": ["out"] } }), "/source", "no source `nope`"),
        (
            "routes/r",
            json!({ "source": "in", "to": { "endpoints": ["nope"] } }),
            "/to/endpoints/0",
            "no endpoint `nope`",
        ),
        ("routes/r", json!({ "source": "in" }), "/to", "is missing"),
        (
            "routes/r",
            json!({ "source": "in", "steps": [{ "module": "nope" }], "to": { "endpoints": ["out"] } }),
            "/steps/0/module",
            "no module `nope`",
        ),
    ];
    for (path, spec, pointer, words) in cases {
        let problem = host.admin.put(&format!("/v1/tenants/acme/{path}"), &spec).await.problem(422);
        let found = problem.get("pointer").and_then(Value::as_str).unwrap_or_default();
        assert_eq!(found, pointer, "{spec}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{spec}: {problem}");
        assert_eq!(host.admin.get(&format!("/v1/tenants/acme/{path}")).await.status, 404);
    }
    let not_json = host.admin.send(Method::PUT, "/v1/tenants/acme/endpoints/e", &[], "{").await;
    assert_eq!(not_json.problem(422)["code"], "resource_invalid");
    let bad_name = host.admin.put("/v1/tenants/acme/endpoints/Bad", &json!({ "url": url })).await;
    assert_eq!(bad_name.problem(400)["code"], "name_invalid");
    let no_tenant = host.admin.put("/v1/tenants/nobody/endpoints/e", &json!({ "url": url })).await;
    assert!(no_tenant.problem(409)["detail"].as_str().unwrap().contains("no tenant `nobody`"));
    assert_eq!(host.admin.get("/v1/tenants/acme/endpoints").await.expect(200), before);
}

#[tokio::test]
async fn a_page_of_long_resources_ends_early_and_the_next_goes_on() {
    let host = Host::start().await;
    host.put("/v1/tenants/acme", &json!({})).await;
    let headers: serde_json::Map<String, Value> =
        (0..3).map(|n| (format!("x-{n}"), json!("v".repeat(16 << 10)))).collect();
    for number in 10..40 {
        let spec = json!({ "url": "https://example.com/", "secrets": [], "headers": headers });
        host.put(&format!("/v1/tenants/acme/endpoints/e{number}"), &spec).await;
    }
    let list = "/v1/tenants/acme/endpoints?limit=500";
    let first = host.admin.get(list).await;
    assert!(first.body.len() < 1_200_000, "{} bytes", first.body.len());
    let first = first.expect(200);
    assert!(first["note"].as_str().unwrap().contains("`next` goes on"), "{}", first["note"]);
    let next = host.admin.get(&format!("{list}&cursor={}", first["next"].as_str().unwrap())).await.expect(200);
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = [names(&first), names(&next)].concat();
    assert_eq!((all, &next["next"]), ((10..40).map(|number| format!("e{number}")).collect(), &Value::Null));
}

#[tokio::test]
async fn what_others_need_is_not_removed() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    host.upload("match").await;
    host.route("r", json!([{ "module": "operator/match", "settings": { "event": "type", "equals": "x" } }])).await;
    for path in [
        "/v1/tenants/acme/sources/in",
        "/v1/tenants/acme/endpoints/out",
        "/v1/operator/modules/match",
        "/v1/tenants/acme",
    ] {
        let problem = host.admin.delete(path).await.problem(409);
        assert_eq!(problem["code"], "in_use", "{path}");
    }
    for path in ["routes/r", "sources/in", "endpoints/out"] {
        host.admin.delete(&format!("/v1/tenants/acme/{path}")).await.expect(204);
        assert_eq!(host.admin.delete(&format!("/v1/tenants/acme/{path}")).await.problem(404)["code"], "not_found");
    }
    host.admin.delete("/v1/operator/modules/match").await.expect(204);
    host.admin.delete("/v1/tenants/acme").await.expect(204);
    assert_eq!(host.ingest.post("/in/acme/in", "{}").await.problem(404)["code"], "source_unknown");
}

#[tokio::test]
async fn an_endpoint_with_deliveries_is_removed_only_with_them() {
    let host = Host::start().await;
    // Nobody listens there: the deliveries stay pending.
    host.acme("http://127.0.0.1:1/").await;
    host.put("/v1/tenants/acme/routes/r", &json!({ "source": "in", "to": { "endpoints": ["out"] } })).await;
    let event = host.event("x", "{}").await;
    let delivery = host.run_with(&event, "routed").await["deliveries"][0].as_str().unwrap().to_owned();
    // While a route needs the endpoint nothing is removed, so nothing is given up.
    let refused = host.admin.delete("/v1/tenants/acme/endpoints/out?pending=cancel").await;
    assert_eq!(refused.problem(409)["code"], "in_use");
    host.delivery_with(&delivery, "pending").await;
    host.admin.delete("/v1/tenants/acme/routes/r").await.expect(204);
    let refused = host.admin.delete("/v1/tenants/acme/endpoints/out").await;
    assert_eq!(refused.problem(409)["code"], "deliveries_pending");
    host.admin.delete("/v1/tenants/acme/endpoints/out?pending=cancel").await.expect(204);
    let gone = host.delivery_with(&delivery, "dead").await;
    assert_eq!(gone["reason"], "its endpoint was removed");
    // Nor does it come back for an endpoint that is not there.
    let retry = format!("/v1/tenants/acme/deliveries/{delivery}/retry");
    assert_eq!(host.admin.post(&retry, "").await.problem(409)["code"], "endpoint_missing");
}

#[tokio::test]
async fn an_endpoint_that_goes_while_a_run_is_routed_gets_no_delivery() {
    let host = Host::start_with("pipeline.inline_budget_ms = 0\nruntime.max_time_ms = 10000\n").await;
    host.acme("http://127.0.0.1:1/").await;
    host.upload("misbehave").await;
    let steps = json!([{ "module": "operator/misbehave", "settings": { "do": "spin", "rounds": 500_000_000 } }]);
    host.put("/v1/tenants/acme/routes/r", &json!({ "source": "in", "steps": steps, "to": { "labels": {} } })).await;
    let event = host.event("x", "{}").await;
    host.admin.delete("/v1/tenants/acme/endpoints/out").await.expect(204);
    let run = host.run_with(&event, "routed").await;
    assert_eq!(run["deliveries"], json!([]), "it was routed to what was there in the end");
    let waiting = host.admin.get("/v1/tenants/acme/deliveries?endpoint=out&status=pending").await.expect(200);
    assert_eq!(waiting["items"], json!([]));
}

#[tokio::test]
async fn only_the_operator_comes_in_and_only_by_a_name_of_the_host() {
    let host = Host::start().await;
    for key in [None, Some("wrong"), Some("the-operator-key-of-the-test")] {
        let stranger = Client::new(&host.admin_url, key);
        for path in ["/v1/tenants", "/v1/tenants/acme", "/v1/tenants/acme/events", "/v1/operator/modules"] {
            let answer = stranger.get(path).await;
            let code = if key.is_some() { "key_invalid" } else { "key_required" };
            assert_eq!(answer.problem(401)["code"], code, "{path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    let bearer = format!("Bearer {OPERATOR_KEY}");
    let headers = [("host", "evil.example"), ("authorization", bearer.as_str())];
    let answer = Client::new(&host.admin_url, None).send(Method::GET, "/v1/tenants", &headers, "").await;
    assert_eq!(answer.problem(421)["code"], "host_unknown");
    let anyhow = host.admin.send(Method::GET, "/healthz", &[("host", "evil.example")], "").await;
    assert_eq!(anyhow.status, 200, "a probe may not know the name");
    assert_eq!(host.admin.get("/v2").await.problem(404)["code"], "path_unknown");
    assert_eq!(host.admin.post("/v1/tenants", "").await.problem(405)["code"], "method_not_allowed");
}

#[tokio::test]
async fn bodies_and_paths_that_do_not_fit_are_problems_too() {
    let host = Host::start_with("admin.body_timeout_ms = 200\n").await;
    host.acme("http://127.0.0.1:1/").await;
    let large = host.admin.send(Method::PUT, "/v1/tenants/acme", &[], vec![b' '; (1 << 20) + 1]).await;
    assert_eq!(large.problem(413)["code"], "body_too_large");
    assert_eq!(host.admin.get("/v1/tenants/%FF").await.problem(400)["code"], "path_invalid");
    assert_eq!(host.admin.get("/v1/tenants/acme%2Fsources%2Fin").await.problem(400)["code"], "name_invalid");
    for path in ["/v1/tenants/acme", "/v1/operator/modules/m"] {
        let mut stream = TcpStream::connect(host.admin_url.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATOR_KEY}\r\ncontent-length: 9\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 408", "{path}");
    }
}
