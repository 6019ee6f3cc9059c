#!/usr/bin/env bash
# The chart: lint, every combination of its values renders, wrong values are refused, what it may do is no more than it says, and
# deploy/install.yaml is what it renders. Exit 77: there is no helm.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
helm=${HELM:-$(command -v helm || echo "${MILLRACE_KUBE:-$HOME/.cache/millrace-kube}/bin/helm")}
[ -x "$helm" ] || { echo "helm is not installed"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }
render() { timeout 60 "$helm" template some "$top/helm" --kube-version 1.31.0 --namespace here "$@"; }
has() { grep -Eq -- "$1" <<<"$2" || fail "no line matches '$1'"; }
hasnt() { ! grep -Eq -- "$1" <<<"$2" || fail "a line matches '$1'"; }

timeout 60 "$helm" lint --strict --quiet "$top/helm" || fail lint
HELM=$helm "$top/tools/install_yaml.sh" --check

out=$(render)
has '^kind: Role$' "$out"
hasnt '^kind: ClusterRole' "$out"
hasnt '--all-namespaces' "$out"
has 'readOnlyRootFilesystem: true' "$out"
has 'runAsNonRoot: true' "$out"
has 'allowPrivilegeEscalation: false' "$out"
has 'capabilities: \{drop: \[ALL\]\}' "$out"
has 'seccompProfile: \{type: RuntimeDefault\}' "$out"
hasnt 'resources: \[.*\*' "$out"
hasnt '(pods/exec|impersonate|escalate|rolebindings|serviceaccounts/token)' "$out"
[ "$(grep -o 'helm.sh/resource-policy' <<<"$out" | wc -l)" = 3 ] || fail "definitions would go with the release"

out=$(render --set scope=Cluster --set rbac.readNodes=true --set replicas=2 --set 'tolerations[0].key=a' --set podLabels.a=b)
has '^kind: ClusterRole$' "$out"
has '--all-namespaces' "$out"
has '--nodes' "$out"
out=$(render --set crds.install=false --set rbac.create=false --set serviceAccount.create=false --set serviceAccount.name=ours)
hasnt '^kind: (CustomResourceDefinition|Role|ServiceAccount)' "$out"
has 'serviceAccountName: ours' "$out"
out=$(render --set brokers.image=example/broker:7 --set image.tag=t)
has '"example/broker:7"' "$out"
has 'image: "millrace/millrace:t"' "$out"

out=$(render --set monitoring.alerts=true --set monitoring.podMonitor=true --set monitoring.labels.a=b)
has '^kind: PrometheusRule$' "$out"
has '^kind: PodMonitor$' "$out"

for wrong in scope=Everything replicas=two image.pullPolicy=Sometimes logLevel=loud imgae.tag=1; do
  ! render --set "$wrong" >/dev/null 2>&1 || fail "$wrong is accepted"
done
# Every value that values.yaml documents is one the schema knows, and the other way round.
python3 - "$top/helm" <<'PY'
import json, pathlib, re, sys
chart = pathlib.Path(sys.argv[1])
known = set(json.loads((chart / "values.schema.json").read_text())["properties"]) - {"global"}
written = set(re.findall(r"^([A-Za-z]+):", (chart / "values.yaml").read_text(), re.M))
sys.exit(f"values.yaml and values.schema.json differ: {known ^ written}" if known != written else 0)
PY
# Alerts ask for metrics that exist.
python3 - "$top" <<'PY'
import pathlib, re, sys
top = pathlib.Path(sys.argv[1])
known = set(re.findall(r'"(millrace_operator_\w+)"', (top / "operator/app/metrics.def").read_text()))
asked = set(re.findall(r"\bmillrace_\w+", (top / "helm/files/alerts.yaml").read_text()))
assert asked
sys.exit(f"alerts ask for metrics that don't exist: {sorted(asked - known)}" if asked - known else 0)
PY
echo "chart: fine"
