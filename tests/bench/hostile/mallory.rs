//! The tenant that means no good: uploads every guest, makes routes of them, sends events through them; and the attack, all at once.

use super::hostile::{Fate, Hostile, flipped};
use super::support::{Client, Host, until};
use super::times::ticks;
use super::{FLIPS, ROUND};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Between two events of `mallory`: more than a core's worth of work.
const ATTACK_PACE: Duration = Duration::from_millis(10);
/// Between two uploads of `mallory`, and between two routes that never come to be.
const UPLOAD_PACE: Duration = Duration::from_millis(200);
/// How many events come at once in a storm: many more than there are threads, and instances in the pool.
const STORM: usize = 64;
/// The guest that takes the compiler longest of those that are good for something: half a second of an idle processor.
const SLOW: &str = "many-live-values";

/// The tenant that means no good.
pub(super) struct Mallory {
    admin: Client,
    ingest: Client,
}

impl Mallory {
    pub(super) async fn new(host: &Host, sink: &str) -> Self {
        host.put("/v1/tenants/mallory", &json!({})).await;
        host.put("/v1/tenants/mallory/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
        host.put("/v1/tenants/eve", &json!({})).await;
        host.put("/v1/tenants/mallory/endpoints/out", &json!({ "url": sink, "secrets": [] })).await;
        Self { admin: host.admin.clone(), ingest: host.ingest.clone() }
    }

    /// Uploads a guest, makes a route of it and sends an event: what became of it.
    pub(super) async fn try_guest(&self, guest: &Hostile) -> Result<String, String> {
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
    pub(super) async fn try_uploads(&self, uploads: &[Vec<u8>]) -> Result<String, String> {
        let mut refused = 0;
        for upload in uploads {
            refused += usize::from(self.upload("broken", upload.clone()).await?.is_some());
        }
        Ok(format!("refused: {refused} of {}", uploads.len()))
    }

    /// Many events at once for a module that never ends: each gets its turn.
    pub(super) async fn try_storm(&self) -> Result<String, String> {
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
    pub(super) async fn events(self: Arc<Self>, guests: Vec<&'static str>) -> Vec<String> {
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
        self.upload_as("mallory", name, wasm).await
    }

    async fn upload_as(&self, tenant: &str, name: &str, wasm: Vec<u8>) -> Result<Option<(String, String)>, String> {
        let path = format!("/v1/tenants/{tenant}/modules/{name}?quarantine_after=0");
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
    pub(super) async fn run_of(&self, event: &str) -> (String, String) {
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

/// One round of attack: a storm, then events for every guest by turns; uploads; routes that are never taken. Gives the events.
pub(super) async fn attack(mallory: Arc<Mallory>, catalogue: Arc<Vec<Hostile>>, round: u32) -> Vec<String> {
    let end = Instant::now() + ROUND;
    let mut all = JoinSet::new();
    let runs = catalogue.iter().filter(|guest| matches!(guest.fate, Fate::Stopped(..) | Fate::Harmless));
    all.spawn(mallory.clone().events(runs.map(|guest| guest.name).collect()));
    let (theirs, guests) = (mallory.clone(), catalogue.clone());
    let (compiler, slow_ones) = (mallory.clone(), catalogue.clone());
    all.spawn(async move {
        // Not those that keep the compiler busy: with them there would be no others. Eve has her own turn.
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
    all.spawn(async move {
        let slow = slow_ones.iter().find(|guest| guest.name == SLOW).unwrap();
        for number in 0_u32.. {
            if Instant::now() >= end {
                break;
            }
            // Another one each time, by a section of no meaning: what was compiled before is not compiled again.
            let upload = [&slow.upload[..], &[0, 6, 1, b'n'], &(round << 16 | number).to_le_bytes()].concat();
            compiler.upload_as("eve", "slow", upload).await.unwrap();
        }
        Vec::new()
    });
    all.join_all().await.concat()
}
