//! API keys, from their making to their end, and the audit log, which tells what was done with them.

use super::support::{Client, Host, now_ms, until};
use serde_json::{Value, json};

const ENDPOINT_SECRET: &str = "whsec_cGxhbnRlZC1zZWNyZXQtb2YtYW4tZW5kcG9pbnQ=";

#[tokio::test]
async fn a_key_is_shown_once_changed_in_place_and_gone_at_once() {
    let mut host = Host::start().await;
    host.put("/v1/tenants/acme", &json!({})).await;
    let path = "/v1/tenants/acme/keys/ci";
    let made = host.admin.put(path, &json!({ "title": "the build", "role": "read" })).await.expect(201);
    let text = made["key"].as_str().unwrap().to_owned();
    assert!(text.starts_with("hsk_acme_") && made["last_used_at_ms"].is_null(), "{made}");
    let with_key = |host: &Host| Client::new(&host.admin_url, Some(&text));
    with_key(&host).get("/v1/tenants/acme").await.expect(200);
    let shown = host.admin.get(path).await.expect(200);
    assert!(shown["key"].is_null() && shown["last_used_at_ms"].is_u64() && shown["title"] == "the build", "{shown}");
    let refused = with_key(&host).put("/v1/tenants/acme/sources/s", &json!({ "verify": { "scheme": "none" } })).await;
    let said = refused.problem(403);
    assert!(said["code"] == "forbidden" && said["detail"].as_str().unwrap().contains("the role `read`"), "{said}");

    let again = host.admin.put(path, &json!({ "role": "deploy" })).await.expect(200);
    assert!(again["changed"] == true && again["key"].is_null() && again["role"] == "deploy", "{again}");
    assert_eq!(host.admin.put(path, &json!({ "role": "deploy" })).await.expect(200)["changed"], false);
    with_key(&host).put("/v1/tenants/acme/sources/s", &json!({ "verify": { "scheme": "none" } })).await.expect(201);

    host.terminate().await;
    host.start_again().await;
    with_key(&host).get("/v1/tenants/acme").await.expect(200);
    for spec in
        [json!({ "role": "deploy", "expires_at_ms": 1 }), json!({ "role": "deploy", "expires_at_ms": now_ms() - 1 })]
    {
        let refused = host.admin.put(path, &spec).await.problem(422);
        assert_eq!(refused["pointer"], "/expires_at_ms", "{refused}");
    }
    let ends_at_ms = now_ms() + 1_500;
    host.put(path, &json!({ "role": "deploy", "expires_at_ms": ends_at_ms })).await;
    // What is left out is as it was: the key does not become eternal by it.
    let renamed = host.admin.put(path, &json!({ "role": "deploy", "title": "CI" })).await.expect(200);
    assert_eq!(renamed["expires_at_ms"], ends_at_ms);
    until("the key to end", async || (with_key(&host).get("/v1/tenants/acme").await.status == 401).then_some(())).await;
    assert_eq!(with_key(&host).get("/v1/tenants/acme").await.problem(401)["code"], "key_invalid");
    assert_eq!(host.admin.get(path).await.expect(200)["expired"], true);
    host.admin.put(path, &json!({ "role": "deploy", "title": "CI" })).await.expect(200);
    let renewed = host.admin.put(path, &json!({ "role": "deploy", "expires_at_ms": null })).await.expect(200);
    assert!(renewed["expires_at_ms"].is_null() && renewed.get("expired").is_none(), "{renewed}");
    with_key(&host).get("/v1/tenants/acme").await.expect(200);
    host.admin.delete(path).await.expect(204);
    assert_eq!(with_key(&host).get("/v1/tenants/acme").await.problem(401)["code"], "key_invalid");
    for (spec, pointer) in
        [(json!({}), ""), (json!({ "role": "root" }), "/role"), (json!({ "role": "read", "key": "mine" }), "/key")]
    {
        let problem = host.admin.put(path, &spec).await.problem(400);
        assert_eq!(problem["pointer"].as_str().unwrap_or_default(), pointer, "{problem}");
    }
    let late = host.admin.put(path, &json!({ "role": "read", "expires_at_ms": u64::MAX })).await.problem(422);
    assert_eq!(late["pointer"], "/expires_at_ms");
}

#[tokio::test]
async fn a_key_does_not_know_of_another_ones_use_that_had_its_name() {
    let host = Host::start().await;
    let (tenant, path) = ("/v1/tenants/acme", "/v1/tenants/acme/keys/k");
    host.put(tenant, &json!({})).await;
    let made = host.admin.put(path, &json!({ "role": "read" })).await.expect(201);
    Client::new(&host.admin_url, made["key"].as_str()).get(tenant).await.expect(200);
    assert!(host.admin.get(path).await.expect(200)["last_used_at_ms"].is_u64());
    // It goes with its tenant.
    host.admin.delete(tenant).await.expect(204);
    host.put(tenant, &json!({})).await;
    let again = host.admin.put(path, &json!({ "role": "read" })).await.expect(201);
    assert!(again["last_used_at_ms"].is_null(), "{again}");
    assert!(host.admin.get(path).await.expect(200)["last_used_at_ms"].is_null());
}

#[tokio::test]
async fn the_audit_log_tells_who_changed_what_and_shows_no_secret() {
    let mut host = Host::start().await;
    host.acme("http://127.0.0.1:9/").await;
    let made = host.admin.put("/v1/tenants/acme/keys/admin", &json!({ "role": "admin" })).await.expect(201);
    let admin = made["key"].as_str().unwrap().to_owned();
    let client = Client::new(&host.admin_url, Some(&admin));
    let endpoint = |secret: &str| json!({ "url": "http://127.0.0.1:9/", "secrets": [secret], "labels": { "to": "b" } });
    client.put("/v1/tenants/acme/endpoints/out", &endpoint(ENDPOINT_SECRET)).await.expect(200);
    client.put("/v1/tenants/acme/endpoints/out", &endpoint(ENDPOINT_SECRET)).await.expect(200);
    let event = host.event("x", "{}").await;
    client.delete(&format!("/v1/tenants/acme/events/{event}")).await.expect(200);
    client.post("/v1/tenants/acme/endpoints/out/enable", "").await.expect(202);
    client.delete("/v1/tenants/acme/endpoints/out").await.expect(204);

    let log = client.get("/v1/tenants/acme/audit").await.expect(200);
    let told: Vec<(&str, &str)> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["target"].as_str().unwrap()))
        .collect();
    let erased = ("erase", event.as_str());
    let put = ("configure", "acme/endpoint/out");
    let wanted = [put, erased, put, ("configure", "acme/key/admin"), put, ("configure", "acme/source/in")];
    assert_eq!(told, wanted, "what changed nothing is not told of: {log:#}");
    let changed = &log["items"][2];
    assert_eq!(changed["by"]["kind"], "key");
    assert_eq!(
        (&changed["by"]["key"], &changed["by"]["tenant"], &changed["by"]["address"]),
        (&json!("admin"), &json!("acme"), &json!("127.0.0.1"))
    );
    assert!(changed["by"]["request"].as_str().unwrap().starts_with("req_"), "{changed}");
    let change = &changed["changes"][0];
    assert!(change["before"]["labels"].is_null() && change["after"]["labels"]["to"] == "b", "{change}");
    assert_eq!((&change["after"]["secrets"], &change["secrets_changed"]), (&json!(["***"]), &json!(["/secrets/0"])));
    assert_eq!(log["items"][4]["by"]["kind"], "operator");
    assert_eq!(log["items"][0]["changes"][0]["after"], Value::Null);
    let digest = &log["items"][3]["changes"][0]["after"]["digest"];
    assert_eq!(digest, "***");
    let one = client.get("/v1/tenants/acme/audit?target=acme/source/in&limit=1").await.expect(200);
    assert_eq!(one["items"][0]["target"], "acme/source/in");
    let erased = client.get("/v1/tenants/acme/audit?action=erase").await.expect(200);
    assert_eq!((erased["items"].as_array().unwrap().len(), &erased["items"][0]["target"]), (1, &json!(event)));
    assert!(!log.to_string().contains(ENDPOINT_SECRET) && !log.to_string().contains(&admin));

    // It survives, and another tenant with the name does not see it; the operator sees who removed the first.
    host.kill().await;
    host.start_again().await;
    let log = host.admin.get("/v1/tenants/acme/audit?limit=500").await.expect(200);
    assert_eq!(log["items"].as_array().unwrap().len(), wanted.len());
    for path in ["sources/in", "keys/admin"] {
        host.admin.delete(&format!("/v1/tenants/acme/{path}")).await.expect(204);
    }
    host.admin.delete("/v1/tenants/acme").await.expect(204);
    // What is left of the event that was erased says so for its time.
    host.put("/v1/tenants/acme?former=keep", &json!({})).await;
    assert_eq!(host.admin.get("/v1/tenants/acme/audit").await.expect(200)["items"], json!([]));
    let operator = host.admin.get("/v1/operator/audit").await.expect(200);
    let targets: Vec<&Value> = operator["items"].as_array().unwrap().iter().map(|entry| &entry["target"]).collect();
    assert_eq!(targets, ["acme/tenant/acme"; 3]);
    assert_eq!(operator["items"][1]["changes"][0]["after"], Value::Null);
}
