//! Tests of [`super`], on failed logins and on payments.

use hookswitch_guest::testing::{Host, set_time_ms, state_keys};

use super::*;

const START_MS: u64 = 1_717_147_800_000;

fn decide(settings: &str, after_s: u64, body: &str) -> Result<Decision, Failure> {
    let received_at_ms = START_MS + after_s * 1_000;
    set_time_ms(received_at_ms);
    let settings = serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    threshold(&settings, &Event { received_at_ms, ..Event::default() }, &Message::from_json(body))
}

/// After how many seconds a message went through.
fn accepted(settings: &str, seconds: &[u64], body: &str) -> Vec<u64> {
    let is_accepted = |after_s: &u64| decide(settings, *after_s, body) == Ok(accept());
    seconds.iter().copied().filter(is_accepted).collect()
}

#[test]
fn the_fifth_failed_login_in_five_minutes_goes_through_once() {
    Host::default().state().install();
    let settings = r#"{"reaches": 5, "window_s": 300, "by": "/user"}"#;
    let seconds = [0, 60, 120, 180, 240, 241, 242, 539, 540, 541];
    assert_eq!(accepted(settings, &seconds, r#"{"user":"ann"}"#), [240]);
    assert_eq!(
        decide(settings, 542, r#"{"user":"bob"}"#),
        Ok(reject("1 of 5 in 300 s")),
        "another user is counted for himself"
    );
}

#[test]
fn after_a_windows_time_it_goes_through_again() {
    Host::default().state().install();
    let settings = r#"{"reaches": 2, "window_s": 60}"#;
    assert_eq!(accepted(settings, &[0, 10, 20, 30, 40, 50, 60, 69, 70, 80], "{}"), [10, 70]);
    assert_eq!(decide(settings, 90, "{}"), Ok(reject("7 of 2 in 60 s, and one went through; the next in 40 s")));
}

#[test]
fn each_goes_through_while_enough_came() {
    Host::default().state().install();
    let settings = r#"{"reaches": 3, "window_s": 60, "pass": "each"}"#;
    assert_eq!(accepted(settings, &[0, 1, 2, 3, 62, 63, 64], "{}"), [2, 3, 64]);
}

#[test]
fn messages_far_apart_never_reach_it() {
    Host::default().state().install();
    let seconds: Vec<u64> = (0..50).map(|n| n * 31).collect();
    assert_eq!(accepted(r#"{"reaches": 3, "window_s": 60}"#, &seconds, "{}"), [0; 0]);
}

#[test]
fn sums_are_exact_and_may_fall() {
    Host::default().state().install();
    let settings = r#"{"reaches": 1000.00, "window_s": 86400, "by": "/account", "sum": "/amount", "pass": "each"}"#;
    let pay = |after_s, amount: &str| decide(settings, after_s, &format!(r#"{{"account":1,"amount":{amount}}}"#));
    assert_eq!(pay(0, "999.90"), Ok(reject("999.9 of 1000 in 86400 s")));
    assert_eq!(pay(1, "0.09"), Ok(reject("999.99 of 1000 in 86400 s")));
    assert_eq!(pay(2, "\"0.01\""), Ok(accept()));
    assert_eq!(pay(3, "-0.01"), Ok(reject("999.99 of 1000 in 86400 s")), "a refund");
    assert_eq!(pay(4, "9007199254740993"), Ok(accept()));
    assert_eq!(pay(5, "-9007199254740993"), Ok(reject("999.99 of 1000 in 86400 s")));
}

#[test]
fn what_is_no_number_and_what_is_missing_fail() {
    Host::default().state().install();
    let settings = |more: &str| format!(r#"{{"reaches": 1, "window_s": 60, "sum": "/amount"{more}}}"#);
    for body in [r#"{"amount":"a lot"}"#, r#"{"amount":true}"#, r#"{"amount":1e99}"#, r#"{"amount":0.0000001}"#] {
        let failure = decide(&settings(""), 0, body).unwrap_err();
        assert!(failure.code == "input-invalid" && failure.message.starts_with("/amount is \""), "{body}: {failure:?}");
    }
    assert!(decide(&settings(""), 0, "{}").unwrap_err().message.starts_with("there is no /amount;"));
    assert_eq!(decide(&settings(r#", "on_missing": "reject""#), 0, "{}"), Ok(reject("there is no /amount")));
    assert_eq!(decide(&settings(r#", "on_missing": "accept", "by": "/user""#), 0, r#"{"amount":1}"#), Ok(accept()));
    assert_eq!(state_keys(), [""; 0], "what fails is not counted");
}

#[test]
fn state_is_one_key_each_and_goes_when_the_window_is_over() {
    Host::default().state().install();
    let settings = r#"{"reaches": 5, "window_s": 60, "by": ["/user", "event:type"]}"#;
    for second in 0..20 {
        decide(settings, second, &format!(r#"{{"user":{}}}"#, second % 2)).unwrap();
    }
    assert_eq!(state_keys().len(), 2);
    set_time_ms(START_MS + 82_000);
    assert_eq!(state_keys(), [""; 0]);
}

#[test]
fn what_somebody_else_left_is_not_counted_with() {
    Host::default().state().install();
    let settings = r#"{"reaches": 2, "window_s": 60}"#;
    assert_eq!(decide(settings, 0, "{}"), Ok(reject("1 of 2 in 60 s")));
    let keys = state_keys();
    assert_eq!(keys.len(), 1);
    state::set(&keys[0], b"something", 0).unwrap();
    assert_eq!(decide(settings, 0, "{}"), Ok(reject("1 of 2 in 60 s")));
}

/// A route keeps its state when its settings change: what was counted in other units must not be counted with.
#[test]
fn another_window_or_sum_counts_for_itself() {
    let body = r#"{"user":"ann","a":1,"b":1}"#;
    for by in ["", r#", "by": "/user""#] {
        Host::default().state().install();
        let count = |window_s: u32, after_s, more: &str| {
            decide(&format!(r#"{{"reaches": 9, "window_s": {window_s}{more}{by}}}"#), after_s, body)
        };
        let settings =
            [(60, ""), (3_600, ""), (60, r#", "sum": "/a""#), (60, r#", "sum": "/b""#), (3_600, r#", "sum": "/b""#)];
        for seen in 1..=2 {
            for (window_s, more) in settings {
                let told = Ok(reject(format!("{seen} of 9 in {window_s} s")));
                assert_eq!(count(window_s, seen, more), told, "{window_s} s{more}{by}");
            }
        }
        // The window of a minute is over; with slots of the hour's length it would still be there.
        assert_eq!(count(60, 120, ""), Ok(reject("1 of 9 in 60 s")));
        assert_eq!(count(3_600, 120, ""), Ok(reject("3 of 9 in 3600 s")));
        // What has to be reached may change meanwhile.
        assert_eq!(decide(&format!(r#"{{"reaches": 2, "window_s": 60{by}}}"#), 121, body), Ok(accept()));
    }
}

#[test]
fn without_state_it_says_what_to_do() {
    Host::default().install();
    let failure = decide(r#"{"reaches": 2, "window_s": 60}"#, 0, "{}").unwrap_err();
    assert!(failure.code == "denied" && failure.message.contains("`state = true` at the step"), "{failure:?}");
    Host::default().state_fails(Failure::limit("state is full")).install();
    assert_eq!(decide(r#"{"reaches": 2, "window_s": 60}"#, 0, "{}"), Err(Failure::limit("state is full")));
}
