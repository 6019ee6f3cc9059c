#!/usr/bin/env bash
# Puts every rule case to a real API server: rule_cases.sh RULE_CASES. MILLRACE_RULES_KUBECONFIG may name a server; else the control
# plane of e2e/kube is started, if its programs are built, under a prefix of its own. Exit 77: there is none. KUBECONFIG doesn't count:
# a person's cluster is no place for Clusters and definitions of a test.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
rule_cases=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/millrace-rules-XXXXXX")
started=
finish() {
  [ -z "$started" ] || "$top/e2e/kube/down.sh" --purge >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap finish EXIT
built=${MILLRACE_KUBE:-$HOME/.cache/millrace-kube}/bin
if [ -n "${MILLRACE_RULES_KUBECONFIG:-}" ]; then
  export KUBECONFIG=$MILLRACE_RULES_KUBECONFIG
else
  [ -x "$built/kube-apiserver" ] || { echo "e2e/kube/build.sh was not run: no real API server here"; exit 77; }
  mkdir -p "$dir/kube/images"; ln -s "$built" "$dir/kube/bin"
  export MILLRACE_KUBE=$dir/kube MILLRACE_KUBE_PORT=${MILLRACE_RULES_PORT:-16444}
  started=yes
  timeout 200 "$top/e2e/kube/up.sh" -n 0 >"$dir/up.log" 2>&1 || { cat "$dir/up.log" >&2; exit 1; }
  export KUBECONFIG=$dir/kube/run/pki/outside.kubeconfig PATH=$built:$PATH
fi
k() { timeout 60 kubectl "$@" 2>&1; }
"$rule_cases" "$here/rule_cases.yaml" "$dir/cases"
k apply --server-side -f "$top/crds" >/dev/null
k wait --for=condition=Established crd/clusters.millrace.dev crd/topics.millrace.dev crd/mirrorlinks.millrace.dev >/dev/null
failures=0
wrong() { echo "FAIL  case $1: $2"; failures=$((failures + 1)); }
for at in "$dir"/cases/*; do
  case=$(basename "$at") kind=$(cat "$at/kind")
  verb=create
  if [ -f "$at/before.yaml" ]; then
    k create -f "$at/before.yaml" >/dev/null || wrong "$case" "before is refused"
    verb=replace
  fi
  if said=$(k $verb -f "$at/refused.yaml"); then
    wrong "$case" "accepted $(cat "$at/refused.yaml")"
  elif ! grep -Eqf "$at/says" <<<"$said"; then
    wrong "$case" "expected '$(cat "$at/says")', got: $said"
  fi
  said=$(k $verb -f "$at/accepted.yaml") || wrong "$case" "refused what is fine: $said"
  k delete "$kind" case --ignore-not-found --wait >/dev/null
done
for manifest in "$top"/deploy/examples/*.yaml "$top"/deploy/local/*.yaml; do
  said=$(k apply --dry-run=server -f "$manifest") || wrong "$(basename "$manifest")" "$said"
done
said=$(k explain cluster.spec.rack.spread); grep -q "a pod waits rather than crowd a rack" <<<"$said" || wrong explain "$said"
echo "$(ls "$dir/cases" | wc -l) cases on $(k version -o json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | tail -1), $failures failed"
[ "$failures" = 0 ]
