//! The master key is changed, by the command, as an operator would.

use super::support::{Host, Receiver, hookswitch};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_new_master_key_opens_what_the_one_before_it_sealed() {
    let (mut host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let endpoint = json!({ "url": receiver.url("/"), "secrets": [], "headers": { "x-api-key": "a-secret" } });
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    let verify = json!({ "scheme": "bearer", "secrets": ["first", "second"] });
    host.put("/v1/tenants/acme/sources/closed", &json!({ "verify": verify })).await;
    let route = json!({ "source": "closed", "to": { "endpoints": ["out"] } });
    host.put("/v1/tenants/acme/routes/r", &route).await;
    let send = async |host: &Host| {
        let headers = [("authorization", "Bearer second")];
        host.ingest.send(Method::POST, "/in/acme/closed", &headers, "{}").await.expect(202);
        assert_eq!(receiver.next().await.headers["x-api-key"], "a-secret");
    };
    send(&host).await;
    let data = host.data();
    let rotate = || hookswitch().args(["rotate-master-key", "--data"]).arg(&data).output();
    let refused = rotate().await.unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a host runs on"), "{refused:?}");
    host.terminate().await;
    let rotated = rotate().await.unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    let twice = rotate().await.unwrap();
    assert!(String::from_utf8_lossy(&twice.stderr).contains("start the host once first"), "{twice:?}");
    // Without the one before there is no start, and nothing is lost by that.
    let (previous, away) = (host.data().join("master.key.previous"), host.data().join("away"));
    std::fs::rename(&previous, &away).unwrap();
    let refused = host.try_start_again().await.unwrap_err();
    assert!(refused.contains("the master key is not the one"), "{refused}");
    std::fs::rename(&away, &previous).unwrap();
    host.start_again().await;
    assert!(host.log().contains("every secret is sealed with the new master key") && host.log().contains("secrets=3"));
    send(&host).await;
    host.terminate().await;
    std::fs::remove_file(&previous).unwrap();
    host.start_again().await;
    send(&host).await;
}

#[tokio::test]
async fn a_master_key_that_is_gone_is_missed_and_a_wrong_one_never_becomes_the_right_one() {
    let mut host = Host::start().await;
    host.put("/v1/tenants/acme", &json!({})).await;
    let source = json!({ "verify": { "scheme": "bearer", "secrets": ["first"] } });
    host.put("/v1/tenants/acme/sources/closed", &source).await;
    host.terminate().await;
    let (key, away) = (host.data().join("master.key"), host.data().join("away"));
    std::fs::rename(&key, &away).unwrap();
    let refused = host.try_start_again().await.unwrap_err();
    assert!(refused.contains("there is no master key") && refused.contains("HOOKSWITCH_MASTER_KEY"), "{refused}");
    assert!(!key.exists(), "nothing is written");
    // Nor where nothing says which one it was.
    let fingerprint = host.data().join("master.fingerprint");
    std::fs::remove_file(&fingerprint).unwrap();
    let refused = host.try_start_again().await.unwrap_err();
    assert!(refused.contains("does not open") && !key.exists() && !fingerprint.exists(), "{refused}");
    std::fs::rename(&away, &key).unwrap();
    host.start_again().await;
    assert!(fingerprint.exists());
}
