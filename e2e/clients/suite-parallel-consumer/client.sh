#!/usr/bin/env bash
# parallel-consumer's own integration tests, over kafka-clients 3.9, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/java/suite-parallel-consumer
# What is known to be absent in the broker, or wrong in the tests (absent.txt: NAME, a tab, why), is not a failure, and is said.
excuse() {
  awk -F'\t' -v OFS='\t' 'NR == FNR { why[$1] = $2; next } $1 == "FAILED" && ($2 in why) { $1 = "n/a"; $3 = why[$2] } { print; fflush() }' "$here/absent.txt" -
}
case $1 in
  prepare)
    "$here/../java/packages.sh" suite-parallel-consumer
    rm -rf "$home/shim"
    exec javac -nowarn -Xlint:none -d "$home/shim" -cp "$home/libs/*" "$here"/shim/*.java ;;
  run)
    java -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$home/shim:$home/libs/*" millrace.suite.Run 2>"$MILLRACE_E2E_STATE/suite.log" | excuse ;;
esac
