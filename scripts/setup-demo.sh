#!/usr/bin/env bash
# Installs what the demo borrows from npm and PyPI, exactly as the lock files say, and only when a lock file has changed:
#   tests/demo/node_modules    the payloads GitHub publishes, GitHub's signer, and a Standard Webhooks verifier
#   target/venv                a Python of its own, with more verifiers
set -euo pipefail
cd "$(dirname "$0")/.."

NPM_FETCH_TIMEOUT_MS=60000
PIP_TIMEOUT_S=60
readonly FETCH_RETRIES=2 NPM_FETCH_TIMEOUT_MS PIP_TIMEOUT_S

demo=tests/demo
target=${CARGO_TARGET_DIR:-target}
venv=$target/venv

need() { # need COMMAND HINT
  command -v "$1" >/dev/null || { echo "setup: '$1' is not installed. $2" >&2; exit 1; }
}

# A stamp is a copy of the lock file, written last: it is there only if the whole step succeeded.
if cmp -s "$demo/package-lock.json" "$demo/node_modules/.installed-lock"; then
  echo "setup: npm packages are up to date"
else
  need npm "The demo sends GitHub's published payloads with Node.js 20 or later."
  echo "setup: npm ci ($demo/package-lock.json)"
  npm ci --prefix "$demo" --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-timeout="$NPM_FETCH_TIMEOUT_MS" --fetch-retries="$FETCH_RETRIES"
  cp "$demo/package-lock.json" "$demo/node_modules/.installed-lock"
fi

if cmp -s "$demo/requirements.txt" "$venv/.installed-lock" &&
  "$venv/bin/python" -c 'import standardwebhooks, svix, cryptography' 2>/dev/null; then
  echo "setup: Python packages are up to date"
else
  need python3 "The demo's driver and receiver are Python, 3.10 or later."
  python3 -c 'import ensurepip, venv' 2>/dev/null || {
    echo "setup: this python3 cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  }
  echo "setup: pip install ($demo/requirements.txt) into $venv"
  mkdir -p "$target"
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --timeout "$PIP_TIMEOUT_S" --retries "$FETCH_RETRIES" -r "$demo/requirements.txt"
  cp "$demo/requirements.txt" "$venv/.installed-lock"
fi
