//! What was counted, and how long queues are.

use super::*;
use crate::model::Turn;
use crate::statistics::{Counted, HOURS_KEPT, Kind, MINUTES_KEPT, Period, Subject, Tally};
use crate::store::reader::OverSubjects;
use crate::store::{Configure, ResourceKey};

/// The minute of [`NOON`].
const NOON_MINUTE: u64 = NOON / 60_000;

fn resource(kind: &'static str, name: &str) -> ResourceKey {
    let tenant = (!name.starts_with("operator/")).then(acme);
    ResourceKey { tenant, kind, name: name.trim_start_matches("operator/").to_owned() }
}

async fn configure(store: &Store, puts: &[(&'static str, &str)], removes: &[(&'static str, &str)]) {
    let expected_revision = store.reader().config().unwrap().revision;
    let puts = puts.iter().map(|(kind, name)| (resource(kind, name), Bytes::from("{}"))).collect();
    let removes = removes.iter().map(|(kind, name)| resource(kind, name)).collect();
    let configure = Configure { expected_revision, puts, removes, ..Configure::default() };
    assert!(matches!(commit(store, Transition::Configure(configure)).await, Outcome::Configured { .. }));
}

async fn configured(store: &Store) {
    let all = [("tenant", "acme"), ("source", "s"), ("endpoint", "e"), ("module", "m"), ("module", "operator/m")];
    configure(store, &all, &[]).await;
}

fn source() -> Subject {
    Subject::Source("s".parse().unwrap())
}

fn version(name: &str, number: u8) -> Subject {
    Subject::Module { name: name.into(), version: Digest::of(&[number]) }
}

fn counted(subject: Subject, minute: u64, times: u64) -> Counted {
    let mut tally = Tally::default();
    (0..times).for_each(|_| tally.succeeded("delivered", 1_000));
    Counted { tenant: acme(), subject, minute, tally }
}

async fn keep(store: &Store, counted: Vec<Counted>) {
    assert_eq!(commit(store, Transition::KeepStatistics(counted)).await, Outcome::Done);
}

/// What is kept under a name: periods and counts.
fn kept(store: &Store, kind: Kind, name: &str) -> Vec<(Period, u64)> {
    let kept = store.reader().statistics(&acme(), kind, name).unwrap();
    let mut kept: Vec<_> = kept.into_iter().map(|(_, period, tally)| (period, tally.succeeded.total())).collect();
    kept.sort();
    kept
}

#[test]
fn a_minute_is_kept_by_itself_and_in_its_hour_and_what_comes_later_is_added() {
    on_each_backend(async |store| {
        configured(&store).await;
        let endpoint = || Subject::Endpoint(endpoint());
        keep(&store, vec![counted(endpoint(), NOON_MINUTE, 2), counted(source(), NOON_MINUTE, 5)]).await;
        keep(&store, vec![counted(endpoint(), NOON_MINUTE + 1, 1), counted(endpoint(), NOON_MINUTE, 1)]).await;
        let hour = Period::hour_of(NOON_MINUTE);
        let expected =
            [(Period::Minute(NOON_MINUTE), 3), (Period::Minute(NOON_MINUTE + 1), 1), (Period::Hour(hour), 4)];
        assert_eq!(kept(&store, Kind::Endpoint, "e"), expected);
        assert_eq!(kept(&store, Kind::Source, "s"), [(Period::Minute(NOON_MINUTE), 5), (Period::Hour(hour), 5)]);
        assert_eq!(kept(&store, Kind::Source, "e"), []);
    });
}

#[test]
fn of_any_time_there_are_so_many_records_and_the_latest_periods_have_them() {
    on_each_backend(async |store| {
        configured(&store).await;
        for minute in (NOON_MINUTE..NOON_MINUTE + 4_000).step_by(7) {
            keep(&store, vec![counted(source(), minute, 1)]).await;
        }
        let last = NOON_MINUTE + 3_997;
        keep(&store, (last - 60..=last).map(|minute| counted(source(), minute, 1)).collect()).await;
        let all = kept(&store, Kind::Source, "s");
        assert_eq!(all.len() as u64, MINUTES_KEPT + HOURS_KEPT);
        let minutes: Vec<_> = all.iter().map(|(period, _)| *period).take(61).collect();
        assert_eq!(minutes, (last - 60..=last).map(Period::Minute).collect::<Vec<_>>());
        // A clock that goes back takes places of what it had reached, and nothing else.
        keep(&store, vec![counted(source(), NOON_MINUTE, 9)]).await;
        assert_eq!(kept(&store, Kind::Source, "s").len(), all.len());
        assert!(kept(&store, Kind::Source, "s").contains(&(Period::Minute(NOON_MINUTE), 9)));
    });
}

#[test]
fn versions_are_counted_apart_and_found_by_the_name_of_their_module() {
    on_each_backend(async |store| {
        configured(&store).await;
        let all = [version("m", 1), version("m", 2), version("operator/m", 1), Subject::All(Kind::Module)];
        keep(&store, all.into_iter().map(|subject| counted(subject, NOON_MINUTE, 1)).collect()).await;
        assert_eq!(kept(&store, Kind::Module, "m").len(), 4);
        assert_eq!(kept(&store, Kind::Module, "operator/m").len(), 2);
        let reader = store.reader();
        assert_eq!(reader.statistics_totals(&acme(), Kind::Module).unwrap().len(), 2);
        assert_eq!(reader.statistics_totals(&acme(), Kind::Source).unwrap(), []);
        let names = |after, limit| reader.statistics_names(&acme(), Kind::Module, after, limit).unwrap();
        assert_eq!(names("", 9), ["m", "operator/m"]);
        assert_eq!((names("", 1), names("m", 9)), (vec!["m".to_owned()], vec!["operator/m".to_owned()]));
        assert_eq!(names("operator/m", 9), [""; 0]);
    });
}

#[test]
fn what_was_counted_goes_with_what_it_is_about_and_does_not_come_back() {
    on_each_backend(async |store| {
        configured(&store).await;
        let all = || {
            let named = [source(), Subject::Endpoint(endpoint()), version("m", 1), version("operator/m", 1)];
            let subjects = named.into_iter().chain(Kind::ALL.map(Subject::All));
            subjects.map(|subject| counted(subject, NOON_MINUTE, 1)).collect::<Vec<_>>()
        };
        keep(&store, all()).await;
        configure(&store, &[], &[("endpoint", "e"), ("source", "s")]).await;
        keep(&store, all()).await;
        assert_eq!((kept(&store, Kind::Endpoint, "e"), kept(&store, Kind::Source, "s")), (vec![], vec![]));
        assert_eq!(kept(&store, Kind::Module, "m").len(), 2);
        assert_eq!(store.reader().statistics_totals(&acme(), Kind::Endpoint).unwrap().len(), 2);
        configure(&store, &[], &[("module", "m"), ("tenant", "acme")]).await;
        keep(&store, all()).await;
        assert_eq!(kept(&store, Kind::Module, "m"), []);
        assert_eq!(store.reader().statistics_totals(&acme(), Kind::Endpoint).unwrap(), []);
        // The operator's module is still there: what was counted of it goes when it is over.
        let sweep = store.reader().statistics_over(None, NOON + 2 * DAY, 9).unwrap().subjects;
        assert_eq!(sweep, [(acme(), version("operator/m", 1))]);
    });
}

#[test]
fn what_no_window_has_is_swept_and_what_one_has_stays() {
    on_each_backend(async |store| {
        configured(&store).await;
        keep(&store, vec![counted(source(), NOON_MINUTE, 1), counted(version("m", 1), NOON_MINUTE, 1)]).await;
        let over = |after, now_ms, limit| store.reader().statistics_over(after, now_ms, limit).unwrap();
        assert_eq!(over(None, NOON, 9), OverSubjects::default());
        let tomorrow = NOON + 25 * 60 * 60 * 1000;
        let module = (acme(), version("m", 1));
        assert_eq!(
            over(None, tomorrow, 1),
            OverSubjects { subjects: vec![module.clone()], last: Some(module.clone()) }
        );
        assert_eq!(over(Some(&module), tomorrow, 9).subjects, [(acme(), source())]);
        // One was used again since it was looked at.
        keep(&store, vec![counted(source(), tomorrow / 60_000, 1)]).await;
        let subjects = vec![module, (acme(), source())];
        commit(&store, Transition::SweepStatistics { subjects, now_ms: tomorrow }).await;
        assert_eq!(kept(&store, Kind::Module, "m"), []);
        let minute = tomorrow / 60_000;
        assert_eq!(kept(&store, Kind::Source, "s"), [(Period::Minute(minute), 1), (Period::Hour(minute / 60), 1)]);
    });
}

#[test]
fn a_queue_is_counted_as_far_as_its_bound_with_those_that_wait_for_their_turn() {
    on_each_backend(async |store| {
        let queue = || store.reader().queue(&acme(), &endpoint()).unwrap();
        assert_eq!((queue().pending, queue().oldest_received_at_ms), (0, None));
        for n in 0..4_u32 {
            let (mut given, _) = with_delivery(event_id(NOON + u64::from(n), n.into()));
            let delivery = &mut given.runs[0].deliveries[0].delivery;
            // Three of one line, and one that is put off.
            delivery.due_ms += if n == 0 { DAY } else { 0 };
            delivery.ordering_key = (n > 0).then(|| "k".to_owned());
            delivery.turn = (n > 0).then_some(Turn { seq: 0, ordinal: 0 });
            commit_accept(&store, given).await;
        }
        assert_eq!(due_until(&store.reader(), NOON + 9).0.len(), 1, "one has its turn");
        assert_eq!((queue().pending, queue().more, queue().oldest_received_at_ms), (4, false, Some(NOON)));
    });
}

#[test]
fn a_long_queue_is_counted_as_at_least_its_bound() {
    on_each_backend(async |store| {
        for n in 0..=super::super::QUEUE_COUNTED_MAX as u128 {
            let (given, _) = with_delivery(event_id(NOON, n));
            drop(store.submit(Transition::Accept(Box::new(given))).await.unwrap());
        }
        commit_accept(&store, accept(event_id(NOON, u128::MAX >> 64), "")).await;
        let queue = store.reader().queue(&acme(), &endpoint()).unwrap();
        assert_eq!((queue.pending, queue.more), (super::super::QUEUE_COUNTED_MAX, true));
    });
}
