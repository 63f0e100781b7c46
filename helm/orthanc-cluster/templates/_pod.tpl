{{/* What all pods have in common, those of hooks too. */}}
{{- define "orthanc-cluster.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int64 .Values.podSecurity.runAsUser }}
  runAsGroup: {{ int64 .Values.podSecurity.runAsGroup }}
  fsGroup: {{ int64 .Values.podSecurity.fsGroup }}
  # A large storage area is not walked at each start.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Where the pods of (root, component, process) may run. */}}
{{- define "orthanc-cluster.scheduling" -}}
topologySpreadConstraints:
  {{- if .process.topologySpreadConstraints }}
  {{- toYaml .process.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "orthanc-cluster.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- with .process.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .process.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .process.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .process.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "orthanc-cluster.podMetadata" -}}
labels:
  {{- include "orthanc-cluster.labels" . | nindent 2 }}
annotations:
  # A changed configuration is a rollout.
  checksum/configuration: {{ include "orthanc-cluster.configuration" .root | sha256sum }}
  {{- with .process.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "orthanc-cluster.containerBasics" -}}
image: {{ include "orthanc-cluster.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Of (root, component). */}}
{{- define "orthanc-cluster.volumeMounts" -}}
- name: configuration
  mountPath: /etc/orthanc
  readOnly: true
{{- include "orthanc-cluster.certificateMount" . }}
- name: storage
  mountPath: {{ .root.Values.storage.mountPath }}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* Of (root, component). */}}
{{- define "orthanc-cluster.volumes" -}}
- name: configuration
  configMap:
    name: {{ include "orthanc-cluster.fullname" .root }}
{{- include "orthanc-cluster.certificateVolume" . }}
- name: storage
  {{- if or (eq .root.Values.storage.type "filesystem") .root.Values.storage.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ include "orthanc-cluster.claimName" .root }}
  {{- else }}
  # Attachments are elsewhere.
  emptyDir: {}
  {{- end }}
- name: tmp
  emptyDir: {}
{{- end -}}

{{/* Ports of a container for HTTP and for whoever looks after it. */}}
{{- define "orthanc-cluster.httpPorts" -}}
- name: http
  containerPort: {{ .Values.http.port }}
  protocol: TCP
{{- if include "orthanc-cluster.hasProbePort" . }}
- name: probes
  containerPort: {{ .Values.probes.port }}
  protocol: TCP
{{- end }}
{{- end -}}

{{/* Number of pods, and how they are replaced; of (root, process, scaled). */}}
{{- define "orthanc-cluster.rollout" -}}
{{- if not .scaled }}
replicas: {{ .process.replicas }}
{{- end }}
revisionHistoryLimit: 5
minReadySeconds: {{ .process.minReadySeconds }}
progressDeadlineSeconds: {{ include "orthanc-cluster.progressDeadlineSeconds" .root }}
strategy:
  type: RollingUpdate
  rollingUpdate:
    maxSurge: {{ .process.strategy.maxSurge }}
    maxUnavailable: {{ .process.strategy.maxUnavailable }}
{{- end -}}
