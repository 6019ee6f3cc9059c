#!/usr/bin/env bash
# Installs what the build and the tests need from Debian's packages: prints what is missing, installs
# just that (as root or with sudo), and does nothing the second time.
#   tools/deps.sh            what `make run` and `make test` need
#   tools/deps.sh --list     print the list and stop
set -euo pipefail

packages=(
  # compilers and build
  clang-19 lld-19 llvm-19 libclang-rt-19-dev clang-format-19 g++-12 cmake ninja-build ccache pkg-config
  # the product's libraries
  libfmt-dev libssl-dev zlib1g-dev libzstd-dev liblz4-dev libsnappy-dev libyaml-cpp-dev libre2-dev libabsl-dev
  libgrpc++-dev libgrpc-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libcpprest-dev
  prometheus-cpp-dev
  # tests
  libgtest-dev libgmock-dev libbenchmark-dev python3 curl zstd
  # the image
  mmdebstrap
  # what a newcomer tries the product with
  kcat
)
# kubectl comes from many places; Debian's package only where there is none.
command -v kubectl >/dev/null 2>&1 || packages+=(kubernetes-client)

if [ "${1:-}" = --list ]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

missing=()
installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package} ' 2>/dev/null | grep -o 'ii [^ ]*' | cut -c4- | tr '\n' ' ') "
for package in "${packages[@]}"; do
  case $installed in
    *" $package "*) ;;
    *) missing+=("$package") ;;
  esac
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
echo "missing packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "run as root, or install sudo: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
