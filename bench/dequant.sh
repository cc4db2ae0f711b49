#!/usr/bin/env bash
# The dequantisers beside ggml's and candle's: npm run bench:dequant [-- --rounds N] [--mib N] [--only FORMAT] [--json]
# ggml's library is the one that node-llama-cpp ships, fetched once into build/.
set -euo pipefail
cd "$(dirname "$0")/.."

case $(uname -m) in
x86_64) package=linux-x64 ;;
aarch64) package=linux-arm64 ;;
*) echo "bench:dequant: expected x86-64 or arm64, found $(uname -m)" >&2 && exit 1 ;;
esac
folder=build/bench-dequant/$package-3.22.1
bash scripts/unpack-npm.sh "@node-llama-cpp/$package@3.22.1" "$folder"
exec cargo run --release --quiet --manifest-path bench/dequant/Cargo.toml -- --ggml "$folder/bins/$package/libggml-base.so" "$@"
