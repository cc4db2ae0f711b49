# Sourced: debian_apt FOLDER RELEASE ARCHITECTURE makes an apt of its own in FOLDER, so that neither another architecture nor
# another release enters the system's. It leaves its options in `apt_options`, and the mirror in `debian_mirror`.

debian_apt() {
  local apt=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  # Debian's mirror as this machine knows it.
  debian_mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 !~ /security/ && !seen++ { print $2 }')}
  [ -n "$debian_mirror" ] || {
    echo "expected a mirror of Debian among apt's sources; name one in DEBIAN_MIRROR, or run: apt-get update" >&2
    return 1
  }
  [ -f "$keyring" ] || {
    echo "expected Debian's keys in $keyring; install the package debian-archive-keyring" >&2
    return 1
  }
  mkdir -p "$apt"/{lists/partial,archives/partial,debs}
  : >"$apt/status"
  echo "deb [signed-by=$keyring] $debian_mirror $2 main" >"$apt/sources.list"
  apt_options=(
    -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
    -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "APT::Architecture=$3" -o "APT::Architectures::=$3" -o Acquire::Languages=none
  )
  [ "$(id -u)" != 0 ] || apt_options+=(-o APT::Sandbox::User=root)
  apt-get "${apt_options[@]}" -o APT::Update::Error-Mode=any --quiet update >&2
}
