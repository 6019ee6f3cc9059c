# Shared by the operator's journeys in local mode; sourced, never run: JOURNEY OPERATOR BROKER
set -euo pipefail
operator=$1 broker=$2
for tool in kubectl kcat; do
  command -v $tool >/dev/null || { echo "$tool is not installed (make deps brings it)"; exit 77; }
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/millrace-operator-XXXXXX")
export KUBECONFIG=$dir/data/kubeconfig HOME=$dir
pid= helpers=()  # What runs beside it and is ended with it.
finish() {
  local status=$? helper
  for helper in "${helpers[@]}"; do kill "$helper" 2>/dev/null || true; done
  if [ $status != 0 ] && [ $status != 77 ]; then
    timeout 10 kubectl get clusters,topics,pods -o wide >&2 || true
    tail -n 40 "$dir/log" >&2 || true
    tail -qn 15 "$dir"/data/logs/*/broker.*.log >&2 2>/dev/null || true
  fi
  [ -z "$pid" ] || { kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; } || true
  rm -rf "$dir"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1: expected [$2], got [$3]"; }
k() { timeout 60 kubectl "$@"; }

# A pause without a process of its own: a read that nothing answers.
pause() { read -rt 0.1 <> <(:) || true; }
# until_true SECONDS COMMAND...: tries again until it succeeds.
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "in time: $*"
    pause
  done
}
# start_operator ARGUMENT...: returns once its API server answers.
start_operator() {
  "$operator" --local "$dir/data" --broker "$broker" "$@" >>"$dir/out" 2>>"$dir/log" &
  pid=$!
  until_true 20 kubectl --request-timeout=2s get nodes
}
kill_operator() { kill -9 "$pid"; wait "$pid" 2>/dev/null || true; pid=; }
field() { k get cluster "${2:-main}" -o "jsonpath={$1}"; }
ready() { [ "$(field '.status.conditions[?(@.type=="Ready")].status')" = True ] &&
          [ "$(field .status.observedGeneration)" = "$(field .metadata.generation)" ]; }
until_ready() { until_true "${1:-40}" ready; }
bootstrap() { field .status.summary.bootstrap; }
# entry KEY: of the Secret of a Cluster that speaks TLS.
entry() { k get secret main-ca -o "jsonpath={.data['$1']}" | base64 -d; }
# client NAME: a certificate for clients, signed as the documentation says, and whom to trust: NAME.crt, NAME.key, NAME.ca.
client() {
  entry 'ca\.crt' >"$dir/$1.ca"
  entry 'signer\.crt' >"$dir/signer.crt"; (umask 077; entry 'ca\.key' >"$dir/signer.key")
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$dir/$1.key" -subj "/CN=$1" -out "$dir/$1.csr" 2>/dev/null
  openssl x509 -req -in "$dir/$1.csr" -CA "$dir/signer.crt" -CAkey "$dir/signer.key" -days 1 -out "$dir/$1.crt" 2>/dev/null
}
pod_uids() { k get pods -l millrace.dev/cluster=main -o 'jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}' | sort; }
acted() { grep -c operator.acted "$dir/log" || true; }
