#!/usr/bin/env bash
# parallel-consumer's own integration tests, over kafka-clients 3.9, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/java/suite-parallel-consumer
. "$here/../excuse.sh"
case $1 in
  prepare)
    "$here/../java/packages.sh" suite-parallel-consumer
    rm -rf "$home/shim"
    exec javac -nowarn -Xlint:none -d "$home/shim" -cp "$home/libs/*" "$here"/shim/*.java ;;
  run)
    java -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$home/shim:$home/libs/*" millrace.suite.Run 2>"$MILLRACE_E2E_STATE/suite.log" | excuse ;;
esac
