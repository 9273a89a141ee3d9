//! Is this message the first of its kind?

use hookswitch_guest::place::Facts;
use hookswitch_guest::{Decision, Event, Failure, Message, accept, context, reject, state, time};

use crate::settings::{Period, Settings};

/// Accepts the first of equal messages and remembers it.
///
/// # Errors
/// `input-invalid` if the body has to be looked into and is not JSON, or has nothing where `by` says; state's: `denied`, `limit`.
pub fn dedupe(settings: &Settings, event: &Event, message: &Message) -> Result<Decision, Failure> {
    let mut facts = Facts::new(event, message);
    if let Some(place) = facts.missing(&settings.by)? {
        return settings.on_missing.decide(place);
    }
    let (purpose, ttl_s) = match settings.period {
        Period::Window { window_s } => ("seen".to_owned(), window_s),
        Period::Day => {
            (format!("seen on day {}", event.received_at_ms / time::DAY_MS), seconds_to_midnight(event.received_at_ms))
        }
    };
    let key = format!("seen:{}", facts.digest(&purpose, &settings.by)?);
    match state::get(&key)? {
        Some(first) => Ok(again(&String::from_utf8_lossy(&first), event)),
        None => {
            state::set(&key, format!("{} {}", event.received_at_ms, event.id).as_bytes(), ttl_s)?;
            Ok(accept())
        }
    }
}

/// Rounded up: what is kept goes at midnight or up to a second later, and by then the day is another.
fn seconds_to_midnight(now_ms: u64) -> u32 {
    let left_ms = time::DAY_MS.saturating_sub(now_ms % time::DAY_MS);
    u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// A replay of the first is the first. Any other is another, even of the same event: a step before may have made two of one.
fn again(first: &str, event: &Event) -> Decision {
    let (at_ms, id) = first.split_once(' ').unwrap_or_default();
    if id == event.id && context::origin() == "replay" {
        return accept();
    }
    let at = at_ms.parse().map(time::rfc3339).unwrap_or_default();
    reject(format!("the same came at {at}, in {id}"))
}

#[cfg(test)]
mod tests {
    use hookswitch_guest::Header;
    use hookswitch_guest::testing::{Host, set_time_ms, state_keys};

    use super::*;

    /// 2024-05-31T09:30:00Z
    const START_MS: u64 = 1_717_147_800_000;

    fn decide(settings: &str, after_ms: u64, id: &str, body: &str) -> Result<Decision, Failure> {
        let received_at_ms = START_MS + after_ms;
        set_time_ms(received_at_ms);
        let headers = vec![Header { name: "x-request-id".to_owned(), value: body.len().to_string() }];
        let event = Event { id: id.to_owned(), received_at_ms, headers, ..Event::default() };
        dedupe(
            &serde_json::from_str(settings).unwrap(),
            &event,
            &Message { event_type: "login".to_owned(), ..Message::from_json(body) },
        )
    }

    #[test]
    fn of_equal_bodies_one_goes_through_within_the_window() {
        Host::default().state().install();
        let settings = r#"{"by": "body", "window_s": 60}"#;
        assert_eq!(decide(settings, 0, "evt_1", r#"{"n":9007199254740993}"#), Ok(accept()));
        assert_eq!(decide(settings, 1, "evt_2", r#"{"n":9007199254740992}"#), Ok(accept()), "numbers are exact");
        let same = reject("the same came at 2024-05-31T09:30:00.000Z, in evt_1");
        assert_eq!(decide(settings, 59_999, "evt_3", r#"{"n":9007199254740993}"#), Ok(same));
        assert_eq!(
            decide(settings, 60_000, "evt_4", r#"{"n":9007199254740993}"#),
            Ok(accept()),
            "from the first, not the last"
        );
        assert!(decide(settings, 60_001, "evt_5", "not JSON").is_ok());
    }

    #[test]
    fn headers_and_pointers_tell_messages_apart() {
        Host::default().state().install();
        let header = r#"{"by": "header:X-Request-Id", "window_s": 60}"#;
        assert_eq!(decide(header, 0, "evt_1", "[1]"), Ok(accept()));
        assert!(decide(header, 0, "evt_2", "[2]") != Ok(accept()));
        assert_eq!(decide(header, 0, "evt_3", "[22]"), Ok(accept()));
        let pointer = r#"{"by": "/id", "window_s": 60}"#;
        assert_eq!(decide(pointer, 0, "evt_4", r#"{"id":1,"try":1}"#), Ok(accept()));
        assert!(decide(pointer, 0, "evt_5", r#"{"try":2,"id":1}"#) != Ok(accept()));
        assert_eq!(decide(pointer, 0, "evt_6", r#"{"id":"1"}"#), Ok(accept()));
    }

    #[test]
    fn the_first_of_each_user_and_day_goes_through() {
        Host::default().state().install();
        let settings = r#"{"by": ["/user", "event:type"], "per": "day"}"#;
        let to_midnight_ms = (14 * 60 + 30) * 60 * 1_000;
        let accepted = |after_ms, user: &str| {
            decide(settings, after_ms, "evt", &format!(r#"{{"user":{user:?},"at":{after_ms}}}"#)) == Ok(accept())
        };
        assert!(accepted(0, "ann") && accepted(1, "bob"));
        assert!(!accepted(2, "ann") && !accepted(to_midnight_ms - 1, "bob"));
        assert!(accepted(to_midnight_ms, "ann") && accepted(to_midnight_ms, "bob"));
        set_time_ms(START_MS + to_midnight_ms + 1_000);
        assert_eq!(state_keys().len(), 2, "yesterday's are gone");
    }

    #[test]
    fn a_replay_of_the_first_is_the_first() {
        Host::default().state().install();
        let settings = r#"{"by": "body", "window_s": 60}"#;
        assert_eq!(decide(settings, 0, "evt_1", "{}"), Ok(accept()));
        assert!(decide(settings, 0, "evt_1", "{}") != Ok(accept()), "a second message of the same event");
        Host::default().state().origin("replay").install();
        assert_eq!(decide(settings, 0, "evt_1", "{}"), Ok(accept()));
        assert_eq!(decide(settings, 9, "evt_1", "{}"), Ok(accept()));
        assert!(decide(settings, 9, "evt_2", "{}") != Ok(accept()));
    }

    #[test]
    fn what_is_missing_is_decided_by_the_settings_and_not_remembered() {
        Host::default().state().install();
        let decide =
            |more: &str| decide(&format!(r#"{{"by": ["event:id", "/user"], "window_s": 60{more}}}"#), 0, "evt", "{}");
        assert!(decide("").unwrap_err().message.starts_with("there is no /user;"));
        assert_eq!(
            [decide(r#", "on_missing": "accept""#), decide(r#", "on_missing": "accept""#)],
            [Ok(accept()), Ok(accept())]
        );
        assert_eq!(decide(r#", "on_missing": "reject""#), Ok(reject("there is no /user")));
        assert_eq!(state_keys(), [""; 0]);
    }

    #[test]
    fn without_state_it_says_what_to_do() {
        Host::default().install();
        let failure = decide(r#"{"by": "body", "per": "day"}"#, 0, "evt", "{}").unwrap_err();
        assert!(failure.code == "denied" && failure.message.contains("`state = true` at the step"), "{failure:?}");
        Host::default().state_fails(Failure::limit("state is full")).install();
        assert_eq!(decide(r#"{"by": "body", "per": "day"}"#, 0, "evt", "{}"), Err(Failure::limit("state is full")));
    }
}
