#!/usr/bin/env bash
# What `make check` runs: rooms against include lines, every door header on its own, and the product with g++.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset gcc >/dev/null
python3 tests/arch/check_rooms.py . build/gcc/rooms.txt

ninja -C build/gcc programs
echo "g++: the programs build"

# Door headers compile alone: whoever includes one needs nothing in front of it.
generated=build/gcc/broker/protocol/generated
git ls-files 'broker/*/*.h' 'operator/*/*.h' | xargs -P "$(nproc)" -I{} \
  clang++-19 -std=c++20 -fsyntax-only -Wno-pragma-once-outside-header -x c++-header \
  -Ibroker -I. -I"$generated" -DFMT_SHARED {}
echo "headers: $(git ls-files 'broker/*/*.h' 'operator/*/*.h' | wc -l) compile alone"
