//! Names whose addresses change between one question and the next, and names with good and bad addresses at once.
//!
//! What has to hold: what is dialled is what was checked. So a name is asked for once for each connection, what it answers later changes nothing of that
//! connection, and of the answers to one question only those are dialled that may be.

use super::cases::Fate::{self, Attempt, Delivered};
use super::drive::{Endpoint, Seen, Verdict, attempts};
use super::ground::Ground;
use super::support::{Host, Reply};
use serde_json::{Value, json};

/// The receiver's, which may be reached at its own port.
const GOOD: &str = "127.0.0.2";
const BAD: &str = "127.0.0.1";

const REFUSED: Fate = Attempt("address_refused", "a loopback address (127.0.0.0/8)");

/// One that is tried: what a name answers by turns, what is sent to it, and what has to become of each attempt.
pub(crate) struct Rebinding {
    pub(crate) what: &'static str,
    turns: &'static [&'static [&'static str]],
    /// How the receiver answers; by itself it takes everything.
    replies: Vec<Reply>,
    /// `{name}` stands for the name, `{path}` for a path of this case's own.
    fields: Value,
    /// How many deliveries are sent, one after the other.
    deliveries: usize,
    /// Of all attempts of all deliveries.
    fates: Vec<Fate>,
    /// How often the name's IPv4 addresses are asked for.
    asked: usize,
}

/// Every case.
pub(crate) fn rebindings() -> Vec<Rebinding> {
    let url = || json!({ "url": "http://{name}:{q}/{path}" });
    let again = || json!({ "url": "http://{name}:{q}/{path}", "retry": { "schedule_s": [0, 0] } });
    let failing = || vec![closing(500)];
    let case = |what, turns, fields, fates: Vec<Fate>| Rebinding {
        what,
        turns,
        replies: Vec::new(),
        fields,
        deliveries: 1,
        asked: fates.len(),
        fates,
    };
    let token = json!({
        "url": "http://127.0.0.2:{q}/",
        "auth": { "type": "oauth2", "token_url": "http://{name}:{q}/{path}", "client_id": "id", "client_secret": "s" },
    });
    let token_reply = Reply::Status(
        200,
        vec![("connection", "close".to_owned()), ("content-type", "application/json".to_owned())],
        r#"{"access_token": "t", "expires_in": 0}"#,
    );
    vec![
        case("good first, bad ever after: one attempt", &[&[GOOD], &[BAD]], url(), vec![Delivered]),
        case("bad first, good ever after: one attempt", &[&[BAD], &[GOOD]], url(), vec![REFUSED]),
        Rebinding {
            replies: failing(),
            ..case("good, then bad: a retry", &[&[GOOD], &[BAD]], again(), vec![Attempt("status", "500"), REFUSED])
        },
        case("bad, then good: a retry", &[&[BAD], &[GOOD]], again(), vec![REFUSED, Delivered]),
        Rebinding {
            deliveries: 3,
            replies: vec![closing(204)],
            ..case(
                "good, bad, good: three deliveries over a connection each",
                &[&[GOOD], &[BAD], &[GOOD]],
                url(),
                vec![Delivered, REFUSED, Delivered],
            )
        },
        Rebinding {
            deliveries: 3,
            asked: 1,
            ..case(
                "good, then bad: three deliveries over one connection that is kept",
                &[&[GOOD], &[BAD]],
                url(),
                vec![Delivered, Delivered, Delivered],
            )
        },
        Rebinding {
            deliveries: 2,
            replies: vec![token_reply],
            ..case(
                "good, then bad: a token for each of two deliveries",
                &[&[GOOD], &[BAD]],
                token,
                vec![Delivered, Attempt("token", "a loopback address (127.0.0.0/8)")],
            )
        },
        Rebinding {
            replies: vec![Reply::Status(
                200,
                vec![("connection", "close".to_owned()), ("webhook-allowed-origin", "*".to_owned())],
                "",
            )],
            asked: 2,
            ..case(
                "good for the handshake, bad for the delivery",
                &[&[GOOD], &[BAD]],
                json!({ "url": "http://{name}:{q}/{path}", "handshake": true }),
                vec![REFUSED],
            )
        },
        case("bad and good at once", &[&[BAD, GOOD]], url(), vec![Delivered]),
        case("good and bad at once", &[&[GOOD, BAD]], url(), vec![Delivered]),
        case("many bad ones and a good one", &[&["10.0.0.1", "::1", "169.254.169.254", GOOD]], url(), vec![Delivered]),
        case(
            "good and bad at once, and nobody listens at the good one",
            &[&[GOOD, BAD, "::1"]],
            json!({ "url": "http://{name}:{silent}/" }),
            vec![Attempt("connect", "")],
        ),
        case("good, and bad in disguise", &[&[GOOD, "::ffff:127.0.0.1"]], url(), vec![Delivered]),
        case("the good one in disguise", &[&["::ffff:127.0.0.2"]], url(), vec![Attempt("address_refused", "disguise")]),
        case("good at another port", &[&[GOOD]], json!({ "url": "http://{name}:{p}/" }), vec![REFUSED]),
    ]
}

fn closing(status: u16) -> Reply {
    Reply::Status(status, vec![("connection", "close".to_owned())], "")
}

impl Rebinding {
    pub(crate) async fn attempt(&self, host: &Host, ground: &Ground, number: usize) -> Verdict {
        let (name, path) = (format!("rebind-{number}.example"), format!("rebind-{number}"));
        ground.dns.turns(&name, self.turns);
        if !self.replies.is_empty() {
            ground.answer(&format!("/{path}"), self.replies.clone());
        }
        let fields = ground.url(&self.fields.to_string(), host).replace("{name}", &name).replace("{path}", &path);
        let fields = serde_json::from_str(&fields).unwrap();
        let endpoint = Endpoint::with(host, format!("e{number}"), fields).await.unwrap();
        let mut seen = Vec::new();
        let each = self.fates.len() / self.deliveries;
        for _ in 0..self.deliveries {
            let delivery = endpoint.send(host).await;
            seen.extend(attempts(host, &delivery, each).await);
        }
        let verdicts =
            seen.iter().zip(&self.fates).map(|(attempt, fate)| Seen::Attempt(attempt.clone()).as_it_should_be(fate));
        let verdicts = verdicts.collect::<Result<Vec<_>, _>>()?;
        let asked = ground.dns.asked(&name);
        let shown = format!("{}; asked {asked} times", verdicts.join(", then "));
        if seen.len() != self.fates.len() || asked != self.asked {
            return Err(format!(
                "{shown}; there were to be {} attempts and {} questions",
                self.fates.len(),
                self.asked
            ));
        }
        Ok(shown)
    }
}
