#!/usr/bin/env bash
# Every check that runs no test: formatting, lints, types, licences, and that generated files are up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step 'Rust: format'
cargo fmt --all --check
benchmarks=(bench/suballocators bench/dequant bench/instructions bench/ledger bench/load/kernels)
for workspace in fuzz "${benchmarks[@]}"; do cargo fmt --manifest-path "$workspace/Cargo.toml" --check; done

step 'Rust: lints'
# The addon has no test target: outside Node.js nothing calls its functions.
cargo clippy --package gguf-dequant --package gguf-file --package plimsoll --package fake-libcuda --all-targets -- --deny warnings
cargo clippy --package plimsoll-addon --package plimsoll-link --lib -- --deny warnings
RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --quiet

step 'Rust: the fuzz targets compile'
RUSTFLAGS='--cfg fuzzing' cargo check --manifest-path fuzz/Cargo.toml --quiet

step 'Rust: the benchmarks compile, with their peers'
for workspace in "${benchmarks[@]}"; do
  cargo check --manifest-path "$workspace/Cargo.toml" --target-dir target/benchmarks --locked --quiet
done

step 'Rust: licences and sources'
# Advisories need a database from the network: see CONTRIBUTING.md.
node scripts/check-crates.mjs

step 'TypeScript: format and lints'
npx biome check --error-on-warnings

step 'TypeScript: types'
npx tsc --project lib --noEmit
npx tsc --project lib/report/page
npx tsc --project __test__
npx tsc --project examples --noEmit

step 'Generated files'
npm run --silent build
git diff --exit-code -- binding.d.ts index.d.ts report.d.ts http.d.ts metrics.d.ts dashboard.d.ts node-llama-cpp.d.ts || {
  echo 'The files above are generated: commit them as `npm run build` leaves them.' >&2
  exit 1
}
node bench/plot.mjs --check
node scripts/option-tables.mjs --check
