#!/usr/bin/env bash
# Unpacks a package out of npm's registry, whatever platform it is for: unpack-npm.sh NAME@VERSION FOLDER
# The whole package or nothing; a folder that exists stays as it is.
set -euo pipefail

package=$1 folder=$2
[ ! -d "$folder" ] || exit 0

mkdir -p "$(dirname "$folder")"
partial=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$partial"' EXIT
{ npm pack --loglevel=error --pack-destination "$partial" "$package" >/dev/null &&
  tar --extract --gzip --file "$partial"/*.tgz --directory "$partial"; } || {
  printf 'expected %s from the registry of npm; it could not be fetched\n' "$package" >&2
  exit 1
}
# Another run may have been first; then its folder stays.
mv --no-target-directory "$partial/package" "$folder" 2>/dev/null || [ -d "$folder" ] || {
  printf 'expected to put %s into %s; is there room?\n' "$package" "$folder" >&2
  exit 1
}
