//! What was counted, and how long the queue of an endpoint is.

use super::Reader;
use crate::model::{EndpointName, TenantName};
use crate::statistics::{Kind, Period, Subject, Tally};
use crate::store::backend::Order;
use crate::store::key::{Key, KeyReader};
use crate::store::statistics::{Kept, named_kind_byte, read_key};
use crate::store::tree::TreeId;
use crate::store::{ReadError, keys, record};

/// How many pending deliveries of an endpoint are counted.
pub const QUEUE_COUNTED_MAX: usize = 1_000;

/// What was counted of a subject in one period.
pub type KeptPeriod = (Subject, Period, Tally);

/// Subjects of which all that was kept is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverSubjects {
    /// Which, and whose.
    pub subjects: Vec<(TenantName, Subject)>,
    /// The last one that was looked at, where there may be more behind it.
    pub last: Option<(TenantName, Subject)>,
}

/// What waits at an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// How many deliveries are pending: all of them, or the first [`QUEUE_COUNTED_MAX`].
    pub pending: usize,
    /// Whether there are more than that.
    pub more: bool,
    /// When the oldest event among them came in: milliseconds since 1970-01-01T00:00:00Z.
    pub oldest_received_at_ms: Option<u64>,
}

/// Each method's error is a [`ReadError`]: the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// What was counted of everything of this kind and name: of a module, of each version.
    pub fn statistics(&self, tenant: &TenantName, kind: Kind, name: &str) -> Result<Vec<KeptPeriod>, ReadError> {
        self.kept_under(keys::statistics_named(tenant, named_kind_byte(kind), name))
    }

    /// What was counted of all of a kind together.
    pub fn statistics_totals(&self, tenant: &TenantName, kind: Kind) -> Result<Vec<KeptPeriod>, ReadError> {
        self.kept_under(keys::statistics_on(tenant, &Subject::All(kind)))
    }

    /// The names of a tenant of which something was counted, by kind and name, behind `after`; at most `limit`.
    pub fn statistics_names(
        &self,
        tenant: &TenantName,
        kind: Kind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, ReadError> {
        let kind = named_kind_byte(kind);
        let mut range = keys::statistics_of(tenant).bytes(&[kind]).prefix();
        if !after.is_empty() {
            range = range.past(keys::statistics_named(tenant, kind, after));
        }
        let mut names = Vec::new();
        while names.len() < limit {
            let first = self.backend.scan(TreeId::Hot, &range, Order::Ascending).next();
            let Some((key, _)) = first.transpose()? else { break };
            let (_, subject, _) = read_key(&mut KeyReader::new(TreeId::Hot, &key))?;
            range = range.past(keys::statistics_named(tenant, kind, subject.name()));
            names.push(subject.name().to_owned());
        }
        Ok(names)
    }

    /// Looks at `limit` subjects behind `after`: which of them have nothing that is not over at this time.
    pub fn statistics_over(
        &self,
        after: Option<&(TenantName, Subject)>,
        now_ms: u64,
        limit: usize,
    ) -> Result<OverSubjects, ReadError> {
        let mut range = keys::statistics().prefix();
        if let Some((tenant, subject)) = after {
            range = range.past(keys::statistics_on(tenant, subject));
        }
        let mut found = OverSubjects::default();
        for _ in 0..limit {
            let first = self.backend.scan(TreeId::Hot, &range, Order::Ascending).next();
            let Some((key, _)) = first.transpose()? else { return Ok(OverSubjects { last: None, ..found }) };
            let (tenant, subject, _) = read_key(&mut KeyReader::new(TreeId::Hot, &key))?;
            let all = keys::statistics_on(&tenant, &subject);
            range = range.past(all.clone());
            if self.kept_under(all)?.iter().all(|(_, period, _)| period.is_over(now_ms)) {
                found.subjects.push((tenant.clone(), subject.clone()));
            }
            found.last = Some((tenant, subject));
        }
        Ok(found)
    }

    /// What waits at an endpoint: what stands in its lane, and what waits for its turn. What was sent and is not answered yet is among it.
    pub fn queue(&self, tenant: &TenantName, endpoint: &EndpointName) -> Result<Queue, ReadError> {
        let mut queue = Queue::default();
        for (all, place_bytes) in
            [(keys::lane(tenant, endpoint), keys::DUE_BYTES), (keys::lines(tenant, endpoint), keys::IN_LINE_BYTES)]
        {
            let in_line = place_bytes == keys::IN_LINE_BYTES;
            let named = all.as_bytes().len();
            for entry in self.backend.scan(TreeId::Hot, &all.prefix(), Order::Ascending) {
                let (key, due) = entry?;
                // Whose turn it is stands in the lane.
                if in_line && due.is_empty() {
                    continue;
                }
                if queue.pending == QUEUE_COUNTED_MAX {
                    queue.more = true;
                    return Ok(queue);
                }
                let mut key = KeyReader::new(TreeId::Hot, &key);
                key.skip(named - 1 + place_bytes)?;
                let received_at_ms = key.delivery()?.event().received_at_ms();
                queue.pending += 1;
                let oldest = queue.oldest_received_at_ms.map_or(received_at_ms, |oldest| oldest.min(received_at_ms));
                queue.oldest_received_at_ms = Some(oldest);
            }
        }
        Ok(queue)
    }

    fn kept_under(&self, all: Key) -> Result<Vec<KeptPeriod>, ReadError> {
        let decode = |entry: Result<(bytes::Bytes, bytes::Bytes), _>| {
            let (key, value) = entry?;
            let kept: Kept = record::decode(&*self.backend, TreeId::Hot, &Key::from(&key[..]), value)?;
            let (_, subject, in_hours) = read_key(&mut KeyReader::new(TreeId::Hot, &key))?;
            let period = kept.period(in_hours);
            Ok((subject, period, kept.tally))
        };
        self.backend.scan(TreeId::Hot, &all.prefix(), Order::Ascending).map(decode).collect()
    }
}
