//! What a connection may do for how long, told by a clock that stands still.

use super::*;

const BOUNDS: Bounds = Bounds {
    header: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    write: Duration::from_secs(30),
    http2: false,
};

fn after(seconds: u64, since: Instant) -> Instant {
    since + Duration::from_secs(seconds)
}

fn looks(activity: &Activity, now: Instant) -> Option<Overdue> {
    match activity.state().look(now, BOUNDS, false) {
        Look::Overdue(why) => Some(why),
        Look::NotBefore(until) => {
            assert!(until > now, "a look that says when to look again makes progress");
            None
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_has_its_time_and_a_head_a_shorter_one() {
    let began = Instant::now();
    let activity = Activity::new(began);
    assert_eq!(looks(&activity, after(59, began)), None);
    assert_eq!(looks(&activity, after(60, began)), Some(Overdue::Idle));
    activity.received(after(55, began));
    activity.received(after(64, began));
    assert_eq!(looks(&activity, after(64, began)), None, "the head counts from its first byte");
    assert_eq!(looks(&activity, after(65, began)), Some(Overdue::Head));
    let crowded = |now| activity.state().look(now, BOUNDS, true);
    assert!(matches!(crowded(after(59, began)), Look::NotBefore(_)));
    assert_eq!(crowded(after(60, began)), Look::Overdue(Overdue::Head), "others wait");
    let ping = Bounds { http2: true, ..BOUNDS };
    assert_eq!(activity.state().look(after(65, began), ping, false), Look::Overdue(Overdue::Idle));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_overdue_and_work_is_not() {
    let began = Instant::now();
    let activity = Activity::new(began);
    let mut request = activity.begin();
    assert_eq!(looks(&activity, after(3600, began)), None, "the host works");
    request.answered(after(3600, began));
    assert_eq!(looks(&activity, after(3629, began)), None);
    assert_eq!(looks(&activity, after(3630, began)), Some(Overdue::Answer));
    request.piece_given(after(3629, began));
    request.piece_given(after(3650, began));
    assert_eq!(looks(&activity, after(3658, began)), None);
    assert_eq!(looks(&activity, after(3659, began)), Some(Overdue::Answer), "the first is not taken");
    request.piece_taken(after(3659, began));
    request.waits_for_us();
    assert_eq!(looks(&activity, after(3688, began)), None);
    assert_eq!(looks(&activity, after(3689, began)), Some(Overdue::Answer), "nor is the second");
    request.piece_taken(after(3689, began));
    assert_eq!(looks(&activity, after(9999, began)), None);
    tokio::time::advance(Duration::from_secs(9999)).await;
    drop(request);
    assert_eq!(looks(&activity, after(9999 + 59, began)), None, "idle since the answer");
    assert_eq!(looks(&activity, after(9999 + 60, began)), Some(Overdue::Idle));
}

#[tokio::test(start_paused = true)]
async fn while_others_wait_a_connection_has_one_turn() {
    let began = Instant::now();
    let activity = Activity::new(began);
    let look = |now| activity.state().look(now, BOUNDS, true);
    assert_eq!(look(after(1, began)), Look::Overdue(Overdue::Idle));
    let mut request = activity.begin();
    assert!(matches!(look(after(5, began)), Look::NotBefore(_)));
    request.answered(after(5, began));
    drop(request);
    assert_eq!(look(began), Look::Overdue(Overdue::Turn));
    assert_eq!(looks(&activity, began), None);
    activity.ends(after(100, began), BOUNDS);
    assert!(matches!(activity.state().look(after(104, began), BOUNDS, true), Look::NotBefore(_)));
    assert_eq!(activity.state().look(after(105, began), BOUNDS, true), Look::Overdue(Overdue::Idle));
}

#[tokio::test(start_paused = true)]
async fn what_begins_after_the_end_was_told_does_not_put_it_off() {
    let began = Instant::now();
    for (http2, waits) in [(true, false), (false, true)] {
        let (activity, bounds) = (Activity::new(began), Bounds { http2, ..BOUNDS });
        let look = |activity: &Activity| activity.state().look(Instant::now(), bounds, false);
        let mut first = activity.begin();
        activity.ends(Instant::now(), bounds);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(matches!(look(&activity), Look::NotBefore(_)), "what was under way is waited for");
        first.answered(Instant::now());
        drop(first);
        tokio::time::advance(Duration::from_secs(4)).await;
        drop(activity.begin());
        let _under_way = activity.begin();
        assert!(matches!(look(&activity), Look::NotBefore(_)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(matches!(look(&activity), Look::NotBefore(_)), waits, "http2: {http2}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_still_being_written_is_no_idleness() {
    let began = Instant::now();
    for (http2, ended) in [(false, None), (true, Some(Overdue::Idle))] {
        let (activity, bounds) = (Activity::new(began), Bounds { http2, ..BOUNDS });
        let look = |now| match activity.state().look(now, bounds, true) {
            Look::Overdue(why) => Some(why),
            Look::NotBefore(_) => None,
        };
        activity.blocked(true, began);
        assert_eq!(look(after(3600, began)), None, "the write has a bound of its own");
        activity.blocked(false, after(3600, began));
        assert_eq!(look(after(3600, began)), None);
        assert_eq!(look(after(3601, began)), Some(Overdue::Idle));
        activity.blocked(true, after(3601, began));
        activity.ends(after(3700, began), bounds);
        assert_eq!(look(after(3729, began)), None);
        assert_eq!(look(after(3730, began)), ended, "on HTTP/2 it may be for what does not count");
        activity.blocked(false, after(3730, began));
        assert_eq!(look(after(3730, began)), Some(Overdue::Idle), "all of it is on its way");
    }
}

#[tokio::test(start_paused = true)]
async fn giving_up_one_request_after_the_other_ends_the_connection() {
    let activity = Activity::new(Instant::now());
    for _ in 0..GIVEN_UP_MAX {
        drop(activity.begin());
    }
    assert_eq!(looks(&activity, Instant::now()), None);
    tokio::time::advance(GIVEN_UP_WINDOW * 2).await;
    drop(activity.begin());
    assert_eq!(looks(&activity, Instant::now()), None, "slowly, anybody may");
    for _ in 0..GIVEN_UP_MAX {
        drop(activity.begin());
    }
    let (_sender, mut crowded) = tokio::sync::watch::channel(false);
    assert_eq!(activity.overdue(BOUNDS, &mut crowded).await, Overdue::GivenUp);
}
