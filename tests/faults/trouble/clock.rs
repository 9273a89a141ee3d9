//! The clock jumps: a day forwards, and back again. Nothing is lost, nothing goes twice, what is new goes at once in every time, and what
//! waits for its next attempt waits by the clock.

use super::super::support::{Client, OPERATOR_KEY, PATIENCE, Receiver, Reply, until};
use hookswitch::app::{Host, Settings, Sockets};
use hookswitch::clock::Clock;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How often it is looked whether an event has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many events there are in each time.
const EVENTS: u64 = 200;
/// How long a delivery waits that the receiver has refused.
const WAIT_S: u64 = 3600;

/// A host in this process, by a clock of ours.
struct Scene {
    clock: Clock,
    ingest: Client,
    admin: Client,
    receiver: Receiver,
    refuses: Arc<AtomicBool>,
    /// How often each event was taken by the receiver.
    taken: Arc<Mutex<BTreeMap<u64, u32>>>,
}

pub(super) async fn run() -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    write_key(dir.path());
    let text = "ingest.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\ntransport.allow = [\"127.0.0.0/8\"]\n";
    let settings = Settings::parse("the settings", text).unwrap();
    let (sockets, clock) = (Sockets::bind(&settings).await.unwrap(), Clock::shifted());
    let host = Host::start(&settings, dir.path(), &sockets, clock.clone()).await.unwrap();
    let scene = Scene::new(&host, clock).await;
    let told = scene.play().await;
    host.stop().await;
    told
}

fn write_key(data: &std::path::Path) {
    use std::io::Write as _;
    let mut options = std::fs::File::options();
    let mut file = options.create_new(true).write(true).mode(0o600).open(data.join("operator.key")).unwrap();
    file.write_all(OPERATOR_KEY.as_bytes()).unwrap();
}

impl Scene {
    async fn new(host: &Host, clock: Clock) -> Self {
        let (refuses, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeMap::new())));
        let (refusing, taking) = (Arc::clone(&refuses), Arc::clone(&taken));
        let receiver = Receiver::answering(move |received| {
            if refusing.load(Ordering::Relaxed) {
                return Reply::status(503);
            }
            let number = received.json()["n"].as_u64().unwrap();
            *taking.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_default() += 1;
            Reply::status(200)
        })
        .await;
        let ingest = Client::new(&host.ingest.to_string(), None);
        let admin = Client::new(&host.admin.to_string(), Some(OPERATOR_KEY));
        let source = json!({ "verify": { "scheme": "none" }, "dedup": { "header": "x-dedup", "window_s": 3600 } });
        let endpoint =
            json!({ "url": receiver.url("/"), "secrets": [], "retry": { "schedule_s": [0, WAIT_S, WAIT_S] } });
        for (path, spec) in [
            ("", json!({})),
            ("/sources/in", source),
            ("/endpoints/out", endpoint),
            ("/routes/all", json!({ "source": "in", "to": { "endpoints": ["out"] } })),
        ] {
            let answer = admin.put(&format!("/v1/tenants/acme{path}"), &spec).await;
            assert!(answer.status.is_success(), "{path}: {}", String::from_utf8_lossy(&answer.body));
        }
        Self { clock, ingest, admin, receiver, refuses, taken }
    }

    async fn play(&self) -> Result<String, String> {
        let mut slowest = Duration::ZERO;
        slowest = slowest.max(self.send(0, "today").await?);
        self.refuse(EVENTS).await;
        self.clock.shift_ms(DAY_MS);
        // What waited an hour is due, and what is new is not kept by it.
        slowest = slowest.max(self.send(EVENTS + 1, "a day later").await?);
        self.arrives(EVENTS, "what waited an hour when the clock went a day forwards").await?;
        self.refuse(2 * EVENTS + 1).await;
        self.clock.shift_ms(0);
        slowest = slowest.max(self.send(2 * EVENTS + 2, "back again").await?);
        self.counted(2 * EVENTS + 1).await?;
        let again = self.event(EVENTS + 1).await;
        if again["duplicate"] != true {
            return Err(format!("an event of tomorrow is not known today: {again}"));
        }
        if self.times(2 * EVENTS + 1) != 0 {
            return Err("what waits until tomorrow went today".to_owned());
        }
        self.clock.shift_ms(2 * DAY_MS);
        self.event(3 * EVENTS + 2).await;
        self.arrives(2 * EVENTS + 1, "what waited when the clock went back").await?;
        self.arrives(3 * EVENTS + 2, "the last").await?;
        let twice =
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|times| **times > 1).count();
        if twice > 0 {
            return Err(format!("{twice} events were delivered twice"));
        }
        self.receiver.rest().await;
        Ok(format!(
            "{} events around jumps of a day forwards and back, each once; {EVENTS} at most in {slowest:.0?}",
            3 * EVENTS + 3
        ))
    }

    /// What was counted in the last hour of this time: what was sent in it, and nothing of tomorrow's.
    async fn counted(&self, requests: u64) -> Result<(), String> {
        let counted = self.admin.get("/v1/tenants/acme/sources/in/statistics").await.expect(200);
        let found = &counted["last_hour"]["requests"];
        if *found == requests { Ok(()) } else { Err(format!("{found} requests were counted, and {requests} sent")) }
    }

    async fn event(&self, number: u64) -> Value {
        let key = number.to_string();
        let headers = [("x-dedup", key.as_str()), ("content-type", "application/json")];
        self.ingest.send(Method::POST, "/in/acme/in", &headers, json!({ "n": number }).to_string()).await.expect(202)
    }

    /// Sends events from this number on, and waits for them. Answers how long that took.
    async fn send(&self, first: u64, when: &str) -> Result<Duration, String> {
        let began = Instant::now();
        for number in first..first + EVENTS {
            self.event(number).await;
        }
        for number in first..first + EVENTS {
            self.arrives(number, when).await?;
        }
        Ok(began.elapsed())
    }

    /// Sends one that the receiver refuses.
    async fn refuse(&self, number: u64) {
        self.refuses.store(true, Ordering::Relaxed);
        let id = self.event(number).await["id"].as_str().unwrap().to_owned();
        let event: Value = self.admin.get(&format!("/v1/tenants/acme/events/{id}")).await.expect(200);
        let delivery = event["runs"][0]["deliveries"][0].as_str().unwrap().to_owned();
        until("the delivery to be refused", || async {
            let delivery = self.admin.get(&format!("/v1/tenants/acme/deliveries/{delivery}")).await.expect(200);
            (delivery["attempts"].as_array().unwrap().len() == 1).then_some(())
        })
        .await;
        self.refuses.store(false, Ordering::Relaxed);
    }

    fn times(&self, number: u64) -> u32 {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied().unwrap_or_default()
    }

    async fn arrives(&self, number: u64, what: &str) -> Result<(), String> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let there = async {
            while self.times(number) == 0 {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, there).await.map_err(|_| format!("event {number} does not arrive: {what}"))
    }
}
