//! Uploads: what is not a module this host runs is refused with a reason, and changes nothing.

use super::support::{Client, Host, Receiver, guest};
use serde_json::json;

/// A small generator with a seed: the same bytes at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

async fn refused(host: &Host, wasm: Vec<u8>) -> serde_json::Value {
    let answer = host.admin.put_bytes("/v1/tenants/acme/modules/m", wasm).await;
    let problem = answer.problem(answer.status.as_u16());
    assert!(matches!(answer.status.as_u16(), 413 | 422), "{problem}");
    problem
}

#[tokio::test]
async fn a_broken_upload_is_refused_and_the_good_version_stays() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    let good = guest("match");
    let first = host.admin.put_bytes("/v1/tenants/acme/modules/m", good.clone()).await.expect(201);
    assert_eq!((&first["world"], &first["bytes"]), (&json!("filter"), &json!(good.len())));
    let again = host.admin.put_bytes("/v1/tenants/acme/modules/m", good.clone()).await.expect(200);
    assert_eq!(again["changed"], false);

    assert_eq!(refused(&host, Vec::new()).await["code"], "module_not_wasm");
    assert_eq!(refused(&host, b"not wasm at all".to_vec()).await["code"], "module_not_wasm");
    let mut random = Random(0x5eed);
    for _ in 0..20 {
        let length = usize::try_from(random.next() % 4000).unwrap();
        let bytes = (0..length).map(|_| random.next().to_be_bytes()[0]).collect();
        refused(&host, bytes).await;
    }
    for part in 1..20 {
        refused(&host, good[..good.len() * part / 20].to_vec()).await;
    }
    let large = host.admin.put_bytes("/v1/tenants/acme/modules/m", vec![0; 33 << 20]).await;
    assert_eq!(large.problem(413)["code"], "module_too_large");

    let now = host.admin.get("/v1/tenants/acme/modules/m").await.expect(200);
    assert_eq!(now["digest"], first["digest"]);
    let unknown = host.admin.put_bytes("/v1/tenants/nobody/modules/m", good).await;
    assert_eq!(unknown.problem(404)["code"], "not_found");
}

#[tokio::test]
async fn a_module_for_another_wit_version_is_told_both_versions() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    let wit = "package hookswitch:module@9.1.0;
        interface context { origin: func() -> string; }
        world filter { import context; export accept: func(text: string) -> bool; }";
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("module.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("filter")).unwrap();
    let mut core = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "accept") (param i32 i32) (result i32) i32.const 1))"#,
    )
    .unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut core, &resolve, world, encoding).unwrap();
    let problem = refused(&host, core).await;
    assert_eq!(problem["code"], "module_wit_version");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("9.1.0") && detail.contains("0.1.0"), "{detail}");
}

#[tokio::test]
async fn a_component_does_as_well_as_a_core_module() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    let core = guest("ten-lines");
    let component = wit_component::ComponentEncoder::default().module(&core).unwrap().encode().unwrap();
    host.admin.put_bytes("/v1/tenants/acme/modules/m", component).await.expect(201);
    host.route("r", json!([{ "module": "m" }])).await;
    host.event("push", r#"{"sender":{"login":"octocat"}}"#).await;
    assert_eq!(receiver.next().await.json()["summary"], "push by octocat");
}

#[tokio::test]
async fn settings_that_the_module_refuses_do_not_make_a_route() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    host.upload("match").await;
    let steps = json!([{ "module": "operator/match", "settings": { "pointer": "/x", "equalz": 1 } }]);
    let route = json!({ "source": "in", "steps": steps, "to": { "endpoints": ["out"] } });
    let problem = host.admin.put("/v1/tenants/acme/routes/r", &route).await.problem(422);
    assert_eq!(problem["pointer"], "/steps/0/settings");
    assert!(problem["detail"].as_str().unwrap().contains("equalz"), "{problem}");
    assert_eq!(host.admin.get("/v1/tenants/acme/routes/r").await.status, 404);
}

#[tokio::test]
async fn whoever_is_refused_before_the_body_is_read_sees_the_answer() {
    let host = Host::start().await;
    let large = vec![0_u8; 8 << 20];
    let stranger = Client::new(&host.admin_url, None);
    for _ in 0..20 {
        let unknown = host.admin.put_bytes("/v1/tenants/nobody/modules/m", large.clone()).await;
        assert_eq!(unknown.problem(404)["code"], "not_found");
        let refused = stranger.put_bytes("/v1/operator/modules/m", large.clone()).await;
        assert_eq!(refused.problem(401)["code"], "key_required");
        let nowhere = host.ingest.post("/in/nobody/in", large.clone()).await;
        assert_eq!(nowhere.problem(404)["code"], "source_unknown");
    }
}
