{{/* HorizontalPodAutoscaler of (root, component, process). */}}
{{- define "orthanc-cluster.horizontalPodAutoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "orthanc-cluster.fullname" .root }}-{{ .component }}
  labels:
    {{- include "orthanc-cluster.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "orthanc-cluster.fullname" .root }}-{{ .component }}
  minReplicas: {{ .process.autoscaling.minReplicas }}
  maxReplicas: {{ .process.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .process.autoscaling.targetCPUUtilizationPercentage }}
  behavior:
    scaleDown:
      # Senders come in bursts, and each pod that goes has to drain.
      stabilizationWindowSeconds: 300
      policies:
        - type: Pods
          value: 1
          periodSeconds: 60
{{- end -}}

{{/* PodDisruptionBudget of (root, component, process). */}}
{{- define "orthanc-cluster.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "orthanc-cluster.fullname" .root }}-{{ .component }}
  labels:
    {{- include "orthanc-cluster.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .process.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "orthanc-cluster.selector" . | nindent 6 }}
{{- end -}}

{{/* The HTTP port of a node, for traffic and scrapes; Service of (root, component). */}}
{{- define "orthanc-cluster.httpService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "orthanc-cluster.fullname" .root }}{{ if ne .component "http" }}-{{ .component }}{{ end }}-http
  labels:
    {{- include "orthanc-cluster.labels" . | nindent 4 }}
  {{- with .root.Values.http.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: ClusterIP
  selector:
    {{- include "orthanc-cluster.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .root.Values.http.service.port }}
      targetPort: http
      protocol: TCP
      {{- if .root.Values.http.tls.enabled }}
      # For controllers that ask how to speak to it.
      appProtocol: https
      {{- end }}
    {{- include "orthanc-cluster.probeServicePort" .root | nindent 4 }}
{{- end -}}

{{/* For scrapes, where they have a port of their own. */}}
{{- define "orthanc-cluster.probeServicePort" -}}
{{- if include "orthanc-cluster.hasProbePort" . }}
- name: probes
  port: {{ .Values.probes.port }}
  targetPort: probes
  protocol: TCP
{{- end }}
{{- end -}}

{{/* For scrapes of pods that serve nobody; Service of (root, component). */}}
{{- define "orthanc-cluster.metricsService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "orthanc-cluster.fullname" .root }}-{{ .component }}-metrics
  labels:
    {{- include "orthanc-cluster.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  clusterIP: None
  # A pod that is not ready is scraped too.
  publishNotReadyAddresses: true
  selector:
    {{- include "orthanc-cluster.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .root.Values.http.port }}
      targetPort: http
      protocol: TCP
    {{- include "orthanc-cluster.probeServicePort" .root | nindent 4 }}
{{- end -}}

{{/* The Service that answers HTTP from outside. */}}
{{- define "orthanc-cluster.readingService" -}}
{{ include "orthanc-cluster.fullname" . }}-{{ ternary "http" "ingest-http" .Values.http.enabled }}
{{- end -}}

{{/* NetworkPolicy of (root, component) with nothing but probes and metrics. */}}
{{- define "orthanc-cluster.metricsOnly" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "orthanc-cluster.fullname" .root }}-{{ .component }}
  labels:
    {{- include "orthanc-cluster.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "orthanc-cluster.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - {port: {{ include "orthanc-cluster.probePortName" .root }}, protocol: TCP}
      {{- with .root.Values.networkPolicy.metricsFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/* NetworkPolicy of the doors of (root, component, dicom). */}}
{{- define "orthanc-cluster.doors" -}}
{{- $policy := .root.Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "orthanc-cluster.fullname" .root }}-{{ .component }}
  labels:
    {{- include "orthanc-cluster.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "orthanc-cluster.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    {{- if .dicom }}
    - ports:
        - {port: dicom, protocol: TCP}
      {{- with $policy.dicomFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        - podSelector:
            matchLabels:
              {{- include "orthanc-cluster.selector" (dict "root" $.root "component" "test") | nindent 14 }}
      {{- end }}
    {{- end }}
    - ports:
        - {port: http, protocol: TCP}
      {{- with $policy.httpFrom }}
      from:
        {{- concat . $policy.metricsFrom | toYaml | nindent 8 }}
      {{- end }}
    {{- if include "orthanc-cluster.hasProbePort" .root }}
    - ports:
        - {port: probes, protocol: TCP}
      {{- with $policy.metricsFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
{{- end -}}

{{/* Port of the bucket's endpoint. */}}
{{- define "orthanc-cluster.s3Port" -}}
{{- with .Values.storage.s3.endpoint | trimSuffix "/" -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" .) | default (ternary "80" "443" (hasPrefix "http://" .)) -}}
{{- else -}}
443
{{- end -}}
{{- end -}}
