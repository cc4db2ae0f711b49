#!/usr/bin/env bash
# Runs the jest suites in a Node.js that is linked against musl, on the addon for it. What that needs it fetches once into build/.
set -euo pipefail
cd "$(dirname "$0")/.."

addon=plimsoll.linux-x64-musl.node
target=x86_64-unknown-linux-musl
tools=$PWD/build/arm64-tools

fail() {
  printf 'test:musl: %s\n' "$1" >&2
  exit 1
}

[ -x "$tools/zig/bin/cargo-zigbuild" ] || fail "expected the tools that build for musl; fetch them with: npm run build:musl"
[ "$(uname -m)" = x86_64 ] || fail "expected an x86-64 machine, found $(uname -m)"
[ -f "$addon" ] || fail "expected $addon; make it with: npm run build:musl"
newer=$(find src crates/*/src crates/*/Cargo.toml Cargo.toml Cargo.lock build.rs -type f -newer "$addon" -print -quit)
[ -z "$newer" ] || fail "$addon is older than $newer; make it anew with: npm run build:musl"

node=$(bash scripts/musl-node.sh x64)

# jest finds modules by a native package; the one for musl stays out of node_modules. It is named to its loader, which takes the
# C library of the system's `ldd` for that of the process.
version=$(node --print 'require("./node_modules/unrs-resolver/package.json").version')
resolver=$PWD/build/musl-jest/$version
bash scripts/unpack-npm.sh "@unrs/resolver-binding-linux-x64-musl@$version" "$resolver"

# The driver without a GPU, for musl too: a program of one C library does not load what is made for the other.
. scripts/rust-for.sh
rust_for "$target" || fail "no Rust compiles for $target here; npm run build:musl says what it lacks"
PATH=$tools/zig/bin:$PATH CARGO_ENCODED_RUSTFLAGS=-Ctarget-feature=-crt-static \
  cargo-zigbuild build --quiet --package fake-libcuda --target "$target"
fake_cuda=$(realpath "${CARGO_TARGET_DIR:-target}")/$target/debug/libfake_libcuda.so

NAPI_RS_NATIVE_LIBRARY_PATH=$resolver/resolver.linux-x64-musl.node PLIMSOLL_FAKE_CUDA=$fake_cuda \
  "$node" node_modules/jest/bin/jest.js "$@"
