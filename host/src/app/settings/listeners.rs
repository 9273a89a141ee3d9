//! The sections `[ingest]` and `[admin]`: what all listeners have, and what each has besides.

use crate::model::AddressRange;
use crate::{api, ingest, server};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::net::SocketAddr;

/// A section as it is written: the fields of [`server::Config`], and the section's own. `serde(flatten)` would take unknown keys.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($own:ident: $own_type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            #[serde(deserialize_with = "address")]
            listen: SocketAddr,
            connections_max: u32,
            connections_per_address_max: u32,
            streams_max: u32,
            head_bytes_max: u32,
            headers_max: u32,
            header_timeout_ms: u64,
            idle_timeout_ms: u64,
            body_timeout_ms: u64,
            write_timeout_ms: u64,
            drain_timeout_ms: u64,
            trusted_proxies: Vec<AddressRange>,
            tls: Option<server::TlsFiles>,
            $(pub(super) $own: $own_type,)*
        }

        impl $name {
            fn new(server: server::Config, $($own: $own_type,)*) -> Self {
                Self {
                    listen: server.listen,
                    connections_max: server.connections_max,
                    connections_per_address_max: server.connections_per_address_max,
                    streams_max: server.streams_max,
                    head_bytes_max: server.head_bytes_max,
                    headers_max: server.headers_max,
                    header_timeout_ms: server.header_timeout_ms,
                    idle_timeout_ms: server.idle_timeout_ms,
                    body_timeout_ms: server.body_timeout_ms,
                    write_timeout_ms: server.write_timeout_ms,
                    drain_timeout_ms: server.drain_timeout_ms,
                    trusted_proxies: server.trusted_proxies,
                    tls: server.tls,
                    $($own,)*
                }
            }

            /// What it says of the listener, not checked yet.
            pub(super) fn server(&self) -> server::Config {
                server::Config {
                    listen: self.listen,
                    connections_max: self.connections_max,
                    connections_per_address_max: self.connections_per_address_max,
                    streams_max: self.streams_max,
                    head_bytes_max: self.head_bytes_max,
                    headers_max: self.headers_max,
                    header_timeout_ms: self.header_timeout_ms,
                    idle_timeout_ms: self.idle_timeout_ms,
                    body_timeout_ms: self.body_timeout_ms,
                    write_timeout_ms: self.write_timeout_ms,
                    drain_timeout_ms: self.drain_timeout_ms,
                    trusted_proxies: self.trusted_proxies.clone(),
                    tls: self.tls.clone(),
                }
            }
        }
    };
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is no address with a port: write `127.0.0.1:8080` or `[::1]:8080`, or `0.0.0.0:8080` for all of this machine's; names are \
             not looked up"
        ))
    })
}

section! {
    /// Section `[ingest]`.
    RawIngest {
        body_bytes_max: u64,
        in_flight_max: u32,
        in_flight_bytes_max: u64,
    }
}

section! {
    /// Section `[admin]`.
    RawAdmin {
        hosts: Vec<String>,
        in_flight_bytes_max: u32,
    }
}

impl Default for RawIngest {
    fn default() -> Self {
        let ingest::Config { server, body_bytes_max, in_flight_max, in_flight_bytes_max } = ingest::Config::default();
        let server = server::Config { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), ..server };
        Self::new(server, body_bytes_max, in_flight_max, in_flight_bytes_max)
    }
}

impl Default for RawAdmin {
    fn default() -> Self {
        let api::Config { server, hosts, in_flight_bytes_max } = api::Config::default();
        let listen = SocketAddr::from(([127, 0, 0, 1], 8081));
        let server = server::Config { listen, connections_max: 1_000, connections_per_address_max: 500, ..server };
        Self::new(server, hosts, in_flight_bytes_max)
    }
}
