# The ways into this repository; `make` alone lists them. Needs git, cargo, make, python3 and node with npm; what else
# is needed, `setup` fetches by lock file. One profile and one feature set (--release --workspace) for all targets, so
# that wasmtime is compiled once.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Everything made goes below one directory, given to every script and test by its full name.
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))

CARGO_FLAGS := --release --workspace --locked
CARGO_DENY_VERSION := 0.20.2

.NOTPARALLEL:
.PHONY: help setup build wasm demo run languages test lint bench soak retention simulate providers schemas access guests hostile ssrf fuzz crash powercut faults edge deny clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## fetch what the demo borrows from npm and PyPI, by lock file
	@scripts/setup-demo.sh

build: wasm ## build the host, the tests and the benchmarks
	@[ -x "$$CARGO_TARGET_DIR/release/hookswitch" ] || { \
	  echo "build: the first build compiles wasmtime and some 300 other crates. That takes several minutes;"; \
	  echo "build: later builds take seconds. cargo shows how far it is:"; }
	cargo build $(CARGO_FLAGS) --all-targets

# The filters and the tests' guest modules, in target/guests. Fetches the compiler's WebAssembly target if it is missing.
wasm:
	@scripts/build-guests.sh

demo: setup build ## send GitHub's 329 published payloads through a real host, and balance the books
	@python3 tests/demo/demo.py

run: setup build ## start the demo's setup and leave it up to play with, until Ctrl-C
	@python3 tests/demo/demo.py --stay

# What modules in other languages are built with: compilers of some 300 MB, by the lock files of the templates.
languages:
	@scripts/setup-languages.sh

test: setup languages lint build ## all checks: format, lints, unit and integration tests, a few kills, forbidden addresses, bad input, the demo end to end, the providers' libraries, and JSON Schema's own suite
	cargo test $(CARGO_FLAGS)
	ROUNDS=3 $(FAULTS) crash
	@scripts/setup-edge.sh
	QUICK=1 cargo bench --workspace --locked --bench edge | grep -v '^  '
	$(SSRF) | grep -v '^  '
	@python3 tests/demo/demo.py --quiet
	@"$$CARGO_TARGET_DIR/venv/bin/python" tests/demo/verifiers.py
	@scripts/setup-providers.sh
	@"$$CARGO_TARGET_DIR/providers/bin/python" tests/providers/providers.py
	@scripts/setup-schemas.sh
	@python3 tests/schemas/suite.py "$$CARGO_TARGET_DIR/schemas/suite"

lint: ## formatting, clippy, and that no lock file names a registry's host
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	@! grep -nE '"resolved"|https?://' tests/{demo,providers}/{package-lock.json,requirements.txt} tests/edge/package-lock.json \
	  tests/schemas/*.txt \
	  host/templates/*/common/{package-lock.json,requirements.txt}

bench: setup build ## measure the road of an event, what a million pending deliveries cost, starts after many were made, and the calls of modules
	cargo bench --workspace --locked --bench road --bench pending --bench start --bench modules

soak: build ## call modules CALLS times (a million by itself) and see that nothing leaks
	cargo bench --workspace --locked --bench soak

retention: build ## take, deliver and sweep EVENTS (300,000) kept for RETENTION_S (60), and see where the disk settles
	EVENTS="$(EVENTS)" RETENTION_S="$(RETENTION_S)" cargo bench --workspace --locked --bench retention

providers: build ## have the providers' own libraries sign for the host's sources, and verify what it sends
	@scripts/setup-providers.sh
	@"$$CARGO_TARGET_DIR/providers/bin/python" tests/providers/providers.py

schemas: build ## hold a host's JSON Schemas against the official test suite of draft 2020-12
	@scripts/setup-schemas.sh
	@python3 tests/schemas/suite.py "$$CARGO_TARGET_DIR/schemas/suite"

access: build ## ask for every operation of the admin interface with every kind of wrong key
	cargo test $(CARGO_FLAGS) --test it access:: -- --nocapture

guests: setup languages ## build the same two modules in seven languages, and compare them on GitHub's 329 payloads
	cargo bench --workspace --locked --bench guests

hostile: build ## let a tenant run every hostile guest, and time another tenant's events meanwhile
	cargo bench --workspace --locked --bench hostile

SSRF := cargo bench --workspace --locked --bench ssrf

ssrf: build ## lead a host to addresses that it must not reach, by every URL, redirect and name, and listen there
	$(SSRF)

fuzz: build ## throw made-up input at the runtime: MINUTES=1 TARGET=upload, result, settings or all, SEED=1
	MINUTES="$(MINUTES)" TARGET="$(TARGET)" SEED="$(SEED)" cargo bench --workspace --locked --bench fuzz

# Prints the seed that fails; `make simulate SEED=n` runs that one alone.
simulate: ## run SEEDS random schedules of the deliverer (10,000 by itself) on a simulated clock
	SEEDS=$(or $(SEEDS),10000) SEED=$(SEED) cargo test $(CARGO_FLAGS) --lib deliverer::simulation -- --nocapture

FAULTS := cargo bench --workspace --locked --bench faults --

crash: build ## kill a host at ROUNDS (100 by itself) random moments under load, and balance the books; SEED=… repeats
	$(FAULTS) crash

powercut: build ## the same with ROUNDS (50) cuts of the power; UNSYNCED=1 does without fdatasync, and has to lose something
	$(FAULTS) powercut

faults: build ## full, failing and slow disks, receivers that misbehave, a clock that jumps: a verdict for each
	$(FAULTS) faults

edge: build ## malformed HTTP, JSONTestSuite, floods and 1,000 slow connections against a real host; QUICK=1 for the short form
	@scripts/setup-edge.sh
	QUICK="$(QUICK)" cargo bench --workspace --locked --bench edge

deny: ## check licences, bans and sources of all crates (`cargo deny check advisories` needs the network)
	@command -v cargo-deny "$$CARGO_TARGET_DIR/tools/bin/cargo-deny" >/dev/null || { \
	  echo "deny: installing cargo-deny $(CARGO_DENY_VERSION) into $$CARGO_TARGET_DIR/tools. That takes some minutes, once:"; \
	  cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root "$$CARGO_TARGET_DIR/tools" \
	    --target-dir "$$CARGO_TARGET_DIR/tools/build"; }
	PATH="$$PATH:$$CARGO_TARGET_DIR/tools/bin" cargo-deny --locked check licenses bans sources

clean: ## remove everything that was built or fetched
	cargo clean
	rm -rf "$$CARGO_TARGET_DIR"/{venv,providers,schemas,guests,languages,tools} tests/{demo,edge,providers}/node_modules
