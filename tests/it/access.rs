//! Who may do what: every operation of the admin interface with every key that must not open it. What refuses says nothing of what there is, and
//! nothing has changed afterwards. The operations are the host's own table, so one that is added is walked, too.

use super::support::{Answer, Client, Host, OPERATOR_KEY, Receiver, now_ms, until};
use hookswitch::api::{Operation, operations};
use hookswitch::config::Permission;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What must never be in an answer, nor in the log.
const SOURCE_SECRET: &str = "planted-secret-of-a-source";
const ENDPOINT_SECRET: &str = "whsec_cGxhbnRlZC1zZWNyZXQtb2YtYW4tZW5kcG9pbnQ=";
const HEADER_SECRET: &str = "planted-secret-in-a-header";

/// A key under test: what it may do, as the test sees it.
struct Key {
    what: String,
    /// The whole value of `Authorization`; none for no such header.
    sent: Option<String>,
    /// What it opens; none for nothing at all.
    opens: Option<Opens>,
}

struct Opens {
    /// None for all tenants and the operator's scope.
    tenant: Option<&'static str>,
    role: &'static str,
    /// Whether it is a customer's token: what that opens is for `tokens` to show.
    customer: bool,
}

impl Key {
    fn nothing(what: &str, sent: Option<String>) -> Self {
        Self { what: what.to_owned(), sent, opens: None }
    }

    /// Whether it may do that to a tenant. Written apart from the host's own rule.
    fn may(&self, operation: &Operation, tenant: &str) -> bool {
        let Some(opens) = &self.opens else { return false };
        let at_home = opens.tenant.is_none_or(|own| !operation.operator && own == tenant);
        let roles: &[&str] = match operation.needs {
            Permission::Read => &["read", "deploy", "admin"],
            Permission::Publish => &["publish", "admin"],
            Permission::Deploy => &["deploy", "admin"],
            Permission::Admin => &["admin"],
        };
        at_home && roles.contains(&opens.role) && (!opens.customer || operation.customers)
    }
}

/// A path of an operation for a tenant, with names and ids that are there, or with ones that never were.
struct Names(BTreeMap<&'static str, String>);

impl Names {
    fn ghosts(tenant: &str) -> Self {
        let event = "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let (run, delivery) =
            ("run_01ARZ3NDEKTSV4RRFFQ69G5FAV-0000000000000000", "dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV-0000000000000000");
        let named =
            ["sources", "modules", "endpoints", "routes", "keys", "event-types"].map(|kind| (kind, "ghost".to_owned()));
        let ids =
            [("{event}", event), ("{run}", run), ("{delivery}", delivery), ("{job}", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV")];
        let ids = ids.map(|(name, id)| (name, id.to_owned()));
        Self(named.into_iter().chain(ids).chain([("{tenant}", tenant.to_owned())]).collect())
    }

    /// Every path that the operation has: one for each kind of resource where it is for all.
    fn paths(&self, operation: &Operation) -> Vec<String> {
        let kinds: &[&str] =
            if operation.path.contains("{kind}") { &["sources", "endpoints", "routes", "event-types"] } else { &[""] };
        kinds.iter().map(|kind| self.path(&operation.path.replace("{kind}", kind))).collect()
    }

    fn path(&self, path: &str) -> String {
        let mut before = "";
        let filled = path.split('/').map(|segment| {
            let key = if segment == "{name}" { before } else { segment };
            before = segment;
            self.0.get(key).filter(|_| segment.starts_with('{')).map_or(segment, String::as_str)
        });
        filled.collect::<Vec<_>>().join("/")
    }
}

/// A tenant with two of everything.
async fn furnished(host: &Host, receiver: &Receiver, tenant: &str) -> Names {
    let at = format!("/v1/tenants/{tenant}");
    let named = |what: &str, number: u32| format!("{tenant}-{what}-{number}");
    host.put(&at, &json!({})).await;
    let module = super::support::guest("no-op");
    for number in [1, 2] {
        let verify = json!({ "scheme": "bearer", "secrets": [SOURCE_SECRET] });
        host.put(&format!("{at}/sources/{}", named("sources", number)), &json!({ "verify": verify })).await;
        let endpoint = json!({ "url": receiver.url("/"), "secrets": [ENDPOINT_SECRET], "headers": { "x-api-key": HEADER_SECRET } });
        host.put(&format!("{at}/endpoints/{}", named("endpoints", number)), &endpoint).await;
        let route = json!({ "source": named("sources", 1), "to": { "endpoints": [named("endpoints", 1)] } });
        host.put(&format!("{at}/routes/{}", named("routes", number)), &route).await;
        host.put(&format!("{at}/event-types/{}", named("event-types", number)), &json!({ "schema": true })).await;
        let uploaded =
            host.admin.put_bytes(&format!("{at}/modules/{}", named("modules", number)), module.clone()).await;
        assert!(uploaded.status.is_success(), "{}", String::from_utf8_lossy(&uploaded.body));
        host.put(&format!("{at}/keys/{}", named("keys", number)), &json!({ "role": "read" })).await;
    }
    let way = format!("/in/{tenant}/{}", named("sources", 1));
    let proof = format!("Bearer {SOURCE_SECRET}");
    let send = async || host.ingest.send(Method::POST, &way, &[("authorization", proof.as_str())], "{}").await;
    send().await.expect(202);
    let event = send().await.expect(202)["id"].as_str().unwrap().to_owned();
    let shown = host.admin.get(&format!("{at}/events/{event}")).await.expect(200);
    let run = &shown["runs"][0];
    let job = host.admin.post(&format!("{at}/jobs"), json!({ "do": "rerun" }).to_string()).await.expect(202);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut names = Names::ghosts(tenant);
    for kind in ["sources", "modules", "endpoints", "routes", "keys", "event-types"] {
        names.0.insert(kind, named(kind, 1));
    }
    let ids = [
        ("{event}", event),
        ("{run}", text(&run["id"])),
        ("{delivery}", text(&run["deliveries"][0])),
        ("{job}", text(&job["id"])),
    ];
    names.0.extend(ids);
    names
}

async fn make_key(host: &Host, scope: &str, name: &str, spec: Value) -> String {
    let answer = host.admin.put(&format!("{scope}/keys/{name}"), &spec).await;
    answer.expect(201)["key"].as_str().unwrap().to_owned()
}

async fn all_keys(host: &Host) -> Vec<Key> {
    let bearer = |key: &str| Some(format!("Bearer {key}"));
    let mut keys = vec![
        Key::nothing("no header", None),
        Key::nothing("an empty one", bearer("")),
        Key::nothing("another scheme", Some(format!("Basic {OPERATOR_KEY}"))),
        Key::nothing("no scheme", Some(OPERATOR_KEY.to_owned())),
        Key::nothing("the operator's, short of a byte", bearer(&OPERATOR_KEY[1..])),
        Key::nothing("the operator's, and a byte more", bearer(&format!("{OPERATOR_KEY}x"))),
        Key::nothing("the operator's in capitals", bearer(&OPERATOR_KEY.to_uppercase())),
    ];
    for (scope, tenant) in
        [("/v1/tenants/acme", Some("acme")), ("/v1/tenants/other", Some("other")), ("/v1/operator", None)]
    {
        for role in ["read", "publish", "deploy", "admin"] {
            let key = make_key(host, scope, &format!("with-{role}"), json!({ "role": role })).await;
            let what = format!("{role} of {}", tenant.unwrap_or("the operator"));
            keys.push(Key { what, sent: bearer(&key), opens: Some(Opens { tenant, role, customer: false }) });
        }
    }
    let admin = make_key(host, "/v1/tenants/acme", "altered", json!({ "role": "admin" })).await;
    let (_, secret) = admin.rsplit_once('_').unwrap();
    keys.push(Key::nothing("acme's, short of a byte", bearer(&admin[..admin.len() - 1])));
    keys.push(Key::nothing("acme's, said to be other's", bearer(&format!("hsk_other_{secret}"))));
    keys.push(Key::nothing("acme's, said to be the operator's", bearer(&format!("hso_{secret}"))));
    keys.push(Key::nothing("acme's, said to be nobody's", bearer(&format!("hsk_nobody_{secret}"))));
    let expired = json!({ "role": "admin", "expires_at_ms": now_ms() + 1_000 });
    let expired = [
        make_key(host, "/v1/tenants/acme", "expired", expired.clone()).await,
        make_key(host, "/v1/operator", "expired", expired).await,
    ];
    for (key, path) in expired.iter().zip(["/v1/tenants/acme", "/v1/tenants"]) {
        let client = Client::new(&host.admin_url, Some(key));
        until("the key to end", async || (client.get(path).await.status == 401).then_some(())).await;
    }
    keys.extend(expired.iter().map(|key| Key::nothing("an expired one", bearer(key))));
    for scope in ["/v1/tenants/acme", "/v1/operator"] {
        let removed = make_key(host, scope, "removed", json!({ "role": "admin" })).await;
        host.admin.delete(&format!("{scope}/keys/removed")).await.expect(204);
        keys.push(Key::nothing("a removed one", bearer(&removed)));
    }
    for role in ["read", "deploy"] {
        let of_acme = Client::new(&host.admin_url, Some(&admin));
        let asked = json!({ "labels": { "customer": "42" }, "role": role }).to_string();
        let token = of_acme.post("/v1/tenants/acme/tokens", asked).await.expect(201)["token"].clone();
        let token = token.as_str().unwrap();
        let opens = Some(Opens { tenant: Some("acme"), role, customer: true });
        keys.push(Key { what: format!("a customer's token to {role}"), sent: bearer(token), opens });
        keys.push(Key::nothing("a token, short of a byte", bearer(&token[..token.len() - 1])));
        let (said, proof) = token.split_once('.').unwrap();
        keys.push(Key::nothing("a token of other words", bearer(&format!("{}A.{proof}", &said[..said.len() - 1]))));
        keys.push(Key::nothing("a token without proof", bearer(&format!("{said}."))));
    }
    // Of a tenant that went, and of which another one has the name now.
    host.put("/v1/tenants/again", &json!({})).await;
    let before = make_key(host, "/v1/tenants/again", "k", json!({ "role": "admin" })).await;
    host.admin.delete("/v1/tenants/again").await.expect(204);
    host.put("/v1/tenants/again", &json!({})).await;
    keys.push(Key::nothing("one of a tenant before", bearer(&before)));
    keys
}

async fn send(stranger: &Client, key: &Key, method: &Method, path: &str) -> Answer {
    let headers: Vec<(&str, &str)> = key.sent.iter().map(|sent| ("authorization", sent.as_str())).collect();
    stranger.send(method.clone(), path, &headers, "{}").await
}

/// What the operator sees of a tenant, but for when keys were used.
async fn seen(host: &Host, tenant: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    for list in ["events", "deliveries", "sources", "endpoints", "routes", "modules", "jobs"] {
        seen.push(host.admin.get(&format!("/v1/tenants/{tenant}/{list}")).await.expect(200));
    }
    let keys = host.admin.get(&format!("/v1/tenants/{tenant}/keys")).await.expect(200);
    seen.extend(keys["items"].as_array().unwrap().iter().map(|key| key["name"].clone()));
    seen
}

/// What is refused is refused alike, whatever there is: the two answers are the same but for what one sent.
fn is_quiet(real: &Answer, ghost: &Answer) -> bool {
    let refused = |answer: &Answer| matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let said = |answer: &Answer| {
        let mut said = answer.json();
        said.as_object_mut().unwrap().remove("request_id");
        said
    };
    refused(real)
        && refused(ghost)
        && said(real) == said(ghost)
        && real.headers["content-type"] == "application/problem+json"
}

#[tokio::test]
async fn the_wrong_key_walk() {
    let (mut host, receiver) = (Host::start().await, Receiver::start().await);
    let names = furnished(&host, &receiver, "acme").await;
    let others = furnished(&host, &receiver, "other").await;
    for _ in 0..8 {
        receiver.next().await;
    }
    host.upload("no-op").await;
    let (keys, operations) = (all_keys(&host).await, operations());
    let stranger = Client::new(&host.admin_url, None);
    let before = (seen(&host, "acme").await, seen(&host, "other").await);
    let mut leaks = Vec::new();

    // Every operation on what there is, with every key that does not open it.
    for operation in &operations {
        let (real, ghosts) = (names.paths(operation), Names::ghosts("nobody").paths(operation));
        for (real, ghost) in real.iter().zip(&ghosts) {
            for key in keys.iter().filter(|key| !key.may(operation, "acme")) {
                let found = send(&stranger, key, &operation.method, real).await;
                // A key of one tenant is told the same of every other one.
                let none = send(&stranger, key, &operation.method, ghost).await;
                let own = key.opens.as_ref().is_some_and(|opens| opens.tenant.is_none());
                let ghost_is_open = own && key.may(operation, "nobody");
                if ghost_is_open || !is_quiet(&found, &none) {
                    leaks.push(format!("{} {real} with {}: {found:?}", operation.method, key.what));
                }
            }
        }
    }
    // Outside of the table, too.
    for key in keys.iter().filter(|key| key.opens.is_none()) {
        for path in
            ["/", "/v1", "/v1/", "/v1/tenants/acme/", "/v1/tenants/acme/nothing/here", "/v1/operator/none", "/v2"]
        {
            if send(&stranger, key, &Method::GET, path).await.status != StatusCode::UNAUTHORIZED {
                leaks.push(format!("{path} with {}", key.what));
            }
        }
        if send(&stranger, key, &Method::POST, "/v1/tenants").await.status != StatusCode::UNAUTHORIZED {
            leaks.push(format!("POST /v1/tenants with {}", key.what));
        }
    }
    assert!((seen(&host, "acme").await, seen(&host, "other").await) == before, "something has changed");

    // With a key that is right for its own tenant: ids and cursors of another one are none there.
    let own = keys.iter().find(|key| key.what == "admin of other").unwrap();
    let ghosts = Names::ghosts("other");
    for operation in operations
        .iter()
        .filter(|operation| ["{event}", "{run}", "{delivery}", "{job}"].iter().any(|id| operation.path.contains(id)))
    {
        let mut foreign = Names::ghosts("other");
        foreign.0.extend(["{event}", "{run}", "{delivery}", "{job}"].map(|id| (id, names.0[id].clone())));
        let found = send(&stranger, own, &operation.method, &foreign.paths(operation)[0]).await;
        let none = send(&stranger, own, &operation.method, &ghosts.paths(operation)[0]).await;
        let (found_code, none_code) = (found.json()["code"].clone(), none.json()["code"].clone());
        if found.status != StatusCode::NOT_FOUND || (found.status, &found_code) != (none.status, &none_code) {
            leaks.push(format!("{} {} of another tenant: {found:?}", operation.method, operation.path));
        }
    }
    let mut cursors = 0;
    for operation in operations.iter().filter(|operation| operation.method == Method::GET && !operation.operator) {
        for (theirs, ours) in names.paths(operation).iter().zip(others.paths(operation)) {
            let page = host.admin.get(&format!("{theirs}?limit=1")).await;
            let next = (page.status == StatusCode::OK && page.headers["content-type"] == "application/json")
                .then(|| page.json()["next"].clone());
            let Some(Value::String(next)) = next else { continue };
            cursors += 1;
            let found = send(&stranger, own, &Method::GET, &format!("{ours}?limit=1&cursor={next}")).await;
            if found.status != StatusCode::BAD_REQUEST || found.json()["code"] != "cursor_invalid" {
                leaks.push(format!("a cursor of {theirs} at {ours}: {found:?}"));
            }
        }
    }
    assert!(cursors >= 8, "only {cursors} lists gave a cursor: the walk would show nothing");

    // The right keys do open: or all of this would show nothing. What they are shown holds no secret.
    let secrets: Vec<&str> = keys
        .iter()
        .filter_map(|key| key.sent.as_deref()?.rsplit_once(['_', ' ']))
        .map(|(_, secret)| secret)
        .filter(|secret| secret.len() > 16)
        .chain([SOURCE_SECRET, ENDPOINT_SECRET, HEADER_SECRET, OPERATOR_KEY])
        .collect();
    for operation in &operations {
        let paths = if operation.method == Method::GET {
            names.paths(operation)
        } else {
            Names::ghosts("acme").paths(operation)
        };
        for (path, key) in paths.iter().flat_map(|path| keys.iter().map(move |key| (path, key))) {
            let customer = key.opens.as_ref().is_some_and(|opens| opens.customer);
            if !key.may(operation, "acme") || customer || (operation.operator && operation.method != Method::GET) {
                continue;
            }
            let found = send(&stranger, key, &operation.method, path).await;
            assert!(
                !matches!(found.status.as_u16(), 401 | 403 | 500),
                "{} {path} with {}: {found:?}",
                operation.method,
                key.what
            );
            let said = String::from_utf8_lossy(&found.body);
            if path.ends_with("/backup") || found.status == StatusCode::CREATED {
                continue;
            }
            leaks.extend(
                secrets.iter().filter(|secret| said.contains(**secret)).map(|secret| format!("{path} shows {secret}")),
            );
        }
    }
    host.terminate().await;
    let log = host.log();
    leaks
        .extend(secrets.iter().filter(|secret| log.contains(**secret)).map(|secret| format!("the log shows {secret}")));
    println!("access: operations={} keys={} leaks={}", operations.len(), keys.len(), leaks.len());
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn the_table_of_operations_is_sound() {
    for operation in operations() {
        let Operation { method, path, operator, needs, customers } = &operation;
        let reads = matches!(*needs, Permission::Read | Permission::Admin);
        assert!((*method == Method::GET) <= reads, "{operation:?} only looks");
        assert!((*needs == Permission::Read) <= (*method == Method::GET), "{operation:?} changes something");
        assert!(
            (path.contains("/keys") || path.ends_with("/audit")) <= (*needs == Permission::Admin),
            "{operation:?} is about keys"
        );
        assert!(!path.contains("{tenant}") <= *operator, "{operation:?} is no tenant's");
        assert!(path.starts_with("/v1/operator") <= *operator, "{operation:?}");
        let of_endpoints = ["/{kind}", "/endpoints/{name}/", "/deliveries"].iter().any(|part| path.contains(part));
        assert!(*customers <= of_endpoints, "{operation:?} is no customer's business");
    }
}
