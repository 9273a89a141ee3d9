//! Puts together what the store has and what was counted since.

use crate::api::Api;
use crate::api::data::read;
use crate::model::{Digest, TenantName};
use crate::problem::Problem;
use crate::statistics::{Counted, Kind, Period, Subject, Tally, Windows};
use crate::store::KeptPeriod;
use std::collections::{BTreeMap, BTreeSet};

/// What was counted of some subjects, as of one moment.
pub(super) struct Gathered {
    pub(super) now_ms: u64,
    kept: Vec<KeptPeriod>,
    /// What is not in the store yet.
    counted: Vec<Counted>,
}

/// What was counted of all that bears this name: of each version of a module.
pub(super) async fn gather(api: &Api, tenant: &TenantName, kind: Kind, name: &str) -> Result<Gathered, Problem> {
    let recorder = &api.parts().recorder;
    let _steady = recorder.steady().await;
    let wanted = |of: &TenantName, subject: &Subject| of == tenant && subject.kind() == kind && subject.name() == name;
    let counted = recorder.counted(wanted);
    let named = name.to_owned();
    let kept = read(api, tenant.as_str(), move |reader, tenant| reader.statistics(tenant, kind, &named)).await?;
    Ok(Gathered { now_ms: api.parts().clock.now_ms(), kept, counted })
}

/// What was counted of all of a kind together.
pub(super) async fn gather_totals(api: &Api, tenant: &TenantName, kind: Kind) -> Result<Gathered, Problem> {
    let recorder = &api.parts().recorder;
    let _steady = recorder.steady().await;
    let counted = recorder.totals(tenant, kind);
    let kept = read(api, tenant.as_str(), move |reader, tenant| reader.statistics_totals(tenant, kind)).await?;
    Ok(Gathered { now_ms: api.parts().clock.now_ms(), kept, counted })
}

/// The names of which something was counted, by kind and name, behind `after`; at most `limit`.
pub(super) async fn names(
    api: &Api,
    tenant: &TenantName,
    after: Option<(Kind, String)>,
    limit: usize,
) -> Result<Vec<(Kind, String)>, Problem> {
    let recorder = &api.parts().recorder;
    let _steady = recorder.steady().await;
    let mut found = BTreeSet::new();
    for kind in Kind::ALL {
        let after = match &after {
            Some((last, _)) if kind < *last => continue,
            Some((last, name)) if kind == *last => name.clone(),
            _ => String::new(),
        };
        let left = limit.saturating_sub(found.len());
        let mut of_kind = recorder.names(tenant, kind, &after);
        let kept =
            read(api, tenant.as_str(), move |reader, tenant| reader.statistics_names(tenant, kind, &after, left));
        of_kind.extend(kept.await?);
        found.extend(of_kind.into_iter().take(left).map(|name| (kind, name)));
    }
    Ok(found.into_iter().collect())
}

impl Gathered {
    /// The last minute, hour and day.
    pub(super) fn windows(&self) -> Windows {
        let mut windows = Windows::at(self.now_ms);
        self.kept.iter().for_each(|(_, period, tally)| windows.add_kept(*period, tally));
        self.counted.iter().for_each(|one| windows.add_counted(one.minute, &one.tally));
        windows
    }

    /// Each version by itself.
    pub(super) fn versions(self) -> BTreeMap<Digest, Self> {
        let mut versions: BTreeMap<Digest, Self> = BTreeMap::new();
        let now_ms = self.now_ms;
        let empty = || Self { now_ms, kept: Vec::new(), counted: Vec::new() };
        for kept in self.kept {
            if let Subject::Module { version, .. } = kept.0 {
                versions.entry(version).or_insert_with(empty).kept.push(kept);
            }
        }
        for counted in self.counted {
            if let Subject::Module { version, .. } = counted.subject {
                versions.entry(version).or_insert_with(empty).counted.push(counted);
            }
        }
        versions
    }

    /// What was counted in each minute, or hour, that the windows have, the first one first.
    pub(super) fn periods(&self, in_hours: bool) -> BTreeMap<Period, Tally> {
        let mut periods: BTreeMap<Period, Tally> = BTreeMap::new();
        let counted = self.counted.iter().map(|one| {
            let period = if in_hours { Period::Hour(Period::hour_of(one.minute)) } else { Period::Minute(one.minute) };
            (period, &one.tally)
        });
        let kept = self.kept.iter().map(|(_, period, tally)| (*period, tally));
        for (period, tally) in kept.chain(counted) {
            let of_this_length = matches!(period, Period::Hour(_)) == in_hours;
            if of_this_length && !period.is_over(self.now_ms) && period.from_ms() <= self.now_ms {
                periods.entry(period).or_default().merge(tally);
            }
        }
        periods
    }
}
