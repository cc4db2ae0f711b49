#!/usr/bin/env bash
# Runs the CUDA tests over this machine's GPU, then prints what its memory costs: test-cuda.sh
# For a machine with a GPU and without Rust: test-cuda.sh FOLDER puts all that it needs there, FOLDER/run does the same.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-}

executable() { sed -n 's/.*"name":"cuda".*"executable":"\([^"]*\)".*/\1/p'; }

tests=$(cargo test --package plimsoll --test cuda --no-run --message-format json | executable)
bench=$(cargo bench --package plimsoll --bench cuda --no-run --message-format json | executable)

if [ -z "$folder" ]; then
  PLIMSOLL_CUDA_REAL=1 "$tests" --test-threads=1
  exec "$bench"
fi

mkdir -p "$folder"
cp "$tests" "$folder/tests"
cp "$bench" "$folder/bench"
cp "$(dirname "$tests")/libfake_libcuda.so" "$folder"
strip "$folder/tests" "$folder/bench" "$folder/libfake_libcuda.so"
cat >"$folder/run" <<'RUN'
#!/bin/sh
set -eu
cd "$(dirname "$0")"
PLIMSOLL_CUDA_REAL=1 ./tests --test-threads=1 >&2
exec ./bench
RUN
chmod +x "$folder/run"
