#!/usr/bin/env bash
# Apache Kafka's own integration tests, from its test jars, with millrace-broker processes in place of the brokers that they start in their JVM.
#   SUITE=...  another folder's tests on the same brokers: suite-streams, suite-connect
#   ABSENT=1   also those of absent.txt, to see which of them have come true
#   CONTROL=1  beside Kafka's own brokers, which shows what the tests themselves are worth here
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=${SUITE:-suite-kafka}
home=$MILLRACE_E2E_CACHE/java/$suite
case $1 in
  prepare)
    "$here/../java/packages.sh" "$suite"
    rm -rf "$home/shim" "$home/patched"
    javac -nowarn -Xlint:none -d "$home/shim" -cp "$home/libs/*" "$here"/shim/*.java
    cp "$here/log4j2.yaml" "$home/shim/"
    mkdir -p "$home/shim/META-INF/services"
    echo millrace.suite.NotOffered >"$home/shim/META-INF/services/org.junit.jupiter.api.extension.Extension"
    # Two classes of Kafka's are written anew, with the shim in the places where they are a server (Patch.java).
    java -cp "$home/shim:$home/libs/*" millrace.suite.Patch "$home/patched" ;;
  run)
    mkdir -p "$MILLRACE_E2E_STATE"
    declare -A absent=()
    while IFS=$'\t' read -r name why; do absent[$name]=$why; done < <(grep -v '^#' "$here/../$suite/absent.txt")
    asked=
    for name in $CHECKS; do
      if [ -n "${absent[$name]:-}" ] && [ -z "${ABSENT:-}${CONTROL:-}" ]; then printf 'n/a\t%s\t%s\n' "$name" "${absent[$name]}"; else asked+="$name "; fi
    done
    [ -n "$asked" ] || exit 0
    cd "$MILLRACE_E2E_STATE" # some tests make their directories where they stand
    patched=${CONTROL:+/nowhere}
    SUITE_SETTINGS=$here/settings.txt SUITE_PARAMETERS=$here/../$suite/parameters.txt CHECKS=$asked TMPDIR=$MILLRACE_E2E_STATE exec java -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir="$MILLRACE_E2E_STATE" \
      -cp "${patched:-$home/patched}:$home/shim:$home/libs/*" millrace.suite.Run ;;
esac
