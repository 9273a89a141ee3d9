//! What a sender is told whose request was taken.

use super::challenge::Told;
use super::take::Taken;
use crate::config::{Asks, Source};
use crate::pipeline::Accepted;
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
                let all = taken.iter().all(Result::is_ok);
                let status = if all { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
                let results = taken.into_iter().enumerate().map(|(place, taken)| result("", place, taken));
                let body = json!({ "results": results.collect::<Vec<Value>>() });
                response(status, "application/json", body.to_string())
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
    use crate::problem::Problem;

    #[test]
    fn of_a_batch_each_refusal_points_into_the_list() {
        let refused = Problem::new(StatusCode::BAD_REQUEST, "body_invalid", "is wrong").at("/event_type");
        let shown = result("/events", 7, Err(refused));
        assert_eq!((&shown["pointer"], &shown["status"]), (&json!("/events/7/event_type"), &json!(400)));
        let taken = result("/events", 7, Ok(Accepted::New(EventId::new(1, 2))));
        assert_eq!((taken.get("duplicate"), &taken["status"]), (None, &json!(202)));
    }
}
