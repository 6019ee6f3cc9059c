#!/usr/bin/env bash
# librdkafka's own tests, built from Debian's source package, at this broker's address; one process a test, so one can't take the rest along.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=2.0.2
home=$MILLRACE_E2E_CACHE/suite-librdkafka
source=$home/librdkafka-$version
# The machine's own package sources, asked for source packages, with lists apart from its own.
fetch() {
  local file apt
  mkdir -p "$home/lists/partial" "$home/parts"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$file" ] || sed 's/^Types: deb$/Types: deb-src/' "$file" >"$home/parts/$(basename "$file")"
  done
  [ ! -f /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$home/parts/main.list"
  apt=(apt-get -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$home/parts" -o "Dir::State::lists=$home/lists" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$home" && "${apt[@]}" source --download-only "librdkafka=$version-1")
}
case $1 in
  prepare)
    "$here/../java/packages.sh" tools # some tests call kafka-topics.sh
    [ ! -f "$home/ready-$version" ] || exit 0
    rm -rf "$home"; mkdir -p "$source"
    fetch
    tar -xf "$home/librdkafka_$version.orig.tar.gz" -C "$source" --strip-components=1
    cd "$source"
    ./configure --disable-optimization --disable-gssapi --disable-curl
    make -j2 libs
    make -j2 -C tests build
    touch "$home/ready-$version" ;;
  run)
    cd "$source/tests"
    echo "bootstrap.servers=$BOOTSTRAP" >"$MILLRACE_E2E_STATE/test.conf"
    export RDKAFKA_TEST_CONF=$MILLRACE_E2E_STATE/test.conf TEST_KAFKA_VERSION=4.3.0 KAFKA_PATH=$here/kafka BROKERS=$BOOTSTRAP
    export LD_LIBRARY_PATH=../src:../src-cpp
    for check in $CHECKS; do
      log=$MILLRACE_E2E_STATE/$check.log began=$SECONDS
      if TESTS=${check%%_*} timeout "${TEST_SECONDS:-240}" ./test-runner -p1 >"$log" 2>&1; then
        # The table at the end has a row for each part: | 0107_topic_recreate | SKIPPED | 0.000s | why
        if sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -aqE '^\| [0-9].*\| +PASSED'; then printf 'ok\t%s\t(%s s)\n' "$check" $((SECONDS - began))
        else printf 'n/a\t%s\tits own suite skips it here\n' "$check"
        fi
      elif why=$(grep "^$check"$'\t' "$here/absent.txt"); then
        printf 'n/a\t%s\n' "$why"
      else
        printf 'FAILED\t%s\t%s\n' "$check" "$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -a -A1 '^### Test' | head -n 2 | tr '\n\t' '  ' | cut -c1-300)"
      fi
    done ;;
esac
