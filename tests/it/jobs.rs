//! Jobs: one thing done to all that a filter finds, once each, whatever comes between.

use super::support::{Host, Receiver, Reply, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

const JOBS: &str = "/v1/tenants/acme/jobs";

/// A host with these settings whose endpoint `out` refuses everything until the flag is up, and so many events that are dead.
async fn with_dead(settings: &str, count: usize) -> (Host, Receiver, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let receiver =
        Receiver::answering(move |_| Reply::status(if is_well.load(Ordering::Relaxed) { 200 } else { 500 })).await;
    let host = Host::start_with(settings).await;
    host.acme(&receiver.url("/")).await;
    make_dead(&host, &receiver, count).await;
    (host, receiver, well)
}

/// Sends so many events, whose deliveries the receiver refuses.
async fn make_dead(host: &Host, receiver: &Receiver, count: usize) {
    // It goes on however often it fails.
    let endpoint = json!({ "url": receiver.url("/"), "secrets": [], "retry": { "schedule_s": [0] }, "hold_after": 0 });
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    host.route("r", json!([])).await;
    for number in 0..count {
        host.event("x", number.to_string()).await;
    }
    until("all to be dead", || async { (dead(host).await.len() == count).then_some(()) }).await;
    receiver.rest().await;
}

/// The dead deliveries of the tenant.
async fn dead(host: &Host) -> Vec<Value> {
    let page = host.admin.get("/v1/tenants/acme/deliveries?status=dead&limit=500").await.expect(200);
    page["items"].as_array().unwrap().clone()
}

async fn create(host: &Host, body: Value) -> String {
    let job = host.admin.post(JOBS, body.to_string()).await.expect(202);
    job["id"].as_str().unwrap().to_owned()
}

async fn show(host: &Host, id: &str) -> Value {
    host.admin.get(&format!("{JOBS}/{id}")).await.expect(200)
}

async fn job_when(host: &Host, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(&format!("the job {what}"), || async { Some(show(host, id).await).filter(|job| is_so(job)) }).await
}

/// How many attempts each of the receiver's deliveries took, as the host has it, when none is pending any more.
async fn attempts(host: &Host) -> BTreeMap<String, u64> {
    until("nothing to be pending", || async {
        let page = host.admin.get("/v1/tenants/acme/deliveries?limit=500").await.expect(200);
        let items = page["items"].as_array().unwrap();
        let pending = items.iter().any(|delivery| delivery["status"] == "pending");
        let each = items.iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it["attempts"].as_u64().unwrap()));
        (!pending).then(|| each.collect())
    })
    .await
}

#[tokio::test]
async fn a_job_retries_what_is_dead_once_each() {
    let (host, receiver, well) = with_dead("", 30).await;
    well.store(true, Ordering::Relaxed);
    let body = json!({ "do": "retry", "filter": { "endpoint": "out", "source": "in" }, "rate_per_s": 1000 });
    let with_key = |body: Value| {
        let admin = host.admin.clone();
        async move { admin.send(http::Method::POST, JOBS, &[("idempotency-key", "one")], body.to_string()).await }
    };
    let job = with_key(body.clone()).await.expect(202);
    assert_eq!((&job["do"], &job["filter"]["endpoint"], &job["plan"]), (&json!("retry"), &json!("out"), &json!(null)));
    let id = job["id"].as_str().unwrap();
    let done = job_when(&host, id, "to be done", |job| job["state"] == "done").await;
    assert_eq!((&done["done"], &done["skipped"], &done["looked_at"]), (&json!(30), &json!(0), &json!(30)));
    for _ in 0..30 {
        receiver.next().await;
    }
    assert!(attempts(&host).await.values().all(|attempts| *attempts == 2));
    assert!(receiver.rest().await.is_empty());
    assert!(dead(&host).await.is_empty());

    // Asked for again it is the same job; and what is asked for otherwise is another request.
    assert_eq!(with_key(body).await.expect(202)["id"], id);
    let other = with_key(json!({ "do": "rerun" })).await;
    assert_eq!(other.problem(409)["code"], "idempotency_key_reused");
    let listed = host.admin.get(JOBS).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let late = host.admin.post(&format!("{JOBS}/{id}/cancel"), "").await;
    assert_eq!(late.problem(409)["code"], "state_conflict");
}

#[tokio::test]
async fn a_job_goes_on_after_a_kill_and_does_nothing_twice() {
    let (mut host, receiver, well) = with_dead("", 200).await;
    well.store(true, Ordering::Relaxed);
    let id = create(&host, json!({ "do": "retry", "rate_per_s": 100 })).await;
    for part in [40, 90] {
        job_when(&host, &id, "to be amid its work", |job| job["done"].as_u64() >= Some(part)).await;
        host.kill().await;
        host.start_again().await;
        let job = show(&host, &id).await;
        assert_eq!(job["state"], "running", "{job}");
    }
    let done = job_when(&host, &id, "to be done", |job| job["state"] == "done").await;
    assert_eq!((&done["done"], &done["skipped"]), (&json!(200), &json!(0)));
    let attempts = attempts(&host).await;
    assert_eq!(attempts.len(), 200);
    assert!(attempts.values().all(|attempts| *attempts == 2), "{attempts:?}");
    // Only what was in flight at a kill came twice, and everything came.
    let mut received: BTreeMap<String, u32> = BTreeMap::new();
    for request in receiver.rest().await {
        *received.entry(request.id().to_owned()).or_default() += 1;
    }
    assert!(received.keys().eq(attempts.keys()));
}

#[tokio::test]
async fn a_job_that_is_cancelled_stops_where_it_is() {
    let (host, _receiver, well) = with_dead("", 100).await;
    well.store(true, Ordering::Relaxed);
    let id = create(&host, json!({ "do": "retry", "rate_per_s": 20 })).await;
    job_when(&host, &id, "to have begun", |job| job["done"].as_u64() >= Some(4)).await;
    host.admin.post(&format!("{JOBS}/{id}/cancel"), "").await.expect(202);
    let cancelled = show(&host, &id).await;
    let done = cancelled["done"].as_u64().unwrap();
    assert_eq!(cancelled["state"], "cancelled");
    // At this rate a tenth of a second has two: it went slowly enough to be stopped.
    assert!(done < 100, "{cancelled}");
    attempts(&host).await;
    assert_eq!(dead(&host).await.len() as u64, 100 - done);
    // A job that comes after it has done nothing more when that one is through.
    let rest = create(&host, json!({ "do": "retry", "rate_per_s": 1000 })).await;
    let rest = job_when(&host, &rest, "to be done", |job| job["state"] == "done").await;
    assert_eq!((rest["done"].as_u64().unwrap(), show(&host, &id).await["done"].as_u64().unwrap()), (100 - done, done));
}

#[tokio::test]
async fn a_job_waits_while_too_much_is_pending_and_a_tenant_has_few_at_work() {
    let gate = Arc::new(Semaphore::new(0));
    let (well, opens) = (Arc::new(AtomicBool::new(false)), gate.clone());
    let is_well = well.clone();
    let receiver = Receiver::answering(move |_| {
        if is_well.load(Ordering::Relaxed) { Reply::StatusAfter(200, opens.clone()) } else { Reply::status(500) }
    })
    .await;
    let host = Host::start_with("jobs.pending_deliveries_max = 5\n").await;
    host.acme(&receiver.url("/")).await;
    make_dead(&host, &receiver, 20).await;
    well.store(true, Ordering::Relaxed);
    let body = json!({ "do": "retry", "rate_per_s": 1000 });
    let first = create(&host, body.clone()).await;
    let waits = job_when(&host, &first, "to wait", |job| job["waits_for"].is_string()).await;
    assert_eq!((&waits["done"], &waits["state"]), (&json!(5), &json!("running")));
    assert!(waits["waits_for"].as_str().unwrap().contains("5 deliveries"), "{waits}");
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(create(&host, body.clone()).await);
    }
    let many = host.admin.post(JOBS, body.to_string()).await;
    assert_eq!(many.problem(409)["code"], "jobs_limit");
    gate.add_permits(1000);
    let mut done = 0;
    for id in others.iter().chain([&first]) {
        let job = job_when(&host, id, "to be done", |job| job["state"] == "done").await;
        done += job["done"].as_u64().unwrap();
    }
    // Each of the dead was retried by one of them: what was pending by then was skipped.
    assert_eq!(done, 20);
    assert!(attempts(&host).await.values().all(|attempts| *attempts == 2));
}

#[tokio::test]
async fn a_job_replays_events_once_each_and_none_that_came_later() {
    let (mut host, receiver) = Host::with(&[]).await;
    host.route("r", json!([])).await;
    let mut events = Vec::new();
    for number in 0..60 {
        events.push(host.event(if number % 2 == 0 { "even" } else { "odd" }, number.to_string()).await);
        receiver.next().await;
    }
    let filter = json!({ "since_ms": 0, "event_type": "even" });
    let id = create(&host, json!({ "do": "replay", "filter": filter, "rate_per_s": 30 })).await;
    // What comes in now is no part of it.
    let later = host.event("even", "\"later\"").await;
    receiver.next().await;
    job_when(&host, &id, "to be amid its work", |job| job["done"].as_u64() >= Some(6)).await;
    host.kill().await;
    host.start_again().await;
    let job = job_when(&host, &id, "to be done", |job| job["state"] == "done").await;
    assert_eq!((&job["done"], &job["skipped"]), (&json!(30), &json!(0)));
    for (number, event) in events.iter().enumerate() {
        let runs = host.show(event).await["runs"].clone();
        let origins: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["origin"].as_str().unwrap()).collect();
        let expected: &[&str] = if number % 2 == 0 { &["live", "replay"] } else { &["live"] };
        assert_eq!(origins, expected, "{runs}");
    }
    assert_eq!(host.show(&later).await["runs"].as_array().unwrap().len(), 1);
    let attempts = attempts(&host).await;
    assert_eq!(attempts.len(), 60 + 1 + 30);
}

#[tokio::test]
async fn what_is_asked_for_is_checked() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    for (body, at) in [
        (json!({ "do": "retry", "filter": { "status": "pending" } }), "/filter/status"),
        (json!({ "do": "replay", "filter": {} }), "/filter/since_ms"),
        (json!({ "do": "rerun", "rate_per_s": 1001 }), "/rate_per_s"),
        (json!({ "do": "rerun", "filter": { "routes": "r" } }), "/filter/routes"),
    ] {
        let refused = host.admin.post(JOBS, body.to_string()).await.problem(400);
        assert_eq!((&refused["code"], &refused["pointer"]), (&json!("body_invalid"), &json!(at)), "{refused}");
    }
    let unknown = host.admin.get(&format!("{JOBS}/job_01ARZ3NDEKTSV4RRFFQ69G5FAV")).await;
    assert_eq!(unknown.problem(404)["code"], "not_found");
    assert_eq!(host.admin.get(&format!("{JOBS}/job_1")).await.problem(400)["code"], "id_invalid");
    assert_eq!(host.admin.post("/v1/tenants/nobody/jobs", r#"{"do":"retry"}"#).await.problem(404)["code"], "not_found");
    // A job that finds nothing is soon done.
    let id = create(&host, json!({ "do": "rerun" })).await;
    let done = job_when(&host, &id, "to be done", |job| job["state"] == "done").await;
    assert_eq!((&done["looked_at"], &done["done"]), (&json!(0), &json!(0)));
}
