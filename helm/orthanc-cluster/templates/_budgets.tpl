{{/* Seconds that a start may take: twice what the operator expects of an upgrade, and five minutes for everything else. */}}
{{- define "orthanc-cluster.startupSeconds" -}}
{{- add (mul .Values.upgrade.expectedMinutes 120) 300 -}}
{{- end -}}

{{/* A rollout that only waits for an upgrade is not a failed one. */}}
{{- define "orthanc-cluster.progressDeadlineSeconds" -}}
{{- add (include "orthanc-cluster.startupSeconds" .) 300 -}}
{{- end -}}

{{- define "orthanc-cluster.terminationGracePeriodSeconds" -}}
{{- add .Values.shutdown.preStopSeconds .Values.cluster.drainSeconds .Values.shutdown.marginSeconds -}}
{{- end -}}

{{/* What a worker may take to finish its chunks, so that it has time left to give back the others. */}}
{{- define "orthanc-cluster.workerDrainSeconds" -}}
{{- sub .Values.worker.terminationGracePeriodSeconds 45 -}}
{{- end -}}

{{/* Of (root, path). A kubelet checks no certificate, and has none. */}}
{{- define "orthanc-cluster.probed" -}}
path: {{ index . 1 }}
port: {{ include "orthanc-cluster.probePortName" (index . 0) }}
{{- if include "orthanc-cluster.probesUseTls" (index . 0) }}
scheme: HTTPS
{{- end }}
{{- end -}}

{{- define "orthanc-cluster.probes" -}}
{{- $period := int .Values.probes.startup.periodSeconds -}}
startupProbe:
  httpGet:
    {{- include "orthanc-cluster.probed" (list . "/startupz") | nindent 4 }}
  periodSeconds: {{ $period }}
  timeoutSeconds: {{ .Values.probes.startup.timeoutSeconds }}
  failureThreshold: {{ div (add (include "orthanc-cluster.startupSeconds" . | int) (sub $period 1)) $period }}
livenessProbe:
  httpGet:
    {{- include "orthanc-cluster.probed" (list . "/livez") | nindent 4 }}
  periodSeconds: {{ .Values.probes.liveness.periodSeconds }}
  timeoutSeconds: {{ .Values.probes.liveness.timeoutSeconds }}
  failureThreshold: {{ .Values.probes.liveness.failureThreshold }}
readinessProbe:
  httpGet:
    {{- include "orthanc-cluster.probed" (list . "/readyz") | nindent 4 }}
  periodSeconds: {{ .Values.probes.readiness.periodSeconds }}
  timeoutSeconds: {{ .Values.probes.readiness.timeoutSeconds }}
  failureThreshold: {{ .Values.probes.readiness.failureThreshold }}
{{- end -}}

{{/* Of pods that a balancer sends somebody to. */}}
{{- define "orthanc-cluster.preStop" -}}
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ .Values.shutdown.preStopSeconds | toString | quote }}]
{{- end -}}
