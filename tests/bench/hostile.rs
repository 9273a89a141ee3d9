//! `make hostile`: a real host serves two tenants. `mallory` uploads every hostile guest of `tests/hostile`, makes routes of them
//! and sends events through them; `acme` has one good filter and a low rate of events.
//!
//! First each guest by itself: what becomes of it, and by which error. Then rounds, quiet and under attack by turns: how long
//! an event of `acme` takes from its request to its delivery, how long `/healthz` takes. Beside them *busy*: as many events of
//! `mallory` through a good module, because two tenants share a disk, too, whatever their modules do. The clients share the
//! host's cores; so believe the ratios, and take the absolute figures for this machine's.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

#[path = "../hostile/mod.rs"]
mod hostile;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;

use hostile::{Fate, Hostile, all, flipped, good, hostile, truncated};
use http::Method;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Client, Host, Receiver, until};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
/// Between two events of `acme`, and between two looks at `/healthz`.
const PACE: Duration = Duration::from_millis(50);
/// Between two events of `mallory`: more than a core's worth of work.
const ATTACK_PACE: Duration = Duration::from_millis(10);
/// Between two uploads of `mallory`, and between two routes that never come to be.
const UPLOAD_PACE: Duration = Duration::from_millis(200);
/// How many events come at once in a storm: many more than there are threads, and instances in the pool.
const STORM: usize = 64;
/// How many modules with flipped bits are uploaded.
const FLIPS: usize = 300;

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(measure())
}

async fn measure() -> ExitCode {
    let host = Host::start_with("log.filter = \"error\"\nruntime.compile_cpu_s_max = 10\n").await;
    let (receiver, sink) = (Receiver::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    host.upload("match").await;
    host.route("all", json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }])).await;
    let mallory = Mallory::new(&host, &sink.url("/")).await;

    let (mut guests, mut contained) = (0, 0);
    let mut tell = |name: &str, verdict: Result<String, String>, began: Instant| {
        guests += 1;
        contained += usize::from(verdict.is_ok());
        let verdict = verdict.unwrap_or_else(|wrong| format!("NOT CONTAINED: {wrong}"));
        println!("{name:32} {verdict:44} {:>6.0} ms", millis(began.elapsed()));
    };
    let catalogue = all(true);
    for guest in &catalogue {
        let began = Instant::now();
        tell(guest.name, mallory.try_guest(guest).await, began);
    }
    for (name, uploads) in [("cut-off-at-every-section", truncated()), ("flipped-bits", flipped(FLIPS))] {
        let began = Instant::now();
        tell(name, mallory.try_uploads(&uploads).await, began);
    }
    let began = Instant::now();
    tell("storm-of-loops", mallory.try_storm().await, began);

    assert!(mallory.try_guest(&hostile("good", good(), Fate::Harmless)).await.is_ok());
    let (mallory, catalogue) = (Arc::new(mallory), Arc::new(catalogue));
    let (mut slowdowns, mut busy_slowdowns, mut health_ms) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let quiet = times(&host, &receiver).await;
        let busy = during(mallory.clone().events(vec!["good"]), &mallory, &host, &receiver).await;
        let attacked = during(attack(mallory.clone(), catalogue.clone()), &mallory, &host, &receiver).await;
        busy_slowdowns.push(median(&busy.events_ms) / median(&quiet.events_ms));
        slowdowns.push(median(&attacked.events_ms) / median(&quiet.events_ms));
        println!("round {round}: quiet {quiet}; busy {busy}; attacked {attacked}");
        health_ms.extend(attacked.health_ms);
    }
    println!("as many events through a good module slow the other tenant {:.2} times", median(&busy_slowdowns));
    host.admin.get("/readyz").await.expect(200);
    println!(
        "hostile: guests={guests} contained={contained} healthz_p99_ms={:.1} other_tenant_slowdown={:.2}",
        at(&health_ms, 99),
        median(&slowdowns)
    );
    if contained == guests { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The tenant that means no good.
struct Mallory {
    admin: Client,
    ingest: Client,
}

impl Mallory {
    async fn new(host: &Host, sink: &str) -> Self {
        host.put("/v1/tenants/mallory", &json!({})).await;
        host.put("/v1/tenants/mallory/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
        host.put("/v1/tenants/mallory/endpoints/out", &json!({ "url": sink, "secrets": [] })).await;
        Self { admin: host.admin.clone(), ingest: host.ingest.clone() }
    }

    /// Uploads a guest, makes a route of it and sends an event: what became of it.
    async fn try_guest(&self, guest: &Hostile) -> Result<String, String> {
        let Hostile { name, upload, fate } = guest;
        let (code, detail) = match self.upload(name, upload.clone()).await? {
            Some(refused) => match fate {
                Fate::Refused(..) => refused,
                _ => return Err(format!("refused, {}: {}", refused.0, refused.1)),
            },
            None if matches!(fate, Fate::Refused(..)) => return Err("it was taken".to_owned()),
            None => match self.route(name).await {
                // The admin interface tells the words only.
                Some(detail) => match fate {
                    Fate::NoRoute(code, _) => ((*code).to_owned(), detail),
                    _ => return Err(format!("no route: {detail}")),
                },
                None => self.run_of(&self.event(name).await).await,
            },
        };
        let (kind, expected, says) = match *fate {
            Fate::Refused(code, says) => ("refused", code, says),
            Fate::NoRoute(code, says) => ("refused to a route", code, says),
            Fate::Stopped(code, says) => ("stopped", code, says),
            Fate::Harmless if code.is_empty() => return Ok("harmless".to_owned()),
            Fate::Harmless => return Err(format!("{code}: {detail}")),
        };
        let met = code == expected && detail.contains(says);
        if met { Ok(format!("{kind}: {code}")) } else { Err(format!("{code}: {detail}")) }
    }

    /// Uploads what may be good or broken.
    async fn try_uploads(&self, uploads: &[Vec<u8>]) -> Result<String, String> {
        let mut refused = 0;
        for upload in uploads {
            refused += usize::from(self.upload("broken", upload.clone()).await?.is_some());
        }
        Ok(format!("refused: {refused} of {}", uploads.len()))
    }

    /// Many events at once for a module that never ends: each gets its turn.
    async fn try_storm(&self) -> Result<String, String> {
        for event in self.storm("loop-in-export").await {
            let (code, detail) = self.run_of(&event).await;
            if code != "time_limit" {
                return Err(format!("{code}: {detail}"));
            }
        }
        Ok(format!("stopped: {STORM} times time_limit"))
    }

    async fn storm(&self, guest: &'static str) -> Vec<String> {
        let mut events = JoinSet::new();
        for _ in 0..STORM {
            let ingest = self.ingest.clone();
            events.spawn(async move { send(&ingest, guest).await });
        }
        events.join_all().await
    }

    /// Sends events for one round: a storm, then for each of these guests by turns. Gives them all.
    async fn events(self: Arc<Self>, guests: Vec<&'static str>) -> Vec<String> {
        let end = Instant::now() + ROUND;
        let mut events = self.storm(guests[0]).await;
        let (mut ticks, mut guests, mut sent) = (ticks(ATTACK_PACE), guests.into_iter().cycle(), JoinSet::new());
        while Instant::now() < end {
            ticks.tick().await;
            let (mallory, name) = (self.clone(), guests.next().unwrap());
            sent.spawn(async move { mallory.event(name).await });
        }
        events.extend(sent.join_all().await);
        events
    }

    /// The code and the words of a refusal.
    async fn upload(&self, name: &str, wasm: Vec<u8>) -> Result<Option<(String, String)>, String> {
        // Out of quarantine, so that the attack goes on.
        let path = format!("/v1/tenants/mallory/modules/{name}?quarantine_after=0");
        let answer = self.admin.put_bytes(&path, wasm).await;
        match answer.status.as_u16() {
            200 | 201 => Ok(None),
            413 | 422 => {
                let problem = answer.json();
                Ok(Some((word(&problem["code"]), word(&problem["detail"]))))
            }
            status => Err(format!("the host answered {status} to an upload")),
        }
    }

    /// The words of a refusal.
    async fn route(&self, guest: &str) -> Option<String> {
        let spec = json!({
            "source": "in", "event_types": [guest], "steps": [{ "module": guest }], "to": { "endpoints": ["out"] },
        });
        let answer = self.admin.put(&format!("/v1/tenants/mallory/routes/{guest}"), &spec).await;
        (!answer.status.is_success()).then(|| word(&answer.json()["detail"]))
    }

    async fn event(&self, guest: &str) -> String {
        send(&self.ingest, guest).await
    }

    /// How the run of an event ended; an empty code where it ended well.
    async fn run_of(&self, event: &str) -> (String, String) {
        let path = format!("/v1/tenants/mallory/events/{event}");
        until("a run of mallory's to end", || async {
            let run = self.admin.get(&path).await.expect(200)["runs"][0].clone();
            (run["status"] != "pending").then(|| (word(&run["failure"]["code"]), word(&run["failure"]["message"])))
        })
        .await
    }
}

/// Sends an event for a guest, and gives its id.
async fn send(ingest: &Client, guest: &str) -> String {
    let answer = ingest.send(Method::POST, "/in/mallory/in", &[("x-event-type", guest)], "{}").await;
    word(&answer.expect(202)["id"])
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The times while `work` goes on. What is left of it would disturb the next round: it is waited for.
async fn during(
    work: impl Future<Output = Vec<String>> + Send + 'static,
    mallory: &Mallory,
    host: &Host,
    receiver: &Receiver,
) -> Times {
    let work = tokio::spawn(work);
    let times = times(host, receiver).await;
    for event in work.await.unwrap() {
        mallory.run_of(&event).await;
    }
    times
}

/// One round of attack: a storm, then events for every guest by turns; uploads; routes that are never taken. Gives the events.
async fn attack(mallory: Arc<Mallory>, catalogue: Arc<Vec<Hostile>>) -> Vec<String> {
    let end = Instant::now() + ROUND;
    let mut all = JoinSet::new();
    let runs = catalogue.iter().filter(|guest| matches!(guest.fate, Fate::Stopped(..) | Fate::Harmless));
    all.spawn(mallory.clone().events(runs.map(|guest| guest.name).collect()));
    let (theirs, guests) = (mallory.clone(), catalogue.clone());
    all.spawn(async move {
        // Not those that keep the compiler busy: with them there would be no others.
        let quick = |guest: &&Hostile| matches!(guest.fate, Fate::Refused(code, _) if !code.starts_with("compile_"));
        let refused = guests.iter().filter(quick);
        let (mut ticks, mut refused, broken) = (ticks(UPLOAD_PACE), refused.cycle(), flipped(FLIPS));
        let mut broken = broken.iter().cycle();
        while Instant::now() < end {
            ticks.tick().await;
            theirs.upload("broken", refused.next().unwrap().upload.clone()).await.unwrap();
            theirs.upload("broken", broken.next().unwrap().clone()).await.unwrap();
        }
        Vec::new()
    });
    all.spawn(async move {
        let no_routes = catalogue.iter().filter(|guest| matches!(guest.fate, Fate::NoRoute(..)));
        let (mut ticks, mut no_routes) = (ticks(UPLOAD_PACE), no_routes.cycle());
        while Instant::now() < end {
            ticks.tick().await;
            assert!(mallory.route(no_routes.next().unwrap().name).await.is_some());
        }
        Vec::new()
    });
    all.join_all().await.concat()
}

/// What `acme` and the operator saw in a round, sorted.
struct Times {
    events_ms: Vec<f64>,
    health_ms: Vec<f64>,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (events, health) = (&self.events_ms, &self.health_ms);
        write!(f, "{:.2} ms (p99 {:.1}), /healthz p99 {:.1} ms", median(events), at(events, 99), at(health, 99))
    }
}

/// Sends `acme`'s events and looks at `/healthz` for one round, at a fixed pace whatever comes back.
async fn times(host: &Host, receiver: &Receiver) -> Times {
    let (mut events, mut looks) = (JoinSet::new(), JoinSet::new());
    let (mut ticks, end) = (ticks(PACE), Instant::now() + ROUND);
    let mut sent = Vec::new();
    let (mut arrived, mut next) = (Vec::new(), Box::pin(receiver.next()));
    loop {
        tokio::select! {
            received = &mut next, if arrived.len() < sent.len() => {
                arrived.push((received.json()["n"].as_u64().unwrap(), Instant::now()));
                next = Box::pin(receiver.next());
            }
            _ = ticks.tick(), if Instant::now() < end => {
                let (ingest, body) = (host.ingest.clone(), json!({ "n": sent.len() }).to_string());
                sent.push(Instant::now());
                events.spawn(async move { ingest.send(Method::POST, "/in/acme/in", &[], body).await.expect(202) });
                let admin = host.admin.clone();
                looks.spawn(async move {
                    let began = Instant::now();
                    assert_eq!(admin.get("/healthz").await.status, 200);
                    millis(began.elapsed())
                });
            }
            else => break,
        }
    }
    events.join_all().await;
    let took = arrived.iter().map(|(n, at)| millis(at.duration_since(sent[usize::try_from(*n).unwrap()])));
    Times { events_ms: sorted(took.collect()), health_ms: sorted(looks.join_all().await) }
}

fn ticks(pace: Duration) -> tokio::time::Interval {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn sorted(mut all: Vec<f64>) -> Vec<f64> {
    all.sort_by(f64::total_cmp);
    all
}

fn median(all: &[f64]) -> f64 {
    at(all, 50)
}

/// The value that so many percent are below.
fn at(all: &[f64], percent: usize) -> f64 {
    let all = sorted(all.to_vec());
    all[(all.len() * percent / 100).min(all.len() - 1)]
}
