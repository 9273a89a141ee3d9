//! Tokens of a tenant's customers: each sees and changes its own endpoints and their deliveries, and nothing else.

use super::support::{Client, Host, Receiver, Reply, now_ms, until};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Acme with a key that makes tokens, and an endpoint and a delivery for each of two customers.
struct Acme {
    host: Host,
    admin: Client,
    deliveries: [String; 2],
}

async fn acme() -> Acme {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    for customer in ["42", "43"] {
        let endpoint = json!({ "url": receiver.url("/"), "labels": { "customer": customer } });
        host.put(&format!("/v1/tenants/acme/endpoints/of-{customer}"), &endpoint).await;
        let route = json!({ "source": "in", "to": { "labels": { "customer": customer } } });
        host.put(&format!("/v1/tenants/acme/routes/to-{customer}"), &route).await;
    }
    let made = host.admin.put("/v1/tenants/acme/keys/backend", &json!({ "role": "admin" })).await.expect(201);
    let admin = Client::new(&host.admin_url, made["key"].as_str());
    let event = host.event("x", "{\"n\":1}").await;
    let runs = host.show(&event).await["runs"].clone();
    let deliveries = ["to-42", "to-43"].map(|route| {
        let run = runs.as_array().unwrap().iter().find(|run| run["route"] == route).unwrap();
        run["deliveries"][0].as_str().unwrap().to_owned()
    });
    for delivery in &deliveries {
        host.delivery_with(delivery, "delivered").await;
    }
    Acme { host, admin, deliveries }
}

async fn token(acme: &Acme, spec: Value) -> Client {
    let made = acme.admin.post("/v1/tenants/acme/tokens", spec.to_string()).await.expect(201);
    assert!(made["token"].as_str().unwrap().starts_with("hst_"), "{made}");
    Client::new(&acme.host.admin_url, made["token"].as_str())
}

const T: &str = "/v1/tenants/acme";

#[tokio::test]
async fn a_customer_sees_its_own_endpoints_and_deliveries_alone() {
    let acme = acme().await;
    let customer = token(&acme, json!({ "labels": { "customer": "42" } })).await;
    let endpoints = customer.get(&format!("{T}/endpoints")).await.expect(200);
    let names: Vec<&Value> = endpoints["items"].as_array().unwrap().iter().map(|endpoint| &endpoint["name"]).collect();
    assert_eq!(names, ["of-42"]);
    let keys = acme.host.admin.get(&format!("{T}/keys")).await.expect(200);
    let used_at_ms = keys["items"][0]["last_used_at_ms"].as_u64().unwrap();
    let shown = customer.get(&format!("{T}/endpoints/of-42")).await.expect(200);
    until("the token's use to be one of its key", || async {
        customer.get(&format!("{T}/endpoints")).await.expect(200);
        let keys = acme.host.admin.get(&format!("{T}/keys")).await.expect(200);
        (keys["items"][0]["last_used_at_ms"].as_u64().unwrap() > used_at_ms).then_some(())
    })
    .await;
    assert_eq!(shown["secrets"], json!(["***"]));
    customer.get(&format!("{T}/endpoints/of-42/statistics")).await.expect(200);
    let deliveries = customer.get(&format!("{T}/deliveries?endpoint=of-42")).await.expect(200);
    assert_eq!(deliveries["items"][0]["id"], acme.deliveries[0]);
    customer.get(&format!("{T}/deliveries/{}", acme.deliveries[0])).await.expect(200);
    assert_eq!(customer.get(&format!("{T}/deliveries/{}/body", acme.deliveries[0])).await.body, "{\"n\":1}");
    assert_eq!(customer.get(&format!("{T}/deliveries")).await.problem(400)["code"], "query_invalid");

    // Of others it is told the same as of what never was.
    for path in ["", "/body"] {
        let others = customer.get(&format!("{T}/deliveries/{}{path}", acme.deliveries[1])).await.problem(404);
        assert_eq!(others["code"], "not_found");
    }
    let mut said = Vec::new();
    for endpoint in ["of-43", "out", "ghost", "No Name"] {
        for path in [
            format!("endpoints/{endpoint}"),
            format!("endpoints/{endpoint}/statistics"),
            format!("deliveries?endpoint={endpoint}"),
        ] {
            let path = path.replace(' ', "%20");
            let answer = customer.get(&format!("{T}/{path}")).await;
            if endpoint == "No Name" && path.starts_with("deliveries") {
                answer.problem(400);
                continue;
            }
            let mut problem = answer.problem(403);
            problem.as_object_mut().unwrap().remove("request_id");
            said.push(problem);
        }
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:#?}");
    for path in [
        "",
        "/sources",
        "/routes",
        "/routes/to-42",
        "/modules",
        "/events",
        "/keys",
        "/audit",
        "/jobs",
        "/statistics",
        "/quarantine",
    ] {
        assert_eq!(customer.get(&format!("{T}{path}")).await.problem(403)["code"], "forbidden", "{path}");
    }
    for (method, path) in [
        (Method::POST, format!("deliveries/{}/retry", acme.deliveries[0])),
        (Method::POST, "endpoints/of-42/rotate-secret".to_owned()),
        (Method::DELETE, "endpoints/of-42".to_owned()),
        (Method::POST, "events".to_owned()),
        (Method::POST, "tokens".to_owned()),
    ] {
        let refused = customer.send(method, &format!("{T}/{path}"), &[], "{}").await;
        assert_eq!(refused.problem(403)["code"], "forbidden", "{path}: it may only look");
    }
}

#[tokio::test]
async fn a_customer_changes_its_own_endpoints_but_not_what_selects_them() {
    let acme = acme().await;
    let customer = token(&acme, json!({ "labels": { "customer": "42" }, "role": "deploy" })).await;
    let mine = |url: &str, labels: Value| json!({ "url": url, "labels": labels });
    let own = json!({ "customer": "42" });
    customer.put(&format!("{T}/endpoints/mine"), &mine("https://example.com/", own.clone())).await.expect(201);
    customer.put(&format!("{T}/endpoints/of-42"), &mine("https://example.com/", own.clone())).await.expect(200);
    customer.post(&format!("{T}/endpoints/mine/rotate-secret"), "").await.expect(200);
    // Where they are left out they are what they have to be.
    let plain = json!({ "url": "https://example.com/" });
    assert_eq!(customer.put(&format!("{T}/endpoints/plain"), &plain).await.expect(201)["labels"], own);
    assert_eq!(customer.put(&format!("{T}/endpoints/of-42"), &plain).await.expect(200)["labels"], own);
    for labels in [json!({ "customer": "43" }), json!({ "customer": "42", "tier": "gold" })] {
        for endpoint in ["new", "mine"] {
            let refused =
                customer.put(&format!("{T}/endpoints/{endpoint}"), &mine("https://example.com/", labels.clone())).await;
            assert_eq!(refused.problem(422)["pointer"], "/labels", "{labels}");
        }
    }
    // What the tenant added stays, and has to.
    acme.admin
        .put(&format!("{T}/endpoints/mine"), &mine("https://example.com/", json!({ "customer": "42", "tier": "gold" })))
        .await
        .expect(200);
    let gold = json!({ "customer": "42", "tier": "gold" });
    customer.put(&format!("{T}/endpoints/mine"), &mine("https://example.org/", gold.clone())).await.expect(200);
    assert_eq!(customer.put(&format!("{T}/endpoints/mine"), &plain).await.expect(200)["labels"], gold);
    assert_eq!(
        customer.put(&format!("{T}/endpoints/mine"), &mine("https://example.org/", own.clone())).await.problem(422)["pointer"],
        "/labels"
    );
    for path in ["endpoints/of-43", "endpoints/out"] {
        assert_eq!(
            customer.put(&format!("{T}/{path}"), &mine("https://example.com/", own.clone())).await.problem(403)["code"],
            "forbidden"
        );
        assert_eq!(customer.put(&format!("{T}/{path}"), &plain).await.problem(403)["code"], "forbidden");
        assert_eq!(customer.delete(&format!("{T}/{path}")).await.problem(403)["code"], "forbidden");
    }
    let source = json!({ "verify": { "scheme": "none" } });
    assert_eq!(customer.put(&format!("{T}/sources/s"), &source).await.problem(403)["code"], "forbidden");
    let retried = customer.post(&format!("{T}/deliveries/{}/retry", acme.deliveries[0]), "").await;
    retried.expect(202);
    assert_eq!(
        customer.post(&format!("{T}/deliveries/{}/retry", acme.deliveries[1]), "").await.problem(404)["code"],
        "not_found"
    );
    customer.delete(&format!("{T}/endpoints/mine")).await.expect(204);
    let log = acme.admin.get(&format!("{T}/audit?target=acme/endpoint/mine&limit=1")).await.expect(200);
    let by = &log["items"][0]["by"];
    assert_eq!(
        (&by["kind"], &by["key"], &by["labels"]),
        (&json!("token"), &json!("backend"), &json!({ "customer": "42" }))
    );
}

#[tokio::test]
async fn what_was_delivered_to_another_endpoint_of_the_name_stays_the_tenants() {
    let acme = acme().await;
    let [first, second] = ["42", "43"].map(|customer| json!({ "labels": { "customer": customer }, "role": "deploy" }));
    let (first, second) = (token(&acme, first).await, token(&acme, second).await);
    let path = format!("{T}/endpoints/of-42");
    first.delete(&path).await.expect(204);
    let taken = json!({ "url": "https://example.com/", "labels": { "customer": "43" } });
    second.put(&path, &taken).await.expect(201);
    let list = second.get(&format!("{T}/deliveries?endpoint=of-42")).await.expect(200);
    assert_eq!(list["items"], json!([]));
    let delivery = format!("{T}/deliveries/{}", acme.deliveries[0]);
    for rest in ["", "/body"] {
        assert_eq!(second.get(&format!("{delivery}{rest}")).await.problem(404)["code"], "not_found");
    }
    assert_eq!(second.post(&format!("{delivery}/retry"), "").await.problem(404)["code"], "not_found");
    acme.host.admin.get(&delivery).await.expect(200);
}

#[tokio::test]
async fn an_endpoint_that_gets_other_labels_leaves_its_past_behind() {
    let acme = acme().await;
    let [first, second] = ["42", "43"].map(|customer| json!({ "labels": { "customer": customer }, "role": "deploy" }));
    let (first, second) = (token(&acme, first).await, token(&acme, second).await);
    let (path, list) = (format!("{T}/endpoints/of-42"), format!("{T}/deliveries?endpoint=of-42"));
    let url = acme.admin.get(&path).await.expect(200)["url"].clone();
    let with = async |customer: &str| {
        acme.admin.put(&path, &json!({ "url": url, "labels": { "customer": customer } })).await.expect(200);
    };
    let ids = async |client: &Client| {
        let shown = client.get(&list).await.expect(200);
        shown["items"].as_array().unwrap().iter().map(|delivery| delivery["id"].clone()).collect::<Vec<_>>()
    };
    // What is no other label changes nothing.
    with("42").await;
    assert_eq!(ids(&first).await, [json!(acme.deliveries[0])]);
    with("43").await;
    assert_eq!(ids(&second).await, [Value::Null; 0]);
    assert_eq!(first.get(&list).await.problem(403)["code"], "forbidden");
    let delivery = format!("{T}/deliveries/{}", acme.deliveries[0]);
    assert_eq!(second.get(&delivery).await.problem(404)["code"], "not_found");
    // What comes from then on is the second's; and when the first has it again, that is not shown to the first.
    let event = acme.host.event("x", "{}").await;
    let shown = acme.host.show(&event).await;
    let runs = shown["runs"].as_array().unwrap();
    let run = runs.iter().find(|run| run["route"] == "to-43").unwrap();
    let both: Vec<&str> = run["deliveries"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(both.len(), 2, "both endpoints are the second's now");
    for id in both {
        let delivery = second.get(&format!("{T}/deliveries/{id}")).await.expect(200);
        assert!(delivery["endpoint"] != "of-42" || ids(&second).await == [json!(id)]);
    }
    with("42").await;
    assert_eq!(ids(&first).await, [Value::Null; 0]);
}

#[tokio::test]
async fn what_was_for_one_customer_is_never_sent_to_another() {
    let refusing = Receiver::answering(|_| Reply::status(500)).await;
    let receiver = Receiver::start().await;
    let host = Host::start().await;
    host.acme(&receiver.url("/")).await;
    let (hook, plain) = (format!("{T}/endpoints/hook"), format!("{T}/endpoints/plain"));
    let once = |url: String, labels: Value| json!({ "url": url, "secrets": [], "labels": labels, "retry": { "schedule_s": [0] } });
    host.put(&hook, &once(refusing.url("/"), json!({ "customer": "42" }))).await;
    host.put(&plain, &once(refusing.url("/"), json!({}))).await;
    host.put(&format!("{T}/routes/r"), &json!({ "source": "in", "to": { "endpoints": ["hook", "plain"] } })).await;
    let event = host.event("x", "for 42 alone").await;
    let run = host.run_with(&event, "routed").await;
    let ids: Vec<&str> = run["deliveries"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let (mut of_hook, mut of_plain) = ("", "");
    for id in ids {
        let dead = host.delivery_with(id, "dead").await;
        *(if dead["endpoint"] == "hook" { &mut of_hook } else { &mut of_plain }) = id;
    }
    host.admin.delete(&format!("{T}/routes/r")).await.expect(204);
    for (path, labels) in [(&hook, json!({ "customer": "43" })), (&plain, json!({}))] {
        host.admin.delete(path).await.expect(204);
        host.put(path, &once(receiver.url("/anew"), labels)).await;
    }
    let problem = host.admin.post(&format!("{T}/deliveries/{of_hook}/retry"), "").await.problem(409);
    assert_eq!(problem["code"], "state_conflict");
    assert!(problem["detail"].as_str().unwrap().contains("replay the event"), "{problem}");
    let job = host.job(json!({ "do": "retry" })).await;
    assert_eq!((&job["done"], &job["skipped"]), (&json!(1), &json!(1)), "{job}");
    host.delivery_with(of_plain, "delivered").await;
    assert_eq!(receiver.next().await.path, "/anew");
    host.delivery_with(of_hook, "dead").await;
    assert!(receiver.rest().await.is_empty(), "what was for 42 went to nobody else");
}

/// Begins a request as this client, and answers what to do to send its body and get the status.
async fn begun(host: &Host, token: &str, method: &str, path: &str, body: &str) -> (TcpStream, Vec<u8>) {
    let address = host.admin_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The host asks for the body: it has let the request in.
    let mut asked = vec![0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 Continue"), "{}", String::from_utf8_lossy(&asked));
    (stream, body.as_bytes().to_vec())
}

async fn finished((mut stream, body): (TcpStream, Vec<u8>)) -> String {
    stream.write_all(&body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_endpoint_that_becomes_anothers_while_a_body_comes_is_left_alone() {
    let acme = acme().await;
    let spec = json!({ "labels": { "customer": "42" }, "role": "deploy" });
    let made = acme.admin.post(&format!("{T}/tokens"), spec.to_string()).await.expect(201);
    let token = made["token"].as_str().unwrap();
    let path = format!("{T}/endpoints/new");
    for labels in [json!({ "customer": "43" }), json!({ "customer": "42" })] {
        let mine = json!({ "url": "https://example.com/mine", "labels": labels }).to_string();
        let request = begun(&acme.host, token, "PUT", &path, &mine).await;
        let others = json!({ "url": "https://example.com/others", "labels": { "customer": "43" }, "secrets": [] });
        acme.admin.put(&path, &others).await.expect(201);
        let answer = finished(request).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        let shown = acme.admin.get(&path).await.expect(200);
        assert_eq!((&shown["url"], &shown["labels"]), (&others["url"], &others["labels"]));
        acme.admin.delete(&path).await.expect(204);
    }
    let own = json!({ "url": "https://example.com/", "labels": { "customer": "42" } });
    acme.admin.put(&path, &own).await.expect(201);
    for rest in ["rotate-secret", "test"] {
        let request = begun(&acme.host, token, "POST", &format!("{path}/{rest}"), "{}").await;
        let others = json!({ "url": "https://example.com/others", "labels": { "customer": "43" } });
        acme.admin.put(&path, &others).await.expect(200);
        let answer = finished(request).await;
        assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains("whsec_"), "{rest}: {answer}");
        acme.admin.put(&path, &own).await.expect(200);
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_that_of_its_key() {
    let acme = acme().await;
    let make = async |spec: Value| acme.admin.post(&format!("{T}/tokens"), spec.to_string()).await.expect(201);
    let client = |made: &Value| Client::new(&acme.host.admin_url, made["token"].as_str());
    let (path, labels, before_ms) = (format!("{T}/endpoints/of-42"), json!({ "customer": "42" }), now_ms());
    let made = make(json!({ "labels": labels })).await;
    let expires_at_ms = made["expires_at_ms"].as_u64().unwrap();
    assert!((before_ms + 3_600_000..=now_ms() + 3_600_000).contains(&expires_at_ms), "an hour by itself: {made}");
    assert_eq!((&made["role"], &made["labels"]), (&json!("read"), &labels), "and to look by itself");
    let lasting = client(&made);
    lasting.get(&path).await.expect(200);
    assert_eq!(lasting.post(&format!("{path}/test"), "").await.problem(403)["code"], "forbidden");

    let short = make(json!({ "labels": labels, "expires_in_s": 1 })).await;
    let ended = until("the token's second to be over", || async {
        let answer = client(&short).get(&path).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(ended.problem(401)["code"], "key_invalid");
    assert!(now_ms() >= short["expires_at_ms"].as_u64().unwrap(), "and not before");
    lasting.get(&path).await.expect(200);
    // A key that is past its own end takes its tokens along, whatever they say.
    let key = format!("{T}/keys/backend");
    acme.host.put(&key, &json!({ "role": "admin", "expires_at_ms": now_ms() + 1_000 })).await;
    let ended = until("the key to end", || async {
        let answer = lasting.get(&path).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(ended.problem(401)["code"], "key_invalid");
    acme.host.put(&key, &json!({ "role": "admin", "expires_at_ms": null })).await;
    lasting.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_token_ends_with_the_key_that_made_it_and_is_no_other_ones() {
    let mut acme = acme().await;
    let spec = json!({ "labels": { "customer": "42" } });
    let customer = token(&acme, spec.clone()).await;
    let look = format!("{T}/endpoints/of-42");
    customer.get(&look).await.expect(200);
    acme.host.terminate().await;
    acme.host.start_again().await;
    let again = |text: &str| Client::new(&acme.host.admin_url, Some(text));
    let made = acme.host.admin.get(&format!("{T}/keys")).await.expect(200);
    assert!(made["items"][0]["last_used_at_ms"].is_u64(), "it is known after a restart: {made}");

    let admin = acme.host.admin.put(&format!("{T}/keys/second"), &json!({ "role": "admin" })).await.expect(201);
    let admin = again(admin["key"].as_str().unwrap());
    let made = admin.post(&format!("{T}/tokens"), spec.to_string()).await.expect(201);
    let text = made["token"].as_str().unwrap().to_owned();
    again(&text).get(&look).await.expect(200);
    // A key that may no longer make any.
    acme.host.put(&format!("{T}/keys/second"), &json!({ "role": "deploy" })).await;
    assert_eq!(again(&text).get(&look).await.problem(401)["code"], "key_invalid");
    acme.host.put(&format!("{T}/keys/second"), &json!({ "role": "admin" })).await;
    again(&text).get(&look).await.expect(200);
    // Another key with its name.
    acme.host.admin.delete(&format!("{T}/keys/second")).await.expect(204);
    acme.host.put(&format!("{T}/keys/second"), &json!({ "role": "admin" })).await;
    assert_eq!(again(&text).get(&look).await.problem(401)["code"], "key_invalid");

    let key = acme.host.admin.put(&format!("{T}/keys/third"), &json!({ "role": "admin" })).await.expect(201);
    let third = again(key["key"].as_str().unwrap());
    // Of 128 bytes each, of which JSON makes six.
    let long: serde_json::Map<String, Value> =
        (0..16).map(|n| (format!("{n:02}{}", "\u{1}".repeat(126)), json!("\u{1}".repeat(128)))).collect();
    for (wrong, pointer) in [
        (json!({ "labels": {} }), "/labels"),
        (json!({ "labels": long }), "/labels"),
        (json!({ "labels": { "a": "b" }, "role": "admin" }), "/role"),
        (json!({ "labels": { "a": "b" }, "expires_in_s": 0 }), "/expires_in_s"),
        (json!({ "labels": { "a": "b" }, "expires_in_s": 86_401 }), "/expires_in_s"),
    ] {
        let refused = third.post(&format!("{T}/tokens"), wrong.to_string()).await;
        assert_eq!(refused.problem(400)["pointer"], pointer);
    }
    let operator = acme.host.admin.post(&format!("{T}/tokens"), spec.to_string()).await.problem(403);
    assert!(operator["detail"].as_str().unwrap().contains("an admin key of the tenant itself"), "{operator}");
}
