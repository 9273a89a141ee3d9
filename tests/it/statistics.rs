//! What the host counts: exactly what was sent, in every window, and after a crash what was kept by then.

use super::support::{Client, Host, Receiver, Reply, small_filter, until};
use http::Method;
use serde_json::{Value, json};

/// Until the shortest wait for an answer is over.
const FIRST_BYTE_MS: u64 = 100;
const EVENTS: u64 = 6;

/// Puts a resource of `acme`.
async fn put(admin: &Client, path: &str, spec: Value) {
    let answer = admin.put(&format!("/v1/tenants/acme{path}"), &spec).await;
    assert!(answer.status.is_success(), "{path}: {}", String::from_utf8_lossy(&answer.body));
}

/// A tenant whose events go through a module to endpoints that are good, failing and silent.
async fn tenant(admin: &Client, good: &Receiver, failing: &Receiver, silent: &Receiver) {
    put(admin, "", json!({})).await;
    put(
        admin,
        "/sources/in",
        json!({ "verify": { "scheme": "none" }, "dedup": { "header": "x-key", "window_s": 3600 } }),
    )
    .await;
    let uploaded = admin.put_bytes("/v1/tenants/acme/modules/all", small_filter(1)).await;
    assert!(uploaded.status.is_success(), "{}", String::from_utf8_lossy(&uploaded.body));
    for (name, receiver, schedule) in
        [("good", good, json!([0])), ("failing", failing, json!([0, 0, 0])), ("silent", silent, json!([0]))]
    {
        let spec = json!({
            "url": receiver.url("/"), "secrets": [], "retry": { "schedule_s": schedule }, "hold_after": 0,
            "first_byte_timeout_ms": FIRST_BYTE_MS,
        });
        put(admin, &format!("/endpoints/{name}"), spec).await;
    }
    let to = json!({ "endpoints": ["good", "failing", "silent"] });
    put(admin, "/routes/all", json!({ "source": "in", "steps": [{ "module": "all" }], "to": to })).await;
}

async fn send(ingest: &Client, key: &str) -> u16 {
    let answer = ingest.send(Method::POST, "/in/acme/in", &[("x-key", key)], "0123456789").await;
    answer.status.as_u16()
}

/// Six events, one of them sent twice, and one that is refused.
async fn traffic(ingest: &Client) {
    for key in ["1", "2", "3", "4", "5", "6", "6"] {
        assert_eq!(send(ingest, key).await, 202);
    }
    assert_eq!(send(ingest, &"x".repeat(300)).await, 400);
}

async fn of(admin: &Client, path: &str) -> Value {
    admin.get(&format!("/v1/tenants/acme{path}/statistics")).await.expect(200)
}

/// Waits until all that the traffic makes has ended, and checks every count but that of duplicates.
async fn expect_all(admin: &Client, window: &str) {
    until("every delivery to have ended", || async {
        let of_endpoints = admin.get("/v1/operator/statistics").await.expect(200);
        let deliveries = &of_endpoints["items"][0]["endpoints"][window]["deliveries"];
        let ended = deliveries["delivered"].as_u64().unwrap_or(0) + deliveries["dead"].as_u64().unwrap_or(0);
        (ended == 3 * EVENTS).then_some(())
    })
    .await;
    let shown = of(admin, "/sources/in").await[window].clone();
    let duplicates = shown["outcomes"]["duplicate"].as_u64().unwrap();
    assert_eq!(shown["outcomes"], json!({ "accepted": 6, "duplicate": duplicates, "dedup_key_invalid": 1 }));
    assert_eq!(shown["requests"], 7 + duplicates);
    let success_rate = shown["success_rate"].as_f64().unwrap();
    assert!((success_rate - (6 + duplicates) as f64 / (7 + duplicates) as f64).abs() < 0.001, "{shown}");
    assert_eq!((&shown["runs"], &shown["accepted_body_bytes"]), (&json!({ "routed": 6 }), &json!(60)));
    let shown = of(admin, "/modules/all").await;
    assert_eq!((&shown[window]["calls"], &shown[window]["outcomes"]), (&json!(6), &json!({ "accepted": 6 })));
    assert_eq!((shown["versions"].as_array().unwrap().len(), &shown["versions"][0][window]), (1, &shown[window]));
    let endpoints = [
        ("good", 6, json!({ "delivered": 6 }), json!(1.0), json!({ "delivered": 6 }), json!(1.0)),
        ("failing", 18, json!({ "status_5xx": 18 }), json!(0.0), json!({ "dead": 6 }), json!(3.0)),
        ("silent", 6, json!({ "timeout": 6 }), json!(0.0), json!({ "dead": 6 }), json!(1.0)),
    ];
    for (name, attempts, outcomes, success_rate, deliveries, attempts_per_delivery) in endpoints {
        let shown = of(admin, &format!("/endpoints/{name}")).await;
        let found = &shown[window];
        assert_eq!((&found["attempts"], &found["outcomes"]), (&json!(attempts), &outcomes), "{name}");
        assert_eq!((&found["success_rate"], &found["deliveries"]), (&success_rate, &deliveries), "{name}");
        assert_eq!(found["attempts_per_delivery"], attempts_per_delivery, "{name}");
        let ms = |of: &str, what: &str| found[of][what].as_f64().unwrap();
        assert!(
            ms("latency", "p50_ms") <= ms("latency", "p99_ms") && ms("latency", "p99_ms") <= ms("latency", "max_ms")
        );
        assert!(ms("latency", "stddev_ms") >= 0.0 && ms("queue_age", "mean_ms") >= 0.0);
        // Quantiles are off by a 32nd at most.
        let floor = FIRST_BYTE_MS as f64 * 31.0 / 32.0;
        assert!(name != "silent" || ms("latency", "p50_ms") >= floor, "{shown}");
        let nothing = json!({ "pending": 0, "pending_is_at_least": false, "oldest_pending_age_ms": null });
        assert_eq!(shown["queue"], nothing, "{name}");
    }
}

/// The tenant's list, item by item on pages of two.
async fn listed(admin: &Client) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/v1/tenants/acme/statistics?limit=2{cursor}")).await.expect(200);
        assert_eq!(page.get("totals").is_some(), cursor.is_empty(), "the first page has the totals");
        let item = |item: &Value| format!("{}/{}", item["kind"].as_str().unwrap(), item["name"].as_str().unwrap());
        found.extend(page["items"].as_array().unwrap().iter().map(item));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn counts_are_exact_and_what_was_kept_survives_a_crash() {
    let good = Receiver::start().await;
    let failing = Receiver::answering(|_| Reply::status(500)).await;
    let silent = Receiver::answering(|_| Reply::Hang).await;
    let mut host = Host::start().await;
    tenant(&host.admin, &good, &failing, &silent).await;
    traffic(&host.ingest).await;
    for window in ["last_hour", "last_day"] {
        expect_all(&host.admin, window).await;
    }
    let duplicates =
        async |admin: &Client| of(admin, "/sources/in").await["last_hour"]["outcomes"]["duplicate"].as_u64();
    assert_eq!(duplicates(&host.admin).await, Some(1));
    let all = ["source/in", "module/all", "endpoint/failing", "endpoint/good", "endpoint/silent"];
    assert_eq!(listed(&host.admin).await, all);
    let series =
        host.admin.get("/v1/tenants/acme/sources/in/statistics?series=minute").await.expect(200)["series"].clone();
    let requests = series.as_array().unwrap().iter().map(|minute| minute["requests"].as_u64().unwrap());
    assert_eq!(requests.sum::<u64>(), 8);

    // A host that is told to stop keeps all that it has counted; one that is killed loses what it had counted since, and that alone.
    host.terminate().await;
    host.start_again().await;
    assert_eq!(send(&host.ingest, "6").await, 202);
    assert_eq!(duplicates(&host.admin).await, Some(2));
    host.kill().await;
    host.start_again().await;
    // Unless a minute has ended meanwhile.
    let kept = duplicates(&host.admin).await;
    assert!(kept == Some(1) || kept == Some(2), "{kept:?}");
    for window in ["last_hour", "last_day"] {
        expect_all(&host.admin, window).await;
    }
    assert_eq!(listed(&host.admin).await, all);

    // What is made again has nothing of what had its name.
    assert_eq!(host.admin.delete("/v1/tenants/acme/routes/all").await.status, 204);
    assert_eq!(host.admin.delete("/v1/tenants/acme/endpoints/good").await.status, 204);
    host.admin.get("/v1/tenants/acme/endpoints/good/statistics").await.problem(404);
    put(&host.admin, "/endpoints/good", json!({ "url": good.url("/"), "secrets": [] })).await;
    assert_eq!(of(&host.admin, "/endpoints/good").await["last_day"]["attempts"], 0);
}

#[tokio::test]
async fn what_finds_no_room_is_counted_in_the_totals_and_said_so() {
    let (host, receiver) = (Host::start_with("statistics.subjects_max = 1\n").await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    // The source takes the one place there is.
    host.event("x", "1").await;
    host.route("r", json!([])).await;
    host.event("x", "2").await;
    let totals = until("the attempt", || async {
        let totals = host.admin.get("/v1/operator/statistics").await.expect(200)["items"][0].clone();
        (totals["endpoints"]["last_hour"]["attempts"] == 1).then_some(totals)
    })
    .await;
    assert_eq!(totals["endpoints"]["last_hour"]["counted_in_totals_only"], 1);
    assert_eq!(totals["sources"]["last_hour"]["requests"], 2);
    let of_tenant = host.admin.get("/v1/tenants/acme/statistics").await.expect(200);
    assert_eq!(of_tenant["totals"]["endpoints"]["last_hour"]["counted_in_totals_only"], 1);
    assert_eq!(of(&host.admin, "/endpoints/out").await["last_hour"]["attempts"], 0);
}

#[tokio::test]
async fn an_operators_module_is_counted_for_the_tenant_whose_route_has_it() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let uploaded = host.admin.put_bytes("/v1/operator/modules/shared", small_filter(1)).await;
    assert!(uploaded.status.is_success(), "{}", String::from_utf8_lossy(&uploaded.body));
    host.route("r", json!([{ "module": "operator/shared" }])).await;
    host.event("x", "1").await;
    receiver.next().await;
    let path = "/v1/tenants/acme/modules/shared/statistics";
    let shown = host.admin.get(&format!("{path}?scope=operator")).await.expect(200);
    assert_eq!((&shown["name"], &shown["last_hour"]["calls"]), (&json!("operator/shared"), &json!(1)));
    assert_eq!(host.admin.get(path).await.problem(404)["code"], "not_found", "it is not the tenant's own");
    // What was counted before this time is in the store: minutes that were over when the host looked.
    let kept_until_ms = until("a look at what is over", || async {
        host.admin.get("/v1/operator/statistics").await.expect(200)["kept_until_ms"].as_u64()
    })
    .await;
    assert!(kept_until_ms % 60_000 == 0 && kept_until_ms <= shown["now_ms"].as_u64().unwrap() + 60_000, "{shown}");
}

#[tokio::test]
async fn a_wrong_question_is_refused_and_a_queue_is_shown_as_it_is() {
    let receiver = Receiver::answering(|_| Reply::Hang).await;
    let host = Host::start().await;
    host.acme(&receiver.url("/")).await;
    host.route("r", json!([])).await;
    for path in ["/sources/none", "/modules/none", "/endpoints/none"] {
        assert_eq!(
            host.admin.get(&format!("/v1/tenants/acme{path}/statistics")).await.problem(404)["code"],
            "not_found"
        );
    }
    assert_eq!(host.admin.get("/v1/tenants/nobody/statistics").await.problem(404)["code"], "not_found");
    for cursor in ["x", "endpoint:", "x:y"] {
        let problem = host.admin.get(&format!("/v1/tenants/acme/statistics?cursor={cursor}")).await.problem(400);
        assert_eq!(problem["code"], "cursor_invalid");
    }
    for query in ["/sources/in/statistics?series=day", "/statistics?limit=0", "/modules/none/statistics?scope=mine"] {
        let problem = host.admin.get(&format!("/v1/tenants/acme{query}")).await.problem(400);
        assert_eq!(problem["code"], "query_invalid", "{query}");
    }
    host.event("x", "1").await;
    receiver.next().await;
    let shown = of(&host.admin, "/endpoints/out").await;
    assert_eq!(shown["queue"]["pending"], 1, "it is not answered yet");
    assert!(shown["queue"]["oldest_pending_age_ms"].is_u64(), "{shown}");
}
