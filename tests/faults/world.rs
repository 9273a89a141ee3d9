//! What every fault happens to: a host with routes of each kind, a receiver, the load, and the books.

use super::ledger::{Counts, Ledger};
use super::load::Load;
use super::support::{Host, Receiver, Reply};
use super::traffic::{ENDPOINTS, IN_ORDER};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Settings of all hosts here: small, so that what happens seldom happens often.
pub(crate) const SETTINGS: &str = "log.filter = \"warn\"\nstore.cache_bytes = 16777216\n\
     store.journal_bytes_max = 1048576\nstore.snapshot_bytes_min = 8388608\n";
/// The same, of hosts that sweep all the time what is three seconds old. What is acknowledged arrives all the same.
pub(crate) fn sweeping() -> String {
    format!("{SETTINGS}retention.events_s = 3\n")
}

/// How long an attempt may take: so long that none ends for this.
const TIMEOUT_MS: u64 = 120_000;
/// How often, and how many requests at a time, the slow endpoint answers.
const SLOW_EVERY: Duration = Duration::from_millis(5);
const SLOW_ANSWERS: usize = 8;
/// For how long nothing arrives where a host has nothing left to do.
const QUIET: Duration = Duration::from_millis(500);
/// How often a host is asked whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The books, the load, and the receiver. Hosts come and go.
pub(crate) struct World {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) load: Load,
    pub(crate) receiver: Receiver,
    answering: JoinHandle<()>,
}

impl World {
    /// One for this seed.
    pub(crate) async fn new(seed: u64) -> Self {
        let ledger = Arc::new(Ledger::new(seed));
        let gate = Arc::new(Semaphore::new(0));
        let (books, slow) = (Arc::clone(&ledger), Arc::clone(&gate));
        let receiver = Receiver::answering(move |received| {
            let endpoint = ENDPOINTS.iter().position(|name| received.path.strip_prefix('/') == Some(name)).unwrap();
            let status = if books.arrived(endpoint, received.id(), &received.body) { 200 } else { 503 };
            if ENDPOINTS[endpoint] == "b" {
                Reply::StatusAfter(status, Arc::clone(&slow))
            } else {
                Reply::status(status)
            }
        })
        .await;
        let answering = tokio::spawn(async move {
            let mut turns = tokio::time::interval(SLOW_EVERY);
            loop {
                turns.tick().await;
                gate.forget_permits(SLOW_ANSWERS);
                gate.add_permits(SLOW_ANSWERS);
            }
        });
        Self { load: Load::new(seed, Arc::clone(&ledger)), ledger, receiver, answering }
    }

    /// Gives a new host its configuration.
    pub(crate) async fn configure(&self, host: &Host) {
        host.put("/v1/tenants/acme", &json!({})).await;
        for module in ["match", "stateful", "reshape"] {
            host.upload(module).await;
        }
        for name in ENDPOINTS {
            let schedule = [vec![0], vec![1; 31]].concat();
            let url = self.receiver.url(&format!("/{name}"));
            let ordering = if name == ENDPOINTS[IN_ORDER] { "key" } else { "none" };
            let spec = json!({
                "url": url, "secrets": [], "retry": { "schedule_s": schedule }, "timeout_ms": TIMEOUT_MS, "concurrency_max": 32,
                "ordering": ordering,
            });
            host.put(&format!("/v1/tenants/acme/endpoints/{name}"), &spec).await;
        }
        let pick = json!([{ "module": "operator/match", "settings": { "pointer": "/keep", "equals": true } }]);
        let count = json!([
            { "module": "operator/stateful", "settings": { "do": "count" }, "state": true },
            { "module": "operator/reshape", "settings": { "ordering_key": "${event:type}" } },
        ]);
        for (name, window_s, steps, to) in [
            ("plain", 3600, json!([]), json!(["a", "b"])),
            ("picked", 1, pick, json!(["c"])),
            ("large", 0, json!([]), json!(["a"])),
            ("ordered", 0, count, json!(["d"])),
        ] {
            let source = json!({
                "verify": { "scheme": "none" }, "dedup": { "header": "x-dedup", "window_s": window_s },
            });
            host.put(&format!("/v1/tenants/acme/sources/{name}"), &source).await;
            let route = json!({
                "source": name, "steps": steps, "to": { "endpoints": to }, "ordered": name == "ordered",
            });
            host.put(&format!("/v1/tenants/acme/routes/{name}"), &route).await;
        }
    }

    /// Waits until so many more events are acknowledged.
    pub(crate) async fn acked(&self, more: u64, patience: Duration) {
        let goal = self.ledger.acked_so_far() + more;
        self.ledger.until(patience, |counts| counts.acked >= goal).await;
    }

    /// Waits until so many more deliveries have arrived.
    pub(crate) async fn delivered(&self, more: u64, patience: Duration) {
        let goal = self.ledger.delivered_so_far() + more;
        self.ledger.until(patience, |counts| counts.delivered >= goal).await;
    }

    /// Waits until so many more events are refused.
    pub(crate) async fn refused(&self, more: u64, patience: Duration) {
        self.load.until_refused(more, patience).await;
    }

    /// Waits until the host says at `/readyz` that it is ready, or that it is not; and gives what it says.
    pub(crate) async fn readyz(&self, host: &Host, ready: bool, patience: Duration) -> Value {
        let deadline = Instant::now() + patience;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let asked = host.admin.try_send(http::Method::GET, "/readyz", &[], "");
            let answer = timeout(Duration::from_secs(5), asked).await;
            if let Ok(Ok(answer)) = answer
                && (answer.status == 200) == ready
            {
                break answer.json();
            }
            assert!(Instant::now() < deadline, "waited {patience:?} for /readyz to say ready={ready}");
        }
    }

    /// Ends a fault: drains, and closes the books. What is not as it should be is an error.
    pub(crate) async fn settle(&self, host: &Host, patience: Duration) -> Result<Counts, String> {
        self.load.send_again(&host.ingest).await;
        self.drained(patience).await;
        self.quiet(host, patience).await;
        let (counts, _) = self.ledger.close();
        let Counts { acked, lost, duplicated, misordered, wrong, wrongs, .. } = &counts;
        if lost + duplicated + misordered + wrong > 0 || *acked == 0 {
            return Err(format!(
                "acked={acked} lost={lost} duplicated={duplicated} misordered={misordered} wrong={wrong} {wrongs:?}"
            ));
        }
        Ok(counts)
    }

    /// Waits until everything acknowledged has arrived. Gives up when nothing arrives for `patience`.
    pub(crate) async fn drained(&self, patience: Duration) -> bool {
        let mut changes = self.ledger.changes();
        while self.ledger.missing() > 0 {
            if timeout(patience, changes.changed()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Waits until the host has nothing left to do, with what nobody was told of included.
    pub(crate) async fn quiet(&self, host: &Host, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut changes = self.ledger.changes();
        while Instant::now() < deadline {
            if timeout(QUIET, changes.changed()).await.is_ok() {
                continue;
            }
            let mut pending = 0;
            for name in ENDPOINTS {
                let path = format!("/v1/tenants/acme/deliveries?endpoint={name}&status=pending&limit=1");
                let page: Value = host.admin.get(&path).await.expect(200);
                pending += page["items"].as_array().map_or(0, Vec::len);
            }
            if pending == 0 {
                break;
            }
        }
        // Bodies that the receiver keeps.
        self.receiver.rest().await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

/// Prints what the books say. Answers whether all is well.
pub(crate) fn tell(name: &str, rounds: u64, counts: &Counts, first_arrivals: &[Duration]) -> bool {
    let at = |share: usize| {
        first_arrivals
            .get(first_arrivals.len().saturating_sub(1) * share / 100)
            .copied()
            .unwrap_or_default()
            .as_millis()
    };
    println!(
        "{name}: from ready to the first delivery of what was left: {} times, median {} ms, at most {} ms",
        first_arrivals.len(),
        at(50),
        at(100)
    );
    for wrong in &counts.wrongs {
        println!("{name}: wrong: {wrong}");
    }
    if counts.wrong > 0 {
        println!("{name}: {} things are wrong", counts.wrong);
    }
    let Counts { acked, delivered, lost, duplicated, in_flight, misordered, .. } = counts;
    println!(
        "{name}: rounds={rounds} acked={acked} delivered={delivered} lost={lost} duplicated={duplicated} in_flight={in_flight} \
         misordered={misordered}"
    );
    lost + duplicated + misordered + counts.wrong == 0
}
