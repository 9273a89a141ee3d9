#!/usr/bin/env bash
# Installs the providers' own libraries, exactly as the lock files say, and only when a lock file has changed:
#   tests/providers/node_modules    GitHub's and Shopify's
#   target/providers                a Python of its own with Slack's, Stripe's, Svix's and Twilio's, and two more
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/fetch.sh

providers=tests/providers
venv=${CARGO_TARGET_DIR:-target}/providers

is_installed "$providers/package-lock.json" "$providers/node_modules" ||
  npm_install "$providers/package-lock.json" "$providers"

if ! is_installed "$providers/requirements.txt" "$venv" || ! "$venv/bin/python" -c 'import slack_sdk, stripe, svix, twilio' 2>/dev/null; then
  pip_install "$providers/requirements.txt" "$venv"
fi
