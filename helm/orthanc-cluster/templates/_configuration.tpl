{{/* Orthanc's JSON. Passwords are not in it: they come as environment variables from Secrets. */}}
{{- define "orthanc-cluster.configuration" -}}
{{- include "orthanc-cluster.checkValues" . -}}
{{- $values := .Values -}}
{{- $postgresql := dict "EnableIndex" true "EnableStorage" (eq $values.storage.type "postgresql") "Lock" false -}}
{{- if and (include "orthanc-cluster.hasPostgresqlCertificates" .) (not $values.postgresql.keys.uri) -}}
{{- $_ := set $postgresql "ConnectionUri" (include "orthanc-cluster.verifiedConnection" .) -}}
{{- else if not $values.postgresql.keys.uri -}}
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
{{- if include "orthanc-cluster.hasProbePort" . -}}
{{- $_ := set $cluster "ProbePort" $values.probes.port -}}
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
{{- $configuration = merge $configuration (include "orthanc-cluster.tlsOptions" . | fromJson) -}}
{{- with $values.storage.s3 -}}
{{- if eq $values.storage.type "s3" -}}
{{- $_ := set $configuration "AwsS3Storage" (dict
  "BucketName" .bucket "Region" .region "Endpoint" .endpoint "VirtualAddressing" .virtualAddressing "RootPath" .rootPath) -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite $configuration (deepCopy $values.orthanc) | toPrettyJson -}}
{{- end -}}

{{/* What would start no pod, or a pod that is not what the chart computes with, fails here and by name. */}}
{{- define "orthanc-cluster.checkValues" -}}
{{- $orthanc := .Values.orthanc -}}
{{- range list "Name" "StorageDirectory" "DicomAet" "DicomPort" "HttpPort" "RemoteAccessAllowed" "AuthenticationEnabled" "RegisteredUsers" "DicomServerEnabled" "HttpServerEnabled" "DicomTlsEnabled" "DicomTlsCertificate" "DicomTlsPrivateKey" "DicomTlsTrustedCertificates" "DicomTlsRemoteCertificateRequired" "DicomTlsMinimumProtocolVersion" "SslEnabled" "SslCertificate" "SslVerifyPeers" "SslTrustedClientCertificates" "SslMinimumProtocolVersion" -}}
{{- if hasKey $orthanc . -}}{{- fail (printf "orthanc.%s: the chart sets this, from another value or a Secret" .) -}}{{- end -}}
{{- end -}}
{{- range list "EnableIndex" "EnableStorage" "Lock" "Host" "Port" "Database" "Username" "Password" "ConnectionUri" "EnableSsl" -}}
{{- if hasKey (default dict $orthanc.PostgreSQL) . -}}{{- fail (printf "orthanc.PostgreSQL.%s: the chart sets this, from another value or a Secret" .) -}}{{- end -}}
{{- end -}}
{{- range list "RedisUrl" "NodeName" "DrainSeconds" "IngestProcesses" "MemoryBudgetMegabytes" "Housekeeping" "LogFormat" "AutomaticUpgrade" "IncompatibleNodes" "Failpoints" "ReadOnlyUsers" "ProbePort" "DirectConnectionUri" -}}
{{- if hasKey (default dict $orthanc.Cluster) . -}}{{- fail (printf "orthanc.Cluster.%s: the chart sets this, from another value or a Secret" .) -}}{{- end -}}
{{- end -}}
{{- range list "BucketName" "Region" "Endpoint" "VirtualAddressing" "RootPath" "AccessKey" "SecretKey" -}}
{{- if hasKey (default dict $orthanc.AwsS3Storage) . -}}{{- fail (printf "orthanc.AwsS3Storage.%s: the chart sets this, from another value or a Secret" .) -}}{{- end -}}
{{- end -}}
{{- if and (hasKey $orthanc "AwsS3Storage") (ne .Values.storage.type "s3") -}}
{{- fail "orthanc.AwsS3Storage: with storage.type s3 only" -}}
{{- end -}}
{{- if and (eq .Values.storage.type "s3") (not .Values.storage.s3.bucket) -}}
{{- fail "storage.s3.bucket is required by storage.type s3" -}}
{{- end -}}
{{- with .Values.postgresql -}}
{{- if not (or .existingSecret .certificates.client.existingSecret) -}}
{{- fail "postgresql.existingSecret: the Secret with the password is required, unless postgresql.certificates.client is all that the server asks for" -}}
{{- end -}}
{{- if and (not .existingSecret) (or .keys.uri .keys.username .keys.directUri) -}}
{{- fail "postgresql.existingSecret: the Secret with these postgresql.keys is required" -}}
{{- end -}}
{{- if not (or .host .keys.uri) -}}{{- fail "postgresql.host or postgresql.keys.uri is required" -}}{{- end -}}
{{- end -}}
{{- with .Values.http.authentication -}}
{{- if and .enabled (not .existingSecret) -}}{{- fail "http.authentication.existingSecret: the Secret with the users is required while authentication is on" -}}{{- end -}}
{{- end -}}
{{- with .Values.dicom.tls -}}
{{- if and .enabled (not .existingSecret) -}}{{- fail "dicom.tls.existingSecret: the Secret with the certificate is required" -}}{{- end -}}
{{- if and .enabled .remoteCertificateRequired (not .trusted.existingSecret) -}}
{{- fail "dicom.tls.trusted.existingSecret is required by dicom.tls.remoteCertificateRequired" -}}
{{- end -}}
{{- if and .enabled (or $.Values.tests.echo $.Values.tests.store) (not $.Values.tests.tls.existingSecret) -}}
{{- fail "tests.tls.existingSecret is required by `helm test` with dicom.tls, or tests.echo and tests.store have to be false" -}}
{{- end -}}
{{- end -}}
{{- with .Values.http.tls -}}
{{- if and .enabled (not .existingSecret) -}}{{- fail "http.tls.existingSecret: the Secret with the certificate is required" -}}{{- end -}}
{{- with .clientCertificates -}}
{{- if and .required (not .trusted.existingSecret) -}}
{{- fail "http.tls.clientCertificates.trusted.existingSecret is required by http.tls.clientCertificates.required" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (include "orthanc-cluster.hasProbePort" .) (has .Values.probes.port (list .Values.http.port .Values.dicom.port)) -}}
{{- fail "probes.port must differ from http.port and dicom.port" -}}
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
{{- $verified := include "orthanc-cluster.hasPostgresqlCertificates" $ }}
{{- if .keys.uri }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__POSTGRESQL__CONNECTION_URI" .existingSecret .keys.uri) }}
{{- if $verified }}
{{ include "orthanc-cluster.libpqTls" $ }}
{{- end }}
{{- else if $verified }}
{{- with .existingSecret }}
{{ include "orthanc-cluster.fromSecret" (list "PGPASSWORD" . $.Values.postgresql.keys.password) }}
{{- end }}
{{- with .keys.username }}
{{ include "orthanc-cluster.fromSecret" (list "PGUSER" $.Values.postgresql.existingSecret .) }}
{{- end }}
{{- else }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__POSTGRESQL__PASSWORD" .existingSecret .keys.password) }}
{{- with .keys.username }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__POSTGRESQL__USERNAME" $.Values.postgresql.existingSecret .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.postgresql.keys.directUri }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__CLUSTER__DIRECT_CONNECTION_URI" $.Values.postgresql.existingSecret .) }}
{{- end }}
{{- with .Values.storage.s3 }}
{{- if and (eq $.Values.storage.type "s3") .existingSecret }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__AWS_S3_STORAGE__ACCESS_KEY" .existingSecret .keys.accessKey) }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__AWS_S3_STORAGE__SECRET_KEY" .existingSecret .keys.secretKey) }}
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
{{- if .readOnlyKey }}
{{ include "orthanc-cluster.fromSecret" (list "ORTHANC__CLUSTER__READ_ONLY_USERS" .existingSecret .readOnlyKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.observability.tracing }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_SERVICE_NAME
  value: {{ include "orthanc-cluster.fullname" $ }}
- name: OTEL_TRACES_SAMPLER
  value: {{ .sampler }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .samplerArgument | quote }}
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

{{/* What libpq uses where a URI of a Secret says nothing. */}}
{{- define "orthanc-cluster.libpqTls" -}}
{{- $folder := printf "%s/postgresql" (include "orthanc-cluster.certificatesPath" .) -}}
{{- with .Values.postgresql.certificates -}}
{{- if .authority.existingSecret -}}
- name: PGSSLMODE
  value: {{ .sslmode }}
- name: PGSSLROOTCERT
  value: {{ $folder }}/ca.crt
{{- end }}
{{- if .client.existingSecret }}
- name: PGSSLCERT
  value: {{ $folder }}/tls.crt
- name: PGSSLKEY
  value: {{ $folder }}/tls.key
{{- end }}
{{- end -}}
{{- end -}}
