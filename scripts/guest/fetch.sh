#!/usr/bin/env bash
# Fetches what a guest is made of into build/guest/debian-ARCHITECTURE: fetch.sh arm64|amd64. A kernel of Debian with its
# modules and busybox; for arm64 the C and C++ libraries too. The whole of it or nothing; a folder that exists stays as
# it is.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin

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
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ ! -d "$folder" ] || exit 0

# Debian's mirror as this machine knows it.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
  awk '$1 == "Debian" && $2 !~ /security/ && !seen++ { print $2 }')}
[ -n "$mirror" ] || fail "a mirror of Debian among apt's sources; name one in DEBIAN_MIRROR, or run: apt-get update"
[ -f "$keyring" ] || fail "Debian's keys in $keyring; install the package debian-archive-keyring"

mkdir -p build/guest
partial=$(mktemp -d "$PWD/$folder.XXXXXX")
trap 'rm -rf "$partial"' EXIT
apt=$partial/apt
mkdir -p "$apt"/{lists/partial,archives/partial,debs}
: >"$apt/status"
echo "deb [signed-by=$keyring] $mirror $release main" >"$apt/sources.list"

# An apt of its own, so that neither another architecture nor another release enters the system's.
options=(
  -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
  -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o "APT::Architecture=$1" -o "APT::Architectures::=$1" -o Acquire::Languages=none
)
[ "$(id -u)" != 0 ] || options+=(-o APT::Sandbox::User=root)

echo "Fetching Debian's packages for the guest into $folder ..." >&2
unfetched="packages of Debian from $mirror; apt could not fetch them"
apt-get "${options[@]}" -o APT::Update::Error-Mode=any --quiet update >&2 || fail "$unfetched"
kernel=$(apt-cache "${options[@]}" depends "$kernel" | awk '$1 == "Depends:" && !seen++ { print $2 }')
(cd "$apt/debs" && apt-get "${options[@]}" --quiet download "$kernel" "${packages[@]}" >&2) || fail "$unfetched"

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
