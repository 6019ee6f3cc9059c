#!/usr/bin/env bash
# Runs the commands of a page, in order, in one shell, in local mode: run_page.sh PAGE.md BIN. Blocks marked ```sh are run,
# ```sh kubernetes are not: they need a real Kubernetes and helm. `make run` is where it begins in any case, but with "alone" as third argument:
# then the page starts brokers itself, and leaves the process id of each in by-hand/. They get a loopback address of their own.
set -euo pipefail
page=$1 bin=$2 alone=${3:-}
top=$(cd "$(dirname "$0")/../.." && pwd)
for tool in kubectl kcat; do
  command -v $tool >/dev/null || { echo "$tool is not installed (make deps brings it)"; exit 77; }
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/millrace-docs-XXXXXX")
run=
finish() {
  local status=$?
  if [ $status != 0 ]; then tail -n 15 "$dir/out" "$dir/run/operator.log" "$dir"/by-hand/*.log >&2 2>/dev/null || true; fi
  for file in "$dir"/by-hand/*.pid; do [ ! -e "$file" ] || kill -9 "$(<"$file")" 2>/dev/null || true; done
  [ -z "$run" ] || { kill "$run" 2>/dev/null && wait "$run"; } || true
  rm -rf "$dir"
  exit $status
}
trap finish EXIT
export MILLRACE_RUN_DIR=$dir/run MILLRACE_RUN_BIN=$bin HOME=$dir KUBECONFIG=$dir/run/kubeconfig PATH=$bin:$PATH
pause() { read -rt 0.1 <> <(:) || true; }
start() {
  "$top/tools/run.sh" >"$dir/said" 2>&1 &
  run=$!
  local end=$((SECONDS + 60))
  until grep -q '^Ctrl-C stops' "$dir/said"; do
    [ $SECONDS -lt $end ] && kill -0 "$run" 2>/dev/null || { echo "no cluster: $(cat "$dir/said")" >&2; exit 1; }
    pause
  done
}

# The page as a script; `make run` occupies a terminal of its own, so it is where the script begins.
awk '/^```sh$/ {inside=1; next} /^```/ {inside=0} inside' "$page" >"$dir/commands"
[ -s "$dir/commands" ] || { echo "$page has no commands" >&2; exit 1; }
if [ "$alone" = alone ]; then
  cd "$dir"
  sed -i "s#\$PWD/build/release/bin#$bin#g; s#127\.0\.0\.1#127.96.0.1#g" "$dir/commands"
else
  start
  cd "$top"
  sed -i "/^make run\$/d; s#\$PWD/build/run#$dir/run#g; s#build/release/bin#$bin#g; s#build/run#$dir/run#g" "$dir/commands"
fi
timeout 200 bash -euxo pipefail "$dir/commands" >"$dir/out" 2>&1 || { echo "FAILED: $page" >&2; exit 1; }
echo "$(grep -c '^+ ' "$dir/out") commands of $(basename "$page") ran"
