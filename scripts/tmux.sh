#!/usr/bin/env bash
# Installs tmux where it is missing, in which `top` is tested with its keys: Debian or Ubuntu, as root.
set -euo pipefail

! command -v tmux >/dev/null || exit 0
lacks() {
  echo "tmux.sh: expected $1" >&2
  exit 1
}
command -v apt-get >/dev/null || lacks "apt-get, or tmux to be there"
[ "$(id -u)" -eq 0 ] || lacks "to be root, or tmux to be there: sudo apt-get install tmux"
apt-get update --quiet >&2
DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends tmux >&2
