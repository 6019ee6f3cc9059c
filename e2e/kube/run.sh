#!/usr/bin/env bash
# The operator on a real Kubernetes, by stock helm, kubectl and kcat: run.sh [--short] [--keep] [--on DIR] [STEP...]
# Three nodes in three zones and a namespace of restricted Pod Security; then the steps of steps.sh, each with its name, its time
# and what it waits for. --short leaves out those that wait for failures to be noticed. STEP: only these, after install and create.
# --keep leaves the cluster up, also when a step fails; --on DIR goes on there with the steps that are not done yet, or with STEP.
# Exit 77: build.sh was not run on this machine.
#   MILLRACE_BROKER   the programs' directory is this one's (build/release/bin, else build/debug/bin)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
short= keep= on= only=()
while [ $# -gt 0 ]; do
  case $1 in
    --short) short=1 ;;
    --keep) keep=1 ;;
    --on) on=${2:?a directory that --keep left}; keep=1; shift ;;
    -*) sed -n '2,8s/^# \?//p' "$0" >&2; exit 2 ;;
    *) only+=("$1") ;;
  esac
  shift
done
built=$HOME/.cache/millrace-kube/bin
[ -x "$built/kubelet" ] || { echo "left out: e2e/kube/build.sh was not run on this machine"; exit 77; }
command -v kcat >/dev/null || { echo "left out: kcat is not installed"; exit 77; }
bin=
for candidate in "${MILLRACE_BROKER:+$(dirname "$MILLRACE_BROKER")}" "$top/build/release/bin" "$top/build/debug/bin"; do
  if [ -n "$candidate" ] && [ -x "$candidate/millrace-operator" ]; then bin=$candidate; break; fi
done
[ -n "$bin" ] || { echo "no millrace-operator: make build" >&2; exit 2; }

dir=${on:-$(mktemp -d "${TMPDIR:-/tmp}/millrace-e2e-kube-XXXXXX")}
export MILLRACE_KUBE=$dir/kube MILLRACE_KUBE_PORT=${MILLRACE_KUBE_PORT:-16445}
mkdir -p "$MILLRACE_KUBE/images"; ln -sfn "$built" "$MILLRACE_KUBE/bin"
export KUBECONFIG=$MILLRACE_KUBE/run/pki/outside.kubeconfig PATH=$built:$PATH
step=start helpers=()
show_state() {
  echo "==== the cluster when step $step failed"
  timeout 20 kubectl -n millrace get mrc,mrt,pods,pvc,pdb,nodes -o wide
  timeout 20 kubectl -n millrace get mrc -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{range .status.conditions[*]}  {.type}={.status} {.message}{"\n"}{end}{end}'
  timeout 20 kubectl -n millrace get events --sort-by=.lastTimestamp | tail -n 25
  timeout 20 kubectl -n millrace logs deploy/millrace-operator --tail=25
  timeout 20 kubectl -n millrace get pods -o 'jsonpath={range .items[?(@.metadata.labels.millrace\.dev/broker)]}{.metadata.name} {.metadata.deletionTimestamp}{"\n"}{end}' |
    while read -r pod going; do echo "---- $pod ${going:+deleted at $going}"; timeout 20 kubectl -n millrace logs "$pod" --tail=6; done
}
finish() {
  local status=$? helper
  for helper in "${helpers[@]}"; do kill "$helper" 2>/dev/null || true; done
  [ $status = 0 ] || show_state >&2 2>&1 || true
  if [ -n "$keep" ]; then
    echo "kept: $0 --on $dir; or: export MILLRACE_KUBE=$MILLRACE_KUBE KUBECONFIG=$KUBECONFIG PATH=$built:\$PATH; $here/down.sh --purge; rm -rf $dir"
  else timeout 120 "$here/down.sh" --purge >/dev/null 2>&1 || true; rm -rf "$dir"; fi
  exit $status
}
trap finish EXIT
began=$SECONDS
fail() { echo "FAILED in step $step: $*" >&2; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1: expected [$2], got [$3]"; }
pause() { read -rt 0.2 <> <(:) || true; }
# until_true SECONDS COMMAND...: tries again until it succeeds.
until_true() {
  local end=$((SECONDS + $1)) within=$1; shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || fail "not within $within s: $*"; pause; done
}
k() { timeout 90 kubectl -n millrace "$@"; }
in_network() { timeout 240 "$here/in.sh" "$@"; }
operator_log() { k logs deploy/millrace-operator --tail=-1; }
source "$here/steps.sh"
source "$here/steps_mirror.sh"
source "$here/steps_nasty.sh"
source "$here/steps_more.sh"

start_bed() {
  "$here/up.sh" >"$dir/up.log" 2>&1 || { cat "$dir/up.log" >&2; exit 1; }
  for program in millrace-broker millrace-operator; do
    llvm-strip-19 --strip-debug -o "$dir/$program" "$bin/$program"
  done
  "$here/image.sh" build millrace/millrace:0.1.0 -p "$dir/millrace-broker=/usr/bin/millrace-broker" \
    -p "$dir/millrace-operator=/usr/bin/millrace-operator" -u 10001:10001 -- /usr/bin/millrace-broker >/dev/null
  kubectl create namespace millrace >/dev/null
  kubectl label namespace millrace pod-security.kubernetes.io/enforce=restricted >/dev/null
  : >"$dir/done"
}
# What the steps know of each other is in DIR: a later run goes on from it.
records=0 bootstrap=
if [ -n "$on" ]; then source "$dir/state"; else start_bed; fi

run() {
  step=$1
  "step_${1//-/_}"
  echo "$1" >>"$dir/done"
  printf 'records=%s bootstrap=%s\n' "$records" "$bootstrap" >"$dir/state"
  printf 'ok  %4d s  %-22s %s\n' $((SECONDS - began)) "$1" "$said"
}
todo=("${short_steps[@]}")
[ -n "$short" ] || todo=("${all_steps[@]}")
if [ -n "$on" ]; then
  mapfile -t todo < <(printf '%s\n' "${todo[@]}" | grep -vxFf "$dir/done")
  [ ${#only[@]} = 0 ] || todo=("${only[@]}")
elif [ ${#only[@]} -gt 0 ]; then
  todo=(install create "${only[@]}")
fi
for one in "${todo[@]}"; do run "$one"; done
echo "${#todo[@]} steps in $((SECONDS - began)) s"
