#!/usr/bin/env bash
# Makes programs for arm64 Linux run on this x86-64 machine: arm64-emulation.sh PROGRAM
# PROGRAM is one of them, to see whether they do. The kernel starts them under qemu's user-mode emulation (binfmt_misc),
# and so their child processes too. What is missing is installed and registered, on Debian and Ubuntu, as root.
set -euo pipefail

program=$1
packages=(qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross)
libraries=/usr/aarch64-linux-gnu
qemu_looks_here=/etc/qemu-binfmt/aarch64
handler=/usr/lib/binfmt.d/qemu-aarch64.conf
kernel=/proc/sys/fs/binfmt_misc

lacks() {
  printf 'programs for arm64 do not run here: %s\n' "$1" >&2
  exit 1
}

runs() { "$program" --version >/dev/null 2>&1; }

become_root() {
  [ "$(id -u)" -ne 0 ] || return 0
  sudo --non-interactive true 2>/dev/null || lacks "set that up once, as root: bash ${BASH_SOURCE[0]} $program"
  exec sudo --non-interactive bash "${BASH_SOURCE[0]}" "$program"
}

install_emulator() {
  [ -e "$handler" ] && [ -e "$libraries/lib/libstdc++.so.6" ] && return
  command -v apt-get >/dev/null ||
    lacks 'expected Debian or Ubuntu; elsewhere install qemu-user with its binfmt handler, and glibc and libstdc++ for arm64'
  { apt-get update --quiet && DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${packages[@]}"; } >&2 ||
    lacks "apt-get could not install ${packages[*]}"
}

# The packages for cross-compiling need no foreign architecture in the package manager, but lie off the default path.
link_libraries() {
  [ -e "$qemu_looks_here" ] && return
  mkdir -p "$(dirname "$qemu_looks_here")"
  ln -sfn "$libraries" "$qemu_looks_here"
}

# In a container the host's handler serves too, and the kernel's table may not be in reach.
register() {
  [ -e "$kernel/register" ] || mount -t binfmt_misc binfmt_misc "$kernel" 2>/dev/null ||
    lacks "the kernel's binfmt_misc cannot be mounted here; in a container, install qemu-user-static on its host, or give it the privilege"
  [ -e "$kernel/qemu-aarch64" ] || cat "$handler" >"$kernel/register" || lacks "the kernel refuses the handler $handler"
}

runs && exit
[ "$(uname -m)" = x86_64 ] || lacks "expected an x86-64 machine, found $(uname -m)"
become_root
install_emulator
link_libraries
runs && exit
register
runs || lacks "qemu is installed and registered, but $program --version says: $("$program" --version 2>&1 || true)"
