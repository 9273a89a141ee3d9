//! One module in one language: made, built, compiled, called, and how long that took.

use crate::answer;
use crate::cases::Case;
use bytes::Bytes;
use hookswitch::model::{Event, EventId, Header, Message, World};
use hookswitch::runtime::{Call, Module, Runtime};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How often the call is made whose time is told.
const TIMED_CALLS: usize = 101;

/// A module that was made from a template.
pub(crate) struct Guest {
    language: &'static str,
    world: World,
    dir: PathBuf,
    module: Module,
    wasm_bytes: usize,
    build_time: Duration,
    compile_time: Duration,
    slowest_us: Cell<u64>,
}

pub(crate) const HEADINGS: &str =
    "language    world          bytes   build s  compile ms  first ms   call ms  slowest ms";

impl Guest {
    /// Writes it anew, builds and compiles it.
    pub(crate) fn make(runtime: &Runtime, language: &'static str, world: World) -> Self {
        let dir = home().join(language).join(world.as_str());
        let _ = std::fs::remove_dir_all(&dir);
        let began = Instant::now();
        hookswitch(&["module", "new", "--lang", language, "--world", world.as_str()], &dir);
        let said = hookswitch(&["module", "build"], &dir);
        let build_time = began.elapsed();
        let built = said.lines().find_map(|line| line.strip_prefix("built ")?.split_once(' ')).expect("the path");
        let wasm = std::fs::read(built.0).unwrap();
        let began = Instant::now();
        let module = runtime.compile(&wasm).unwrap_or_else(|error| panic!("{language} {world}: {error}"));
        let compile_time = began.elapsed();
        println!("{language} {world}: {} bytes, built in {build_time:.1?}, compiled in {compile_time:.1?}", wasm.len());
        assert_eq!(module.world(), world);
        Self { language, world, dir, module, wasm_bytes: wasm.len(), build_time, compile_time, slowest_us: Cell::new(0) }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.language, self.world)
    }

    /// What it answers, as text that can be compared.
    pub(crate) fn answer(&self, case: &Case) -> String {
        let (answer, duration_us) = self.call(&case.event_type, &case.body, case.settings);
        self.slowest_us.set(self.slowest_us.get().max(duration_us));
        answer
    }

    fn call(&self, event_type: &str, body: &Bytes, settings: &str) -> (String, u64) {
        let event = Event {
            id: EventId::new(1_700_000_000_000, 7),
            seq: 0,
            tenant: "test".parse().unwrap(),
            source: "github".parse().unwrap(),
            event_type: event_type.to_owned(),
            content_type: "application/json".to_owned(),
            received_at_ms: 1_700_000_000_000,
            headers: vec![Header { name: "x-github-event".to_owned(), value: event_type.to_owned() }],
            body_bytes: body.len() as u64,
            dedup_key: None,
        };
        let message = Message::of_event(&event, body);
        let report = self.module.call(&Call::trial(&event, body, &message, settings));
        (answer::text(report.result, &message), report.duration_us)
    }

    /// Counts, and tells, the fixtures of its template that do not come out as expected.
    pub(crate) fn failing_fixtures(&self) -> usize {
        let fixtures = std::fs::read_dir(self.dir.join("fixtures")).unwrap().map(|entry| entry.unwrap().path());
        fixtures.filter(|fixture| !self.passes(fixture)).count()
    }

    fn passes(&self, fixture: &Path) -> bool {
        let read = |file: &str| std::fs::read_to_string(fixture.join(file));
        let event: serde_json::Value = serde_json::from_str(&read("event.json").unwrap()).unwrap();
        let body = Bytes::from(read("body.json").unwrap());
        let settings = read("settings.json").unwrap_or_else(|_| "{}".to_owned());
        let (answer, _) = self.call(event["event_type"].as_str().unwrap(), &body, &settings);
        let expected = answer::canonical(&read("expected.json").unwrap());
        if answer != expected {
            println!("{}: {}\n  answers  {answer}\n  expected {expected}", self.name(), fixture.display());
        }
        answer == expected
    }

    /// Its line in the table.
    pub(crate) fn row(&self) -> String {
        let fixture = self.dir.join("fixtures/pull_request");
        let body = std::fs::read(fixture.join("body.json")).unwrap().into();
        let settings = std::fs::read_to_string(fixture.join("settings.json")).unwrap();
        let mut times_us: Vec<u64> = (0..TIMED_CALLS).map(|_| self.call("pull_request", &body, &settings).1).collect();
        let first_us = times_us[0];
        times_us.sort_unstable();
        let ms = |us: u64| Duration::from_micros(us).as_secs_f64() * 1000.0;
        format!(
            "{:<11} {:<9} {:>10} {:>9.1} {:>11.0} {:>9.2} {:>9.3} {:>11.2}",
            self.language,
            self.world.as_str(),
            self.wasm_bytes,
            self.build_time.as_secs_f64(),
            self.compile_time.as_secs_f64() * 1000.0,
            ms(first_us),
            ms(times_us[TIMED_CALLS / 2]),
            ms(self.slowest_us.get()),
        )
    }
}

/// Where the modules are made; `scripts/setup-languages.sh` puts their tools there.
fn home() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("languages")
}

/// Runs the command line, in an environment in which Rust modules can be built, and answers what it says.
fn hookswitch(arguments: &[&str], dir: &Path) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let script = r#"settings=$(scripts/wasm-target.sh --env 2>/dev/null) || exit; eval "$settings"
        [ -z "$WASM_CARGO_FLAGS" ] || export CARGO_UNSTABLE_BUILD_STD=std,panic_abort
        exec "$@""#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_hookswitch")])
        .args(arguments)
        .arg(dir)
        .current_dir(repository);
    let output = command.output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?} {} failed:\n{said}{complained}", dir.display());
    said.into_owned()
}
