#!/usr/bin/env bash
# What `make check` runs: the programs with g++, rooms against include lines and against the linker, seams, and every
# door header on its own.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset gcc >/dev/null
python3 tests/arch/check_rooms.py . build/gcc/rooms.txt
tests/arch/lint_seams
echo "seams: time, threads, files, sockets and chance only where they may be"

ninja -C build/gcc programs
echo "g++: the programs build"
ninja -C build/gcc link_check >build/gcc/link_check.log || { cat build/gcc/link_check.log; exit 1; }
echo "links: each room needs only the rooms that it declares"

# Door headers compile alone: whoever includes one needs nothing in front of it.
generated=build/gcc/broker/protocol/generated
git ls-files 'broker/*/*.h' 'operator/*/*.h' | xargs -P "$(nproc)" -I{} \
  clang++-19 -std=c++20 -fsyntax-only -Wno-pragma-once-outside-header -x c++-header \
  -Ibroker -I. -I"$generated" -DFMT_SHARED {}
echo "headers: $(git ls-files 'broker/*/*.h' 'operator/*/*.h' | wc -l) compile alone"
