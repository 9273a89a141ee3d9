//! The commands of a module's author: `check` says what is wrong, `test` says what a module makes of recorded events.

use super::support::{guest, hookswitch};
use std::path::Path;
use tempfile::TempDir;

/// What a command said, and whether it was content.
struct Said {
    ok: bool,
    out: String,
    err: String,
}

async fn module(dir: &Path, args: &[&str]) -> Said {
    let output = hookswitch().current_dir(dir).arg("module").args(args).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { ok: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A module's folder with the guest that does wrong what its settings say, and one fixture for each of these.
fn folder(fixtures: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &[u8]| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("build/misbehave.wasm", &guest("misbehave"));
    for (name, settings) in fixtures {
        write(&format!("fixtures/{name}/body.json"), br#"{"n": 9007199254740993}"#);
        write(&format!("fixtures/{name}/event.json"), br#"{"event_type": "push"}"#);
        write(&format!("fixtures/{name}/settings.json"), settings.as_bytes());
    }
    dir
}

#[tokio::test]
async fn check_shows_what_is_in_a_module_and_says_ok() {
    let dir = folder(&[]);
    let said = module(dir.path(), &["check", "build/misbehave.wasm"]).await;
    assert!(said.ok, "{}{}", said.out, said.err);
    for part in ["transform", "hookswitch:module@0.1.0", "(`event-body`, `origin`)", "`apply`", "64 MiB", "kept"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(said.out.contains("a transform that the host takes"), "{}", said.out);
}

#[tokio::test]
async fn check_says_what_is_wrong_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let contract = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/types.wit")).unwrap()
        + "world filter { import log; export configure: func(); export accept: func(); }";
    let core = |wat: &str, with_world: bool| {
        let mut core = wat::parse_str(wat).unwrap();
        if with_world {
            let mut resolve = wit_parser::Resolve::default();
            let package = resolve.push_str("module.wit", &contract).unwrap();
            let world = resolve.select_world(&[package], Some("filter")).unwrap();
            let encoding = wit_component::StringEncoding::UTF8;
            wit_component::embed_component_metadata(&mut core, &resolve, world, encoding).unwrap();
        }
        core
    };
    let (configure, accept) = (r#"(func (export "configure"))"#, r#"(func (export "accept"))"#);
    let wasi = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    let cases = [
        (core(&format!("(module {accept})"), true), "lacks `configure`"),
        (core(&format!("(module {configure})"), true), "lacks `accept`, `apply` or `route`"),
        (core(&format!("(module {wasi} {configure} {accept})"), true), "not for wasm32-wasip1"),
        (core(&format!("(module {configure} {accept})"), false), "component-type"),
        (b"(module)".to_vec(), "text format"),
    ];
    for (wasm, words) in cases {
        std::fs::write(dir.path().join("m.wasm"), wasm).unwrap();
        let said = module(dir.path(), &["check", "m.wasm"]).await;
        assert!(
            !said.ok && said.err.contains("m.wasm is refused") && said.err.contains(words),
            "{words}: {}",
            said.err
        );
    }
}

#[tokio::test]
async fn test_accepts_what_is_told_to_and_shows_where_a_result_differs() {
    let dir = folder(&[("same", r#"{"do": "none"}"#), ("fails", r#"{"do": "fail"}"#)]);
    let first = module(dir.path(), &["test"]).await;
    assert!(!first.ok && first.out.contains("`--update` writes this result"), "{}", first.out);

    let update = module(dir.path(), &["test", "--update"]).await;
    assert!(update.ok && update.out.contains("2 written"), "{}{}", update.out, update.err);
    let expected = dir.path().join("fixtures/same/expected.json");
    assert_eq!(std::fs::read_to_string(&expected).unwrap(), "{\n  \"messages\": [\n    {}\n  ]\n}\n");
    let again = module(dir.path(), &["test"]).await;
    assert!(again.ok && again.out.contains("2 fixtures: 2 ok, 0 failed"), "{}{}", again.out, again.err);
    for part in
        ["of 100 ms (runtime.max_time_ms)", "of 64 MiB (runtime.memory_bytes_max)", "fuel, the same at every run"]
    {
        assert_eq!(again.out.matches(part).count(), 2, "{part}: {}", again.out);
    }

    // The last digit counts.
    std::fs::write(&expected, r#"{"messages": [{"body": {"n": 9007199254740992}}]}"#).unwrap();
    let differs = module(dir.path(), &["test"]).await;
    let line = "differs   /messages/0/body/n: expected 9007199254740992, got 9007199254740993";
    assert!(!differs.ok && differs.out.contains(line), "{}", differs.out);
}

#[tokio::test]
async fn a_panic_is_told_in_its_own_words_and_functions() {
    let dir = folder(&[("panics", r#"{"do": "panic"}"#), ("loops", r#"{"do": "loop"}"#)]);
    let said = module(dir.path(), &["test", "--update"]).await;
    assert!(!said.ok && !dir.path().join("fixtures/panics/expected.json").exists(), "{}", said.out);
    let panic = said.out.lines().find(|line| line.contains("told to panic")).unwrap();
    assert!(panic.contains("the module trapped: panicked at tests/guests/misbehave/src/lib.rs:"), "{panic}");
    assert!(panic.contains("misbehave was told to panic; in `hookswitch_guest_misbehave::"), "{panic}");
    for noise in ["core::", "std::", "rust_", "0x", "backtrace"] {
        assert!(!panic.contains(noise), "{noise}: {panic}");
    }
    assert!(said.out.contains("(time_limit)") && said.out.contains("did not end by itself"), "{}", said.out);
}

#[tokio::test]
async fn the_cost_is_the_same_at_every_run_and_the_limits_are_the_hosts() {
    let dir = folder(&[("spins", r#"{"do": "spin", "rounds": 100000}"#), ("hoards", r#"{"do": "memory"}"#)]);
    let cost = |said: &Said| {
        let costs = said.out.lines().filter(|line| line.contains("cost  ")).map(str::to_owned);
        costs.collect::<Vec<_>>()
    };
    // Time enough on a busy machine to reach the other bounds first.
    let config = |more: &str| {
        std::fs::write(dir.path().join("host.toml"), format!("runtime.max_time_ms = 10000\n{more}")).unwrap();
        ["test", "--update", "--config", "host.toml"]
    };
    let first = module(dir.path(), &config("")).await;
    let second = module(dir.path(), &config("")).await;
    assert_eq!(cost(&first), cost(&second));
    assert!(cost(&first).len() == 2 && cost(&first).iter().all(|line| line.contains("fuel")), "{}", first.out);
    let memory = first.out.lines().find(|line| line.contains("memory  ")).unwrap().trim();
    assert!(
        memory.starts_with("memory    6") && memory.ends_with(" of 64 MiB (runtime.memory_bytes_max); close to it"),
        "it took what there was: {memory}"
    );

    let small = module(dir.path(), &config("runtime.memory_bytes_max = 8388608\n")).await;
    assert!(small.out.contains("of 8 MiB (runtime.memory_bytes_max)"), "{}", small.out);
    assert!(small.out.contains("`runtime.memory_bytes_max` is 8388608"), "{}", small.out);
}

#[tokio::test]
async fn a_module_that_keeps_state_finds_it_empty_in_every_fixture() {
    let dir = folder(&[("first", r#"{"do": "count"}"#), ("second", r#"{"do": "count"}"#)]);
    std::fs::write(dir.path().join("build/misbehave.wasm"), guest("stateful")).unwrap();
    for name in ["first", "second"] {
        let expected = r#"{"messages": [{"body": {"n": 9007199254740993, "count": 1}}]}"#;
        std::fs::write(dir.path().join(format!("fixtures/{name}/expected.json")), expected).unwrap();
    }
    let said = module(dir.path(), &["test"]).await;
    assert!(said.ok && said.out.contains("2 fixtures: 2 ok, 0 failed"), "{}{}", said.out, said.err);
}

#[tokio::test]
async fn a_mistake_in_a_fixture_is_told_with_its_file() {
    let dir = folder(&[("odd", r#"{"do": "none"}"#)]);
    let odd = dir.path().join("fixtures/odd");
    let told = async |file: &str, content: &str, words: &str| {
        let before = std::fs::read(odd.join(file)).ok();
        std::fs::write(odd.join(file), content).unwrap();
        let said = module(dir.path(), &["test"]).await;
        assert!(!said.ok && said.err.contains(file) && said.err.contains(words), "{file} {content}: {}", said.err);
        match before {
            Some(before) => std::fs::write(odd.join(file), before).unwrap(),
            None => std::fs::remove_file(odd.join(file)).unwrap(),
        }
    };
    told("event.json", r#"{"event-type": "push"}"#, "unknown field `event-type`").await;
    told("event.json", r#"{"body": {}}"#, "a file of its own").await;
    told("settings.json", "{", "line 1").await;
    told("expected.json", "{]", "line 1").await;
    std::fs::remove_file(odd.join("body.json")).unwrap();
    let said = module(dir.path(), &["test"]).await;
    assert!(said.err.contains("has 0 files named body.*"), "{}", said.err);
    std::fs::remove_dir_all(dir.path().join("build")).unwrap();
    let said = module(dir.path(), &["test"]).await;
    assert!(said.err.contains("build the module first"), "{}", said.err);
}
