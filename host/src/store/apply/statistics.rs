//! What was counted: added to what is there of the same minute and the same hour, and taken away with what it is about.

use super::{Applied, Refusal};
use crate::model::{PUBLISHED_SOURCE, TenantName};
use crate::statistics::{Counted, Kind, Period, Subject};
use crate::store::backend::{Look as _, Order};
use crate::store::key::{Key, KeyRange, KeyReader};
use crate::store::statistics::{Kept, named_kind_byte, number_of, read_key};
use crate::store::tree::TreeId;
use crate::store::{Outcome, ReadError, ResourceKey, View, keys, record};

/// Keeps what was counted, but for what is gone meanwhile.
pub(super) fn keep(view: &mut View<'_>, counted: Vec<Counted>) -> Result<Applied, Refusal> {
    for Counted { tenant, subject, minute, tally } in counted {
        if view.get(TreeId::Hot, &keys::resource(&resource_of(&tenant, &subject)))?.is_none() {
            continue;
        }
        for period in [Period::Minute(minute), Period::Hour(Period::hour_of(minute))] {
            let (key, number) = (keys::statistics_in(&tenant, &subject, period), number_of(period));
            let present: Option<Kept> = record::get(view, TreeId::Hot, &key)?;
            let kept = match present.filter(|present| present.number == number) {
                Some(mut present) => {
                    present.tally.merge(&tally);
                    present
                }
                None => Kept { number, tally: tally.clone() },
            };
            record::put(view, TreeId::Hot, key, &kept)?;
        }
    }
    Ok(Applied::quietly(Outcome::Done))
}

/// Removes of these subjects what no window has any more.
pub(super) fn sweep(view: &mut View<'_>, subjects: &[(TenantName, Subject)], now_ms: u64) -> Result<Applied, Refusal> {
    for (tenant, subject) in subjects {
        let mut over = Vec::new();
        for entry in view.scan(TreeId::Hot, &keys::statistics_on(tenant, subject).prefix(), Order::Ascending) {
            let (bytes, value) = entry?;
            let key = Key::from(&bytes[..]);
            let (_, _, in_hours) = read_key(&mut KeyReader::new(TreeId::Hot, &bytes))?;
            let kept: Kept = record::decode(view, TreeId::Hot, &key, value)?;
            if kept.period(in_hours).is_over(now_ms) {
                over.push(key);
            }
        }
        remove_all(view, over)?;
    }
    Ok(Applied::quietly(Outcome::Done))
}

/// A resource was removed: what was counted of it goes with it, with a tenant all that is its own.
pub(super) fn forget(view: &mut View<'_>, resource: &ResourceKey) -> Result<(), ReadError> {
    let Some(tenant) = &resource.tenant else { return Ok(()) };
    let kind = match resource.kind {
        "source" => Kind::Source,
        "module" => Kind::Module,
        "endpoint" => Kind::Endpoint,
        "tenant" => return remove_in(view, &keys::statistics_of(tenant).prefix()),
        _ => return Ok(()),
    };
    remove_in(view, &keys::statistics_named(tenant, named_kind_byte(kind), &resource.name).prefix())
}

fn remove_in(view: &mut View<'_>, range: &KeyRange) -> Result<(), ReadError> {
    let found = view.scan(TreeId::Hot, range, Order::Ascending).map(|entry| Ok(Key::from(&entry?.0[..])));
    let found = found.collect::<Result<Vec<_>, ReadError>>()?;
    remove_all(view, found)
}

fn remove_all(view: &mut View<'_>, keys: Vec<Key>) -> Result<(), ReadError> {
    keys.into_iter().try_for_each(|key| record::remove(view, TreeId::Hot, key))
}

/// What has to be there for something to be kept of a subject.
fn resource_of(tenant: &TenantName, subject: &Subject) -> ResourceKey {
    let of_tenant = |kind, name: &str| ResourceKey { tenant: Some(tenant.clone()), kind, name: name.to_owned() };
    match subject {
        // It is there as long as its tenant is, made or not.
        Subject::Source(name) if name.as_str() == PUBLISHED_SOURCE => of_tenant("tenant", tenant.as_str()),
        Subject::Source(name) => of_tenant("source", name.as_str()),
        Subject::Endpoint(name) => of_tenant("endpoint", name.as_str()),
        Subject::Module { name, .. } => match name.strip_prefix("operator/") {
            Some(name) => ResourceKey { tenant: None, kind: "module", name: name.to_owned() },
            None => of_tenant("module", name),
        },
        Subject::All(_) => of_tenant("tenant", tenant.as_str()),
    }
}
