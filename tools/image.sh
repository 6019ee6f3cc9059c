#!/usr/bin/env bash
# image.sh [NAME:TAG | --packages]: the programs as an OCI image, made without a registry and without a container
# engine: the libraries that they link, unpacked from Debian's packages, and a second layer with the programs. The
# archive build/image/NAME_TAG.tar is an OCI layout that `docker load`, `podman load` and `ctr images import` take
# alike. --packages prints the packages and stops.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^project(millrace VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=${1:-millrace/millrace:$version}
bin=build/${PRESET:-release}/bin
out=build/image

# The package of a library, under either of the names that a merged /usr gives its file.
package_of() {
  local file
  file=$(realpath "$1")
  { dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}"; } | cut -d: -f1
}

programs=()
packages=(base-files tzdata)
for program in millrace-broker millrace-operator; do
  [ -x "$bin/$program" ] || continue
  programs+=("$program")
  for library in $(ldd "$bin/$program" | awk '$3 ~ "^/" {print $3}'); do
    packages+=("$(package_of "$library")")
  done
done
include=$(printf '%s\n' "${packages[@]}" | sort -u | paste -sd, -)
[ "$name" != --packages ] || { tr , '\n' <<<"$include"; exit 0; }

command -v mmdebstrap >/dev/null || { echo "image.sh: mmdebstrap is missing: make deps installs it" >&2; exit 2; }

rm -rf "$out"/programs "$out"/*.new
mkdir -p "$out/programs/usr/bin"
for program in "${programs[@]}"; do
  llvm-strip-19 --strip-debug -o "$out/programs/usr/bin/$program" "$bin/$program"
done

# The tree of Debian's libraries changes with the list alone: it is kept between runs.
tree=$out/debian-$(printf '%s' "$include" | sha256sum | cut -c1-16).tar
if [ ! -s "$tree" ]; then
  echo "unpacking $include"
  mode=$([ "$(id -u)" = 0 ] && echo root || echo unshare)
  mmdebstrap --quiet --mode="$mode" --variant=extract --format=tar --include="$include" \
    --dpkgopt='path-exclude=/usr/share/{doc,man,locale,lintian,bug,common-licenses}/*' \
    "$(. /etc/os-release; echo "$VERSION_CODENAME")" "$tree.new"
  mv "$tree.new" "$tree"
fi
python3 tools/image_pack.py --name "$name" --version "$version" --base "$tree" --programs "$out/programs" \
  --out "$out/$(printf '%s' "$name" | tr '/:' '__').tar"
