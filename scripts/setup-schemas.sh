#!/usr/bin/env bash
# Fetches the official test suite of JSON Schema, exactly as the lock files say, and only when one has changed: target/schemas/suite. It is not on npm or
# PyPI by itself, but in the source distribution of Python's jsonschema.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/fetch.sh

schemas=tests/schemas
home=${CARGO_TARGET_DIR:-target}/schemas

if ! is_installed "$schemas/suite.txt" "$home/suite"; then
  pip_install "$schemas/requirements.txt" "$home/venv"
  echo "setup: pip download ($schemas/suite.txt) into $home"
  rm -rf "$home"/{suite,download,unpacked}
  "$home/venv/bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --no-binary :all: \
    --no-build-isolation --timeout "$PIP_TIMEOUT_S" --retries "$FETCH_RETRIES" --dest "$home/download" -r "$schemas/suite.txt"
  mkdir "$home/unpacked"
  tar -xzf "$home"/download/jsonschema-*.tar.gz -C "$home/unpacked"
  mv "$home"/unpacked/jsonschema-*/json/tests/draft2020-12 "$home/suite"
  rm -rf "$home"/{download,unpacked}
  cp "$schemas/suite.txt" "$home/suite/.installed-lock"
fi
