{{/* Orthanc's JSON. Passwords are not in it: they come as environment variables from Secrets. */}}
{{- define "orthanc-cluster.configuration" -}}
{{- include "orthanc-cluster.checkValues" . -}}
{{- $values := .Values -}}
{{- $postgresql := dict "EnableIndex" true "EnableStorage" false "Lock" false -}}
{{- if not $values.postgresql.keys.uri -}}
{{- $_ := set $postgresql "Host" $values.postgresql.host -}}
{{- $_ := set $postgresql "Port" $values.postgresql.port -}}
{{- $_ := set $postgresql "Database" $values.postgresql.database -}}
{{- $_ := set $postgresql "EnableSsl" $values.postgresql.tls -}}
{{- if not $values.postgresql.keys.username -}}
{{- $_ := set $postgresql "Username" $values.postgresql.username -}}
{{- end -}}
{{- end -}}
{{- $cluster := dict
  "DrainSeconds" $values.cluster.drainSeconds
  "IngestProcesses" $values.cluster.ingestProcesses
  "MemoryBudgetMegabytes" $values.cluster.memoryBudgetMegabytes
  "Housekeeping" false
  "LogFormat" $values.cluster.logFormat
  "AutomaticUpgrade" $values.upgrade.automatic
  "IncompatibleNodes" $values.upgrade.incompatibleNodes -}}
{{- if and $values.redis.url (not $values.redis.existingSecret) -}}
{{- $_ := set $cluster "RedisUrl" $values.redis.url -}}
{{- end -}}
{{- $configuration := dict
  "Name" $values.name
  "StorageDirectory" $values.storage.mountPath
  "DicomAet" $values.dicom.aet
  "DicomPort" $values.dicom.port
  "HttpPort" $values.http.port
  "RemoteAccessAllowed" true
  "AuthenticationEnabled" $values.http.authentication.enabled
  "PostgreSQL" $postgresql
  "Cluster" $cluster -}}
{{- mergeOverwrite $configuration (deepCopy $values.orthanc) | toPrettyJson -}}
{{- end -}}

{{/* What would start no pod, or a pod that is not what the chart computes with, fails here and by name. */}}
{{- define "orthanc-cluster.checkValues" -}}
{{- $orthanc := .Values.orthanc -}}
{{- range list "Name" "StorageDirectory" "DicomAet" "DicomPort" "HttpPort" "RemoteAccessAllowed" "AuthenticationEnabled" "RegisteredUsers" "DicomServerEnabled" "HttpServerEnabled" -}}
{{- if hasKey $orthanc . -}}{{- fail (printf "orthanc.%s: the chart sets this, from another value or a Secret" .) -}}{{- end -}}
{{- end -}}
{{- range list "EnableIndex" "EnableStorage" "Lock" "Host" "Port" "Database" "Username" "Password" "ConnectionUri" "EnableSsl" -}}
{{- if hasKey (default dict $orthanc.PostgreSQL) . -}}{{- fail (printf "orthanc.PostgreSQL.%s: the chart sets this, from another value or a Secret" .) -}}{{- end -}}
{{- end -}}
{{- range list "RedisUrl" "NodeName" "DrainSeconds" "IngestProcesses" "MemoryBudgetMegabytes" "Housekeeping" "LogFormat" "AutomaticUpgrade" "IncompatibleNodes" "Failpoints" -}}
{{- if hasKey (default dict $orthanc.Cluster) . -}}{{- fail (printf "orthanc.Cluster.%s: the chart sets this, from another value or a Secret" .) -}}{{- end -}}
{{- end -}}
{{- with .Values.postgresql -}}
{{- if not .existingSecret -}}{{- fail "postgresql.existingSecret: the Secret with the password is required" -}}{{- end -}}
{{- if not (or .host .keys.uri) -}}{{- fail "postgresql.host or postgresql.keys.uri is required" -}}{{- end -}}
{{- end -}}
{{- with .Values.http.authentication -}}
{{- if and .enabled (not .existingSecret) -}}{{- fail "http.authentication.existingSecret: the Secret with the users is required while authentication is on" -}}{{- end -}}
{{- end -}}
{{- if and .Values.worker.enabled (not (or .Values.redis.url .Values.redis.existingSecret)) -}}
{{- fail "redis.url or redis.existingSecret is required by the workers (worker.enabled)" -}}
{{- end -}}
{{- if and .Values.http.ingress.enabled (not .Values.http.ingress.host) -}}
{{- fail "http.ingress.host is required by the Ingress" -}}
{{- end -}}
{{- if and .Values.http.gateway.enabled (not .Values.http.gateway.parentRefs) -}}
{{- fail "http.gateway.parentRefs is required by the HTTPRoute" -}}
{{- end -}}
{{- if and .Values.worker.autoscaling.enabled .Values.worker.keda.enabled -}}
{{- fail "worker.autoscaling and worker.keda: one of them, both would set the replicas" -}}
{{- end -}}
{{- end -}}

{{/* Environment of every role. */}}
{{- define "orthanc-cluster.environment" -}}
- name: ORTHANC__CLUSTER__NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: HOME
  value: /tmp
{{- with .Values.postgresql }}
{{- if .keys.uri }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__POSTGRESQL__CONNECTION_URI" .existingSecret .keys.uri) }}
{{- else }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__POSTGRESQL__PASSWORD" .existingSecret .keys.password) }}
{{- with .keys.username }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__POSTGRESQL__USERNAME" $.Values.postgresql.existingSecret .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.redis }}
{{- if .existingSecret }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__CLUSTER__REDIS_URL" .existingSecret .key) }}
{{- end }}
{{- end }}
{{- with .Values.http.authentication }}
{{- if .enabled }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__REGISTERED_USERS" .existingSecret .key) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of (variable, Secret, key). */}}
{{- define "orthanc-cluster.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 | quote }}
      key: {{ index . 2 | quote }}
{{- end -}}
