#!/usr/bin/env bash
# Writes deploy/install.yaml: the chart's default, for those who install without helm. `--check` compares instead.
set -euo pipefail
cd "$(dirname "$0")/.."
helm=${HELM:-helm}
render() {
  echo "# Written by tools/install_yaml.sh from helm/: kubectl apply --server-side -f install.yaml. It looks after Clusters in the namespace millrace."
  printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: millrace\n  labels: {pod-security.kubernetes.io/enforce: restricted}\n'
  "$helm" template millrace ./helm --kube-version 1.31.0 --namespace millrace | sed '/^# Source:/d; /helm.sh\//d; s/managed-by: Helm/managed-by: kubectl/'
}
if [ "${1:-}" = --check ]; then
  diff <(render) deploy/install.yaml >&2 || { echo "deploy/install.yaml is old: run tools/install_yaml.sh" >&2; exit 1; }
else
  render >deploy/install.yaml.new
  mv deploy/install.yaml.new deploy/install.yaml
fi
