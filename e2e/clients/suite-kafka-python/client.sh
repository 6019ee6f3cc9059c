#!/usr/bin/env bash
# kafka-python's own integration tests, from its source package, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=3.0.12
home=$MILLRACE_E2E_CACHE/suite-kafka-python
source=$home/kafka_python-$version
. "$here/../excuse.sh"
case $1 in
  prepare)
    [ ! -f "$home/ready-$version" ] || exit 0
    rm -rf "$home"; mkdir -p "$home"
    python3 -m venv "$home/python"
    "$home/python/bin/pip" -q install pytest==9.2.0 pytest-timeout==2.4.0 pytest-mock==3.17.0 lz4==4.4.5 python-snappy==0.7.3 zstandard==0.25.0
    "$home/python/bin/pip" -q download --no-deps --no-binary :all: -d "$home" "kafka-python==$version"
    tar -xf "$source.tar.gz" -C "$home"
    cp "$here/service.py" "$source/test/service.py"
    touch "$source/test/__init__.py"
    mkdir -p "$source/servers/4.3.0/kafka-bin" # its fixtures look for a Kafka to start, and then don't
    touch "$home/ready-$version" ;;
  run)
    cd "$source"
    select=(); for name in $CHECKS; do select+=("test/integration/$name"); done
    KAFKA_URI=kafka://${BOOTSTRAP%%,*} KAFKA_VERSION=4.3.0 "$home/python/bin/python" -m pytest --tb=native --assert=plain --timeout 60 -v "${select[@]}" 2>&1 |
      tee "$MILLRACE_E2E_STATE/suite.log" | awk '/^test\/integration\/.* (PASSED|FAILED|SKIPPED|ERROR)/ && !seen[$1]++ { name = $1; sub("test/integration/", "", name)
        print ($2 == "PASSED" ? "ok" : $2 == "SKIPPED" ? "n/a" : "FAILED") "\t" name "\t" ($2 == "SKIPPED" ? "its own suite skips it" : ""); fflush() }' |
      excuse || [ $? = 1 ] ;; # 1: some test failed, which its line says
esac
