# Sourced, from the checkout: rust_for TARGET sees to a Rust that compiles for it. Where rustup cannot fetch the target's
# standard library, Debian's own Rust is used instead of rustup's, in a build folder of its own: it has that of arm64, and
# the source of all, of which cargo builds the one for musl.

rust_has() { [ -d "$("${RUSTC:-rustc}" --print target-libdir --target "$1" 2>/dev/null)" ]; }

# What of Debian's the target takes, beside the compiler.
of_debian() { case $1 in *-musl) echo rust-web-src ;; *) echo libstd-rust-web-dev:arm64 ;; esac; }

rust_of_debian_has() {
  local oldest=1.95
  [ "$(printf '%s\n' "$oldest" "$(/usr/bin/rustc --version 2>/dev/null | cut -d' ' -f2)" | sort -V | head -n 1)" = "$oldest" ] ||
    return 1
  case $1 in
  *-musl) [ -f "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ] ;;
  *) RUSTC=/usr/bin/rustc rust_has "$1" ;;
  esac
}

install_rust_of_debian() {
  [ "$(id -u)" -eq 0 ] && [ "$(. /etc/os-release && echo "$ID")" = debian ] || return 1
  local had library
  had=$(dpkg --print-foreign-architectures)
  library=$(of_debian "$1")
  {
    { [[ $library != *:arm64 ]] || dpkg --add-architecture arm64; } && apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rustc-web "$library"
  } >&2 && return
  [[ $library != *:arm64 ]] || grep -qx arm64 <<<"$had" || dpkg --remove-architecture arm64
  return 1
}

rust_for() {
  ! rust_has "$1" || return 0
  if command -v rustup >/dev/null && rustup target add "$1" && rust_has "$1"; then return 0; fi
  echo "rustup cannot fetch the standard library for $1; taking Debian's Rust" >&2
  rust_of_debian_has "$1" || { install_rust_of_debian "$1" && rust_of_debian_has "$1"; } || return 1
  export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc CARGO_TARGET_DIR=$PWD/build/rust-of-debian
  # To build the standard library is an unstable feature of cargo, in every release of it.
  case $1 in *-musl) export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_unwind ;; esac
}
