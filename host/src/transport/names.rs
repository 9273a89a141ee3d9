//! How a name becomes addresses: by the system's resolver, or by name servers that the operator names. What either finds is for the guard to judge.
//!
//! The system's resolver is what knows `/etc/hosts` and all else by which this machine finds names, so it is asked by itself. It blocks a thread for
//! as long as it likes, so few lookups are made at once, and names whose servers are silent keep others waiting. Name servers are asked without
//! threads and with bounds of our own.

use super::Config;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The most name servers.
pub const NAMESERVERS_MAX: usize = 8;
/// How many names the system's resolver may look up at once. Each lookup holds a thread for as long as it takes.
const SYSTEM_LOOKUPS_MAX: usize = 64;
/// How many names the name servers may be asked for at once.
const SERVER_LOOKUPS_MAX: usize = 1_024;
/// How long a name server may take to answer, in milliseconds.
const ANSWER_TIMEOUT_MS: u64 = 2_000;
/// How often it is asked again.
const REPEATS_MAX: usize = 1;
/// How many answers are kept; past it some go.
const CACHED_ANSWERS_MAX: u64 = 4_096;
/// How long an answer is kept at most, in seconds, where its own time to live is longer.
const CACHED_S_MAX: u64 = 60;

/// What looks names up. Clones share bounds and cache.
#[derive(Clone, Debug)]
pub(super) struct Names {
    resolver: Resolver,
    /// A permit for each lookup that may be under way.
    lookups: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Resolver {
    System,
    Servers(Box<TokioResolver>),
}

/// A name without an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LookupError {
    /// It has none.
    #[error("it has no address")]
    Empty,
    /// Nobody could say.
    #[error("{0}")]
    Failed(String),
}

impl Names {
    /// The name servers of these settings; the system's resolver where they name none. Nobody is asked yet.
    ///
    /// # Errors
    /// What the library said.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let (resolver, lookups_max) = match config.nameservers.as_slice() {
            [] => (Resolver::System, SYSTEM_LOOKUPS_MAX),
            servers => {
                let resolver = asking(servers).map_err(|error| error.to_string())?;
                (Resolver::Servers(Box::new(resolver)), SERVER_LOOKUPS_MAX)
            }
        };
        Ok(Self { resolver, lookups: Arc::new(Semaphore::new(lookups_max)) })
    }

    /// The addresses of a name, as they are now. Their port is 0.
    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(failed)?;
        match &self.resolver {
            Resolver::System => {
                let name = name.to_owned();
                let looking = tokio::task::spawn_blocking(move || {
                    // Held by the thread, not by the request: a request that gives up does not make its lookup end.
                    let _permit = permit;
                    (name.as_str(), 0).to_socket_addrs().map(Iterator::collect)
                });
                looking.await.map_err(failed)?.map_err(failed)
            }
            Resolver::Servers(servers) => match servers.lookup_ip(name).await {
                Ok(found) => Ok(found.iter().map(|address| SocketAddr::new(address, 0)).collect()),
                Err(error) if error.is_no_records_found() => Err(LookupError::Empty),
                Err(error) => Err(failed(error)),
            },
        }
    }
}

fn failed(error: impl ToString) -> LookupError {
    LookupError::Failed(error.to_string())
}

fn asking(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let at = |port| {
        move |mut connection: ConnectionConfig| {
            connection.port = port;
            connection
        }
    };
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at(server.port()));
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = Duration::from_millis(ANSWER_TIMEOUT_MS);
    options.attempts = REPEATS_MAX;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = CACHED_ANSWERS_MAX;
    options.positive_max_ttl = Some(Duration::from_secs(CACHED_S_MAX));
    options.negative_max_ttl = Some(Duration::from_secs(CACHED_S_MAX));
    // Two questions for each lookup, over one connection where that is TCP.
    options.max_active_requests = 2 * SERVER_LOOKUPS_MAX;
    builder.build()
}
