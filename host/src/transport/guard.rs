//! The guard before every socket: names resolve to addresses that may be connected to and to no others, and literal addresses in URLs
//! pass the same check. The addresses it gives out are the ones that are dialled: nothing is resolved a second time.

use super::address;
use super::allow::AllowEntry;
use super::names::{LookupError, Names};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Decides about addresses for connections to one port, or to all ports that no allow entry names.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    allow: Arc<[AllowEntry]>,
    port: Option<u16>,
    names: Names,
}

/// An address that must not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {why}; the operator can allow it under `transport.allow`")]
pub(super) struct Refused {
    address: IpAddr,
    why: &'static str,
}

/// A name without an address to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    /// None of its addresses may be connected to.
    #[error("`{name}` has no address that deliveries may reach: {refused}")]
    Refused { name: String, refused: Refused },
    /// It has none.
    #[error("`{name}` has no address")]
    Empty { name: String },
    /// The lookup failed.
    #[error("`{name}` cannot be resolved: {why}")]
    Lookup { name: String, why: String },
}

impl Guard {
    /// The guard for connections to `port`; none stands for every port that has no allow entry of its own.
    pub(super) fn new(allow: Arc<[AllowEntry]>, port: Option<u16>, names: Names) -> Self {
        Self { allow, port, names }
    }

    /// Whether this address may be connected to.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        match address::refusal(address) {
            None => Ok(()),
            Some(_) if self.allow.iter().any(|entry| entry.allows(address, self.port)) => Ok(()),
            Some(why) => Err(Refused { address, why }),
        }
    }

    /// What of these addresses may be connected to.
    fn filter(&self, name: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, ResolveError> {
        let mut refused = None;
        let mut good = Vec::new();
        for address in found {
            match self.check(address.ip()) {
                Ok(()) => good.push(address),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            _ if !good.is_empty() => Ok(good),
            Some(refused) => Err(ResolveError::Refused { name: name.to_owned(), refused }),
            None => Err(ResolveError::Empty { name: name.to_owned() }),
        }
    }

    async fn lookup(self, name: String) -> Result<Vec<SocketAddr>, ResolveError> {
        match self.names.lookup(&name).await {
            Ok(found) => self.filter(&name, found.into_iter()),
            Err(LookupError::Empty) => Err(ResolveError::Empty { name }),
            Err(LookupError::Failed(why)) => Err(ResolveError::Lookup { name, why }),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let looking = self.clone().lookup(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking.await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn guard(allow: &[&str], port: Option<u16>) -> Guard {
        let allow = allow.iter().map(|entry| entry.parse().unwrap()).collect();
        Guard::new(allow, port, Names::new(&Config::default()).unwrap())
    }

    fn filter(guard: &Guard, found: &[&str]) -> Result<Vec<SocketAddr>, ResolveError> {
        guard.filter("example.test", found.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)))
    }

    #[test]
    fn only_good_addresses_of_a_name_are_dialled() {
        let found = filter(&guard(&[], None), &["127.0.0.1", "93.184.216.34", "::1"]).unwrap();
        assert_eq!(found, ["93.184.216.34:0".parse().unwrap()]);
    }

    #[test]
    fn a_name_without_a_good_address_says_why() {
        let error = filter(&guard(&[], None), &["10.0.0.1", "::1"]).unwrap_err();
        assert!(matches!(error, ResolveError::Refused { .. }));
        assert!(error.to_string().contains("10.0.0.1 is a private address (10.0.0.0/8)"), "{error}");
        assert!(matches!(filter(&guard(&[], None), &[]), Err(ResolveError::Empty { .. })));
    }

    #[test]
    fn what_is_allowed_passes_on_its_port_only() {
        let allow = ["127.0.0.1:9000", "10.0.0.0/8"];
        let check = |port, address: &str| guard(&allow, port).check(address.parse().unwrap()).is_ok();
        assert!(check(Some(9000), "127.0.0.1") && !check(None, "127.0.0.1"));
        assert!(check(Some(9000), "10.1.1.1") && check(None, "10.1.1.1"));
        assert!(!check(Some(9000), "127.0.0.2"));
        assert!(check(None, "8.8.8.8"));
    }
}
