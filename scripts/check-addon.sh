#!/usr/bin/env bash
# Checks that a built addon runs where it is meant to: check-addon.sh FILE MACHINE (as readelf names it).
set -euo pipefail
file=$1 machine=$2
newest_glibc=2.31    # JetPack 5 (Ubuntu 20.04) and Debian 11
largest_page=65536   # arm64 kernels have pages of 4, 16 or 64 KiB
largest_size=$((2 << 20))

fail() {
  printf '%s: %s\n' "$file" "$1" >&2
  exit 1
}

readelf --file-header "$file" | grep -q "Machine: *$machine" || fail "expected a binary for $machine"

glibc=$(readelf --version-info --wide "$file" | grep -o 'GLIBC_[0-9.]*' | cut -d_ -f2 | sort -Vu | tail -n 1)
[ "$(printf '%s\n' "$glibc" "$newest_glibc" | sort -V | tail -n 1)" = "$newest_glibc" ] ||
  fail "expected no symbol newer than GLIBC_$newest_glibc, found GLIBC_$glibc"

libraries=$(readelf --dynamic --wide "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
foreign=$(grep -vxE 'lib(c|m|dl|pthread|rt|gcc_s)\.so\.[0-9]+|ld-linux-[a-z0-9-]+\.so\.[0-9]+' <<<"$libraries" || true)
[ -z "$foreign" ] || fail "expected only the C library's own to be linked, found $foreign"

if [ "$machine" = AArch64 ]; then
  readelf --program-headers --wide "$file" | awk '$1 == "LOAD" {print $NF}' | while read -r alignment; do
    [ $((alignment)) -ge $largest_page ] || fail "expected segments aligned to $largest_page bytes, found $alignment"
  done
fi

size=$(stat --format %s "$file")
[ "$size" -lt $largest_size ] || fail "expected fewer than $largest_size bytes, found $size"
printf '%s: %s, %s bytes, needs glibc %s\n' "$file" "$machine" "$size" "$glibc"
