#!/usr/bin/env bash
# Runs the loom models of the budget: every interleaving of its threads.
set -euo pipefail
cd "$(dirname "$0")/.."
RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" cargo test --package plimsoll --lib --target-dir "${CARGO_TARGET_DIR:-target}/loom" -- model
