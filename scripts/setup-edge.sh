#!/usr/bin/env bash
# Installs JSONTestSuite, exactly as the lock file says, and only when that has changed: tests/edge/node_modules.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/fetch.sh

edge=tests/edge
is_installed "$edge/package-lock.json" "$edge/node_modules" || npm_install "$edge/package-lock.json" "$edge"
