//! One module in one language: made, built, compiled, called, and how long that took.

use crate::cases::Case;
use crate::{answer, tools};
use bytes::Bytes;
use hookswitch::model::{Event, EventId, Header, Message, World};
use hookswitch::runtime::{Call, Module, Runtime};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the call is made whose time is told.
const TIMED_CALLS: usize = 101;

/// What the modules in `state/` find.
const STATE_FINDS: &str = r#"{"decision": {"reject": "4999999999 same v gone input-invalid"}}"#;

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
        let dir = tools::home().join(language).join(world.as_str());
        let _ = std::fs::remove_dir_all(&dir);
        let began = Instant::now();
        tools::must(&["new", "--lang", language, "--world", world.as_str()], &dir);
        if language == "rust" {
            tools::share_target(&dir);
        }
        let said = tools::must(&["build"], &dir);
        let build_time = began.elapsed();
        let built = said.lines().find_map(|line| line.strip_prefix("built ")?.split_once(' ')).expect("the path");
        let wasm = std::fs::read(built.0).unwrap();
        let foreign = imports_beside_the_contract(&wasm);
        assert!(foreign.is_empty(), "{language} {world} imports {foreign:?}");
        let began = Instant::now();
        let module = runtime.compile(&wasm).unwrap_or_else(|error| panic!("{language} {world}: {error}"));
        let compile_time = began.elapsed();
        println!("{language} {world}: {} bytes, built in {build_time:.1?}, compiled in {compile_time:.1?}", wasm.len());
        assert_eq!(module.world(), world);
        Self {
            language,
            world,
            dir,
            module,
            wasm_bytes: wasm.len(),
            build_time,
            compile_time,
            slowest_us: Cell::new(0),
        }
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
            event_type: event_type.to_owned(),
            content_type: "application/json".to_owned(),
            headers: vec![Header { name: "x-github-event".to_owned(), value: event_type.to_owned() }],
            ..Event::new(
                EventId::new(1_700_000_000_000, 7),
                "test".parse().unwrap(),
                "github".parse().unwrap(),
                body.len(),
            )
        };
        let message = Message::of_event(&event, body);
        let report = self.module.call(&Call::trial(&event, body, &message, settings));
        (answer::text(report.result, &message), report.duration_us)
    }

    /// What `module test` finds wrong with it: its template's fixtures.
    pub(crate) fn failing_fixtures(&self) -> usize {
        let (ok, said) = tools::module(&["test"], &self.dir);
        if !ok {
            println!("{}: its fixtures:\n{said}", self.name());
        }
        usize::from(!ok)
    }

    /// Makes another module of its folder, which uses all functions of state, and tells where it finds something else than it should.
    pub(crate) fn failing_state(&self) -> usize {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench/guests/state");
        let (from, to) = match self.language {
            "rust" => ("lib.rs", "src/lib.rs"),
            "javascript" => ("module.js", "module.js"),
            "typescript" => ("module.ts", "module.ts"),
            "python" => ("module.py", "module.py"),
            "go" => ("module.go", "module.go"),
            "c" => ("module.c", "module.c"),
            _ => ("module.zig", "module.zig"),
        };
        std::fs::copy(sources.join(from), self.dir.join(to)).unwrap();
        std::fs::remove_dir_all(self.dir.join("fixtures")).unwrap();
        let fixture = self.dir.join("fixtures/state");
        std::fs::create_dir_all(&fixture).unwrap();
        std::fs::write(fixture.join("body.json"), "{}").unwrap();
        std::fs::write(fixture.join("expected.json"), STATE_FINDS).unwrap();
        tools::must(&["build"], &self.dir);
        self.failing_fixtures()
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

/// What a module asks for that is not of `wit/`: nothing of WASI, nothing at all.
fn imports_beside_the_contract(wasm: &[u8]) -> Vec<String> {
    let imports = Runtime::inspect(wasm).expect("it is WebAssembly").imports.into_iter();
    imports.map(|import| import.from).filter(|from| !from.starts_with("hookswitch:module/")).collect()
}
