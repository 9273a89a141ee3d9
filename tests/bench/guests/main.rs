//! `make guests`: one filter and one transform, in every language that `hookswitch module new` knows.
//!
//! Each is written by `module new`, built by `module build`, compiled by the host's own runtime with its default bounds (only the
//! time is longer: how long a call takes is told, and fails nothing on a busy machine), and called with every payload that GitHub
//! publishes, and with some odd ones. What a module answers has to be what the others answer: equal as JSON, with numbers as they are
//! written. `module test` has to be content with the fixtures of the templates, and with a module that uses all functions of
//! state; and no module may import anything beside the contract.
//!
//! `cargo bench --bench guests -- rust zig` takes only these languages.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

mod answer;
mod cases;
mod guest;
#[path = "../../it/support/languages.rs"]
mod tools;

use cases::Case;
use guest::Guest;
use hookswitch::model::World;
use hookswitch::runtime::{Config, Runtime};
use std::process::ExitCode;

const LANGUAGES: [&str; 7] = ["rust", "javascript", "typescript", "python", "go", "c", "zig"];
/// How long one call may take, in milliseconds.
const MAX_TIME_MS: u64 = 10_000;
/// How many differences are told.
const DIFFERENCES_TOLD_MAX: usize = 10;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let languages: Vec<_> = LANGUAGES
        .into_iter()
        .filter(|language| asked.is_empty() || asked.iter().any(|asked| asked == language))
        .collect();
    let runtime = Runtime::start(Config { max_time_ms: MAX_TIME_MS, ..Config::default() }).unwrap();
    let (mut wrong, mut rows) = (0, Vec::new());
    for world in [World::Filter, World::Transform] {
        let cases = cases::all(world);
        let mut reference: Option<Vec<String>> = None;
        for &language in &languages {
            let guest = Guest::make(&runtime, language, world);
            let answers: Vec<String> = cases.iter().map(|case| guest.answer(case)).collect();
            let expected = reference.get_or_insert_with(|| answers.clone());
            wrong += differences(&guest, &cases, &answers, expected) + guest.failing_fixtures();
            rows.push(guest.row());
            if world == World::Filter {
                wrong += guest.failing_state();
            }
        }
        tell_kinds(world, &reference.unwrap());
    }
    println!("\n{}", guest::HEADINGS);
    rows.iter().for_each(|row| println!("{row}"));
    println!(
        "call: the median of fresh instances on a pull request of 21 KB; first: the first of them; slowest: of all calls"
    );
    let equal = if wrong == 0 { "all".to_owned() } else { format!("no wrong={wrong}") };
    println!("guests: languages={} payloads={} equal={equal}", languages.len(), cases::github().len());
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Counts, and tells, where a guest answers other than the first language's.
fn differences(guest: &Guest, cases: &[Case], answers: &[String], expected: &[String]) -> usize {
    let all = cases.iter().zip(answers.iter().zip(expected));
    let wrong: Vec<_> =
        all.filter(|(_, (answer, expected))| answer != expected || answer.contains("\"error\"")).collect();
    for (case, (answer, expected)) in wrong.iter().take(DIFFERENCES_TOLD_MAX) {
        println!("{}: {}\n  answers  {answer}\n  expected {expected}", guest.name(), case.name);
    }
    wrong.len()
}

/// Says how many answers there are of each kind: that the cases reach all of them.
fn tell_kinds(world: World, answers: &[String]) {
    let kinds: &[&str] = match world {
        World::Filter => &["{\"decision\":\"accept\"", "{\"decision\":{\"reject\"", "{\"failure\""],
        _ => &["{\"messages\":[{", "{\"messages\":[]", "{\"failure\""],
    };
    let counts: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let count = answers.iter().filter(|answer| answer.starts_with(kind)).count();
            assert!(count > 0, "no case of the {world} is answered with {kind}");
            format!("{count} {}", kind.trim_matches(['{', '[']))
        })
        .collect();
    println!("{world}: {} calls in each language: {}", answers.len(), counts.join(", "));
}
