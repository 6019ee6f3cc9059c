#!/usr/bin/env bash
# make_vectors.sh [VERSION]: rewrites apis.txt and <family>.txt.zst with what the message classes of
# that Apache Kafka release say (4.4.0). Needs a JDK 17, Maven and zstd; the build and tests do not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=${1:-4.4.0}
libs=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/vectors/libs-$version
if [ ! -d "$libs" ]; then
    mvn -B -q -f "$here/pom.xml" "-Dkafka.version=$version" dependency:copy-dependencies \
        "-DoutputDirectory=$libs" -DincludeScope=runtime
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
java -Xmx1g -cp "$libs/*" "$here/Vectors.java" "$out"
cp "$out/apis.txt" "$here/apis.txt"
for family in "$out"/*.txt; do
    name=$(basename "$family")
    [ "$name" = apis.txt ] || zstd -q -19 -f "$family" -o "$here/$name.zst"
done
