{{- define "millrace.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}-operator
{{- end }}
{{- define "millrace.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "millrace.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}
{{- /* The second over the first, field by field; null takes one out. */}}
{{- define "millrace.over" -}}
{{- $all := index . 0 }}
{{- range $field, $value := index . 1 }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $all $field }}{{ else }}{{ $_ := set $all $field $value }}{{ end }}
{{- end }}
{{- toYaml $all }}
{{- end }}
{{- define "millrace.selector" -}}
app.kubernetes.io/name: millrace-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "millrace.rules" -}}
- apiGroups: [millrace.dev]
  resources: [clusters, topics, mirrorlinks]
  verbs: [get, list, watch, update, patch]
- apiGroups: [millrace.dev]
  resources: [clusters/status, topics/status, mirrorlinks/status, clusters/finalizers, topics/finalizers, mirrorlinks/finalizers]
  verbs: [get, update, patch]
- apiGroups: [""]
  resources: [pods, persistentvolumeclaims, services, configmaps, secrets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch, list]
{{- end }}
{{- /* A definition that kubectl or another release has brought is left to it: helm would refuse the whole release. */}}
{{- define "millrace.bringsKind" -}}
{{- if .root.Values.crds.install }}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .kind }}
{{- $notes := dig "metadata" "annotations" (dict) $found }}
{{- $release := get $notes "meta.helm.sh/release-name" }}
{{- $namespace := get $notes "meta.helm.sh/release-namespace" }}
{{- if or (not $found) .root.Values.crds.takeOver (and (eq $release .root.Release.Name) (eq $namespace .root.Release.Namespace)) }}yes{{ end }}
{{- end }}
{{- end }}
