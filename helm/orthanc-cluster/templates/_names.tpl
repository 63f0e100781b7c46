{{/* Short enough that a pod's name fits into Cluster.NodeName (64 characters). */}}
{{- define "orthanc-cluster.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 38 | trimSuffix "-" -}}
{{- end -}}

{{- define "orthanc-cluster.releaseLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of (root, component). */}}
{{- define "orthanc-cluster.selector" -}}
{{ include "orthanc-cluster.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Of (root, component). */}}
{{- define "orthanc-cluster.labels" -}}
{{ include "orthanc-cluster.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "orthanc-cluster.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "orthanc-cluster.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "orthanc-cluster.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "orthanc-cluster.claimName" -}}
{{- default (printf "%s-storage" (include "orthanc-cluster.fullname" .)) .Values.storage.existingClaim -}}
{{- end -}}
