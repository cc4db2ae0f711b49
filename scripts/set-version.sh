#!/usr/bin/env bash
# Carries the version of package.json to all else that states it, and dates the changes in CHANGELOG.md.
# `npm version X` runs this between its own change and the commit; a checkout with changes it has refused by then.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(node --print 'require("./package.json").version')

# To its end: a grep that stops at the first match would end the pipe before sed does, and fail it now and then.
sed -n '/^## \[Unreleased\]/,/^## \[[0-9]/p' CHANGELOG.md | grep '^- ' >/dev/null || {
  echo 'set-version: expected the changes of this release under [Unreleased] in CHANGELOG.md, found none' >&2
  exit 1
}
sed -i "s/^## \[Unreleased\]\$/&\n\n## [$version] - $(date --utc +%F)/" CHANGELOG.md

sed -i -E "/^\[workspace\.package\]/,/^\[/ s/^version = .*/version = \"$version\"/
  s|(path = \"crates/[a-z-]+\", version = )\"[^\"]*\"|\1\"$version\"|" Cargo.toml
# Cargo would ask the registry of crates first, and might take newer dependencies on the way.
sed -i -E "/^name = \"(gguf-file|gguf-dequant|plimsoll|plimsoll-addon|plimsoll-link)\"\$/ { n; s/.*/version = \"$version\"/ }" Cargo.lock fuzz/Cargo.lock

npx napi version
git add -- CHANGELOG.md Cargo.toml Cargo.lock fuzz/Cargo.lock npm
