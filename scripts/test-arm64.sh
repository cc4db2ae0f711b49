#!/usr/bin/env bash
# Runs the Rust tests and the jest suites as programs for arm64, under emulation, and checks that they are the same tests
# as on this machine: all of them, or with --processor those suites of jest that can fail for the processor's sake
# (scripts/processor-suites.mjs). What that needs it fetches once into build/; the emulator comes with the system's packages.
set -euo pipefail
cd "$(dirname "$0")/.."

addon=plimsoll.linux-arm64-gnu.node
tools=$PWD/build/arm64-tools
records=build/tests

scope=("$@") suites=()
case ${1:-} in
'') ;;
--processor)
  paths=$(node scripts/processor-suites.mjs)
  mapfile -t suites <<<"--runTestsByPath"$'\n'"$paths"
  ;;
*) echo "test:arm64: expected nothing or --processor, found $1" >&2 && exit 2 ;;
esac

if [ "$(uname -m)" = aarch64 ]; then
  echo 'test:arm64: this machine is one, so npm test does it.'
  exec npm test
fi

step() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'test:arm64: %s\n' "$1" >&2
  exit 1
}

check_checkout() {
  mkdir -p "$records" 2>/dev/null && [ -w "$records" ] || fail "expected a checkout that can be written to; $PWD/$records cannot"
  [ -d node_modules/unrs-resolver ] || fail 'expected the packages of npm; fetch them with: npm install'
}

check_addon() {
  [ -f "$addon" ] || fail "expected $addon; make it with: npm run build:arm64"
  [ -x "$tools/zig/bin/cargo-zigbuild" ] || fail "expected the tools that build for arm64; fetch them with: npm run build:arm64"
  newer=$(find src crates/*/src crates/*/Cargo.toml Cargo.toml Cargo.lock build.rs -type f -newer "$addon" -print -quit)
  [ -z "$newer" ] || fail "$addon is older than $newer; make it anew with: npm run build:arm64"
}

# jest finds modules by a native package; the one for arm64 stays out of node_modules.
unpack_resolver() {
  version=$(node --print 'require("./node_modules/unrs-resolver/package.json").version')
  modules=$PWD/build/arm64-jest/$version/node_modules
  name=@unrs/resolver-binding-linux-arm64-gnu
  bash scripts/unpack-npm.sh "$name@$version" "$modules/$name"
}

rust_tests() {
  PATH=$tools/zig/bin:$PATH CARGO_TERM_COLOR=never \
    cargo-zigbuild test --workspace --target aarch64-unknown-linux-gnu 2>&1
}
# The Rust tests have left the driver without a GPU beside them; the suites of jest have no cargo for this platform.
find_fake_cuda() {
  fake_cuda=$(realpath "${CARGO_TARGET_DIR:-target}")/aarch64-unknown-linux-gnu/debug/deps/libfake_libcuda.so
  [ -f "$fake_cuda" ] || fail "expected the Rust tests to have built $fake_cuda"
}
jest_tests() {
  PLIMSOLL_HOST_NODE=$(command -v node) PLIMSOLL_FAKE_CUDA=$fake_cuda NODE_PATH=$modules \
    "$node" node_modules/jest/bin/jest.js "${suites[@]}"
}

check_checkout
check_addon
. scripts/rust-for.sh
rust_for aarch64-unknown-linux-gnu || fail 'no Rust compiles for arm64 here; npm run build:arm64 says what it lacks'
node=$(bash scripts/arm64-node.sh)
bash scripts/arm64-emulation.sh "$node"
unpack_resolver

rm -f "$records"/*-arm64.*
step 'Rust, for arm64'
rust_tests | tee "$records/rust-arm64.log"
find_fake_cuda
step 'jest, for arm64'
jest_tests
step 'The same tests as on this machine'
node scripts/compare-tests.mjs "${scope[@]}"
