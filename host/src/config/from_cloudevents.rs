//! A source whose senders speak CloudEvents 1.0: as people write it, and checked. How one is read is for ingest.

use super::resolve::at_most;
use super::{DedupRule, EventTypeRule, Invalid, VerifySpec};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

const ORIGINS_MAX: usize = 32;
const ORIGIN_BYTES_MAX: usize = 256;

/// That requests may be CloudEvents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromCloudEventsSpec {
    /// Who may send, of those that ask first, by the handshake of CloudEvents' HTTP Web Hooks: at most 32 names, or `*` for everybody. By
    /// itself nobody is answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
}

/// How requests that are CloudEvents are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromCloudEvents {
    /// Whether the attribute `type` is the event type: where the source has no rule of its own.
    pub type_is_event_type: bool,
    /// Whether `source` and `id` are the dedup key: where the source has no rule of its own, and its scheme signs none. Whatever the form is
    /// is not signed, so a key that is has to count in each.
    pub id_is_key: bool,
    /// The same where the attributes stand in headers, which no signature covers: not where the scheme signs what it has itself.
    pub headers_say_type: bool,
    /// Likewise.
    pub headers_say_key: bool,
    /// Who is allowed to send when he asks.
    origins: Vec<String>,
}

impl FromCloudEvents {
    pub(super) fn resolve(
        spec: &FromCloudEventsSpec,
        from: &VerifySpec,
        type_is_event_type: bool,
        id_is_key: bool,
    ) -> Result<Self, Invalid> {
        at_most("/cloudevents/origins", spec.origins.len(), ORIGINS_MAX)?;
        for (index, origin) in spec.origins.iter().enumerate() {
            let fits = (1..=ORIGIN_BYTES_MAX).contains(&origin.len()) && origin.bytes().all(|it| it.is_ascii_graphic());
            if !fits {
                let message =
                    format!("is no origin of 1 to {ORIGIN_BYTES_MAX} bytes, as `eventgrid.azure.net`, and not `*`");
                return Err(Invalid::new(format!("/cloudevents/origins/{index}"), message));
            }
        }
        let id_is_key = id_is_key && !from.signs_its_id();
        let headers_say_type = type_is_event_type && matches!(from.event_type(), EventTypeRule::Header(_));
        let headers_say_key = id_is_key && matches!(from.dedup(), DedupRule::Header(_));
        let origins = spec.origins.clone();
        Ok(Self { type_is_event_type, id_is_key, headers_say_type, headers_say_key, origins })
    }

    /// Whether those who ask are answered at all.
    #[must_use]
    pub const fn answers(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Whether this origin may send.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|one| one == "*" || one.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }
}
