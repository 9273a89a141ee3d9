//! Is this message one of the sample?

use hookswitch_guest::place::{Facts, Place, Places};
use hookswitch_guest::{Decision, Event, Failure, Message, accept, reject, state};

use crate::settings::{How, Settings};

/// How long a count for one value of `by` is kept, in seconds from its first message: 30 days. Then it begins anew. A count for
/// all messages is kept for good.
pub const COUNTER_TTL_S: u32 = 30 * 24 * 60 * 60;

/// Accepts the messages of the sample.
///
/// # Errors
/// `input-invalid` if the body has to be looked into and is not JSON, or has nothing where `by` says; state's: `denied`, `limit`.
pub fn sample(settings: &Settings, event: &Event, message: &Message) -> Result<Decision, Failure> {
    let mut facts = Facts::new(event, message);
    if let How::Every { by: Some(by), .. } | How::Share { by: Some(by), .. } = &settings.how
        && let Some(place) = facts.missing(by)?
    {
        return settings.on_missing.decide(place);
    }
    match &settings.how {
        How::Every { every, by } => every_nth(*every, by.as_ref(), &mut facts),
        How::Share { per_million, by, seed } => share(*per_million, by.as_ref(), seed, &mut facts),
    }
}

fn every_nth(every: i64, by: Option<&Places>, facts: &mut Facts) -> Result<Decision, Failure> {
    let number = match by {
        Some(by) => state::increment(&format!("count:{}", facts.digest("count", by)?), 1, COUNTER_TTL_S)?,
        None => state::increment("count", 1, 0)?,
    };
    Ok(match number.checked_rem(every) {
        Some(0) => accept(),
        _ => reject(format!("number {number}; every {every} goes through")),
    })
}

fn share(per_million: u64, by: Option<&Places>, seed: &str, facts: &mut Facts) -> Result<Decision, Failure> {
    const MILLION: u64 = 1_000_000;
    let id = Places::from(Place::Id);
    let hash = facts.digest(&format!("sample {seed}"), by.unwrap_or(&id))?;
    // Of 2^64 numbers, 551,616 fall to the first places once more than to the others: a share is off by less than 10^-13.
    let place = hash.number() % MILLION;
    Ok(match place < per_million {
        true => accept(),
        false => reject(format!("place {place} of a million; the first {per_million} go through")),
    })
}

#[cfg(test)]
mod tests {
    use hookswitch_guest::testing::{Host, set_time_ms, state_keys};

    use super::*;

    fn decide(settings: &str, id: &str, body: &str) -> Result<Decision, Failure> {
        let event = Event { id: id.to_owned(), ..Event::default() };
        sample(&serde_json::from_str(settings).unwrap(), &event, &Message::from_json(body))
    }

    #[test]
    fn every_hundredth_goes_through() {
        Host::default().state().install();
        let accepted: Vec<_> = (1..=300)
            .filter(|number| decide(r#"{"every": 100}"#, &format!("evt_{number}"), "{}") == Ok(accept()))
            .collect();
        assert_eq!(accepted, [100, 200, 300]);
        assert_eq!(decide(r#"{"every": 100}"#, "evt", "{}"), Ok(reject("number 301; every 100 goes through")));
        assert_eq!(decide(r#"{"every": 1}"#, "evt", "{}"), Ok(accept()));
    }

    #[test]
    fn each_value_has_a_count_of_its_own_that_ends() {
        Host::default().state().install();
        let second =
            |user: &str| decide(r#"{"every": 2, "by": "/user"}"#, "evt", user).map(|decision| decision == accept());
        let (ann, bob) = (r#"{"user":"ann"}"#, r#"{"user":9007199254740993}"#);
        assert_eq!(
            [second(ann), second(bob), second(ann), second(bob), second(ann)],
            [false, false, true, true, false].map(Ok)
        );
        assert_eq!(state_keys().len(), 2);
        set_time_ms(u64::from(COUNTER_TTL_S) * 1_000);
        assert_eq!(second(ann), Ok(false));
        assert_eq!(state_keys().len(), 1);
    }

    #[test]
    fn a_share_is_stable_and_about_as_large_as_asked_for() {
        let accepted = |settings: &str| -> Vec<u32> {
            (0..10_000).filter(|number| decide(settings, &format!("evt_{number}"), "{}") == Ok(accept())).collect()
        };
        let tenth = accepted(r#"{"percent": 10}"#);
        assert!((900..1_100).contains(&tenth.len()), "{}", tenth.len());
        assert_eq!(tenth[..5], [5, 6, 8, 17, 27], "a later version chooses the same");
        assert!(
            tenth.iter().all(|number| accepted_one(r#"{"percent": 20}"#, *number)),
            "a larger share has the smaller one in it"
        );
        let seeded = accepted(r#"{"percent": 10, "seed": "b"}"#);
        let both = seeded.iter().filter(|number| tenth.contains(number)).count();
        assert!((50..160).contains(&both), "another seed chooses independently: {both}");
        assert_eq!((accepted(r#"{"percent": 0}"#).len(), accepted(r#"{"percent": 100}"#).len()), (0, 10_000));
    }

    fn accepted_one(settings: &str, number: u32) -> bool {
        decide(settings, &format!("evt_{number}"), "{}") == Ok(accept())
    }

    #[test]
    fn a_share_of_users_takes_all_or_none_of_a_users_messages() {
        let decisions = |user: u32| -> Vec<_> {
            (0..5)
                .map(|n| {
                    decide(
                        r#"{"percent": 50, "by": "/user"}"#,
                        &format!("evt_{n}"),
                        &format!(r#"{{"n":{n},"user":{user}}}"#),
                    )
                })
                .collect()
        };
        let users: Vec<_> = (0..20).map(decisions).collect();
        assert!(users.iter().all(|decisions| decisions.iter().all(|one| one == &decisions[0])));
        assert!(
            users.iter().any(|decisions| decisions[0] == Ok(accept()))
                && users.iter().any(|decisions| decisions[0] != Ok(accept()))
        );
    }

    #[test]
    fn without_state_a_count_says_what_to_do_and_a_share_works() {
        Host::default().install();
        let failure = decide(r#"{"every": 2}"#, "evt", "{}").unwrap_err();
        assert!(failure.code == "denied" && failure.message.contains("`state = true` at the step"), "{failure:?}");
        assert!(decide(r#"{"percent": 50}"#, "evt", "{}").is_ok());
        Host::default().state_fails(Failure::limit("state is full")).install();
        assert_eq!(decide(r#"{"every": 2}"#, "evt", "{}"), Err(Failure::limit("state is full")));
    }

    #[test]
    fn what_is_missing_is_decided_by_the_settings() {
        Host::default().state().install();
        for settings in [r#""every": 2, "by": "/user""#, r#""percent": 50, "by": ["/user"]"#] {
            let decide = |more: &str| decide(&format!("{{{settings}{more}}}"), "evt", "{}");
            assert!(decide("").unwrap_err().message.starts_with("there is no /user;"));
            assert_eq!(decide(r#", "on_missing": "accept""#), Ok(accept()));
            assert_eq!(decide(r#", "on_missing": "reject""#), Ok(reject("there is no /user")));
        }
    }
}
