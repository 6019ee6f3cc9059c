#!/usr/bin/env bash
# changed_file.sh [ROOM...]: how long it takes from a changed file in a room to its tests run again; all rooms with tests of their own
# without a name. Changes the room's largest source, then the header that most of its files include, builds and runs
# test_ROOM each time and puts the file back. ccache is off: nobody has built this change before. Build release first.
#   SECONDS_MOST=30 changed_file.sh storage     ends with 1 if one takes longer
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/${PRESET:-release}
most=${SECONDS_MOST:-30}
[ -e "$build/rooms.txt" ] || { echo "no build in $build: make all" >&2; exit 2; }
[ $# -gt 0 ] || mapfile -t ROOMS < <(cut -d' ' -f1 "$build/rooms.txt")
rooms=("${@:-${ROOMS[@]}}")
changed=
put_back() { [ -z "$changed" ] || { mv "$changed.kept" "$changed"; touch "$changed"; changed=; }; }
trap put_back EXIT

# seconds FILE ROOM: changed, built, run; put back.
seconds() {
  local began ended
  changed=$1
  cp -p "$changed" "$changed.kept"
  printf '\n// Changed.\n' >>"$changed"
  began=$(date +%s%N)
  CCACHE_DISABLE=1 ninja -C "$build" -j "$(nproc)" "test_$2" >"$build/changed.log" || { cat "$build/changed.log" >&2; exit 2; }
  (cd "$build" && ctest -R "^test_$2\$" >changed.log) || { cat "$build/changed.log" >&2; exit 2; }
  ended=$(date +%s%N)
  put_back
  echo $(((ended - began) / 100000000))
}

echo "load of the machine: $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores"
slow=0
for room in "${rooms[@]}"; do
  folder=$(awk -v room="$room" '$1 == room {print $2}' "$build/rooms.txt")
  [ -n "$folder" ] || { echo "no room $room" >&2; exit 2; }
  ninja -C "$build" -t query "test_$room" >/dev/null 2>&1 || continue
  ninja -C "$build" -j "$(nproc)" "test_$room" >/dev/null
  source=$(git ls-files "$folder/*.cc" | grep -v _main.cc | xargs -r ls -S | head -n 1)
  header=$(git ls-files "$folder/*.h" | while read -r one; do
    echo "$(git grep -lF "\"${one#broker/}\"" -- "$folder" "tests/unit/$room" | wc -l) $one"
  done | sort -rn | head -n 1 | cut -d' ' -f2)
  for file in $source $header; do
    tenths=$(seconds "$file" "$room")
    printf '%-14s %-60s %3d.%d s\n' "$room" "$file" $((tenths / 10)) $((tenths % 10))
    [ "$tenths" -le $((most * 10)) ] || slow=1
  done
done
exit $slow
