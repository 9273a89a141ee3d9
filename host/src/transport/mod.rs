//! The only layer that opens outbound sockets: one guarded HTTP client for everything the host sends.
//!
//! What must hold: no URL reaches an address it must not, by literal, name, rebinding or redirect; every wait and every buffer is
//! bounded. So there are no redirects (a 3xx is an answer like any other), no system proxy, no decompression, no cookies; names go through
//! the guard, and what it gives out is what is dialled.

mod address;
mod admin_client;
mod allow;
mod connecting;
mod error;
mod guard;
mod names;
mod own_clients;
#[cfg(test)]
pub(crate) mod tests;

pub use admin_client::{AdminClient, AdminClientError};
pub use allow::{AllowEntry, InvalidAllowEntry};
pub use error::SendError;
pub use names::NAMESERVERS_MAX;

use crate::config::Tls;
use crate::model::parse_url;
use bytes::Bytes;
use connecting::Connecting;
use guard::Guard;
use http::header::AsHeaderName;
use http::{HeaderMap, Method, StatusCode};
use names::Names;
use own_clients::OwnClients;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How much of an answer's body is kept, in bytes.
pub const RESPONSE_BYTES_MAX: usize = crate::model::ENDPOINT_RESPONSE_BYTES_MAX;
/// How much of an answer's body is read, so that the connection can serve again, in bytes. Past it the connection is closed.
pub const DRAIN_BYTES_MAX: usize = 16 * 1024;
/// The most allow entries.
pub const ALLOW_ENTRIES_MAX: usize = 256;
/// How often an HTTP/2 connection with an attempt under way is asked whether it is there, and how long it has to say so. An attempt that is
/// out of time resets its own stream only: without this, all that come after it would go to a connection that hangs above TCP.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(20);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The most different ports that allow entries name. Each has its own pool of connections.
pub const ALLOW_PORTS_MAX: usize = 16;
/// The longest value of a header that is looked at, in bytes.
pub const HEADER_BYTES_MAX: usize = 256;

/// How the host reaches out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What may be reached although it is not globally routable: at most [`ALLOW_ENTRIES_MAX`] entries, naming at most
    /// [`ALLOW_PORTS_MAX`] ports.
    pub allow: Vec<AllowEntry>,
    /// Which name servers are asked, over UDP and TCP, in place of the system's resolver: at most [`NAMESERVERS_MAX`]. None stands for the
    /// system's resolver, which reads `/etc/hosts` too; these do not.
    pub nameservers: Vec<SocketAddr>,
    /// How long name resolution, connecting and TLS may take together, in milliseconds: 1 to 120,000.
    pub connect_timeout_ms: u64,
    /// How long an idle connection is kept, in milliseconds: 1 to 600,000.
    pub idle_timeout_ms: u64,
    /// How many idle connections to one scheme, host and port are kept: at most 1,024; 0 keeps none.
    pub idle_connections_per_host_max: usize,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            nameservers: Vec::new(),
            connect_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            idle_connections_per_host_max: 64,
            ca_file: None,
        }
    }
}

/// The transport cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A bound is passed.
    #[error("`transport.{field}` is {given}: it must be from {least} to {most}")]
    OutOfBounds {
        /// Which setting.
        field: &'static str,
        /// What it is, or how many it has.
        given: u64,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// The certificate authorities cannot be read.
    #[error("`transport.ca_file` {}: {why}", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The name servers cannot be set up.
    #[error("`transport.nameservers` cannot be used: {why}")]
    NameServers {
        /// What the library said.
        why: String,
    },
    /// No client came about, most often because the system has no certificate authorities.
    #[error("cannot set up the HTTP client: {why}; install the system's CA certificates or set `transport.ca_file`")]
    Client {
        /// What the library said.
        why: String,
    },
}

/// Sends requests. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Transport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    factory: Arc<Factory>,
    any_port: Arc<Client>,
    /// For ports that an allow entry names: a resolver sees names without ports, so each such port has a guard that knows it.
    by_port: BTreeMap<u16, Arc<Client>>,
    /// For requests with TLS of their own.
    own: OwnClients,
}

/// What clients are made with.
#[derive(Debug)]
struct Factory {
    config: Config,
    ca: Vec<reqwest::Certificate>,
    allow: Arc<[AllowEntry]>,
    names: Names,
}

#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    guard: Guard,
}

/// What to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where: `http` or `https`, without user information.
    pub url: String,
    /// The headers. `host`, `content-length` and `accept` are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long name resolution, connecting and TLS may take, in milliseconds, where that is less than the transport's own bound.
    pub connect_timeout_ms: Option<u64>,
    /// How long it may take from now to the head of the answer, in milliseconds; none for as long as the whole.
    pub first_byte_timeout_ms: Option<u64>,
    /// How long it may take from now to the end of the answer, in milliseconds.
    pub timeout_ms: u64,
    /// How much of the answer's body is kept, in bytes; [`RESPONSE_BYTES_MAX`] is usual.
    pub response_bytes_max: usize,
    /// A client certificate to show, authorities to trust: in place of the transport's own.
    pub tls: Option<Arc<Tls>>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The first bytes of the body, as many as the request wanted.
    pub body_prefix: Vec<u8>,
    /// Whether there was or may have been more: the body was longer, did not end in time, or broke off.
    pub cut: bool,
}

impl Response {
    /// A header's value, where it is there and has at most [`HEADER_BYTES_MAX`] bytes of visible ASCII.
    #[must_use]
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(value).filter(|value| value.len() <= HEADER_BYTES_MAX)
    }
}

impl Transport {
    /// Sets it up: reads the system's certificate authorities, opens no connection.
    ///
    /// # Errors
    /// Where a setting is out of its bounds or no certificate authority can be read.
    pub fn new(config: &Config) -> Result<Self, TransportError> {
        config.check()?;
        // reqwest is built without a cryptography provider of its own and takes the process's. Where one is set already, that is it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = config.read_ca()?;
        let names = Names::new(config).map_err(|why| TransportError::NameServers { why })?;
        let factory = Arc::new(Factory { config: config.clone(), ca, allow: config.allow.as_slice().into(), names });
        let client = |port| factory.client(port, None).map(Arc::new).map_err(|why| TransportError::Client { why });
        let mut by_port = BTreeMap::new();
        for port in config.allowed_ports() {
            by_port.insert(port, client(Some(port))?);
        }
        let any_port = client(None)?;
        Ok(Self { shared: Arc::new(Shared { factory, any_port, by_port, own: OwnClients::default() }) })
    }

    /// Sends a request and reads the answer, all within the request's `timeout_ms`, to the head within its `first_byte_timeout_ms`.
    ///
    /// Once the status is there, the receiver has answered: a body that is too long, too slow or breaks off is cut, and is no error.
    ///
    /// # Errors
    /// Where no answer came.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let timeout_ms = request.timeout_ms;
        let now = Instant::now();
        let deadline = now + Duration::from_millis(timeout_ms);
        let (head_deadline, late) = match request.first_byte_timeout_ms {
            Some(first_byte_timeout_ms) if first_byte_timeout_ms < timeout_ms => {
                (now + Duration::from_millis(first_byte_timeout_ms), SendError::FirstByte { first_byte_timeout_ms })
            }
            _ => (deadline, SendError::Timeout { timeout_ms }),
        };
        let preparing = self.shared.prepare(&request.url, request.tls.as_ref());
        let (client, url) = timeout_at(deadline, preparing).await.map_err(|_| SendError::Timeout { timeout_ms })??;
        let sending = client.http.request(request.method, url).headers(request.headers).body(request.body).send();
        let own_ms = self.shared.factory.config.connect_timeout_ms;
        let connect_timeout_ms = request.connect_timeout_ms.filter(|ms| *ms < own_ms);
        let sending = connecting::within(connect_timeout_ms, sending);
        let answer = timeout_at(head_deadline, sending).await.map_err(|_| late)?;
        let answer = answer.map_err(|error| SendError::of(&error, connect_timeout_ms.unwrap_or(own_ms)))?;
        Ok(read(answer, deadline, request.response_bytes_max).await)
    }
}

impl Shared {
    /// The client for this URL, and the URL in the form that is sent: what is checked is what is used.
    async fn prepare(&self, url: &str, tls: Option<&Arc<Tls>>) -> Result<(Arc<Client>, Url), SendError> {
        let invalid = |why: &str| SendError::UrlInvalid { why: why.to_owned() };
        let url = parse_url(url).map_err(|error| invalid(&error.to_string()))?;
        let host = url.host_str().ok_or_else(|| invalid("it has no host"))?;
        let port = url.port_or_known_default().filter(|port| *port > 0).ok_or_else(|| invalid("it has no port"))?;
        let (port, client) = self.by_port.get(&port).map_or((None, &self.any_port), |client| (Some(port), client));
        // For a literal address no resolver is asked.
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = literal.parse::<IpAddr>() {
            client.guard.check(address).map_err(|refused| SendError::AddressRefused { why: refused.to_string() })?;
        }
        let client = match tls {
            None => Arc::clone(client),
            Some(tls) => self.own.get(tls, port, &self.factory).await?,
        };
        Ok((client, url))
    }
}

impl Factory {
    /// The one place where a client is built. HTTP/1.1, and HTTP/2 where TLS negotiates it. The error is what the library said.
    fn client(&self, port: Option<u16>, tls: Option<&Tls>) -> Result<Client, String> {
        let guard = Guard::new(Arc::clone(&self.allow), port, self.names.clone());
        let builder = reqwest::Client::builder()
            .dns_resolver(guard.clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_millis(self.config.connect_timeout_ms))
            .connector_layer(Connecting)
            .http2_keep_alive_interval(HTTP2_PING_EVERY)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_keep_alive_while_idle(false)
            .pool_idle_timeout(Duration::from_millis(self.config.idle_timeout_ms))
            .pool_max_idle_per_host(self.config.idle_connections_per_host_max);
        let builder = match tls.and_then(Tls::ca_pem) {
            None => builder.tls_certs_merge(self.ca.iter().cloned()),
            Some(pem) => {
                let only = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| innermost(&error))?;
                builder.tls_certs_only(only)
            }
        };
        let builder = match tls.and_then(Tls::identity_pem) {
            None => builder,
            Some(pem) => {
                let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(|error| innermost(&error))?;
                builder.identity(identity)
            }
        };
        let http = builder.build().map_err(|error| innermost(&error))?;
        Ok(Client { http, guard })
    }
}

/// Reads what is kept of the body, and a little more for the sake of the connection.
async fn read(mut answer: reqwest::Response, deadline: Instant, bytes_max: usize) -> Response {
    let headers = std::mem::take(answer.headers_mut());
    let mut body_prefix = Vec::new();
    let mut read_bytes = 0;
    let ended = loop {
        match timeout_at(deadline, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                read_bytes += chunk.len();
                let room = bytes_max - body_prefix.len();
                body_prefix.extend(chunk.iter().take(room));
            }
            Ok(Ok(None)) => break true,
            Ok(Err(_)) | Err(_) => break false,
        }
        if read_bytes > DRAIN_BYTES_MAX.max(bytes_max) {
            break false;
        }
    };
    let cut = !ended || read_bytes > body_prefix.len();
    Response { status: answer.status(), headers, body_prefix, cut }
}

impl Config {
    fn check(&self) -> Result<(), TransportError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let bounds = [
            ("allow", count(self.allow.len()), 0, count(ALLOW_ENTRIES_MAX)),
            ("allow (different ports)", count(self.allowed_ports().len()), 0, count(ALLOW_PORTS_MAX)),
            ("nameservers", count(self.nameservers.len()), 0, count(NAMESERVERS_MAX)),
            ("connect_timeout_ms", self.connect_timeout_ms, 1, 120_000),
            ("idle_timeout_ms", self.idle_timeout_ms, 1, 600_000),
            ("idle_connections_per_host_max", count(self.idle_connections_per_host_max), 0, 1_024),
        ];
        match bounds.into_iter().find(|(_, given, least, most)| given < least || given > most) {
            Some((field, given, least, most)) => Err(TransportError::OutOfBounds { field, given, least, most }),
            None => Ok(()),
        }
    }

    fn allowed_ports(&self) -> BTreeSet<u16> {
        self.allow.iter().filter_map(AllowEntry::port).collect()
    }

    fn read_ca(&self) -> Result<Vec<reqwest::Certificate>, TransportError> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        let wrong = |why: String| TransportError::CaFile { path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(innermost(&error)))?;
        if certificates.is_empty() {
            return Err(wrong("holds no PEM certificate".to_owned()));
        }
        Ok(certificates)
    }
}

/// The text of the innermost cause, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
