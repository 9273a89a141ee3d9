#!/usr/bin/env bash
# Installs what the demo borrows from npm and PyPI, exactly as the lock files say, and only when a lock file has changed:
#   tests/demo/node_modules    the payloads GitHub publishes, GitHub's signer, a Standard Webhooks verifier, and the CloudEvents SDK
#   target/venv                a Python of its own, with more verifiers
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/fetch.sh

demo=tests/demo
venv=${CARGO_TARGET_DIR:-target}/venv

if is_installed "$demo/package-lock.json" "$demo/node_modules"; then
  echo "setup: npm packages are up to date"
else
  npm_install "$demo/package-lock.json" "$demo"
fi

if is_installed "$demo/requirements.txt" "$venv" &&
  "$venv/bin/python" -c 'import standardwebhooks, svix, cryptography, cloudevents' 2>/dev/null; then
  echo "setup: Python packages are up to date"
else
  pip_install "$demo/requirements.txt" "$venv"
fi
