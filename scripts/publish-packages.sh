#!/usr/bin/env bash
# Publishes the tarballs of a folder to the registry that npm is configured with: publish-packages.sh FOLDER [FLAG...]
# The flags are those of `npm publish`. The platforms come first, because the root package depends on them. It may be
# run again after a failure: what the registry has already is left alone, if it is the same.
set -euo pipefail
folder=$1
shift

description() { tar --extract --gzip --to-stdout --file "$1" package/package.json; }
field() { node --print "JSON.parse(require('node:fs').readFileSync(0))[process.argv[1]]" "$1"; }
integrity() { node --print "'sha512-' + require('node:crypto').hash('sha512', require('node:fs').readFileSync(process.argv[1]), 'base64')" "$1"; }

publish() {
  local tarball=$1 version id published
  shift
  version=$(description "$tarball" | field version)
  id=$(description "$tarball" | field name)@$version
  published=$(npm view "$id" dist.integrity 2>/dev/null || true)
  if [ "$published" = "$(integrity "$tarball")" ]; then
    printf '%s is published already\n' "$id"
  elif [ -n "$published" ] && [[ " $* " == *" --dry-run "* ]]; then
    printf '%s is published already: its release needs another version\n' "$id"
  elif [ -n "$published" ]; then
    printf '%s is published already, with other contents than %s: release another version\n' "$id" "$tarball" >&2
    exit 1
  else
    # A version like 1.0.0-rc.1 must not become what `npm install plimsoll` takes.
    if [[ $version == *-* ]]; then set -- --tag next "$@"; fi
    npm publish "$tarball" "$@"
  fi
}

# One of each platform, and the root's.
platforms=("$(dirname "$0")"/../npm/*/)
expected=$((${#platforms[@]} + 1))

folder=$(cd "$folder" && pwd)
tarballs=("$folder"/plimsoll-linux-*.tgz "$folder"/plimsoll-[0-9]*.tgz)
# Half a release must not begin.
[ ${#tarballs[@]} -eq "$expected" ] && [ -f "${tarballs[0]}" ] && [ -f "${tarballs[-1]}" ] || {
  printf 'publish-packages: expected %s tarballs in %s, of one version; npm run pack:all makes them\n' "$expected" "$folder" >&2
  exit 1
}
for tarball in "${tarballs[@]}"; do
  publish "$tarball" "$@"
done
