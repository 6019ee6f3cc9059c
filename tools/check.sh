#!/usr/bin/env bash
# What `make check` runs: rooms against include lines, seams, what the pages name, every source of the programs against g++, and every door
# header on its own. Nothing is built here: `make test` builds and links (tests/arch links each room with just what it
# declares), and `tools/nightly.sh gcc` builds and tests everything with g++.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/gcc
cmake --preset gcc >/dev/null
python3 tests/arch/check_rooms.py . "$build/rooms.txt"
python3 tests/arch/check_words.py
tests/arch/lint_seams
echo "seams: time, threads, files, sockets and chance only where they may be"

ninja -C "$build" broker/protocol/generated/stamp broker/admin/generated/millrace/admin/v1/admin.pb.cc >"$build/generate.log" ||
  { cat "$build/generate.log"; exit 1; }
python3 tools/second_compiler.py "$build"
echo "g++: accepts every source of the programs"

# Door headers compile alone: whoever includes one needs nothing in front of it.
mapfile -t doors < <(git ls-files ':(glob)broker/*/*.h' ':(glob)operator/*/*.h')
objects=$build/doors
mkdir -p "$objects"
# shellcheck disable=SC2016  # expanded by the inner shell
printf '%s\n' "${doors[@]}" | xargs -P "$(nproc)" -I{} bash -c '
  object=$1/${2//\//_}.o
  shift 2
  "$@" -o "$object"' _ "$objects" {} $(command -v ccache) clang++-19 -std=c++20 -O0 -Wno-pragma-once-outside-header \
  -DFMT_SHARED -Ibroker -I. -I"$build/broker/protocol/generated" -isystem "$build/broker/admin/generated" -x c++ -c {}
echo "headers: ${#doors[@]} doors compile alone"
