#!/usr/bin/env bash
# Fetches what a guest is made of into build/guest/debian-ARCHITECTURE: fetch.sh arm64|amd64. A kernel of Debian with its
# modules and busybox; for arm64 the C and C++ libraries too. The whole of it or nothing; a folder that exists stays as
# it is.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
. scripts/debian-apt.sh

fail() {
  printf 'expected %s\n' "$1" >&2
  exit 1
}

case ${1:-nothing} in
# Runs the addon against the oldest C library that the boards have.
arm64) release=bookworm kernel=linux-image-cloud-arm64 packages=(busybox-static libc6 libstdc++6 libgcc-s1) ;;
# The first release with dma-heaps; and not the kernel for clouds, which has no DRM.
amd64) release=trixie kernel=linux-image-amd64 packages=(busybox-static) ;;
*) fail "arm64 or amd64, found ${1:-nothing}" ;;
esac
folder=build/guest/debian-$1
[ ! -d "$folder" ] || exit 0

mkdir -p build/guest
partial=$(mktemp -d "$PWD/$folder.XXXXXX")
trap 'rm -rf "$partial"' EXIT
apt=$partial/apt
echo "Fetching Debian's packages for the guest into $folder ..." >&2
debian_apt "$apt" "$release" "$1" || fail 'to read what Debian has'
unfetched="packages of Debian from $debian_mirror; apt could not fetch them"
kernel=$(apt-cache "${apt_options[@]}" depends "$kernel" | awk '$1 == "Depends:" && !seen++ { print $2 }')
(cd "$apt/debs" && apt-get "${apt_options[@]}" --quiet download "$kernel" "${packages[@]}" >&2) || fail "$unfetched"

mkdir "$partial/kernel" "$partial/root"
for package in "$apt"/debs/*.deb; do
  case $package in
    */linux-image-*) dpkg-deb --extract "$package" "$partial/kernel" ;;
    *) dpkg-deb --extract "$package" "$partial/root" ;;
  esac
done
rm -rf "$apt" "$partial/root/usr/share"
# Of trixie on, the modules lie below /usr, where an older depmod does not look.
[ -d "$partial/kernel/lib/modules" ] || ln -s usr/lib "$partial/kernel/lib"
depmod --basedir "$partial/kernel" "${kernel#linux-image-}"
echo "${kernel#linux-image-}" >"$partial/release"
chmod 755 "$partial"
# Another run may have been first; then its folder stays.
mv --no-target-directory "$partial" "$folder" 2>/dev/null || [ -d "$folder" ]
