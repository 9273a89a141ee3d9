//! From what came back to what is stored: the attempt, and what becomes of the delivery. Pure.

use super::breaker::{Ruling, Tried};
use super::gate::Gates;
use super::handshake::HandshakeError;
use super::lanes::LaneKey;
use super::request::InvalidRequest;
use super::tokens::TokenError;
use super::verification::VerificationError;
use crate::config::Endpoint;
use crate::model::{Attempt, AttemptError, Delivery, TenantName};
use crate::retry::{Schedule, retry_after_ms};
use crate::store::{Next, Settle};
use crate::transport::{Response, SendError};
use http::StatusCode;
use http::header::RETRY_AFTER;

/// When an attempt took place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// In milliseconds since 1970-01-01T00:00:00Z.
    pub(super) started_at_ms: u64,
    /// How long it took.
    pub(super) duration_ms: u64,
    /// The clock's time when it was over, which is not the sum of both where the clock was set meanwhile.
    pub(super) ended_at_ms: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The transport had none to give.
    Send(SendError),
    /// The request could not be made.
    Request(InvalidRequest),
    /// The endpoint's `token_url` gave no token.
    Token(TokenError),
    /// The receiver was to allow deliveries first.
    Handshake(HandshakeError),
    /// The receiver was to repeat a challenge first.
    Verification(VerificationError),
    /// Sending panicked: a bug of ours.
    Panic(String),
}

/// What an attempt says of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It takes deliveries.
    Good,
    /// It failed; and wants nothing for so long, where it says so.
    Bad { retry_after_ms: Option<u64> },
    /// It wants fewer: 429, 502 or 504. The same.
    Enough { retry_after_ms: Option<u64> },
    /// It has to allow deliveries first, or to show that it is the one that was meant, and does not.
    Unallowed,
    /// It wants none any more: 410.
    Gone,
    /// Nothing: the failure is the host's own, or the delivery's.
    Nothing,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) attempt: Attempt,
    /// What it says of the endpoint.
    pub(super) word: Word,
    /// The clock's time when it was over.
    pub(super) at_ms: u64,
}

impl Ended {
    /// The attempt of this delivery that ended with `answer`.
    pub(super) fn new(delivery: &Delivery, span: Span, answer: Result<Response, Failure>) -> Self {
        let word = word(&answer, span.ended_at_ms);
        Self { attempt: attempt(delivery, span, answer), word, at_ms: span.ended_at_ms }
    }

    /// Why it failed; empty where it did not.
    pub(super) fn reason(&self) -> &str {
        self.attempt.error.as_ref().map_or("", |error| error.message.as_str())
    }
}

/// The outcome of one attempt, with what its gate learns from it. Whether anybody is to be told is for the caller to say.
pub(super) fn decide(
    gates: &Gates,
    lane: &LaneKey,
    delivery: &Delivery,
    endpoint: &Endpoint,
    ended: Ended,
    random: u64,
) -> Settle {
    let begun_ms = ended.attempt.started_at_ms;
    let ruling = gates.learn(lane, endpoint, begun_ms, &Tried::new(delivery, &ended));
    settle(&lane.0, delivery, &endpoint.retry, ended, ruling, random)
}

/// The outcome of one attempt. Only a 2xx counts as delivered; whatever else came is tried again by the schedule, and not before the
/// receiver's `Retry-After`. Where `ruling` spares it, it is tried again without a step on the schedule, behind what is due by then.
fn settle(
    tenant: &TenantName,
    delivery: &Delivery,
    schedule: &Schedule,
    ended: Ended,
    ruling: Ruling,
    random: u64,
) -> Settle {
    let Ended { attempt, word, at_ms } = ended;
    let next = if attempt.error.is_none() {
        Next::Delivered
    } else if ruling.spared {
        Next::Again(at_ms)
    } else {
        let position = delivery.schedule_position.saturating_add(1);
        let not_before_ms = at_ms.saturating_add(word.retry_after_ms().unwrap_or(0));
        let due_ms = schedule.next(position, at_ms, random);
        due_ms.map_or(Next::Dead, |due_ms| Next::RetryAt(due_ms.max(not_before_ms)))
    };
    Settle { tenant: tenant.clone(), delivery: delivery.id, attempt, next, health: ruling.health, tell: false }
}

impl Word {
    const fn retry_after_ms(self) -> Option<u64> {
        match self {
            Self::Bad { retry_after_ms } | Self::Enough { retry_after_ms } => retry_after_ms,
            Self::Good | Self::Unallowed | Self::Gone | Self::Nothing => None,
        }
    }
}

fn word(answer: &Result<Response, Failure>, now_ms: u64) -> Word {
    match answer {
        Ok(answer) if answer.status.is_success() => Word::Good,
        Ok(answer) => {
            let retry_after_ms = answer.header(RETRY_AFTER).and_then(|header| retry_after_ms(header, now_ms));
            match answer.status.as_u16() {
                410 => Word::Gone,
                429 | 502 | 504 => Word::Enough { retry_after_ms },
                _ => Word::Bad { retry_after_ms },
            }
        }
        Err(
            Failure::Handshake(HandshakeError::NoOrigin | HandshakeError::Refused(_))
            | Failure::Verification(VerificationError::Refused(_)),
        ) => Word::Unallowed,
        Err(
            Failure::Send(_)
            | Failure::Token(_)
            | Failure::Handshake(HandshakeError::Send(_))
            | Failure::Verification(VerificationError::Send(_)),
        ) => Word::Bad { retry_after_ms: None },
        Err(Failure::Request(_) | Failure::Verification(VerificationError::Random(_)) | Failure::Panic(_)) => {
            Word::Nothing
        }
    }
}

fn attempt(delivery: &Delivery, span: Span, answer: Result<Response, Failure>) -> Attempt {
    let (status, response, error) = match answer {
        Ok(answer) => {
            // What is cut may end inside a character.
            let text = String::from_utf8_lossy(&answer.body_prefix).into_owned();
            (Some(answer.status.as_u16()), text, status_error(answer.status))
        }
        Err(failure) => (None, String::new(), Some(failure.into_error())),
    };
    Attempt {
        number: delivery.attempts.saturating_add(1),
        started_at_ms: span.started_at_ms,
        duration_ms: span.duration_ms,
        status,
        response,
        error,
    }
}

fn status_error(status: StatusCode) -> Option<AttemptError> {
    if status.is_success() {
        return None;
    }
    let why = match status.as_u16() {
        300..=399 => "; redirects are not followed: give the endpoint the new URL",
        401 | 403 => "; check the endpoint's credentials and signing secret",
        410 => "; the receiver does not want deliveries any more",
        429 => "; the receiver wants fewer requests",
        _ => "",
    };
    Some(AttemptError { code: "status".to_owned(), message: format!("the receiver answered {status}{why}") })
}

impl Failure {
    fn into_error(self) -> AttemptError {
        let (code, message) = match self {
            Self::Send(error) => (error.code(), error.to_string()),
            Self::Request(error @ (InvalidRequest::Header { .. } | InvalidRequest::CloudEvent { .. })) => {
                ("request_invalid", error.to_string())
            }
            Self::Request(error @ InvalidRequest::Url(_)) => ("url_variable", error.to_string()),
            Self::Token(error) => ("token", error.to_string()),
            Self::Handshake(error) => ("handshake", error.to_string()),
            Self::Verification(error) => ("verification", error.to_string()),
            Self::Panic(why) => ("internal", format!("sending failed inside the host, which is a bug of it: {why}")),
        };
        AttemptError { code: code.to_owned(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::delivery;
    use super::*;
    use crate::model::EndpointHealth;

    const SPAN: Span = Span { started_at_ms: 1_000_000, duration_ms: 250, ended_at_ms: 1_000_250 };

    fn response(status: u16, retry_after: Option<&str>) -> Result<Response, Failure> {
        Ok(Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: retry_after.map(|value| (RETRY_AFTER, value.parse().unwrap())).into_iter().collect(),
            body_prefix: b"ok \xff".to_vec(),
            cut: false,
        })
    }

    fn settled(position: u32, answer: Result<Response, Failure>) -> Settle {
        let schedule = Schedule::new(vec![0, 10, 60]).unwrap();
        let delivery = Delivery { attempts: 7, schedule_position: position, ..delivery() };
        let ended = Ended::new(&delivery, SPAN, answer);
        settle(&"acme".parse().unwrap(), &delivery, &schedule, ended, Ruling::default(), 0)
    }

    fn code(settle: &Settle) -> &str {
        settle.attempt.error.as_ref().map_or("", |error| error.code.as_str())
    }

    #[test]
    fn only_a_2xx_is_delivered() {
        for status in [200, 201, 202, 204, 299] {
            let settle = settled(0, response(status, None));
            assert_eq!((settle.next, settle.attempt.error), (Next::Delivered, None), "{status}");
        }
        for status in [100, 199, 300, 301, 304, 400, 404, 429, 500, 599, 999] {
            let settle = settled(0, response(status, None));
            assert_eq!((settle.next, code(&settle)), (Next::RetryAt(1_010_250), "status"), "{status}");
        }
    }

    #[test]
    fn what_is_spared_stays_where_it_is_on_its_schedule() {
        let schedule = Schedule::new(vec![0]).unwrap();
        let ended = |status| Ended::new(&delivery(), SPAN, response(status, Some("30")));
        let spared = || Ruling { health: Some(EndpointHealth::unknown()), spared: true };
        let settle = |status| settle(&"acme".parse().unwrap(), &delivery(), &schedule, ended(status), spared(), 0);
        assert_eq!((settle(503).next, settle(503).health), (Next::Again(1_000_250), spared().health));
        assert_eq!(settle(200).next, Next::Delivered);
    }

    #[test]
    fn an_attempt_keeps_what_happened() {
        let attempt = settled(0, response(503, None)).attempt;
        assert_eq!(
            (attempt.number, attempt.started_at_ms, attempt.duration_ms, attempt.status),
            (8, 1_000_000, 250, Some(503))
        );
        assert_eq!(attempt.response, "ok \u{fffd}");
        assert_eq!(attempt.error.unwrap().message, "the receiver answered 503 Service Unavailable");
    }

    #[test]
    fn the_schedule_counts_from_its_own_beginning_and_ends_dead() {
        let next = |position| settled(position, Err(Failure::Send(SendError::Timeout { timeout_ms: 250 }))).next;
        assert_eq!(
            [next(0), next(1), next(2), next(3)],
            [Next::RetryAt(1_010_250), Next::RetryAt(1_060_250), Next::Dead, Next::Dead]
        );
        assert_eq!(settled(2, response(200, None)).next, Next::Delivered, "the last one counts too");
    }

    #[test]
    fn retry_after_puts_off_and_never_brings_forward() {
        let next = |header| settled(0, response(429, Some(header))).next;
        assert_eq!(next("30"), Next::RetryAt(1_030_250));
        assert_eq!(next("3"), Next::RetryAt(1_010_250));
        assert_eq!(next("nonsense"), Next::RetryAt(1_010_250));
        assert_eq!(settled(2, response(429, Some("30"))).next, Next::Dead, "it adds no attempt");
    }

    #[test]
    fn an_answer_says_what_it_says_of_its_endpoint() {
        let of = |status, header| word(&response(status, header), 1_000_250);
        assert_eq!(of(204, Some("9")), Word::Good);
        for status in [429, 502, 504] {
            assert_eq!(of(status, None), Word::Enough { retry_after_ms: None });
            assert_eq!(of(status, Some("9")), Word::Enough { retry_after_ms: Some(9_000) });
        }
        for status in [302, 400, 500, 503] {
            assert_eq!(of(status, Some("9")), Word::Bad { retry_after_ms: Some(9_000) });
        }
        assert_eq!(of(503, Some("99999999")), Word::Bad { retry_after_ms: Some(crate::retry::RETRY_AFTER_MS_MAX) });
        let timeout = Failure::Send(SendError::Timeout { timeout_ms: 250 });
        assert_eq!(word(&Err(timeout), 0), Word::Bad { retry_after_ms: None });
        let token = Failure::Token(TokenError::Answer("x".to_owned()));
        assert_eq!(word(&Err(token), 0), Word::Bad { retry_after_ms: None });
        let unasked = HandshakeError::Send(SendError::Timeout { timeout_ms: 250 });
        assert_eq!(word(&Err(Failure::Handshake(unasked)), 0), Word::Bad { retry_after_ms: None });
        for error in [HandshakeError::NoOrigin, HandshakeError::Refused("x".to_owned())] {
            assert_eq!(word(&Err(Failure::Handshake(error)), 0), Word::Unallowed);
        }
        let verification = |error| word(&Err(Failure::Verification(error)), 0);
        let unasked = VerificationError::Send(SendError::Timeout { timeout_ms: 250 });
        assert_eq!(verification(unasked), Word::Bad { retry_after_ms: None });
        assert_eq!(verification(VerificationError::Refused("x".to_owned())), Word::Unallowed);
        assert_eq!(verification(VerificationError::Random("x".to_owned())), Word::Nothing);
        let header = InvalidRequest::Header { name: "x".to_owned(), why: "x" };
        assert_eq!(word(&Err(Failure::Request(header)), 0), Word::Nothing);
    }

    #[test]
    fn every_failure_has_its_code() {
        let of = |failure| settled(0, Err(failure));
        let timeout = of(Failure::Send(SendError::Timeout { timeout_ms: 250 }));
        assert_eq!((code(&timeout), timeout.attempt.status), ("timeout", None));
        let header = InvalidRequest::Header { name: "x".to_owned(), why: "x" };
        assert_eq!(code(&of(Failure::Request(header))), "request_invalid");
        assert_eq!(code(&of(Failure::Token(TokenError::Answer("x".to_owned())))), "token");
        assert_eq!(code(&of(Failure::Panic("x".to_owned()))), "internal");
    }
}
