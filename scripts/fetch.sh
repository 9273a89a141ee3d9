# What the setup scripts share: fetching by lock file, and only when a lock file has changed. To be sourced, by bash.
# A stamp is a copy of the lock file, written last: it is there only if the whole step succeeded.

readonly FETCH_RETRIES=2 NPM_FETCH_TIMEOUT_MS=120000 PIP_TIMEOUT_S=120

need() { # need COMMAND HINT
  command -v "$1" >/dev/null || { echo "setup: '$1' is not installed. $2" >&2; exit 1; }
}

# Whether what a lock file says is installed there.
is_installed() { # is_installed LOCK DIR
  cmp -s "$1" "$2/.installed-lock"
}

# Installs what DIR/package-lock.json says into DIR/node_modules.
npm_install() { # npm_install LOCK DIR
  need npm "It comes with Node.js; 20 or later is wanted."
  echo "setup: npm ci ($1)"
  npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-timeout="$NPM_FETCH_TIMEOUT_MS" --fetch-retries="$FETCH_RETRIES"
  cp "$1" "$2/node_modules/.installed-lock"
}

# Makes a Python of its own at VENV, with what a file of requirements says.
pip_install() { # pip_install REQUIREMENTS VENV
  need python3 "3.10 or later is wanted."
  python3 -c 'import ensurepip, venv' 2>/dev/null || {
    echo "setup: this python3 cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  }
  echo "setup: pip install ($1) into $2"
  mkdir -p "$(dirname "$2")"
  python3 -m venv --clear "$2"
  "$2/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --timeout "$PIP_TIMEOUT_S" --retries "$FETCH_RETRIES" -r "$1"
  cp "$1" "$2/.installed-lock"
}
