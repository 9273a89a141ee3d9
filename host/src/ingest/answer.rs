//! What a sender is told whose request was taken.

use super::challenge::Told;
use super::take::Taken;
use crate::config::{Asks, Source};
use crate::pipeline::Accepted;
use crate::problem::Problem;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

/// What a request that was let in is told.
pub(super) enum Answer {
    /// Its event is there.
    Accepted(Accepted),
    /// Its event is there, and its sender wants to hear nothing else.
    Quiet,
    /// What became of each of its events.
    Each(Vec<Taken>),
    /// It was no event: it asked for this.
    Told(Told),
}

impl Answer {
    /// That an event is there.
    pub(super) const fn accepted(source: &Source, has_event_inside: bool, accepted: Accepted) -> Self {
        // Discord counts an event of its webhooks as taken where the answer is 204.
        match source.asks {
            Asks::Discord if has_event_inside => Self::Quiet,
            _ => Self::Accepted(accepted),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        match self {
            Self::Accepted(accepted) => {
                response(StatusCode::ACCEPTED, "application/json", acknowledgement(accepted).to_string())
            }
            Self::Quiet => response(StatusCode::NO_CONTENT, "application/json", String::new()),
            Self::Each(taken) => {
                let (status, retry_after_s) = status_of(&taken);
                let results = taken.into_iter().enumerate().map(|(place, taken)| result("", place, taken));
                let body = json!({ "results": results.collect::<Vec<Value>>() });
                let mut response = response(status, "application/json", body.to_string());
                let wait = retry_after_s.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
                response.headers_mut().extend(wait);
                response
            }
            Self::Told(Told { status, media_type, headers, body }) => {
                let mut response = response(status, media_type, body);
                response.headers_mut().extend(headers);
                // What is said back is somebody else's text: nobody is to take it for a page.
                response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                response
            }
        }
    }
}

/// What a sender is told of many by one status. It goes by that alone: where something is to be sent again, that has to be a failure, and what was taken
/// is a duplicate then.
fn status_of(taken: &[Taken]) -> (StatusCode, Option<u32>) {
    let refused = || taken.iter().filter_map(|one| one.as_ref().err());
    let is_passing =
        |problem: &&Problem| problem.status.is_server_error() || problem.status == StatusCode::TOO_MANY_REQUESTS;
    if let Some(problem) = refused().find(is_passing) {
        return (problem.status, problem.retry_after_s);
    }
    match (refused().next(), taken.iter().any(Result::is_ok)) {
        (None, _) => (StatusCode::ACCEPTED, None),
        (Some(_), true) => (StatusCode::MULTI_STATUS, None),
        (Some(problem), false) => (problem.status, None),
    }
}

/// An event's id; a duplicate is told that of the first.
#[must_use]
pub fn acknowledgement(accepted: Accepted) -> Value {
    match accepted {
        Accepted::New(id) => json!({ "id": id }),
        Accepted::Duplicate(first) => json!({ "id": first, "duplicate": true }),
    }
}

/// What became of one of many, in the form of a request of its own. `list` is the JSON pointer of the list that it stands in.
#[must_use]
pub fn result(list: &str, place: usize, taken: Taken) -> Value {
    let (status, mut document) = match taken {
        Ok(accepted) => (StatusCode::ACCEPTED, acknowledgement(accepted)),
        Err(mut problem) => {
            problem.pointer = problem.pointer.map(|pointer| format!("{list}/{place}{pointer}"));
            (problem.status, problem.to_json())
        }
    };
    if let Some(members) = document.as_object_mut() {
        members.insert("status".to_owned(), status.as_u16().into());
    }
    document
}

fn response(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    #[test]
    fn many_are_a_failure_where_something_is_to_be_sent_again() {
        let taken = || Ok(Accepted::New(EventId::new(1, 2)));
        let refused = |status| Err(Problem::new(status, "code", "words"));
        let later = Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "code", "words").retry_after_s(5));
        assert_eq!(status_of(&[taken(), taken()]), (StatusCode::ACCEPTED, None));
        assert_eq!(status_of(&[taken(), refused(StatusCode::BAD_REQUEST)]), (StatusCode::MULTI_STATUS, None));
        assert_eq!(status_of(&[refused(StatusCode::BAD_REQUEST)]), (StatusCode::BAD_REQUEST, None));
        let mixed = [taken(), refused(StatusCode::BAD_REQUEST), later];
        assert_eq!(status_of(&mixed), (StatusCode::SERVICE_UNAVAILABLE, Some(5)));
        assert_eq!(status_of(&[taken(), refused(StatusCode::TOO_MANY_REQUESTS)]).0, StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn of_a_batch_each_refusal_points_into_the_list() {
        let refused = Problem::new(StatusCode::BAD_REQUEST, "body_invalid", "is wrong").at("/event_type");
        let shown = result("/events", 7, Err(refused));
        assert_eq!((&shown["pointer"], &shown["status"]), (&json!("/events/7/event_type"), &json!(400)));
        let taken = result("/events", 7, Ok(Accepted::New(EventId::new(1, 2))));
        assert_eq!((taken.get("duplicate"), &taken["status"]), (None, &json!(202)));
    }
}
