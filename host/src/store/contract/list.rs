//! Lists: newest first, page by page, over days.

use super::*;
use crate::model::RunsAsked;
use crate::store::{DeliveryFilter, EventFilter, Page, ReadError};

/// All items of a list that is read in pages of `limit`.
fn all<T>(limit: usize, mut page: impl FnMut(Option<&str>, usize) -> Page<T>) -> Vec<T> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let next = page(cursor.as_deref(), limit);
        assert!(next.items.len() <= limit);
        items.extend(next.items);
        cursor = next.next;
        if cursor.is_none() {
            return items;
        }
    }
}

#[test]
fn events_come_newest_first_over_days_and_pages() {
    on_each_backend(async |store| {
        let times = [NOON, NOON + 1, NOON - DAY, NOON + 3 * DAY, NOON - 1, NOON + DAY];
        for (n, ms) in times.into_iter().enumerate() {
            let mut given = accept(event_id(ms, n as u128), "");
            given.event.source = if n % 2 == 0 { "even" } else { "odd" }.parse().unwrap();
            given.event.event_type = format!("type{n}");
            commit_accept(&store, given).await;
        }
        let mut elsewhere = accept(event_id(NOON, 77), "");
        elsewhere.event.tenant = "acme2".parse().unwrap();
        commit_accept(&store, elsewhere).await;
        let reader = store.reader();
        let times = |filter: EventFilter| -> Vec<i64> {
            let lists = [1, 2, 3, 100]
                .map(|limit| all(limit, |cursor, limit| reader.list_events(&acme(), &filter, cursor, limit).unwrap()));
            assert!(lists.iter().all(|list| *list == lists[0]));
            lists[0].iter().map(|event| event.received_at_ms as i64 - NOON as i64).collect()
        };
        let day = DAY as i64;
        assert_eq!(times(EventFilter::default()), [3 * day, day, 1, 0, -1, -day]);
        let even = EventFilter { source: Some("even".parse().unwrap()), ..EventFilter::default() };
        assert_eq!(times(even), [0, -1, -day]);
        let one = EventFilter { event_type: Some("type5".to_owned()), ..EventFilter::default() };
        assert_eq!(times(one), [day]);
        let (since_ms, until_ms) = (Some(NOON), Some(NOON + DAY));
        assert_eq!(times(EventFilter { since_ms, until_ms, ..EventFilter::default() }), [1, 0]);
        assert_eq!(times(EventFilter { since_ms: until_ms, ..EventFilter::default() }), [3 * day, day]);
        assert_eq!(times(EventFilter { until_ms: Some(NOON), ..EventFilter::default() }), [-1, -day]);
        assert_eq!(times(EventFilter { since_ms: Some(u64::MAX), ..EventFilter::default() }), Vec::<i64>::new());
        assert_eq!(times(EventFilter { until_ms: Some(u64::MAX), ..EventFilter::default() }).len(), 6);
    });
}

#[test]
fn deliveries_are_found_by_endpoint_status_and_type() {
    on_each_backend(async |store| {
        let names = ["a", "ab"].map(|name| -> EndpointName { name.parse().unwrap() });
        for n in 0..12_u64 {
            let id = event_id(NOON + (n % 3) * DAY + n, 0);
            let mut given = accept(id, "");
            given.runs.push(routed(id, &names));
            given.runs[0].deliveries[0].delivery.event_type = format!("type{}", n % 2);
            let ids = given.runs[0].run.deliveries.clone();
            commit_accept(&store, given).await;
            match n % 4 {
                0 => commit(&store, settle(ids[0], 1, Next::Delivered)).await,
                1 => commit(&store, settle(ids[0], 1, Next::Dead)).await,
                _ => Outcome::Done,
            };
        }
        let reader = store.reader();
        let list = |filter: &DeliveryFilter| -> Vec<Delivery> {
            let lists = [1, 5, 100].map(|limit| {
                all(limit, |cursor, limit| reader.list_deliveries(&acme(), filter, cursor, limit).unwrap())
            });
            assert!(lists.iter().all(|list| *list == lists[0]));
            lists[0].clone()
        };
        let everything = list(&DeliveryFilter::default());
        assert_eq!(everything.len(), 24);
        assert!(everything.is_sorted_by(|a, b| a.id > b.id));
        let a = Some(names[0].clone());
        for status in [DeliveryStatus::Pending, DeliveryStatus::Delivered, DeliveryStatus::Dead, DeliveryStatus::Held] {
            for endpoint in [None, a.clone(), Some(names[1].clone())] {
                let filter = DeliveryFilter { endpoint, status: Some(status), ..DeliveryFilter::default() };
                let mut expected: Vec<_> = everything
                    .iter()
                    .filter(|delivery| delivery.status == status)
                    .filter(|delivery| filter.endpoint.as_ref().is_none_or(|endpoint| *endpoint == delivery.endpoint))
                    .cloned()
                    .collect();
                if filter.endpoint.is_some() && status == DeliveryStatus::Pending {
                    expected.sort_by_key(|delivery| (delivery.due_ms, delivery.id));
                }
                assert_eq!(list(&filter), expected, "{filter:?}");
                let since_ms = Some(NOON + DAY);
                expected.retain(|delivery| delivery.id.event().received_at_ms() >= NOON + DAY);
                assert_eq!(list(&DeliveryFilter { since_ms, ..filter }), expected);
            }
        }
        let filter = DeliveryFilter { endpoint: a, event_type: Some("type1".to_owned()), ..DeliveryFilter::default() };
        assert_eq!(list(&filter).len(), 6);
    });
}

#[test]
fn held_runs_come_by_route_and_order() {
    on_each_backend(async |store| {
        for n in 0..7 {
            let id = event_id(NOON - n, 0);
            let mut given = accept(id, "");
            let route = if n % 2 == 0 { "even" } else { "odd" }.parse().unwrap();
            given.runs.push(RoutedRun { run: run(id, &route, RunStatus::Held), deliveries: Vec::new() });
            commit_accept(&store, given).await;
        }
        let reader = store.reader();
        let seqs = |route: Option<&RouteName>| -> Vec<u64> {
            let held = all(2, |cursor, limit| reader.list_held(&acme(), route, cursor, limit).unwrap());
            held.into_iter().map(|held| held.seq).collect()
        };
        assert_eq!(seqs(None), [1, 3, 5, 7, 2, 4, 6]);
        assert_eq!(seqs(Some(&"odd".parse().unwrap())), [2, 4, 6]);
    });
}

#[test]
fn events_are_found_by_what_became_of_their_runs_and_deliveries_by_source_and_route() {
    on_each_backend(async |store| {
        let statuses = [RunStatus::Routed, RunStatus::Filtered, RunStatus::Held, RunStatus::Dropped];
        for (n, status) in (0..).zip(statuses) {
            let id = event_id(NOON, n);
            let mut given = accept(id, "");
            given.event.source = format!("s{n}").parse().unwrap();
            let mut ends = run(id, &format!("r{}", n % 2).parse().unwrap(), status);
            let mut made = delivery(&ends, &endpoint());
            if status == RunStatus::Routed || status == RunStatus::Filtered {
                made.route = ends.route.clone();
                ends.deliveries = vec![made.id];
                given.runs.push(RoutedRun { run: ends, deliveries: vec![NewDelivery { delivery: made, body: None }] });
            } else {
                given.runs.push(RoutedRun { run: ends, deliveries: Vec::new() });
            }
            commit_accept(&store, given).await;
        }
        let reader = store.reader();
        let sources = |route: Option<&str>, run_status| -> Vec<String> {
            let route = route.map(|route| route.parse().unwrap());
            let filter = EventFilter { route, run_status, ..EventFilter::default() };
            let events = all(2, |cursor, limit| reader.list_events(&acme(), &filter, cursor, limit).unwrap());
            events.iter().map(|event| event.source.to_string()).collect()
        };
        let asked = [RunsAsked::Routed, RunsAsked::Filtered, RunsAsked::Held, RunsAsked::Dropped];
        for (n, status) in asked.into_iter().enumerate() {
            assert_eq!(sources(None, Some(status)), [format!("s{n}")]);
        }
        assert_eq!(sources(Some("r1"), None), ["s3", "s1"]);
        assert_eq!(sources(Some("r1"), Some(RunsAsked::Routed)), [""; 0]);
        assert_eq!(sources(None, Some(RunsAsked::None)), [""; 0]);
        assert_eq!(sources(Some("r0"), Some(RunsAsked::None)), ["s3", "s1"]);
        let mut unrouted = accept(event_id(NOON, 99), "");
        unrouted.event.source = "nobody".parse().unwrap();
        commit_accept(&store, unrouted).await;
        assert_eq!(sources(None, Some(RunsAsked::None)), ["nobody"]);
        let list = |source: Option<&str>, route: Option<&str>| -> usize {
            let (source, route) = (source.map(|it| it.parse().unwrap()), route.map(|it| it.parse().unwrap()));
            let filter = DeliveryFilter { source, route, ..DeliveryFilter::default() };
            reader.list_deliveries(&acme(), &filter, None, 10).unwrap().items.len()
        };
        assert_eq!((list(None, None), list(Some("s1"), None), list(Some("s2"), None)), (2, 1, 0));
        assert_eq!((list(None, Some("r0")), list(Some("s1"), Some("r0"))), (1, 0));
    });
}

#[test]
fn the_dead_of_a_tenant_are_found_without_reading_the_others() {
    let store = Store::in_memory(&Config::default(), &Health::default()).unwrap();
    wait(async {
        let mut oldest = None;
        // More delivered ones than one page looks at.
        for n in 0..=5000_u32 {
            let (given, id) = with_delivery(event_id(NOON, u128::from(n)));
            commit_accept(&store, given).await;
            let next = if n == 0 { Next::Dead } else { Next::Delivered };
            commit(&store, settle(id, 1, next)).await;
            oldest = oldest.or(Some(id));
        }
        let dead = DeliveryFilter { status: Some(DeliveryStatus::Dead), ..DeliveryFilter::default() };
        let page = store.reader().list_deliveries(&acme(), &dead, None, 10).unwrap();
        let ids: Vec<_> = page.items.iter().map(|delivery| delivery.id).collect();
        assert_eq!((ids, page.next, page.looked_at), (vec![oldest.unwrap()], None, 1));
        let retry = Transition::Retry { tenant: acme(), delivery: oldest.unwrap(), due_ms: NOON };
        commit(&store, retry).await;
        assert_eq!(store.reader().list_deliveries(&acme(), &dead, None, 10).unwrap().looked_at, 0);
    });
}

#[test]
fn a_search_for_what_is_rare_comes_back_with_a_cursor() {
    let store = Store::in_memory(&Config::default(), &Health::default()).unwrap();
    wait(async {
        for n in 0..=5000_u32 {
            let mut given = accept(event_id(NOON, u128::from(n)), "");
            given.event.event_type = if n == 0 { "rare" } else { "common" }.to_owned();
            commit_accept(&store, given).await;
        }
        let rare = EventFilter { event_type: Some("rare".to_owned()), ..EventFilter::default() };
        let first = store.reader().list_events(&acme(), &rare, None, 10).unwrap();
        assert_eq!((first.items, first.looked_at), (vec![], 5000));
        let second = store.reader().list_events(&acme(), &rare, first.next.as_deref(), 10).unwrap();
        assert_eq!((second.items.len(), second.next), (1, None));
        let many = store.reader().list_events(&acme(), &EventFilter::default(), None, usize::MAX).unwrap();
        assert_eq!(many.items.len(), crate::store::PAGE_ITEMS_MAX);
    });
}

#[test]
fn a_cursor_of_another_list_or_tenant_is_refused() {
    on_each_backend(async |store| {
        for n in 0..3 {
            commit_accept(&store, with_delivery(event_id(NOON, n)).0).await;
        }
        let reader = store.reader();
        let (events, deliveries) = (EventFilter::default(), DeliveryFilter::default());
        let cursor = reader.list_events(&acme(), &events, None, 1).unwrap().next.unwrap();
        assert_eq!(reader.list_events(&acme(), &events, Some(&cursor), 10).unwrap().items.len(), 2);
        let other = "other".parse().unwrap();
        assert_eq!(reader.list_events(&other, &events, Some(&cursor), 1), Err(ReadError::Cursor));
        assert_eq!(reader.list_deliveries(&acme(), &deliveries, Some(&cursor), 1), Err(ReadError::Cursor));
        assert_eq!(reader.list_held(&acme(), None, Some(&cursor), 1), Err(ReadError::Cursor));
        assert_eq!(reader.list_events(&acme(), &events, Some("garbage"), 1), Err(ReadError::Cursor));
    });
}
