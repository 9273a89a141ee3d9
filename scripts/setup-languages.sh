#!/usr/bin/env bash
# Installs what `make guests` builds modules with, exactly as the lock files of the templates say, and only when one has changed:
#   target/languages/node_modules    for JavaScript and TypeScript
#   target/languages/.venv           for Python, Go, C and Zig
# Modules are made below target/languages, where `hookswitch module build` and npm find both.
set -euo pipefail
cd "$(dirname "$0")/.."

NPM_FETCH_TIMEOUT_MS=120000
PIP_TIMEOUT_S=120
readonly FETCH_RETRIES=2 NPM_FETCH_TIMEOUT_MS PIP_TIMEOUT_S

templates=host/templates
home=${CARGO_TARGET_DIR:-target}/languages
mkdir -p "$home"

need() { # need COMMAND HINT
  command -v "$1" >/dev/null || { echo "guests: '$1' is not installed. $2" >&2; exit 1; }
}
need npm "JavaScript and TypeScript modules are built with Node.js 20 or later."
need python3 "Python modules are built with Python 3.10 or later; the compilers for Go, C and Zig come from PyPI, too."
need make "Modules in Python, C and Zig have a Makefile."

# A stamp is a copy of the lock file, written last: it is there only if the whole step succeeded. TypeScript's tools are those
# of JavaScript and one more.
npm_lock=$templates/typescript/common/package-lock.json
if ! cmp -s "$npm_lock" "$home/node_modules/.installed-lock"; then
  echo "guests: npm ci ($npm_lock)"
  for file in package.json package-lock.json .npmrc; do
    sed 's/{{name}}/languages/' "$templates/typescript/common/$file" >"$home/$file"
  done
  npm ci --prefix "$home" --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-timeout="$NPM_FETCH_TIMEOUT_MS" --fetch-retries="$FETCH_RETRIES"
  cp "$npm_lock" "$home/node_modules/.installed-lock"
fi

# C and Zig have the same.
cat "$templates"/{python,go,zig}/common/requirements.txt >"$home/requirements.txt"
if ! cmp -s "$home/requirements.txt" "$home/.venv/.installed-lock"; then
  echo "guests: pip install ($templates/{python,go,zig}/common/requirements.txt)"
  python3 -m venv --clear "$home/.venv"
  "$home/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --timeout "$PIP_TIMEOUT_S" --retries "$FETCH_RETRIES" -r "$home/requirements.txt"
  cp "$home/requirements.txt" "$home/.venv/.installed-lock"
fi
