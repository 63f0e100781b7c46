{{/* Where certificates and keys are mounted, each below the name of what it is for. */}}
{{- define "orthanc-cluster.certificatesPath" -}}
/etc/orthanc-certificates
{{- end -}}

{{/* Options of Orthanc's JSON that name them. */}}
{{- define "orthanc-cluster.tlsOptions" -}}
{{- $folder := include "orthanc-cluster.certificatesPath" . -}}
{{- $options := dict -}}
{{- with .Values.dicom.tls -}}
{{- if .enabled -}}
{{- $options = merge $options (dict
  "DicomTlsEnabled" true
  "DicomTlsCertificate" (printf "%s/dicom/tls.crt" $folder)
  "DicomTlsPrivateKey" (printf "%s/dicom/tls.key" $folder)
  "DicomTlsRemoteCertificateRequired" .remoteCertificateRequired
  "DicomTlsMinimumProtocolVersion" .minimumProtocolVersion) -}}
{{- if .remoteCertificateRequired -}}
{{- $_ := set $options "DicomTlsTrustedCertificates" (printf "%s/dicom-trusted/ca.crt" $folder) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.http.tls -}}
{{- if .enabled -}}
{{- $options = merge $options (dict
  "SslEnabled" true
  "SslCertificate" (printf "%s/http" $folder)
  "SslMinimumProtocolVersion" .minimumProtocolVersion) -}}
{{- if .clientCertificates.required -}}
{{- $options = merge $options (dict
  "SslVerifyPeers" true
  "SslTrustedClientCertificates" (printf "%s/http-trusted/ca.crt" $folder)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $options | toJson -}}
{{- end -}}

{{/* As a value of libpq's key=value pairs. */}}
{{- define "orthanc-cluster.quoted" -}}
'{{ . | replace "\\" "\\\\" | replace "'" "\\'" }}'
{{- end -}}

{{/* libpq's key=value pairs, without the password: that comes as PGPASSWORD, and a user name of the Secret as PGUSER. */}}
{{- define "orthanc-cluster.verifiedConnection" -}}
{{- $folder := printf "%s/postgresql" (include "orthanc-cluster.certificatesPath" .) -}}
{{- with .Values.postgresql -}}
host={{ include "orthanc-cluster.quoted" .host }} port={{ .port }} dbname={{ include "orthanc-cluster.quoted" .database }}
{{- if not .keys.username }} user={{ include "orthanc-cluster.quoted" .username }}{{ end }}
{{- if .certificates.authority.existingSecret }} sslmode={{ .certificates.sslmode }} sslrootcert={{ $folder }}/ca.crt
{{- else }} sslmode=require
{{- end }}
{{- if .certificates.client.existingSecret }} sslcert={{ $folder }}/tls.crt sslkey={{ $folder }}/tls.key{{ end }}
{{- end -}}
{{- end -}}

{{/* Whether anything is checked or shown on the way to PostgreSQL. */}}
{{- define "orthanc-cluster.hasPostgresqlCertificates" -}}
{{- with .Values.postgresql.certificates -}}
{{- if or .authority.existingSecret .client.existingSecret -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Sources of a projected volume, of (root, component); nothing where no Secret is needed. Only those who open a door get its key. */}}
{{- define "orthanc-cluster.certificateSources" -}}
{{- $component := .component -}}
{{- with .root.Values -}}
{{- if and .dicom.tls.enabled (eq $component "ingest") }}
{{ include "orthanc-cluster.keyPair" (list .dicom.tls.existingSecret .dicom.tls.keys.certificate .dicom.tls.keys.privateKey "dicom") }}
{{- if .dicom.tls.remoteCertificateRequired }}
{{ include "orthanc-cluster.authority" (list .dicom.tls.trusted.existingSecret .dicom.tls.trusted.key "dicom-trusted") }}
{{- end }}
{{- end }}
{{- if and .http.tls.enabled (has $component (list "ingest" "http" "worker" "housekeeping")) }}
{{ include "orthanc-cluster.keyPair" (list .http.tls.existingSecret .http.tls.keys.certificate .http.tls.keys.privateKey "http") }}
{{- with .http.tls.clientCertificates }}
{{- if .required }}
{{ include "orthanc-cluster.authority" (list .trusted.existingSecret .trusted.key "http-trusted") }}
{{- end }}
{{- end }}
{{- end }}
{{- with .postgresql.certificates }}
{{- if .authority.existingSecret }}
{{ include "orthanc-cluster.authority" (list .authority.existingSecret .authority.key "postgresql") }}
{{- end }}
{{- if .client.existingSecret }}
{{ include "orthanc-cluster.keyPair" (list .client.existingSecret .client.certificateKey .client.privateKeyKey "postgresql") }}
{{- end }}
{{- end }}
{{- if and .dicom.tls.enabled (eq $component "test") }}
{{ include "orthanc-cluster.authority" (list .tests.tls.existingSecret .tests.tls.keys.trusted "test") }}
{{- if .dicom.tls.remoteCertificateRequired }}
{{ include "orthanc-cluster.keyPair" (list .tests.tls.existingSecret .tests.tls.keys.certificate .tests.tls.keys.privateKey "test") }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Of (Secret, key of the certificate, key of the private key, folder). */}}
{{- define "orthanc-cluster.keyPair" -}}
- secret:
    name: {{ index . 0 | quote }}
    items:
      - {key: {{ index . 1 | quote }}, path: {{ index . 3 }}/tls.crt}
      - {key: {{ index . 2 | quote }}, path: {{ index . 3 }}/tls.key}
{{- end -}}

{{/* Of (Secret, key, folder). */}}
{{- define "orthanc-cluster.authority" -}}
- secret:
    name: {{ index . 0 | quote }}
    items:
      - {key: {{ index . 1 | quote }}, path: {{ index . 2 }}/ca.crt}
{{- end -}}

{{/* Mount and volume of (root, component). Files are root's and the group's: libpq refuses keys that others may read. */}}
{{- define "orthanc-cluster.certificateMount" -}}
{{- if include "orthanc-cluster.certificateSources" . | trim }}
- name: certificates
  mountPath: {{ include "orthanc-cluster.certificatesPath" .root }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "orthanc-cluster.certificateVolume" -}}
{{- with include "orthanc-cluster.certificateSources" . | trim }}
- name: certificates
  projected:
    # 0440
    defaultMode: 288
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Options of `echo` and `load` as a sender, one a line. */}}
{{- define "orthanc-cluster.senderTls" -}}
{{- $folder := printf "%s/test" (include "orthanc-cluster.certificatesPath" .) -}}
{{- with .Values.dicom.tls -}}
{{- if .enabled }}
- --tls-trusted={{ $folder }}/ca.crt
{{- if .remoteCertificateRequired }}
- --tls-certificate={{ $folder }}/tls.crt
- --tls-key={{ $folder }}/tls.key
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Whether probes and metrics have a port of their own: kubelets and Prometheus have no certificate to show. */}}
{{- define "orthanc-cluster.hasProbePort" -}}
{{- with .Values.http.tls -}}{{- if and .enabled .clientCertificates.required -}}true{{- end -}}{{- end -}}
{{- end -}}

{{/* Name of the port that answers probes and scrapes. */}}
{{- define "orthanc-cluster.probePortName" -}}
{{- if include "orthanc-cluster.hasProbePort" . -}}probes{{- else -}}http{{- end -}}
{{- end -}}

{{/* Whether probes and scrapes go by HTTPS. */}}
{{- define "orthanc-cluster.probesUseTls" -}}
{{- if and .Values.http.tls.enabled (not (include "orthanc-cluster.hasProbePort" .)) -}}true{{- end -}}
{{- end -}}
