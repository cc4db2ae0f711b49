#!/usr/bin/env bash
# Makes the file system of a guest for x86-64: initrd.sh FOLDER IMAGE. FOLDER holds programs of this machine, /job among
# them, which is what the guest runs; they get the libraries that they ask for, busybox, a program that makes file systems,
# and the modules of a DRM driver without hardware, of a disk, and of disks that are slow or broken as told.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin

root=$1 image=$2
debian=build/guest/debian-amd64
bash scripts/guest/fetch.sh amd64

install -D "$(command -v mke2fs)" "$root/bin/mke2fs"

# Each library once, at the path where the loader looks for it; the loader itself too. Not every file is a program.
{ find "$root" -type f -exec ldd {} + 2>/dev/null || true; } | sed -n 's|^[^/]*\(/[^ ]*\.so[^ ]*\).*|\1|p' | sort --unique |
  while read -r library; do install -D "$library" "$root$library"; done

mkdir -p "$root"/{bin,dev,disk,proc,run,sys,tmp,modules}
cp "$debian/root/usr/bin/busybox" "$root/bin"
install scripts/guest/init-pc "$root/init"
modprobe --config /dev/null --dirname "$debian/kernel" --set-version "$(cat "$debian/release")" --show-depends --all vgem virtio_pci virtio_blk ext4 overlay configfs null_blk |
  awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
  while read -r module; do
    name=$(basename "$module" .xz)
    xz --decompress --stdout "$module" >"$root/modules/$name"
    echo "$name"
  done >"$root/modules/order"
(cd "$root" && find . -print0 | cpio --null --quiet --create --format newc --owner 0:0) >"$image"
