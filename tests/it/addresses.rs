//! Where a host connects to, by its settings and its environment. What it must not be brought to connect to is tried by `make ssrf`.

#[path = "../ssrf/dns.rs"]
#[expect(dead_code, reason = "`make ssrf` uses more of it")]
mod dns;

use super::support::{Host, Receiver, hookswitch};
use dns::Dns;
use serde_json::json;

#[tokio::test]
async fn names_are_asked_of_the_name_servers_that_are_set() {
    let receiver = Receiver::start().await;
    let dns = Dns::at("127.0.0.1:0".parse().unwrap()).await.unwrap();
    dns.name("receiver.example", &["127.0.0.1"]);
    let host = Host::start_with(&format!("transport.nameservers = [\"{}\"]\n", dns.address)).await;
    host.acme(&format!("http://receiver.example:{}/", receiver.address.port())).await;
    host.route("all", json!([])).await;
    host.event("x", "1").await;
    let received = receiver.next().await;
    assert_eq!(received.headers["host"], format!("receiver.example:{}", receiver.address.port()).as_str());
    assert_eq!(dns.asked("receiver.example"), 1);
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let (receiver, proxy) = (Receiver::start().await, Receiver::start().await);
    let mut command = hookswitch();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, proxy.url("/"));
    }
    let host = Host::start_allowing(command, &format!("[\"{}\"]", receiver.address), "").await;
    host.acme(&receiver.url("/")).await;
    host.route("all", json!([])).await;
    host.event("x", "1").await;
    assert_eq!(receiver.next().await.path, "/");
    assert!(proxy.rest().await.is_empty());
}
