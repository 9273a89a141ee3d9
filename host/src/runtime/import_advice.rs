//! What to do about an import that the host does not give: which tool brings such an import into a module, and how to do without.

use super::WIT_VERSION;

/// How to build without WASI, in each language that has it.
const WITHOUT_WASI: &str = "Rust: build for wasm32-unknown-unknown, not for wasm32-wasip1 or -wasip2. JavaScript (componentize-js): \
    `disableFeatures: ['random', 'stdio', 'clocks', 'http', 'fetch-event']`. Python (componentize-py): `--stub-wasi`. C and Zig: \
    `-mexec-model=reactor`, and no function that prints, exits, or touches files (printf, exit, assert, fopen)";

/// What a module gets instead of what WASI has, by how the import begins. The first that fits counts.
const WASI: [(&str, &str); 8] = [
    ("wasi_", "this is WASI preview 1, which standard libraries use for output, files, clocks and exit"),
    ("wasi:random/", "a module has no random numbers, so that a run can be repeated"),
    ("wasi:clocks/", "a module's time is the event's `received-at-ms`"),
    ("wasi:filesystem/", "a module has no files: its settings and the event are all it reads"),
    ("wasi:http/", "a module has no network: it makes messages, and the host sends them"),
    ("wasi:sockets/", "a module has no network: it makes messages, and the host sends them"),
    ("wasi:cli/", "a module has no environment and no streams: it writes lines with `log.write`"),
    ("wasi:", "a module has no operating system around it"),
];

/// Other things that tools bring in, by how the import begins.
const OTHERS: [(&str, &str); 6] = [
    (
        "__wbindgen",
        "this is wasm-bindgen, for browsers and node. A crate was built for these: turn off its feature (such as `js`, \
         `wasmbind` or `wasm-bindgen` of getrandom, chrono or uuid); `cargo tree -i wasm-bindgen` says which crate it is",
    ),
    ("wbg", "this is wasm-bindgen, for browsers and node: build with cargo alone, without wasm-pack"),
    (
        "env",
        "a function was declared and never defined, and the linker let it pass. Define it, or leave out what calls it; with \
         Emscripten, build without its runtime",
    ),
    (
        "gojs",
        "this is Go's runtime for browsers, for which there is no replacement here: use another language or TinyGo",
    ),
    ("GOT.", "this is a module for dynamic linking: link it as a whole, without `-shared` or `-fPIC`"),
    ("hookswitch:module/endpoints", "only routers see the endpoints"),
];

/// What to do about this import.
pub(super) fn advice(import: &str) -> String {
    let found = |table: &[(&str, &'static str)]| {
        table.iter().find(|(begin, _)| import.starts_with(begin)).map(|(_, advice)| *advice)
    };
    if let Some(instead) = found(&WASI) {
        return format!("{instead}. {WITHOUT_WASI}");
    }
    if let Some(advice) = found(&OTHERS) {
        return advice.to_owned();
    }
    format!(
        "a module may import types, context, log and state of hookswitch:module@{WIT_VERSION}, a router endpoints too, and \
         nothing else"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_its_own_advice() {
        for (import, word) in [
            ("wasi_snapshot_preview1", "wasm32-unknown-unknown"),
            ("wasi:random/random@0.2.3", "no random numbers"),
            ("wasi:clocks/wall-clock@0.2.0", "received-at-ms"),
            ("wasi:cli/stdout@0.2.0", "log.write"),
            ("wasi:io/streams@0.2.0", "--stub-wasi"),
            ("__wbindgen_placeholder__", "cargo tree"),
            ("env", "never defined"),
            ("hookswitch:module/endpoints@0.1.0", "only routers"),
            ("hookswitch:module/files@0.1.0", "nothing else"),
            ("something", "nothing else"),
        ] {
            assert!(advice(import).contains(word), "{import}: {}", advice(import));
        }
    }
}
