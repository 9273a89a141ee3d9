//! Receivers that have to show first that they are the ones that were meant.

use super::support::{Host, Received, Receiver, Reply, until};
use http::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SETTINGS: &str =
    "deliverer.origin = \"hooks.example.com\"\ndeliverer.probe_wait_ms_min = 5\ndeliverer.probe_wait_ms_max = 20\n";
const KIND: &str = "hookswitch.endpoint.verification";

/// How a receiver answers its challenge.
#[derive(Clone, Copy)]
enum Answers {
    Json,
    Text,
    Nothing,
    Another,
    Echo,
    Late,
}

/// A receiver that takes everything and allows everything, and answers a challenge in this way.
async fn challenged(first: Answers) -> (Receiver, Arc<Mutex<Answers>>) {
    let answers = Arc::new(Mutex::new(first));
    let now = answers.clone();
    let receiver = Receiver::answering(move |received| match challenge_of(received) {
        None if received.method == Method::OPTIONS => {
            Reply::Status(200, vec![("webhook-allowed-origin", "*".to_owned())], "")
        }
        None => Reply::status(204),
        Some(challenge) => match *now.lock().unwrap() {
            Answers::Json => Reply::Body(200, json!({ "challenge": challenge }).to_string()),
            Answers::Text => Reply::Body(202, format!("{challenge}\n")),
            Answers::Nothing => Reply::status(204),
            Answers::Another => Reply::Body(200, json!({ "challenge": "x" }).to_string()),
            Answers::Echo => Reply::Body(200, String::from_utf8(received.body.to_vec()).unwrap()),
            Answers::Late => Reply::Hang,
        },
    });
    (receiver.await, answers)
}

fn challenge_of(received: &Received) -> Option<String> {
    let body: Value = serde_json::from_slice(&received.body).ok()?;
    (body["type"] == KIND).then(|| body["challenge"].as_str().unwrap().to_owned())
}

async fn put(host: &Host, url: &str, fields: Value) {
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let mut endpoint = json!({ "url": url, "secrets": secrets, "verification": "challenge" });
    endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
}

async fn delivery_of(host: &Host, event: &str) -> String {
    host.run_with(event, "routed").await["deliveries"][0].as_str().unwrap().to_owned()
}

async fn status_with(host: &Host, state: &str) -> Value {
    until(&format!("the endpoint to be {state}"), || async {
        let endpoint = host.admin.get("/v1/tenants/acme/endpoints/out").await.expect(200);
        (endpoint["status"]["state"] == state).then(|| endpoint["status"].clone())
    })
    .await
}

/// What came since it was asked last: a challenge, or something else.
async fn came(receiver: &Receiver) -> Vec<&'static str> {
    let name = |received: &Received| match (challenge_of(received), &received.method) {
        (Some(_), &Method::POST) => "challenge",
        (None, &Method::OPTIONS) => "handshake",
        (None, &Method::POST) => "delivery",
        other => panic!("{other:?}"),
    };
    receiver.rest().await.iter().map(name).collect()
}

#[tokio::test]
async fn nothing_is_sent_before_the_receiver_repeats_its_challenge() {
    let (receiver, answers) = challenged(Answers::Nothing).await;
    let host = Host::start_with(SETTINGS).await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, &receiver.url("/in"), json!({ "retry": { "schedule_s": [0] } })).await;
    host.route("all", json!([])).await;
    let first = delivery_of(&host, &host.event("x", "1").await).await;
    let reason = status_with(&host, "held").await["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("does not show that it is the one that was meant"), "{reason}");
    assert!(reason.contains("(204 No Content) does not repeat its `challenge`"), "{reason}");

    // It is asked again and again, with another challenge each time, and the delivery loses nothing by it.
    let mut asked = Vec::new();
    for wrong in [Answers::Another, Answers::Echo, Answers::Nothing] {
        *answers.lock().unwrap() = wrong;
        let question = receiver.next().await;
        assert_eq!((&question.method, question.path.as_str()), (&Method::POST, "/in"));
        assert!(question.headers.contains_key("webhook-signature") && question.id() != first, "{question:?}");
        asked.push((question.id().to_owned(), challenge_of(&question).unwrap()));
    }
    asked.sort_unstable();
    asked.dedup_by(|one, other| one.0 == other.0 || one.1 == other.1);
    assert_eq!(asked.len(), 3, "{asked:?}");
    let waiting = host.delivery_with(&first, "pending").await;
    assert_eq!(
        (&waiting["schedule_position"], &waiting["attempts"][0]["error"]["code"]),
        (&json!(0), &json!("verification"))
    );

    *answers.lock().unwrap() = Answers::Json;
    host.delivery_with(&first, "delivered").await;
    status_with(&host, "working").await;
    let came = came(&receiver).await;
    let (last, questions) = came.split_last().unwrap();
    assert!(*last == "delivery" && questions.iter().all(|question| *question == "challenge"), "{came:?}");
}

#[tokio::test]
async fn a_receiver_is_asked_once_and_anew_after_a_change_and_a_start() {
    let (receiver, answers) = challenged(Answers::Json).await;
    let (moved, _) = challenged(Answers::Text).await;
    let mut host = Host::start_with(SETTINGS).await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, &receiver.url("/"), json!({})).await;
    host.route("all", json!([])).await;
    let send = async |host: &Host, to: &Receiver| {
        let id = delivery_of(host, &host.event("x", "1").await).await;
        host.delivery_with(&id, "delivered").await;
        came(to).await
    };
    assert_eq!(send(&host, &receiver).await, ["challenge", "delivery"]);
    assert_eq!(send(&host, &receiver).await, ["delivery"]);
    put(&host, &moved.url("/"), json!({})).await;
    assert_eq!(send(&host, &moved).await, ["challenge", "delivery"]);
    assert_eq!(send(&host, &moved).await, ["delivery"]);
    *answers.lock().unwrap() = Answers::Text;
    put(&host, &receiver.url("/"), json!({})).await;
    assert_eq!(send(&host, &receiver).await, ["challenge", "delivery"]);
    host.kill().await;
    host.start_again().await;
    assert_eq!(send(&host, &receiver).await, ["challenge", "delivery"]);
    assert!(moved.rest().await.is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_late_fails_the_attempt_like_one_that_is_not_there() {
    let (receiver, answers) = challenged(Answers::Late).await;
    let host = Host::start_with(SETTINGS).await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, &receiver.url("/"), json!({ "timeout_ms": 100, "retry": { "schedule_s": [0] } })).await;
    host.route("all", json!([])).await;
    let dead = delivery_of(&host, &host.event("x", "1").await).await;
    let error = host.delivery_with(&dead, "dead").await["attempts"][0]["error"].clone();
    assert_eq!(error["code"], "verification");
    assert!(error["message"].as_str().unwrap().contains("no answer within timeout_ms (100)"), "{error}");
    assert_eq!(
        (status_with(&host, "failing").await["reason"].clone(), came(&receiver).await.len()),
        (error["message"].clone(), 1)
    );

    *answers.lock().unwrap() = Answers::Json;
    put(&host, &receiver.url("/"), json!({})).await;
    let next = delivery_of(&host, &host.event("x", "2").await).await;
    host.delivery_with(&next, "delivered").await;
    assert_eq!(came(&receiver).await, ["challenge", "delivery"]);
}

#[tokio::test]
async fn a_handshake_comes_before_a_challenge() {
    let (receiver, answers) = challenged(Answers::Another).await;
    let host = Host::start_with(SETTINGS).await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, &receiver.url("/"), json!({ "handshake": true })).await;
    host.route("all", json!([])).await;
    let delivery = delivery_of(&host, &host.event("x", "1").await).await;
    status_with(&host, "held").await;
    *answers.lock().unwrap() = Answers::Json;
    host.delivery_with(&delivery, "delivered").await;
    let came = came(&receiver).await;
    let (last, questions) = came.split_last().unwrap();
    assert!(*last == "delivery" && questions.len() >= 4, "{came:?}");
    assert!(questions.chunks(2).all(|pair| pair == ["handshake", "challenge"]), "{came:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_about_is_refused() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let endpoint = json!({ "url": "http://127.0.0.1:1/{event_type}", "verification": "challenge" });
    let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &endpoint).await.problem(422);
    assert_eq!(problem["pointer"], "/verification", "{problem}");
    let endpoint = json!({ "url": "http://127.0.0.1:1/{event_type}", "verification": "none" });
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
}
