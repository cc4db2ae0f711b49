# Sourced, from the checkout: rust_for TARGET sees to a Rust that compiles for it. Where rustup cannot fetch the target's
# standard library, Debian's own Rust, which has one for arm64, is used instead of rustup's, in a build folder of its own.

rust_has() { [ -d "$("${RUSTC:-rustc}" --print target-libdir --target "$1" 2>/dev/null)" ]; }

rust_of_debian_has() {
  local oldest=1.95
  [ "$(printf '%s\n' "$oldest" "$(/usr/bin/rustc --version 2>/dev/null | cut -d' ' -f2)" | sort -V | head -n 1)" = "$oldest" ] &&
    RUSTC=/usr/bin/rustc rust_has "$1"
}

install_rust_of_debian() {
  [ "$(id -u)" -eq 0 ] && [ "$(. /etc/os-release && echo "$ID")" = debian ] || return 1
  local had
  had=$(dpkg --print-foreign-architectures)
  {
    dpkg --add-architecture arm64 && apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rustc-web libstd-rust-web-dev:arm64
  } >&2 && return
  grep -qx arm64 <<<"$had" || dpkg --remove-architecture arm64
  return 1
}

rust_for() {
  ! rust_has "$1" || return 0
  if command -v rustup >/dev/null && rustup target add "$1" && rust_has "$1"; then return 0; fi
  echo "rustup cannot fetch the standard library for $1; taking Debian's Rust" >&2
  rust_of_debian_has "$1" || { install_rust_of_debian && rust_of_debian_has "$1"; } || return 1
  export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc CARGO_TARGET_DIR=$PWD/build/rust-of-debian
}
