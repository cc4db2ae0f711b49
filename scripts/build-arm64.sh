#!/usr/bin/env bash
# Builds plimsoll.linux-arm64-gnu.node on an x86-64 machine, with zig as the linker, and checks it.
# What it needs it fetches once: the arm64 standard library by rustup, ziglang and cargo-zigbuild into build/.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
addon=plimsoll.linux-arm64-gnu.node
tools=$PWD/build/arm64-tools
ziglang=0.17.0
cargo_zigbuild=0.24.0

lacks() {
  printf 'build:arm64 lacks %s\n' "$1" >&2
  exit 1
}

has_standard_library() { [ -d "$(rustc --print target-libdir --target "$target" 2>/dev/null)" ]; }

has_standard_library || {
  command -v rustup >/dev/null || lacks "the standard library for $target: install Rust by rustup, or add that library to it"
  rustup target add "$target" || lacks "the standard library for $target, and rustup could not fetch it"
  has_standard_library || lacks "the standard library for $target, although rustup has added it to another toolchain"
}

zig=$tools/zig/bin/python
"$zig" -m ziglang version 2>/dev/null | grep -qxF "$ziglang" || {
  command -v python3 >/dev/null || lacks 'python3, which brings zig as a package'
  python3 -m venv "$tools/zig" || lacks "Python's venv module (Debian and Ubuntu: apt-get install python3-venv)"
  "$zig" -m pip install --quiet "ziglang==$ziglang" || lacks "ziglang $ziglang, and pip could not fetch it"
}

"$tools/bin/cargo-zigbuild" --version 2>/dev/null | grep -qF "$cargo_zigbuild" ||
  cargo install cargo-zigbuild --version "$cargo_zigbuild" --locked --root "$tools" ||
  lacks "cargo-zigbuild $cargo_zigbuild, and cargo could not install it"

# Built and checked aside, so that a failure leaves nothing half-written.
out=build/arm64
PATH=$tools/zig/bin:$tools/bin:$PATH npx napi build --platform --release --target "$target" --cross-compile --no-js --output-dir "$out"
bash scripts/check-addon.sh "$out/$addon" AArch64
mv "$out/$addon" "$addon"
