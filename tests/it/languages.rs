//! The way of somebody who begins a module, in the languages whose modules are built in seconds: `new`, `build`, `check`, `test`.
//!
//! Python is left to `make guests`: it takes a minute to build and to compile. One language goes after the other, since each takes
//! what the machine has.

use super::support::languages::{home, module, must, share_target};
use std::sync::{Mutex, PoisonError};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn is_made_built_checked_and_tested(language: &str, world: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = home().join("walk").join(language);
    drop(std::fs::remove_dir_all(&dir));

    let made = must(&["new", "--lang", language, "--world", world], &dir);
    assert!(made.contains("hookswitch module build"), "it says what is next: {made}");
    if language == "rust" {
        share_target(&dir);
    }
    let built = must(&["build"], &dir);
    assert!(built.lines().any(|line| line.starts_with("built ")), "{built}");
    let checked = must(&["check"], &dir);
    assert!(checked.contains(&format!("a {world} that the host takes")) && !checked.contains("wasi"), "{checked}");
    let tested = must(&["test"], &dir);
    assert!(tested.contains("2 fixtures: 2 ok, 0 failed"), "{tested}");

    let expected = dir.join("fixtures/push/expected.json");
    std::fs::write(&expected, r#"{"failure": {"code": "a", "message": "b"}}"#).unwrap();
    let (content, told) = module(&["test"], &dir);
    assert!(!content && told.contains("differs   /failure: expected {"), "{told}");
}

#[test]
fn a_module_in_rust() {
    is_made_built_checked_and_tested("rust", "transform");
}

#[test]
fn a_module_in_javascript() {
    is_made_built_checked_and_tested("javascript", "filter");
}

#[test]
fn a_module_in_typescript() {
    is_made_built_checked_and_tested("typescript", "transform");
}

#[test]
fn a_module_in_c() {
    is_made_built_checked_and_tested("c", "filter");
}

#[test]
fn a_module_in_zig() {
    is_made_built_checked_and_tested("zig", "transform");
}

#[test]
fn a_module_in_go() {
    is_made_built_checked_and_tested("go", "transform");
}
