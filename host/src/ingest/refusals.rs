//! The last requests that each source refused, in memory: for whoever wonders why his requests are not taken. It says more than the sender is
//! told, and nothing that proves anything: no credentials, no signatures, no body.
//!
//! What must hold: there are at most [`PER_SOURCE_MAX`] of a source, and all together take [`BYTES_MAX`] at most; the oldest go first. What
//! looking closer costs is bounded, so that who is refused cannot keep the host busy with it.

use super::bucket::Bucket;
use crate::config::{Rate, Snapshot, Source};
use crate::model::{SourceName, TenantName, is_credential};
use crate::problem::Problem;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many of one source are kept.
pub(super) const PER_SOURCE_MAX: usize = 50;
/// How many bytes all together may take.
pub(super) const BYTES_MAX: usize = 16 << 20;
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 256;
const HEADERS_BYTES_MAX: usize = 4 * 1024;
const TEXT_BYTES_MAX: usize = 1_024;
/// What an entry takes beside its texts, about.
const ENTRY_BYTES: usize = 512;
/// How often refused requests of one source are looked at closer, and those of all together.
const LOOKS_OF_ONE: Rate = Rate { per_s: 1, burst: 10 };
const LOOKS_OF_ALL: Rate = Rate { per_s: 20, burst: 100 };

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// The status that it was answered with.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// What the sender was told.
    pub detail: String,
    /// What else can be told.
    pub hints: Vec<String>,
    /// Whether it was looked at for these: not where too many were refused at once.
    pub looked_closely: bool,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its headers, as far as there is room.
    pub headers: Vec<ShownHeader>,
    /// Its body, where that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<ShownBody>,
    /// What the host's log and the answer call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownHeader {
    /// Its name.
    pub name: String,
    /// Its value; none where it proves something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How many bytes the value has.
    pub value_bytes: usize,
}

/// What is told of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownBody {
    /// How many bytes came.
    pub bytes: u64,
    /// Their sha256, where it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

type Key = (TenantName, SourceName);

/// All of them. A handful of locks a second is all that there is to it.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// By number, in the order in which they came.
    all: BTreeMap<u64, (Key, Refusal, usize)>,
    by_source: HashMap<Key, OfSource>,
    next: u64,
    bytes: usize,
    looks: Bucket,
    /// The configuration that was looked at last for sources that are gone.
    revision: u64,
}

#[derive(Debug, Default)]
struct OfSource {
    numbers: VecDeque<u64>,
    looks: Bucket,
}

/// Whether a refusal says something of its request, and not only of how busy the host or the source is.
pub(super) fn is_of_the_request(problem: &Problem) -> bool {
    problem.status.is_client_error() && problem.status != StatusCode::TOO_MANY_REQUESTS
}

impl Refusals {
    /// Whether one more may be looked at closer now.
    pub(super) fn may_look(&self, tenant: &TenantName, source: &SourceName, now_ns: u64) -> bool {
        let mut log = self.lock();
        let Log { by_source, looks, .. } = &mut *log;
        let own = by_source.get_mut(&(tenant.clone(), source.clone())).map(|of| &mut of.looks);
        let mut fresh = Bucket::default();
        let own = own.unwrap_or(&mut fresh);
        if own.wait_ns(LOOKS_OF_ONE, now_ns) > 0 || looks.wait_ns(LOOKS_OF_ALL, now_ns) > 0 {
            return false;
        }
        own.take(LOOKS_OF_ONE, 1, now_ns);
        looks.take(LOOKS_OF_ALL, 1, now_ns);
        true
    }

    /// Keeps one.
    pub(super) fn note(&self, tenant: &TenantName, source: &SourceName, refusal: Refusal) {
        let mut log = self.lock();
        let (number, bytes) = (log.next, refusal.bytes());
        log.next += 1;
        log.bytes += bytes;
        let key = (tenant.clone(), source.clone());
        log.all.insert(number, (key.clone(), refusal, bytes));
        let of = log.by_source.entry(key).or_default();
        of.numbers.push_back(number);
        let too_old = (of.numbers.len() > PER_SOURCE_MAX).then(|| of.numbers.front().copied()).flatten();
        too_old.into_iter().for_each(|number| log.forget(number));
        while log.bytes > BYTES_MAX
            && let Some(oldest) = log.all.keys().next().copied()
        {
            log.forget(oldest);
        }
    }

    /// Those of a source, the last one first.
    pub(super) fn of(&self, tenant: &TenantName, source: &SourceName) -> Vec<Refusal> {
        let log = self.lock();
        let found = log.by_source.get(&(tenant.clone(), source.clone()));
        let numbers = found.into_iter().flat_map(|of| of.numbers.iter().rev());
        numbers.filter_map(|number| log.all.get(number).map(|(_, refusal, _)| refusal.clone())).collect()
    }

    /// Forgets those of sources that are gone: who makes one of the same name sees nothing of them.
    pub(super) fn keep_those_in(&self, snapshot: &Snapshot) {
        let mut log = self.lock();
        if log.revision == snapshot.revision {
            return;
        }
        log.revision = snapshot.revision;
        let is_there =
            |(tenant, source): &Key| snapshot.tenant(tenant).is_some_and(|it| it.sources.contains_key(source));
        let gone: Vec<u64> =
            log.by_source.iter().filter(|(key, _)| !is_there(key)).flat_map(|(_, of)| of.numbers.clone()).collect();
        gone.into_iter().for_each(|number| log.forget(number));
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn forget(&mut self, number: u64) {
        let Some((key, _, bytes)) = self.all.remove(&number) else { return };
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(of) = self.by_source.get_mut(&key) {
            of.numbers.retain(|other| *other != number);
            if of.numbers.is_empty() {
                self.by_source.remove(&key);
            }
        }
    }
}

impl Refusal {
    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|it| 64 + it.name.len() + it.value.as_ref().map_or(0, String::len));
        let hints = self.hints.iter().map(|hint| 24 + hint.len());
        ENTRY_BYTES + self.detail.len() + self.path.len() + headers.sum::<usize>() + hints.sum::<usize>()
    }

    /// Cut to its bounds.
    pub(super) fn bounded(mut self) -> Self {
        cut(&mut self.detail, TEXT_BYTES_MAX);
        cut(&mut self.path, TEXT_BYTES_MAX);
        cut(&mut self.method, HEADER_BYTES_MAX);
        self.hints.truncate(8);
        self.hints.iter_mut().for_each(|hint| cut(hint, TEXT_BYTES_MAX));
        self
    }
}

/// The headers as they are shown: as many as have room, none with what proves something.
pub(super) fn shown_headers(source: &Source, headers: &HeaderMap) -> Vec<ShownHeader> {
    let proof = source.verify.header();
    let (mut shown, mut room) = (Vec::new(), HEADERS_BYTES_MAX);
    for (name, value) in headers.iter().take(HEADERS_MAX) {
        let is_shown = is_harmless(name.as_str()) && Some(name) != proof;
        let text = is_shown.then(|| text_of(value));
        let bytes = name.as_str().len() + text.as_ref().map_or(0, String::len);
        let Some(left) = room.checked_sub(bytes) else { break };
        room = left;
        shown.push(ShownHeader { name: name.as_str().to_owned(), value: text, value_bytes: value.len() });
    }
    shown
}

/// Whether a header of this name says nothing that is to be kept secret. Of others only the length is shown: a sender that is set up wrongly may have put its
/// secret in any header.
fn is_harmless(name: &str) -> bool {
    const NAMES: [&str; 9] =
        ["host", "date", "user-agent", "forwarded", "via", "connection", "transfer-encoding", "expect", "traceparent"];
    const BEGINNINGS: [&str; 5] = ["accept", "content-", "ce-", "x-forwarded-", "webhook-request-"];
    const ENDINGS: [&str; 9] =
        ["-id", "-event", "-type", "-topic", "-delivery", "-timestamp", "-version", "-trace", "-domain"];
    let known = NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDINGS.iter().any(|ending| name.ends_with(ending));
    known && !is_credential(name)
}

fn text_of(value: &HeaderValue) -> String {
    let mut text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    cut(&mut text, HEADER_BYTES_MAX);
    text
}

fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_where_its_name_is_harmless_alone() {
        for shown in ["content-type", "user-agent", "x-github-event", "webhook-id", "ce-source", "x-request-id"] {
            assert!(is_harmless(shown), "{shown}");
        }
        for hidden in ["x-key", "x-sign", "x-pass", "x-jwt", "authorization", "cookie", "x-secret-id", "x-anything"] {
            assert!(!is_harmless(hidden), "{hidden}");
        }
    }

    const S: u64 = 1_000_000_000;

    fn refusal(at_ms: u64, detail: usize) -> Refusal {
        let text = || "x".repeat(detail);
        Refusal {
            at_ms,
            status: 401,
            code: "signature_invalid",
            detail: text(),
            hints: vec![text()],
            looked_closely: true,
            peer: None,
            method: "POST".to_owned(),
            path: "/in/acme/a".to_owned(),
            headers: Vec::new(),
            body: None,
            request_id: None,
        }
        .bounded()
    }

    fn names(source: &str) -> Key {
        ("acme".parse().unwrap(), source.parse().unwrap())
    }

    #[test]
    fn of_each_source_the_last_are_kept_and_the_last_comes_first() {
        let (refusals, (tenant, source)) = (Refusals::default(), names("a"));
        for at_ms in 0..120 {
            refusals.note(&tenant, &source, refusal(at_ms, 10));
        }
        refusals.note(&tenant, &names("b").1, refusal(7, 10));
        let kept: Vec<u64> = refusals.of(&tenant, &source).iter().map(|it| it.at_ms).collect();
        assert_eq!(kept, (70..120).rev().collect::<Vec<_>>());
        assert_eq!(refusals.of(&tenant, &names("b").1).len(), 1);
        assert!(refusals.of(&tenant, &names("c").1).is_empty());
    }

    #[test]
    fn all_together_take_no_more_than_their_room_and_the_oldest_go() {
        let (refusals, (tenant, first)) = (Refusals::default(), names("s0"));
        for number in 0..1_000 {
            let source = names(&format!("s{number}")).1;
            for at_ms in 0..PER_SOURCE_MAX as u64 {
                refusals.note(&tenant, &source, refusal(at_ms, 2_000));
            }
        }
        let log = refusals.lock();
        assert!(log.bytes <= BYTES_MAX && log.bytes > BYTES_MAX / 2, "{}", log.bytes);
        assert_eq!(log.bytes, log.all.values().map(|(_, refusal, _)| refusal.bytes()).sum::<usize>());
        assert_eq!(log.all.len(), log.by_source.values().map(|of| of.numbers.len()).sum::<usize>());
        drop(log);
        assert!(refusals.of(&tenant, &first).is_empty());
        assert_eq!(refusals.of(&tenant, &names("s999").1).len(), PER_SOURCE_MAX);
    }

    #[test]
    fn what_is_refused_without_end_is_not_looked_at_without_end() {
        let (refusals, (tenant, source)) = (Refusals::default(), names("a"));
        let look = |source: &SourceName, now_ns: u64| {
            refusals.note(&tenant, source, refusal(0, 1));
            refusals.may_look(&tenant, source, now_ns)
        };
        assert_eq!((0..1_000).filter(|_| look(&source, 0)).count(), 10);
        assert_eq!((0..1_000).filter(|_| look(&source, 3 * S)).count(), 3);
        let many = (0..1_000).filter(|number| look(&names(&format!("s{number}")).1, 100 * S)).count();
        assert_eq!(many, 100, "all sources together have a bound, too");
    }
}
