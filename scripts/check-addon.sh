#!/usr/bin/env bash
# Checks that a built addon runs where its name says: check-addon.sh PATH/plimsoll.linux-ARCH-{gnu,musl}.node
set -euo pipefail
file=$1
newest_glibc=2.31    # JetPack 5 (Ubuntu 20.04) and Debian 11
largest_page=65536   # arm64 kernels have pages of 4, 16 or 64 KiB
largest_size=4000000 # 4 MB: what a board has to download

fail() {
  printf '%s: %s\n' "$file" "$1" >&2
  exit 1
}

case $file in
*.linux-x64-*.node) machine=X86-64 ;;
*.linux-arm64-*.node) machine=AArch64 ;;
*) fail 'expected a name such as plimsoll.linux-x64-gnu.node' ;;
esac

command -v readelf >/dev/null || fail 'the check needs readelf (Debian and Ubuntu: apt-get install binutils)'
[ -f "$file" ] || fail 'expected a built addon, found no file'
readelf --file-header "$file" 2>/dev/null | grep -q "Machine:.*$machine" || fail "expected a binary for $machine"

# The table of sections stands at the end of the file.
sections=$(readelf --section-headers --wide "$file" 2>/dev/null)
grep -q '\.dynsym' <<<"$sections" || fail 'expected a whole binary, found a truncated one'
! grep -qE '\.(symtab|debug_)' <<<"$sections" || fail 'expected a binary without symbols and debug information'

glibc=$(readelf --version-info --wide "$file" | sed -n 's/.*\bGLIBC_\([0-9.]*\).*/\1/p' | sort -Vu | tail -n 1)
case $file in
*-gnu.node)
  own='lib(c|m|dl|pthread|rt|gcc_s)\.so\.[0-9]+|ld-linux-[a-z0-9-]+\.so\.[0-9]+' needs="glibc $glibc"
  [ "$(printf '%s\n' "$glibc" "$newest_glibc" | sort -V | tail -n 1)" = "$newest_glibc" ] ||
    fail "expected no symbol newer than GLIBC_$newest_glibc, found GLIBC_$glibc"
  ;;
*-musl.node)
  own='libc\.so' needs=musl
  [ -z "$glibc" ] || fail "expected no symbol of glibc, found GLIBC_$glibc"
  readelf --dynamic --wide "$file" | grep -qF '[libc.so]' || fail "expected the process's musl to be used, found none linked"
  ;;
*) fail 'expected a name that ends in -gnu.node or -musl.node' ;;
esac

libraries=$(readelf --dynamic --wide "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
foreign=$(grep -vxE "$own" <<<"$libraries" || true)
[ -z "$foreign" ] || fail "expected only the C library's own to be linked, found $foreign"

if [ "$machine" = AArch64 ]; then
  readelf --program-headers --wide "$file" | awk '$1 == "LOAD" {print $NF}' | while read -r alignment; do
    [ $((alignment)) -ge $largest_page ] || fail "expected segments aligned to $largest_page bytes, found $alignment"
  done
fi

size=$(stat --format %s "$file")
[ "$size" -lt $largest_size ] || fail "expected fewer than $largest_size bytes, found $size"
printf '%s: %s, %s bytes, needs %s\n' "$file" "$machine" "$size" "$needs"
