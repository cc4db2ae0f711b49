#!/usr/bin/env bash
# Builds the addon with AddressSanitizer into build/asan, and runs the fuzzer of calls on it with the arguments given.
#
# The sanitizer is unstable in the compiler, which RUSTC_BOOTSTRAP lets a stable one do. Rust links no runtime into a library,
# and what it emits calls the eighth version of the interface, which gcc's runtime has as well: it is loaded into Node.js first.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
[[ "$(uname -m)" == x86_64 ]] || { echo 'expected x86-64, for whose runtime this is' >&2; exit 2; }
runtime=$(realpath "$(gcc -print-file-name=libasan.so)")
[[ -f $runtime ]] || { echo "expected gcc's libasan, found none; install gcc, or libasan8" >&2; exit 2; }

# Line numbers for its reports; without links across crates, which take minutes and change no finding.
CARGO_TARGET_DIR=target/asan CARGO_PROFILE_RELEASE_DEBUG=line-tables-only CARGO_PROFILE_RELEASE_STRIP=none \
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
  RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Cforce-frame-pointers=yes' \
  cargo build --quiet --release --package plimsoll-link --target "$target"
mkdir -p build/asan
cp "target/asan/$target/release/libplimsoll_link.so" build/asan/plimsoll.linux-x64-gnu.node

export PLIMSOLL_ADDON_PATH="$PWD/build/asan/plimsoll.linux-x64-gnu.node"
export FUZZ_API_PRELOAD="$runtime"
# V8 keeps its own leaks for itself; a size that no allocator has is a refusal, as without the sanitizer.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:abort_on_error=1:${ASAN_OPTIONS:-}"
# It takes its time.
export FUZZ_API_PATIENCE=5 FUZZ_API_LONGEST_CALL_MS=25000
exec node fuzz/api/run.mjs "$@"
