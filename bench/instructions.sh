#!/usr/bin/env bash
# How many instructions a block takes to become f32, with AVX2 and with NEON: npm run bench:instructions [-- FORMAT...]
# The same program runs under qemu's user-mode emulation, which logs every instruction, over two numbers of blocks; what the
# longer run executes more is what the blocks take. It needs qemu-user-static, and for arm64 what npm run build:arm64 fetches.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  printf 'bench:instructions: %s\n' "$1" >&2
  exit 1
}

few=32 many=96 # in as many digits, so that reading them takes as long; and whole vectors of the formats of single values

zig=$PWD/build/arm64-tools/zig/bin
[ -x "$zig/cargo-zigbuild" ] || fail 'expected the tools that build for arm64; fetch them with: npm run build:arm64'
for processor in x86_64 aarch64; do
  command -v "qemu-$processor-static" >/dev/null || fail 'expected qemu (Debian and Ubuntu: apt-get install qemu-user-static)'
done

. scripts/rust-for.sh
build() { # TARGET
  PATH=$zig:$PATH cargo-zigbuild build --release --quiet --manifest-path bench/instructions/Cargo.toml --target "$1"
}
program() { echo "${CARGO_TARGET_DIR:-bench/instructions/target}/$1/release/instructions"; }

executed() { # TARGET FORMAT BLOCKS
  "qemu-${1%%-*}-static" -cpu max -L /usr/aarch64-linux-gnu -singlestep -d exec,nochain -D /dev/stdout "$(program "$1")" "$2" "$3" |
    grep -c '^Trace'
}

x86=x86_64-unknown-linux-gnu arm=aarch64-unknown-linux-gnu
rust_for "$arm" || fail 'no Rust compiles for arm64 here; npm run build:arm64 says what it lacks'
for target in "$x86" "$arm"; do build "$target"; done

formats=$(qemu-x86_64-static "$(program "$x86")")
echo '| format | values a block | AVX2 | NEON | NEON beside AVX2 |'
echo '|---|---|---|---|---|'
while read -r format values; do
  [ $# -eq 0 ] || [[ " $* " == *" $format "* ]] || continue
  counts=()
  for target in "$x86" "$arm"; do
    counts+=($(($(executed "$target" "$format" "$many") - $(executed "$target" "$format" "$few"))))
  done
  awk -v format="$format" -v values="$values" -v x86="${counts[0]}" -v arm="${counts[1]}" -v blocks=$((many - few)) 'BEGIN {
    printf "| %s | %d | %.4g | %.4g | %.2fx |\n", format, values, x86 / blocks, arm / blocks, arm / x86
  }'
done <<<"$formats"
