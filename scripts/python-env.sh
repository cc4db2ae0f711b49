#!/usr/bin/env bash
# Makes the Python environment of the scripts in this folder and prints its interpreter:
#
#     python="$(scripts/python-env.sh)" && "$python" scripts/make-sample-model.py --check
#
# The environment is .venv in the repository root, with the packages of requirements.txt. A second run finds it
# ready and only prints. Standard output carries the interpreter's path alone; everything else goes to stderr.
set -euo pipefail

scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="$(dirname "$scripts")/.venv"
requirements="$scripts/requirements.txt"
# A copy of the requirements, put there last: it says that the installation ran to its end, and of what.
installed="$venv/requirements.txt"

fail() {
  printf 'python-env: %s\n' "$@" >&2
  exit 1
}

is_ready() {
  cmp -s "$requirements" "$installed" && "$venv/bin/python" -c 'import gguf, numpy' 2>/dev/null
}

has_venv_module() {
  # Debian ships `venv` without `ensurepip`, which a new environment needs to get its pip.
  python3 -c 'import ensurepip, venv' 2>/dev/null
}

apt_install() {
  command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ] || return 1
  echo "python-env: installing $* with apt-get" >&2
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >&2
}

need_python() {
  has_venv_module || apt_install python3 python3-venv || true
  command -v python3 >/dev/null ||
    fail 'python3 is missing; version 3.10 or newer is needed.' \
      'On Debian or Ubuntu: sudo apt-get install python3 python3-venv'
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Python 3.10 or newer is needed; python3 is $(python3 -V 2>&1)."
  has_venv_module ||
    fail 'python3 lacks the modules venv and ensurepip.' 'On Debian or Ubuntu: sudo apt-get install python3-venv'
}

create() {
  need_python
  echo "python-env: creating $venv" >&2
  python3 -m venv --clear "$venv" >&2 || fail "python3 could not create the environment $venv."
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" >&2 ||
    fail "pip could not install the packages of $requirements; are the network and the package index reachable?"
  cp "$requirements" "$installed"
}

# Two test runs may start side by side; the second waits for the first instead of clearing its work.
exec 9<"$requirements"
if command -v flock >/dev/null; then flock 9; fi

is_ready || create
echo "$venv/bin/python"
