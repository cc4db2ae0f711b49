#!/usr/bin/env bash
# Makes the disk and the first file system of a guest: image.sh FOLDER writes disk.img and initrd.img there.
# The disk holds Node.js for arm64, the package as it would be installed, and the programs in scripts/guest/inside.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin

folder=$1
addon=plimsoll.linux-arm64-gnu.node
debian=build/guest/debian-arm64

fail() {
  printf '%s; make it anew with: npm run build:arm64\n' "$1" >&2
  exit 1
}
[ -f "$addon" ] || fail "expected $addon"
newer=$(find src crates/*/src Cargo.lock -type f -newer "$addon" -print -quit)
[ -z "$newer" ] || fail "$addon is older than $newer"
bash scripts/guest/fetch.sh arm64
node=$(bash scripts/arm64-node.sh)

root=$folder/root
mkdir -p "$root"/{proc,sys,dev,tmp,guest,plimsoll}
cp --recursive "$debian/root/." "$root"
cp "$node" "$root/bin/node"
cp scripts/guest/inside/* "$root/guest"
cp --recursive dist package.json "$addon" examples/models/plimsoll-sample-llama.gguf "$root/plimsoll"
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$folder/disk.img" 2G

first=$folder/first
mkdir -p "$first"/{bin,dev,proc,disk,modules}
cp "$debian/root/bin/busybox" "$first/bin"
cp scripts/guest/init "$first/init"
chmod +x "$first/init"
modprobe --config /dev/null --dirname "$debian/kernel" --set-version "$(cat "$debian/release")" --show-depends --all virtio_mmio virtio_blk zram lzo-rle |
  awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
  while read -r module; do
    cp "$module" "$first/modules"
    basename "$module"
  done >"$first/modules/order"
(cd "$first" && find . -print0 | cpio --null --quiet --create --format newc --owner 0:0) >"$folder/initrd.img"
rm -rf "$root" "$first"
