//! A receiver that may be reached sends the host on to where it may not go.

use super::cases::{Fate, Way};
use super::drive::{Endpoint, Seen, Verdict, attempts};
use super::ground::Ground;
use super::support::{Host, Reply};

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
const LOCATIONS: [&str; 6] = [
    "http://127.0.0.1:{p}/",
    "//127.0.0.1:{p}/",
    "https://127.0.0.1:{p}/",
    "http://loop.example:{p}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:{p}/",
];
/// Other answers that say where else something is.
const HINTS: [(u16, &str, &str); 11] = [
    (300, "location", "http://127.0.0.1:{p}/"),
    (304, "location", "http://127.0.0.1:{p}/"),
    (305, "location", "http://127.0.0.1:{p}/"),
    (401, "location", "http://127.0.0.1:{p}/"),
    (503, "location", "http://127.0.0.1:{p}/"),
    (201, "location", "http://127.0.0.1:{p}/"),
    (202, "location", "http://127.0.0.1:{p}/"),
    (200, "refresh", "0; url=http://127.0.0.1:{p}/"),
    (200, "content-location", "http://127.0.0.1:{p}/"),
    (200, "link", "<http://127.0.0.1:{p}/>; rel=\"next\""),
    (200, "alt-svc", "http/1.1=\"127.0.0.1:{p}\"; ma=3600"),
];

/// One that is tried.
#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    way: Way,
    status: u16,
    header: &'static str,
    value: &'static str,
}

/// Every case.
pub(crate) fn redirects() -> Vec<Redirect> {
    let redirect = |way, status, value| Redirect { way, status, header: "location", value };
    let delivered = STATUSES.iter().flat_map(|status| LOCATIONS.map(|value| redirect(Way::Delivery, *status, value)));
    let others = [Way::Test, Way::Handshake, Way::Verification, Way::Token].into_iter();
    let others = others.flat_map(|way| STATUSES.map(|status| redirect(way, status, LOCATIONS[0])));
    let hints = HINTS.map(|(status, header, value)| Redirect { way: Way::Delivery, status, header, value });
    delivered.chain(others).chain(hints).collect()
}

impl Redirect {
    pub(crate) fn what(&self) -> String {
        format!("{} answered {} {}: {}", self.way.name(), self.status, self.header, self.value)
    }

    fn fate(&self) -> Fate {
        match (self.way, self.status) {
            (Way::Token, _) => Fate::Attempt("token", "it answered 3"),
            (Way::Handshake, _) => Fate::Attempt("handshake", "has no `WebHook-Allowed-Origin`"),
            (Way::Verification, _) => Fate::Attempt("verification", "is none of 2xx"),
            (_, 200..300) => Fate::Delivered,
            (_, 300..400) => Fate::Attempt("status", "redirects are not followed"),
            _ => Fate::Attempt("status", ""),
        }
    }

    pub(crate) async fn attempt(&self, host: &Host, ground: &Ground, number: usize) -> Verdict {
        let path = format!("/{number}");
        let value = ground.url(self.value, host);
        ground.answer(&path, vec![Reply::Status(self.status, vec![(self.header, value)], "")]);
        let url = ground.receiver.url(&path);
        let endpoint = Endpoint::put(host, ground, self.way, &url, number).await.unwrap();
        let first = attempts(host, &endpoint.send(host).await, 1).await;
        let verdict = Seen::Attempt(first[0].clone()).as_it_should_be(&self.fate())?;
        if self.fate() == Fate::Delivered {
            // What it was told has no say in where the next one goes.
            let next = attempts(host, &endpoint.send(host).await, 1).await;
            Seen::Attempt(next[0].clone()).as_it_should_be(&Fate::Delivered)?;
        }
        Ok(verdict)
    }
}
