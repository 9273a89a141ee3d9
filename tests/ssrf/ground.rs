//! What stands around a host here: the receiver that it may reach, the canaries that nothing may, and the name server.

use super::canary::Canary;
use super::cases;
use super::dns::Dns;
use super::support::{Host, Received, Receiver, Reply, hookswitch};
use super::world::{RESOLVER, World};
use http::Method;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Where canaries listen on the machine's own loopback; those of IPv6 only where it has that. Each of `cases` that is on loopback is one of them.
const LOOPBACKS: [&str; 6] = ["127.0.0.1", "127.0.0.3", "127.0.255.250", "127.1.2.3", "127.255.255.254", "::1"];

/// The ports that are watched at every address, where every address can be.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// What a path is answered with, by turns; the last one for good.
type Replies = Arc<Mutex<HashMap<String, Vec<Reply>>>>;

pub(crate) struct Ground {
    /// May be reached, at 127.0.0.2 and its port.
    pub(crate) receiver: Receiver,
    replies: Replies,
    pub(crate) canary: Canary,
    pub(crate) dns: Dns,
    /// A port with canaries at each address but the receiver's; in a network of our own at that one, too.
    pub(crate) port: u16,
    /// A port that the host may connect to at 127.0.0.2, where nobody listens; a canary does at 127.0.0.1.
    pub(crate) silent_port: u16,
}

impl Ground {
    pub(crate) async fn open(world: World) -> Self {
        let replies = Replies::default();
        let shared = Arc::clone(&replies);
        let receiver = Receiver::at("127.0.0.2:0".parse().unwrap(), move |received| reply(received, &shared)).await;
        let (port, silent_port) = (free_port(), free_port());
        let own = receiver.address.port();
        let mut watched: Vec<SocketAddr> = LOOPBACKS.map(|ip| SocketAddr::new(ip.parse().unwrap(), own)).into();
        watched.push(SocketAddr::from(([127, 0, 0, 1], silent_port)));
        match world {
            World::Loopback => watched.extend(LOOPBACKS.map(|ip| SocketAddr::new(ip.parse().unwrap(), port))),
            // One socket for both families.
            World::Everywhere => {
                let ports = USUAL_PORTS.into_iter().chain([port]);
                watched.extend(ports.map(|port| SocketAddr::new("::".parse().unwrap(), port)));
            }
        }
        let canary = Canary::at(&watched).await;
        let resolver = match world {
            World::Loopback => "127.0.0.1:0",
            World::Everywhere => RESOLVER,
        };
        let dns = Dns::at(resolver.parse().unwrap()).await.unwrap();
        cases::tell(&dns);
        Self { receiver, replies, canary, dns, port, silent_port }
    }

    /// A host that may reach what `allow` says, and has proxies in its environment that are canaries.
    pub(crate) async fn host(&self, allow: &str, resolver: Resolver) -> Host {
        let mut command = hookswitch();
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env(name, format!("http://127.0.0.1:{}", self.port));
        }
        let nameservers = match resolver {
            Resolver::Servers => format!("transport.nameservers = [\"{}\"]\n", self.dns.address),
            Resolver::System => String::new(),
        };
        let more = format!("log.filter = \"error\"\ndeliverer.origin = \"hooks.example.com\"\n{nameservers}");
        let host = Host::start_allowing(command, allow, &more).await;
        host.acme("http://127.0.0.2:1/").await;
        host.route("all", serde_json::json!([])).await;
        host
    }

    /// What a guarded host may reach: the receiver, and a port where nobody listens.
    pub(crate) fn allowed(&self) -> String {
        format!("[\"{}\", \"127.0.0.2:{}\"]", self.receiver.address, self.silent_port)
    }

    /// Has the receiver answer this path so.
    pub(crate) fn answer(&self, path: &str, replies: Vec<Reply>) {
        self.replies.lock().unwrap().insert(path.to_owned(), replies);
    }

    /// A URL with its ports filled in.
    pub(crate) fn url(&self, url: &str, host: &Host) -> String {
        let port_of = |url: &str| url.rsplit(':').next().unwrap().to_owned();
        url.replace("{p}", &self.port.to_string())
            .replace("{q}", &self.receiver.address.port().to_string())
            .replace("{silent}", &self.silent_port.to_string())
            .replace("{admin}", &port_of(&host.admin_url))
            .replace("{ingest}", &port_of(&host.ingest_url))
    }
}

/// By what a host looks names up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// By `transport.nameservers`.
    Servers,
    /// By the system's resolver.
    System,
}

/// By itself everything is taken, and every handshake allowed.
fn reply(received: &Received, replies: &Replies) -> Reply {
    let mut replies = replies.lock().unwrap();
    match replies.get_mut(&received.path) {
        Some(turns) if turns.len() > 1 => turns.remove(0),
        Some(turns) => turns[0].clone(),
        None if received.method == Method::OPTIONS => {
            Reply::Status(200, vec![("webhook-allowed-origin", "*".to_owned())], "")
        }
        None => Reply::status(204),
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
