//! What the sweeper asks: where there may be something to sweep, and what there is. It asks before it commits, so that the committer, which
//! asks again, finds it in memory.

use super::Reader;
use crate::model::{Digest, EventId, TenantName};
use crate::store::backend::{BackendError, Order};
use crate::store::key::{Key, KeyRange, KeyReader};
use crate::store::sweep::{Mark, Sweep, expired, plan};
use crate::store::tree::{Day, TreeId};
use crate::store::{ReadError, keys, record};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Each method's error is a [`ReadError`]: the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// The days of which anything is there, the oldest first.
    #[must_use]
    pub fn days(&self) -> Vec<Day> {
        let day = |tree| if let TreeId::Day(day) = tree { Some(day) } else { None };
        self.backend.trees().into_iter().filter_map(day).collect()
    }

    /// The tenants that have events of a day, and those of whom there were some.
    pub fn tenants_of(&self, day: Day) -> Result<Vec<TenantName>, ReadError> {
        let tree = TreeId::Day(day);
        let mut tenants = Vec::new();
        for entry in self.backend.scan(tree, &keys::sweep_marks().prefix(), Order::Ascending) {
            tenants.push(KeyReader::new(tree, &entry?.0).name::<TenantName>()?);
        }
        // Those between them that were never swept. The events of one that was begin with emptied pages.
        let all = keys::all_events().prefix();
        let known = tenants.clone();
        let mut rest = all.clone();
        for tenant in known.iter().map(Some).chain([None]) {
            let own = tenant.map(|tenant| keys::events(tenant).prefix());
            let until = own.as_ref().map_or(&all.until, |own| &own.from).clone();
            let mut gap = KeyRange { from: rest.from.clone(), until };
            while let Some(entry) = self.backend.scan(tree, &gap, Order::Ascending).next() {
                let new: TenantName = KeyReader::new(tree, &entry?.0).name()?;
                gap = gap.past(keys::events(&new));
                tenants.push(new);
            }
            if let Some(own) = own {
                rest.from = own.until;
            }
        }
        Ok(tenants)
    }

    /// The plans behind `after` where it is given, by digest; at most `limit`.
    pub fn plans(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, Bytes)>, ReadError> {
        let mut range = keys::plans().prefix();
        if let Some(after) = after {
            range = range.after(&keys::plan(after));
        }
        let mut plans = Vec::new();
        for entry in self.backend.scan(TreeId::Hot, &range, Order::Ascending).take(limit) {
            let (bytes, value) = entry?;
            let (key, mut reader) = (Key::from(&bytes[..]), KeyReader::new(TreeId::Hot, &bytes));
            plans.push((reader.digest()?, record::content(&*self.backend, TreeId::Hot, &key, value)?));
        }
        Ok(plans)
    }

    /// The plans that pending and held runs are pinned to; none where there are more than `runs_max` of them.
    pub fn pinned_plans(&self, runs_max: usize) -> Result<Option<BTreeSet<Digest>>, ReadError> {
        let mut plans = BTreeSet::new();
        let ranges = [keys::all_pending().prefix(), keys::all_held().prefix()];
        let entries = ranges.iter().flat_map(|range| self.backend.scan(TreeId::Hot, range, Order::Ascending));
        for (number, entry) in entries.enumerate() {
            if number == runs_max {
                return Ok(None);
            }
            let (key, _) = entry?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            let (tenant, _, _): (TenantName, _, _) = (key.name()?, key.text()?, key.number()?);
            plans.extend(self.run(&tenant, key.run()?)?.map(|run| run.plan));
        }
        Ok(Some(plans))
    }

    /// The erasures that were cut short, at most `limit`.
    pub fn erasures(&self, limit: usize) -> Result<Vec<(TenantName, EventId)>, ReadError> {
        let found = self.backend.scan(TreeId::Hot, &keys::erasures().prefix(), Order::Ascending).take(limit);
        let decode = |entry: Result<(Bytes, Bytes), BackendError>| {
            let (key, _) = entry?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            Ok((key.name()?, key.event()?))
        };
        found.map(decode).collect()
    }

    /// Whether such a sweep would change anything now.
    pub fn anything_to_sweep(&self, sweep: &Sweep) -> Result<bool, ReadError> {
        let (mark, stored) = Mark::get(&*self.backend, sweep)?;
        let plan = plan(&*self.backend, sweep, mark.from)?;
        let again = mark.left.is_some() && mark.looked_ms.saturating_add(sweep.again_ms) <= sweep.now_ms;
        Ok(!stored || again || !plan.keys.is_empty() || !plan.left.is_empty() || plan.long.is_some() || !plan.through)
    }

    /// Whether a dedup key of this day has expired among some behind `after`, and behind which it goes on.
    pub fn anything_expired(
        &self,
        day: Day,
        after: Option<&Bytes>,
        now_ms: u64,
    ) -> Result<(bool, Option<Bytes>), ReadError> {
        let (expired, next) = expired(&*self.backend, day, after, now_ms)?;
        Ok((!expired.is_empty(), next))
    }

    /// How many keys a day has.
    #[cfg(test)]
    pub(crate) fn keys_of(&self, day: Day) -> usize {
        self.backend.scan(TreeId::Day(day), &KeyRange::all(), Order::Ascending).count()
    }
}
