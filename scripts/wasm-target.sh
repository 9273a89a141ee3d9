#!/bin/sh
# Makes sure that modules can be built here: that there is a Rust compiler with a standard library for WebAssembly.
#
#   scripts/wasm-target.sh         does what is needed and says in one line what is used
#   scripts/wasm-target.sh --env   the same, and prints to stdout what to `eval` before `cargo build --target wasm32-unknown-unknown`
#
# In this order: the target is there; rustup fetches it; Debian's packages (root or sudo, and apt-get) bring a compiler that
# builds the standard library itself. Safe to repeat.
set -eu

TARGET=wasm32-unknown-unknown

say() { echo "wasm-target: $*" >&2; }

# Prints what the caller has to set, if it asked for it.
answer() {
    if [ "${print_env:-}" = yes ]; then printf '%s\n' "$1"; fi
    say "$2"
    exit 0
}

target_is_there() {
    libdir=$("${RUSTC:-rustc}" --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
    ls "$libdir"/libcore-*.rlib >/dev/null 2>&1
}

# The packages, in a version that the workspace takes: Debian's security updates bring the newer ones.
debian_tools_are_there() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ] &&
        command -v wasm-ld-19 >/dev/null || return 1
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
    found=$(/usr/bin/rustc --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] && return 0
    say "/usr/bin/rustc is $found, and the workspace needs $wanted"
    return 1
}

# The compiler of the distribution is a stable one; -Zbuild-std, which makes the standard library, needs RUSTC_BOOTSTRAP.
answer_debian() {
    answer "unset RUSTUP_TOOLCHAIN
export RUSTC=/usr/bin/rustc CARGO=/usr/bin/cargo RUSTC_BOOTSTRAP=1
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
WASM_CARGO_FLAGS='-Zbuild-std=std,panic_abort'" "ready: Debian's $(/usr/bin/rustc --version)"
}

case "${1:-}" in
    --env) print_env=yes ;;
    "") ;;
    *) say "unknown argument $1; there is only --env"; exit 2 ;;
esac

if target_is_there; then
    answer "WASM_CARGO_FLAGS=''" "ready: $("${RUSTC:-rustc}" --version) has $TARGET"
fi
if command -v rustup >/dev/null && rustup target add "$TARGET" >/dev/null 2>&1 && target_is_there; then
    answer "WASM_CARGO_FLAGS=''" "ready: rustup added $TARGET"
fi
if debian_tools_are_there; then
    answer_debian
fi

if [ "$(id -u)" = 0 ]; then sudo=""; elif command -v sudo >/dev/null; then sudo="sudo -n"; else sudo="none"; fi
if [ "$sudo" != none ] && command -v apt-get >/dev/null; then
    if { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends rustc-web rust-web-src cargo-web lld-19; } >&2 &&
        debian_tools_are_there; then
        answer_debian
    fi
    say "apt-get could not install rustc-web, rust-web-src, cargo-web and lld-19 as needed; what it said is above"
fi
say "no Rust compiler here builds for $TARGET, and neither rustup nor apt-get could bring one."
say "Do one of these: 'rustup target add $TARGET' with a way to static.rust-lang.org, or install your distribution's package with"
say "the WebAssembly target (Debian: libstd-rust-dev-wasm32, Fedora: rust-std-static-wasm32-unknown-unknown), then run this again."
exit 1
