//! How a listener behaves: its bounds, and whom it believes.

use super::TlsFiles;
use crate::model::AddressRange;
use std::net::SocketAddr;

/// The most entries of `trusted_proxies`.
const TRUSTED_PROXIES_MAX: usize = 256;

/// How a listener behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many connections may be open at once; further ones wait in the kernel's queue, and those that are open have one turn each then. 1 to
    /// 1,000,000; by itself 10,000.
    pub connections_max: u32,
    /// How many of them may come from one address, or one IPv6 network of 64 bits; further ones are closed. Listed proxies may have any number.
    /// 1 to 1,000,000; by itself 1,000.
    pub connections_per_address_max: u32,
    /// How many requests may be under way at once on one HTTP/2 connection. 1 to 10,000; by itself 100.
    pub streams_max: u32,
    /// How long a request's first line and headers may be together, in bytes; a longer one is answered with 431. 8,192 to 1,048,576; by itself 65,536.
    pub head_bytes_max: u32,
    /// How many headers a request may have; one with more is answered with 431. 1 to 1,000; by itself 100.
    pub headers_max: u32,
    /// How long a request's head may take to arrive, from its first byte on. 1 to 600,000; by itself 30,000.
    pub header_timeout_ms: u64,
    /// How long a connection may be open with nothing under way. 1 to 3,600,000; by itself 60,000.
    pub idle_timeout_ms: u64,
    /// How long a request's body may take to arrive. 1 to 600,000; by itself 30,000.
    pub body_timeout_ms: u64,
    /// How long a client may take none of an answer, or on HTTP/2 less than 16 KiB of what there is. 1 to 600,000; by itself 60,000.
    pub write_timeout_ms: u64,
    /// How long requests under way may take to finish after the host was told to stop. 0 to 600,000; by itself 10,000.
    pub drain_timeout_ms: u64,
    /// The proxies that are believed when they say for whom they ask. At most 256 networks; by itself none.
    pub trusted_proxies: Vec<AddressRange>,
    /// TLS; by itself none.
    pub tls: Option<TlsFiles>,
}

/// A bound that is passed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value} is out of bounds: it is {least} to {most}")]
pub struct OutOfBounds {
    /// Which setting.
    pub key: &'static str,
    /// What it is, or how many it has.
    pub value: u64,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
}

impl Config {
    /// Checks every bound.
    ///
    /// # Errors
    /// Where one is passed.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let proxies = u64::try_from(self.trusted_proxies.len()).unwrap_or(u64::MAX);
        let bounds = [
            ("connections_max", self.connections_max.into(), 1, 1_000_000),
            ("connections_per_address_max", self.connections_per_address_max.into(), 1, 1_000_000),
            ("streams_max", self.streams_max.into(), 1, 10_000),
            ("head_bytes_max", self.head_bytes_max.into(), 8 << 10, 1 << 20),
            ("headers_max", self.headers_max.into(), 1, 1_000),
            ("header_timeout_ms", self.header_timeout_ms, 1, 600_000),
            ("idle_timeout_ms", self.idle_timeout_ms, 1, 3_600_000),
            ("body_timeout_ms", self.body_timeout_ms, 1, 600_000),
            ("write_timeout_ms", self.write_timeout_ms, 1, 600_000),
            ("drain_timeout_ms", self.drain_timeout_ms, 0, 600_000),
            ("trusted_proxies", proxies, 0, TRUSTED_PROXIES_MAX as u64),
        ];
        let of_tls = self.tls.iter().flat_map(|tls| {
            [
                ("tls.reload_ms", tls.reload_ms, 100, 86_400_000),
                ("tls.handshake_timeout_ms", tls.handshake_timeout_ms, 1, 600_000),
            ]
        });
        let passed = bounds.into_iter().chain(of_tls).find(|(_, value, least, most)| !(*least..=*most).contains(value));
        passed.map_or(Ok(()), |(key, value, least, most)| Err(OutOfBounds { key, value, least, most }))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            streams_max: 100,
            head_bytes_max: 64 << 10,
            headers_max: 100,
            header_timeout_ms: 30_000,
            idle_timeout_ms: 60_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 60_000,
            drain_timeout_ms: 10_000,
            trusted_proxies: Vec::new(),
            tls: None,
        }
    }
}
