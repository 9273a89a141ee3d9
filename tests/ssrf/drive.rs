//! Gives a host a URL, in one way or another, has it send, and tells what came of that.

use super::cases::{Case, Fate, Way};
use super::ground::Ground;
use super::support::{Host, until};
use serde_json::{Value, json};

/// What came of a case: shown, as it should be or not.
pub(crate) type Verdict = Result<String, String>;

/// Tries a case. `number` tells it from others.
pub(crate) async fn try_case(host: &Host, ground: &Ground, case: &Case, number: usize) -> Verdict {
    let url = ground.url(&case.url, host);
    let fate = match Endpoint::put(host, ground, case.way, &url, number).await {
        Err(problem) => Seen::Put(problem),
        Ok(endpoint) => {
            let delivery = endpoint.send(host).await;
            Seen::Attempt(attempts(host, &delivery, 1).await[0].clone())
        }
    };
    fate.as_it_should_be(&case.fate)
}

/// An endpoint that was taken.
pub(crate) struct Endpoint {
    name: String,
    /// Whether events are routed to it; others are tested.
    routed: bool,
}

impl Endpoint {
    /// Puts an endpoint with this URL; the problem where it is not taken.
    pub(crate) async fn put(host: &Host, ground: &Ground, way: Way, url: &str, number: usize) -> Result<Self, Value> {
        let fields = match way {
            Way::Delivery | Way::Test => json!({ "url": url }),
            Way::Handshake => json!({ "url": url, "handshake": true }),
            Way::Verification => json!({ "url": url, "verification": "challenge" }),
            Way::Token => {
                let auth = json!({ "type": "oauth2", "token_url": url, "client_id": "id", "client_secret": "s" });
                json!({ "url": ground.receiver.url("/"), "auth": auth })
            }
        };
        // What waits for its handshake goes on waiting, so each such endpoint is its own.
        let name = if way == Way::Delivery { "out".to_owned() } else { format!("e{number}") };
        Self::with(host, name, fields).await
    }

    /// Puts an endpoint with these fields, that tries a delivery once where they do not say otherwise.
    pub(crate) async fn with(host: &Host, name: String, fields: Value) -> Result<Self, Value> {
        let mut endpoint = json!({ "secrets": [], "hold_after": 0, "retry": { "schedule_s": [0] } });
        endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = host.admin.put(&format!("/v1/tenants/acme/endpoints/{name}"), &endpoint).await;
        let routed = name == "out";
        if answer.status.is_success() { Ok(Self { name, routed }) } else { Err(answer.json()) }
    }

    /// Has something sent to it, and gives the delivery.
    pub(crate) async fn send(&self, host: &Host) -> String {
        if self.routed {
            let run = host.run_with(&host.event("x", "{}").await, "routed").await;
            return run["deliveries"][0].as_str().unwrap().to_owned();
        }
        let answer = host.admin.post(&format!("/v1/tenants/acme/endpoints/{}/test", self.name), "").await;
        answer.expect(202)["delivery"].as_str().unwrap().to_owned()
    }
}

/// The attempts of a delivery, once it has so many.
pub(crate) async fn attempts(host: &Host, delivery: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} attempts of {delivery}"), || async {
        let shown = host.admin.get(&format!("/v1/tenants/acme/deliveries/{delivery}")).await.expect(200);
        let attempts = shown["attempts"].as_array().cloned().unwrap_or_default();
        (attempts.len() >= count).then_some(attempts)
    })
    .await
}

/// What became of a URL.
pub(crate) enum Seen {
    /// It was not taken; the problem.
    Put(Value),
    /// The attempt.
    Attempt(Value),
}

impl Seen {
    pub(crate) fn as_it_should_be(&self, fate: &Fate) -> Verdict {
        let shown = match self {
            Self::Put(problem) => format!("not taken: {} {}", text(&problem["pointer"]), text(&problem["detail"])),
            Self::Attempt(attempt) if attempt["error"].is_null() => "delivered".to_owned(),
            Self::Attempt(attempt) => {
                let error = &attempt["error"];
                format!("{}: {}", text(&error["code"]), text(&error["message"]))
            }
        };
        let fits = match (self, fate) {
            (Self::Put(_), Fate::Put(says)) => shown.contains(says),
            (Self::Attempt(_), Fate::Attempt(code, says)) => {
                shown.starts_with(&format!("{code}: ")) && shown.contains(says)
            }
            (Self::Attempt(attempt), Fate::Delivered) => attempt["error"].is_null(),
            _ => false,
        };
        if fits { Ok(shown) } else { Err(format!("{shown}; this was to be {fate:?}")) }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
