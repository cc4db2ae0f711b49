#!/usr/bin/env bash
# Builds the addon that is published: build-addon.sh linux-x64-gnu|linux-arm64-gnu|linux-x64-musl|linux-arm64-musl [FOLDER]
# Linked by zig, against an old glibc or against musl, checked, and put into FOLDER (build/addons); any of them on x86-64.
# What it needs it fetches once: the target's standard library (scripts/rust-for.sh), ziglang and cargo-zigbuild by pip into
# build/.
set -euo pipefail
cd "$(dirname "$0")/.."

tuple=${1:-nothing} folder=${2:-build/addons}

fail() {
  printf 'build-addon: %s\n' "$1" >&2
  exit 1
}

glibc=2.28 # what Node.js 20 itself asks for
case $tuple in
linux-x64-gnu) target=x86_64-unknown-linux-gnu linked=$target.$glibc ;;
linux-arm64-gnu) target=aarch64-unknown-linux-gnu linked=$target.$glibc ;;
linux-x64-musl) target=x86_64-unknown-linux-musl linked=$target ;;
linux-arm64-musl) target=aarch64-unknown-linux-musl linked=$target ;;
*) fail "expected one of linux-{x64,arm64}-{gnu,musl}, found $tuple" ;;
esac
addon=plimsoll.$tuple.node
tools=$PWD/build/arm64-tools
ziglang=0.17.0
cargo_zigbuild=0.24.0

lacks() { fail "the build for $tuple lacks $1"; }

mkdir -p build "$folder" 2>/dev/null && [ -w build ] && [ -w "$folder" ] ||
  fail "expected to write into build and $folder; is the checkout read-only?"

[ -x node_modules/.bin/napi ] || lacks 'the packages of npm: run npm install'
command -v cargo >/dev/null || lacks 'Rust: install it by rustup'

. scripts/rust-for.sh
rust_for "$target" ||
  lacks "the standard library for $target: neither rustup nor, on Debian as root, apt-get (rustc-web, with libstd-rust-web-dev:arm64 or rust-web-src) brings it"

# As root, what Debian and Ubuntu lack is installed.
has_programs() { command -v readelf >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null; }
has_programs || {
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null &&
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends binutils python3-venv; } >&2
  has_programs || lacks "readelf and Python 3 with its venv module (Debian and Ubuntu: apt-get install binutils python3-venv)"
}

# Both are programs that come built, as Python packages.
has_tools() {
  "$tools/zig/bin/python" -m ziglang version 2>/dev/null | grep -qxF "$ziglang" &&
    "$tools/zig/bin/cargo-zigbuild" --version 2>/dev/null | grep -qF "$cargo_zigbuild"
}
has_tools || {
  python3 -m venv "$tools/zig" || lacks 'a Python environment for zig; python3 -m venv could not make one'
  "$tools/zig/bin/python" -m pip install --quiet "ziglang==$ziglang" "cargo-zigbuild==$cargo_zigbuild" ||
    lacks "ziglang $ziglang or cargo-zigbuild $cargo_zigbuild, and pip could not fetch them"
}

# Messages of panics name source files: as they are called everywhere, not where this machine keeps them.
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
# A library that is loaded uses the process's musl and brings none of its own.
[[ $tuple != *-musl ]] || CARGO_ENCODED_RUSTFLAGS+=$'\x1f-Ctarget-feature=-crt-static'

# Built and checked aside, so that a failure leaves nothing half-written.
out=build/cross/$tuple
PATH=$tools/zig/bin:$PATH npx napi build --platform --release --target "$linked" --cross-compile --no-js --output-dir "$out"
bash scripts/check-addon.sh "$out/$addon"
mv "$out/$addon" "$folder/$addon"
