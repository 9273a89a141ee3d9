//! Ids that the host gives. Those of what comes of an event begin with the event's: whoever holds the id of a run or a delivery knows where
//! the event is and on which day it came, without an index.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use ulid::Ulid;

/// A text that is not an id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {wanted}")]
pub struct InvalidId {
    given: String,
    wanted: &'static str,
}

impl InvalidId {
    fn new(given: &str, wanted: &'static str) -> Self {
        Self { given: given.chars().take(80).collect(), wanted }
    }
}

macro_rules! whole {
    ($($(#[$doc:meta])* $name:ident $prefix:literal $wanted:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The id for one of `now_ms`, with 80 random bits (the rest of `random` is left out).
            #[must_use]
            pub fn new(now_ms: u64, random: u128) -> Self {
                Self(Ulid::from_parts(now_ms, random).0)
            }

            /// The 16 bytes that sort by time.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The opposite of `to_bytes`.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), Ulid(self.0))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let error = || InvalidId::new(text, $wanted);
                parse_ulid(text.strip_prefix($prefix).ok_or_else(error)?).map(Self).ok_or_else(error)
            }
        }
    )*};
}

whole! {
    /// An event: `evt_<ULID>`. The ULID's time is when the event came in; lists go by it, the order of deliveries is that of `seq`.
    EventId "evt_" "an event id: `evt_` and 26 letters and digits";
    /// A job: `job_<ULID>`. The ULID's time is when it was made.
    JobId "job_" "a job id: `job_` and 26 letters and digits";
    /// An entry of the audit log: `aud_<ULID>`. The ULID's time is when it was done.
    AuditId "aud_" "an id of the audit log: `aud_` and 26 letters and digits";
}

impl EventId {
    /// When the event came in, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn received_at_ms(self) -> u64 {
        Ulid(self.0).timestamp_ms()
    }

    /// The id that follows; the last one is followed by itself.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

fn parse_ulid(text: &str) -> Option<u128> {
    let ulid = Ulid::from_string(text).ok()?;
    // Ids are compared as text by people and their tools: there is one spelling.
    (ulid.to_string() == text).then_some(ulid.0)
}

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident $prefix:literal $wanted:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            event: EventId,
            tag: u64,
        }

        impl $name {
            /// Puts an id together from its parts, as a store key holds them.
            #[must_use]
            pub const fn from_parts(event: EventId, tag: u64) -> Self {
                Self { event, tag }
            }

            /// The event it belongs to.
            #[must_use]
            pub const fn event(self) -> EventId {
                self.event
            }

            /// What tells it from the others of the same event.
            #[must_use]
            pub const fn tag(self) -> u64 {
                self.tag
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}-{:016x}"), Ulid(self.event.0), self.tag)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let error = || InvalidId::new(text, $wanted);
                let (ulid, tag) = text.strip_prefix($prefix).and_then(|rest| rest.split_once('-')).ok_or_else(error)?;
                let event = parse_ulid(ulid).map(EventId).ok_or_else(error)?;
                let lower = tag.len() == 16 && tag.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                let tag = u64::from_str_radix(tag, 16).ok().filter(|_| lower).ok_or_else(error)?;
                Ok(Self { event, tag })
            }
        }
    )*};
}

parts! {
    /// A run: `run_<the event's ULID>-<16 hex digits>`.
    RunId "run_" "a run id: `run_`, 26 letters and digits, `-`, 16 hex digits";
    /// A delivery: `dlv_<the event's ULID>-<16 hex digits>`. It is sent as the Standard Webhooks `webhook-id`.
    DeliveryId "dlv_" "a delivery id: `dlv_`, 26 letters and digits, `-`, 16 hex digits";
}

impl RunId {
    /// The run of this event through this route; `generation` counts replays from 0.
    #[must_use]
    pub fn new(event: EventId, route: &super::RouteName, generation: u32) -> Self {
        let tag = hash(&[b"run", route.as_str().as_bytes(), &generation.to_be_bytes()]);
        Self { event, tag }
    }
}

impl DeliveryId {
    /// The delivery that comes of this run: of the `ordinal`th message that left its last step, to this endpoint. The same
    /// run, made again after a crash, gets the same ids.
    #[must_use]
    pub fn new(run: RunId, step: u32, ordinal: u32, endpoint: &super::EndpointName) -> Self {
        let tag = hash(&[
            b"dlv",
            &run.tag.to_be_bytes(),
            &step.to_be_bytes(),
            &ordinal.to_be_bytes(),
            endpoint.as_str().as_bytes(),
        ]);
        Self { event: run.event, tag }
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
        sha.update([0]);
    }
    let bytes: [u8; 32] = sha.finalize().into();
    bytes.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The sha256 of some bytes: how a module version or a plan is addressed. Written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The opposite of [`Digest::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let error = || InvalidId::new(text, "a sha256: 64 hex digits in lower case");
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = str::from_utf8(pair).map_err(|_| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(EventId JobId AuditId RunId DeliveryId Digest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_have_one_spelling() {
        let event = EventId::new(1_700_000_000_000, 42);
        let route = "r".parse().expect("a name");
        let run = RunId::new(event, &route, 0);
        let delivery = DeliveryId::new(run, 1, 0, &"e".parse().expect("a name"));
        assert_eq!(event.to_string().parse(), Ok(event));
        assert_eq!(run.to_string().parse(), Ok(run));
        assert_eq!(delivery.to_string().parse(), Ok(delivery));
        assert_eq!(event.received_at_ms(), 1_700_000_000_000);
        assert_eq!(delivery.event(), event);
        assert!(event.to_string().to_lowercase().parse::<EventId>().is_err());
        assert!(delivery.to_string().to_uppercase().parse::<DeliveryId>().is_err());
        assert!(run.to_string().parse::<DeliveryId>().is_err());
        let job = JobId::new(1_700_000_000_000, 42);
        assert_eq!((job.to_string().parse(), JobId::from_bytes(job.to_bytes())), (Ok(job), job));
        assert!(event.to_string().parse::<JobId>().is_err());
    }

    #[test]
    fn a_delivery_id_depends_on_every_part_it_is_derived_from() {
        let event = EventId::new(1, 2);
        let name = |text: &str| text.parse().expect("a name");
        let run = RunId::new(event, &"r".parse().expect("a name"), 0);
        let other_run = RunId::new(event, &"r".parse().expect("a name"), 1);
        let all = [
            DeliveryId::new(run, 0, 0, &name("a")),
            DeliveryId::new(run, 1, 0, &name("a")),
            DeliveryId::new(run, 0, 1, &name("a")),
            DeliveryId::new(run, 0, 0, &name("b")),
            DeliveryId::new(other_run, 0, 0, &name("a")),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
