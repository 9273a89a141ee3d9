//! A host in a process of its own, on ports that were free.

use super::{Client, PATIENCE, Receiver, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The operator's key of every host under test.
pub(crate) const OPERATOR_KEY: &str = "the-operator-key-of-the-tests";

/// A running host. Dropping it kills the process.
pub(crate) struct Host {
    child: Child,
    /// Where events go.
    pub(crate) ingest: Client,
    /// The admin interface, with the operator's key.
    pub(crate) admin: Client,
    /// The admin interface's address.
    pub(crate) admin_url: String,
    /// The ingest's address.
    pub(crate) ingest_url: String,
    dir: TempDir,
    data: PathBuf,
    settings: String,
}

/// What a host under test may reach, as TOML, unless the test is about just that.
const LOOPBACK: &str = r#"["127.0.0.0/8"]"#;

/// What a host under test has set: what it may reach, and what a test adds.
fn settings(allow: &str, more: &str) -> String {
    format!("ingest.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\ntransport.allow = {allow}\n{more}")
}

impl Host {
    /// Starts a host with an empty data directory.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a host with further settings, as dotted TOML keys.
    pub(crate) async fn start_with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let started = Self::start_in(hookswitch(), dir, data, settings(LOOPBACK, more));
        started.await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Starts a host by this command, which may reach what `allow` says, a TOML array, and beyond that what everybody may.
    pub(crate) async fn start_allowing(command: Command, allow: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::start_in(command, dir, data, settings(allow, more)).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Starts a host on this data directory, with its settings and its log elsewhere.
    pub(crate) async fn start_on(data: PathBuf, more: &str) -> Result<Self, String> {
        Self::start_in(hookswitch(), tempfile::tempdir().unwrap(), data, settings(LOOPBACK, more)).await
    }

    async fn start_in(command: Command, dir: TempDir, data: PathBuf, settings: String) -> Result<Self, String> {
        let mut child = spawn(command, dir.path(), &data, &settings);
        let (ingest_url, admin_url) = ready(&mut child, dir.path()).await?;
        let (ingest, admin) = clients(&ingest_url, &admin_url);
        Ok(Self { child, ingest, admin, admin_url, ingest_url, dir, data, settings })
    }

    /// Starts it again on the same data directory; an error says why it did not.
    pub(crate) async fn try_start_again(&mut self) -> Result<(), String> {
        self.child = spawn(hookswitch(), self.dir.path(), &self.data, &self.settings);
        let (ingest_url, admin_url) = ready(&mut self.child, self.dir.path()).await?;
        (self.ingest, self.admin) = clients(&ingest_url, &admin_url);
        (self.ingest_url, self.admin_url) = (ingest_url, admin_url);
        Ok(())
    }

    /// Starts it again, and kills it after so long, ready or not.
    pub(crate) async fn start_and_kill(&mut self, after: Duration) {
        self.child = spawn(hookswitch(), self.dir.path(), &self.data, &self.settings);
        // Unless it ends before by itself.
        let _ = tokio::time::timeout(after, self.child.wait()).await;
        self.kill().await;
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The processes that it has started and that are still there.
    #[cfg(target_os = "linux")]
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id().unwrap())).unwrap();
        let of_task =
            |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let all: String = tasks.map(|task| of_task(task.unwrap())).collect();
        all.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Kills it with -9, as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// Tells it to stop with SIGTERM, and waits until it has.
    ///
    /// # Panics
    /// Where it does not end well.
    pub(crate) async fn terminate(&mut self) {
        self.tell_to_stop().await;
        self.stopped().await;
    }

    /// Sends SIGTERM.
    pub(crate) async fn tell_to_stop(&self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// Waits until it has stopped.
    ///
    /// # Panics
    /// Where it does not end well.
    pub(crate) async fn stopped(&mut self) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it stops in time").unwrap();
        assert!(status.success(), "{status}");
    }

    /// Starts it again on the same data directory.
    pub(crate) async fn start_again(&mut self) {
        self.try_start_again().await.unwrap_or_else(|why| panic!("{why}"));
    }

    /// Starts it again on the same data directory, with these further settings in place of the ones before.
    pub(crate) async fn start_again_with(&mut self, more: &str) {
        self.settings = settings(LOOPBACK, more);
        self.start_again().await;
    }

    /// Puts a resource and checks that it was taken.
    pub(crate) async fn put(&self, path: &str, spec: &Value) -> Value {
        let answer = self.admin.put(path, spec).await;
        assert!(answer.status.is_success(), "{path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// Uploads a guest as the operator's module of the same name.
    pub(crate) async fn upload(&self, guest: &str) {
        let answer = self.admin.put_bytes(&format!("/v1/operator/modules/{guest}"), super::guest(guest)).await;
        assert!(answer.status.is_success(), "{guest}: {}", String::from_utf8_lossy(&answer.body));
    }

    /// Makes the tenant `acme` with a source `in` that verifies nothing, and an endpoint `out` at `url`, unsigned.
    pub(crate) async fn acme(&self, url: &str) {
        self.put("/v1/tenants/acme", &json!({})).await;
        self.put("/v1/tenants/acme/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
        self.put("/v1/tenants/acme/endpoints/out", &json!({ "url": url, "secrets": [] })).await;
    }

    /// A host with the tenant `acme`, whose endpoint `out` is the receiver, and these guests as the operator's modules.
    pub(crate) async fn with(guests: &[&str]) -> (Self, Receiver) {
        let (host, receiver) = (Self::start().await, Receiver::start().await);
        host.acme(&receiver.url("/out")).await;
        for guest in guests {
            host.upload(guest).await;
        }
        (host, receiver)
    }

    /// The day on which an event came in, in UTC, since 1970.
    pub(crate) async fn day(&self, event: &str) -> u64 {
        self.show(event).await["received_at_ms"].as_u64().unwrap() / 86_400_000
    }

    /// Makes a route of `acme` from `in` to `out` through these steps.
    pub(crate) async fn route(&self, name: &str, steps: Value) {
        let spec = json!({ "source": "in", "steps": steps, "to": { "endpoints": ["out"] } });
        self.put(&format!("/v1/tenants/acme/routes/{name}"), &spec).await;
    }

    /// Sends an event to `acme/in` and gives its id.
    pub(crate) async fn event(&self, event_type: &str, body: impl Into<bytes::Bytes>) -> String {
        let headers = [("x-event-type", event_type), ("content-type", "application/json")];
        let answer = self.ingest.send(http::Method::POST, "/in/acme/in", &headers, body).await;
        answer.expect(202)["id"].as_str().unwrap().to_owned()
    }

    /// An event of `acme` with its runs.
    pub(crate) async fn show(&self, event: &str) -> Value {
        self.admin.get(&format!("/v1/tenants/acme/events/{event}")).await.expect(200)
    }

    /// Waits until the first run of an event has this status, and gives the run.
    pub(crate) async fn run_with(&self, event: &str, status: &str) -> Value {
        until(&format!("a {status} run of {event}"), || async {
            let run = self.show(event).await["runs"][0].clone();
            (run["status"] == status).then_some(run)
        })
        .await
    }

    /// Has a job of `acme` run to its end, and gives it.
    pub(crate) async fn job(&self, body: Value) -> Value {
        let jobs = "/v1/tenants/acme/jobs";
        let job = self.admin.post(jobs, body.to_string()).await.expect(202);
        until("the job to be done", || async {
            let job = self.admin.get(&format!("{jobs}/{}", job["id"].as_str().unwrap())).await.expect(200);
            (job["state"] == "done").then_some(job)
        })
        .await
    }

    /// Waits until a delivery of `acme` has this status, and gives it with its attempts.
    pub(crate) async fn delivery_with(&self, id: &str, status: &str) -> Value {
        until(&format!("{id} to be {status}"), || async {
            let delivery = self.admin.get(&format!("/v1/tenants/acme/deliveries/{id}")).await.expect(200);
            (delivery["status"] == status).then_some(delivery)
        })
        .await
    }
}

fn clients(ingest: &str, admin: &str) -> (Client, Client) {
    (Client::new(ingest, None), Client::new(admin, Some(OPERATOR_KEY)))
}

/// The command under test, with nothing of this machine's environment that it could mind.
pub(crate) fn hookswitch() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_hookswitch")))
}

fn clean(mut command: Command) -> Command {
    command.env_remove("RUST_LOG").env_remove("HOOKSWITCH_MASTER_KEY").kill_on_drop(true);
    command.env("HOOKSWITCH_OPERATOR_KEY", OPERATOR_KEY);
    command
}

fn spawn(mut command: Command, dir: &Path, data: &Path, settings: &str) -> Child {
    let config = dir.join("host.toml");
    std::fs::write(&config, settings).unwrap();
    let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    command.arg("serve").arg("--config").arg(&config).arg("--data").arg(data);
    command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}

/// How much of its log is told where a host does not start.
const LOG_TOLD_BYTES_MAX: usize = 2000;

/// Waits until a host is ready, and gives its two addresses. One that ends before that says why in its log.
async fn ready(child: &mut Child, dir: &Path) -> Result<(String, String), String> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it is ready in time").unwrap();
    let Some(line) = line else {
        let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        // The words, and not the stack below them.
        let words = log.split("Stack backtrace").next().unwrap_or_default();
        let words = &words[words.floor_char_boundary(words.len().saturating_sub(LOG_TOLD_BYTES_MAX))..];
        return Err(format!("the host did not start: {words}"));
    };
    let field = |name: &str| {
        let value = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        value.unwrap_or_else(|| panic!("no {name} in `{line}`")).to_owned()
    };
    Ok((field("ingest="), field("admin=")))
}
