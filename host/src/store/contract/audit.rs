//! The audit log, and when keys were used.

use super::{NOON, acme, commit_accept, event_id, on_each_backend, with_delivery};
use crate::model::{Actor, AuditChange, AuditEntry, AuditId};
use crate::store::{AuditFilter, Audited, Configure, Outcome, PAGE_BYTES_MAX, ResourceKey, Transition};
use bytes::Bytes;
use serde_json::value::to_raw_value;

fn entry(ms: u64, n: u128, target: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(ms, n),
        at_ms: ms,
        by: Actor::host(),
        action: "configure".to_owned(),
        target: target.to_owned(),
        changes: Vec::new(),
        along: Vec::new(),
        along_more: 0,
    }
}

fn tenant(puts: bool, revision: u64) -> Transition {
    let key = ResourceKey { tenant: Some(acme()), kind: "tenant", name: "acme".to_owned() };
    let mut configure = Configure { expected_revision: revision, now_ms: NOON, ..Configure::default() };
    if puts {
        configure.puts.push((key, Bytes::from("{}")))
    } else {
        configure.removes.push(key)
    }
    Transition::Configure(configure)
}

fn audited(entry: AuditEntry, change: Transition) -> Transition {
    Transition::Audited(Box::new(Audited { scope: Some(acme()), entry, change }))
}

#[test]
fn an_entry_stands_there_with_its_change_or_not_at_all() {
    on_each_backend(async |store| {
        let made = audited(entry(NOON, 1, "a"), tenant(true, 0));
        assert_eq!(store.commit(made.clone()).await, Ok(Outcome::Configured { revision: 1 }));
        assert!(matches!(store.commit(made).await, Ok(Outcome::Stale { .. })));
        // Of one moment, and in no order of their own: they stand in that of their commits.
        for (n, revision, target) in [(9, 1, "a"), (7, 2, "b"), (8, 3, "a")] {
            store.commit(audited(entry(NOON + 1, n, target), tenant(true, revision))).await.unwrap();
        }
        let reader = store.reader();
        let acme = acme();
        let ids = |filter: &AuditFilter, cursor: Option<&str>, limit| {
            let page = reader.audit(Some(&acme), filter, cursor, limit).unwrap();
            let ids: Vec<u128> =
                page.items.iter().map(|entry| u128::from_be_bytes(entry.id.to_bytes()) & 0xff).collect();
            (ids, page.next)
        };
        let all = AuditFilter::default();
        let (first, next) = ids(&all, None, 3);
        assert_eq!(first, [4, 3, 2], "the newest first");
        assert_eq!(ids(&all, next.as_deref(), 3), (vec![1], None));
        assert_eq!(ids(&AuditFilter { target: Some("b".to_owned()), ..all.clone() }, None, 9).0, [3]);
        assert_eq!(ids(&AuditFilter { until_ms: Some(NOON + 1), ..all.clone() }, None, 9).0, [1]);
        assert_eq!(reader.audit(None, &all, None, 9).unwrap().items, []);
        assert!(reader.audit(None, &all, next.as_deref(), 9).is_err(), "a cursor is one log's");
    });
}

#[test]
fn a_page_of_long_entries_ends_early_and_the_next_goes_on() {
    on_each_backend(async |store| {
        const LONG: usize = 60_000;
        let change = || AuditChange {
            resource: "acme/route/r".to_owned(),
            before: Some(to_raw_value(&"b".repeat(LONG)).unwrap()),
            after: Some(to_raw_value(&"a".repeat(LONG)).unwrap()),
            secrets_changed: Vec::new(),
        };
        for revision in 0..20 {
            let entry = AuditEntry { changes: vec![change()], ..entry(NOON, 1, "acme/route/r") };
            store.commit(audited(entry, tenant(true, revision))).await.unwrap();
        }
        let (mut next, mut lengths) = (None, Vec::new());
        loop {
            let page = store.reader().audit(Some(&acme()), &AuditFilter::default(), next.as_deref(), 500).unwrap();
            assert!(page.items.iter().all(|entry| entry.changes == [change()]), "as it was written");
            lengths.push(page.items.len());
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let first = PAGE_BYTES_MAX / (2 * LONG) + 1;
        assert_eq!(lengths, [first, first, 20 - 2 * first]);
    });
}

#[test]
fn an_event_that_is_erased_twice_is_told_of_once() {
    on_each_backend(async |store| {
        store.commit(tenant(true, 0)).await.unwrap();
        let event = event_id(NOON, 1);
        commit_accept(&store, with_delivery(event).0).await;
        let erase = || audited(entry(NOON, 1, "erased"), Transition::Erase { tenant: acme(), event, now_ms: NOON });
        for _ in 0..2 {
            assert_eq!(store.commit(erase()).await, Ok(Outcome::Done));
        }
        assert_eq!(store.reader().audit(Some(&acme()), &AuditFilter::default(), None, 9).unwrap().items.len(), 1);
    });
}

#[test]
fn old_entries_go_and_a_tenants_go_with_it() {
    on_each_backend(async |store| {
        store.commit(audited(entry(NOON, 1, "a"), tenant(true, 0))).await.unwrap();
        store.commit(audited(entry(NOON + 5, 2, "a"), tenant(true, 1))).await.unwrap();
        let reader = store.reader();
        let left = || reader.audit(Some(&acme()), &AuditFilter::default(), None, 9).unwrap().items.len();
        assert_eq!(reader.old_audits(NOON).unwrap(), []);
        assert_eq!(reader.old_audits(NOON + 1).unwrap(), [Some(acme())]);
        let sweep = Transition::SweepAudit { scope: Some(acme()), before_ms: NOON + 5 };
        assert_eq!((store.commit(sweep).await, left()), (Ok(Outcome::Done), 1));
        assert_eq!(reader.old_audits(NOON + 5).unwrap(), []);
        // Its end is told of in the operator's log.
        let end = Audited { scope: None, entry: entry(NOON + 6, 3, "acme"), change: tenant(false, 2) };
        store.commit(Transition::Audited(Box::new(end))).await.unwrap();
        assert_eq!(left(), 0);
        assert_eq!(reader.audit(None, &AuditFilter::default(), None, 9).unwrap().items.len(), 1);
    });
}

#[test]
fn the_use_of_a_key_goes_with_the_key() {
    on_each_backend(async |store| {
        let key = |tenant| ResourceKey { tenant, kind: "key", name: "k".to_owned() };
        let uses = vec![(Some(acme()), "k".parse().unwrap(), 7), (None, "k".parse().unwrap(), 8)];
        let used = || Transition::KeysUsed(uses.clone());
        store.commit(used()).await.unwrap();
        assert_eq!(store.reader().key_uses().unwrap(), [], "of keys that are not there");
        let puts = [Some(acme()), None].map(|tenant| (key(tenant), Bytes::from("{}"))).to_vec();
        store.commit(Transition::Configure(Configure { puts, ..Configure::default() })).await.unwrap();
        store.commit(used()).await.unwrap();
        assert_eq!(store.reader().key_uses().unwrap(), [uses[1].clone(), uses[0].clone()]);
        let removes = vec![key(Some(acme()))];
        let configure = Configure { expected_revision: 1, removes, ..Configure::default() };
        store.commit(Transition::Configure(configure)).await.unwrap();
        assert_eq!(store.reader().key_uses().unwrap(), uses[1..]);
        // What was noted before it went, and is written down after that.
        store.commit(used()).await.unwrap();
        assert_eq!(store.reader().key_uses().unwrap(), uses[1..]);
    });
}
