#!/usr/bin/env bash
# Sees to the tools that make and boot a guest: tools.sh TOOL... What is missing is installed where that can be done, and
# named where not.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

declare -A package_of=(
  [qemu-system-aarch64]=qemu-system-arm [qemu-system-x86_64]=qemu-system-x86 [fdtput]=device-tree-compiler
  [modprobe]=kmod [mke2fs]=e2fsprogs [cpio]=cpio [xz]=xz-utils
)
lacking=()
for tool; do
  command -v "$tool" >/dev/null || lacking+=("${package_of[$tool]}")
done
[ "${#lacking[@]}" -gt 0 ] || exit 0

command=(apt-get install --yes --no-install-recommends "${lacking[@]}")
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  printf 'A guest needs tools that this machine lacks. As root: %s\n' "${command[*]}" >&2
  exit 1
fi
{ apt-get --quiet update && DEBIAN_FRONTEND=noninteractive "${command[@]}"; } >&2
