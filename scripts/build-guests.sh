#!/bin/sh
# Builds the filters and the test guests to core WebAssembly modules in target/guests (or $CARGO_TARGET_DIR/guests).
# Only these crates are built: the host and its wasmtime are not.
set -eu
cd "$(dirname "$0")/.."

# <the crate> <the module's file name>
guests="
hookswitch-filter-match match
hookswitch-filter-reshape reshape
hookswitch-filter-github-to-slack github-to-slack
hookswitch-filter-split split
hookswitch-filter-redact redact
hookswitch-filter-xml-to-json xml-to-json
hookswitch-filter-cloudevents cloudevents
hookswitch-filter-sample sample
hookswitch-filter-threshold threshold
hookswitch-filter-dedupe dedupe
hookswitch-guest-ten-lines ten-lines
hookswitch-guest-transcode transcode
hookswitch-guest-misbehave misbehave
hookswitch-guest-no-op no-op
hookswitch-guest-route-by-label route-by-label
hookswitch-guest-stateful stateful
"

settings=$(scripts/wasm-target.sh --env)
eval "$settings"

# A call within a module costs more than in native code, since the host counts function entries too: `make bench` shows what it gains.
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="${CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS:-} -C llvm-args=-inline-threshold=2000"
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS

packages=$(echo "$guests" | while read -r crate _; do [ -z "$crate" ] || printf -- '-p %s ' "$crate"; done)
# shellcheck disable=SC2086  # both are lists of words
"${CARGO:-cargo}" build --profile guest --target wasm32-unknown-unknown $packages $WASM_CARGO_FLAGS

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/guests"
echo "$guests" | while read -r crate name; do
    [ -n "$crate" ] || continue
    built="$target/wasm32-unknown-unknown/guest/$(echo "$crate" | tr - _).wasm"
    # Under another name first: whoever reads the module meanwhile sees the old one or the new one, whole.
    cp "$built" "$target/guests/.$name.wasm.new"
    mv "$target/guests/.$name.wasm.new" "$target/guests/$name.wasm"
    echo "$target/guests/$name.wasm $(wc -c <"$target/guests/$name.wasm") bytes"
done
