#!/usr/bin/env bash
# Builds the addon that is published: build-addon.sh linux-x64-gnu|linux-arm64-gnu [FOLDER]
# Linked by zig against an old glibc, checked, and put into FOLDER (build/addons), for either architecture on x86-64.
# What it needs it fetches once: the target's standard library by rustup, ziglang and cargo-zigbuild into build/.
set -euo pipefail
cd "$(dirname "$0")/.."

tuple=${1:-nothing} folder=${2:-build/addons}

fail() {
  printf 'build-addon: %s\n' "$1" >&2
  exit 1
}

case $tuple in
linux-x64-gnu) target=x86_64-unknown-linux-gnu ;;
linux-arm64-gnu) target=aarch64-unknown-linux-gnu ;;
*) fail "expected linux-x64-gnu or linux-arm64-gnu, found $tuple" ;;
esac
glibc=2.28 # what Node.js 20 itself asks for
addon=plimsoll.$tuple.node
tools=$PWD/build/arm64-tools
ziglang=0.17.0
cargo_zigbuild=0.24.0

lacks() { fail "the build for $tuple lacks $1"; }

mkdir -p build "$folder" 2>/dev/null && [ -w build ] && [ -w "$folder" ] ||
  fail "expected to write into build and $folder; is the checkout read-only?"

[ -x node_modules/.bin/napi ] || lacks 'the packages of npm: run npm install'
command -v cargo >/dev/null || lacks 'Rust: install it by rustup'

has_standard_library() { [ -d "$(rustc --print target-libdir --target "$target" 2>/dev/null)" ]; }

# Where rustup cannot fetch it, Debian's own Rust comes with it, and is then used for everything.
use_rust_of_debian() {
  command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ] || return 1
  echo "build-addon: rustup cannot fetch the standard library for $target; taking Debian's Rust" >&2
  {
    dpkg --add-architecture arm64 && apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rustc-web libstd-rust-web-dev:arm64
  } >&2 || return 1
  # A folder of its own: what two compilers made does not mix.
  export RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$PWD/build/rust-of-debian
  [ -d "$("$RUSTC" --print target-libdir --target "$target")" ]
}

has_standard_library || rustup target add "$target" && has_standard_library || use_rust_of_debian ||
  lacks "the standard library for $target: neither rustup nor, as root, apt-get (rustc-web, libstd-rust-web-dev:arm64) brings it"

zig=$tools/zig/bin/python
"$zig" -m ziglang version 2>/dev/null | grep -qxF "$ziglang" || {
  command -v python3 >/dev/null || lacks 'python3, which brings zig as a package'
  python3 -m venv "$tools/zig" || lacks "Python's venv module (Debian and Ubuntu: apt-get install python3-venv)"
  "$zig" -m pip install --quiet "ziglang==$ziglang" || lacks "ziglang $ziglang, and pip could not fetch it"
}

"$tools/bin/cargo-zigbuild" --version 2>/dev/null | grep -qF "$cargo_zigbuild" ||
  cargo install cargo-zigbuild --version "$cargo_zigbuild" --locked --root "$tools" ||
  lacks "cargo-zigbuild $cargo_zigbuild, and cargo could not install it"

# Messages of panics name source files: as they are called everywhere, not where this machine keeps them.
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"

# Built and checked aside, so that a failure leaves nothing half-written.
out=build/cross/$tuple
PATH=$tools/zig/bin:$tools/bin:$PATH npx napi build --platform --release --target "$target.$glibc" --cross-compile --no-js --output-dir "$out"
bash scripts/check-addon.sh "$out/$addon"
mv "$out/$addon" "$folder/$addon"
