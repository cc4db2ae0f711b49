#!/usr/bin/env bash
# The Rust tests as the optimiser leaves the code: what it drops or reorders shows in no debug build. Device memory, pools,
# the system's files and the SIMD kernels, at the levels of the release profile.
#
# Without the optimisation of the whole link, which these tests do not need and which takes minutes. It is set here and not
# as a profile of its own, so that it is `cargo test --release` that is tested; cargo keeps both builds side by side, and
# the addon is not built.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=none
cargo test --release --package plimsoll --package gguf-dequant --lib --tests "$@"
