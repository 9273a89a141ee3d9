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
    host.terminate().await;
    let rotate = || hookswitch().args(["rotate-master-key", "--data"]).arg(host.data()).output();
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
