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
has '^ +drop:$' "$out"
has '^ +- ALL$' "$out"
has '^ +type: RuntimeDefault$' "$out"
has '^ +runAsUser: 10001$' "$out"
hasnt '--(pull-secret|platform-ids)' "$out"
hasnt 'resources: \[.*\*' "$out"
hasnt '(pods/exec|impersonate|escalate|rolebindings|serviceaccounts/token)' "$out"
[ "$(grep -o 'helm.sh/resource-policy' <<<"$out" | wc -l)" = 3 ] || fail "definitions would go with the release"

out=$(render --set scope=Cluster --set rbac.readNodes=true --set replicas=2 --set 'tolerations[0].key=a' --set podLabels.a=b)
has '^kind: ClusterRole$' "$out"
has '--all-namespaces' "$out"
has '--nodes' "$out"
# Several namespaces: a Role and a RoleBinding in each, to the one account; nothing in the release's own but the election.
out=$(render --set 'namespaces={one,two}' --set rbac.readNodes=false)
hasnt '^kind: ClusterRole' "$out"
hasnt '--all-namespaces' "$out"
python3 - "$out" <<'PY' || fail "namespaces={one,two} renders something else"
import re, sys
found = {}
for document in sys.argv[1].split("\n---\n"):
    kind = re.search(r"^kind: (Role|RoleBinding)$", document, re.M)
    if kind:
        name, space = (re.search(rf"^  {key}: (\S+)$", document, re.M)[1] for key in ("name", "namespace"))
        found[kind[1], name, space] = document
some = "some-operator"
wanted = {(kind, f"here-{some}", space) for kind in ("Role", "RoleBinding") for space in ("one", "two")}
wanted |= {(kind, f"{some}-election", "here") for kind in ("Role", "RoleBinding")}
assert set(found) == wanted, f"{sorted(found)}"
for (kind, name, space), document in found.items():
    assert kind == "Role" or f"{{kind: ServiceAccount, name: {some}, namespace: here}}" in document, document
    assert kind == "RoleBinding" or name.endswith("election") or "persistentvolumeclaims" in document, document
arguments = re.findall(r"^ +- (.*)$", sys.argv[1], re.M)
assert [arguments[i + 1] for i, one in enumerate(arguments) if one == "--namespace"] == ['"one"', '"two"'], arguments
PY
out=$(render --set 'namespaces={one,here}')
has '^  name: some-operator$' "$out"
out=$(render --set scope=Cluster --set 'namespaces={one}' 2>&1) && fail "scope Cluster with a list is accepted"
has 'scope Cluster looks after all of them' "$out"

out=$(render --set crds.install=false --set rbac.create=false --set serviceAccount.create=false --set serviceAccount.name=ours)
hasnt '^kind: (CustomResourceDefinition|Role|ServiceAccount)' "$out"
has 'serviceAccountName: ours' "$out"
out=$(render --set brokers.image=example/broker:7 --set image.tag=t)
has '"example/broker:7"' "$out"
has 'image: "millrace/millrace:t"' "$out"

# A registry that asks who pulls is asked by the brokers' pods, too.
out=$(render --set 'image.pullSecrets[0].name=one' --set 'image.pullSecrets[1].name=two')
has '^      - name: one$' "$out"
[ "$(grep -A1 -- '- --pull-secret$' <<<"$out" | grep -cE '^ +- "(one|two)"$')" = 2 ] || fail "brokers get no pull secrets"
digest=sha256:$(printf '%064d' 7)
out=$(render --set image.digest="$digest" --set image.tag=t)
has "image: \"millrace/millrace@$digest\"" "$out"
# On OpenShift the platform says who runs.
out=$(render --set ids=Platform --set podSecurityContext.fsGroup=7 --set podSecurityContext.seccompProfile=null --set securityContext.readOnlyRootFilesystem=false)
hasnt 'runAsUser' "$out"
has '^        - --platform-ids$' "$out"
has '^        fsGroup: 7$' "$out"
has '^        runAsNonRoot: true$' "$out"
hasnt 'RuntimeDefault' "$out"
has '^          readOnlyRootFilesystem: false$' "$out"
has '^          allowPrivilegeEscalation: false$' "$out"

out=$(render --set monitoring.alerts=true --set monitoring.podMonitor=true --set monitoring.labels.a=b)
has '^kind: PrometheusRule$' "$out"
has '^kind: PodMonitor$' "$out"

for wrong in scope=Everything 'namespaces={a,a}' 'namespaces={Not_A_Name}' replicas=two image.pullPolicy=Sometimes image.digest=sha256:12 ids=Mine logLevel=loud imgae.tag=1; do
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
