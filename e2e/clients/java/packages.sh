#!/usr/bin/env bash
# packages.sh NAME: the jars of NAME.xml in $MILLRACE_E2E_CACHE/java/NAME, resolved once for each content of that file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/java/$1
if ! cmp -s "$here/$1.xml" "$home/installed.xml"; then
  rm -rf "$home"
  mkdir -p "$home"
  mvn -B -q -f "$here/$1.xml" dependency:copy-dependencies "-DoutputDirectory=$home/libs" -DincludeScope=runtime
  cp "$here/$1.xml" "$home/installed.xml"
fi
