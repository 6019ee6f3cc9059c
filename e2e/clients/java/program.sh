#!/usr/bin/env bash
# program.sh PACKAGES CLASS prepare|run: compiles CLASS.java and Checks.java against the jars of PACKAGES.xml, and runs it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/java/$1
case $3 in
  prepare)
    "$here/packages.sh" "$1"
    rm -rf "$home/classes"
    exec javac -nowarn -d "$home/classes" -cp "$home/libs/*" "$here/Checks.java" "$here/$2.java" ;;
  run)
    exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
      -cp "$home/classes:$home/libs/*" "$2" ;;
esac
