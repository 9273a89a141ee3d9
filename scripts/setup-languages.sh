#!/usr/bin/env bash
# Installs what `make guests` builds modules with, exactly as the lock files of the templates say, and only when one has changed:
#   target/languages/node_modules    for JavaScript and TypeScript
#   target/languages/.venv           for Python, Go, C and Zig
# Modules are made below target/languages, where `hookswitch module build` and npm find both.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/fetch.sh

templates=host/templates
home=${CARGO_TARGET_DIR:-target}/languages
mkdir -p "$home"

need make "Modules in Python, C and Zig have a Makefile."

# TypeScript's tools are those of JavaScript and one more.
npm_lock=$templates/typescript/common/package-lock.json
if ! is_installed "$npm_lock" "$home/node_modules"; then
  for file in package.json package-lock.json .npmrc; do
    sed 's/{{name}}/languages/' "$templates/typescript/common/$file" >"$home/$file"
  done
  npm_install "$npm_lock" "$home"
fi

# C and Zig have the same.
cat "$templates"/{python,go,zig}/common/requirements.txt >"$home/requirements.txt"
if ! is_installed "$home/requirements.txt" "$home/.venv"; then
  pip_install "$home/requirements.txt" "$home/.venv"
fi
