//! The state of a native test: in memory, on the test's thread. What has a TTL goes when the time that the test sets is past it; as
//! in the host, time never goes back.
//!
//! A number is kept as decimal text: `get` shows `increment`'s sum, and `increment` counts on from a value that reads as a number.
//! Unlike the host, nobody takes back what a call wrote that then fails.

use std::collections::BTreeMap;

use crate::Failure;

/// What state answers.
#[derive(Debug, Clone, Default)]
pub(super) enum State {
    /// `denied`, as for a step without `state = true`.
    #[default]
    Denied,
    /// This failure, to every call.
    Fails(Failure),
    /// What was kept.
    Kept(Kept),
}

/// Values under their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    now_ms: u64,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Vec<u8>,
    /// None is for good.
    expires_at_ms: Option<u64>,
}

impl State {
    pub(super) fn set_time_ms(&mut self, now_ms: u64) {
        if let Self::Kept(kept) = self {
            kept.now_ms = kept.now_ms.max(now_ms);
        }
    }

    pub(super) fn keys(&self) -> Vec<String> {
        match self {
            Self::Kept(kept) => {
                kept.entries.iter().filter(|(_, entry)| kept.is_live(entry)).map(|(key, _)| key.clone()).collect()
            }
            Self::Denied | Self::Fails(_) => Vec::new(),
        }
    }

    pub(super) fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.kept().map(|kept| kept.live(key).map(|entry| entry.value))
    }

    pub(super) fn set(&mut self, key: &str, value: &[u8], ttl_s: u32) -> Result<(), Failure> {
        self.kept().map(|kept| kept.put(key, value.to_vec(), kept.expiry(ttl_s)))
    }

    pub(super) fn remove(&mut self, key: &str) -> Result<(), Failure> {
        self.kept().map(|kept| drop(kept.entries.remove(key)))
    }

    pub(super) fn increment(&mut self, key: &str, by: i64, ttl_s: u32) -> Result<i64, Failure> {
        let kept = self.kept()?;
        let (before, expires_at_ms) = match kept.live(key) {
            None => (0, kept.expiry(ttl_s)),
            Some(entry) => {
                let number = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse::<i64>().ok());
                (
                    number.ok_or_else(|| Failure::input_invalid(format!("the value under `{key}` is no number")))?,
                    entry.expires_at_ms,
                )
            }
        };
        let sum = before
            .checked_add(by)
            .ok_or_else(|| Failure::input_invalid(format!("the number under `{key}` would be beyond 64 bits")))?;
        kept.put(key, sum.to_string().into_bytes(), expires_at_ms);
        Ok(sum)
    }

    fn kept(&mut self) -> Result<&mut Kept, Failure> {
        match self {
            Self::Denied => {
                Err(Failure::denied("this step keeps no state: write `state = true` at the step of the route"))
            }
            Self::Fails(failure) => Err(failure.clone()),
            Self::Kept(kept) => Ok(kept),
        }
    }
}

impl Kept {
    fn live(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).filter(|entry| self.is_live(entry)).cloned()
    }

    fn is_live(&self, entry: &Entry) -> bool {
        entry.expires_at_ms.is_none_or(|expires_at_ms| self.now_ms < expires_at_ms)
    }

    fn expiry(&self, ttl_s: u32) -> Option<u64> {
        (ttl_s > 0).then(|| self.now_ms.saturating_add(u64::from(ttl_s) * 1_000))
    }

    fn put(&mut self, key: &str, value: Vec<u8>, expires_at_ms: Option<u64>) {
        self.entries.insert(key.to_owned(), Entry { value, expires_at_ms });
    }
}

#[cfg(test)]
mod tests {
    use crate::state;
    use crate::testing::{Host, set_time_ms, state_keys};

    use super::*;

    #[test]
    fn without_being_asked_for_there_is_none() {
        Host::default().install();
        let failure = state::get("a").unwrap_err();
        assert_eq!(failure.code, "denied");
        assert!(failure.message.contains("`state = true`"), "{}", failure.message);
        Host::default().state_fails(Failure::limit("state_bytes_max is 10")).install();
        assert_eq!(state::set("a", b"1", 0), Err(Failure::limit("state_bytes_max is 10")));
    }

    #[test]
    fn what_is_kept_goes_when_its_time_is_over() {
        Host::default().state().install();
        set_time_ms(1_000);
        assert_eq!(state::get("a"), Ok(None));
        state::set("a", b"x", 10).unwrap();
        state::set("b", b"y", 0).unwrap();
        set_time_ms(10_999);
        assert_eq!(state::get("a"), Ok(Some(b"x".to_vec())));
        set_time_ms(11_000);
        assert_eq!((state::get("a"), state_keys()), (Ok(None), vec!["b".to_owned()]));
        state::remove("b").unwrap();
        state::remove("b").unwrap();
        assert_eq!(state_keys(), [""; 0]);
    }

    #[test]
    fn a_counters_time_runs_from_the_first_increment() {
        Host::default().state().install();
        assert_eq!(state::increment("n", 2, 10), Ok(2));
        set_time_ms(9_000);
        assert_eq!(state::increment("n", -5, 10), Ok(-3));
        assert_eq!(state::get("n"), Ok(Some(b"-3".to_vec())));
        set_time_ms(10_000);
        assert_eq!(state::increment("n", 1, 10), Ok(1));
        state::set("n", b"text", 0).unwrap();
        assert!(state::increment("n", 1, 0).is_err());
        state::set("n", i64::MAX.to_string().as_bytes(), 0).unwrap();
        assert_eq!(state::increment("n", 1, 0).unwrap_err().code, "input-invalid");
    }
}
