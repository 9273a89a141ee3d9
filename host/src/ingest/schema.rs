//! Events are held against their tenant's catalogue of event types. A tenant without one pays for a look at an empty table.

use super::take::{Item, Taker, Way};
use crate::config::{EventType, Maker, OnInvalid, OutOfSteps, Schema, Source, UnknownEventTypes, memory_of};
use crate::model::{SchemaError, SchemaVerdict};
use crate::problem::Problem;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// In how many steps a payload is held against a schema at once. What takes more is done on the threads that modules run
/// on, which tenants share fairly: others have to be served meanwhile.
const STEPS_AT_ONCE_MAX: u64 = 20_000;
/// How long a payload may be for that, in bytes: it has to be read before.
const BYTES_AT_ONCE_MAX: usize = 64 * 1024;
/// In how many steps it is held against a schema at all. What takes more does not fit.
const STEPS_MAX: u64 = 5_000_000;
/// How much memory a payload may take when it is read for that, in bytes. What takes more does not fit.
const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// One that is shorter than this cannot take so much, in bytes.
const BYTES_NOT_WEIGHED_MAX: usize = 256 * 1024;

impl Taker {
    /// What is to be said of an event that is taken though it does not fit.
    ///
    /// # Errors
    /// Where the tenant wants it refused.
    pub(super) async fn check(&self, way: &Way, item: &Item) -> Result<Option<SchemaVerdict>, Problem> {
        let Some(event_type) = way.tenant.event_types.get(&item.event_type) else {
            return match way.tenant.unknown_event_types {
                UnknownEventTypes::Accept => Ok(None),
                UnknownEventTypes::Refuse => Err(unknown(&way.source, &item.event_type)),
            };
        };
        let Some(schema) = event_type.schema.as_ref().filter(|_| event_type.on_invalid != OnInvalid::Accept) else {
            return Ok(None);
        };
        let at_once = (item.body.len() <= BYTES_AT_ONCE_MAX).then(|| errors_in(schema, &item.body, STEPS_AT_ONCE_MAX));
        let errors = match at_once {
            Some(Ok(errors)) => errors,
            _ => self.errors_elsewhere(way, event_type, &item.body).await?,
        };
        match event_type.on_invalid {
            _ if errors.is_empty() => Ok(None),
            OnInvalid::Refuse => Err(refused(&item.event_type, &errors)),
            OnInvalid::Accept | OnInvalid::Flag => Ok(Some(SchemaVerdict { valid: false, errors })),
        }
    }

    async fn errors_elsewhere(
        &self,
        way: &Way,
        event_type: &Arc<EventType>,
        body: &Bytes,
    ) -> Result<Vec<SchemaError>, Problem> {
        let (event_type, body) = (Arc::clone(event_type), body.clone());
        let work =
            move || event_type.schema.as_ref().map_or(Ok(Vec::new()), |schema| errors_in(schema, &body, STEPS_MAX));
        let done = self.pipeline.on_threads(&way.tenant_name, work).await.ok_or_else(Problem::internal)?;
        Ok(done.unwrap_or_else(|error| vec![nowhere(format!("{error}: more than {STEPS_MAX}"))]))
    }
}

/// What is wrong with a body.
fn errors_in(schema: &Schema, body: &[u8], steps_max: u64) -> Result<Vec<SchemaError>, OutOfSteps> {
    let is_heavy = || memory_of(body).is_ok_and(|bytes| bytes > MEMORY_BYTES_MAX);
    if body.len() > BYTES_NOT_WEIGHED_MAX && is_heavy() {
        return Ok(vec![nowhere(format!(
            "it would take more than {MEMORY_BYTES_MAX} bytes of memory when it is read"
        ))]);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(payload) => schema.errors(&payload, steps_max),
        Err(error) => Ok(vec![nowhere(format!("it is no JSON: {error}"))]),
    }
}

fn nowhere(message: String) -> SchemaError {
    SchemaError { pointer: String::new(), message }
}

fn unknown(source: &Source, event_type: &str) -> Problem {
    let has_none = "the tenant takes no event type that it does not have";
    let detail = match (&source.maker, event_type.is_empty()) {
        // What is published has to say it.
        (Maker::Requests, true) => {
            format!("the request has no event type, which was looked for in {}, and {has_none}", source.event_type)
        }
        _ => format!("the tenant has no event type `{event_type}`, and takes none that it does not have"),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "event_type_unknown", detail)
}

fn refused(event_type: &str, errors: &[SchemaError]) -> Problem {
    let first = errors.first().map_or_else(String::new, |SchemaError { pointer, message }| {
        if pointer.is_empty() { message.clone() } else { format!("at `{pointer}`: {message}") }
    });
    let detail = format!("the payload does not fit the schema of the event type `{event_type}`: {first}");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "payload_invalid", detail).with("errors", json!(errors))
}
